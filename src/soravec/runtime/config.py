"""`config.json` of a model folder: what the model is, its inputs, how to sample.

Frozen dataclasses, one per part. A file maps onto them one to one; an unknown key is an error that
names the nearest one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from soravec.errors import ModelError

FORMAT_VERSION = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CnnConfig:
    """The network that reads one frame, and what it is fed."""

    architecture: str
    """`timm/NAME`: a network of timm, without its classifier."""
    feature_dim: int
    """Length C of a frame's feature vector."""
    height: int = 224
    """Pixels down at which frames enter."""
    width: int = 224
    """Pixels across at which frames enter."""
    fit: Literal["squash", "crop"] = "squash"
    """`squash` shows the whole picture in any shape; `crop` keeps the shape, cuts the middle."""
    pool: Literal["average", "head"] = "average"
    """`average` pools the last feature map; `head` is the network's own, before its classifier."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Subtracted from RGB in [0, 1]; done inside `cnn.onnx`, which takes uint8."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Divides afterwards; inside `cnn.onnx` too."""


@dataclass(frozen=True, slots=True)
class TemporalConfig:
    """The projection of appearance, and the RNN that reads features in time."""

    appearance_dim: int
    """Length A of the projected features."""
    motion_dim: int
    """Length M of the RNN's reading."""
    rnn: Literal["gru", "lstm"] = "gru"
    """The recurrent cell."""
    hidden_dim: int = 256
    """Width of the RNN's state."""
    num_layers: int = 1
    """Recurrent layers."""
    motion_weight: float = 0.0
    """`w` in [0, 1): the share of motion in an inner product; 0 where the RNN is untrained."""
    pooling: Literal["last", "mean"] = "last"
    """Which reading speaks for a segment: that of its last frame, or the mean over its frames."""

    def __post_init__(self) -> None:
        if not 0 <= self.motion_weight < 1:
            raise ModelError(f"motion_weight must lie in [0, 1), not {self.motion_weight}")


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How a video is sampled and divided."""

    fps: float = 2.0
    """Frames per second that are read."""
    segment_seconds: float = 8.0
    """Longest segment."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """All of `config.json`."""

    name: str
    """What the model is called."""
    cnn: CnnConfig
    """Frames to features."""
    temporal: TemporalConfig
    """Features to vectors."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """Video to frames."""
    description: str = ""
    """One sentence for a list of models."""
    licence: str = ""
    """Licence of the weights."""
    feature_id: str = ""
    """Identity of CNN weights and preprocessing; written when the folder is saved."""
    space_id: str = ""
    """Identity of feature_id, projection and RNN; written when the folder is saved."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every other file that is loaded, so that damage is noticed."""
    format_version: int = FORMAT_VERSION
    """Version of this file's format."""
    soravec_version: str = ""
    """Version of Soravec that wrote the folder."""

    @property
    def dim(self) -> int:
        """Length D of a segment vector."""
        return self.temporal.appearance_dim + self.temporal.motion_dim


def read_config(path: Path) -> ModelConfig:
    """Return the checked contents of a `config.json`.

    Raises:
        ModelError: It is missing, not JSON, of another format version, or has an unknown key.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}). A model is a folder."
        ) from error
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}). Fetch the model folder again.") from error
    found = raw.get("format_version") if isinstance(raw, dict) else None
    if found != FORMAT_VERSION:
        raise ModelError(
            f"{path}: format version {found}, but this Soravec reads {FORMAT_VERSION}."
            " Use the version that wrote it, or export the model again."
        )
    return from_dict(ModelConfig, raw, where=str(path))


def write_config(config: ModelConfig, path: Path) -> None:
    """Write `config` as JSON."""
    path.write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def from_dict(kind: type[T], raw: Mapping[str, Any], *, where: str) -> T:
    """Return a dataclass of `kind` made from `raw`, nested dataclasses included.

    Args:
        kind: A dataclass.
        raw: Its fields by name.
        where: Names the source in an error.

    Raises:
        ModelError: A key is unknown or missing.
    """
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # T is a dataclass by contract
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in names:
            near = get_close_matches(key, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
            raise ModelError(f"{where}: unknown key '{key}'; {hint}")
        hint_type = hints[key]
        if is_dataclass(hint_type) and isinstance(value, Mapping):
            values[key] = from_dict(hint_type, value, where=f"{where}: {key}")  # type: ignore[arg-type]
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError as error:
        raise ModelError(f"{where}: {error}") from error
