"""How far apart the keyframes of a file lie: by its packets, without decoding."""

from itertools import pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

from soravec.video.container import DECODER_ERRORS, open_video, translated
from soravec.video.limits import LIMITS, Limits
from soravec.video.picture import is_picture
from soravec.video.scan import stores_dts_only
from soravec.video.source import Place

SCAN_SECONDS = 600.0
"""So much of a file is looked at: an encoder does not change its ways, and the rest may be far."""


class KeyframeSpacing(NamedTuple):
    """What the packets of a file say of its keyframes."""

    num_keyframes: int
    """How many were seen."""
    widest_seconds: float
    """The longest time without one; infinite where the times of keyframes are not known."""
    stand_alone: bool
    """Whether every picture is one."""


def keyframe_spacing(place: Place, *, limits: Limits = LIMITS) -> KeyframeSpacing:
    """Return how far apart keyframes lie in the first SCAN_SECONDS.

    Args:
        place: What `find_place` found.
        limits: What is refused.

    Raises:
        VideoError: One of its kinds, as the tree in `soravec.errors` tells.
    """
    if isinstance(place, Path):  # a folder of frames
        return KeyframeSpacing(0, 0.0, stand_alone=True)
    with translated(place):
        if is_picture(place):
            return KeyframeSpacing(0, inf, stand_alone=False)
    container, stream, _ = open_video(place, limits=limits)
    seconds: list[float] = []  # of keyframes
    begins, ends = inf, -inf
    stand_alone = True
    tick = float(stream.time_base or 1e-6)
    # There, only the pictures in between tell when a keyframe is shown.
    is_told = not (
        stores_dts_only(stream, container.format.name) and stream.codec_context.has_b_frames
    )
    with container:
        try:
            for packet in container.demux(stream):
                stamp = packet.dts if packet.pts is None else packet.pts
                if not packet.size or packet.is_discard:
                    continue
                stand_alone = stand_alone and packet.is_keyframe
                is_told = is_told and stamp is not None
                if stamp is None:
                    continue
                begins = min(begins, stamp * tick)
                ends = max(ends, (stamp + (packet.duration or 0)) * tick)
                if packet.is_keyframe:
                    seconds.append(stamp * tick)
                if ends - begins > SCAN_SECONDS:
                    break
        except DECODER_ERRORS:  # as far as it can be read
            pass
    if not is_told or not seconds:
        return KeyframeSpacing(0, inf, stand_alone=False)
    edges = sorted([begins, *seconds, max(ends, *seconds)])
    widest = max(after - before for before, after in pairwise(edges))
    return KeyframeSpacing(len(seconds), widest, stand_alone)
