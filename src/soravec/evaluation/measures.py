"""Which numbers stand in a table for which task, and each as a statistic of draws of clips."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.data.clips import Task
from soravec.evaluation import statistics
from soravec.evaluation.intervals import (
    Figure,
    Resamples,
    Statistic,
    figure,
    mean_of,
    proportion_figure,
)
from soravec.evaluation.metrics import (
    LEAST_PROBABILITY,
    THRESHOLD,
    binary_cross_entropies,
    in_top,
)

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of a table."""

    key: str
    """In JSON."""
    title: str
    """In words."""
    higher_is_better: bool = True
    """False for errors and losses."""


ACCURACY = Measure("accuracy", "accuracy")
TOP5 = Measure("top5_accuracy", "top-5 accuracy")
MACRO_F1 = Measure("macro_f1", "macro F1")
MAP = Measure("mean_average_precision", "mAP")
CROSS_ENTROPY = Measure("cross_entropy", "cross-entropy", higher_is_better=False)
SQUARED = Measure("mean_squared_error", "MSE", higher_is_better=False)
ABSOLUTE = Measure("mean_absolute_error", "MAE", higher_is_better=False)
R_SQUARED = Measure("r_squared", "R²")


def measures_of(task: Task, num_classes: int) -> tuple[Measure, ...]:
    """Return the measures of a task; the first is the one that is compared and plotted."""
    if task == "regression":
        return SQUARED, ABSOLUTE, R_SQUARED
    if task == "multi_label":
        return MAP, MACRO_F1, CROSS_ENTROPY
    top = (TOP5,) if num_classes > 5 else ()
    return ACCURACY, *top, MACRO_F1, MAP, CROSS_ENTROPY


def statistic_of(measure: Measure, scores: Float, truth: Float, task: Task) -> Statistic:
    """Return a measure of clips as a statistic of draws of them.

    Args:
        measure: One of the task's.
        scores: (N, K) probabilities or targets.
        truth: (N, K) 1 for every class of a clip, or its targets.
        task: What they mean.
    """
    if measure == R_SQUARED:
        return statistics.r_squared(scores, truth)
    if measure == MAP:
        return statistics.mean_average_precision(scores, truth > 0)
    if measure == MACRO_F1:
        return statistics.macro_f1(_given(scores, task), truth > 0)
    return mean_of(values_of(measure, scores, truth, task))


def values_of(measure: Measure, scores: Float, truth: Float, task: Task) -> Float:
    """Return the value (N,) of every clip, for measures that are means over clips."""
    if measure == SQUARED:
        return np.asarray(((scores - truth) ** 2).mean(axis=1))
    if measure == ABSOLUTE:
        return np.asarray(np.abs(scores - truth).mean(axis=1))
    if measure == CROSS_ENTROPY:
        return cross_entropies(scores, truth, task)
    return in_top(scores, truth.argmax(axis=1), 5 if measure == TOP5 else 1).astype(np.float64)


def figures_of(scores: Float, truth: Float, task: Task, resamples: Resamples) -> dict[str, Figure]:
    """Return every measure of a task with its interval, by key."""
    found = {}
    for measure in measures_of(task, truth.shape[1]):
        if measure in (ACCURACY, TOP5):
            right = values_of(measure, scores, truth, task) > 0
            found[measure.key] = proportion_figure(right, resamples)
        else:
            statistic = statistic_of(measure, scores, truth, task)
            found[measure.key] = figure(statistic, resamples)
    return found


def chance_figures(truth: Float, task: Task) -> dict[str, Figure]:
    """Return what comes of answers that know nothing, in expectation; empty for a regression.

    Every class as likely as any other: accuracy 1 / K. Random order: the average precision of a
    class is, but for small samples, the share of clips that belong to it.
    """
    if task == "regression":
        return {}
    share = truth.mean(axis=0)
    prevalence = Figure(float(share[share > 0].mean()))
    if task == "multi_label":
        return {MAP.key: prevalence, CROSS_ENTROPY.key: Figure(float(np.log(2)))}
    classes = truth.shape[1]
    top = {TOP5.key: Figure(5 / classes)} if classes > 5 else {}
    entropy = {CROSS_ENTROPY.key: Figure(float(np.log(classes)))}
    return {ACCURACY.key: Figure(1 / classes), **top, MAP.key: prevalence, **entropy}


def class_figures(
    scores: Float, truth: Float, task: Task, resamples: Resamples
) -> tuple[dict[str, Figure], ...]:
    """Return precision, recall, F1 and average precision of every class, or a target's errors.

    Beside them, as `chance`, the share of clips that belong to the class: about the precision and
    the average precision of answers that know nothing.
    """
    count = truth.shape[1]
    if task == "regression":
        columns = [(scores[:, [k]], truth[:, [k]]) for k in range(count)]
        return tuple(figures_of(said, right, task, resamples) for said, right in columns)
    given, right = _given(scores, task), truth > 0
    found = []
    for k in range(count):
        said, real = given[:, k].astype(np.float64), right[:, k].astype(np.float64)
        hits = said * real
        named = {
            "precision": statistics.ratio(hits, said),
            "recall": statistics.ratio(hits, real),
            "f1": statistics.ratio(2 * hits, said + real),
            "average_precision": statistics.average_precision(scores[:, k], right[:, k]),
        }
        figures = {name: figure(statistic, resamples) for name, statistic in named.items()}
        found.append(figures | {"chance": Figure(float(real.mean()))})
    return tuple(found)


def cross_entropies(scores: Float, truth: Float, task: Task) -> Float:
    """Return (N,) -ln p of the right class, or the mean over labels of that of each answer."""
    if task == "multi_label":
        return binary_cross_entropies(scores, truth > 0)
    likely = (np.asarray(scores) * truth).sum(axis=1)
    return np.asarray(-np.log(np.clip(likely, LEAST_PROBABILITY, 1)))


def _given(scores: Float, task: Task) -> NDArray[np.bool_]:
    """Return (N, K) which classes are named."""
    if task == "multi_label":
        return np.asarray(scores >= THRESHOLD)
    return np.asarray(np.eye(scores.shape[1], dtype=bool)[scores.argmax(axis=1)])
