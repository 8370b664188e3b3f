"""The map of a library: where each segment lies on it, kept for whoever draws it.

A file `map.safetensors` beside the catalogue, made anew by `soravec describe`. It tells of every
video that it was made of, so it goes when one is forgotten.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from soravec.errors import LibraryError
from soravec.library.durable import sync_folder

MAP_FILE = "map.safetensors"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class LibraryMap:
    """Where segments lie on a map, in order of video and time."""

    space_id: str
    """The space of the vectors that it was made of."""
    vectors_version: int
    """Which of their versions; the library's own is another one since something changed."""
    clusters: tuple[str, ...]
    """What the clusters are called."""
    keys: NDArray[np.int64]
    """(N,) key of the video of each segment."""
    ordinals: NDArray[np.int32]
    """(N,) its number within the video."""
    places: NDArray[np.float32]
    """(N, 2) within [-1, 1], right and up."""
    labels: NDArray[np.int32]
    """(N,) number of its cluster in `clusters`."""
    oddness: NDArray[np.float32]
    """(N,) how far it is from its nearest of other videos, in [0, 2]."""

    def __len__(self) -> int:
        return len(self.keys)


def write_map(folder: Path, made: LibraryMap) -> None:
    """Keep a map in the folder of a library, durably, in place of the one before.

    Raises:
        LibraryError: The disk is full or cannot be written.
    """
    facts = {
        "format_version": FORMAT_VERSION,
        "space_id": made.space_id,
        "vectors_version": made.vectors_version,
        "clusters": list(made.clusters),
    }
    names = ("keys", "ordinals", "places", "labels", "oddness")
    arrays = {name: np.ascontiguousarray(getattr(made, name)) for name in names}
    path = folder / MAP_FILE
    aside = folder / f"{MAP_FILE}.tmp"
    try:
        with aside.open("wb") as file:
            file.write(save(arrays, {"soravec": json.dumps(facts)}))
            os.fsync(file.fileno())
        aside.replace(path)
        sync_folder(folder)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise LibraryError(f"{path}: cannot be written ({error.strerror})") from error


def read_map(folder: Path) -> LibraryMap | None:
    """Return the map in the folder of a library; None where there is none.

    It may be of another model, or older than what the library holds: compare `space_id` and
    `vectors_version` with `Library.space()`.

    Raises:
        LibraryError: It is damaged.
    """
    path = folder / MAP_FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["soravec"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if facts.pop("format_version") != FORMAT_VERSION:
            raise ValueError("another format")
        found = LibraryMap(**{**facts, "clusters": tuple(facts["clusters"])}, **arrays)
        if {len(values) for values in arrays.values()} != {len(found)}:
            raise ValueError("lengths differ")
    except (OSError, SafetensorError, AttributeError, KeyError, ValueError, TypeError) as error:
        raise LibraryError(f"{path}: damaged ({error}). Run: soravec describe") from error
    return found


def remove_map(folder: Path) -> None:
    """Remove the map, and what is left of one that was being written, durably.

    Raises:
        LibraryError: It cannot be removed.
    """
    try:
        for name in (MAP_FILE, f"{MAP_FILE}.tmp"):
            (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise LibraryError(f"{folder}: the map cannot be removed ({error.strerror})") from error
