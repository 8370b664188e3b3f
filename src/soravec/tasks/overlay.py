"""A span as a video with its heat: a bar of seconds below, and a map over each picture if given."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError
from soravec.tasks.explain_label import LabelExplanation
from soravec.tasks.heat_picture import laid_over, signed
from soravec.video import LIMITS, EveryFrame, Limits, VideoReader, VideoWriter
from soravec.video.editing.output import check_new, new_file

BAR_PIXELS = 24
CODECS = {".mp4": "h264", ".mov": "h264", ".mkv": "h264", ".webm": "vp9"}
MOST_FPS = 60.0

Float = NDArray[np.float64]
Image = NDArray[np.uint8]


def write_overlay(
    found: LabelExplanation,
    out: str | Path,
    *,
    maps: Float | None = None,
    overwrite: bool = False,
    limits: Limits = LIMITS,
) -> int:
    """Write the span of an explanation as a video with its heat; return how many frames it has.

    Like `cut`, it decodes in this process.

    Args:
        found: What `explain_label` returned.
        out: The file to write: .mp4, .mov, .mkv or .webm.
        maps: (T, h, w) of the frames of `found`, in [-1, 1], to lay over the pictures; those
            between two frames get what lies between.
        overwrite: Whether a file that is there is replaced.
        limits: What is refused.

    Raises:
        VideoError: The video cannot be read.
        QueryError: `out` is there, is the video, or has another suffix.
        SoravecError: `out` cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in CODECS:
        raise QueryError(f"{out}: the suffix must be one of {', '.join(CODECS)}")
    if out.exists() and Path(found.path).exists() and out.samefile(found.path):
        raise QueryError(f"{out}: it is the video to read. Give another name.")
    check_new(out, overwrite=overwrite)
    with new_file(out) as aside:
        return _write(found, aside, maps, limits)


def _write(found: LabelExplanation, out: Path, maps: Float | None, limits: Limits) -> int:
    with VideoReader(found.path, limits=limits) as reader:
        fps = min(reader.info.native_fps or 25.0, MOST_FPS)
        height, width = (max(2, side // 2 * 2) for side in (reader.info.height, reader.info.width))
        bar = _bar(found, width)
        frames = reader.read(
            EveryFrame(),
            size=(height, width),
            start_seconds=found.start_seconds,
            end_seconds=found.end_seconds,
        )
        number = last = -1
        with VideoWriter(
            out, width=width, height=height + BAR_PIXELS, fps=fps, codec=CODECS[out.suffix.lower()]
        ) as writer:
            for batch in frames:
                for image, at in zip(batch.images, batch.seconds.tolist(), strict=True):
                    place = round((at - found.start_seconds) * fps)
                    if place <= last:  # more frames than are written
                        continue
                    shown = image if maps is None else laid_over(image, _map_at(found, maps, at))
                    writer.write(np.concatenate([shown, _marked(found, bar, at)]), number=place)
                    number, last = number + 1, place
    return number + 1


def _map_at(found: LabelExplanation, maps: Float, at: float) -> Float:
    """Return the map (h, w) of an instant, between those of the frames that were read."""
    starts = found.bounds[:, 0]
    after = int(np.clip(np.searchsorted(starts, at), 1, max(len(starts) - 1, 1)))
    if len(starts) == 1:
        return np.asarray(maps[0])
    share = float(np.clip((at - starts[after - 1]) / (starts[after] - starts[after - 1]), 0, 1))
    between: Float = (1 - share) * maps[after - 1] + share * maps[after]
    return between


def _bar(found: LabelExplanation, width: int) -> Image:
    """Return the heat of the whole span as a row of colours."""
    length = found.end_seconds - found.start_seconds
    instants = found.start_seconds + (np.arange(width) + 0.5) * length / width
    rows = np.clip(np.searchsorted(found.bounds[:, 0], instants, side="right") - 1, 0, None)
    line = signed(found.heat[rows] / max(float(np.abs(found.heat).max()), 1e-12))
    return np.repeat(line[None], BAR_PIXELS, axis=0)


def _marked(found: LabelExplanation, bar: Image, at: float) -> Image:
    """Return the bar with a black line where the instant is."""
    length = found.end_seconds - found.start_seconds
    place = int((at - found.start_seconds) / length * bar.shape[1])
    marked = bar.copy()
    marked[:, max(0, place - 1) : place + 2] = 0
    return marked
