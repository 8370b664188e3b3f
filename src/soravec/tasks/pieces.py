"""A video as pieces of a few seconds that lie in one shot and are not dull."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.types import FrameFeatures, Transition

Seconds = NDArray[np.float64]
Int = NDArray[np.int64]

PIECE_SECONDS = 8.0
"""Of a shot at most; longer in long videos."""
MOST_PIECES = 2_000
"""About so many; more where there are more shots."""
LEAST_QUALITY = 0.3
"""A frame below it is dull."""
LEAST_SECONDS = 1.0
"""A shorter rest of a shot is not shown, unless such are most of what is not dull."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a shot."""

    start_seconds: float
    end_seconds: float
    first: int
    """Number of its first frame."""
    last: int
    """Number of the frame after its last one."""
    starts: Seconds
    """(N,) from when each of its frames stands for what is on show."""
    part: int
    """Number of what is shown without a cut; that of its shot, but for cuts that were missed."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_seconds - self.start_seconds


def shot_of_frames(features: FrameFeatures) -> Int:
    """Return the number (T,) of the shot in which each frame lies."""
    starts = features.shots.bounds[:, 0]
    shots = np.searchsorted(starts, features.seconds + 1e-6, side="right") - 1
    return np.maximum(shots, 0).astype(np.int64)


def frame_spans(features: FrameFeatures, shots: Int) -> Seconds:
    """Return the span (T, 2) for which each frame stands: until the next one, within its shot."""
    bounds, seconds = features.shots.bounds, features.seconds
    same = np.diff(shots) == 0
    starts = np.where(np.append(False, same), seconds, np.minimum(bounds[shots, 0], seconds))
    ends = np.where(np.append(same, False), np.append(seconds[1:], 0), bounds[shots, 1])
    return np.stack([starts, np.maximum(ends, starts)], axis=1)


def find_pieces(
    spans: Seconds,
    shots: Int,
    cuts: NDArray[np.bool_],
    quality: NDArray[np.float32],
    transitions: Sequence[Transition],
) -> list[Piece]:
    """Return the pieces to choose from, in order of time; at least one.

    Args:
        spans: (T, 2) for which each frame stands.
        shots: (T,) in which shot it lies.
        cuts: (T - 1,) whether the next frame shows something else though its shot is the same.
        quality: (T,) in [0, 1]; what is below `LEAST_QUALITY` is left out, unless all is.
        transitions: Dissolves and fades, which are left out too.
    """
    good = quality >= LEAST_QUALITY
    parts = np.append(0, np.cumsum(cuts | (np.diff(shots) != 0)))
    for is_good in (good, np.ones_like(good)):
        runs = list(_runs(spans, shots, parts, is_good, transitions))
        long_enough = [run for run in runs if run[1] - run[0] >= LEAST_SECONDS]
        if 2 * _seconds(long_enough) < _seconds(runs):  # a trailer: every shot is short
            long_enough = runs
        if long_enough:
            return _divided(long_enough, spans, parts)
    raise AssertionError("a video without frames")


def _runs(
    spans: Seconds,
    shots: Int,
    parts: Int,
    good: NDArray[np.bool_],
    transitions: Sequence[Transition],
) -> Iterator[tuple[float, float, int, int]]:
    """Yield spans of good frames of one shot, and the numbers of the first and after the last."""
    change = np.flatnonzero((np.diff(parts) != 0) | (np.diff(good.astype(int)) != 0)) + 1
    edges = [0, *change.tolist(), len(shots)]
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        if not good[first]:
            continue
        start, end = float(spans[first, 0]), float(spans[last - 1, 1])
        ends_in_shot = last < len(shots) and shots[last] == shots[first]
        if ends_in_shot and last - first > 1:  # the change comes somewhere after the last frame
            end = float(spans[last - 1, 0])
        start, end = _without(start, end, transitions)
        if end > start:
            yield start, end, first, last


def _without(start: float, end: float, transitions: Sequence[Transition]) -> tuple[float, float]:
    """Return a span less the transitions at its ends, unless they are all of it."""
    begin, stop = start, end
    for one in transitions:
        if one.start_seconds <= begin < one.end_seconds:
            begin = one.end_seconds
        if one.start_seconds < stop <= one.end_seconds:
            stop = one.start_seconds
    return (begin, stop) if stop > begin else (start, end)


def _divided(runs: list[tuple[float, float, int, int]], spans: Seconds, parts: Int) -> list[Piece]:
    """Return runs in equal parts."""
    most = max(PIECE_SECONDS, _seconds(runs) / MOST_PIECES)
    pieces = []
    for start, end, first, last in runs:
        count = min(max(1, int(np.ceil((end - start) / most - 1e-6))), last - first)
        edges = np.linspace(start, end, count + 1)
        for begin, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            frames = np.arange(first, last)
            inside = frames[(spans[frames, 0] < stop - 1e-6) & (spans[frames, 1] > begin + 1e-6)]
            if not len(inside):
                continue
            starts = np.maximum(spans[inside, 0], begin)
            pieces.append(
                Piece(begin, stop, int(inside[0]), int(inside[-1]) + 1, starts, int(parts[first]))
            )
    return pieces


def _seconds(runs: list[tuple[float, float, int, int]]) -> float:
    return sum(end - start for start, end, *_ in runs)
