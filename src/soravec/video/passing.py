"""Which packets need not be decoded: of pictures that nobody asks for and no other leans on.

Of a video that is read at a rate, the sampled pictures are asked for, those just before them where
differences are read, and some ten a second in which cuts are looked for. Of the others a decoder
may leave out those that no other is predicted from, if it is told so before it gets their packets:
but packets come in the order of decoding, and who is on show when is known only some packets later.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from math import ceil, inf
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

_MOST_AHEAD = 64
"""Packets that wait at most to know their neighbours."""
_ROUNDING_SECONDS = 1e-6


class Asked(NamedTuple):
    """What is asked of a video from its first picture on, all in seconds."""

    first_seconds: float
    step_seconds: float
    """Between the sampled instants."""
    slack_seconds: float
    """A picture that begins this little after an instant is on show then."""
    tick_seconds: float
    """From one picture in which cuts are looked for to the next."""
    with_previous: bool
    """Whether the pictures before the sampled ones are asked for too."""

    def meets(self, begin_seconds: float, end_seconds: float) -> bool:
        """Whether a picture that is on show from one instant to another is sampled."""
        begin = begin_seconds - self.slack_seconds - _ROUNDING_SECONDS - self.first_seconds
        instant = max(0, ceil(begin / self.step_seconds)) * self.step_seconds
        return instant < end_seconds - self.slack_seconds + _ROUNDING_SECONDS - self.first_seconds


class Passing:
    """Tells of packets, in the order of decoding, whether their pictures are asked for.

    Times that are missing, or do not advance as they should, end it: from there on every picture
    is asked for.

    Args:
        time_base: Seconds of one tick of the packets' times.
    """

    def __init__(self, time_base: float) -> None:
        self._time_base = time_base
        self._asked: Asked | None = None
        self._is_plain = True
        self._horizon = -inf  # all pictures shown until then are known
        self._unordered: list[float] = []
        self._ordered: deque[float] = deque()  # those whose fate is open, at most two
        self._next_tick = -inf
        self._is_needed: dict[float, bool] = {}
        self._to_show: deque[float] = deque()

    def ask(self, asked: Asked) -> None:
        """From now on, tell pictures that are asked for from others."""
        self._asked = asked
        self._next_tick = asked.first_seconds

    def stop(self) -> None:
        """From now on, every picture is asked for."""
        self._is_plain = False

    def num_before(self, seconds: float) -> int:
        """Return how many pictures were to be shown since the last call, before this one."""
        count = 0
        while self._to_show and self._to_show[0] <= seconds:
            count += self._to_show.popleft() < seconds
        return count

    def told(
        self, packets: "Iterable[Packet[VideoStream] | None]"
    ) -> "Iterator[tuple[Packet[VideoStream] | None, bool]]":
        """Yield every packet, and whether its picture is asked for."""
        waiting: deque[Packet[VideoStream] | None] = deque()
        for packet in packets:
            waiting.append(packet)
            self._note(packet)
            while waiting and (self._is_known(waiting[0]) or len(waiting) > _MOST_AHEAD):
                yield self._with_fate(waiting.popleft())
        while waiting:
            yield self._with_fate(waiting.popleft())

    def _note(self, packet: "Packet[VideoStream] | None") -> None:
        """Take the times of the next packet."""
        if not self._is_plain or packet is None or not packet.size:
            return
        if packet.pts is None or packet.dts is None:
            self.stop()
            return
        begins, horizon = packet.pts * self._time_base, packet.dts * self._time_base
        if horizon < self._horizon or begins < self._horizon or begins in self._unordered:
            self.stop()
            return
        self._horizon = horizon
        heappush(self._unordered, begins)
        while self._unordered and self._unordered[0] <= horizon:
            self._put_in_order(heappop(self._unordered))

    def _put_in_order(self, begins: float) -> None:
        """Take the picture that is shown next, which settles the one two before."""
        self._ordered.append(begins)
        if len(self._ordered) < 3:
            return
        picture, following, third = self._ordered
        self._ordered.popleft()
        asked = self._asked
        if asked is None:
            return
        is_needed = asked.meets(picture, following)
        if asked.with_previous:
            is_needed = is_needed or asked.meets(following, third)
        if picture >= self._next_tick:
            self._next_tick = picture + asked.tick_seconds
            is_needed = True
        self._is_needed[picture] = is_needed
        self._to_show.append(picture)

    def _is_known(self, packet: "Packet[VideoStream] | None") -> bool:
        """Whether nothing that is still to come says more of a packet."""
        if self._asked is None or not self._is_plain or packet is None or packet.pts is None:
            return True
        return packet.pts * self._time_base in self._is_needed

    def _with_fate(
        self, packet: "Packet[VideoStream] | None"
    ) -> "tuple[Packet[VideoStream] | None, bool]":
        if packet is None or packet.pts is None:
            return packet, True
        is_needed = self._is_needed.pop(packet.pts * self._time_base, True)
        return packet, is_needed or not self._is_plain
