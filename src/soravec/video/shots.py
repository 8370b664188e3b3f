"""The shots of a video, found while it is decoded, and the segments that follow from them.

Each frame is seen once, as a signature (`signature`). Three detectors take these in blocks: of hard
cuts (`hardcuts`), of dissolves (`dissolves`) and of fades (`fades`).
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from soravec.types import Shots, Transition
from soravec.video.dissolves import Dissolves
from soravec.video.fades import Fades
from soravec.video.hardcuts import HardCuts
from soravec.video.signature import SIZE, SignatureReader

MIN_SHOT_SECONDS = 0.5
"""A shorter shot joins its neighbour."""

_BLOCK = 16
"""Frames that are looked at together, so that NumPy's own time is shared."""


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
    """Finds transitions in a stream of decoded frames, in constant memory but for what it finds."""

    def __init__(self) -> None:
        self._reader = SignatureReader()
        self._detectors = (HardCuts(), Dissolves(), Fades())
        self._seconds = np.empty(_BLOCK)
        self._signatures = np.empty((_BLOCK, SIZE), np.float32)
        self._num = 0

    def add(self, seconds: float, frame: VideoFrame) -> None:
        """Look at the next frame."""
        self._reader.read(frame, self._signatures[self._num])
        self._seconds[self._num] = seconds
        self._num += 1
        if self._num == _BLOCK:
            self._pass_on()

    def finish(self) -> list[Transition]:
        """Return all transitions, in order of time and apart from one another."""
        self._pass_on()
        return _reconciled(*(detector.finish() for detector in self._detectors))

    def _pass_on(self) -> None:
        seconds, signatures = self._seconds[: self._num], self._signatures[: self._num]
        self._num = 0
        if len(seconds):
            for detector in self._detectors:
                detector.add(seconds, signatures)


def _reconciled(
    cuts: list[Transition], dissolves: list[Transition], fades: list[Transition]
) -> list[Transition]:
    """Put together what the detectors found: a fade is neither a cut nor a dissolve.

    A cut in a dissolve is what it is, and the dissolve was its two sides in movement.
    """
    cuts = [cut for cut in cuts if not any(_meet(cut, fade) for fade in fades)]
    surer = [*fades, *cuts]
    dissolves = [one for one in dissolves if not any(_meet(one, other) for other in surer)]
    return sorted([*surer, *dissolves], key=lambda transition: transition.start_seconds)


def _meet(one: Transition, other: Transition) -> bool:
    return one.start_seconds <= other.end_seconds and other.start_seconds <= one.end_seconds


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
