"""Metrics as statistics: of every draw of clips at once, for intervals and paired comparisons.

Each returns what scikit-learn returns with `sample_weight`; the tests compare them.
"""

import numpy as np
from numpy.typing import NDArray

from soravec.evaluation.intervals import BLOCK, Counts, Statistic, mean_of, weighted_sums

Float = NDArray[np.float64]


def accuracy(scores: Float, truth: NDArray[np.int64]) -> Statistic:
    """Return the share of clips whose highest score (N, K) is that of their class (N,)."""
    return mean_of((scores.argmax(axis=1) == truth).astype(np.float64))


def ratio(part: Float, whole: Float) -> Statistic:
    """Return the sum of a value (N,) over that of another, such as hits over answers.

    NaN where the second sum is 0.
    """
    columns = np.stack([part, whole], axis=1)

    def statistic(counts: Counts) -> Float:
        sums = weighted_sums(counts, columns)  # (R, 2)
        return sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan)

    return statistic


def average_precision(scores: Float, truth: NDArray[np.bool_]) -> Statistic:
    """Return the average precision of one class; both (N,). NaN where no drawn clip is of it."""
    ranking = _Ranking(scores, truth)
    return lambda counts: np.concatenate(
        [ranking.precision(counts[at : at + BLOCK]) for at in range(0, len(counts), BLOCK)]
    )


def macro_f1(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Statistic:
    """Return the mean over classes of F1; both (N, K).

    Of classes that no drawn clip belongs to nothing can be said: the mean is over the others.
    """
    hits = (predicted & truth).astype(np.float64)
    both = predicted.astype(np.float64) + truth
    real = truth.astype(np.float64)

    def statistic(counts: Counts) -> Float:
        present = weighted_sums(counts, real) > 0  # (R, K)
        total = weighted_sums(counts, both)
        scores = 2 * weighted_sums(counts, hits) / np.where(total > 0, total, 1)
        return _mean_where(scores, present)

    return statistic


def mean_average_precision(scores: Float, truth: NDArray[np.bool_]) -> Statistic:
    """Return the mean over classes of the average precision; both (N, K).

    Classes that no drawn clip belongs to are left out.
    """
    classes = [average_precision(scores[:, k], truth[:, k]) for k in range(scores.shape[1])]

    def statistic(counts: Counts) -> Float:
        values = np.stack([one(counts) for one in classes], axis=1)  # (R, K)
        return _mean_where(np.nan_to_num(values), np.isfinite(values))

    return statistic


class _Ranking:
    """Clips in the order of one class's scores, equal scores together."""

    def __init__(self, scores: Float, truth: NDArray[np.bool_]) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        self._right = truth[self._order].astype(np.float64)

    def precision(self, counts: Counts) -> Float:
        """Return the average precision (R,) of draws (R, N); NaN where none is right."""
        drawn = counts[:, self._order].astype(np.float64)
        seen = drawn.cumsum(axis=1)[:, self._last]  # (R, distinct scores)
        found = (drawn * self._right).cumsum(axis=1)[:, self._last]
        gained = np.diff(found, axis=1, prepend=0.0)
        sums = (gained * found / np.where(seen > 0, seen, 1)).sum(axis=1)
        total = found[:, -1]
        return np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan)


def r_squared(predicted: Float, truth: Float) -> Statistic:
    """Return the mean over targets of R2: 1 less the squared error over the variance; both (N, K).

    NaN where a drawn target does not vary.
    """
    squares = (predicted - truth) ** 2
    centred = truth - truth.mean(axis=0)

    def statistic(counts: Counts) -> Float:
        number = counts.sum(axis=1, keepdims=True)
        mean = weighted_sums(counts, centred) / number
        variance = weighted_sums(counts, centred**2) / number - mean**2
        error = weighted_sums(counts, squares) / number
        ratio = error / np.where(variance > 1e-12, variance, np.nan)
        return np.asarray((1 - ratio).mean(axis=1), np.float64)

    return statistic


def _mean_where(values: Float, mask: NDArray[np.bool_]) -> Float:
    """Return the means of rows over the places of the mask; NaN where a row has none."""
    number = mask.sum(axis=1)
    sums = np.where(mask, values, 0).sum(axis=1)
    return np.where(number > 0, sums / np.where(number > 0, number, 1), np.nan)
