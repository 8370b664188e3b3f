"""A label from a handful of examples. Pure arithmetic on vectors.

A logistic regression whose weights are pulled towards zero. What nobody labelled counts a little as
what the label is not, which it mostly is. Probabilities come from the scores of examples that were
left out (Platt, "Probabilistic outputs for support vector machines", 1999), and mean: had it been
as likely as not before anything was seen.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Vectors = NDArray[np.float32]
Bools = NDArray[np.bool_]
Int = NDArray[np.int64]

PULL = 0.3
"""Strength of the pull towards zero, of vectors scaled to a mean square of 1."""
BACKGROUND_WEIGHT = 0.3
"""Of all that nobody labelled, together, as a share of all examples; where all of these show the
label, it counts as much as they do."""
MOST_FOLDS = 5
"""With more videos, several are left out at once."""
CALIBRATION_PULL = 0.05
"""The same pull for the two numbers that make probabilities of scores."""
LEAST_GAIN = 0.05
"""Of these the first is no less: the order of scores stays."""
ROUNDS = 30
"""Of Newton's method, at most."""


class Learned(NamedTuple):
    """A linear label: `1 / (1 + exp(-(x @ weight + bias)))` is its probability."""

    weight: Float
    """(D,)."""
    bias: float
    odds: Float
    """(N,) log-odds of the examples, each by a label that was learned without it."""


def learn_label(vectors: Vectors, truth: Bools, groups: Int, background: Vectors) -> Learned:
    """Return a label learned from examples.

    Args:
        vectors: (N, D) of the examples.
        truth: (N,) which of them it is; at least one.
        groups: (N,) which video each is of: those of one are alike, so they count as one and are
            left out together.
        background: (B, D) of what nobody labelled: a sample of the library; may be empty.
    """
    everything = np.concatenate([background, vectors]).astype(np.float64)
    mean = everything.mean(axis=0)
    scale = 1 / max(float(np.sqrt(np.square(everything - mean).sum(axis=1).mean())), 1e-6)
    examples, others = (vectors - mean) * scale, (background - mean) * scale
    slope, offset = _fitted(examples, truth, groups, others)
    scores = np.zeros(len(truth))
    for left_out in _folds(truth, groups):
        kept = ~left_out
        if truth[kept].any():
            other_slope, other_offset = _fitted(examples[kept], truth[kept], groups[kept], others)
            scores[left_out] = examples[left_out] @ other_slope + other_offset
    gain, shift = _calibrated(scores, truth, groups)
    weight = slope * scale * gain
    return Learned(weight, gain * offset + shift - float(mean @ weight), gain * scores + shift)


def choose_uncertain(odds: Float, vectors: Vectors, num_wanted: int) -> list[int]:
    """Return rows that would teach most: uncertain, and unlike one another.

    Args:
        odds: (N,) log-odds that it is the label.
        vectors: (N, D) unit length.
        num_wanted: How many at most.
    """
    likely = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    worth = 1 - np.abs(2 * likely - 1)
    chosen: list[int] = []
    while len(chosen) < min(num_wanted, len(odds)):
        row = int(worth.argmax())
        chosen.append(row)
        worth = worth * np.clip(1 - vectors @ vectors[row], 0, 1)
        worth[chosen] = -1
    return chosen


def _folds(truth: Bools, groups: Int) -> list[Bools]:
    """Return which examples are left out together, whole groups; none where there is but one."""
    names = np.unique(groups)
    order = sorted(names.tolist(), key=lambda name: (-truth[groups == name].mean(), name))
    number = min(len(order), MOST_FOLDS)
    if number < 2:
        return []
    return [np.isin(groups, order[start::number]) for start in range(number)]


def _fitted(examples: Float, truth: Bools, groups: Int, others: Float) -> tuple[Float, float]:
    """Return slope and offset."""
    values = np.concatenate([examples, others])
    values = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    wanted = np.concatenate([truth, np.zeros(len(others))])
    weights = _evenly(truth, groups)
    share = BACKGROUND_WEIGHT if not truth.all() else 1.0  # else it alone is what the label is not
    extra = np.full(len(others), share * weights.sum() / max(len(others), 1))
    pull = np.append(np.full(examples.shape[1], PULL), 1e-3)
    found = _logistic(values, wanted, np.concatenate([weights, extra]), pull)
    return found[:-1], float(found[-1])


def _calibrated(scores: Float, truth: Bools, groups: Int) -> tuple[float, float]:
    """Return gain and shift that make log-odds of scores; of too few examples they stay."""
    positive, negative = (len(np.unique(groups[kind])) for kind in (truth, ~truth))
    if min(positive, negative) < 2:
        return 1.0, 0.0
    spread = max(float(np.sqrt(np.mean(scores**2))), 1e-6)
    values = np.stack([scores / spread, np.ones(len(scores))], axis=1)
    wanted = np.where(truth, (positive + 1) / (positive + 2), 1 / (negative + 2))
    pull = np.full(2, CALIBRATION_PULL)
    gain, shift = _logistic(values, wanted, _evenly(truth, groups), pull).tolist()
    return max(gain, LEAST_GAIN) / spread, shift


def _evenly(truth: Bools, groups: Int) -> Float:
    """Return weights by which both kinds count the same, and in each of them every group."""
    weights = np.zeros(len(truth))
    for kind in (truth, ~truth):
        names, sizes = np.unique(groups[kind], return_counts=True)
        for name, size in zip(names, sizes, strict=True):
            weights[kind & (groups == name)] = 1 / (size * len(names))
    return weights * len(np.unique(groups)) / 2


def _logistic(values: Float, wanted: Float, weights: Float, pull: Float) -> Float:
    """Return the coefficients of a weighted logistic regression, by Newton's method."""
    found = np.zeros(values.shape[1])
    for _ in range(ROUNDS):
        likely = 1 / (1 + np.exp(-np.clip(values @ found, -30, 30)))
        slope = values.T @ (weights * (likely - wanted)) + pull * found
        bend = (values * (weights * likely * (1 - likely))[:, None]).T @ values + np.diag(pull)
        step = np.linalg.solve(bend, slope)
        found = found - step
        if np.abs(step).max() < 1e-6:
            break
    return found
