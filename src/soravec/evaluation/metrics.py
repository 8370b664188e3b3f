"""How right scores are: numbers of classification, labelling and regression, on arrays.

What scikit-learn has is scikit-learn's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
)

Float = NDArray[np.float64]
Int = NDArray[np.int64]

NUM_BINS = 15
LEAST_PROBABILITY = 1e-7
"""Probabilities below it are taken for it, so that one sure mistake is not infinitely wrong."""
THRESHOLD = 0.5
"""A label of several is given from this score on."""


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """How well one class is known."""

    name: str
    """The class."""
    num_clips: int
    """Clips that belong to it."""
    precision: float
    """Share of the clips said to be of it that are; 0 where none is said to be."""
    recall: float
    """Share of its clips that are said to be of it; NaN where it has none."""
    f1: float
    """Harmonic mean of both; NaN where it has no clip."""
    average_precision: float
    """Area under precision over recall, by its score; NaN where it has no clip."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a probability means what it says."""

    expected_error: float
    """Expected calibration error: mean distance of accuracy and probability, over bins."""
    edges: tuple[float, ...]
    """Of the bins, num_bins + 1."""
    num_clips: tuple[int, ...]
    """Clips in each bin."""
    probability: tuple[float, ...]
    """Mean probability of the clips of each bin; 0 where it is empty."""
    accuracy: tuple[float, ...]
    """Share of them that are right; 0 where it is empty."""


@dataclass(frozen=True, slots=True)
class ClassificationMetrics:
    """Of clips that belong to one class each, or, for labels, to any number."""

    num_clips: int
    """How many were scored."""
    accuracy: float
    """Share whose best class is theirs; for labels, of right answers over clips and classes."""
    top5_accuracy: float | None
    """Share whose class is among the best 5; None for up to 5 classes, and for labels."""
    macro_precision: float
    """Mean over classes that have clips; so are the next three."""
    macro_recall: float
    """Also called balanced accuracy."""
    macro_f1: float
    """Mean of F1."""
    mean_average_precision: float
    """Mean of average precision: mAP."""
    cross_entropy: float
    """Mean of -ln p of the right class; for labels mean binary cross-entropy over classes."""
    classes: tuple[ClassMetrics, ...]
    """Per class, in their order."""
    calibration: Calibration
    """Of the best class; for labels of every answer."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Clips of class i (row) called j (column); empty for labels."""


@dataclass(frozen=True, slots=True)
class RegressionMetrics:
    """Of clips with K targets: means over the targets."""

    num_clips: int
    """How many were scored."""
    mean_squared_error: float
    """MSE."""
    mean_absolute_error: float
    """MAE."""
    r_squared: float
    """1 less MSE over variance; NaN for fewer than two clips or targets that do not vary."""
    targets: tuple[tuple[str, float, float, float], ...]
    """Per target: name, MSE, MAE, R2."""


def classification_metrics(
    scores: Float, truth: Int, classes: Sequence[str]
) -> ClassificationMetrics:
    """Return the metrics of clips that belong to one class each.

    Args:
        scores: (N, K) probabilities.
        truth: (N,) the number of each clip's class.
        classes: K names.
    """
    best = scores.argmax(axis=1)
    unit = np.eye(len(classes), dtype=bool)
    per_class = _per_class(unit[best], unit[truth], scores, classes)
    likely = np.clip(scores[np.arange(len(truth)), truth], LEAST_PROBABILITY, 1)
    return ClassificationMetrics(
        num_clips=len(truth),
        accuracy=float(accuracy_score(truth, best)),
        top5_accuracy=float(in_top(scores, truth, 5).mean()) if len(classes) > 5 else None,
        macro_precision=_macro(per_class, "precision"),
        macro_recall=_macro(per_class, "recall"),
        macro_f1=_macro(per_class, "f1"),
        mean_average_precision=_macro(per_class, "average_precision"),
        cross_entropy=float(-np.log(likely).mean()),
        classes=per_class,
        calibration=calibration(scores.max(axis=1), best == truth),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(truth, best, labels=np.arange(len(classes)))
        ),
    )


def label_metrics(
    scores: Float, truth: NDArray[np.bool_], classes: Sequence[str]
) -> ClassificationMetrics:
    """Return the metrics of clips that belong to any number of classes.

    Args:
        scores: (N, K) probabilities, each for itself; a label is given from 0.5 on.
        truth: (N, K) which are right.
        classes: K names.
    """
    given = scores >= THRESHOLD
    per_class = _per_class(given, truth, scores, classes)
    return ClassificationMetrics(
        num_clips=len(truth),
        accuracy=float((given == truth).mean()),
        top5_accuracy=None,
        macro_precision=_macro(per_class, "precision"),
        macro_recall=_macro(per_class, "recall"),
        macro_f1=_macro(per_class, "f1"),
        mean_average_precision=_macro(per_class, "average_precision"),
        cross_entropy=float(binary_cross_entropies(scores, truth).mean()),
        classes=per_class,
        calibration=calibration(
            np.where(given, scores, 1 - scores).ravel(), (given == truth).ravel()
        ),
    )


def regression_metrics(predicted: Float, truth: Float, targets: Sequence[str]) -> RegressionMetrics:
    """Return the metrics of clips with targets; both (N, K), K names."""
    squares = mean_squared_error(truth, predicted, multioutput="raw_values")
    distances = mean_absolute_error(truth, predicted, multioutput="raw_values")
    varies = len(truth) > 1 and bool((truth.std(axis=0) > 0).all())
    ratios = (
        r2_score(truth, predicted, multioutput="raw_values")
        if varies
        else np.full(len(targets), np.nan)
    )
    return RegressionMetrics(
        num_clips=len(truth),
        mean_squared_error=float(squares.mean()),
        mean_absolute_error=float(distances.mean()),
        r_squared=float(ratios.mean()),
        targets=tuple(
            (name, float(square), float(distance), float(ratio))
            for name, square, distance, ratio in zip(
                targets, squares, distances, ratios, strict=True
            )
        ),
    )


def in_top(scores: Float, truth: Int, k: int) -> NDArray[np.bool_]:
    """Return (N,) whether fewer than `k` classes score higher than the right one.

    Of equal scores the earlier class comes first, as in `argmax`.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.asarray((order == truth[:, None]).any(axis=1))


def binary_cross_entropies(scores: Float, truth: NDArray[np.bool_]) -> Float:
    """Return (N,) the mean over classes of -ln p of what is the case."""
    likely = np.clip(np.where(truth, scores, 1 - scores), LEAST_PROBABILITY, 1)
    return np.asarray(-np.log(likely).mean(axis=1))


def calibration(
    probability: Float, right: NDArray[np.bool_], num_bins: int = NUM_BINS
) -> Calibration:
    """Return how probabilities (N,) compare with how often they are right (N,).

    The expected calibration error of Guo et al., "On Calibration of Modern Neural Networks", 2017,
    https://arxiv.org/abs/1706.04599, equation 3: bins of equal width, closed above.
    """
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    divisor = np.maximum(counts, 1)
    mean = np.bincount(bins, probability, num_bins) / divisor
    share = np.bincount(bins, right.astype(np.float64), num_bins) / divisor
    return Calibration(
        expected_error=float((counts * np.abs(mean - share)).sum() / max(len(bins), 1)),
        edges=tuple(edges.tolist()),
        num_clips=tuple(counts.tolist()),
        probability=tuple(mean.tolist()),
        accuracy=tuple(share.tolist()),
    )


def _per_class(
    given: NDArray[np.bool_], truth: NDArray[np.bool_], scores: Float, classes: Sequence[str]
) -> tuple[ClassMetrics, ...]:
    """Return the metrics of every class from what was given and what is true, both (N, K)."""
    found = []
    for k, name in enumerate(classes):
        number = int(truth[:, k].sum())
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth[:, k], given[:, k], average="binary", zero_division=0
        )
        area = average_precision_score(truth[:, k], scores[:, k]) if number else np.nan
        there = number > 0
        found.append(
            ClassMetrics(
                name=name,
                num_clips=number,
                precision=float(precision),
                recall=float(recall) if there else float("nan"),
                f1=float(f1) if there else float("nan"),
                average_precision=float(area),
            )
        )
    return tuple(found)


def _macro(classes: Sequence[ClassMetrics], name: str) -> float:
    """Return the mean of a metric over the classes that have clips; NaN if none has."""
    values = [getattr(one, name) for one in classes if one.num_clips]
    return float(np.mean(values)) if values else float("nan")
