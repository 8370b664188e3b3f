"""When pictures are shown: the container's own times, mended where they are missing or go wrong.

A picture with a good time keeps it. One whose time is missing, or does not lie after that of the
picture before, is put evenly between its good neighbours. A jump back that lasts (two recordings in
one file) is carried on from where the first ended.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, nextafter
from typing import Generic, TypeVar

MAX_WAITING = 8
"""Pictures that wait for a good time at most; then they are counted on."""

SUSPICIOUS_SECONDS = 0.2
SUSPICIOUS_DURATIONS = 3.0
"""A leap ahead of more than both waits for the next picture, which may show it to be a stray."""

NUM_OF_A_SPLICE = 3
"""So many late pictures at even steps are a second recording, not a slip."""

T = TypeVar("T")


@dataclass(slots=True)
class Timed(Generic[T]):
    """Something, when it is shown, and for how long."""

    item: T
    seconds: float
    duration_seconds: float


@dataclass(slots=True)
class _Waiting(Generic[T]):
    item: T
    stamp: float | None
    duration_seconds: float


class Clock(Generic[T]):
    """Gives strictly ascending times to pictures that come in the order of showing.

    With a duration of 1, the stamps 0, 1, None, 3 give 0, 1, 2, 3; so do 0, 1, 1, 3 and
    0, 1, 50, 3. Two recordings, 0, 1, 2, 3 and 0, 1, 2, 3, give 0 to 7.

    Args:
        counting: Whether no stamps are to be expected, so that nothing waits for them.

    Attributes:
        num_missing: Pictures that had no time.
        num_misplaced: Pictures whose time did not advance, or leapt ahead alone.
        splices: The seconds at which another recording was carried on.
    """

    def __init__(self, *, counting: bool = False) -> None:
        self.num_missing = 0
        self.num_misplaced = 0
        self.splices: list[float] = []
        self._waiting: list[_Waiting[T]] = []
        self._last: Timed[T] | None = None
        self._offset = 0.0
        self._counting = counting

    @property
    def is_mending(self) -> bool:
        """Whether any time was not as the container says."""
        return bool(self.num_missing or self.num_misplaced or self.splices)

    def restart(self) -> None:
        """Forget what waits: the next picture is from elsewhere in the file."""
        self._waiting.clear()
        self._last = None

    def add(self, item: T, stamp: float | None, duration_seconds: float) -> Iterable[Timed[T]]:
        """Take the next picture, its stamp in seconds or None; yield those that are settled."""
        stamp = None if stamp is None else stamp + self._offset
        if stamp is None or self._waiting or not self._follows(stamp):
            return self._added(item, stamp, duration_seconds)
        self._counting = False
        self._last = Timed(item, stamp, duration_seconds)
        return (self._last,)

    def _added(self, item: T, stamp: float | None, duration_seconds: float) -> Iterator[Timed[T]]:
        """Take what does not simply follow the picture before."""
        self._waiting.append(_Waiting(item, stamp, duration_seconds))
        if stamp is None:
            if self._counting:
                yield from self._count_on()
        elif self._is_splice():
            self._carry_on()
            yield from self._settle()
        elif self._is_good(stamp):
            self._counting = False
            yield from self._settle()
        if len(self._waiting) > MAX_WAITING:
            yield from self.finish()

    def finish(self) -> Iterator[Timed[T]]:
        """Yield what still waits: nothing more can settle it."""
        if not self._waiting:
            return
        if self._late_run() > 1:
            self._carry_on()
        if any(self._is_after(waiting.stamp) for waiting in self._waiting):
            yield from self._settle()
        yield from self._count_on()

    def _is_after(self, stamp: float | None) -> bool:
        return stamp is not None and (self._last is None or stamp > self._last.seconds)

    def _is_good(self, stamp: float) -> bool:
        """Whether the newest stamp settles what waits: it advances, and does not leap alone."""
        if not self._is_after(stamp):
            return False
        before = [w.stamp for w in self._waiting[:-1] if w.stamp is not None]
        return any(s < stamp for s in before if self._is_after(s)) or self._follows(stamp)

    def _follows(self, stamp: float) -> bool:
        """Whether a stamp lies after the last picture, and not suspiciously far."""
        if self._last is None:
            return True
        usual = max(SUSPICIOUS_SECONDS, SUSPICIOUS_DURATIONS * self._last.duration_seconds)
        return 0 < stamp - self._last.seconds <= usual

    def _late_run(self) -> int:
        """Return how many of the newest pictures follow one another at even steps, too late."""
        run = 0
        following: float | None = None
        for waiting in reversed(self._waiting):
            if waiting.stamp is None or self._is_after(waiting.stamp):
                break
            step = None if following is None else following - waiting.stamp
            if step is not None and not 0 < step <= 2.5 * max(waiting.duration_seconds, 1e-3):
                break
            run, following = run + 1, waiting.stamp
        return run

    def _is_splice(self) -> bool:
        return not self._is_after(self._waiting[-1].stamp) and self._late_run() >= NUM_OF_A_SPLICE

    def _carry_on(self) -> None:
        """Move the late recording behind the last picture."""
        assert self._last is not None
        begins = len(self._waiting) - self._late_run()
        first = self._waiting[begins].stamp
        assert first is not None
        untimed = sum(waiting.duration_seconds for waiting in self._waiting[:begins])
        due = self._last.seconds + self._last.duration_seconds + untimed
        for waiting in self._waiting[begins:]:
            if waiting.stamp is not None:
                waiting.stamp += due - first
        self._offset += due - first
        self.splices.append(due)

    def _settle(self) -> Iterator[Timed[T]]:
        """Yield what waits up to the last picture with a good time, the others put in between."""
        good = self._chain()
        begin = 0
        for index in good:
            stamp = self._waiting[index].stamp
            assert stamp is not None
            between = self._waiting[begin:index]
            yield from self._put_before(stamp, between)
            yield self._give(self._waiting[index], stamp)
            begin = index + 1
        del self._waiting[:begin]

    def _chain(self) -> list[int]:
        """Return the indices of the longest ascending chain of the stamps that advance."""
        chains: list[
            list[int]
        ] = []  # chains[n]: of those with n + 1 links, the one that ends first
        tails: list[float] = []
        for index, waiting in enumerate(self._waiting):
            stamp = waiting.stamp
            if stamp is None or not self._is_after(stamp):
                continue
            place = bisect_left(tails, stamp)
            chains[place:] = [[*(chains[place - 1] if place else []), index], *chains[place + 1 :]]
            tails[place:] = [stamp, *tails[place + 1 :]]
        return chains[-1] if chains else []

    def _put_before(self, stamp: float, between: list[_Waiting[T]]) -> Iterator[Timed[T]]:
        """Yield pictures evenly between the last one and `stamp`."""
        for number, waiting in enumerate(between):
            self._count(waiting)
            left = len(between) - number
            if self._last is None:
                seconds = stamp - left * waiting.duration_seconds
            else:
                seconds = self._last.seconds + (stamp - self._last.seconds) / (left + 1)
            yield self._give(waiting, seconds)

    def _count_on(self) -> Iterator[Timed[T]]:
        """Yield what waits, each when the one before ends."""
        for waiting in self._waiting:
            self._count(waiting)
            due = 0.0 if self._last is None else self._last.seconds + self._last.duration_seconds
            yield self._give(waiting, due)
        self._waiting.clear()
        self._counting = True

    def _count(self, waiting: _Waiting[T]) -> None:
        if waiting.stamp is None:
            self.num_missing += 1
        else:
            self.num_misplaced += 1

    def _give(self, waiting: _Waiting[T], seconds: float) -> Timed[T]:
        if self._last is not None:  # between two neighbouring floats there is no room
            seconds = max(seconds, nextafter(self._last.seconds, inf))
        self._last = Timed(waiting.item, seconds, waiting.duration_seconds)
        return self._last
