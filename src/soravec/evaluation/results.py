"""What an evaluation found, as dataclasses, and as the JSON that is written."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from soravec.data.clips import Task
from soravec.evaluation.intervals import Figure
from soravec.evaluation.measures import Measure
from soravec.evaluation.metrics import ClassificationMetrics, RegressionMetrics
from soravec.evaluation.retrieval import RetrievalMetrics

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What was evaluated."""

    name: str
    """What the model is called."""
    head: str
    """Which of its heads; empty where it has none, and a linear probe answers for it."""
    temporal: str
    """Kind of its temporal model."""
    feature_id: str
    """Identity of its CNN."""
    space_id: str
    """Identity of its vectors."""
    dim: int
    """Length of its vectors."""
    sample_fps: float
    """Frames per second that were read."""
    segment_seconds: float
    """Longest segment."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What it was evaluated on."""

    manifest: str
    """Name of the manifest."""
    digest: str
    """Of the clips as listed."""
    task: Task
    """What they are labelled with."""
    split: str
    """Which of them were scored."""
    classes: tuple[str, ...]
    """Names, in the order of scores."""
    num_clips: Mapping[str, int]
    """Clips that could be read, by split."""
    num_skipped: Mapping[str, int]
    """Clips that could not, by split."""
    num_units: int
    """What intervals draw from: groups, or clips where there are no groups."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of methods."""

    name: str
    """What answered."""
    kind: str
    """`model`, `probe`, `baseline` or `chance`."""
    dim: int
    """Length of the vector it reads; 0 where it reads none."""
    figures: Mapping[str, Figure]
    """By key of the measure; one that is not defined is missing."""
    difference: Figure | None
    """First measure of the model less that of this row, on the same draws; None for the model."""
    setting: str
    """What was chosen for it, and on what; empty where nothing was."""
    sample_fps: float
    """Frames per second that it read; 0 where it read none."""


@dataclass(frozen=True, slots=True)
class RetrievalRow:
    """One line of the table of retrieval."""

    name: str
    """Which vectors."""
    dim: int
    """Their length; 0 for chance."""
    metrics: RetrievalMetrics
    """What they found."""
    sample_fps: float
    """Frames per second that were read; 0 for chance."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """The first measure with frames in another order."""

    name: str
    """`as it is`, `shuffled`, `reversed` or `still`."""
    figure: Figure
    """The measure."""
    lost: Figure | None
    """That of the clips as they are less this, on the same draws; None for them."""
    rounds: int
    """How many shuffles it is the mean of."""
    sample_fps: float
    """Frames per second that were read."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve."""

    level: float
    """Where it stands."""
    figure: Figure
    """The first measure there."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The first measure against a level."""

    kind: str
    """`noise`, `blur`, `jpeg`, `drop` or `rate`."""
    unit: str
    """What the level is."""
    points: tuple[Point, ...]
    """From mild to strong."""
    clean: Figure
    """The same clips as they are."""
    sample_fps: float
    """Frames per second that were read; of `rate`, at most."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A clip that the model has wrong, and how sure it was."""

    path: str
    """The file, relative to the manifest's folder where it lies below."""
    row: int
    """In the manifest."""
    start_seconds: float
    """Where the clip begins."""
    end_seconds: float
    """Where it ends."""
    truth: str
    """What is right."""
    answer: str
    """What the model said."""
    score: float
    """Probability of that; of labels its loss, of a regression the squared error."""


@dataclass(frozen=True, slots=True)
class SkippedClip:
    """A clip of the scored split that could not be read."""

    path: str
    """The file."""
    row: int
    """In the manifest."""
    message: str
    """Why."""


@dataclass(frozen=True, slots=True)
class Results:
    """All that an evaluation found: everything in `report.json`."""

    model: ModelFacts
    """What was evaluated."""
    data: DataFacts
    """On what."""
    measures: tuple[Measure, ...]
    """Columns of the table; the first is compared and plotted."""
    rows: tuple[Row, ...]
    """Methods, the model first, chance last."""
    metrics: ClassificationMetrics | RegressionMetrics
    """Of the model, in full."""
    class_figures: tuple[Mapping[str, Figure], ...]
    """Of the model, by class or target: what stands in their table, with intervals."""
    retrieval: tuple[RetrievalRow, ...]
    """Empty for a regression, and where no clip has a like."""
    order: tuple[OrderRow, ...]
    """Whether time matters."""
    curves: tuple[Curve, ...]
    """Rates below the model's, and damage if it was asked for."""
    mistakes: tuple[Mistake, ...]
    """The worst first."""
    skipped: tuple[SkippedClip, ...]
    """Clips that were not scored."""
    notes: tuple[str, ...]
    """What a reader must know to judge the numbers, in sentences."""
    seed: int
    """Of draws, folds, shuffles and noise."""
    soravec_version: str
    """Version that measured."""
    format_version: int = FORMAT_VERSION
    """Of the JSON."""

    @property
    def primary(self) -> Measure:
        """The measure that is compared and plotted."""
        return self.measures[0]

    def to_json(self) -> dict[str, Any]:
        """Return everything as what JSON can hold; a number that is not defined is null."""
        facts: dict[str, Any] = _plain(self)
        return facts


def _plain(value: object) -> Any:  # noqa: ANN401  # what JSON holds
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
