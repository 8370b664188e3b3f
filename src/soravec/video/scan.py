"""What the packets and the index of a file say of its times, without decoding."""

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

from soravec.video.clock import Clock
from soravec.video.container import DECODER_ERRORS, open_video
from soravec.video.inputs import Input

_NEAR = 32
"""Packets among which two of the same time are looked for: no codec reorders further."""


class Scan(NamedTuple):
    """What the packets of a file say."""

    end_seconds: float | None
    """When the last picture ends; None where there is no time at all."""
    is_timed: bool
    """Whether every picture has a time of its own, so that a jump lands where it says."""


def scan_packets(
    where: Input, *, by_dts: bool, max_pixels: int, start_seconds: float | None = None
) -> Scan:
    """Read packets, decoding nothing.

    Args:
        where: Where the video lies.
        by_dts: Whether it is the order of decoding that times its pictures.
        max_pixels: The most pixels that one frame may have.
        start_seconds: Begin with the keyframe before this; None for the beginning of the file.
    """
    container, stream, _ = open_video(where, max_pixels=max_pixels)
    with container:
        if start_seconds is not None and stream.time_base:
            container.seek(int(start_seconds / stream.time_base), stream=stream)
        return _scanned(container.demux(stream), stream, by_dts=by_dts)


def index_is_ordered(stream: VideoStream) -> bool:
    """Whether no two neighbours in the container's index have the same time."""
    entries = stream.index_entries
    stamps = (entries[number].timestamp for number in range(len(entries)))
    return all(before < after for before, after in pairwise(stamps))


def _scanned(
    packets: Iterable["Packet[VideoStream]"], stream: VideoStream, *, by_dts: bool
) -> Scan:
    tick = float(stream.time_base or 1e-6)
    usual = 1.0 / float(stream.average_rate or 25)
    clock: Clock[None] = Clock()
    near: deque[int] = deque(maxlen=_NEAR)
    latest: float | None = None
    mended_end: float | None = None
    lead: float | None = None
    last_dts: int | None = None
    is_timed = True
    try:
        for packet in packets:
            if not packet.size or packet.is_discard:
                continue
            pts, dts = packet.pts, packet.dts
            duration = packet.duration * tick if packet.duration else usual
            stamp = dts if by_dts else pts
            if stamp is None or stamp in near or (dts is not None and dts <= (last_dts or dts - 1)):
                is_timed = False
            if stamp is not None:
                near.append(stamp)
                latest = max(stamp * tick + duration, latest or stamp * tick)
            if pts is not None and dts is not None:
                lead = (pts - dts) * tick if lead is None else lead
            last_dts = dts if dts is not None else last_dts
            for timed in clock.add(None, None if dts is None else dts * tick, duration):
                mended_end = timed.seconds + timed.duration_seconds
    except DECODER_ERRORS:
        pass
    for timed in clock.finish():
        mended_end = timed.seconds + timed.duration_seconds
    if is_timed or mended_end is None:
        return Scan(latest, is_timed)
    return Scan(mended_end + (0.0 if by_dts else lead or 0.0), is_timed)
