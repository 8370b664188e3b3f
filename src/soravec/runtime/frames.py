"""Which frames speak for a segment, and frames in batches of one size."""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from soravec.types import FrameFeatures

BATCH_FRAMES = 16
Real = TypeVar("Real", np.float16, np.float32, np.float64)


def frames_of_segment(
    seconds: NDArray[np.float64], start_seconds: float, end_seconds: float
) -> NDArray[np.int64]:
    """Return the indices of the frames that speak for `[start_seconds, end_seconds)`.

    Those inside it; where there is none, the one on show at its middle, else the first.

    >>> frames_of_segment(np.array([0.0, 0.5, 1.0]), 0.5, 1.0)
    array([1])
    >>> frames_of_segment(np.array([0.0, 4.0, 8.0]), 5.0, 6.0)
    array([1])
    """
    inside = np.flatnonzero((seconds >= start_seconds) & (seconds < end_seconds))
    if len(inside):
        return inside
    middle = (start_seconds + end_seconds) / 2
    return np.array([max(int(np.searchsorted(seconds, middle, side="right")) - 1, 0)])


def features_of_segment(
    features: NDArray[Real],
    frames: NDArray[np.int64],
    parts: tuple[int, int, int],
    *,
    own_difference: bool = False,
) -> NDArray[Real]:
    """Return the features (T, C) of a segment's frames, of which nothing lies outside it.

    The first frame differs from a picture that does not belong to the segment: across a cut, or
    just before a span that somebody may have cut out. The difference of the second, and where it
    lies, stand for it, so that a segment reads the same wherever it is met.

    Args:
        features: Of the whole video, (N, C).
        frames: Which of them, ascending.
        parts: How many features are of the frame's looks, of its difference and of the layout
            (`CnnConfig.parts`).
        own_difference: Whether the difference of the first frame lies inside the segment, being one
            to a picture after it.
    """
    values = features[frames]
    looks, moves, _ = parts
    if moves and len(frames) > 1 and not own_difference:
        values[0, looks:] = values[1, looks:]
    return values


def running_inputs(
    features: FrameFeatures, parts: tuple[int, int, int]
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Return what a model reads whose state runs on from the first frame of a video to the last.

    The first frame of each shot has waited no time, as that of a segment, by which the model can
    tell a cut; its difference, which is one across the cut, is that of the second.

    Args:
        features: Of the whole video.
        parts: How many features are of the frame's looks, of its difference and of the layout
            (`CnnConfig.parts`).

    Returns:
        Features (T, C) float16, and seconds since the previous frame (T,) float32.
    """
    values = features.features.copy()
    seconds = features.seconds
    elapsed = np.diff(seconds, prepend=seconds[:1]).astype(np.float32)
    shots = np.searchsorted(features.shots.bounds[:, 0], seconds, side="right")
    first = np.flatnonzero(np.diff(shots, prepend=-1))
    elapsed[first] = 0
    looks, moves, _ = parts
    followed = first[np.append(np.diff(first), len(seconds) - first[-1]) > 1]
    if moves:
        values[followed, looks:] = values[followed + 1, looks:]
    return values, elapsed


def fixed_batches(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of just BATCH_FRAMES; the last one is filled with black."""
    for begin in range(0, len(images), BATCH_FRAMES):
        batch = images[begin : begin + BATCH_FRAMES]
        if len(batch) < BATCH_FRAMES:
            batch = np.concatenate(
                [batch, np.zeros((BATCH_FRAMES - len(batch), *batch.shape[1:]), np.uint8)]
            )
        yield np.ascontiguousarray(batch)
