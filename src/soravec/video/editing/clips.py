"""A span of one video, as editing sees it: its pictures with their times, and its packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from soravec.errors import QueryError
from soravec.types import VideoInfo
from soravec.video.container import open_container
from soravec.video.decode import SAME_INSTANT_SECONDS, Picture, PictureSource
from soravec.video.editing.encoders import Look
from soravec.video.editing.packets import BAD_TIMES, PacketTable, read_table
from soravec.video.geometry import Orientation, orientation_of
from soravec.video.inputs import Input
from soravec.video.limits import LIMITS, Limits
from soravec.video.probe import info_of
from soravec.video.source import StillSource, find_place, open_source


@dataclass(frozen=True, slots=True)
class Span:
    """A video to take a part of, `[start_seconds, end_seconds)`."""

    path: str | Path
    """A video file, a clip in a tar, or a folder of frames."""
    start_seconds: float | None = None
    """None for the beginning."""
    end_seconds: float | None = None
    """None for the end."""
    fps: float | None = None
    """Of a folder of frames."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A span and what is known of it; `start_seconds` of the file is 0 in the clip."""

    name: str
    place: Input | Path
    fps: float | None
    """Of a folder of frames."""
    limits: Limits
    info: VideoInfo
    look: Look
    """Of the pictures as they are stored."""
    orientation: Orientation
    start_seconds: Fraction
    """Where the clip begins in the time of the file."""
    end_seconds: Fraction
    """Where it ends."""
    table: PacketTable | None
    """The packets around the span."""
    problem: str
    """Why its packets cannot be taken over; empty where they can."""

    @property
    def where(self) -> Input:
        """Its file; only where it has packets."""
        assert not isinstance(self.place, Path)
        return self.place

    @property
    def duration_seconds(self) -> Fraction:
        """Length of the clip."""
        return self.end_seconds - self.start_seconds


def open_clip(span: Span, *, limits: Limits) -> Clip:
    """Open a video and find out where its span begins and ends.

    Raises:
        VideoError: It cannot be read.
        QueryError: The span is empty or lies outside the video.
    """
    place = find_place(span.path)
    source = open_source(place, limits=limits, fps=span.fps)
    try:
        return _clip(span, place, source)
    finally:
        source.close()


def pictures(clip: Clip, start: Fraction, end: Fraction) -> Iterator[Picture]:
    """Decode the pictures on show from `start` to before `end`, in the time of the file.

    The first is the one on show at `start`, and keeps its own time.
    """
    first, last = float(start) + SAME_INSTANT_SECONDS, float(end) - SAME_INSTANT_SECONDS
    source = open_source(clip.place, limits=clip.limits, fps=clip.fps)
    try:
        source.jump(float(start))
        before: Picture | None = None
        for picture in source:
            if picture.seconds >= last:
                break
            if picture.seconds <= first:
                before = picture
                continue
            if before is not None:
                yield before
                before = None
            yield picture
        if before is not None:
            yield before
    finally:
        source.close()


def has_subtitles(clip: Clip) -> bool:
    """Whether the file of a clip holds subtitle streams."""
    if isinstance(clip.place, Path) or not clip.table:
        return False
    with open_container(clip.place, limits=clip.limits) as container:
        return bool(container.streams.subtitles)


def _clip(span: Span, place: Input | Path, source: PictureSource | StillSource) -> Clip:
    info = info_of(source)
    table, problem = _table(span, place, source)
    start, end = _bounds(span, source, info, table or problem)
    if end - start < Fraction(SAME_INSTANT_SECONDS):
        raise QueryError(
            f"{span.path}: nothing is shown in the span; the video begins at"
            f" {source.first.seconds:g} s and ends at {info.end_seconds:g} s"
        )
    return Clip(
        name=str(span.path),
        place=place,
        fps=span.fps,
        limits=getattr(source, "limits", LIMITS),
        info=info,
        look=_look(info, source),
        orientation=orientation_of(source.first.frame),
        start_seconds=start,
        end_seconds=end,
        table=table,
        problem=problem,
    )


def _table(
    span: Span, place: Input | Path, source: PictureSource | StillSource
) -> tuple[PacketTable | None, str]:
    """Return the packets, or why they are of no use."""
    if isinstance(place, Path) or not isinstance(source, PictureSource):
        return None, "pictures have no packets"
    table = read_table(
        place,
        start_seconds=span.start_seconds,
        end_seconds=span.end_seconds,
        limits=source.limits,
    )
    return (None, table) if isinstance(table, str) else (table, "")


def _bounds(
    span: Span, source: PictureSource | StillSource, info: VideoInfo, table: PacketTable | str
) -> tuple[Fraction, Fraction]:
    """Return where the span begins and ends in the time of the file, without rounding."""
    asked = None if span.start_seconds is None else Fraction(span.start_seconds)
    if isinstance(table, PacketTable):
        shown = table.first_shown(span.start_seconds) * table.time_base
        stop = table.end() * table.time_base if table.reaches_end else None
    else:
        shown = Fraction(source.first.seconds)
        stop = Fraction(_end(source, info, table))
    # A picture that begins at the start, but for rounding, or is the first of all.
    start = shown if asked is None or shown > asked - Fraction(SAME_INSTANT_SECONDS) else asked
    ends = [Fraction(end) for end in (stop, span.end_seconds) if end is not None]
    return start, min(ends)


def _end(source: PictureSource | StillSource, info: VideoInfo, problem: str) -> float:
    """Return when the last picture ends; where times had to be mended, by decoding all."""
    measured = None if problem in BAD_TIMES else source.measured_end_seconds()
    if measured is not None:
        return measured
    return max((picture.end_seconds for picture in source), default=info.end_seconds)


def _look(info: VideoInfo, source: PictureSource | StillSource) -> Look:
    """Describe the stored pictures of a source."""
    frame = source.first.frame
    stream = source.opened.stream if isinstance(source, PictureSource) else None
    aspect = stream.sample_aspect_ratio if stream is not None else None
    return Look(
        codec=info.codec,
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        fps=rate_of(info.native_fps),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        matrix=int(frame.colorspace),
        color_range=int(frame.color_range),
        pixel_aspect=Fraction(aspect) if aspect else Fraction(0),
        profile=stream.codec_context.profile if stream is not None else None,
    )


def rate_of(fps: float) -> Fraction:
    """Return a rate as encoders take it, such as 30000/1001 for 29.97; 25 where it is unknown."""
    if not 0 < fps <= 1000:
        return Fraction(25)
    for rate in (Fraction(round(fps)), Fraction(round(fps * 1.001) * 1000, 1001)):
        if rate and abs(float(rate) - fps) < 2e-4 * fps:
            return rate
    return Fraction(fps).limit_denominator(1001) or Fraction(1)
