"""A trained temporal model and its head as a model folder, with its card."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from soravec.models.export import load_encoder, save_model
from soravec.models.sora import SoraEncoder
from soravec.models.temporal import TemporalModel
from soravec.runtime.heads import (
    HEADS_FOLDER,
    Head,
    HeadConfig,
    head_names,
    read_head,
    write_head,
)
from soravec.training.config import TrainConfig
from soravec.training.loop import Fit
from soravec.training.objectives import EventObjective, Objective
from soravec.training.prepare import Prepared


def save_trained(
    objective: Objective | EventObjective,
    prepared: Prepared,
    config: TrainConfig,
    folder: Path,
    result: Fit,
    measured: dict[str, float],
) -> Path:
    """Write the model folder: the base's CNN, the temporal model, and the head.

    Other heads of the base go along where its vectors stay as they are.
    """
    base = prepared.encoder
    encoder = load_encoder(base.folder.path)
    manifest = prepared.manifest
    names = manifest.classes
    what = f"{len(names)} classes" if prepared.activation != "identity" else "a target"
    if config.temporal.train:
        encoder = with_temporal_model(encoder, objective.temporal)
    encoder.config = replace(
        encoder.config,
        name=manifest.path.stem,
        sampling=base.config.sampling,
        description=f"{base.name} and a {objective.temporal.config.kind}, trained on {what}",
        files={},
    )
    shutil.rmtree(folder / HEADS_FOLDER, ignore_errors=True)  # of an earlier run: another space
    card = _card(prepared, config, result, measured)
    written = save_model(encoder, folder, card=card, cnn_from=base.folder.path)
    if written.space_id == base.space_id:
        for name in head_names(base.folder.path):
            write_head(folder, read_head(base.folder.path, name))
    if objective.head is not None:
        events = isinstance(objective, EventObjective)
        running = events and written.temporal.streaming
        head = HeadConfig(
            names,
            prepared.activation,
            written.space_id,
            base.config.sampling.fps,
            running=running,
            delay_seconds=config.events.delay_seconds if running else 0.0,
            window_seconds=config.events.window_seconds if events and not running else 0.0,
        )
        weight, bias = objective.linear_head()
        write_head(folder, Head(config.head, head, weight.numpy(), bias.numpy()))
    return folder


def with_temporal_model(encoder: SoraEncoder, temporal: TemporalModel) -> SoraEncoder:
    """Return an encoder with the same CNN and another temporal model."""
    changed = SoraEncoder(replace(encoder.config, temporal=temporal.config), encoder.cnn)
    changed.temporal = temporal
    return changed


def _card(prepared: Prepared, config: TrainConfig, result: Fit, measured: dict[str, float]) -> str:
    clips = prepared.features.clips
    counts = {
        split: sum(clip.split == split for clip in clips)
        for split in ("train", "validation", "test")
    }
    options = config.temporal
    lines = [
        f"# {prepared.manifest.path.stem}",
        "",
        f"`{config.model}` and a temporal model of its own ({options.kind}, {options.hidden_dim}"
        f" wide, {options.pooling} pooling), trained by `soravec train`.",
        "",
        f"- Clips: {counts['train']} to train on, {counts['validation']} to decide when to stop,"
        f" {counts['test']} kept aside; {len(prepared.features.skipped)} could not be read.",
        f"- Sampling: {prepared.encoder.config.sampling.fps:g} frames/s, segments of at most"
        f" {prepared.encoder.config.sampling.segment_seconds:g} s.",
        f"- Outputs: {', '.join(prepared.manifest.classes) or 'none'}.",
        f"- Epochs: {result.epochs}, of which number {result.best_epoch} is kept.",
        *(
            f"- Validation, {name.replace('_', ' ')}: {value:.4f}"
            for name, value in measured.items()
        ),
        f"- Settings: {json.dumps(asdict(config))}",
        "- Limits: good for video like the clips that it was trained on; the figures of the test"
        " clips are in the report beside the training.",
        "- Licence: that of the base model and of the clips.",
    ]
    return "\n".join(lines) + "\n"
