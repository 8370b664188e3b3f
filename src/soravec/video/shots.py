"""The shots of a video, found while it is decoded, and the segments that follow from them.

Each frame is seen once, as a signature (`signature`). Three detectors take these in blocks: of hard
cuts (`hardcuts`), of dissolves (`dissolves`) and of fades (`fades`).
"""

from collections.abc import Sequence
from math import ceil, inf

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from soravec.types import Shots, Transition
from soravec.video.dissolves import TICK_SECONDS, Dissolves
from soravec.video.fades import Fades
from soravec.video.hardcuts import LEAST_CHANGE, HardCuts
from soravec.video.signature import SIZE, SignatureReader, changes

MIN_SHOT_SECONDS = 0.5
"""A shorter shot joins its neighbour."""

_BLOCK = 40
"""Signatures that are looked at together, so that NumPy's own time is shared."""
_REST_SECONDS = 0.4
_MORE_THAN_BEFORE = 1.2
_MOST_HELD, _MOST_HELD_PIXELS = 12, 1 << 22


def plan_segments(shots: Shots, segment_seconds: float) -> NDArray[np.float64]:
    """Divide each shot into equal pieces of at most `segment_seconds`.

    With 8 s, shots [0, 10) and [10, 13) give [0, 5), [5, 10) and [10, 13).

    Args:
        shots: Bounds (N, 2) in seconds.
        segment_seconds: The longest piece, above 0.

    Returns:
        (S, 2) float64 seconds, contiguous and ascending.
    """
    pieces = []
    for start, end in shots.bounds:
        # A hair of tolerance: 16.000000001 s are two pieces of 8, not three.
        count = max(1, ceil((end - start) / segment_seconds - 1e-6))
        edges = np.linspace(start, end, count + 1)
        pieces.append(np.stack([edges[:-1], edges[1:]], axis=1))
    return np.concatenate(pieces) if pieces else np.zeros((0, 2))


class CutDetector:
    """Finds transitions in a stream of decoded frames, in constant memory but for what it finds.

    Some ten frames a second are read first, and those between them only where the picture has
    changed. Frames are held for that until a few have come together, which also spares time: what
    a decoder leaves of the processor's caches makes each alone cost twice as much.
    """

    def __init__(self) -> None:
        self._reader = SignatureReader()
        self._hard_cuts, self._dissolves, self._fades = HardCuts(), Dissolves(), Fades()
        self._held: list[VideoFrame] = []
        self._times: list[float] = []  # of the held frames
        self._numbers: list[int] = []  # of the held frames, those that were left out counted too
        self._num_seen = 0
        self._last_read = -1  # number of the last frame of which there is a signature
        self._ticks: list[int] = []  # which of them are read first
        self._next_tick = -inf
        self._last_change = 0.0  # between two ticks
        self._before: NDArray[np.uint8] | None = None  # the last signature
        self._seconds: list[float] = []
        self._steps: list[int] = []
        self._signatures = np.empty((_BLOCK + _MOST_HELD, SIZE), np.uint8)

    def add(self, seconds: float, frame: VideoFrame, *, num_left_out: int = 0) -> None:
        """Look at the next frame, before which so many were left out."""
        if seconds >= self._next_tick:
            self._ticks.append(len(self._held))
            self._next_tick = seconds + TICK_SECONDS
        self._held.append(frame)
        self._times.append(seconds)
        self._numbers.append(self._num_seen + num_left_out)
        self._num_seen += num_left_out + 1
        num_held = len(self._held)
        if num_held == _MOST_HELD or num_held * frame.width * frame.height > _MOST_HELD_PIXELS:
            self._read()

    def finish(self) -> list[Transition]:
        """Return all transitions, in order of time and apart from one another."""
        if self._held:
            if self._ticks[-1:] != [len(self._held) - 1]:
                self._ticks.append(len(self._held) - 1)
            self._read()
        self._pass_on()
        return _reconciled(self._hard_cuts.finish(), self._dissolves.finish(), self._fades.finish())

    def _read(self) -> None:
        """Read the ticks, and what lies between two that differ; hold what comes after them."""
        ticks = self._ticks or [len(self._held) - 1]
        end = ticks[-1] + 1
        found = self._signatures_of(ticks)
        before = found[:1] if self._before is None else self._before[None]
        steps = changes(np.concatenate([before, found[:-1]]), found).tolist()
        begins = [0, *(tick + 1 for tick in ticks[:-1])]
        between = [
            number
            for begin, tick, change in zip(begins, ticks, steps, strict=True)
            if self._stands_out(change)
            for number in range(begin, tick)
        ]
        if between:
            found = np.concatenate([found, self._signatures_of(between)])
        seen = [*ticks, *between]
        order = np.argsort(seen)
        num_seen = len(self._seconds)
        self._signatures[num_seen : num_seen + len(seen)] = found[order]
        self._seconds += [self._times[seen[number]] for number in order]
        numbers = np.array(self._numbers)[np.array(seen)[order]]
        self._steps += np.diff(numbers, prepend=self._last_read).tolist()
        self._last_read = int(numbers[-1])
        self._before = found[len(ticks) - 1]
        del self._held[:end], self._times[:end], self._numbers[:end]
        self._ticks = []
        if len(self._seconds) >= _BLOCK:
            self._pass_on()

    def _stands_out(self, change: float) -> bool:
        """Whether there may be a cut between two ticks: they differ, more than those before."""
        usual, self._last_change = self._last_change, change
        return change >= max(LEAST_CHANGE, _MORE_THAN_BEFORE * usual)

    def _signatures_of(self, chosen: list[int]) -> NDArray[np.uint8]:
        signatures = np.empty((len(chosen), SIZE), np.uint8)
        self._reader.read([self._held[number] for number in chosen], signatures)
        return signatures

    def _pass_on(self) -> None:
        seconds, signatures = np.array(self._seconds), self._signatures[: len(self._seconds)]
        if len(seconds):
            self._hard_cuts.add(seconds, signatures, np.array(self._steps))
            self._dissolves.add(seconds, signatures)
            self._fades.add(seconds, signatures)
        self._seconds.clear()
        self._steps.clear()


def _reconciled(
    cuts: list[Transition], dissolves: list[Transition], fades: list[Transition]
) -> list[Transition]:
    """Put together what the detectors found: a fade is neither a cut nor a dissolve.

    Nor is what lies close to a fade a dissolve: it is the rest of it. Where a cut lies in a
    dissolve, the dissolve was its two sides in movement.
    """
    cuts = [cut for cut in cuts if not any(_meet(cut, fade) for fade in fades)]
    dissolves = [
        one
        for one in dissolves
        if not any(_meet(one, cut) for cut in cuts)
        and not any(_meet(one, fade, within=_REST_SECONDS) for fade in fades)
    ]
    return sorted([*fades, *cuts, *dissolves], key=lambda transition: transition.start_seconds)


def _meet(one: Transition, other: Transition, *, within: float = 0.0) -> bool:
    """Whether two overlap or lie so close."""
    return (
        one.start_seconds <= other.end_seconds + within
        and other.start_seconds <= one.end_seconds + within
    )


def shots_between(
    transitions: Sequence[Transition],
    start_seconds: float,
    end_seconds: float,
    *,
    approximate: bool,
) -> Shots:
    """Make shots of the transitions in a span, joining those under half a second to a neighbour.

    Cuts 4.0 and 4.3 in [0, 10) give [0, 4.3) and [4.3, 10): the 0.3 s join the shot before. A first
    shot that is too short joins the one after.
    """
    cuts = [t.boundary_seconds for t in transitions]
    edges = [start_seconds]
    notes = []
    for cut in [c for c in cuts if start_seconds < c < end_seconds] + [end_seconds]:
        if cut - edges[-1] >= MIN_SHOT_SECONDS:
            edges.append(cut)
            continue
        if cut < end_seconds or len(edges) > 1:
            notes.append(
                f"shot of {cut - edges[-1]:.2f} s at {edges[-1]:.2f} s joined its neighbour"
            )
        if len(edges) > 1:
            edges[-1] = cut
    if len(edges) == 1:
        edges.append(end_seconds)
    bounds = np.stack([edges[:-1], edges[1:]], axis=1).astype(np.float64)
    within = tuple(
        _clipped(transition, start_seconds, end_seconds)
        for transition in transitions
        if start_seconds < transition.end_seconds and transition.start_seconds < end_seconds
    )
    return Shots(bounds, approximate=approximate, notes=tuple(notes), transitions=within)


def _clipped(transition: Transition, start: float, end: float) -> Transition:
    """Return the part of a transition that lies in a span."""
    return Transition(
        min(max(transition.start_seconds, start), end),
        min(max(transition.end_seconds, start), end),
        transition.kind,
        min(max(transition.boundary_seconds, start), end),
    )
