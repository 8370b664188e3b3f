"""`config.json` of a model folder: what the model is, its inputs, how to sample.

Frozen dataclasses, one per part. A file maps onto them one to one; an unknown key is an error that
names the nearest one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as shortened
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from soravec.errors import ModelError, TrainingError

FORMAT_VERSION = 1
LEAST_SIDE = 24
"""Pixels a side at which frames enter, at least."""
MAX_SHOWN = 200
"""Characters of a value that an error shows."""

TemporalKind = Literal["mean", "statistics", "gru", "lstm", "transformer"]
Pooling = Literal["last", "mean", "mean_max", "attention"]
Reads = Literal["all", "appearance", "motion", "layout"]

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
    motion: Literal["none", "difference"] = "none"
    """`difference`: the network also reads how each frame differs from the one before it at the
    video's own rate, and its features of that follow those of the frame."""
    motion_gain: float = 4.0
    """How far a difference is stretched before it is read; unused without one."""
    num_looks: int = 0
    """How many of the features, the first ones, are of the frame's looks; 0 for all."""
    num_layout: int = 0
    """How many of the features, the last ones, say where on the picture something is: one for each
    cell of the last feature map, of the difference where one is read, else of the frame."""

    def __post_init__(self) -> None:
        if min(self.height, self.width) < LEAST_SIDE:
            raise ModelError(f"frames must be {LEAST_SIDE} pixels a side or more")

    @property
    def parts(self) -> tuple[int, int, int]:
        """How many features are of the frame's looks, of its difference, and of the layout."""
        looks = self.num_looks or self.feature_dim
        return looks, self.feature_dim - looks - self.num_layout, self.num_layout


@dataclass(frozen=True, slots=True)
class TemporalConfig:
    """The projection of appearance, and the temporal model that reads features in time."""

    appearance_dim: int
    """Length A of the projected features."""
    motion_dim: int
    """Length M of the temporal model's reading; without a readout, that of what is pooled."""
    kind: TemporalKind = "gru"
    """`mean` and `statistics` are blind to order; the others read it."""
    reads: Reads = "all"
    """Which features it reads: of the frame's looks, of its difference, of the layout, or all."""
    components: int = 0
    """How many whitened principal components stand for the features that are read; 0: none do."""
    hidden_dim: int = 256
    """Width of the RNN's state, or of the Transformer."""
    num_layers: int = 1
    """Recurrent or Transformer layers."""
    bidirectional: bool = False
    """Whether an RNN also reads backwards; such a model cannot follow a stream."""
    centred: bool = False
    """Whether features are read less their mean over the segment: what stays is not seen."""
    differences: tuple[int, ...] = ()
    """How many frames back each frame's features are compared with: the sizes of these changes are
    read beside the features."""
    statistics: bool = False
    """Whether the statistics over time stand beside what was read."""
    readout: bool = True
    """Whether a linear layer makes the reading out of what was pooled; else it is the reading."""
    motion_weight: float = 0.0
    """`w` in [0, 1): the share of motion in an inner product; 0 where the model is untrained."""
    pooling: Pooling = "last"
    """How the states of a segment become one: that of its last frame, their mean, mean and maximum
    side by side, or attention."""

    def __post_init__(self) -> None:
        if not 0 <= self.motion_weight < 1:
            raise ModelError(f"motion_weight must lie in [0, 1), not {self.motion_weight}")
        if self.centred and self.kind == "mean":
            raise ModelError("the mean of centred features is 0: leave out centred, or kind mean")
        if self.bidirectional and not self.recurrent:
            raise ModelError(f"bidirectional belongs to gru and lstm, not to {self.kind}")
        if any(back < 1 for back in self.differences):
            raise ModelError(f"differences must be frames back, 1 or more: {self.differences}")

    @property
    def recurrent(self) -> bool:
        """Whether the model is an RNN."""
        return self.kind in ("gru", "lstm")

    @property
    def streaming(self) -> bool:
        """Whether the model gives a reading at every frame, and a state to go on from."""
        whole = self.bidirectional or self.statistics or self.differences or self.centred
        return self.recurrent and not whole and self.pooling != "mean_max"


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
    except (ValueError, RecursionError) as error:
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


def from_dict(
    kind: type[T],
    raw: Mapping[str, Any],
    *,
    where: str,
    error: type[ModelError | TrainingError] = ModelError,
) -> T:
    """Return a dataclass of `kind` made from `raw`, nested dataclasses included.

    Args:
        kind: A dataclass.
        raw: Its fields by name.
        where: Names the source in an error.
        error: What is raised.

    Raises:
        ModelError: A key is unknown or missing, or a value is of another type; or `error`.
    """
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # T is a dataclass by contract
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in names:
            near = get_close_matches(key, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
            raise error(f"{where}: unknown key '{key}'; {hint}")
        hint_type = hints[key]
        if is_dataclass(hint_type) and isinstance(value, Mapping):
            values[key] = from_dict(hint_type, value, where=f"{where}: {key}", error=error)  # type: ignore[arg-type]
            continue
        if problem := _misfit(value, hint_type):
            raise error(f"{where}: {key} is {_shown(value)}, but {problem}")
        values[key] = _tuples(value)
    try:
        return kind(**values)
    except (TypeError, error) as problem:
        raise error(f"{where}: {problem}") from problem


def _tuples(value: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
    """Return a value with tuples in place of its lists."""
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _shown(value: object) -> str:
    """Return a value for an error, not at length: aliases of YAML can name one another."""
    text = shortened(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _misfit(value: object, wanted: Any) -> str:  # noqa: ANN401  # a type, as annotations hold it
    """Return what a field takes, where `value` is not of it; an empty text where it is."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        return "" if value in arguments else f"must be one of {', '.join(map(str, arguments))}"
    if origin in (UnionType, Union):
        options = [_misfit(value, option) for option in arguments]
        return "" if "" in options else " or ".join(filter(None, options))
    if origin is tuple:
        inner = arguments[0]
        fits = isinstance(value, list | tuple) and not any(_misfit(one, inner) for one in value)
        fixed = arguments[-1] is not Ellipsis
        right = fits and (not fixed or len(value) == len(arguments))  # type: ignore[arg-type]
        number = f"{len(arguments)} " if fixed else ""
        return "" if right else f"must be a list of {number}values"
    if wanted is type(None):
        return "" if value is None else "null"
    if not isinstance(wanted, type) or is_dataclass(wanted):
        return "must be a group of keys" if is_dataclass(wanted) else ""
    admitted = (int, float) if wanted is float else wanted
    fits = isinstance(value, admitted) and (wanted is bool or not isinstance(value, bool))
    return "" if fits else f"must be of type {wanted.__name__}"
