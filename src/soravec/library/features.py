"""Frame features on disk and on the wire: one safetensors file per video and `feature_id`.

Written aside, synced, renamed; read through a memory map. Vectors can always be rebuilt from them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from soravec.errors import LibraryError
from soravec.library.durable import make_folder, sync_folder
from soravec.types import FrameFeatures, Shots, TimedText, Transition, VideoInfo

Arrays = Mapping[str, NDArray[Any]]


class FeatureFiles:
    """The folder `features/`: `FEATURE_ID/VIDEO_ID.safetensors`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, video_id: str, feature_id: str) -> Path:
        """Return where the features of a video lie."""
        return self.root / feature_id / f"{video_id}.safetensors"

    def has(self, video_id: str, feature_id: str) -> bool:
        """Return whether a video's features are stored."""
        return self.path(video_id, feature_id).is_file()

    def write(self, video_id: str, features: FrameFeatures) -> None:
        """Store features durably: once this returns they survive power loss.

        Raises:
            LibraryError: The disk is full or cannot be written.
        """
        path = self.path(video_id, features.feature_id)
        header, arrays = pack(features)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        with _told(path):
            try:
                make_folder(path.parent)
                save_file(dict(arrays), aside, {"soravec": json.dumps(header)})
                with aside.open("rb+") as file:
                    os.fsync(file.fileno())
                aside.replace(path)
                sync_folder(path.parent)
            except BaseException:
                with suppress(OSError):
                    aside.unlink(missing_ok=True)
                raise

    def read(self, video_id: str, feature_id: str) -> FrameFeatures:
        """Return the stored features of a video.

        Raises:
            LibraryError: They are missing or damaged.
        """
        path = self.path(video_id, feature_id)
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads(file.metadata()["soravec"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return unpack(header, arrays)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise LibraryError(
                f"{path}: features are missing or damaged ({error}). Index that video again:"
                " soravec library repair, then soravec index."
            ) from error

    def is_lost(self, video_id: str, feature_id: str) -> bool:
        """Return whether the features of a video are missing or damaged."""
        try:
            self.read(video_id, feature_id)
        except LibraryError:
            return True
        return False

    def put_info(self, video_id: str, info: VideoInfo) -> None:
        """Replace what a video's file says in the features of every CNN; damaged ones are left."""
        for path in self.root.glob(f"*/{video_id}.safetensors"):
            try:
                features = self.read(video_id, path.parent.name)
            except LibraryError:  # told by `library verify`, and by whoever needs them
                continue
            self.write(video_id, replace(features, info=info))

    def forget(self, video_id: str) -> None:
        """Remove the features of a video, of every CNN, durably."""
        for path in self.root.glob(f"*/{video_id}.safetensors"):
            with _told(path):
                path.unlink(missing_ok=True)
                sync_folder(path.parent)

    def sweep(self) -> None:
        """Remove the files that a killed writer has half written."""
        for path in (*self.root.glob("*/.tmp*"), *self.root.glob("*/*.tmp")):
            if path.is_file():
                with _told(path):
                    path.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say which file it was that a disk refused to change."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LibraryError(f"{path}: cannot be written ({reason})") from error


def pack(features: FrameFeatures) -> tuple[dict[str, Any], Arrays]:
    """Return features as a JSON header and arrays."""
    header = {
        "info": asdict(features.info),
        "feature_id": features.feature_id,
        "recipe": dict(features.recipe),
        "approximate": features.shots.approximate,
        "notes": list(features.shots.notes),
        "transitions": [asdict(transition) for transition in features.shots.transitions],
    }
    arrays: dict[str, NDArray[Any]] = {
        "features": features.features,
        "seconds": features.seconds,
        "shots": features.shots.bounds,
    }
    if features.sketches is not None and features.sharpness is not None:
        arrays |= {"sketches": features.sketches, "sharpness": features.sharpness}
    if features.colours is not None:
        arrays["colours"] = features.colours
    return header, arrays


def unpack(header: Mapping[str, Any], arrays: Arrays) -> FrameFeatures:
    """Return features from what `pack` made of them."""
    return FrameFeatures(
        features=arrays["features"].astype(np.float16, copy=False),
        seconds=arrays["seconds"].astype(np.float64, copy=False),
        shots=Shots(
            arrays["shots"].astype(np.float64, copy=False),
            bool(header["approximate"]),
            tuple(header["notes"]),
            tuple(Transition(**one) for one in header.get("transitions", ())),
        ),
        info=info_from_json(header["info"]),
        feature_id=header["feature_id"],
        recipe=header["recipe"],
        sketches=arrays.get("sketches"),
        sharpness=arrays.get("sharpness"),
        colours=arrays.get("colours"),
    )


def info_from_json(raw: Mapping[str, Any]) -> VideoInfo:
    """Return what `dataclasses.asdict` made of the facts of a file, after a way through JSON."""
    info = dict(raw)
    info["warnings"] = tuple(info["warnings"])
    info["chapters"] = tuple(TimedText(**chapter) for chapter in info.get("chapters", ()))
    info["location"] = tuple(info["location"]) if info.get("location") else None
    return VideoInfo(**info)
