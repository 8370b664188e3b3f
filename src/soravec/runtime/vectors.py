"""The two-part vector: pure arithmetic on readings, no engine and no file.

A segment vector is `concat(sqrt(1-w) * appearance, sqrt(w) * motion)`, unit length, so an inner
product is exactly `(1-w)` times the likeness of appearance plus `w` times that of motion.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
F = TypeVar("F", np.float32, np.float64)


def normalise(vectors: NDArray[F]) -> NDArray[F]:
    """Return `vectors` (..., D) scaled to unit length; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[F] = (vectors / np.maximum(length, 1e-12)).astype(vectors.dtype)
    return scaled


def compose(appearance: Float, motion: Float, motion_weight: float) -> Float:
    """Return segment vectors from their two parts.

    Args:
        appearance: (S, A) unit length.
        motion: (S, M) unit length, or zero where the segment has no time in it.
        motion_weight: `w`.

    Returns:
        (S, D) float32, D = A + M, unit length. Where motion is zero, so is its part.
    """
    parts = np.sqrt(1 - motion_weight) * appearance, np.sqrt(motion_weight) * motion
    return normalise(np.concatenate(parts, axis=-1).astype(np.float32))


def split(vectors: Float, appearance_dim: int) -> tuple[Float, Float]:
    """Return the two parts of segment vectors (S, D): (S, A) and (S, M), each unit or zero."""
    return normalise(vectors[..., :appearance_dim]), normalise(vectors[..., appearance_dim:])


def likeness(
    queries: Float, vectors: Float, *, appearance_dim: int, motion_weight: float
) -> tuple[Float, Float, Float]:
    """Return score, appearance and motion of every query with every vector.

    Args:
        queries: (Q, D).
        vectors: (N, D).
        appearance_dim: A; the rest is motion.
        motion_weight: `w`, which may differ from the one that the vectors were made with. It is
            0 for every pair of which one has no motion in it.

    Returns:
        Score, likeness of appearance and likeness of motion, each (Q, N) float32. Motion is NaN
        where either side has none.
    """
    query_looks, query_motion = split(queries, appearance_dim)
    looks, motion = split(vectors, appearance_dim)
    appearance = query_looks @ looks.T
    moves = np.outer(query_motion.any(axis=-1), motion.any(axis=-1))
    moving = np.where(moves, query_motion @ motion.T, np.float32(np.nan))
    weight = np.where(moves, np.float32(motion_weight), np.float32(0))
    score = (1 - weight) * appearance + weight * np.nan_to_num(moving)
    return score.astype(np.float32), appearance, moving


def mean_vector(vectors: Float, durations_seconds: Sequence[float] | NDArray[np.float64]) -> Float:
    """Return the duration-weighted mean of segment vectors (S, D), (D,) unit length."""
    weights = np.asarray(durations_seconds, np.float64)
    mean = (weights[:, None] * vectors).sum(axis=0) / weights.sum()
    return normalise(mean).astype(np.float32)
