"""Simple readers of vectors, fitted on the training clips: what a vector holds, whoever made it.

A linear probe and the nearest neighbours. How strongly the one is regularised, and how many
neighbours the other asks, is chosen on the validation clips or, where there are few, by inner folds
of the training clips that tear no group apart; never on the clips that are then scored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from soravec.data.clips import Task
from soravec.errors import TrainingError
from soravec.evaluation.metrics import LEAST_PROBABILITY

Float = NDArray[np.float64]
Kind = Literal["linear", "neighbours"]
Scores = Callable[[NDArray[np.float32] | Float], Float]
"""Takes vectors (N, D), gives probabilities or targets (N, K) float64."""
Fit = Callable[[float], Scores]
"""Takes a setting, gives the scores of what was fitted with it."""

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse strengths C of the L2 penalty, from the strongest; a ridge has 1 / C."""
NEIGHBOURS = (1, 3, 5, 9, 15, 25)
NUM_FOLDS = 4
LEAST_VALIDATION = 20
"""With fewer validation clips than this, or than classes, inner folds choose."""
MAX_STEPS = 5000
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class ProbeData:
    """Vectors and what is true of them."""

    vectors: NDArray[np.float32] | Float
    """(N, D)."""
    truth: Float
    """(N, K): 1 for every class of a clip, or its targets."""
    units: NDArray[np.int64]
    """(N,) the number of each clip's group."""

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: NDArray[np.int64]) -> "ProbeData":
        """Return some of the clips."""
        return ProbeData(self.vectors[rows], self.truth[rows], self.units[rows])


@dataclass(frozen=True, slots=True)
class Probe:
    """A fitted reader."""

    scores: Scores
    """Takes vectors (N, D), gives probabilities or targets (N, K) float64."""
    setting: float
    """The inverse strength C, or the number of neighbours, that was chosen."""
    losses: tuple[tuple[float, float], ...]
    """Every setting that was tried, and its loss on clips that were not fitted."""
    chosen_on: str
    """`validation`, `inner folds`, or `default` where there was nothing to choose on."""


def fit_probe(
    kind: Kind,
    train: ProbeData,
    task: Task,
    *,
    validation: ProbeData | None = None,
    seed: int = 0,
) -> Probe:
    """Return a probe fitted on the training clips, its setting chosen without the scored ones.

    Vectors are standardised by the training clips for a linear probe, of unit length for
    neighbours, whose votes weigh by nearness.

    Args:
        kind: `linear` or `neighbours`.
        train: What it learns from.
        task: What the truth means.
        validation: What its setting is chosen on; None, or too few: inner folds of `train`.
        seed: Of the folds.

    Raises:
        TrainingError: There is nothing to learn: no clip, or clips of one class only.
    """
    _check(train, task)
    # One thread: most problems are too small for more, and sums then have one order anywhere.
    with threadpool_limits(1, user_api="blas"):
        return _fitted(kind, train, validation, task, seed)


def _fitted(
    kind: Kind, train: ProbeData, validation: ProbeData | None, task: Task, seed: int
) -> Probe:
    """Choose the setting, and fit with it on all training clips."""
    prepare = _linear if kind == "linear" else _neighbours
    parts, chosen_on = _parts(train, validation, task, seed)
    if not parts:
        default = 1e-2 if kind == "linear" else 1.0
        return Probe(prepare(train, task)(default), default, (), "default")
    prepared = [(prepare(fitted, task), held) for fitted, held in parts]
    total = sum(len(held) for _, held in parts)
    tried: list[tuple[float, float]] = []
    for setting in STRENGTHS if kind == "linear" else NEIGHBOURS:
        losses = [
            probe_loss(fit(setting)(held.vectors), held.truth, task) * len(held)
            for fit, held in prepared
        ]
        tried.append((setting, sum(losses) / total))
        if _past_the_best([loss for _, loss in tried]):
            break
    best = min(tried, key=lambda pair: pair[1])[0]
    return Probe(prepare(train, task)(best), best, tuple(tried), chosen_on)


def _past_the_best(losses: Sequence[float]) -> bool:
    """Whether a loss has risen twice in a row: with weaker penalties it goes on rising."""
    return len(losses) > 2 and losses[-3] < losses[-2] < losses[-1]


def probe_loss(scores: Float, truth: Float, task: Task) -> float:
    """Return the mean cross-entropy of probabilities, or the mean squared error of targets."""
    if task == "regression":
        return float(((scores - truth) ** 2).mean())
    likely = np.clip(scores, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if task == "single_label":
        return float(-(truth * np.log(likely)).sum(axis=1).mean())
    return float(-(truth * np.log(likely) + (1 - truth) * np.log(1 - likely)).mean())


def _check(train: ProbeData, task: Task) -> None:
    if not len(train):
        raise TrainingError("a probe needs training clips, and none can be read")
    if task == "single_label" and (train.truth.sum(axis=0) > 0).sum() < 2:
        raise TrainingError("a probe needs training clips of at least two classes")


def _parts(
    train: ProbeData, validation: ProbeData | None, task: Task, seed: int
) -> tuple[list[tuple[ProbeData, ProbeData]], str]:
    """Return what to fit on and what to choose on, in pairs, and where it is from."""
    enough = max(LEAST_VALIDATION, train.truth.shape[1])
    if validation is not None and len(validation) >= enough:
        return [(train, validation)], "validation"
    folds = min(NUM_FOLDS, len(np.unique(train.units)))
    if folds < 2:
        return [], "default"
    parts = []
    for rows, held in _folds(train, task, folds, seed):
        fitted = train.take(rows)
        if task != "single_label" or (fitted.truth.sum(axis=0) > 0).sum() > 1:
            parts.append((fitted, train.take(held)))
    return parts, "inner folds" if parts else "default"


def _folds(
    train: ProbeData, task: Task, folds: int, seed: int
) -> Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return rows to fit on and rows that are held out, groups whole."""
    numbers = train.truth.argmax(axis=1)
    smallest = np.bincount(numbers)[np.unique(numbers)].min()
    split: Any
    if task == "single_label" and smallest >= folds:
        split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    else:  # too few of a class, or no classes, to spread evenly
        split = GroupKFold(folds, shuffle=True, random_state=seed)
    return list(split.split(train.vectors, numbers, train.units))


def _linear(train: ProbeData, task: Task) -> Fit:
    """Return what fits a linear model with an L2 penalty of a given strength.

    Where there are more dimensions than clips it is fitted in the space that the clips span, which
    with an L2 penalty changes nothing but the time.
    """
    scaler = StandardScaler().fit(np.asarray(train.vectors, np.float64))
    standard = scaler.transform(np.asarray(train.vectors, np.float64))
    wide = standard.shape[1] > len(standard)
    basis = np.linalg.qr(standard.T).Q if wide else None  # (D, N)
    fitted_on = standard if basis is None else standard @ basis

    def prepare(vectors: NDArray[np.float32] | Float) -> Float:
        values = scaler.transform(np.asarray(vectors, np.float64))
        return np.asarray(values if basis is None else values @ basis)

    def fit(strength: float) -> Scores:
        if task == "regression":
            model = Ridge(alpha=1 / strength).fit(fitted_on, train.truth)
            shape = -1, train.truth.shape[1]
            return lambda vectors: np.reshape(model.predict(prepare(vectors)), shape)
        if task == "single_label":
            return _classifier(fitted_on, train.truth, strength, prepare)
        models = [_logistic(fitted_on, label, strength) for label in train.truth.astype(int).T]
        return lambda vectors: np.stack(
            [_probability(model, prepare(vectors)) for model in models], axis=1
        )

    return fit


def _classifier(
    vectors: Float, truth: Float, strength: float, prepare: Callable[..., Float]
) -> Scores:
    """Return the probabilities of classes, 0 for those that no training clip belongs to."""
    model = _logistic(vectors, truth.argmax(axis=1), strength)

    def scores(given: NDArray[np.float32] | Float) -> Float:
        result = np.zeros((len(given), truth.shape[1]))
        result[:, model.classes_] = model.predict_proba(prepare(given))
        return result

    return scores


def _logistic(vectors: Float, answers: NDArray[np.int64], strength: float) -> Any:  # noqa: ANN401
    """Return a fitted logistic regression; of a label that all clips or none have, that answer."""
    if len(np.unique(answers)) == 1:
        return float(answers[0])
    return LogisticRegression(C=strength, max_iter=MAX_STEPS, tol=TOLERANCE).fit(vectors, answers)


def _probability(model: Any, vectors: Float) -> Float:  # noqa: ANN401
    """Return how likely a label is (N,)."""
    if isinstance(model, float):
        return np.full(len(vectors), model)
    return np.asarray(model.predict_proba(vectors)[:, 1], np.float64)


def _neighbours(train: ProbeData, task: Task) -> Fit:
    """Return what asks a number of nearest training clips by cosine; nearer ones weigh more."""

    def fit(number: float) -> Scores:
        model = KNeighborsRegressor(
            min(int(number), len(train)), weights="distance", metric="cosine", algorithm="brute"
        )
        model.fit(np.asarray(train.vectors, np.float64), train.truth)
        shape = -1, train.truth.shape[1]
        return lambda vectors: np.reshape(model.predict(np.asarray(vectors, np.float64)), shape)

    return fit
