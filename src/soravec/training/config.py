"""What can be set about a training: frozen dataclasses onto which a YAML file maps one to one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from soravec.data.augmentation import Augmentation
from soravec.errors import TrainingError
from soravec.runtime.config import Pooling, Reads, TemporalKind, from_dict
from soravec.video.limits import LIMITS, Limits


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which frames are read, and how the clips are divided."""

    fps: float | None = None
    """Frames per second; None for the model's. Short clips want more: 8 for a few seconds."""
    segment_seconds: float | None = None
    """Longest segment; None for the model's."""
    motion: Literal["none", "difference"] | None = None
    """Whether the CNN also reads how each frame differs from the one before it at the video's own
    rate, which doubles its work; None for the model's."""
    layout: bool | None = None
    """Whether the CNN also says where on the picture something is, or moves; None: the model's."""
    views: int = 0
    """Augmented versions of every training clip that are cached beside the clip as it is."""
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, validation and test, where the manifest does not say."""
    duplicates: Literal["report", "group", "drop", "ignore"] = "report"
    """What to do about clips that show the same: list them; keep them in one split as well; keep
    one of them; not look."""
    num_workers: int | None = None
    """Processes that decode; None for one per core."""
    limits: Limits = LIMITS
    """What is refused of a video: pixels, fps, seconds, streams, packets, memory."""

    def __post_init__(self) -> None:
        for name in ("fps", "segment_seconds", "num_workers"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise TrainingError(f"{name} must be above 0, not {value}")
        if self.views < 0 or min(self.fractions) < 0:
            raise TrainingError("views and fractions must be at least 0")


@dataclass(frozen=True, slots=True)
class TemporalOptions:
    """The temporal model."""

    kind: TemporalKind = "gru"
    """`mean` and `statistics` are blind to order: the baselines."""
    reads: Reads = "all"
    """Which features it reads: of the frame's looks, of its difference, of the layout, or all."""
    components: int = 0
    """How many whitened principal components of the training set stand for the features that are
    read: fewer learn faster and, from few clips, better; 0 for the features themselves."""
    hidden_dim: int = 64
    """Width of its states."""
    num_layers: int = 1
    """Recurrent or Transformer layers."""
    bidirectional: bool = False
    """Whether an RNN also reads backwards."""
    centred: bool = False
    """Whether features are read less their mean over the segment: what stays is not seen."""
    differences: tuple[int, ...] = ()
    """How many frames back each frame's features are compared with: the sizes of these changes are
    read beside the features. `[1, 4]` reads two time scales."""
    statistics: bool = False
    """Whether the statistics over time stand beside what was read."""
    pooling: Pooling = "mean_max"
    """How the states of a segment become one."""
    motion_dim: int = 0
    """Length of the reading, the part of a vector that is learned: a linear layer brings what was
    pooled to it. 0 leaves it as it was pooled, which from few clips learns better."""
    motion_weight: float = 0.5
    """Its share in an inner product of two vectors."""
    dropout: float = 0.5
    """Share of what the temporal model and the head read that is dropped in training."""
    train: bool = True
    """False keeps the model's own temporal model, and so its vectors: only a head is learned."""

    def __post_init__(self) -> None:
        if any(back < 1 for back in self.differences):
            raise TrainingError(
                f"differences are frames back, 1 or more, not {list(self.differences)}"
            )
        if min(self.hidden_dim, self.num_layers) < 1 or min(self.components, self.motion_dim) < 0:
            raise TrainingError(
                "hidden_dim and num_layers must be at least 1, components and motion_dim 0"
            )
        if not (0 <= self.dropout < 1 and 0 <= self.motion_weight < 1):
            raise TrainingError("dropout and motion_weight must lie in [0, 1)")


@dataclass(frozen=True, slots=True)
class CnnOptions:
    """Training end to end."""

    train_stages: int = 0
    """How many of the CNN's last stages learn too; 0 keeps it frozen and reads cached features."""
    learning_rate_share: float = 0.1
    """The CNN's learning rate as a share of the rest's."""
    max_frames: int = 16
    """Most frames of a segment that are decoded for one step, spread evenly."""


@dataclass(frozen=True, slots=True)
class TimeAugmentation:
    """How the frames of a training segment are varied in time, anew in every epoch."""

    drop: float = 0.1
    """Most of the frames, as a share, that are lost."""
    speed: float = 1.25
    """Times are stretched or shrunk by up to this factor; 1 leaves them."""
    crop: float = 0.7
    """Least share of a segment that is read; 1 reads it whole."""

    def __post_init__(self) -> None:
        if not (0 <= self.drop < 1 and self.speed >= 1 and 0 < self.crop <= 1):
            raise TrainingError(
                f"drop must lie in [0, 1), speed be at least 1, crop lie in (0, 1]: {self}"
            )


@dataclass(frozen=True, slots=True)
class ObjectiveOptions:
    """What is made small: a weighted sum."""

    supervised: float = 1.0
    """Weight of what the labels ask for: cross-entropy where one class is right, binary
    cross-entropy where several may be, mean squared error where a target is given."""
    label_smoothing: float = 0.1
    """Share of the truth that is spread over all classes, in the cross-entropy."""
    autoencoder: float = 0.0
    """Weight of the mean squared error of reconstructing the frames' features backwards."""
    prediction: float = 0.0
    """Weight of the mean squared error of predicting the second half from the first."""
    contrast: float = 0.0
    """Weight of InfoNCE between two views of every segment."""
    temperature: float = 0.1
    """Of the contrast."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1 or self.temperature <= 0:
            raise TrainingError("label_smoothing must lie in [0, 1), temperature be above 0")


@dataclass(frozen=True, slots=True)
class EventTraining:
    """Learning where in time things happen (`soravec train --events`)."""

    stretch_seconds: float = 15.0
    """An RNN reads stretches of so long, from a state of zero on."""
    batch_stretches: int = 4
    """Stretches per batch."""
    delay_seconds: float = 0.0
    """So much later an RNN is asked what happens: it has then seen a little of what follows."""
    window_seconds: float = 2.0
    """Length of the windows that models read which keep no state."""

    def __post_init__(self) -> None:
        if min(self.stretch_seconds, self.window_seconds) <= 0 or self.batch_stretches < 1:
            raise TrainingError(f"lengths must be above 0, batch_stretches at least 1: {self}")
        if self.delay_seconds < 0:
            raise TrainingError(f"delay_seconds must be at least 0, not {self.delay_seconds}")


@dataclass(frozen=True, slots=True)
class OptimizerOptions:
    """How weights move."""

    name: Literal["sgd", "adam", "adamw"] = "adamw"
    """SGD has momentum."""
    learning_rate: float = 3e-3
    """Peak."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 0.05
    """Of matrices; biases and norms have none."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """After the warm-up."""
    warmup: float = 0.15
    """Share of all updates in which the learning rate rises from 0."""
    step_at: tuple[float, ...] = (0.5, 0.75)
    """Where `step` lowers it, as shares of all updates."""
    step_factor: float = 0.1
    """What `step` multiplies it by."""
    clip_norm: float = 1.0
    """Longest gradient; 0 for any."""
    ema: float = 0.0
    """Decay of an exponential moving average of the weights, which is then kept; 0 for none."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not (0 <= self.ema < 1 and 0 <= self.warmup < 1):
            raise TrainingError("learning_rate must be above 0, ema and warmup lie in [0, 1)")


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How long, and how exactly."""

    epochs: int = 60
    """Rounds over the training segments, at most."""
    batch_size: int = 32
    """Segments per batch."""
    accumulate: int = 1
    """Batches per update."""
    patience: int = 20
    """Epochs without a better validation loss after which training stops; 0 for never."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Of the arithmetic."""
    accelerator: Literal["cpu", "cuda", "auto"] = "auto"
    """Where to compute."""
    seed: int = 0
    """Of weights, order and augmentation."""
    deterministic: bool = False
    """Refuse operations whose result may differ between two runs on one machine."""
    checkpoint_seconds: float = 60.0
    """Time between checkpoints, from which `--resume` goes on."""

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.accumulate) < 1:
            raise TrainingError("epochs, batch_size and accumulate must be at least 1")
        if min(self.patience, self.seed) < 0:
            raise TrainingError("patience and seed must be at least 0")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All of a training's configuration."""

    model: str = "sora-mini"
    """The model to start from: a name, a folder or a hub id."""
    head: str = "labels"
    """Name of the head in the new model."""
    data: DataOptions = field(default_factory=DataOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    time: TimeAugmentation = field(default_factory=TimeAugmentation)
    temporal: TemporalOptions = field(default_factory=TemporalOptions)
    cnn: CnnOptions = field(default_factory=CnnOptions)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    events: EventTraining = field(default_factory=EventTraining)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    loop: LoopOptions = field(default_factory=LoopOptions)


def read_train_config(path: Path | None, settings: Sequence[str] = ()) -> TrainConfig:
    """Return the configuration of a YAML file, with single settings laid over it.

    Args:
        path: The file; None for the defaults.
        settings: `loop.epochs=30` and the like.

    Raises:
        TrainingError: A key is unknown, a value of another type, or the file is not YAML.
    """
    raw: Any = {}
    if path is not None:
        try:
            raw = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
        except OSError as error:
            raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise TrainingError(f"{path}: not YAML ({reason})") from error
        if not isinstance(raw, Mapping) or not all(isinstance(key, str) for key in raw):
            raise TrainingError(f"{path}: must hold keys and values, such as 'model: sora-mini'")
    config = from_dict(TrainConfig, raw, where=str(path or "configuration"), error=TrainingError)
    return with_settings(config, settings)


def with_settings(config: TrainConfig, settings: Sequence[str]) -> TrainConfig:
    """Return a configuration with settings such as `loop.epochs=30` laid over it.

    Raises:
        TrainingError: One has no `=`, names an unknown key, or gives a value of another type.
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise TrainingError(f"--set {setting}: must be KEY=VALUE, such as loop.epochs=30")
        raw = _plain(asdict(config))
        *groups, key = name.strip().split(".")
        place = raw
        for group in groups:
            if not isinstance(place.get(group), dict):
                known = ", ".join(k for k, v in raw.items() if isinstance(v, dict))
                raise TrainingError(f"--set {setting}: no group '{group}'. There are: {known}")
            place = place[group]
        try:
            place[key] = yaml.load(text, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise TrainingError(f"--set {setting}: not YAML ({reason})") from error
        config = from_dict(TrainConfig, raw, where=f"--set {setting}", error=TrainingError)
    return config


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-3 is a number, which YAML 1.1 reads as text for want of a point."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def write_train_config(config: TrainConfig, path: Path) -> None:
    """Write a configuration as YAML that `read_train_config` reads back."""
    path.write_text(yaml.safe_dump(_plain(asdict(config)), sort_keys=False), encoding="utf-8")


def with_temporal(config: TrainConfig, **changes: Any) -> TrainConfig:  # noqa: ANN401  # of any field
    """Return a configuration with other fields of the temporal model."""
    return replace(config, temporal=replace(config.temporal, **changes))


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a configuration holds
    """Return lists in place of tuples, which YAML does not know."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value
