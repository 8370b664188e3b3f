"""The projection of appearance: principal components of frame features, partly whitened."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from soravec.runtime.vectors import normalise

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
RIDGE = 1e-3
"""Penalty of the regression on the teachers, as a share of the mean variance of a feature."""

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Projection:
    """`(features - mean) @ matrix.T`, for features of unit length."""

    matrix: Float
    """(A, C)."""
    mean: Float
    """(C,)."""
    std: Float
    """(C,) deviation of each feature, which the RNN's input is scaled by."""
    name: str
    """Which of those that were tried it is."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the CNN and the teachers say of views."""

    features: NDArray[np.float32]
    """(N, C)."""
    targets: NDArray[np.float32]
    """(N, P) of the teachers' maps, the mean over the cells."""
    logits: NDArray[np.float32]
    """(N, K)."""


def fit_projection(
    learn: Answered, held_out: Answered, dim: int
) -> tuple[Projection, dict[str, float]]:
    """Return the best projection onto `dim` numbers, and the score of each that was tried.

    Tried are principal components of the features, and of what a linear regression on the features
    says of the teachers' targets (`said`), each partly whitened: a component is divided by
    `(variance + floor) ** (strength / 2)`, the floor being the mean variance of the components left
    out, so that noise is not blown up. The score is how like the cosines of held-out views are to
    those of the teachers.

    Args:
        learn: Of views to fit to.
        held_out: Of views to choose by.
        dim: Length A.
    """
    unit = normalise(learn.features.astype(np.float64))
    mean, std = unit.mean(axis=0), unit.std(axis=0)
    centred = unit - mean
    covariance = centred.T @ centred / len(centred)
    said = regression(covariance, centred.T @ learn.targets / len(centred))  # (C, P)
    taught = centre(held_out.targets)
    scores, fitted = {}, []
    for name, basis in (("features", np.eye(len(mean))), ("said", said)):
        variance, vectors = np.linalg.eigh(basis.T @ covariance @ basis)
        variance, vectors = variance[::-1].clip(0), vectors[:, ::-1]
        floor = variance[dim:].mean() if len(variance) > dim else 1e-12
        for strength in STRENGTHS:
            matrix = (basis @ vectors[:, :dim]).T
            matrix /= (variance[:dim, None] + floor) ** (strength / 2)
            matrix /= np.linalg.norm(matrix, axis=1).mean()  # of no effect after normalisation
            projection = Projection(matrix, mean, std, f"{name}, whitened {strength:g}")
            scores[projection.name] = same_geometry(project(held_out.features, projection), taught)
            fitted.append(projection)
    return max(fitted, key=lambda one: scores[one.name]), scores


def regression(covariance: Float, shared: Float) -> Float:
    """Return the coefficients (C, P) of a ridge regression from (C, C) and (C, P) covariances."""
    penalty = RIDGE * np.trace(covariance) / len(covariance)
    solved = np.linalg.solve(covariance + penalty * np.eye(len(covariance)), shared)
    return np.asarray(solved, np.float64)


def project(features: NDArray[np.float32], projection: Projection) -> Float:
    """Return (N, A) projections of the unit-length features (N, C), not yet normalised."""
    unit = normalise(features.astype(np.float64))
    return np.asarray((unit - projection.mean) @ projection.matrix.T, np.float64)


def centre(vectors: NDArray[np.float32]) -> Float:
    """Return vectors (N, D) less their mean."""
    wide = vectors.astype(np.float64)
    return np.asarray(wide - wide.mean(axis=0), np.float64)


def same_geometry(first: Float, second: Float) -> float:
    """Return the correlation of the cosines between rows of (N, A) with those of (N, B)."""
    pairs = np.triu_indices(len(first), 1)
    first, second = normalise(first), normalise(second)
    one, other = (first @ first.T)[pairs], (second @ second.T)[pairs]
    shared = np.mean((one - one.mean()) * (other - other.mean()))
    return float(shared / (one.std() * other.std()))


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
