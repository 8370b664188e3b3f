"""Which vectors of a set are alike: every pair that counts, without comparing all with all.

The vectors are divided into cells around about sqrt(N) centres; each is compared with those of the
cells nearest to it (inverted file: Jegou, Douze, Schmid, "Product quantization for nearest neighbor
search", PAMI 2011, section 4, without the quantizer). Of a cell that is far larger than others, as
of all that is black, a part is looked into. So the work grows with N to the power of 1.5 at most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Int = NDArray[np.int64]

EXACT_ROWS = 8192
"""Up to so many vectors are all compared with one another."""
PROBES = 8
"""Cells that each vector is compared with, its own among them."""
MOST_TIMES = 8
"""Of a cell so many times as large as the mean, no more is looked into."""
SAMPLES_PER_CELL = 32
ROUNDS = 8
"""Of k-means."""
_BLOCK = 2048
_MOST_PRODUCTS = 4_000_000
"""So many inner products are held at once."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For each of N vectors, the vectors of other owners that are most like it."""

    rows: Int
    """(N, K), best first; -1 where there are fewer."""
    likeness: Float
    """(N, K) inner products; -inf where there are fewer."""


def find_neighbours(vectors: Float, owners: Int, k: int, *, seed: int = 0) -> Neighbours:
    """Return the `k` nearest vectors of each by inner product, those of its owner left out.

    Args:
        vectors: (N, D) unit length.
        owners: (N,) whose each is, in any order.
        k: How many.
        seed: Of the sample that the cells are made from.
    """
    number = len(vectors)
    rows = np.full((number, k), -1, np.int64)
    likeness = np.full((number, k), -np.inf, np.float32)
    for queries, others in _compared(vectors, seed):
        size = max(1, _MOST_PRODUCTS // len(others))
        for begin in range(0, len(queries), size):
            mine = queries[begin : begin + size]
            found = vectors[mine] @ vectors[others].T
            found[owners[mine][:, None] == owners[others][None, :]] = -np.inf
            _merge(rows, likeness, mine, others, found)
    return Neighbours(rows, likeness)


def _merge(rows: Int, likeness: Float, mine: Int, others: Int, found: Float) -> None:
    """Put what was found in its place among the best of each."""
    k = rows.shape[1]
    if len(others) > k:
        best = np.argpartition(-found, k - 1, axis=1)[:, :k]
        names, found = others[best], np.take_along_axis(found, best, axis=1)
    else:
        names = np.broadcast_to(others, found.shape)
    names = np.where(np.isneginf(found), -1, names)
    both = np.concatenate([likeness[mine], found], axis=1)
    either = np.concatenate([rows[mine], names], axis=1)
    order = np.argsort(-both, axis=1, kind="stable")[:, :k]
    likeness[mine] = np.take_along_axis(both, order, axis=1)
    rows[mine] = np.take_along_axis(either, order, axis=1)


def _compared(vectors: Float, seed: int) -> Iterator[tuple[Int, Int]]:
    """Yield (queries, others): every query meets the vectors of the cells that it probes once."""
    number = len(vectors)
    if number <= EXACT_ROWS:
        yield np.arange(number), np.arange(number)
        return
    centres = _centres(vectors, seed)
    probes = _nearest(vectors, centres, min(PROBES, len(centres)))
    home = probes[:, 0]
    members = np.argsort(home, kind="stable")
    ends = np.searchsorted(home[members], np.arange(len(centres) + 1))
    askers = np.argsort(probes.ravel(), kind="stable") // probes.shape[1]
    borders = np.searchsorted(np.sort(probes.ravel()), np.arange(len(centres) + 1))
    most = MOST_TIMES * ceil(number / len(centres))
    for cell in range(len(centres)):
        others = members[ends[cell] : ends[cell + 1]]
        others = others[:: ceil(len(others) / most) or 1]
        if len(others):
            yield askers[borders[cell] : borders[cell + 1]], others


def _centres(vectors: Float, seed: int) -> Float:
    """Return about sqrt(N) centres (M, D) of spherical k-means over a sample."""
    rng = np.random.default_rng(seed)
    wanted = ceil(sqrt(len(vectors)))
    size = min(len(vectors), SAMPLES_PER_CELL * wanted)
    sample = vectors[np.sort(rng.choice(len(vectors), size, replace=False))]
    centres = sample[rng.choice(size, wanted, replace=False)]
    for _ in range(ROUNDS):
        home = _nearest(sample, centres, 1)[:, 0]
        sums = np.zeros_like(centres)
        np.add.at(sums, home, sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres)
    return centres


def _nearest(vectors: Float, centres: Float, k: int) -> Int:
    """Return the `k` nearest centres (N, k) of each vector, nearest first."""
    found = np.empty((len(vectors), k), np.int64)
    for begin in range(0, len(vectors), _BLOCK):
        inner = vectors[begin : begin + _BLOCK] @ centres.T
        some = np.argpartition(-inner, k - 1, axis=1)[:, :k] if k < len(centres) else None
        some = np.broadcast_to(np.arange(len(centres)), inner.shape) if some is None else some
        order = np.argsort(-np.take_along_axis(inner, some, axis=1), axis=1, kind="stable")
        found[begin : begin + _BLOCK] = np.take_along_axis(some, order, axis=1)
    return found
