"""What of a video is worth watching: few seconds that show as much of it as they can.

A video is divided into pieces without what is dull (`flaws`). Those are taken that stand for most
of it, none that repeats another (`selection`), and share the seconds that may be spent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError
from soravec.runtime.encoder import Encoder
from soravec.tasks.flaws import FLAWS, Quality, frame_quality
from soravec.tasks.pieces import Piece, find_pieces, frame_spans, shot_of_frames
from soravec.tasks.repeats import Repeats
from soravec.tasks.selection import choose_pieces, share_out
from soravec.types import FrameFeatures

Float = NDArray[np.float32]

DEFAULT_SHARE = 0.15
LEAST_SECONDS = 1.5
"""What is shown is no shorter, where it is not all of a shot."""
NUM_LOOKS = 4
"""Frames of a piece that stand for it."""
MOST_FRAMES = 4_000
"""Of the video are stood for, at most, evenly spaced."""
FLOOR = 0.3
"""Two frames of one video that are less alike have nothing to do with one another."""
LEAST_FLAW = 0.5
"""From which on a flaw is named."""


@dataclass(frozen=True, slots=True)
class ChosenSpan:
    """A span that is worth watching."""

    path: str
    start_seconds: float
    end_seconds: float
    representative: float
    """Share of the video that is like it, more than like any other span that was chosen."""
    novelty: float
    """1 less its likeness to the likest other span, in [0, 1]."""
    quality: float
    """How good it is to look at, in [0, 1]: neither dark, flat, still, blurred nor shaken."""
    why: str
    """The same in words."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True, slots=True)
class Summary:
    """What of a video is worth watching."""

    path: str
    spans: tuple[ChosenSpan, ...]
    """In order of time."""
    start_seconds: float
    """Where the video begins."""
    end_seconds: float
    """Where it ends."""
    dull_seconds: float
    """Of the video were never to be chosen: dark, flat, still, shaken, or too short a rest."""
    notes: tuple[str, ...]
    """What was seen that matters, in sentences."""

    @property
    def seconds(self) -> float:
        """Length of all spans together."""
        return sum(span.seconds for span in self.spans)


def summarize(
    features: FrameFeatures,
    encoder: Encoder,
    *,
    seconds: float | None = None,
    share: float = DEFAULT_SHARE,
    least_seconds: float = LEAST_SECONDS,
) -> Summary:
    """Return the spans of a video that show most of it in so many seconds, without repeats.

    Where there is time for all of it, all is chosen but what is dull and what is told to be shown
    again; some copies are not told, and get in then.

    Args:
        features: Of the video, as a library holds them or `Encoder.read` returns them.
        encoder: The model that they are of.
        seconds: Length of the summary, at most; None for a share of the video.
        share: The share.
        least_seconds: No span is shorter, unless its shot is, or `seconds` are fewer.

    Raises:
        QueryError: A length is not above 0.
        ModelError: The features are of another CNN.
    """
    bounds = features.shots.bounds
    start, end = float(bounds[0, 0]), float(bounds[-1, 1])
    budget = share * (end - start) if seconds is None else seconds
    if not 0 < budget < np.inf or not 0 < least_seconds < np.inf:
        raise QueryError(f"a summary must be longer than 0 s, and so its spans; not {budget:g} s")
    shots = shot_of_frames(features)
    spans = frame_spans(features, shots)
    weights = (spans[:, 1] - spans[:, 0]).astype(np.float32)
    quality = frame_quality(features, shots, weights)
    looks = encoder.frame_looks(features)
    cuts = (looks[1:] * looks[:-1]).sum(axis=1) < FLOOR
    pieces = find_pieces(spans, shots, cuts, quality.values, features.shots.transitions)
    view = _View(features, looks, weights, quality, pieces)
    chosen = _choose(view, budget, least_seconds)
    lengths = share_out(np.array([pieces[piece].seconds for piece in chosen]), budget)
    windows = [
        _window(view, pieces[piece], float(length))
        for piece, length in zip(chosen, lengths, strict=True)
    ]
    found = _described(view, _joined(windows))
    dull = end - start - sum(piece.seconds for piece in pieces)
    notes = _notes(view, budget, sum(span.seconds for span in found), dull)
    return Summary(features.info.path, found, start, end, max(0.0, dull), notes)


@dataclass(frozen=True, slots=True)
class _View:
    """A video, as it is chosen from."""

    features: FrameFeatures
    looks: Float
    """(T, A), unit length."""
    weights: Float
    """(T,) seconds of each frame."""
    quality: Quality
    pieces: list[Piece]


def _choose(view: _View, budget: float, least_seconds: float) -> list[int]:
    """Return the pieces to show: unlike ones, and where there is time, more that are no copies."""
    repeats = Repeats(view.features, view.looks, view.pieces)
    lengths = np.array([piece.seconds for piece in view.pieces], np.float32)
    least = np.minimum(lengths, min(least_seconds, budget))
    good = np.array([view.quality.values[p.first : p.last].mean() for p in view.pieces], np.float32)
    frames = _some(0, len(view.looks), MOST_FRAMES)
    covered = _covered(view, frames) * good[:, None]  # nobody sees much in a bad picture
    weights = (view.weights * view.quality.values)[frames]
    chosen: list[int] = []
    rules: list[tuple[Float, Callable[[int, int], bool]]] = [
        (least, repeats.are_alike),
        (lengths, repeats.are_copies),
        (least, repeats.are_copies),
    ]
    for costs, rule in rules:
        left = budget - float(lengths[chosen].sum())
        if left <= 0:
            break
        chosen = choose_pieces(covered, weights, good, costs, left, rule, chosen)
    return chosen


def _covered(view: _View, frames: NDArray[np.int64]) -> Float:
    """Return how like each piece is to each of some frames, (P, F)."""
    ground = view.looks[frames].T
    covered = np.zeros((len(view.pieces), len(frames)), np.float32)
    some = np.array([_evenly(piece, NUM_LOOKS) for piece in view.pieces]).reshape(-1, NUM_LOOKS)
    for number in range(NUM_LOOKS):
        alike = view.looks[some[:, number]] @ ground
        np.maximum(covered, (alike - FLOOR) / (1 - FLOOR), out=covered)
    return covered


def _window(view: _View, piece: Piece, length: float) -> tuple[float, float]:
    """Return the seconds of a piece that are best to look at and likest to all of it."""
    frames = slice(piece.first, piece.last)
    looks = view.looks[frames]
    mean = looks.mean(axis=0)
    worth = view.quality.values[frames] * (looks @ mean / max(float(mean @ mean) ** 0.5, 1e-6))
    edges = np.append(piece.starts, piece.end_seconds)
    starts = np.append(piece.starts, piece.end_seconds - length)
    starts = np.unique(starts[(starts >= edges[0]) & (starts <= edges[-1] - length + 1e-9)])
    within = np.minimum(starts[:, None] + length, edges[1:]) - np.maximum(
        starts[:, None], edges[:-1]
    )
    scores = np.maximum(within, 0) @ worth
    best = np.flatnonzero(scores >= scores.max() - 1e-4 * length)
    middle = (edges[0] + edges[-1] - length) / 2
    start = float(starts[best[np.abs(starts[best] - middle).argmin()]])
    return start, min(start + length, piece.end_seconds)


def _joined(windows: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return spans in order of time, those that touch as one."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(windows):
        if joined and start <= joined[-1][1] + 1e-6:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _described(view: _View, spans: list[tuple[float, float]]) -> tuple[ChosenSpan, ...]:
    """Return spans with what speaks for them."""
    features = view.features
    inside = [_frames_in(features, *span) for span in spans]
    likeness = np.stack(
        [(view.looks[frames] @ view.looks.T).max(axis=0) for frames in inside]
    )  # (S, T)
    nearest = np.where(likeness.max(axis=0) >= FLOOR, likeness.argmax(axis=0), -1)
    found = []
    for number, (start, end) in enumerate(spans):
        others = np.delete(likeness[:, inside[number]].mean(axis=1), number)
        share = float(view.weights[nearest == number].sum() / view.weights.sum())
        novelty = 1 - float(np.clip(others.max(initial=0), 0, 1))
        quality = float(view.quality.values[inside[number]].mean())
        flaws = view.quality.flaws[inside[number]].mean(axis=0)
        why = _why(share * float(view.weights.sum()), novelty, flaws)
        found.append(ChosenSpan(features.info.path, start, end, share, novelty, quality, why))
    return tuple(found)


def _why(seconds: float, novelty: float, flaws: Float) -> str:
    named = [name for name, flaw in zip(FLAWS, flaws.tolist(), strict=True) if flaw >= LEAST_FLAW]
    unlike = "unlike all else that is shown" if novelty >= 0.5 else "somewhat like another span"
    seen = ", ".join(named) if named else "without flaws"
    return f"stands for {seconds:.0f} s; {unlike}; {seen}"


def _frames_in(features: FrameFeatures, start: float, end: float) -> NDArray[np.int64]:
    """Return the frames of a span; the one on show at its middle where there is none."""
    first, last = np.searchsorted(features.seconds, [start - 1e-6, end - 1e-6])
    if first < last:
        return np.arange(first, last)
    middle = np.searchsorted(features.seconds, (start + end) / 2, side="right") - 1
    return np.array([max(0, int(middle))])


def _notes(view: _View, budget: float, seconds: float, dull: float) -> tuple[str, ...]:
    notes = []
    if view.features.sketches is None:
        notes.append(
            "indexed by an older Soravec: dull spans cannot be told, nor copies from what is alike;"
            " forget it and index it again"
        )
    if view.quality.usual:
        notes.append(f"most of the video is {', '.join(view.quality.usual)}: that does not count")
    if view.features.shots.approximate:
        notes.append("only some frames were read: spans begin and end near where is said")
    if seconds < budget - max(1.0, 0.02 * budget):
        notes.append(
            f"{seconds:.1f} s are all there is to show: the rest is shown already, or dull"
            f" ({max(0.0, dull):.1f} s)"
        )
    return tuple(notes)


def _evenly(piece: Piece, number: int) -> NDArray[np.int64]:
    """Return frames of a piece, the middles of equal parts of it."""
    count = piece.last - piece.first
    return piece.first + ((np.arange(number) + 0.5) * count / number).astype(np.int64)


def _some(first: int, last: int, most: int) -> NDArray[np.int64]:
    return np.linspace(first, last - 1, min(most, last - first)).round().astype(np.int64)
