"""Why this label: which moments of a span speak for it, shown to be so by taking them away."""

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import Head
from soravec.tasks.occlusion import Faithfulness, Worth, faithfulness, frame_heat, judge, reading_of
from soravec.types import FrameFeatures

MOST_FRAMES = 1000
"""Of a span that is explained."""

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelExplanation:
    """Which moments of a span speak for a label, and which against it."""

    path: str
    start_seconds: float
    end_seconds: float
    label: str
    score: float
    """What `classify` says: a probability, or the target of a regression."""
    bounds: Float
    """(T, 2) seconds in which each frame that was read is on show."""
    heat: Float
    """(T,) how much each frame speaks for the label, in log-odds (`occlusion.frame_heat`)."""
    faithfulness: Faithfulness | None
    """Of the order of `heat`, on the score; None of a single frame."""

    @property
    def order(self) -> NDArray[np.int64]:
        """(T,) frames, what speaks most for the label first."""
        return np.argsort(-self.heat, kind="stable")


def explain_label(
    features: FrameFeatures, encoder: Encoder, head: Head, *, label: str | None = None
) -> LabelExplanation:
    """Return which moments of a span speak for a label of a head, and which against it.

    Args:
        features: The span, as `read_span` gives it.
        encoder: The model of features and head.
        head: What classifies.
        label: Which of its classes; None means the one with the highest score.

    Raises:
        QueryError: There is no such class, or the span is too long.
        ModelError: Features or head are those of another model.
    """
    check_length(features)
    embedding = encoder.embed_features(features)
    found = head.classify(embedding)
    chosen = int(found.scores.argmax()) if label is None else class_named(head, label)
    reading = reading_of(encoder, features)

    def score(vectors: NDArray[np.float32]) -> Float:
        return head.scores(vectors)[:, chosen].astype(np.float64)

    heat = frame_heat(reading, log_odds(head, chosen))
    return LabelExplanation(
        features.info.path,
        embedding.segments[0].start_seconds,
        embedding.segments[-1].end_seconds,
        head.classes[chosen],
        float(found.scores[chosen]),
        frame_bounds(features),
        heat,
        faithfulness(heat, lambda kept: judge(reading, kept, score)),
    )


def class_named(head: Head, label: str) -> int:
    """Return the number of the class that is called so, in any case and language.

    Raises:
        QueryError: There is none.
    """
    if found := head.called(label):
        return found[0]
    near = get_close_matches(label, head.classes, n=5, cutoff=0.3) or list(head.classes[:5])
    raise QueryError(f"head '{head.name}' has no class '{label}'. Nearest: {', '.join(near)}")


def log_odds(head: Head, chosen: int) -> Worth:
    """Return what gives the log-odds of a class, against all others; a target as it is."""
    weight, bias = head.weight.astype(np.float64), head.bias.astype(np.float64)

    def worth(vectors: NDArray[np.float32]) -> Float:
        logits = vectors @ weight.T + bias
        if head.activation != "softmax" or len(head.classes) == 1:
            return np.asarray(logits[:, chosen], np.float64)
        others = np.delete(logits, chosen, axis=1)
        top = others.max(axis=1)
        against = top + np.log(np.exp(others - top[:, None]).sum(axis=1))
        return np.asarray(logits[:, chosen] - against, np.float64)

    return worth


def frame_bounds(features: FrameFeatures) -> Float:
    """Return the seconds (T, 2) in which each frame that was read is on show, until the next."""
    end = max(float(features.shots.bounds[-1, 1]), float(features.seconds[-1]) + 1e-3)
    return np.stack([features.seconds, [*features.seconds[1:], end]], axis=1)


def check_length(features: FrameFeatures) -> None:
    """Refuse a span that is too long to be explained.

    Raises:
        QueryError: It holds more frames than that.
    """
    if len(features) > MOST_FRAMES:
        raise QueryError(
            f"{features.info.path}: {len(features)} frames were read of it, and at most"
            f" {MOST_FRAMES} are explained. Name a part of it: FILE@START-END."
        )
