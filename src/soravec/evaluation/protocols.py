"""What is done with the clips of a split besides scoring them: find, reorder, thin out, damage."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.data.clips import Task
from soravec.evaluation.intervals import Figure, Resamples, average, difference, figure, resample
from soravec.evaluation.measures import Measure, figures_of, measures_of, statistic_of
from soravec.evaluation.results import Curve, OrderRow, Point, RetrievalRow
from soravec.evaluation.retrieval import chance_metrics, rank_clips, retrieval_metrics
from soravec.evaluation.robustness import UNITS, choose_clips, damaged_scores
from soravec.evaluation.scored import ScoredClips
from soravec.evaluation.stress import Score, order_scores, rates_below, thinned
from soravec.runtime.encoder import Encoder
from soravec.video import LIMITS, Limits

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom."""

    encoder: Encoder
    """The model."""
    task: Task
    """What the truth means."""
    test: ScoredClips
    """The clips that are scored."""
    scores: Float
    """(N, K) what the model says of them."""
    score: Score
    """What gives such scores of a clip."""
    resamples: Resamples
    """Draws of the clips."""
    seed: int
    """Of draws, shuffles and noise."""
    limits: Limits = LIMITS
    """What is refused of clips that are read again."""

    @property
    def fps(self) -> float:
        """Frames per second that are read."""
        return self.encoder.config.sampling.fps

    @property
    def primary(self) -> Measure:
        """The measure that is compared."""
        return measures_of(self.task, self.test.truth.shape[1])[0]


def retrieval_rows(question: Question) -> tuple[RetrievalRow, ...]:
    """Return how well vectors find clips of the same class, and what chance would find.

    Empty for a regression, and where no clip has a like among those of other groups.
    """
    test = question.test
    if question.task == "regression":
        return ()
    alike = test.truth @ test.truth.T > 0
    rows = []
    for name, vectors in (
        ("vectors of the model", test.vectors),
        ("mean over time", test.means),
        ("temporal statistics", test.statistics),
    ):
        ranks = rank_clips(vectors, alike, test.units)
        if not len(ranks.query):
            return ()
        resamples = resample(test.units[ranks.query], seed=question.seed)
        metrics = retrieval_metrics(ranks, resamples)
        rows.append(RetrievalRow(name, vectors.shape[1], metrics, question.fps))
    return (*rows, RetrievalRow("chance", 0, chance_metrics(ranks), 0.0))


def order_rows(question: Question) -> tuple[OrderRow, ...]:
    """Return the first measure with frames in their order and out of it."""
    test, primary = question.test, question.primary
    found = order_scores(
        question.score,
        test.features,
        segment_seconds=question.encoder.config.sampling.segment_seconds,
        seed=question.seed,
    )
    plain = statistic_of(primary, question.scores, test.truth, question.task)
    rows = [OrderRow("as it is", _measured(question, question.scores), None, 1, question.fps)]
    for name, rounds in found.items():
        parts = [statistic_of(primary, one, test.truth, question.task) for one in rounds]
        changed = average(parts)
        lost = figure(difference(plain, changed), question.resamples)
        rows.append(
            OrderRow(name, figure(changed, question.resamples), lost, len(rounds), question.fps)
        )
    return tuple(rows)


def rate_curve(question: Question) -> Curve:
    """Return the first measure at rates below the model's, from the same features."""
    points = []
    for rate in rates_below(question.fps, question.test.features):
        scores = [question.score(thinned(one, rate)) for one in question.test.features]
        points.append(Point(rate, _measured(question, np.stack(scores))))
    clean = _measured(question, question.scores)
    return Curve("rate", "frames per second", tuple(points), clean, question.fps)


def damage_curves(question: Question, say: Callable[[str], None]) -> tuple[Curve, ...]:
    """Return the first measure against noise, blur, compression and lost frames.

    Clips that can no longer be decoded are left out of all of them, and told.
    """
    test = question.test
    rows = choose_clips(test.truth, seed=question.seed)
    say(f"reading {len(rows)} clips again, damaged")
    pairs = [(test.clips[row], test.features[row]) for row in rows]
    worse, kept, unread = damaged_scores(
        question.encoder, pairs, question.score, seed=question.seed, limits=question.limits
    )
    for one in unread:
        say(f"left out of the curves: {one.message}")
    if not len(kept):
        return ()
    rows = rows[kept]
    truth, key = test.truth[rows], question.primary.key
    resamples = resample(test.units[rows], seed=question.seed)

    def measured(scores: Float) -> Figure:
        return figures_of(scores, truth, question.task, resamples)[key]

    clean = measured(question.scores[rows])
    curves = []
    for kind, unit in UNITS.items():
        points = [
            Point(level, measured(scores)) for (of, level), scores in worse.items() if of == kind
        ]
        curves.append(Curve(kind, unit, tuple(points), clean, question.fps))
    return tuple(curves)


def _measured(question: Question, scores: Float) -> Figure:
    """Return the first measure of scores of all clips."""
    truth, task = question.test.truth, question.task
    return figures_of(scores, truth, task, question.resamples)[question.primary.key]
