"""What is kept of the picture beside the features: where it is light, its colours, how sharp it is.

The features of a CNN know what is seen, hardly where. A sketch tells a copy from another picture of
the same kind, and a still picture from a moving one, long after the pixels are gone.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soravec.types import FrameFeatures

SIDE = 24
"""A sketch is so many cells across and down, whatever the shape of the picture."""
COLOUR_SIDE = 12
"""And so many of colours, which are seen and stored coarser than brightness."""
GREY = 128
"""The colour of what has none."""


class Sketched(NamedTuple):
    """What is kept of N pictures."""

    sketches: NDArray[np.uint8]
    """(N, SIDE, SIDE) mean brightness of each cell, of a quarter of red, half of green and a
    quarter of blue."""
    colours: NDArray[np.uint8]
    """(N, 2, COLOUR_SIDE, COLOUR_SIDE), half of what blue, and red, exceed that brightness by, plus
    `GREY`."""
    sharpness: NDArray[np.float16]
    """(N,) mean absolute difference of a pixel from the mean of the two beside it, of 255, in the
    green of every fourth row."""


def sketch(images: NDArray[np.uint8]) -> Sketched:
    """Return the sketches of pictures (N, H, W, 3) uint8 RGB, of SIDE to 6,000 pixels a side."""
    number, height, width, _ = images.shape
    down, across = _edges(height), _edges(width)
    bands = [images[:, a:b].sum(axis=1, dtype=np.uint16) for a, b in pairwise(down)]
    rows = np.stack(bands, axis=1).astype(np.float32).reshape(number * SIDE, width * 3)
    sums = (rows @ _across(width)).reshape(number, SIDE, 2 * SIDE)
    light = sums[..., :SIDE] / np.outer(np.diff(down), np.diff(across))
    tall, wide = (np.diff(edges[:: SIDE // COLOUR_SIDE]) for edges in (down, across))
    colours = sums[..., SIDE:].reshape(number, COLOUR_SIDE, -1, 2, COLOUR_SIDE).sum(axis=2)
    colours = colours.transpose(0, 2, 1, 3) / np.outer(tall, wide) + GREY
    green = images[:, ::4, :, 1].astype(np.int16)
    beside = 2 * green[:, :, 1:-1] - green[:, :, :-2] - green[:, :, 2:]
    sharpness = np.abs(beside).mean(axis=(1, 2), dtype=np.float32) / 2
    return Sketched(
        np.rint(light).astype(np.uint8),
        np.rint(colours).astype(np.uint8),
        sharpness.astype(np.float16),
    )


def joined(parts: Sequence[Sketched]) -> Sketched:
    """Return the sketches of one part after those of another."""
    return Sketched(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def without_sketches(features: FrameFeatures) -> FrameFeatures:
    """Return features alone, as what is cut, learned from or made up has them."""
    return replace(features, sketches=None, sharpness=None, colours=None)


def _edges(side: int) -> NDArray[np.int64]:
    """Return where the cells of a side begin, and its end."""
    return np.arange(SIDE + 1) * side // SIDE


@lru_cache(maxsize=4)
def _across(width: int) -> NDArray[np.float32]:
    """Return what sums a row of pixels (width * 3) by cells: light, then how blue, how red."""
    light = np.array([0.25, 0.5, 0.25])
    red, _, blue = (np.eye(3) - light) / 2
    kinds = ((SIDE, light), (COLOUR_SIDE, blue), (COLOUR_SIDE, red))
    sums = [np.multiply.outer(_cells(width, side), kind) for side, kind in kinds]
    matrix = np.concatenate(sums).transpose(1, 2, 0).reshape(width * 3, -1)
    return matrix.astype(np.float32)


def _cells(width: int, side: int) -> NDArray[np.bool_]:
    """Return which pixels of a row lie in each of `side` cells."""
    edges, pixels = _edges(width)[:: SIDE // side, None], np.arange(width)
    return (pixels >= edges[:-1]) & (pixels < edges[1:])
