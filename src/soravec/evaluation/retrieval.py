"""How well vectors find their like: among clips of other groups, beside what chance would find."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from soravec.evaluation.intervals import (
    Counts,
    Figure,
    Resamples,
    figure,
    mean_figure,
    proportion_figure,
)
from soravec.runtime.vectors import normalise

Float = NDArray[np.float64]

RANKS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Ranks:
    """What each query found."""

    query: NDArray[np.int64]
    """(Q,) which clips asked: those that have a like among clips of other groups."""
    first: NDArray[np.int64]
    """(Q,) rank of the first right clip, from 1."""
    average_precision: Float
    """(Q,) mean over the right clips of the share of right ones down to each."""
    gallery: NDArray[np.int64]
    """(Q,) clips that were searched."""
    relevant: NDArray[np.int64]
    """(Q,) how many of them are right."""


@dataclass(frozen=True, slots=True)
class RetrievalMetrics:
    """Of one kind of vector."""

    num_queries: int
    """Clips that asked."""
    recall: tuple[tuple[int, Figure], ...]
    """For each k: share of queries with a right clip among the best k."""
    mean_average_precision: Figure
    """Mean over the queries."""
    median_rank: Figure
    """Of the first right clip."""


def rank_clips(
    vectors: NDArray[np.float32] | Float,
    relevant: NDArray[np.bool_],
    units: Sequence[int] | NDArray[np.int64],
) -> Ranks:
    """Return what each clip finds among the clips of other units, by cosine.

    Of equally near clips the wrong ones come first: a vector that says nothing finds nothing.

    Args:
        vectors: (N, D).
        relevant: (N, N) whether two clips are alike.
        units: (N,) the number of each clip's group.
    """
    units = np.asarray(units)
    unit_length = normalise(np.asarray(vectors, np.float64))
    found: list[tuple[int, int, float, int, int]] = []
    for query in range(len(units)):
        gallery = np.flatnonzero(units != units[query])
        right = relevant[query, gallery]
        if not right.any():
            continue
        likeness = (unit_length[gallery] @ unit_length[query]).round(9)
        order = np.lexsort((right, -likeness))
        ranks = np.flatnonzero(right[order]) + 1
        precision = float((np.arange(1, len(ranks) + 1) / ranks).mean())
        found.append((query, int(ranks[0]), precision, len(gallery), len(ranks)))
    columns = list(zip(*found, strict=True)) if found else [()] * 5
    return Ranks(
        query=np.array(columns[0], np.int64),
        first=np.array(columns[1], np.int64),
        average_precision=np.array(columns[2], np.float64),
        gallery=np.array(columns[3], np.int64),
        relevant=np.array(columns[4], np.int64),
    )


def retrieval_metrics(ranks: Ranks, resamples: Resamples) -> RetrievalMetrics:
    """Return the metrics of what queries found, with intervals over the units of the queries.

    Args:
        ranks: Of `rank_clips`, with at least one query.
        resamples: Draws of the queries (R, Q), in their order.
    """
    return RetrievalMetrics(
        num_queries=len(ranks.query),
        recall=tuple((k, proportion_figure(ranks.first <= k, resamples)) for k in RANKS),
        mean_average_precision=mean_figure(ranks.average_precision, resamples),
        median_rank=figure(lambda counts: _medians(ranks.first, counts), resamples),
    )


def chance_metrics(ranks: Ranks) -> RetrievalMetrics:
    """Return what the same queries find in a gallery in random order, in expectation."""
    recall = [(k, Figure(float(_chance_within(ranks, k).mean()))) for k in RANKS]
    rank = 1
    while _chance_within(ranks, rank).mean() < 0.5:
        rank += 1
    return RetrievalMetrics(
        num_queries=len(ranks.query),
        recall=tuple(recall),
        mean_average_precision=Figure(float(_chance_precision(ranks).mean())),
        median_rank=Figure(float(rank)),
    )


def _medians(ranks: NDArray[np.int64], counts: Counts) -> Float:
    """Return the lower median (R,) of ranks (N,) that were drawn `counts` (R, N) times."""
    order = np.argsort(ranks, kind="stable")
    drawn = counts[:, order].astype(np.int64).cumsum(axis=1)
    middle = (drawn[:, -1:] + 1) // 2
    return np.asarray(ranks[order][(drawn < middle).sum(axis=1)], np.float64)


def _chance_within(ranks: Ranks, k: int) -> Float:
    """Return (Q,) how likely a right clip is among the first k: 1 - C(n - r, k) / C(n, k)."""
    n, wrong = ranks.gallery, ranks.gallery - ranks.relevant
    taken = np.minimum(k, wrong)
    missed = (
        gammaln(wrong + 1) - gammaln(wrong - taken + 1) - gammaln(n + 1) + gammaln(n - taken + 1)
    )
    return np.where(wrong < k, 1.0, 1 - np.exp(missed))


def _chance_precision(ranks: Ranks) -> Float:
    """Return (Q,) the expected average precision of a random order.

    The clip at place i is right with probability r / n, and the share of right ones down to it is
    then (1 + (i - 1) (r - 1) / (n - 1)) / i. Summed over i and divided by r, with the harmonic
    number H of n: (H + (r - 1) / (n - 1) (n - H)) / n. Two clips, one right: 0.75.
    """
    n, r = ranks.gallery, ranks.relevant
    harmonic = np.append(0, np.cumsum(1 / np.arange(1, n.max() + 1)))[n]
    return np.asarray((harmonic + (r - 1) / np.maximum(n - 1, 1) * (n - harmonic)) / n)
