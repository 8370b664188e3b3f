"""Cut and join video, exact to the frame, copying what can be copied.

`clips` opens the spans; `packets` says what of them stands by itself; `splice` copies that and
encodes the ends; where nothing can be copied, `render` makes frames of all pictures. `audio` sees
to the sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Literal, NamedTuple

from av.container import OutputContainer
from av.video.stream import VideoStream

from soravec.errors import QueryError
from soravec.video.editing.audio import Sound, plan_sound
from soravec.video.editing.clips import Clip, Span, has_subtitles, open_clip
from soravec.video.editing.encoders import (
    ENCODERS,
    Look,
    Recipe,
    can_encode,
    configure,
    encoded,
    is_hdr_look,
)
from soravec.video.editing.output import CONTAINERS, Counted, check_new, holds, write
from soravec.video.editing.packets import CopyPlan, plan_copy
from soravec.video.editing.splice import (
    NotSpliceable,
    Part,
    add_video,
    depth_of,
    end_tick,
    num_copied,
    plan_splice,
    spliced,
    wanted_pts,
    with_dts,
    with_sequence_ends,
)
from soravec.video.editing.whole import (
    all_frames,
    fine_time_base,
    grid_of,
    has_other_rate,
    new_look,
)
from soravec.video.geometry import UPRIGHT
from soravec.video.limits import LIMITS, Limits


@dataclass(frozen=True, slots=True)
class EditResult:
    """What was written, and how."""

    path: str
    """The new file."""
    duration_seconds: float
    """Its length."""
    num_frames: int
    """Its pictures."""
    num_copied: int
    """Pictures whose packets were taken over as they are."""
    num_encoded: int
    """Pictures that were encoded anew."""
    codec: str
    """FFmpeg's name of the codec of the video."""
    width: int
    """Pixels across, as stored."""
    height: int
    """Pixels down, as stored."""
    audio: Literal["copied", "encoded", "none"]
    """What became of the sound."""
    notes: tuple[str, ...] = ()
    """Why something was encoded or left out, in sentences."""


def cut(
    path: str | Path,
    out: str | Path,
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    overwrite: bool = False,
    limits: Limits = LIMITS,
) -> EditResult:
    """Write the span `[start_seconds, end_seconds)` of a video into a new file.

    The picture on show at the start comes first, at 0 s; the last one ends with the span. Packets
    are copied where that is exact; pictures at the ends that lean on others outside are encoded.

    Args:
        path: A video file, a clip in a tar, or a folder of frames.
        out: The file to write; its suffix is one of `CONTAINERS`.
        start_seconds: Where the span begins, in the time of the file; None for the beginning.
        end_seconds: Where it ends; None for the end.
        size: (height, width) to scale to, with black where the shape differs; all is encoded.
        fps: Frames per second of a steady grid; all is encoded. None keeps the times.
        overwrite: Whether a file that is there is replaced.
        limits: What is refused.

    Raises:
        QueryError: The span is empty, or `out` is there, is `path`, or has another suffix.
        VideoError: `path` cannot be read.
        SoravecError: `out` cannot be written.
    """
    span = Span(path, start_seconds, end_seconds)
    return concat([span], out, size=size, fps=fps, overwrite=overwrite, limits=limits)


def concat(
    parts: Sequence[str | Path | Span],
    out: str | Path,
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    overwrite: bool = False,
    limits: Limits = LIMITS,
) -> EditResult:
    """Write videos, or spans of them, one after the other into a new file.

    Each takes exactly as long as its pictures. What differs in codec, size or rate from the first
    is encoded like the first, with black where the shape differs. The sound is put where it
    belongs, with silence where a video has none.

    Args:
        parts: Files, clips in tars, folders of frames, or a `Span` of one.
        out: The file to write; its suffix is one of `CONTAINERS`.
        size: (height, width) to scale to; None for that of the first.
        fps: Frames per second of a steady grid; None for the rate of the first, or where the
            pictures of the first are not evenly spaced, for the times as they are.
        overwrite: Whether a file that is there is replaced.
        limits: What is refused.

    Raises:
        QueryError: A span is empty, or `out` is there, is one of the parts, or has another suffix.
        VideoError: A part cannot be read.
        SoravecError: `out` cannot be written.
    """
    spans = [part if isinstance(part, Span) else Span(part) for part in parts]
    container = _checked(spans, Path(out), size, fps, overwrite=overwrite)
    clips = [open_clip(span, limits=limits) for span in spans]
    notes = _left_out(clips)
    plan, why = _splice_plan(clips, container, size, fps)
    if plan is not None:
        try:
            return _write_spliced(plan, clips, Path(out), container, notes)
        except NotSpliceable as error:
            why = str(error)
    return _write_encoded(clips, Path(out), container, size, fps, [*notes, why])


def _checked(
    spans: list[Span],
    out: Path,
    size: tuple[int, int] | None,
    fps: float | None,
    *,
    overwrite: bool,
) -> str:
    """Refuse what makes no sense before anything is read; return the container."""
    if not spans:
        raise QueryError("give at least one video")
    container = CONTAINERS.get(out.suffix.lower())
    if container is None:
        raise QueryError(f"{out}: the suffix must be one of {', '.join(CONTAINERS)}")
    if size is not None and min(size) < 2:
        raise QueryError(f"size must be at least 2x2, not {size[1]}x{size[0]}")
    if fps is not None and not (isfinite(fps) and 0 < fps <= 1000):
        raise QueryError(f"fps must be above 0 and at most 1000, not {fps}")
    for span in spans:
        start, end = span.start_seconds, span.end_seconds
        if any(second is not None and not isfinite(second) for second in (start, end)):
            raise QueryError(f"{span.path}: start and end must be finite")
        if start is not None and end is not None and not start < end:
            raise QueryError(f"{span.path}: the span from {start} s to {end} s is empty")
        if out.exists() and Path(span.path).exists() and out.samefile(span.path):
            raise QueryError(f"{out}: it is one of the videos to read. Give another name.")
    check_new(out, overwrite=overwrite)
    return container


class _SplicePlan(NamedTuple):
    parts: tuple[Part, ...]
    look: Look
    reasons: tuple[str, ...]


def _splice_plan(
    clips: list[Clip], container: str, size: tuple[int, int] | None, fps: float | None
) -> tuple[_SplicePlan | None, str]:
    """Decide what is copied of which clip; or None and why nothing is."""
    first = clips[0]
    look = first.look
    why = _why_encode_all(first, container, size, fps)
    if why:
        return None, why
    parts, reasons = [], []
    offset = Fraction(0)
    for clip in clips:
        reason = "" if clip is first else _why_unlike(clip, first)
        plan = None
        if not reason:
            plan, reason = _copy_plan(clip)
        parts.append(Part(clip, plan, not _why_unlike(clip, first), offset))
        prefix = f"{clip.name}: " if len(clips) > 1 else ""
        reasons += [prefix + reason] if reason else []
        offset += clip.duration_seconds
    if all(part.plan is None for part in parts):
        return None, reasons[0]
    why = _why_no_ends(parts, look)
    return (None, why) if why else (_SplicePlan(tuple(parts), look, tuple(reasons)), "")


def _why_encode_all(
    first: Clip, container: str, size: tuple[int, int] | None, fps: float | None
) -> str:
    """Say why no packet of any clip can be copied; empty where that is open."""
    look = first.look
    if size is not None and size != (first.info.height, first.info.width):
        return "all was encoded, since another size was asked for"
    if fps is not None:
        return "all was encoded, since a rate was asked for"
    if first.table is None:
        return f"all was encoded: {first.problem}"
    if not holds(container, look.codec):
        return f"all was encoded, since {container} does not hold {look.codec}"
    if container == "avi":
        return "all was encoded, since AVI does not store when each picture is shown"
    return ""


def _copy_plan(clip: Clip) -> tuple[CopyPlan | None, str]:
    if clip.table is None:
        return None, f"encoded: {clip.problem}"
    first = clip.table.first_shown(float(clip.start_seconds))
    plan = plan_copy(clip.table, first, end_tick(clip))
    if plan is None:
        return None, "encoded: the span holds no keyframe to begin a copy with"
    return plan, ""


def _why_unlike(clip: Clip, first: Clip) -> str:
    """Say why the packets of a clip cannot follow those of the first; empty where they can."""
    ours, theirs = clip.look, first.look
    for what, one, other in (
        ("codec", ours.codec, theirs.codec),
        ("size", (ours.width, ours.height), (theirs.width, theirs.height)),
        ("pixel format", ours.pixel_format, theirs.pixel_format),
        ("colours", _colours(ours), _colours(theirs)),
        ("shape of pixels", ours.pixel_aspect or 1, theirs.pixel_aspect or 1),
        ("orientation", clip.orientation[:2], first.orientation[:2]),
    ):
        if one != other:
            return f"encoded, since its {what} differs from that of the first"
    if has_other_rate(clip, first):
        return "encoded, since its rate differs from that of the first"
    return ""


def _colours(look: Look) -> tuple[int, ...]:
    return look.primaries, look.transfer, look.matrix, look.color_range


def _why_no_ends(parts: list[Part], look: Look) -> str:
    """Say why what cannot be copied cannot be encoded to match; empty where it can, or need not."""
    whole = [p for p in parts if p.plan is not None and num_copied(p) == len(wanted_pts(p.clip))]
    if len(whole) == len(parts):
        return ""
    if not can_encode(look.codec, look.pixel_format):
        return f"all was encoded, since {look.codec} in {look.pixel_format} cannot be written"
    if any(p.clip.info.interlaced for p in parts):
        return "all was encoded, since it is interlaced"
    first = parts[0].clip
    is_odd = first.orientation[:2] != UPRIGHT[:2] or first.info.sample_aspect_ratio != 1
    if (is_odd or is_hdr_look(look)) and not all(p.is_alike for p in parts):
        return "all was encoded, since the first is turned, or its pixels are not square, or HDR"
    return ""


def _write_spliced(
    plan: _SplicePlan, clips: list[Clip], out: Path, container: str, notes: list[str]
) -> EditResult:
    """Write copied packets and encoded ends."""
    splice = plan_splice(plan.parts, plan.look, container)
    sound = plan_sound(clips, container, may_copy=True)
    step = max(1, round(1 / plan.look.fps / splice.time_base))
    end = _end(clips, container, splice.time_base)
    packets = with_dts(with_sequence_ends(spliced(splice)), depth_of(splice), step, end)
    counted = Counted(packets)
    write(
        out, container, lambda target: add_video(splice, target), counted, splice.time_base, sound
    )
    num_ends = counted.num_frames - sum(num_copied(part) for part in plan.parts)
    reasons = list(plan.reasons)
    if num_ends and not reasons:
        reasons = ["the pictures at the ends lean on others outside of the span and were encoded"]
    return _result(out, clips, counted, plan.look, sound, [*notes, *reasons], num_ends)


def _write_encoded(
    clips: list[Clip],
    out: Path,
    container: str,
    size: tuple[int, int] | None,
    fps: float | None,
    notes: list[str],
) -> EditResult:
    """Encode all pictures."""
    look, said = new_look(clips, container, size, fps)
    grid = grid_of(clips, look, container, fps)
    time_base = 1 / grid if grid is not None else fine_time_base(clips)
    sound = plan_sound(clips, container, may_copy=True)
    recipe = Recipe(
        keyframe_frames=max(1, round(2 * look.fps)), max_b_frames=0 if container == "avi" else 2
    )
    counted = Counted()

    def add(target: OutputContainer) -> VideoStream:
        stream = target.add_stream(ENCODERS[look.codec], rate=look.fps)
        assert isinstance(stream, VideoStream)
        configure(stream.codec_context, look, recipe)
        stream.time_base = time_base
        stream.codec_context.open()
        packets = encoded(stream.codec_context, all_frames(clips, look, time_base, grid))
        step = max(1, round(1 / look.fps / time_base))
        depth = max(stream.codec_context.reorder_depth, recipe.max_b_frames)  # x265 says 0
        counted.packets = with_dts(packets, depth, step, _end(clips, container, time_base))
        return stream

    write(out, container, add, counted, time_base, sound)
    return _result(out, clips, counted, look, sound, [*notes, *said], counted.num_frames)


def _end(clips: list[Clip], container: str, time_base: Fraction) -> int | None:
    """Return the tick at which an MP4 ends; elsewhere every packet states its own duration."""
    if container not in ("mp4", "mov"):
        return None
    return round(sum((clip.duration_seconds for clip in clips), Fraction(0)) / time_base)


def _left_out(clips: list[Clip]) -> list[str]:
    """Say which streams are not in the new file."""
    notes = []
    if any(clip.info.num_video_streams > 1 for clip in clips):
        notes.append("further video streams were left out")
    if any(has_subtitles(clip) for clip in clips):
        notes.append("subtitles were left out")
    return notes


def _result(
    out: Path,
    clips: list[Clip],
    counted: Counted,
    look: Look,
    sound: Sound | None,
    notes: list[str],
    num_encoded: int,
) -> EditResult:
    return EditResult(
        path=str(out),
        duration_seconds=float(sum((clip.duration_seconds for clip in clips), Fraction(0))),
        num_frames=counted.num_frames,
        num_copied=counted.num_frames - num_encoded,
        num_encoded=num_encoded,
        codec=look.codec,
        width=look.width,
        height=look.height,
        audio="none" if sound is None else "copied" if sound.is_copied else "encoded",
        notes=tuple(notes) + (sound.notes if sound is not None else ()),
    )
