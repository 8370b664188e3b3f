"""How sure a figure is: 95 % intervals by resampling clips, or whole groups of them.

Clips of one group (one source video, one person) are not independent: where there are groups, whole
groups are drawn. Every statistic is computed from how often each clip was drawn, so that two models
are compared on the same draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Float = NDArray[np.float64]
Counts = NDArray[np.uint16]
Statistic = Callable[[NDArray[np.uint16]], Float]
"""Takes how often each clip counts (R, N), gives the statistic of every draw (R,) float64."""

LEVEL = 0.95
NUM_RESAMPLES = 2000
DIGITS = 12
"""Decimals of a difference that are kept: beyond them, the order of a sum decides."""
FEW_UNITS = 20
"""With fewer groups than this an interval is rough, and usually too narrow."""
BLOCK = 250
"""Draws whose counts are widened to float64 at once."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a report, and how sure it is."""

    value: float
    """The number; NaN where it is not defined."""
    low: float | None = None
    """Lower end of the interval; None where there is none."""
    high: float | None = None
    """Upper end of the interval."""
    num_clips: int = 0
    """Clips that it was measured on; 0 for one that follows from the classes alone."""
    method: str = ""
    """How the interval was made; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Resamples:
    """Draws of clips, with replacement."""

    counts: Counts
    """(R, N) uint16: how often each of the N clips was drawn."""
    num_units: int
    """What was drawn from: groups, or clips where there are no groups."""

    @property
    def num_clips(self) -> int:
        """How many clips there are to draw."""
        return int(self.counts.shape[1])

    @property
    def grouped(self) -> bool:
        """Whether whole groups were drawn."""
        return self.num_units < self.num_clips

    @property
    def method(self) -> str:
        """What was done, in words."""
        what = f"{self.num_units} groups" if self.grouped else f"{self.num_units} clips"
        return f"percentile bootstrap over {what}"


def resample(
    units: Sequence[int] | NDArray[np.int64],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Resamples:
    """Return draws of as many units as there are.

    Args:
        units: (N,) the number of each clip's unit, as `soravec.data.clips.units_of` gives them.
        num_resamples: Draws R.
        seed: Of the draws.
    """
    _, numbers = np.unique(np.asarray(units), return_inverse=True)
    num_units = int(numbers.max()) + 1 if len(numbers) else 0
    rng = np.random.default_rng(seed)
    counts = np.empty((num_resamples, len(numbers)), np.uint16)
    for row in counts:
        drawn = np.bincount(rng.integers(num_units, size=num_units), minlength=num_units)
        row[:] = drawn[numbers]
    return Resamples(counts, num_units)


def figure(statistic: Statistic, resamples: Resamples) -> Figure:
    """Return a statistic of the clips with its percentile interval.

    Draws in which the statistic is not defined (NaN: no clip of some kind was drawn) are left out.
    """
    value = float(statistic(np.ones((1, resamples.num_clips), np.uint16))[0])
    drawn = statistic(resamples.counts)
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(drawn) or resamples.num_units < 2:
        return Figure(value, num_clips=resamples.num_clips)
    tail = 100 * (1 - LEVEL) / 2
    low, high = (
        round(float(end), DIGITS) + 0.0 for end in np.percentile(drawn, [tail, 100 - tail])
    )
    return Figure(value, low, high, resamples.num_clips, resamples.method)


def mean_figure(values: Float, resamples: Resamples) -> Figure:
    """Return the mean of one value per clip (N,), with its percentile interval."""
    return figure(mean_of(values), resamples)


def proportion_figure(right: NDArray[np.bool_], resamples: Resamples) -> Figure:
    """Return the share of clips that are right, with the interval that suits it.

    Wilson's score interval (Wilson, "Probable inference, the law of succession, and statistical
    inference", 1927) where clips are independent: it is right for few clips and near 0 and 1, where
    a bootstrap is not. Over groups the bootstrap; if all clips or none are right it would have no
    width, and Wilson's is given with as many trials as there are groups.
    """
    values = np.asarray(right, np.float64)
    share = float(values.mean())
    if resamples.grouped and 0 < share < 1:
        return mean_figure(values, resamples)
    what = f"{resamples.num_units} {'groups' if resamples.grouped else 'clips'}"
    low, high = wilson(round(share * resamples.num_units), resamples.num_units)
    return Figure(share, low, high, len(values), f"Wilson over {what}")


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share that was seen in independent trials.

    >>> [round(end, 4) for end in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    ends = binomtest(successes, trials).proportion_ci(LEVEL, method="wilson")
    return float(ends.low), float(ends.high)


def mean_of(values: Float) -> Statistic:
    """Return the statistic that is the mean of one value per clip (N,)."""
    column = np.asarray(values, np.float64)[:, None]
    return lambda counts: weighted_sums(counts, column)[:, 0] / counts.sum(axis=1)


def difference(first: Statistic, second: Statistic) -> Statistic:
    """Return the statistic that is the first less the second, draw by draw."""
    return lambda counts: (first(counts) - second(counts)).round(DIGITS) + 0.0  # no -0.0


def average(statistics: Sequence[Statistic]) -> Statistic:
    """Return the statistic that is the mean of several, draw by draw."""
    return lambda counts: np.mean([statistic(counts) for statistic in statistics], axis=0)


def weighted_sums(counts: Counts, values: Float) -> Float:
    """Return the sums (R, K) over clips of values (N, K), each as often as it was drawn."""
    blocks = range(0, len(counts), BLOCK)
    return np.concatenate([counts[at : at + BLOCK].astype(np.float64) @ values for at in blocks])
