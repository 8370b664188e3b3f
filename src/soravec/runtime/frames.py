"""Which frames speak for a segment, and frames in batches of one size."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BATCH_FRAMES = 16


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


def fixed_batches(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of just BATCH_FRAMES; the last one is filled with black."""
    for begin in range(0, len(images), BATCH_FRAMES):
        batch = images[begin : begin + BATCH_FRAMES]
        if len(batch) < BATCH_FRAMES:
            batch = np.concatenate(
                [batch, np.zeros((BATCH_FRAMES - len(batch), *batch.shape[1:]), np.uint8)]
            )
        yield np.ascontiguousarray(batch)
