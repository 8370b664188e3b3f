"""The video of edited files: whole stretches of packets copied, their ends encoded anew.

    pictures of the span   | head | groups of pictures that stand by themselves | tail |
    what is written        | new  | the packets of the file                     | new  |

Parameter sets of the new parts must not be taken for those of the copied ones: H.264 gives them
numbers of their own; elsewhere, and where several files are joined, each part brings its own along.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import heappop, heappush
from itertools import chain
from math import ceil

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from soravec.errors import SoravecError
from soravec.video.container import open_video, translated
from soravec.video.editing.clips import Clip, pictures
from soravec.video.editing.encoders import Look, Recipe, Timed, encoded, open_encoder
from soravec.video.editing.nal import (
    HEVC_END_OF_SEQUENCE,
    as_annex_b,
    free_id,
    length_size,
    parameter_sets,
)
from soravec.video.editing.packets import CopyPlan, seek
from soravec.video.editing.render import Renderer, rendered

_WITH_LOW_DELAY = frozenset({"mpeg4", "mpeg1video", "mpeg2video"})

_SELF_CONTAINED = _WITH_LOW_DELAY | {"vp8", "vp9", "av1", "mjpeg", "prores", "png", "rawvideo"}
"""Codecs whose keyframes bring all that they need, or can be made to."""


FINE_TICK = Fraction(1, 90000)
"""Seconds; that of MPEG-TS, in which the usual rates are whole numbers of ticks."""


class NotSpliceable(SoravecError):
    """Packets cannot be copied after all; everything has to be encoded."""


@dataclass(frozen=True, slots=True)
class Part:
    """One clip in the output."""

    clip: Clip
    plan: CopyPlan | None
    """What is copied of it; None for nothing."""
    is_alike: bool
    """Whether its stored pictures can be encoded as they are, in the look of the output."""
    offset_seconds: Fraction
    """Where it begins in the output."""


@dataclass(frozen=True, slots=True)
class Splice:
    """How parts become one stream."""

    parts: tuple[Part, ...]
    look: Look
    time_base: Fraction
    recipe: Recipe
    """Of what is encoded."""
    in_band: bool
    """Whether parameter sets stand in the packets."""
    extradata: bytes | None
    """For the container's header; None for that of the first file."""
    tag: str | None
    """The name of the codec in MP4, where it is not the usual one."""


def plan_splice(parts: tuple[Part, ...], look: Look, container: str) -> Splice:
    """Decide on times and parameter sets.

    Raises:
        NotSpliceable: There is no way.
    """
    clips = [part.clip for part in parts if part.plan is not None]
    bases = {clip.table.time_base for clip in clips if clip.table is not None}
    time_base = finer(bases.pop()) if len(bases) == 1 else FINE_TICK
    recipe = Recipe(keyframe_frames=max(1, round(2 * look.fps)))
    splice = Splice(parts, look, time_base, recipe, in_band=False, extradata=None, tag=None)
    sets = [_sets(clip) for clip in clips]
    is_mixed = any(other != sets[0] for other in sets)
    is_new = is_mixed or any(_has_ends(part) for part in parts)
    if look.codec in _WITH_LOW_DELAY and depth_of(splice):
        # The flag that says that no picture is shown late must not change on the way.
        splice = replace(splice, recipe=replace(recipe, max_b_frames=1))
    if not is_new or look.codec in _SELF_CONTAINED:
        return replace(splice, in_band=is_new)
    if look.codec not in ("h264", "hevc"):
        raise NotSpliceable(f"{look.codec} keeps in the header what new parts would need to differ")
    in_mp4 = container in ("mp4", "mov")
    if look.codec == "hevc":
        tag = "hev1" if in_mp4 else None
        return replace(splice, in_band=True, extradata=as_annex_b(sets[0]), tag=tag)
    number = free_id([unit for each in sets for unit in each])
    if number is None:
        raise NotSpliceable("every number of a parameter set is taken")
    recipe = replace(recipe, options={"x264-params": f"sps-id={number}"})
    header = open_encoder(look, replace(recipe, global_header=True)).extradata or b""
    extradata = as_annex_b(sets[0] + parameter_sets("h264", header))
    own = any(clip.table is not None and clip.table.own_sets for clip in clips)
    in_band = is_mixed or own or container == "mpegts"
    tag = "avc3" if in_band and in_mp4 else None
    return replace(splice, recipe=recipe, in_band=in_band, extradata=extradata, tag=tag)


def finer(tick: Fraction) -> Fraction:
    """Return a whole part of a tick, fine enough for a cut between two pictures."""
    return tick / ceil(tick / FINE_TICK)


def add_video(splice: Splice, target: OutputContainer) -> VideoStream:
    """Add the stream to a file that is about to be written."""
    clip = next(part.clip for part in splice.parts if part.plan is not None)
    container, source, _ = open_video(clip.where, limits=clip.limits)
    with container:
        try:
            stream = target.add_stream_from_template(source, opaque=True)
        except ValueError as error:
            raise NotSpliceable(str(error)) from error
    stream.time_base = splice.time_base
    if splice.extradata is not None:
        stream.codec_context.extradata = splice.extradata
    if splice.tag is not None:
        stream.codec_context.codec_tag = splice.tag
    return stream


def spliced(splice: Splice) -> Iterator[Timed]:
    """Yield all packets in the order of decoding.

    Raises:
        NotSpliceable: The decoder gives other pictures than the packets promise.
    """
    for part in splice.parts:
        if part.plan is None:
            yield from _encoded_part(splice, part)
        else:
            yield from _head(splice, part, part.plan)
            yield from _copied(splice, part, part.plan)
            yield from _tail(splice, part, part.plan)


def with_sequence_ends(packets: Iterable[Timed]) -> Iterator[Timed]:
    """Append to a packet what tells that the next one does not follow from it."""
    held: Timed | None = None
    for timed in packets:
        if held is not None:
            yield _ended(held) if timed.breaks else held
        held = timed
    if held is not None:
        yield held


def with_dts(
    packets: Iterable[Timed], depth: int, step: int, end: int | None = None
) -> Iterator[Timed]:
    """Set the time of decoding: that of showing of the packet `depth` places before in that order.

    Example with a depth of 1 and a step of 10: PTS 0, 20, 10, 30 get DTS -10, 0, 10, 20.

    Args:
        packets: In the order of decoding.
        depth: By how many places a picture is decoded before it is shown, at most.
        step: Ticks between the first packets, which are decoded before anything is shown.
        end: When the last picture ends; the last packet lasts until then less the delay, since MP4
            adds up the steps of decoding. None for its own duration.
    """
    due: list[int] = []
    held: Timed | None = None
    last: int | None = None
    for number, timed in enumerate(packets):
        heappush(due, timed.pts)
        dts = heappop(due) if number >= depth else (number - depth) * step
        if last is not None and dts <= last:
            dts = last + 1  # times that were rounded to the same tick
        timed.pts = max(timed.pts, dts)
        last = dts
        timed.packet.pts, timed.packet.dts, timed.packet.duration = timed.pts, dts, timed.duration
        if held is not None:
            yield held
        held = timed
    if held is not None:
        if end is not None and last is not None:
            held.packet.duration = max(1, end - depth * step - last)
        yield held


def depth_of(splice: Splice) -> int:
    """Return by how many places a picture is decoded before it is shown, at most."""
    depths = [part.plan.depth for part in splice.parts if part.plan is not None]
    return max(*depths, splice.recipe.max_b_frames)


def num_copied(part: Part) -> int:
    """Return how many pictures of a part are copied."""
    table = part.clip.table
    if part.plan is None or table is None:
        return 0
    plan = part.plan
    return int(table.shown[plan.begin : plan.end].sum()) - len(plan.left_out)


def wanted_pts(clip: Clip) -> list[int]:
    """Return the PTS of the pictures on show during a clip, in ticks of its file."""
    table = clip.table
    assert table is not None
    first = table.first_shown(float(clip.start_seconds))
    return [int(pts) for pts in table.wanted(first, end_tick(clip))]


def end_tick(clip: Clip) -> int:
    """Return the tick before which the pictures of a clip begin."""
    assert clip.table is not None
    return clip.table.tick_after(float(clip.end_seconds))


def _has_ends(part: Part) -> bool:
    return part.plan is None or num_copied(part) < len(wanted_pts(part.clip))


def _sets(clip: Clip) -> list[bytes]:
    """Return the parameter sets in the header of a file, or for other codecs the header itself."""
    container, stream, _ = open_video(clip.where, limits=clip.limits)
    with container, translated(clip.where):
        extradata = stream.codec_context.extradata or b""
        if clip.look.codec in ("h264", "hevc"):
            return parameter_sets(clip.look.codec, extradata)
        return [extradata]


def _schedule(splice: Splice, part: Part) -> dict[int, tuple[int, int]]:
    """Return PTS and duration in the output, in its ticks, by the PTS in the file."""
    clip = part.clip
    assert clip.table is not None
    wanted = wanted_pts(clip)
    begins = [clip.table.time_base * pts - clip.start_seconds for pts in wanted]
    times = [Fraction(0), *begins[1:], clip.duration_seconds]
    ticks = [round((part.offset_seconds + time) / splice.time_base) for time in times]
    return {pts: (ticks[i], ticks[i + 1] - ticks[i]) for i, pts in enumerate(wanted)}


def _head(splice: Splice, part: Part, plan: CopyPlan) -> Iterator[Timed]:
    assert part.clip.table is not None
    until = part.clip.table.time_base * plan.first_pts
    times = {p: t for p, t in _schedule(splice, part).items() if p < plan.first_pts}
    return _end(splice, part, times, part.clip.start_seconds, until)


def _tail(splice: Splice, part: Part, plan: CopyPlan) -> Iterator[Timed]:
    times = {p: t for p, t in _schedule(splice, part).items() if p > plan.last_pts}
    if not times:
        return iter(())
    assert part.clip.table is not None
    begin = part.clip.table.time_base * min(times)
    return _end(splice, part, times, begin, part.clip.end_seconds)


def _end(
    splice: Splice,
    part: Part,
    times: dict[int, tuple[int, int]],
    start: Fraction,
    end: Fraction,
) -> Iterator[Timed]:
    """Encode the pictures whose times in the output are given."""
    if not times:
        return
    context = open_encoder(splice.look, replace(splice.recipe, global_header=_in_header(splice)))
    yield from encoded(context, _as_stored(splice, part.clip, times, start, end))


def _in_header(splice: Splice) -> bool:
    return splice.look.codec == "h264" and not splice.in_band


def _as_stored(
    splice: Splice, clip: Clip, times: dict[int, tuple[int, int]], start: Fraction, end: Fraction
) -> Iterator[tuple[VideoFrame, int, int]]:
    """Decode the pictures that are in `times`, and no others."""
    assert clip.table is not None
    missing = set(times)
    for picture in pictures(clip, start, end):
        pts = clip.table.ticks(picture.seconds)
        if pts not in missing:
            continue
        if not splice.look.takes(picture.frame):
            raise NotSpliceable("the pictures change their form on the way")
        missing.discard(pts)
        yield picture.frame, *times[pts]
    if missing:
        raise NotSpliceable(f"{len(missing)} of {len(times)} pictures could not be decoded")


def _encoded_part(splice: Splice, part: Part) -> Iterator[Timed]:
    """Encode a clip of which nothing is copied."""
    clip = part.clip
    if part.is_alike and clip.table is not None:
        yield from _end(splice, part, _schedule(splice, part), clip.start_seconds, clip.end_seconds)
        return
    context = open_encoder(splice.look, replace(splice.recipe, global_header=_in_header(splice)))
    offset, fps = part.offset_seconds, splice.look.fps
    renderer = Renderer(clip, splice.look)
    frames = rendered(renderer, offset, splice.time_base, fps=fps, origin=offset)
    yield from encoded(context, frames)


def _copied(splice: Splice, part: Part, plan: CopyPlan) -> Iterator[Timed]:
    """Yield the packets between head and tail."""
    clip = part.clip
    table = clip.table
    assert table is not None
    times = _schedule(splice, part)
    with _opened_at(clip, plan.first_pts) as (stream, packets):
        mend = _bitstream_filter(splice, stream)
        for index in range(plan.begin, plan.end):
            packet = next(packets, None)
            if packet is None or packet.pts is None or packet.pts != table.pts[index]:
                raise NotSpliceable("the file is not read twice in the same way")
            if index in plan.left_out:
                continue
            at = part.offset_seconds + packet.pts * table.time_base - clip.start_seconds
            ticks, duration = times.get(packet.pts, (round(at / splice.time_base), 0))
            breaks = bool(table.breaks[index]) and index == plan.begin
            for mended in mend.filter(packet) if mend is not None else [packet]:
                yield Timed(mended, ticks, duration, breaks=breaks, copied=True)


@contextmanager
def _opened_at(
    clip: Clip, pts: int
) -> Iterator[tuple[VideoStream, "Iterator[Packet[VideoStream]]"]]:
    """Open a file again and give its packets from the one that is shown at `pts`."""
    assert clip.table is not None
    seconds = pts * clip.table.time_base
    for start in (seconds, seconds - 4, None):
        container, stream, _ = open_video(clip.where, limits=clip.limits)
        with container:
            if start is not None:
                seek(container, stream, max(start, Fraction(0)))
            packets = (packet for packet in container.demux(stream) if packet.size)
            found = next((p for p in packets if p.pts == pts or (p.dts or 0) > pts), None)
            if found is not None and found.pts == pts:
                yield stream, chain([found], packets)
                return
    raise NotSpliceable("the file is not read twice in the same way")


def _bitstream_filter(splice: Splice, stream: VideoStream) -> BitStreamFilterContext | None:
    """Return what brings packets into the form of those that are encoded."""
    codec = splice.look.codec
    if splice.extradata is None:
        if splice.in_band and codec in ("mpeg4",):
            return BitStreamFilterContext("dump_extra=freq=keyframe", in_stream=stream)
        return None
    if not length_size(codec, stream.codec_context.extradata or b""):
        return None
    names = "h264_mp4toannexb" if codec == "h264" else "hevc_mp4toannexb"
    if not splice.in_band:
        names += ",filter_units=remove_types=7-8"
    return BitStreamFilterContext(names, in_stream=stream)


def _ended(timed: Timed) -> Timed:
    """Return a packet with the unit that ends a sequence."""
    old = timed.packet
    packet: Packet = av.Packet(bytes(old) + HEVC_END_OF_SEQUENCE)  # type: ignore[type-arg]
    packet.is_keyframe = old.is_keyframe
    for data in old.iter_sidedata():
        packet.set_sidedata(data)
    return replace_packet(timed, packet)


def replace_packet(timed: Timed, packet: Packet) -> Timed:  # type: ignore[type-arg]
    """Return the same time with another packet."""
    return Timed(packet, timed.pts, timed.duration, timed.breaks, timed.copied)
