"""How good a model is on labelled clips: every number, its interval, what it is compared with."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soravec.data.clips import Manifest, Split, portable
from soravec.data.features import FeatureSet
from soravec.errors import ManifestError, TrainingError
from soravec.evaluation.intervals import FEW_UNITS, Resamples, resample
from soravec.evaluation.measures import class_figures, measures_of
from soravec.evaluation.metrics import (
    ClassificationMetrics,
    RegressionMetrics,
    classification_metrics,
    label_metrics,
    regression_metrics,
)
from soravec.evaluation.mistakes import pictures_of, worst_mistakes
from soravec.evaluation.protocols import (
    Question,
    damage_curves,
    order_rows,
    rate_curve,
    retrieval_rows,
)
from soravec.evaluation.report import report_page
from soravec.evaluation.results import (
    DataFacts,
    ModelFacts,
    Results,
    SkippedClip,
)
from soravec.evaluation.rows import Answer, Splits, baseline_answers, probe_of_vectors, table_of
from soravec.evaluation.scored import check_classes, gather
from soravec.evaluation.stress import (
    NUM_VIEWS,
    VIEW_SHARE,
    Score,
    view_scores,
)
from soravec.evaluation.tables import summary_lines
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import TAGS_HEAD, Head, head_names
from soravec.types import FrameFeatures
from soravec.video import LIMITS, Limits

Float = NDArray[np.float64]

JSON_FILE = "report.json"
PAGE_FILE = "report.html"
MOST_WARNINGS = 20
"""Warnings of the manifest that stand in the report."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found, and where it is written."""

    results: Results
    """Every number."""
    page: Path
    """The report, one HTML file."""

    @property
    def facts(self) -> dict[str, Any]:
        """What `report.json` holds."""
        return self.results.to_json()

    @property
    def lines(self) -> list[str]:
        """The results in a few lines of text."""
        return [*summary_lines(self.results), f"report: {self.page}"]


def evaluate(  # noqa: PLR0913  # each is a choice of the caller
    encoder: Encoder,
    manifest: Manifest,
    *,
    features: FeatureSet,
    out: Path,
    head: str | None = None,
    split: Split = "test",
    seed: int = 0,
    robustness: bool = True,
    limits: Limits = LIMITS,
    say: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Score the clips of one split, and write `report.json` and `report.html`.

    The clips of the training split teach the probes and baselines it is compared with; those of the
    validation split choose their settings. A model without a head is judged by a linear probe of
    its vectors.

    Args:
        encoder: The model, at the rate its features were read.
        manifest: Labelled clips with splits.
        features: Of all its clips that could be read.
        out: Folder of the report; made where absent.
        head: Which of the model's heads answers; None means the only one beside the tags.
        split: Which clips are scored.
        seed: Of draws, folds, shuffles and noise.
        robustness: Whether clips are decoded again, made worse, and read anew.
        limits: What is refused of those.
        say: Given sentences for a person.

    Raises:
        ManifestError: The clips have no labels, or none of the split can be read, or the head does
            not know their classes.
        ModelError: The model has no such head.
        TrainingError: The model has no head, and there is nothing to fit a probe on.
    """
    if manifest.task == "unlabelled":
        raise ManifestError(manifest.path, ["clips without labels cannot be scored"])
    trained = set(head_names(encoder.folder.path)) - {TAGS_HEAD}
    chosen = encoder.head(head) if head or trained else None
    if chosen is not None:
        check_classes(manifest, chosen)
    classes = chosen.classes if chosen else manifest.classes
    splits = _splits(encoder, manifest, features, split, classes)
    say(f"scoring {len(splits.test)} clips")
    score, answers = _answers(encoder, chosen, splits, manifest, seed)
    scores, truth, task = answers[0].scores, splits.test.truth, manifest.task
    resamples = resample(splits.test.units, seed=seed)
    question = Question(encoder, task, splits.test, scores, score, resamples, seed, limits)
    worst = worst_mistakes(splits.test, scores, manifest, classes)
    results = Results(
        model=_model_facts(encoder, chosen),
        data=_data_facts(manifest, features, split, classes, resamples),
        measures=measures_of(task, len(classes)),
        rows=tuple(table_of(answers, truth, task, resamples, sample_fps=question.fps)),
        metrics=_metrics(manifest, scores, truth, classes),
        class_figures=class_figures(scores, truth, task, resamples),
        retrieval=retrieval_rows(question),
        order=order_rows(question),
        curves=(rate_curve(question), *(damage_curves(question, say) if robustness else ())),
        mistakes=tuple(mistake for _, mistake in worst),
        skipped=_skipped(manifest, features, split),
        notes=(
            *_notes(encoder, chosen, splits, resamples, split),
            *_first(manifest.warnings),
        ),
        seed=seed,
        soravec_version=metadata.version("soravec"),
    )
    return _written(results, [pictures_of(clip, limits=limits) for clip, _ in worst], out)


def _splits(
    encoder: Encoder,
    manifest: Manifest,
    features: FeatureSet,
    split: Split,
    classes: tuple[str, ...],
) -> Splits:
    """Return the scored clips, and those that probes may see: never the scored ones."""
    parts = {name: gather(encoder, manifest, features, name, classes) for name in SPLITS}
    test = parts[split]
    if not len(test):
        raise ManifestError(manifest.path, [f"no clip of the split '{split}' can be read"])
    none = test.none()
    train, validation = (none if split == name else parts[name] for name in ("train", "validation"))
    return Splits(train, validation, test)


def _written(results: Results, pictures: Sequence[list[str]], out: Path) -> Evaluation:
    """Write both files, and return what is in them."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    (out / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    page = out / PAGE_FILE
    page.write_text(report_page(results, pictures), encoding="utf-8")
    return Evaluation(results, page)


def _answers(
    encoder: Encoder, head: Head | None, splits: Splits, manifest: Manifest, seed: int
) -> tuple[Score, list[Answer]]:
    """Return what scores a clip, and the answers of every method, the model's first."""
    test, task = splits.test, manifest.task
    linear: list[Answer] = []
    others: list[Answer] = []
    score: Score | None = None
    try:
        probe, answer = probe_of_vectors("linear", splits, task, seed=seed)
        linear = [answer]
        others = [probe_of_vectors("neighbours", splits, task, seed=seed)[1]]
        others += baseline_answers(splits, task, seed=seed)
    except TrainingError as error:
        if head is None:
            cause = f"{encoder.name} has no head, and no probe can be fitted: {error}"
            raise TrainingError(cause) from error
    if head is None:

        def score(features: FrameFeatures) -> Float:
            scores: Float = probe.scores(encoder.embed_features(features).vector[None])[0]
            return scores
    else:

        def score(features: FrameFeatures) -> Float:
            return head.classify(encoder.embed_features(features)).scores.astype(np.float64)

        scores = np.stack([score(one) for one in test.features])
        what = f"{encoder.name}, head {head.name}"
        linear = [Answer(what, "model", encoder.dim, scores), *linear]
    views = view_scores(score, test.features)
    name = f"{linear[0].name}, {NUM_VIEWS} views averaged"
    seen = Answer(name, linear[0].kind, encoder.dim, views, linear[0].setting)
    return score, [linear[0], seen, *linear[1:], *others]


def _metrics(
    manifest: Manifest, scores: Float, truth: Float, classes: tuple[str, ...]
) -> ClassificationMetrics | RegressionMetrics:
    if manifest.task == "regression":
        return regression_metrics(scores, truth, classes)
    if manifest.task == "multi_label":
        return label_metrics(scores, truth > 0, classes)
    return classification_metrics(scores, truth.argmax(axis=1), classes)


def _model_facts(encoder: Encoder, head: Head | None) -> ModelFacts:
    return ModelFacts(
        name=encoder.name,
        head=head.name if head else "",
        temporal=encoder.config.temporal.kind,
        feature_id=encoder.feature_id,
        space_id=encoder.space_id,
        dim=encoder.dim,
        sample_fps=encoder.config.sampling.fps,
        segment_seconds=encoder.config.sampling.segment_seconds,
    )


def _data_facts(
    manifest: Manifest,
    features: FeatureSet,
    split: Split,
    classes: tuple[str, ...],
    resamples: Resamples,
) -> DataFacts:
    split_of = {clip.row: clip.split for clip in manifest.clips}
    read = Counter(split_of.get(clip.row) for clip in features.clips)
    return DataFacts(
        manifest=manifest.path.name,
        digest=manifest.digest,
        task=manifest.task,
        split=split,
        classes=classes,
        num_clips={name: read[name] for name in SPLITS},
        num_skipped={name: len(_skipped(manifest, features, name)) for name in SPLITS},
        num_units=resamples.num_units,
    )


def _skipped(manifest: Manifest, features: FeatureSet, split: Split) -> tuple[SkippedClip, ...]:
    split_of = {clip.row: clip.split for clip in manifest.clips}
    return tuple(
        SkippedClip(portable(one.clip.path, manifest.folder), one.clip.row, one.message)
        for one in features.skipped
        if split_of.get(one.clip.row) == split
    )


def _first(warnings: Sequence[str]) -> tuple[str, ...]:
    """Return the first warnings, and how many more there are."""
    more = len(warnings) - MOST_WARNINGS
    rest = (f"{more} more warnings of the clips.",) if more > 0 else ()
    return (*warnings[:MOST_WARNINGS], *rest)


def _notes(
    encoder: Encoder, head: Head | None, splits: Splits, resamples: Resamples, split: Split
) -> tuple[str, ...]:
    """Return what a reader must know to judge the numbers."""
    notes = []
    if resamples.num_units < 2:
        notes.append("All clips are of one group: nothing can be said of how sure a number is.")
    elif resamples.num_units < FEW_UNITS:
        what = "groups" if resamples.grouped else "clips"
        notes.append(
            f"With {resamples.num_units} {what} the intervals are rough, often too narrow."
        )
    if head is None:
        notes.append(
            f"{encoder.name} has no head for these classes: a linear probe of its vectors answers"
            " for it."
        )
    learned = head.config.sample_fps if head else 0.0
    if learned and learned != encoder.config.sampling.fps:
        fps = encoder.config.sampling.fps
        notes.append(f"The head learned at {learned:g} frames/s; here {fps:g} are read.")
    if not len(splits.train):
        notes.append("Without training clips there are no probes and baselines to compare with.")
    if split != "test":
        notes.append(f"These are the {split} clips: the model has been fitted or chosen on them.")
    notes.append(
        f"Several views: the clip as it is and {NUM_VIEWS - 1} spans of {VIEW_SHARE:.0%} of it,"
        " spread evenly; their scores are averaged."
    )
    return tuple(notes)
