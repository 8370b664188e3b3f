"""Still pictures as a video: one picture, or a folder of numbered frames.

It does what `decode.PictureSource` does for a video file, so that the reader need not know the
difference.
"""

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from soravec.errors import MissingVideo, QueryError, UnreadableVideo, VideoError
from soravec.video.decode import Picture
from soravec.video.inputs import Input, find_input
from soravec.video.limits import LIMITS, Limits
from soravec.video.passing import Asked
from soravec.video.picture import decode_picture

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""What counts as a frame inside a folder."""

DEFAULT_FPS = 25.0
"""Rate of a folder of frames whose times nobody states."""

TIMES_FILE = "frames.csv"
"""File in a folder of frames that states their times: columns `file` and `seconds`."""


def frame_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder in the order of the numbers in their names.

    `f2.png` comes before `f10.png`. Hidden files are passed over.
    """
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda path: _natural(path.name))


class FrameFiles:
    """A folder of frames, or one picture, as a source of pictures.

    Args:
        where: The picture, or the first of the folder's, which names the video.
        files: All of them in order.
        seconds: When each is shown, ascending.
        duration_seconds: For how long the last one is shown.
        limits: What is refused.

    Attributes:
        first: The first picture that could be decoded.
        jumped: Whether any picture has been passed over.
        warnings: What went wrong, in sentences.
    """

    def __init__(
        self,
        where: Input,
        files: list[Input],
        seconds: list[float],
        duration_seconds: float,
        *,
        limits: Limits = LIMITS,
    ) -> None:
        self.where = where
        self.container = "image2" if len(files) > 1 else "image"
        self.num_frames = len(files)
        self.size_bytes = sum(file.size_bytes for file in files)
        self.end_seconds = seconds[-1] + duration_seconds
        self.jumped = False
        self.warnings: list[str] = []
        self._files = files
        self._seconds = [*seconds, self.end_seconds]
        self._limits = limits
        self._next_number = 0
        self._bad: list[VideoError] = []
        limits.check_times(where.name, seconds)
        first = self._decoded()
        if first is None:
            raise self._bad[0]
        self.first = first
        self._pending = [first]

    def close(self) -> None:
        """Nothing is held open."""

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures in order; one that cannot be decoded is passed over and counted."""
        while True:
            picture = self._pending.pop() if self._pending else self._decoded()
            if picture is None:
                break
            yield picture
        if self._bad:
            self.warnings.append(
                f"pictures that could not be decoded: {len(self._bad)} (the first: {self._bad[0]})"
            )
            self._bad = []

    def jump(self, seconds: float, *, stand_alone: bool = False) -> bool:
        """Go on with the picture that is on show at `seconds`, if that lies ahead."""
        wanted = int(np.searchsorted(self._seconds[:-1], seconds + 1e-9, side="right")) - 1
        if stand_alone:
            wanted -= 1  # the one before is asked for too
        if self._pending or wanted <= self._next_number:
            return False
        self._next_number = wanted
        self.jumped = True
        return True

    def ask_only_for(self, asked: Asked) -> None:
        """Every picture is given."""

    def measured_end_seconds(self) -> float | None:
        """Return when the last picture ends."""
        return self.end_seconds

    def _decoded(self) -> Picture | None:
        """Return the next picture that can be decoded, or None after the last."""
        while self._next_number < len(self._files):
            number = self._next_number
            self._next_number += 1
            try:
                frame = decode_picture(self._files[number], limits=self._limits)
            except VideoError as error:
                self._bad.append(error)
                continue
            begin, end = self._seconds[number : number + 2]
            return Picture(begin, end - begin, frame)
        return None


def open_picture(where: Input, *, limits: Limits) -> FrameFiles:
    """Return one picture as a video of one frame, 1/25 s long."""
    return FrameFiles(where, [where], [0.0], 1 / DEFAULT_FPS, limits=limits)


def open_folder(folder: Path, *, fps: float | None, limits: Limits) -> FrameFiles:
    """Return the pictures of a folder as a video.

    Args:
        folder: A folder of JPEG, PNG, WebP or BMP files.
        fps: Frames per second; None for the times in `frames.csv`, else 25.
        limits: What is refused.

    Raises:
        QueryError: `fps` is not above 0.
        MissingVideo: There is no picture, or a file that `frames.csv` names is not there.
        TooLarge: They are too many, too dense, or of too many pixels.
        UnreadableVideo: `frames.csv` is damaged, or none of the pictures can be decoded.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise QueryError(f"fps must be above 0, not {fps}")
    times = folder / TIMES_FILE
    if fps is None and times.is_file():
        names, seconds = _read_times(times)
        paths = [folder / name for name in names]
    else:
        paths = frame_files(folder)
        seconds = [number / (fps or DEFAULT_FPS) for number in range(len(paths))]
    if not paths:
        remedy = "Give the path of one video file, or of a folder of JPEG or PNG frames."
        raise MissingVideo(folder, "it is a folder without pictures", remedy)
    steps = np.diff(seconds)
    last = 1 / (fps or DEFAULT_FPS) if not len(steps) or fps else float(np.median(steps))
    files = [find_input(path) for path in paths]
    return FrameFiles(_Folder(folder, files[0]), files, seconds, last, limits=limits)


class _Folder:
    """A folder as what errors and facts name; its bytes are those of its first picture."""

    def __init__(self, folder: Path, first: Input) -> None:
        self.name = str(folder)
        self.size_bytes = first.size_bytes
        self.open = first.open
        self.for_ffmpeg = first.for_ffmpeg
        self.head = first.head


def _read_times(path: Path) -> tuple[list[str], list[float]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(Path(row["file"]).name, float(row["seconds"])) for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        remedy = "Give the rate instead, or mend it: columns 'file' and 'seconds'."
        raise UnreadableVideo(path, f"not a table of frames ({error!r})", remedy) from error
    seconds = [when for _, when in rows]
    if not all(math.isfinite(s) for s in seconds) or np.any(np.diff(seconds) <= 0):
        raise UnreadableVideo(path, "its seconds do not ascend", "Sort it, or give the rate.")
    return [name for name, _ in rows], seconds


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by their value."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if number % 2 else (0, part) for number, part in enumerate(parts)]
