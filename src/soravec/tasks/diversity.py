"""A short list that is worth its place and does not repeat itself. Pure arithmetic on vectors.

A determinantal point process (Kulesza and Taskar, "Determinantal point processes for machine
learning", 2012) gives a set the more weight the better its members are and the less alike. The
likeliest set is built greedily, one member after the other (Chen, Zhang, Zhou, "Fast greedy MAP
inference for determinantal point process to improve recommendation diversity", NeurIPS 2018,
algorithm 1). Tried beside it: maximal marginal relevance (Carbonell and Goldstein, "The use of
MMR", SIGIR 1998), which is less diverse where it is as precise.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

LEAST_LEFT = 1e-9
"""What no chosen row explains is no less: the same row again has almost nothing."""


def choose_diverse(
    worth: Float,
    vectors: NDArray[np.float32],
    num_wanted: int,
    *,
    eagerness: float,
    accept: Callable[[int], bool] = lambda row: True,
) -> list[int]:
    """Return rows that are worth it and unlike one another, in the order of being chosen.

    The kernel is `exp(eagerness * (worth_i + worth_j)) * (1 + inner product) / 2`, as in section 4
    of Chen et al. Worth is a factor of every determinant, so it is added to the logarithm of what
    inner products leave, and cannot overflow. The first row is the one of most worth.

    Args:
        worth: (N,) of each row, in about [-1, 1].
        vectors: (N, D) of unit length, or zero.
        num_wanted: How many at most.
        eagerness: How much worth counts beside being unlike the others.
        accept: Asked once of each row before it is taken; one that is refused counts for nothing.
    """
    left = (1 + np.square(vectors).sum(axis=1, dtype=np.float64)) / 2  # what no chosen row explains
    explained = np.zeros((0, len(worth)))
    is_open = np.ones(len(worth), bool)
    chosen: list[int] = []
    while len(chosen) < num_wanted and is_open.any():
        gains = 2 * eagerness * worth + np.log(np.maximum(left, LEAST_LEFT))
        row = int(np.where(is_open, gains, -np.inf).argmax())
        is_open[row] = False
        if not accept(row):
            continue
        chosen.append(row)
        shared = (1 + (vectors @ vectors[row]).astype(np.float64)) / 2
        shared -= explained[:, row] @ explained
        shared /= np.sqrt(max(left[row], LEAST_LEFT))
        left -= np.square(shared)
        explained = np.concatenate([explained, shared[None]])
    return chosen
