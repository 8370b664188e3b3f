"""What is kept of the picture beside the features: where it is light and dark, and how sharp.

The features of a CNN know what is seen, hardly where. A sketch tells a copy from another picture of
the same kind, and a still picture from a moving one, long after the pixels are gone.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE = 24
"""A sketch is so many cells across and down, whatever the shape of the picture."""


class Sketched(NamedTuple):
    """What is kept of N pictures."""

    sketches: NDArray[np.uint8]
    """(N, SIDE, SIDE) mean brightness of each cell, of a quarter of red, half of green and a
    quarter of blue."""
    sharpness: NDArray[np.float16]
    """(N,) mean absolute difference of a pixel from the mean of the two beside it, of 255, in the
    green of every fourth row."""


def sketch(images: NDArray[np.uint8]) -> Sketched:
    """Return the sketches of pictures (N, H, W, 3) uint8 RGB, of SIDE to 6,000 pixels a side."""
    number, height, width, _ = images.shape
    down, across = _edges(height), _edges(width)
    bands = [images[:, a:b].sum(axis=1, dtype=np.uint16) for a, b in pairwise(down)]
    pixels = np.stack(bands, axis=1) @ _WEIGHTS  # (N, SIDE, W)
    cells = np.add.reduceat(pixels, across[:-1], axis=2)
    sizes = np.outer(np.diff(down), np.diff(across))
    green = images[:, ::4, :, 1].astype(np.int16)
    beside = 2 * green[:, :, 1:-1] - green[:, :, :-2] - green[:, :, 2:]
    sharpness = np.abs(beside).mean(axis=(1, 2), dtype=np.float32) / 2
    return Sketched(np.rint(cells / sizes).astype(np.uint8), sharpness.astype(np.float16))


def _edges(side: int) -> NDArray[np.int64]:
    """Return where the cells of a side begin, and its end."""
    return np.arange(SIDE + 1) * side // SIDE


_WEIGHTS = np.array([0.25, 0.5, 0.25], np.float32)
