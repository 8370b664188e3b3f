"""Learning where in time things happen: from spans of long videos, or from labelled clips alone.

Every frame has its truth: the classes of the spans that it lies in. A clip without a span shows at
every frame what it is labelled with. An RNN is taught at every frame of its running state; a model
that keeps none is taught by windows around frames.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from soravec.data.clips import Clip, Manifest, Split
from soravec.data.features import FeatureSet, skipped_rows
from soravec.data.manifest import write_manifest
from soravec.data.splits import split_clips
from soravec.errors import TrainingError
from soravec.models.export import load_encoder
from soravec.models.temporal import TemporalModel, pooled_dim
from soravec.runtime.config import TemporalConfig
from soravec.runtime.encoder import Encoder
from soravec.training.batches import Segment
from soravec.training.config import TrainConfig, write_train_config
from soravec.training.event_batches import RunningSource, Series, WindowSource
from soravec.training.loop import Fit, Progress, fit
from soravec.training.objectives import EventObjective
from soravec.training.prepare import (
    SKIPPED_COLUMNS,
    SKIPPED_FILE,
    Places,
    Prepared,
    base_encoder,
    feature_cache,
    split_file,
    write_rows,
)
from soravec.training.save import save_trained
from soravec.training.train import (
    CONFIG_FILE,
    MODEL_FOLDER,
    TRAINING_FILE,
    Trained,
    check_resumable,
    fit_scales,
    temporal_config,
    write_facts,
)


def train_events(
    manifest: Manifest,
    out: Path,
    config: TrainConfig,
    places: Places,
    *,
    resume: bool = False,
    on_videos: Callable[[int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Trained:
    """Learn what happens when, and write the model into `out / "model"`.

    Args:
        manifest: Spans of videos, in whose other parts nothing happens; or whole clips. With
            several labels, one of none shows what is no event.
        out: Folder of the training.
        config: How; `pooling` does not matter to an RNN that is read at every frame.
        places: Where features are kept.
        resume: Go on from the checkpoint in `out`.
        on_videos: Called with videos read and videos to read.
        on_progress: Called after every batch.
        say: Given sentences for a person.

    Raises:
        ManifestError: The clips cannot be used.
        TrainingError: There is nothing to learn, or the configuration does not fit.
    """
    if resume:
        check_resumable(config, out)
    if manifest.task not in ("single_label", "multi_label"):
        raise TrainingError(f"{manifest.path}: events are classes, so the clips need labels")
    if config.cnn.train_stages or not config.temporal.train:
        raise TrainingError("events are learned by a temporal model on cached features alone")
    out.mkdir(parents=True, exist_ok=True)
    known = len(manifest.warnings)
    manifest = split_clips(manifest, config.data.fractions, seed=config.loop.seed)
    for warning in manifest.warnings[known:]:
        say(warning)
    write_manifest(manifest, out / split_file(manifest))
    encoder = base_encoder(config, out)
    read = read_videos(manifest, encoder, places, config, on_videos)
    write_rows(out / SKIPPED_FILE, skipped_rows(read.skipped), SKIPPED_COLUMNS)
    if read.skipped:
        say(f"{len(read.skipped)} videos could not be read: {out / SKIPPED_FILE}")
    train, validation = (series_of(read, manifest, split) for split in ("train", "validation"))
    check_learnable(manifest, train)
    write_train_config(config, out / CONFIG_FILE)
    objective, result = fit_events(
        encoder, train, validation, config, out=out, resume=resume, on_progress=on_progress
    )
    prepared = Prepared(replace(manifest, task="multi_label"), encoder, read, (), (), ((), ()))
    measured = {"loss": result.best_loss} if validation else {}
    model = save_trained(objective, prepared, config, out / MODEL_FOLDER, result, measured)
    write_facts(out / TRAINING_FILE, objective, prepared, result, measured)
    return Trained(model, prepared, result, measured)


def read_videos(
    manifest: Manifest,
    encoder: Encoder,
    places: Places,
    config: TrainConfig,
    on_videos: Callable[[int, int], None] | None,
) -> FeatureSet:
    """Return the features of whole videos, whatever spans of them are labelled."""
    cache = feature_cache(encoder, places, config)
    return cache.read(whole_videos(manifest), on_progress=on_videos)


def whole_videos(manifest: Manifest) -> tuple[Clip, ...]:
    """Return the videos of a manifest, each once and whole, in order."""
    first = {clip.path: clip for clip in reversed(manifest.clips)}
    return tuple(
        Clip(clip.path, split=clip.split, group=clip.group, row=clip.row)
        for clip in sorted(first.values(), key=lambda one: one.row)
    )


def series_of(read: FeatureSet, manifest: Manifest, split: Split) -> tuple[Series, ...]:
    """Return the videos of a split, and what happens at each of their frames."""
    rows: dict[Path, list[Clip]] = defaultdict(list)
    for clip in manifest.of_split(split):
        rows[clip.path].append(clip)
    return tuple(
        Series(views[0], truth_at(views[0].seconds, rows[clip.path], manifest.classes))
        for clip, views in zip(read.clips, read.views, strict=True)
        if clip.path in rows
    )


def truth_at(
    seconds: NDArray[np.float64], clips: Sequence[Clip], classes: Sequence[str]
) -> NDArray[np.float32]:
    """Return (T, K), 1 for each class of which a span is on show at an instant.

    Example: a span from 1 to 2 s of the class `goal`, at 0, 1 and 2 s, gives 0, 1 and 0.
    """
    truth = np.zeros((len(seconds), len(classes)), np.float32)
    for clip in clips:
        start = -np.inf if clip.start_seconds is None else clip.start_seconds
        end = np.inf if clip.end_seconds is None else clip.end_seconds
        inside = (seconds >= start) & (seconds < end)
        for label in clip.labels:
            truth[inside, classes.index(label)] = 1
    return truth


def check_learnable(manifest: Manifest, train: Sequence[Series]) -> None:
    """Check that every class happens somewhere in what is learned from.

    Raises:
        TrainingError: One does not.
    """
    if not train:
        raise TrainingError(f"{manifest.path}: no video to train on can be read")
    shown = np.sum([one.truth.sum(axis=0) for one in train], axis=0)
    lost = [name for name, frames in zip(manifest.classes, shown, strict=True) if not frames]
    if lost:
        raise TrainingError(
            f"{manifest.path}: no frame of the training videos shows {', '.join(lost)}."
            " Mend them, give a higher data.fps, or leave the class out."
        )


def fit_events(
    encoder: Encoder,
    train: Sequence[Series],
    validation: Sequence[Series],
    config: TrainConfig,
    *,
    out: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[EventObjective, Fit]:
    """Return a temporal model with its head, trained on videos, and how it went."""
    torch.manual_seed(config.loop.seed)
    base = load_encoder(encoder.folder.path)
    wanted = event_config(temporal_config(base.config, config), base.config.cnn.parts)
    temporal = TemporalModel(
        wanted,
        base.config.cnn.feature_dim,
        parts=base.config.cnn.parts,
        dropout=config.temporal.dropout,
    )
    temporal.projection.load_state_dict(base.temporal.projection.state_dict())
    temporal.projection.requires_grad_(False)
    window = config.events.window_seconds
    fit_scales(temporal, [piece for one in train for piece in pieces(one, window)])
    objective = EventObjective(temporal, train[0].truth.shape[1], dropout=config.temporal.dropout)
    parts, seed = base.config.cnn.parts, config.loop.seed
    source: RunningSource | WindowSource
    if wanted.streaming:
        fps = encoder.config.sampling.fps
        source = RunningSource(
            train,
            validation,
            num_frames=max(2, round(config.events.stretch_seconds * fps)),
            delay_frames=round(config.events.delay_seconds * fps),
            batch_size=config.events.batch_stretches,
            time=config.time,
            parts=parts,
            seed=seed,
        )
    else:
        source = WindowSource(
            train,
            validation,
            window_seconds=window,
            batch_size=config.loop.batch_size,
            parts=parts,
            seed=seed,
        )
    result = fit(
        objective,
        source,
        optimizer_options=config.optimizer,
        options=config.loop,
        out=out,
        resume=resume,
        on_progress=on_progress,
    )
    return objective, result


def event_config(wanted: TemporalConfig, parts: tuple[int, int, int]) -> TemporalConfig:
    """Return the configuration of an RNN that is read at every frame; of others as it is."""
    last = replace(wanted, pooling="last")
    if not last.streaming or last.readout:
        return last if last.streaming else wanted
    return replace(last, motion_dim=pooled_dim(last, parts))


def pieces(series: Series, seconds: float) -> list[Segment]:
    """Return a video in pieces of so many seconds, by which inputs are standardised."""
    features = series.features
    number = ((features.seconds - features.seconds[0]) // seconds).astype(np.int64)
    edges = np.flatnonzero(np.diff(number)) + 1
    return [
        Segment(0, (values,), times, np.zeros(0, np.float32), seconds)
        for values, times in zip(
            np.split(features.features, edges), np.split(features.seconds, edges), strict=True
        )
    ]
