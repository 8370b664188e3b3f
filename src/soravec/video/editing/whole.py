"""What a video looks like that is encoded whole, and when its pictures are shown."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from soravec.video.editing.clips import Clip, rate_of
from soravec.video.editing.encoders import ENCODERS, ODD_SIDES, Look, can_encode, is_hdr_look, plain
from soravec.video.editing.output import USUAL, holds
from soravec.video.editing.render import Renderer, rendered
from soravec.video.editing.splice import FINE_TICK, finer


def new_look(
    clips: list[Clip], container: str, size: tuple[int, int] | None, fps: float | None
) -> tuple[Look, list[str]]:
    """Choose the look of a video that is encoded whole, and say what it could not keep."""
    first = clips[0]
    said = []
    codec = first.look.codec
    if codec not in ENCODERS or not holds(container, codec):
        codec = USUAL.get(container, "h264")
        said.append(f"encoded as {codec}")
    height, width = size or (first.info.height, first.info.width)
    look = replace(first.look, codec=codec, width=width, height=height, profile=None)
    if codec not in ODD_SIDES:
        look = replace(look, width=width + width % 2, height=height + height % 2)
    look = replace(look, fps=rate_of(fps) if fps is not None else first.look.fps)
    is_kept = can_encode(codec, look.pixel_format) and all(
        not isinstance(clip.place, Path)
        and not clip.info.interlaced
        and Renderer(clip, look).keeps(clip.look)
        for clip in clips
    )
    if is_kept:
        return replace(look, pixel_aspect=Fraction(0)), said
    if is_hdr_look(look):
        said.append("HDR was brought to the range of an ordinary screen")
    if "10" in look.pixel_format or "12" in look.pixel_format:
        said.append("its depth was brought to 8 bits")
    return plain(look), said


def grid_of(clips: list[Clip], look: Look, container: str, fps: float | None) -> Fraction | None:
    """Return the rate of a steady grid; None where pictures keep their times."""
    if fps is not None or container == "avi":
        return look.fps
    has_other = any(has_other_rate(clip, clips[0]) for clip in clips)
    return look.fps if has_other else None


def has_other_rate(clip: Clip, first: Clip) -> bool:
    """Whether both are evenly spaced, but not alike. Uneven times are kept as they are."""
    if not all(c.table is not None and c.table.is_constant for c in (clip, first)):
        return False
    return abs(clip.info.native_fps - first.info.native_fps) > 0.005 * first.info.native_fps


def fine_time_base(clips: list[Clip]) -> Fraction:
    """Return a tick in which the times of all clips can be told."""
    bases = {clip.table.time_base if clip.table is not None else None for clip in clips}
    base = bases.pop()
    return FINE_TICK if bases or base is None else finer(base)


def all_frames(
    clips: list[Clip], look: Look, time_base: Fraction, grid: Fraction | None
) -> Iterator[tuple[VideoFrame, int, int]]:
    """Yield the frames of all clips, one after the other, with PTS and duration in ticks."""
    offset = Fraction(0)
    for clip in clips:
        yield from rendered(Renderer(clip, look), offset, time_base, fps=grid)
        offset += clip.duration_seconds
