"""Keyframes decoded each by itself, and with each, where asked for, a picture that follows it."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from soravec.video.container import DECODER_ERRORS

_MOST_LEADING = 16
"""Packets between a keyframe and the picture after it that are shown before it (open GOP)."""


class Group(NamedTuple):
    """A keyframe's packet and some that come after it."""

    key: "Packet[VideoStream]"
    next: "Packet[VideoStream] | None"
    """Whatever comes next: where pictures are stored as two fields, it may be the other one."""
    following: "Packet[VideoStream] | None"
    """Of the pictures that are shown after the keyframe, the first to be decoded: so it leans on
    no other. With pictures in between that are predicted from both, it is shown a few later."""


def groups(
    packets: "Iterable[Packet[VideoStream] | None]", *, with_following: bool, by_dts: bool
) -> Iterator[Group]:
    """Yield a group for every keyframe.

    Args:
        packets: In the order of decoding; at the end may stand some that are empty, or None.
        with_following: Whether to look for the picture that follows each.
        by_dts: Whether packets tell of their times only the order of decoding.
    """
    key: Packet[VideoStream] | None = None
    after: list[Packet[VideoStream]] = []
    for packet in chain(packets, [None]):
        given = packet if packet is not None and packet.size else None
        if key is not None:
            following = given if with_following and _follows(key, given, by_dts=by_dts) else None
            after += [given] if given is not None else []
            if (
                following is not None
                or not with_following
                or given is None
                or given.is_keyframe
                or len(after) > _MOST_LEADING
            ):
                yield Group(key, after[0] if after else None, following)
                key, after = None, []
        if given is not None and given.is_keyframe and not given.is_discard:
            key = given


def decoded_alone(
    context: VideoCodecContext, errors: list[Exception], *packets: "Packet[VideoStream]"
) -> list[VideoFrame]:
    """Return what comes out of some packets and of no others; add an error to those given."""
    frames: list[VideoFrame] = []
    try:
        for packet in (*packets, None):
            frames += context.decode(packet)
    except av.EOFError:
        pass
    except DECODER_ERRORS as error:
        errors.append(error)
    context.flush_buffers()
    return frames


def _follows(
    key: "Packet[VideoStream]", packet: "Packet[VideoStream] | None", *, by_dts: bool
) -> bool:
    """Whether a packet's picture is shown after that of a keyframe, and is none itself."""
    if packet is None or packet.is_keyframe or packet.is_discard:
        return False
    return by_dts or (key.pts is not None and packet.pts is not None and packet.pts > key.pts)
