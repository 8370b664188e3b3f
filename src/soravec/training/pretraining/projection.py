"""The projection of appearance: principal components of frame features, partly whitened."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from soravec.models.cnn import FrameCnn
from soravec.training.pretraining.patches import Pyramid, resize_views, sample_patches

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Projection:
    """`(features - mean) @ matrix.T`, for features of unit length."""

    matrix: NDArray[np.float64]
    """(A, C)."""
    mean: NDArray[np.float64]
    """(C,)."""
    std: NDArray[np.float64]
    """(C,) deviation of each feature, which the RNN's input is scaled by."""
    strength: float
    """0 keeps the variances of the components, 1 makes them equal."""


def fit_projection(
    features: NDArray[np.float32],
    dim: int,
    held_out: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> tuple[Projection, dict[str, float]]:
    """Return the projection onto `dim` components, and what was measured for each strength.

    Whitening divides a component by `(variance + floor) ** (strength / 2)`, the floor being the
    mean variance of the components left out, so that noise is not blown up. The strength is the one
    of the best mean average precision in finding other views of the same held-out photograph.

    Args:
        features: (N, C) of training views.
        dim: Length A.
        held_out: Features (M, C) of held-out views and the photograph (M,) each shows.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    mean, std = unit.mean(0, dtype=np.float64), unit.std(0, dtype=np.float64)
    variance, vectors = np.linalg.eigh(np.cov(unit - mean, rowvar=False, dtype=np.float64))
    variance, vectors = variance[::-1].clip(0), vectors[:, ::-1]
    floor = variance[dim:].mean() if len(variance) > dim else 1e-12
    scores: dict[str, float] = {"unprojected": mean_average_precision(held_out[0], held_out[1])}
    fitted = []
    for strength in STRENGTHS:
        matrix = vectors[:, :dim].T / (variance[:dim, None] + floor) ** (strength / 2)
        matrix /= np.linalg.norm(matrix, axis=1).mean()  # of no effect after normalisation
        projection = Projection(matrix, mean, std, strength)
        projected = project(held_out[0], projection)
        scores[f"strength_{strength}"] = mean_average_precision(projected, held_out[1])
        fitted.append((scores[f"strength_{strength}"], projection))
    return max(fitted, key=lambda pair: pair[0])[1], scores


def project(features: NDArray[np.float32], projection: Projection) -> NDArray[np.float64]:
    """Return (N, A) projections of the unit-length features (N, C), not yet normalised."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray((unit - projection.mean) @ projection.matrix.T)


def set_projection(layer: nn.Linear, projection: Projection) -> None:
    """Write the projection into a linear layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(projection.matrix))
        layer.bias.copy_(torch.from_numpy(-projection.matrix @ projection.mean))


def view_features(
    cnn: FrameCnn, photos: Sequence[Pyramid], num: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return features (num, C) of `num` unmixed views of random photographs."""
    size = (cnn.config.height, cnn.config.width)
    parts = []
    with torch.no_grad():
        for start in range(0, num, 64):
            views = sample_patches(photos, min(64, num - start), size[0], rng, mix=False)
            parts.append(cnn(torch.from_numpy(resize_views(views, size[1]))).numpy())
    return np.concatenate(parts)


def photo_features(
    cnn: FrameCnn, photos: Sequence[Pyramid], views_each: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return features of `views_each` views of every photograph, and the number of each one's."""
    features = [view_features(cnn, [photo], views_each, rng) for photo in photos]
    return np.concatenate(features), np.repeat(np.arange(len(photos)), views_each)


def mean_average_precision(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the mean over all rows of the average precision of finding rows of the same label.

    Args:
        vectors: (N, D), compared by cosine.
        labels: (N,).
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :-1]
    right = labels[order] == labels[:, None]  # (N, N - 1)
    precision = right.cumsum(1) / np.arange(1, right.shape[1] + 1)
    return float(((precision * right).sum(1) / right.sum(1).clip(1)).mean())
