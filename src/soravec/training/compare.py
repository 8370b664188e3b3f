"""Which temporal model suits my data? Train each on the same cached features, keep the best."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

from soravec.data.manifest import Manifest
from soravec.errors import TrainingError
from soravec.training.batches import Segment, plain_batches
from soravec.training.config import TrainConfig, with_temporal, write_train_config
from soravec.training.loop import Fit, Progress
from soravec.training.measure import clip_loss, clip_outputs, measure
from soravec.training.objectives import Objective
from soravec.training.prepare import Places, Prepared, prepare
from soravec.training.save import save_trained
from soravec.training.train import (
    CONFIG_FILE,
    MODEL_FOLDER,
    TRAINING_FILE,
    Trained,
    num_parameters,
    train_objective,
    write_facts,
)

COMPARISON_FILE = "comparison.json"

PLAIN = {"statistics": False, "differences": (), "bidirectional": False, "num_layers": 1}
CANDIDATES: dict[str, dict[str, Any]] = {
    "mean": {**PLAIN, "kind": "mean", "components": 0, "centred": False},
    "statistics": {**PLAIN, "kind": "statistics", "components": 0, "centred": False},
    "gru": {**PLAIN, "kind": "gru", "pooling": "mean_max"},
    "gru, differences": {**PLAIN, "kind": "gru", "pooling": "mean_max", "differences": (1, 4)},
    "gru, statistics": {**PLAIN, "kind": "gru", "pooling": "mean_max", "statistics": True},
    "lstm": {**PLAIN, "kind": "lstm", "pooling": "mean_max"},
    "lstm, last state": {**PLAIN, "kind": "lstm", "pooling": "last"},
    "gru both ways": {**PLAIN, "kind": "gru", "bidirectional": True, "pooling": "mean_max"},
    "lstm both ways, attention": {
        **PLAIN,
        "kind": "lstm",
        "bidirectional": True,
        "pooling": "attention",
    },
    "transformer": {**PLAIN, "kind": "transformer", "num_layers": 2, "pooling": "mean_max"},
}
"""The temporal models that are compared, by name; the first two are blind to order."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One temporal model, as it did on the validation clips."""

    name: str
    """Key of `CANDIDATES`."""
    accuracy: float | None
    """Share of validation clips that are called right; None where that makes no sense."""
    interval: tuple[float, float] | None
    """Its 95 % interval (Wilson)."""
    loss: float
    """Cross-entropy of clips, or mean squared error."""
    num_parameters: int
    """Numbers that are learned."""
    training_seconds: float
    """On this machine, as busy as it is."""
    segment_milliseconds: float
    """Reading one validation segment's features, in batches of 64."""
    best_epoch: int
    """Epoch whose weights count."""


def compare(
    manifest: Manifest,
    out: Path,
    config: TrainConfig,
    places: Places,
    *,
    candidates: Mapping[str, Mapping[str, Any]] | None = None,
    on_videos: Callable[[int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Trained, list[Compared]]:
    """Train every candidate, save the one that does best on the validation clips, and all figures.

    The test clips are not looked at.

    Args:
        manifest: Labelled clips.
        out: Folder of the comparison.
        config: How; its temporal model gives the sizes.
        places: Where features are kept.
        candidates: Changes to the temporal model by name; None for `CANDIDATES`.
        on_videos: Called with videos read and videos to read.
        on_progress: Called after every batch.
        say: Given sentences for a person.

    Raises:
        ManifestError: The clips cannot be used.
        TrainingError: They have no labels, or none to choose by.
    """
    if not config.temporal.train or config.cnn.train_stages:
        raise TrainingError("a comparison trains temporal models on cached features, nothing else")
    if not config.objective.supervised:
        raise TrainingError("a comparison goes by the labels: objective.supervised must not be 0")
    prepared = prepare(manifest, config, out, places, on_progress=on_videos, say=say)
    if not prepared.validation or not prepared.num_outputs:
        raise TrainingError(f"{manifest.path}: nothing to compare by: no labelled validation clips")
    rows: list[Compared] = []
    best: tuple[Objective, Fit, TrainConfig] | None = None
    for name, changes in (CANDIDATES if candidates is None else candidates).items():
        tried = with_temporal(config, **changes)
        objective, result = train_objective(prepared, tried, on_progress=on_progress)
        rows.append(_compared(name, objective, result, prepared))
        say(sentence(rows[-1]))
        if rows[-1] is chosen(rows):
            best = objective, result, tried
    assert best is not None
    objective, result, tried = best
    write_train_config(tried, out / CONFIG_FILE)
    measured = measure(objective, prepared.train, prepared.validation)
    write_facts(out / TRAINING_FILE, objective, prepared, result, measured)
    fps = prepared.encoder.config.sampling.fps
    figures = {
        "chosen": chosen(rows).name,
        "sample_fps": fps,
        "models": [asdict(row) for row in rows],
    }
    (out / COMPARISON_FILE).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    model = save_trained(objective, prepared, tried, out / MODEL_FOLDER, result, measured)
    return Trained(model, prepared, result, measured), rows


def chosen(rows: Sequence[Compared]) -> Compared:
    """Return the most accurate one; of equal ones that with the smallest loss."""
    return min(rows, key=lambda row: (-(row.accuracy or 0.0), row.loss))


def comparison_table(rows: Sequence[Compared], prepared: Prepared) -> list[str]:
    """Return the comparison for a person: a line per model under a heading, the chosen one marked.

    Chance, where classes are told apart, is always answering the commonest one.
    """
    clips = len({segment.clip for segment in prepared.validation})
    fps = prepared.encoder.config.sampling.fps
    lines = [
        f"{clips} validation clips, {fps:g} frames/s",
        f"  {'temporal model':<26} {'accuracy [95 %]':<22} {'loss':<8} {'parameters':>10}"
        f" {'s to train':>10} {'ms/segment':>10}",
    ]
    if prepared.activation == "softmax":
        truth = {segment.clip: segment.truth for segment in prepared.validation}
        chance = np.mean(list(truth.values()), axis=0).max()
        lines.append(f"  {'chance':<26} {chance:.3f}")
    best = chosen(rows)
    for row in rows:
        low, high = row.interval or (0.0, 0.0)
        found = "" if row.accuracy is None else f"{row.accuracy:.3f} [{low:.3f}, {high:.3f}]"
        lines.append(
            f"{'*' if row is best else ' '} {row.name:<26} {found:<22} {row.loss:<8.4f}"
            f" {row.num_parameters:>10,} {row.training_seconds:>10.1f}"
            f" {row.segment_milliseconds:>10.2f}"
        )
    return lines


def sentence(row: Compared) -> str:
    """Return a row for a person."""
    found = f"loss {row.loss:.4f}"
    if row.accuracy is not None and row.interval is not None:
        low, high = row.interval
        found = f"accuracy {row.accuracy:.3f} [{low:.3f}, {high:.3f}], {found}"
    return (
        f"{row.name:<26} {found}, {row.num_parameters:,} parameters,"
        f" {row.training_seconds:.1f} s to train, {row.segment_milliseconds:.2f} ms per segment"
    )


def _compared(name: str, objective: Objective, result: Fit, prepared: Prepared) -> Compared:
    scores, truth = clip_outputs(objective, prepared.validation)
    accuracy = interval = None
    if objective.activation == "softmax":
        right = int((scores.argmax(1) == truth.argmax(1)).sum())
        found = binomtest(right, len(scores)).proportion_ci(method="wilson")
        accuracy, interval = right / len(scores), (float(found.low), float(found.high))
    return Compared(
        name,
        accuracy,
        interval,
        clip_loss(scores, truth, objective.activation),
        num_parameters(objective),
        round(result.seconds, 3),
        _milliseconds(objective, prepared.validation),
        result.best_epoch,
    )


@torch.no_grad()
def _milliseconds(objective: Objective, segments: Sequence[Segment]) -> float:
    """Return the time that one segment takes, from the features on."""
    batches = list(plain_batches(segments, 64))
    objective.outputs(batches[0])
    began = time.monotonic()
    for batch in batches:
        objective.outputs(batch)
    return round((time.monotonic() - began) * 1000 / len(segments), 4)
