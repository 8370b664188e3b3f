"""A video as a folder of numbered pictures, and such a folder as a video."""

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from av.video.codeccontext import VideoCodecContext

from soravec.errors import QueryError, SoravecError
from soravec.video.editing.clips import Span
from soravec.video.editing.edit import EditResult, concat
from soravec.video.editing.encoders import Look, Recipe, open_encoder, plain
from soravec.video.editing.render import fitted, framed, in_look
from soravec.video.limits import LIMITS, Limits
from soravec.video.reader import VideoReader
from soravec.video.sampling import AtRate, EveryFrame
from soravec.video.stills import PICTURE_SUFFIXES, TIMES_FILE

_CODECS = {"jpg": "mjpeg", "png": "png"}


@dataclass(frozen=True, slots=True)
class FramesResult:
    """The pictures that were written."""

    path: str
    """The folder."""
    num_frames: int
    """How many; `frames.csv` names each with its seconds."""
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    """What could not be read, in sentences."""


def write_frames(  # noqa: PLR0913 - each is a plain fact of the pictures to write
    path: str | Path,
    folder: str | Path,
    *,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    picture_format: Literal["jpg", "png"] = "jpg",
    overwrite: bool = False,
    limits: Limits = LIMITS,
) -> FramesResult:
    """Write the frames of a video as `000000.jpg`, `000001.jpg`, ... and their times.

    The times, in seconds of the video, stand in `frames.csv`, columns `file` and `seconds`; a
    reader of the folder goes by them.

    Args:
        path: A video file, a clip in a tar, or a folder of frames.
        folder: Where the pictures go; it is made, and is complete or not there at all.
        fps: Pictures per second: those on show at `start + k / fps`, each once; None for every one.
        size: (height, width), with black where the shape differs; None for the video's own.
        start_seconds: Where the span begins; None for the beginning.
        end_seconds: Where it ends; None for the end.
        picture_format: `jpg` (4:2:0, of high quality) or `png` (without loss).
        overwrite: Whether pictures that were written here before are replaced.
        limits: What is refused.

    Raises:
        VideoError: The video cannot be read.
        QueryError: The span is empty, or the folder holds something.
        SoravecError: The folder cannot be written.
    """
    folder = Path(folder)
    _check_folder(folder, overwrite=overwrite)
    if picture_format not in _CODECS:
        raise QueryError(f"the format of pictures is jpg or png, not {picture_format}")
    if size is not None and min(size) < 2:
        raise QueryError(f"size must be at least 2x2, not {size[1]}x{size[0]}")
    sampling = EveryFrame() if fps is None else AtRate(fps)
    with VideoReader(path, limits=limits) as reader, _new_folder(folder) as aside:
        shape = reader.info.height, reader.info.width
        height, width = size or shape
        encoder = _picture_encoder(_CODECS[picture_format], height, width)
        rows: list[tuple[str, str]] = []
        for frames in reader.read(
            sampling,
            size=fitted(shape, (height, width)),
            start_seconds=start_seconds,
            end_seconds=end_seconds,
        ):
            for image, seconds in zip(frames.images, frames.seconds, strict=True):
                name = f"{len(rows):06}.{picture_format}"
                frame = in_look(framed(image, height, width), encoder.look)
                (aside / name).write_bytes(encoder.encode(frame, len(rows)))
                rows.append((name, f"{seconds:.6f}"))
        with (aside / TIMES_FILE).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("file", "seconds"), *rows])
        warnings = (*reader.info.warnings, *reader.warnings)
    return FramesResult(str(folder), len(rows), width, height, warnings)


def frames_to_video(
    folder: str | Path,
    out: str | Path,
    *,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    overwrite: bool = False,
    limits: Limits = LIMITS,
) -> EditResult:
    """Write a folder of pictures, in the order of the numbers in their names, as a video.

    Args:
        folder: JPEG, PNG, WebP or BMP files.
        out: The file to write; its suffix says which container. `.webm` becomes VP9, `.avi` MPEG-4,
            the others H.264.
        fps: Pictures per second; None for the times in `frames.csv`, else 25.
        size: (height, width), with black where the shape differs; None for that of the first.
        overwrite: Whether a file that is there is replaced.
        limits: What is refused.

    Raises:
        VideoError: There is no picture, or none can be decoded.
        QueryError: `out` is there, or has another suffix.
        SoravecError: `out` cannot be written.
    """
    if not Path(folder).is_dir():
        raise QueryError(f"{folder}: it is not a folder of pictures")
    span = Span(folder, fps=fps)
    return concat([span], out, size=size, overwrite=overwrite, limits=limits)


class _Encoder:
    """Encodes one picture after the other, each by itself."""

    def __init__(self, context: VideoCodecContext, look: Look) -> None:
        self.look = look
        self._context = context

    def encode(self, frame: object, number: int) -> bytes:
        frame.pts = number  # type: ignore[attr-defined]
        frame.time_base = self._context.time_base  # type: ignore[attr-defined]
        return b"".join(bytes(packet) for packet in self._context.encode(frame))  # type: ignore[arg-type]


def _picture_encoder(codec: str, height: int, width: int) -> _Encoder:
    look = plain(Look(codec, width, height, "", Fraction(25)))
    return _Encoder(open_encoder(look, Recipe(keyframe_frames=1)), look)


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything but frames that were written before."""
    if not folder.absolute().parent.is_dir():
        raise QueryError(f"{folder}: there is no folder {folder.absolute().parent}. Make it first.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise QueryError(f"{folder}: it is a file. Give another name.")
    names = [path.name for path in folder.iterdir()]
    if names and not overwrite:
        raise QueryError(f"{folder}: it is not empty. Give another name, or overwrite it: --force.")
    foreign = [n for n in names if n != TIMES_FILE and Path(n).suffix not in PICTURE_SUFFIXES]
    if foreign or (names and TIMES_FILE not in names):
        raise QueryError(f"{folder}: it holds more than frames. Give another name.")


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside to write to; it takes the place of `folder` when all went well."""
    aside = folder.absolute().with_name(f".{folder.name}.{os.getpid()}")
    try:
        aside.mkdir()
        yield aside
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
    except OSError as error:
        if isinstance(error, SoravecError):
            raise
        raise SoravecError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
