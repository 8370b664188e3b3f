"""What the packets and the index of a file say of its times, without decoding."""

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

from soravec.video.clock import Clock, Timed
from soravec.video.container import DECODER_ERRORS, open_video
from soravec.video.inputs import Input
from soravec.video.limits import Limits

_NEAR = 32
"""Packets among which two of the same time are looked for: no codec reorders further."""

_KEEP_ORDER_OF_SHOWING = {
    "ogg": {"theora", "vp8", "dirac"},
    "asf": {"vc1", "wmv3"},
    "mxf": {"mpeg2video"},
}
"""Codecs whose times in these containers are those of showing; of all others, of decoding."""


class Scan(NamedTuple):
    """What the packets of a file say."""

    end_seconds: float | None
    """When the last picture ends; None where there is no time at all."""
    is_timed: bool
    """Whether every picture has a time of its own, so that a jump lands where it says."""


def scan_packets(
    where: Input, *, by_dts: bool, limits: Limits, start_seconds: float | None = None
) -> Scan:
    """Read packets, decoding nothing.

    Args:
        where: Where the video lies.
        by_dts: Whether it is the order of decoding that times its pictures.
        limits: What is refused.
        start_seconds: Begin with the keyframe before this; None for the beginning of the file.
    """
    container, stream, _ = open_video(where, limits=limits)
    with container:
        if start_seconds is not None and stream.time_base:
            container.seek(int(start_seconds / stream.time_base), stream=stream)
        return _scanned(container.demux(stream), stream, by_dts=by_dts)


def index_is_ordered(stream: VideoStream) -> bool:
    """Whether no two neighbours in the container's index have the same time."""
    entries = stream.index_entries
    stamps = (entries[number].timestamp for number in range(len(entries)))
    return all(before < after for before, after in pairwise(stamps))


def stores_dts_only(stream: VideoStream, format_name: str) -> bool:
    """Whether a container stores the order of decoding only.

    With two B-frames in a row FFmpeg guesses their PTS wrong; the DTS under which a frame is handed
    out is in order and evenly spaced.
    """
    codec = stream.codec_context.codec.canonical_name
    if format_name in _KEEP_ORDER_OF_SHOWING:
        return codec not in _KEEP_ORDER_OF_SHOWING[format_name]
    return format_name == "avi"


def _scanned(
    packets: Iterable["Packet[VideoStream]"], stream: VideoStream, *, by_dts: bool
) -> Scan:
    tick = float(stream.time_base or 1e-6)
    usual = 1.0 / float(stream.average_rate or 25)
    clock: Clock[float | None] = Clock()
    near: deque[int] = deque(maxlen=_NEAR)
    ends: deque[float] = deque(maxlen=_NEAR)
    last: Timed[float | None] | None = None
    last_dts: int | None = None
    is_timed = True
    try:
        for packet in packets:
            if not packet.size or packet.is_discard:
                continue
            dts = packet.dts
            stamp = dts if by_dts else packet.pts
            duration = packet.duration * tick if packet.duration else usual
            goes_back = dts is not None and last_dts is not None and dts < last_dts
            is_timed = is_timed and stamp is not None and stamp not in near and not goes_back
            if stamp is not None:
                near.append(stamp)
                ends.append(stamp * tick + duration)
            last_dts = dts if dts is not None else last_dts
            seconds = None if dts is None else dts * tick
            last = [last, *clock.add(seconds, seconds, duration)][-1]
    except DECODER_ERRORS:
        pass
    last = [last, *clock.finish()][-1]
    if is_timed:
        return Scan(max(ends, default=None), is_timed=True)
    if not ends or last is None:
        return Scan(None if last is None else last.seconds + last.duration_seconds, is_timed=False)
    shifted = 0.0 if last.item is None else last.seconds - last.item
    return Scan(max(ends) + shifted, is_timed=False)
