"""The table of methods: the model, probes of its vectors, baselines, chance; on the same draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.data.clips import Task
from soravec.evaluation.intervals import Resamples, difference, figure
from soravec.evaluation.measures import (
    chance_figures,
    figures_of,
    measures_of,
    statistic_of,
)
from soravec.evaluation.probes import Kind, Probe, ProbeData, fit_probe
from soravec.evaluation.results import Row
from soravec.evaluation.scored import ScoredClips

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores of one method."""

    name: str
    """What answered."""
    kind: str
    """`model`, `probe` or `baseline`."""
    dim: int
    """Length of the vector it reads; 0 where it reads none."""
    scores: Float
    """(N, K)."""
    setting: str = ""
    """What was chosen for it, and on what."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The clips of each split."""

    train: ScoredClips
    """What probes are fitted on."""
    validation: ScoredClips
    """What their settings are chosen on."""
    test: ScoredClips
    """What is scored."""


def probe_of_vectors(kind: Kind, splits: Splits, task: Task, *, seed: int) -> tuple[Probe, Answer]:
    """Return a probe of the model's vectors, and its answers."""
    name = "linear probe of its vectors" if kind == "linear" else "nearest neighbours, its vectors"
    vectors = splits.train.vectors, splits.validation.vectors, splits.test.vectors
    return _probed(name, "probe", kind, vectors, splits, task, seed)


def baseline_answers(splits: Splits, task: Task, *, seed: int) -> list[Answer]:
    """Return what needs no temporal model: linear probes of statistics and mean, and a constant."""
    parts = splits.train, splits.validation, splits.test
    statistics = tuple(part.statistics for part in parts)
    means = tuple(part.means for part in parts)
    name = "temporal statistics, linear probe"
    answers = [_probed(name, "baseline", "linear", statistics, splits, task, seed)[1]]
    name = "mean over time, linear probe"
    answers.append(_probed(name, "baseline", "linear", means, splits, task, seed)[1])
    constant = splits.train.truth.mean(axis=0)
    name = "mean of the training targets" if task == "regression" else "share of each class"
    name = "majority class" if task == "single_label" else name
    scores = np.repeat(constant[None], len(splits.test), axis=0)
    return [*answers, Answer(name, "baseline", 0, scores)]


def table_of(
    answers: list[Answer],
    truth: Float,
    task: Task,
    resamples: Resamples,
    *,
    sample_fps: float,
) -> list[Row]:
    """Return answers as rows, the first being what others are compared with, chance last."""
    primary = measures_of(task, truth.shape[1])[0]
    statistics = [statistic_of(primary, one.scores, truth, task) for one in answers]
    rows = []
    for one, statistic in zip(answers, statistics, strict=True):
        model = one is answers[0]
        rows.append(
            Row(
                name=one.name,
                kind=one.kind,
                dim=one.dim,
                figures=figures_of(one.scores, truth, task, resamples),
                difference=None
                if model
                else figure(difference(statistics[0], statistic), resamples),
                setting=one.setting,
                sample_fps=sample_fps if one.dim else 0.0,
            )
        )
    chance = chance_figures(truth, task)
    if chance:
        rows.append(Row("chance", "chance", 0, chance, None, "", 0.0))
    return rows


def _probed(
    name: str,
    row_kind: str,
    kind: Kind,
    vectors: tuple[NDArray[np.float32] | Float, ...],
    splits: Splits,
    task: Task,
    seed: int,
) -> tuple[Probe, Answer]:
    train = splits.train.as_probe_data(vectors[0])
    validation: ProbeData = splits.validation.as_probe_data(vectors[1])
    probe = fit_probe(kind, train, task, validation=validation, seed=seed)
    what = "C" if kind == "linear" else "neighbours"
    setting = f"{what} {probe.setting:g}, chosen on {probe.chosen_on}"
    dim = vectors[2].shape[1]
    return probe, Answer(name, row_kind, dim, probe.scores(vectors[2]), setting)
