"""Train a temporal model and a head on labelled clips, and save them as a model folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from soravec.data.manifest import Manifest
from soravec.errors import TrainingError
from soravec.models.export import load_encoder, save_model
from soravec.models.pooling import temporal_statistics
from soravec.models.temporal import TemporalModel, pooled_dim
from soravec.runtime.config import ModelConfig, TemporalConfig
from soravec.runtime.folder import find_model
from soravec.training.batches import CachedSource, Segment, plain_batches
from soravec.training.config import TrainConfig, read_train_config, write_train_config
from soravec.training.end_to_end import train_end_to_end
from soravec.training.loop import Fit, Progress, fit
from soravec.training.measure import calibrate, measure
from soravec.training.objectives import Objective
from soravec.training.prepare import Places, Prepared, prepare, read_again
from soravec.training.save import save_trained

MODEL_FOLDER = "model"
CNN_FOLDER = "cnn"
CONFIG_FILE = "config.yaml"
TRAINING_FILE = "training.json"
BATCH_SEGMENTS = 64
MAY_CHANGE = (("data", "num_workers"), ("loop", "checkpoint_seconds"))
"""Settings that change nothing about what is learned: a training is resumed with others too."""
WHITENING_FLOOR = 1e-3
"""Added to the variance of a component, so that noise is not blown up."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training left behind."""

    model: Path
    """Folder of the new model."""
    prepared: Prepared
    """What it was trained from."""
    fit: Fit
    """How it went."""
    validation: dict[str, float]
    """Losses and, for classes, the accuracy over validation clips."""


def train(
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
    """Train on the clips of a manifest and write the model into `out / "model"`.

    Args:
        manifest: Labelled clips, or clips without labels for learning without them.
        out: Folder of the training.
        config: How.
        places: Where features are kept.
        resume: Go on from the checkpoint in `out`.
        on_videos: Called with videos read and videos to read.
        on_progress: Called after every batch.
        say: Given sentences for a person.

    Raises:
        ManifestError: The clips cannot be used.
        TrainingError: The configuration does not fit them.
    """
    if resume:
        check_resumable(config, out)
    prepared = prepare(manifest, config, out, places, on_progress=on_videos, say=say)
    write_train_config(config, out / CONFIG_FILE)
    if config.cnn.train_stages:
        objective = make_objective(prepared, config)
        encoder, result = train_end_to_end(
            objective, prepared, config, out=out, resume=resume, on_progress=on_progress
        )
        save_model(encoder, out / CNN_FOLDER, card="# The CNN as it was trained\n")
        prepared = read_again(prepared, find_model(out / CNN_FOLDER), places, config)
        calibrate(objective, prepared.validation)
    else:
        objective, result = train_objective(
            prepared, config, out=out, resume=resume, on_progress=on_progress
        )
    measured = measure(objective, prepared.train, prepared.validation)
    model = save_trained(objective, prepared, config, out / MODEL_FOLDER, result, measured)
    write_facts(out / TRAINING_FILE, objective, prepared, result, measured)
    return Trained(model, prepared, result, measured)


def check_resumable(config: TrainConfig, out: Path) -> None:
    """Check that a training in `out` was begun with the same settings, but for `MAY_CHANGE`.

    Raises:
        TrainingError: It was not.
    """
    if not (out / CONFIG_FILE).is_file():
        return
    begun = asdict(read_train_config(out / CONFIG_FILE))
    changed = [
        f"{group}.{key} was {begun[group][key]!r}" if key else f"{group} was {begun[group]!r}"
        for group, value in asdict(config).items()
        for key in (value if isinstance(value, dict) else ("",))
        if (begun[group][key] != value[key] if key else begun[group] != value)
        and (group, key) not in MAY_CHANGE
    ]
    if changed:
        raise TrainingError(
            f"{out}: cannot be resumed with other settings ({', '.join(changed)})."
            " Set them as they were, or train without --resume."
        )


def write_facts(
    path: Path,
    objective: nn.Module,
    prepared: Prepared,
    result: Fit,
    measured: Mapping[str, float],
) -> None:
    """Write what a training came to as JSON."""
    facts = {
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": round(result.seconds, 3),
        "waiting": round(result.waiting, 4),
        "num_parameters": num_parameters(objective),
        "sample_fps": prepared.encoder.config.sampling.fps,
        "validation": dict(measured),
        "history": result.history,
    }
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def num_parameters(objective: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(p.numel() for p in objective.parameters() if p.requires_grad)


def train_objective(
    prepared: Prepared,
    config: TrainConfig,
    *,
    out: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Objective, Fit]:
    """Return a temporal model with its head, trained on cached features, and how it went.

    Raises:
        TrainingError: Nothing would be learned.
    """
    torch.manual_seed(config.loop.seed)
    objective = make_objective(prepared, config)
    source = CachedSource(
        prepared.train,
        prepared.validation,
        batch_size=config.loop.batch_size,
        time=config.time,
        seed=config.loop.seed,
        num_views=objective.num_views,
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
    calibrate(objective, prepared.validation)
    return objective, result


def make_objective(prepared: Prepared, config: TrainConfig) -> Objective:
    """Return an untrained objective whose inputs are standardised by the training segments.

    Raises:
        TrainingError: Nothing would be learned.
    """
    base = load_encoder(prepared.encoder.folder.path)
    options = config.temporal
    if options.train:
        temporal = TemporalModel(
            temporal_config(base.config, config),
            base.config.cnn.feature_dim,
            parts=base.config.cnn.parts,
            dropout=options.dropout,
        )
        temporal.projection.load_state_dict(base.temporal.projection.state_dict())
        temporal.projection.requires_grad_(False)
        fit_scales(temporal, prepared.train)
    else:
        temporal = base.temporal.requires_grad_(False)
    weights = config.objective
    if not prepared.num_outputs:
        weights = replace(weights, supervised=0.0)
    if not (weights.supervised or weights.autoencoder or weights.prediction or weights.contrast):
        raise TrainingError(
            "nothing to learn: the clips have no labels and no target, and no weight is set of"
            " objective.autoencoder, objective.prediction or objective.contrast"
        )
    objective = Objective(
        temporal,
        weights,
        num_outputs=prepared.num_outputs if weights.supervised else 0,
        activation=prepared.activation,
        dropout=options.dropout,
    )
    if objective.head is not None and prepared.activation == "identity":
        mean, deviation = _moments([torch.from_numpy(s.truth)[None] for s in prepared.train])
        objective.output_mean.copy_(mean)
        objective.output_scale.copy_(deviation)
    return objective


def temporal_config(base: ModelConfig, config: TrainConfig) -> TemporalConfig:
    """Return the configuration of a new temporal model on the appearance of a base model."""
    options = config.temporal
    wanted = TemporalConfig(
        appearance_dim=base.temporal.appearance_dim,
        motion_dim=options.motion_dim,
        readout=options.motion_dim > 0,
        kind=options.kind,
        reads=options.reads,
        components=options.components,
        hidden_dim=options.hidden_dim,
        num_layers=options.num_layers,
        bidirectional=options.bidirectional,
        centred=options.centred,
        differences=options.differences,
        statistics=options.statistics,
        motion_weight=options.motion_weight,
        pooling=options.pooling,
    )
    if wanted.readout:
        return wanted
    return replace(wanted, motion_dim=pooled_dim(wanted, base.cnn.parts))


@torch.no_grad()
def fit_scales(temporal: TemporalModel, segments: Sequence[Segment]) -> None:
    """Set mean and deviation of features, and what follows from them, to those of the segments.

    Raises:
        TrainingError: There are fewer frames than principal components.
    """
    features = [torch.from_numpy(s.views[0]).float() for s in segments]
    mean, deviation = _moments([temporal.normalise(part) for part in features])
    temporal.feature_mean.copy_(mean)
    temporal.feature_scale.copy_(1 / deviation)
    if temporal.components is not None:
        temporal.components.copy_(
            _principal([temporal.chosen(part) for part in features], temporal)
        )
    if not temporal.has_statistics and not temporal.config.differences:
        return
    series = [
        (temporal.standardise(b.features, b.mask), b.mask)
        for b in plain_batches(segments, BATCH_SEGMENTS)
    ]
    if temporal.has_statistics:
        mean, deviation = _moments([temporal_statistics(*one) for one in series])
        temporal.statistics_mean.copy_(mean)
        temporal.statistics_scale.copy_(1 / deviation)
    changes = [temporal.changes(*one) for one in series] if temporal.config.differences else []
    for number in range(len(temporal.config.differences)):
        rows = [sizes[:, :, number][there[:, :, number] > 0] for sizes, there in changes]
        if any(len(part) for part in rows):  # else no segment is as long
            mean, deviation = _moments(rows)
            temporal.change_mean[number].copy_(mean)
            temporal.change_scale[number].copy_(1 / deviation)


def _principal(parts: Sequence[Tensor], temporal: TemporalModel) -> Tensor:
    """Return the whitened principal components (R, P) of standardised features."""
    rows = torch.cat(list(parts))  # (frames, R)
    count = temporal.config.components
    if len(rows) <= count:
        raise TrainingError(f"temporal.components is {count}, but there are {len(rows)} frames")
    variances, directions = torch.linalg.eigh(rows.T @ rows / len(rows))
    scale = (variances[-count:] + WHITENING_FLOOR).rsqrt()
    components: Tensor = (directions[:, -count:] * scale).flip(1)
    return components


def _moments(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and deviation over the rows of all parts; a deviation is never 0."""
    count = sum(len(part) for part in parts)
    mean = sum(part.double().sum(dim=0) for part in parts) / count
    squares = sum((part.double() - mean).square().sum(dim=0) for part in parts) / count
    return torch.as_tensor(mean).float(), torch.as_tensor(squares).sqrt().clamp(min=1e-4).float()
