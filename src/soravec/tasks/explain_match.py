"""Why two spans match: the pairs of moments behind the score, split into appearance and motion.

The appearance of a segment is the direction of the mean of its frames' looks (`frame_looks`). So a
likeness of appearance is, without anything left over, a sum over pairs of frames. What the temporal
model has read is no sum over frames; of motion it is said what is lost where a frame is left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.errors import ModelError
from soravec.runtime.encoder import Encoder
from soravec.runtime.vectors import likeness, mean_vector
from soravec.tasks.explain_label import check_length, frame_bounds
from soravec.tasks.occlusion import Reading, read_again, reading_of
from soravec.types import FrameFeatures

APART_SECONDS = 1.0
"""A moment of either side is in one pair; others are so far from it."""

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MatchedSide:
    """One of the spans."""

    path: str
    start_seconds: float
    end_seconds: float
    bounds: Float
    """(T, 2) seconds in which each frame that was read is on show."""
    motion: Float
    """(T,) what the motion's share of the score loses where this frame is left out."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame of the first span and one of the second."""

    first_seconds: float
    second_seconds: float
    similarity: float
    """Of their looks, in [-1, 1]."""
    contribution: float
    """To the score."""


@dataclass(frozen=True, slots=True)
class MatchExplanation:
    """What the score of two spans is made of."""

    first: MatchedSide
    second: MatchedSide
    score: float
    """`(1-w) * appearance + w * motion`, as `search` scores segments."""
    appearance: float
    """In [-1, 1]."""
    motion: float | None
    """In [-1, 1]; None where either span has no time in it: then w is 0."""
    motion_weight: float
    """`w`."""
    similarity: Float
    """(T1, T2) of the looks of frames, in [-1, 1]."""
    contributions: Float
    """(T1, T2) of pairs of frames to the score: their sum is `(1-w) * appearance`."""
    moments: tuple[Moment, ...]
    """The pairs that contribute most; no moment is in two of them."""


def explain_match(
    first: FrameFeatures,
    second: FrameFeatures,
    encoder: Encoder,
    *,
    motion_weight: float | None = None,
    num_moments: int = 6,
) -> MatchExplanation:
    """Return what the score of two spans is made of.

    A span of several segments has one vector, the mean of theirs, as a video has.

    Args:
        first: A span, as `read_span` gives it.
        second: Another.
        encoder: The model of their features.
        motion_weight: Share of motion in the score, in [0, 1]; None is the model's own.
        num_moments: Pairs of moments, at most.

    Raises:
        QueryError: A span is too long.
        ModelError: The features are those of another model, or the model's segments are not made of
            the looks of frames.
    """
    for one in (first, second):
        check_length(one)
    config = encoder.config.temporal
    sides = [_read_side(encoder, one) for one in (first, second)]
    wanted = config.motion_weight if motion_weight is None else motion_weight
    vectors = [side.vector[None] for side in sides]
    score, appearance, motion = (
        float(value[0, 0])
        for value in likeness(*vectors, appearance_dim=config.appearance_dim, motion_weight=wanted)
    )
    weight = 0.0 if np.isnan(motion) else wanted
    similarity = sides[0].looks @ sides[1].looks.T
    contributions = (1 - weight) * np.outer(sides[0].shares, sides[1].shares) * similarity
    if abs(contributions.sum() - (1 - weight) * appearance) > 1e-3:
        raise ModelError(f"{encoder.name}: its appearance is not the mean of the looks of frames")
    motions = [
        _motion_lost(one, other, config.appearance_dim, weight)
        for one, other in (sides, sides[::-1])
    ]
    return MatchExplanation(
        first=_side(sides[0], motions[0]),
        second=_side(sides[1], motions[1]),
        score=score,
        appearance=appearance,
        motion=None if np.isnan(motion) else motion,
        motion_weight=weight,
        similarity=similarity,
        contributions=contributions,
        moments=_moments(first, second, similarity, contributions, num_moments),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    reading: Reading
    vectors: NDArray[np.float32]
    """(S, D) of its segments."""
    vector: NDArray[np.float32]
    """(D,) of all of it."""
    looks: Float
    """(T, A) of its frames, unit length."""
    shares: Float
    """(T,): the looks times these add up to its appearance, of unit length."""


def _read_side(encoder: Encoder, features: FrameFeatures) -> _Side:
    embedding = encoder.embed_features(features)
    reading = reading_of(encoder, features)
    vectors = np.stack([segment.vector for segment in embedding.segments])
    looks = encoder.frame_looks(features).astype(np.float64)
    shares = np.zeros(len(features))
    parts = np.linalg.norm(vectors[:, : looks.shape[1]], axis=1) * reading.lengths
    for frames, part in zip(reading.members, parts, strict=True):
        shares[frames] += part / max(float(np.linalg.norm(looks[frames].sum(axis=0))), 1e-12)
    shares /= max(float(np.linalg.norm(shares @ looks)), 1e-12)
    return _Side(reading, vectors, embedding.vector, looks, shares)


def _motion_lost(one: _Side, other: _Side, appearance_dim: int, weight: float) -> Float:
    """Return what `weight * motion` (T,) loses without each frame of one side; 0 without motion."""
    lost = np.zeros(len(one.reading))
    if not weight:
        return lost
    places = [
        (segment, frame, frames[frames != frame])
        for segment, frames in enumerate(one.reading.members)
        for frame in frames.tolist()
        if len(frames) > 1
    ]
    if not places:
        return lost
    again = read_again(one.reading, [kept for *_, kept in places])
    changed = [one.vector]
    for (segment, *_), vector in zip(places, again, strict=True):
        vectors = one.vectors.copy()
        vectors[segment] = vector
        changed.append(mean_vector(vectors, one.reading.lengths))
    _, _, motion = likeness(
        np.stack(changed), other.vector[None], appearance_dim=appearance_dim, motion_weight=weight
    )
    shared = weight * np.nan_to_num(motion[:, 0].astype(np.float64))
    lost[[frame for _, frame, _ in places]] = shared[0] - shared[1:]
    return lost


def _side(side: _Side, lost: Float) -> MatchedSide:
    features = side.reading.features
    start, end = features.shots.bounds[0, 0], features.shots.bounds[-1, 1]
    return MatchedSide(features.info.path, float(start), float(end), frame_bounds(features), lost)


def _moments(
    first: FrameFeatures,
    second: FrameFeatures,
    similarity: Float,
    contributions: Float,
    number: int,
) -> tuple[Moment, ...]:
    left = contributions.copy()
    found: list[Moment] = []
    while len(found) < number and np.isfinite(left).any():
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        at, there = float(first.seconds[row]), float(second.seconds[column])
        pair = float(similarity[row, column]), float(contributions[row, column])
        found.append(Moment(at, there, *pair))
        left[np.abs(first.seconds - at) < APART_SECONDS] = -np.inf
        left[:, np.abs(second.seconds - there) < APART_SECONDS] = -np.inf
    return tuple(found)
