"""The projection of appearance: principal components of frame features, less what copies vary by.

Within-class covariance normalisation (Hatch, Kajarekar, Stolcke, "Within-class covariance
normalization for SVM-based speaker recognition", Interspeech 2006): directions in which a picture
and its changed copies differ are shortened, so that what stays counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from soravec.runtime.vectors import normalise

FLOORS = (1.0, 0.3, 0.1, 0.03)
"""Added to the variance between copies, as shares of its mean: the less, the more is shortened."""

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Projection:
    """`(features - mean) @ matrix.T`, for features of unit length."""

    matrix: Float
    """(A, C)."""
    mean: Float
    """(C,)."""
    name: str
    """Which of those that were tried it is."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Features of pictures and of their changed copies."""

    pictures: NDArray[np.float32]
    """(N, C)."""
    changed: NDArray[np.float32]
    """(K, N, C): copies by kind of change."""


def fit_projection(
    features: NDArray[np.float32], learn: Copies, held_out: Copies, dim: int
) -> tuple[Projection, dict[str, float]]:
    """Return the best projection onto `dim` numbers, and the score of each that was tried.

    Tried are principal components of the features as they are (`plain`), and of features whitened
    by how copies differ, with several floors. The score is recall@1: of how many copies of pictures
    held out the nearest picture is the one copied.

    Args:
        features: (N, C) of views, whose principal components are kept.
        learn: Copies by which it is learned what does not matter.
        held_out: Copies to choose by.
        dim: Length A.
    """
    unit = normalise(features.astype(np.float64))
    mean = unit.mean(axis=0)
    centred = unit - mean
    covariance = centred.T @ centred / len(centred)
    bases = {"plain": np.eye(len(mean))}
    bases |= {f"copies alike, floor {floor:g}": alike(learn, floor) for floor in FLOORS}
    scores, fitted = {}, []
    for name, basis in bases.items():
        vectors = np.linalg.eigh(basis @ covariance @ basis)[1][:, ::-1]
        matrix = (basis @ vectors[:, :dim]).T
        matrix /= np.linalg.norm(matrix, axis=1).mean()  # of no effect after normalisation
        fitted.append(Projection(matrix, mean, name))
        scores[name] = recall_of_copies(held_out, fitted[-1])
    return max(fitted, key=lambda one: scores[one.name]), scores


def alike(copies: Copies, floor: float) -> Float:
    """Return the symmetric matrix (C, C) that whitens how unit-length copies differ."""
    unit = normalise(copies.changed.astype(np.float64)) - normalise(
        copies.pictures.astype(np.float64)
    )
    differences = unit.reshape(-1, unit.shape[-1])
    variance, vectors = np.linalg.eigh(differences.T @ differences / len(differences))
    shorter = (variance.clip(0) + floor * variance.mean() + 1e-12) ** -0.5
    return np.asarray((vectors * shorter) @ vectors.T, np.float64)


def recall_of_copies(copies: Copies, projection: Projection) -> float:
    """Return the share of copies whose nearest picture, by cosine, is the one they are of."""
    pictures = normalise(project(copies.pictures, projection))
    right = [
        (normalise(project(kind, projection)) @ pictures.T).argmax(axis=1)
        == np.arange(len(pictures))
        for kind in copies.changed
    ]
    return float(np.mean(right))


def project(features: NDArray[np.float32], projection: Projection) -> Float:
    """Return (N, A) projections of the unit-length features (N, C), not yet normalised."""
    unit = normalise(features.astype(np.float64))
    return np.asarray((unit - projection.mean) @ projection.matrix.T, np.float64)


def set_projection(layer: nn.Linear, projection: Projection) -> None:
    """Write the projection into a linear layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(projection.matrix))
        layer.bias.copy_(torch.from_numpy(-projection.matrix @ projection.mean))


def mean_average_precision(
    vectors: NDArray[np.floating], labels: NDArray[np.int64] | Sequence[int]
) -> float:
    """Return the mean over all rows of the average precision of finding rows of the same label.

    Args:
        vectors: (N, D), compared by cosine.
        labels: (N,).
    """
    labels = np.asarray(labels)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :-1]
    right = labels[order] == labels[:, None]  # (N, N - 1)
    precision = right.cumsum(1) / np.arange(1, right.shape[1] + 1)
    return float(((precision * right).sum(1) / right.sum(1).clip(1)).mean())
