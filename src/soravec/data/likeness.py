"""How alike two clips look, and whether they take the same course. Pure arithmetic on features.

One vector per clip cannot tell a copy from another clip of the same place. The *course* can: what
changes within a clip, frame by frame, less its own mean. In a copy the changes agree; before a
still camera, an hour later, they do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.types import FrameFeatures

Floats = NDArray[np.float64]

GRID_FPS = 4.0
"""Instants per second that are compared, or fewer where the features have fewer."""
WINDOW_SECONDS = 4.0
"""Length of the parts whose looks are compared."""
LEAST_SECONDS = 1.0
"""Two clips that share less than this are not compared, unless they are shorter themselves."""
ENOUGH_SECONDS = 4.0
"""To share this much is enough, however long the clips are; of shorter ones it is half."""
LOOKS_DIM = 64
"""Principal components that looks are compared in."""
FLOOR = 0.1
"""Least variance of a direction that changes are compared in, as a share of the mean. Directions
that seldom change tell most about a copy, but below this they carry the noise of the codec."""
STILL = 1e-9
"""Share of the whole below which changes are rounding: nothing moves."""


@dataclass(frozen=True, slots=True)
class Space:
    """Where clips are compared, fitted to the clips themselves."""

    mean: Floats
    """(C,) of all frames."""
    looks: Floats
    """(C, K): principal components of all frames, whitened with strength 0.5."""
    changes: Floats
    """(C, C): whitens the deviations of frames from the mean of their clip."""
    fps: float
    """Instants per second."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the changes of two clips agree, at the offset where they agree best."""

    score: float
    """Correlation in [-1, 1], less what a short overlap gives by chance; -1 if nothing overlaps."""
    offset_steps: int
    """Step `n` of the second clip is step `n + offset_steps` of the first."""
    overlap_steps: int
    """Steps that they share."""


def fit_space(features: Sequence[FrameFeatures]) -> Space:
    """Return the space of some clips; few clips are whitened less, because they show less."""
    dim = features[0].features.shape[1]
    total, square, within = np.zeros(dim), np.zeros((dim, dim)), np.zeros((dim, dim))
    number, rates = 0, []
    for clip in features:
        frames = clip.features.astype(np.float64)
        total += frames.sum(axis=0)
        square += frames.T @ frames
        deviations = frames - frames.mean(axis=0)
        within += deviations.T @ deviations
        number += len(frames)
        if len(frames) > 1:
            rates.append((len(frames) - 1) / (clip.seconds[-1] - clip.seconds[0]))
    mean = total / number
    values, vectors = np.linalg.eigh(within / number)
    floor = (FLOOR + dim / number) * max(values.mean(), 1e-12)
    changes = vectors / np.sqrt(np.maximum(values, 0) + floor)
    values, vectors = np.linalg.eigh(square / number - np.outer(mean, mean))
    values, vectors = np.maximum(values[-LOOKS_DIM:], 0), vectors[:, -LOOKS_DIM:]
    floor = (0.1 * FLOOR + LOOKS_DIM / number) * max(values.mean(), 1e-12)
    looks = vectors / (values + floor) ** 0.25
    usual = float(np.median(rates)) if rates else GRID_FPS
    return Space(mean, looks, changes, min(GRID_FPS, usual))


def looks_of(clip: FrameFeatures, space: Space) -> NDArray[np.float32]:
    """Return unit vectors (W, K) float32 of the clip's parts of four seconds."""
    frames = (clip.features.astype(np.float64) - space.mean) @ space.looks
    steps = on_grid(frames, clip.seconds, space.fps)
    length = max(1, round(WINDOW_SECONDS * space.fps))
    starts = range(0, max(1, len(steps) - length // 2), length)
    parts = np.stack([steps[start : start + length].mean(axis=0) for start in starts])
    norms = np.linalg.norm(parts, axis=1, keepdims=True)
    looks: NDArray[np.float32] = (parts / np.maximum(norms, 1e-9)).astype(np.float32)
    return looks


def course_of(clip: FrameFeatures, space: Space, *, shift_steps: float = 0.0) -> Floats:
    """Return the clip (N, C) in whitened changes, at the steps of the grid."""
    frames = (clip.features.astype(np.float64) - space.mean) @ space.changes
    return on_grid(frames, clip.seconds, space.fps, shift_steps=shift_steps)


def on_grid(
    frames: Floats, seconds: NDArray[np.float64], fps: float, *, shift_steps: float = 0.0
) -> Floats:
    """Return frames (N, C) at even steps from the first one's time on, by linear interpolation.

    At 4 steps/s frames at 10.0, 10.5 and 11.0 s become five, at 10.0, 10.25 ... 11.0; shifted by
    half a step four, at 10.125 ... 10.875.
    """
    since = seconds - seconds[0] - shift_steps / fps
    number = int(np.floor(since[-1] * fps + 1e-6)) + 1
    if number < 1 or len(frames) == 1:
        return frames[:1]
    at = np.arange(number) / fps
    before = np.clip(np.searchsorted(since, at, side="right") - 1, 0, len(since) - 2)
    share = (at - since[before]) / (since[before + 1] - since[before])
    share = np.clip(share, 0, 1)[:, None]
    steps: Floats = frames[before] * (1 - share) + frames[before + 1] * share
    return steps


def agreement(first: Floats, second: Floats, fps: float) -> Agreement:
    """Return how well two courses agree, at the offset where they agree best.

    At an offset where L steps overlap, with x and y their deviations from their means over the
    overlap, the score is `sum(x * y) / sqrt(sum(x * x) * sum(y * y)) * (L - 1) / L`. Sums over all
    overlaps come from running sums: the frames are multiplied with one another once.

    Args:
        first: (N, C), as `course_of` gives it.
        second: (M, C).
        fps: Steps per second.
    """
    n, m = len(first), len(second)
    shorter = min(n, m)
    least = min(round(LEAST_SECONDS * fps), shorter)
    least = max(2, least, min(-(-shorter // 2), round(ENOUGH_SECONDS * fps)))
    products = first @ second.T
    sums = [np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, 0)]) for x in (first, second)]
    squares = [np.append(0.0, np.cumsum((x * x).sum(axis=1))) for x in (first, second)]
    best = Agreement(-1.0, 0, 0)
    for offset in range(least - m, n - least + 1):
        begin, end = max(0, offset), min(n, offset + m)
        length = end - begin
        one = sums[0][end] - sums[0][begin]
        other = sums[1][end - offset] - sums[1][begin - offset]
        both = np.trace(products, offset=-offset) - one @ other / length
        energy = (
            squares[0][end] - squares[0][begin],
            squares[1][end - offset] - squares[1][begin - offset],
        )
        spread = energy[0] - one @ one / length, energy[1] - other @ other / length
        if spread[0] > STILL * energy[0] and spread[1] > STILL * energy[1]:
            score = float(both / np.sqrt(spread[0] * spread[1])) * (length - 1) / length
            if score > best.score:
                best = Agreement(score, offset, length)
    return best
