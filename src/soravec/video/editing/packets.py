"""The packets of a stretch of video, and which of them can be taken over as they are.

Packets come in the order of decoding. A cut needs pictures in the order of showing: those before
the first packet that decodes by itself, and those after the last one that needs nothing that lies
beyond the end, have to be encoded anew; what lies between is copied.
"""

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf
from typing import NamedTuple

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from soravec.video.container import DECODER_ERRORS, open_video, translated
from soravec.video.decode import SAME_INSTANT_SECONDS
from soravec.video.editing.nal import H264_IDR, HEVC_IDR, HEVC_IRAP, first_picture_type, has_sets
from soravec.video.inputs import Input
from soravec.video.limits import LIMITS, Limits

_ROUNDING = Fraction(SAME_INSTANT_SECONDS)

_WITH_TIMES = ("mov", "matroska", "mpegts", "flv")
"""Containers that store when each picture is shown."""

_NO_TIME = "packets without a time"
_NO_ORDER = "the times of its packets do not ascend"
_SAME_TIME = "two pictures bear the same time"
BAD_TIMES = frozenset({_NO_TIME, _NO_ORDER, _SAME_TIME})
"""Why packets cannot be taken over where the reader has to mend times."""

_LEADING_MAY_GO = frozenset({"hevc", "mpeg1video", "mpeg2video", "mpeg4"})
"""Codecs in which pictures that come after a keyframe but are shown before it are referred to by
none of those shown after it."""

_INTRA = "mjpeg prores dnxhd png rawvideo huffyuv ffvhuff utvideo v210 dvvideo cfhd"
INTRA_ONLY = frozenset(_INTRA.split())
"""Codecs whose every picture stands by itself."""


@dataclass(frozen=True, slots=True)
class PacketTable:
    """The packets of a stretch that begins with a keyframe, in the order of decoding."""

    time_base: Fraction
    """Seconds of one tick."""
    pts: NDArray[np.int64]
    """(N,) ticks at which each is shown; distinct."""
    duration: NDArray[np.int64]
    """(N,) ticks, as the container has it; 0 where it does not."""
    joins: NDArray[np.bool_]
    """(N,) where another stream may go over into this one."""
    breaks: NDArray[np.bool_]
    """(N,) where HEVC has to be told that a sequence ended before."""
    shown: NDArray[np.bool_]
    """(N,) false for what is decoded but never shown."""
    discarded: NDArray[np.bool_]
    """(N,) what an edit list leaves out."""
    leading_may_go: bool
    """Whether pictures shown before the keyframe that they follow may be left out."""
    own_sets: bool
    """Whether packets bring parameter sets of their own."""
    is_constant: bool
    """Whether the pictures are evenly spaced, but for the rounding of times."""
    reaches_end: bool
    """Whether the stretch goes to the end of the file."""

    def ticks(self, seconds: float) -> int:
        """Return the tick nearest to the time of a picture."""
        return round(Fraction(seconds) / self.time_base)

    def tick_after(self, seconds: float) -> int:
        """Return the tick before which all pictures begin that begin before an instant."""
        return ceil((Fraction(seconds) - _ROUNDING) / self.time_base)

    def covers(self, seconds: float) -> bool:
        """Whether an instant lies in the stretch."""
        return bool(self.pts[0] * self.time_base <= seconds < self.end() * self.time_base)

    def first_shown(self, start_seconds: float | None) -> int:
        """Return the PTS of the picture on show at an instant, or else of the first one."""
        shown = np.sort(self.pts[self.shown])
        if start_seconds is None:
            return int(shown[0])
        latest = floor((Fraction(start_seconds) + _ROUNDING) / self.time_base)
        return int(shown[max(0, int(np.searchsorted(shown, latest, side="right")) - 1)])

    def end(self) -> int:
        """Return the tick at which the last picture of the stretch ends."""
        shown = np.flatnonzero(self.shown)
        last = shown[np.argmax(self.pts[shown])]
        return int(self.pts[last]) + (int(self.duration[last]) or self._usual_interval())

    def wanted(self, first: int, end: int) -> NDArray[np.int64]:
        """Return the PTS of the pictures from `first` to before `end`, ascending."""
        inside = self.shown & (self.pts >= first) & (self.pts < end)
        return np.sort(self.pts[inside])

    def _usual_interval(self) -> int:
        shown = np.sort(self.pts[self.shown])
        return int(np.median(np.diff(shown))) if len(shown) > 1 else self.ticks(0.04)


class CopyPlan(NamedTuple):
    """Which packets are copied, by their place in the order of decoding."""

    begin: int
    end: int
    left_out: frozenset[int]
    """Those between that are shown before the first, and are encoded with the head."""
    first_pts: int
    """What is shown before this is the head, encoded anew."""
    last_pts: int
    """What is shown after this is the tail, encoded anew."""
    depth: int
    """How many packets a picture may come before its turn."""


def plan_copy(table: PacketTable, first: int, end: int) -> CopyPlan | None:
    """Choose what to copy of the pictures with `first <= PTS < end`; None for nothing.

    Example, in ticks and in the order of decoding, keyframes marked: I0 P3 B1 B2 I4 P7 B5 B6. Of
    [1, 7) the head 1, 2, 3 is encoded and I4 copied; P7 lies beyond, so 5 and 6 are the tail.
    """
    pts = table.pts
    highest_before = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], pts[:-1]]))
    for begin in np.flatnonzero(table.joins & ~table.discarded):
        if not first <= pts[begin] < end or highest_before[begin] > pts[begin]:
            continue
        leading = begin + np.flatnonzero(pts[begin:] < pts[begin])
        if len(leading) and not table.leading_may_go:
            continue
        stop = _last_clean_end(table, int(begin), leading, end)
        if stop is None:
            continue
        kept = np.setdiff1d(np.arange(begin, stop), leading)
        left_out = frozenset(int(index) for index in leading if index < stop)
        return CopyPlan(
            int(begin), stop, left_out, int(pts[begin]), int(pts[kept].max()), _depth(pts[kept])
        )
    return None


def _last_clean_end(
    table: PacketTable, begin: int, leading: NDArray[np.int64], end: int
) -> int | None:
    """Return the farthest place after `begin` so that all before it are shown before all after.

    And all before it lie in the span: decoding refers only backwards, so nothing is missing there.
    """
    num = len(table.pts)
    pts = table.pts[begin:].copy()
    outside = table.discarded[begin:] | (pts >= end)
    counted = np.ones(num - begin, np.bool_)
    counted[leading - begin] = False
    highest = np.maximum.accumulate(np.where(counted, pts, table.pts[begin]))
    rest = np.where(counted, pts, np.iinfo(np.int64).max)
    lowest_after = np.append(np.minimum.accumulate(rest[::-1])[::-1], np.iinfo(np.int64).max)[1:]
    first_outside = int(np.argmax(outside)) if outside.any() else num - begin
    clean = np.flatnonzero((highest < lowest_after)[:first_outside])
    return begin + int(clean[-1]) + 1 if len(clean) else None


def _depth(pts: NDArray[np.int64]) -> int:
    """Return by how many places a picture is decoded later than it is shown, at most."""
    rank = np.empty(len(pts), np.int64)
    rank[np.argsort(pts, kind="stable")] = np.arange(len(pts))
    return int(max(0, (np.arange(len(pts)) - rank).max()))


class _Row(NamedTuple):
    pts: int
    duration: int
    is_key: bool
    joins: bool
    breaks: bool
    shown: bool
    discarded: bool
    own_sets: bool


def read_table(
    where: Input,
    *,
    start_seconds: float | None,
    end_seconds: float | None,
    limits: Limits = LIMITS,
) -> PacketTable | str:
    """Read the packets of a span, or say in words why they cannot be taken over.

    Args:
        where: Where the video lies.
        start_seconds: Where the span begins; None for the beginning.
        end_seconds: Where it ends; None for the end.
        limits: What is refused.

    Raises:
        VideoError: The file cannot be read.
    """
    for back in (0.0, 4.0):
        if start_seconds is None or start_seconds <= 0:
            break
        container, stream, _ = open_video(where, limits=limits)
        with container, translated(where), suppress(*DECODER_ERRORS):
            seek(container, stream, Fraction(max(0.0, start_seconds - back)))
            table = _read(stream, container, end_seconds, skip=True)
            if isinstance(table, PacketTable) and table.covers(start_seconds):
                return table
    container, stream, _ = open_video(where, limits=limits)
    with container, translated(where):
        return _read(stream, container, end_seconds, skip=False)


def seek(container: InputContainer, stream: VideoStream, seconds: Fraction) -> None:
    """Go to a keyframe at or before an instant, by the container's own lights."""
    container.seek(int(seconds / (stream.time_base or 1)), stream=stream)


def _read(
    stream: VideoStream, container: InputContainer, end_seconds: float | None, *, skip: bool
) -> PacketTable | str:
    """Put packets in a table, up to those that are decoded at the end or later.

    Args:
        stream: The video.
        container: Where it is read from.
        end_seconds: The end; None for that of the file.
        skip: Whether packets before the first keyframe are passed over.
    """
    name = container.format.name
    if not name.startswith(_WITH_TIMES):
        return f"{name.split(',')[0]} does not store when each picture is shown"
    time_base = stream.time_base or Fraction(1, 90000)
    codec = stream.codec_context.codec.canonical_name
    extradata = stream.codec_context.extradata or b""
    rows: list[_Row] = []
    last_dts: int | None = None
    reaches_end, num_beyond = True, 0
    end = inf if end_seconds is None else end_seconds
    for packet in container.demux(stream):
        if not packet.size or (skip and not rows and not packet.is_keyframe):
            continue
        if problem := _problem(packet, last_dts):
            return problem
        last_dts = packet.dts if packet.dts is not None else last_dts  # Matroska stores none
        num_beyond += packet.is_keyframe and (packet.pts or 0) * time_base >= end
        # What is decoded after the end is shown after it; so is what follows two keyframes.
        if num_beyond > 1 or (last_dts is not None and last_dts * time_base >= end):
            reaches_end = False
            break
        rows.append(_row(packet, codec, extradata))
    if not rows or not rows[0].is_key:
        return "the stretch does not begin with a keyframe"
    return _table(rows, codec, time_base, reaches_end=reaches_end)


def _problem(packet: "Packet[VideoStream]", last_dts: int | None) -> str:
    """Say why a packet cannot be taken over; empty where it can."""
    if packet.pts is None:
        return _NO_TIME
    if packet.dts is not None and last_dts is not None and packet.dts <= last_dts:
        return _NO_ORDER
    if packet.is_corrupt:
        return "damaged packets"
    if packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change"):
        return "the stream changes its parameters on the way"
    return ""


def _row(packet: "Packet[VideoStream]", codec: str, extradata: bytes) -> _Row:
    """Note one packet; its bytes are looked at only where its kind depends on them."""
    is_key, breaks, own_sets, shown = packet.is_keyframe, False, False, True
    joins = is_key or codec in INTRA_ONLY
    if codec in ("h264", "hevc") and is_key:
        data = bytes(packet)
        kind = first_picture_type(codec, data, extradata)
        joins = kind == H264_IDR if codec == "h264" else kind in HEVC_IRAP
        breaks = codec == "hevc" and kind not in HEVC_IDR
        own_sets = has_sets(codec, data, extradata)
    if codec == "vp8":
        shown = bool(memoryview(packet)[0] & 0x10)  # RFC 6386, section 9.1
    discarded = packet.is_discard
    assert packet.pts is not None
    duration = packet.duration or 0
    return _Row(
        packet.pts, duration, joins or is_key, joins, breaks, shown and not discarded,
        discarded, own_sets,
    )  # fmt: skip


def _table(
    rows: list[_Row], codec: str, time_base: Fraction, *, reaches_end: bool
) -> PacketTable | str:
    pts = np.array([row.pts for row in rows], np.int64)
    shown = np.array([row.shown for row in rows], np.bool_)
    if len(np.unique(pts)) < len(pts):
        return _SAME_TIME
    if not shown.any():
        return "nothing is shown"
    return PacketTable(
        time_base=time_base,
        pts=pts,
        duration=np.array([row.duration for row in rows], np.int64),
        joins=np.array([row.joins for row in rows], np.bool_),
        breaks=np.array([row.breaks for row in rows], np.bool_),
        shown=shown,
        discarded=np.array([row.discarded for row in rows], np.bool_),
        leading_may_go=codec in _LEADING_MAY_GO,
        own_sets=any(row.own_sets for row in rows),
        is_constant=_is_constant(np.sort(pts[shown]) * float(time_base)),
        reaches_end=reaches_end,
    )


def _is_constant(seconds: NDArray[np.floating]) -> bool:
    steps = np.diff(seconds)
    return len(steps) == 0 or bool(np.ptp(steps) <= 4 * SAME_INSTANT_SECONDS)
