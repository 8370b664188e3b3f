"""One labelled clip, and a list of them with what they have in common."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "validation", "test"]
Task = Literal["single_label", "multi_label", "regression", "unlabelled"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TASKS: tuple[Task, ...] = ("single_label", "multi_label", "regression", "unlabelled")


@dataclass(frozen=True, slots=True)
class Clip:
    """A video, or a span of one, and what is known of it."""

    path: Path
    """Absolute: a file, `clips.tar/clip.mp4` or a folder of frames."""
    labels: tuple[str, ...] = ()
    """Its classes: one, or with several labels any number, sorted."""
    split: Split | None = None
    """None where nobody has decided yet."""
    group: str | None = None
    """Clips of one group (one source video, one person) never go to different splits."""
    start_seconds: float | None = None
    """Where the span begins; None means the beginning."""
    end_seconds: float | None = None
    """Where it ends; None means the end."""
    caption: str | None = None
    """What happens in it, in words."""
    target: tuple[float, ...] | None = None
    """The finite numbers that a regression is to give."""
    row: int = 0
    """Where it stands in its manifest: the header of a CSV is row 1; others count from 1."""

    def key(self, folder: Path) -> tuple[str, float, float]:
        """Return what tells it from any other clip, wherever the folder of the manifest lies."""
        start = 0.0 if self.start_seconds is None else self.start_seconds
        end = float("inf") if self.end_seconds is None else self.end_seconds
        return portable(self.path, folder), start, end


@dataclass(frozen=True, slots=True)
class Manifest:
    """Checked clips and what they are to teach."""

    path: Path
    """Where it was read from: a file, or the folder above the classes."""
    clips: tuple[Clip, ...]
    """At least one, in the order of the file."""
    classes: tuple[str, ...]
    """Sorted names; of a regression the names of its targets; empty where nothing is labelled."""
    task: Task
    """What the clips' labels or targets allow."""
    warnings: tuple[str, ...] = ()
    """What was odd, but no error, in sentences."""
    missing: tuple[Path, ...] = ()
    """Videos that are named but not there, and so were left out."""

    @property
    def folder(self) -> Path:
        """The folder that relative paths refer to."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def digest(self) -> str:
        """Hash of every clip as listed, whatever their order, the file format, and the place."""
        rows = sorted(json.dumps(_facts(clip, self.folder)) for clip in self.clips)
        return hashlib.blake2b("\n".join(rows).encode(), digest_size=16).hexdigest()

    def of_split(self, split: Split) -> tuple[Clip, ...]:
        """Return the clips of one split, in order."""
        return tuple(clip for clip in self.clips if clip.split == split)


def portable(path: Path, folder: Path) -> str:
    """Return a path relative to a folder with forward slashes; absolute where it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def units_of(clips: Sequence[Clip]) -> list[int]:
    """Return for each clip the number of the unit that no split may tear apart.

    Clips of one group, and spans of one video, are one unit; so are two groups that share a video.
    Units are numbered in the order of their first clip: groups (a, a, None, b) give 0, 0, 1, 2.
    """
    first: dict[tuple[str, str], int] = {}
    ties = []
    for number, clip in enumerate(clips):
        ties.append((first.setdefault(("path", os.fspath(clip.path)), number), number))
        if clip.group is not None:
            ties.append((first.setdefault(("group", clip.group), number), number))
    return connected(len(clips), ties)


def connected(number: int, ties: Iterable[tuple[int, int]]) -> list[int]:
    """Return for each of `number` things the number of its connected group, in order of the first.

    Four things with ties (0, 3) and (3, 2) give 0, 1, 0, 0.
    """
    parent = list(range(number))

    def root(thing: int) -> int:
        while parent[thing] != thing:
            parent[thing] = parent[parent[thing]]
            thing = parent[thing]
        return thing

    for one, other in ties:
        parent[root(other)] = root(one)
    names: dict[int, int] = {}
    return [names.setdefault(root(thing), len(names)) for thing in range(number)]


def _facts(clip: Clip, folder: Path) -> list[Any]:
    return [
        portable(clip.path, folder),
        list(clip.labels),
        clip.split,
        clip.group,
        clip.start_seconds,
        clip.end_seconds,
        clip.caption,
        None if clip.target is None else list(clip.target),
    ]
