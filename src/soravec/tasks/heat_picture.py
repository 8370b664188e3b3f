"""Heat as pictures: a matrix, a strip of frames with bars, a map laid over a frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Image = NDArray[np.uint8]

DARK_TO_BRIGHT = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Even in brightness, told apart by the colour-blind too (after matplotlib's viridis)."""
AGAINST_TO_FOR = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))
"""Blue, white at 0, red (after ColorBrewer's RdBu)."""
MATRIX_PIXELS = 480
"""The longer side of a matrix, about; never less than a pixel for each of some cells."""
BAR_PIXELS = 48
"""Half of the height of the bars below a strip."""


def coloured(values: Float, colours: Sequence[tuple[int, int, int]]) -> Image:
    """Return values (...) in [0, 1] as colours (..., 3) uint8, from the first to the last."""
    stops = np.linspace(0, 1, len(colours))
    table = np.array(colours, np.float64)
    channels = [np.interp(values, stops, table[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def matrix_picture(matrix: Float) -> Image:
    """Return a matrix (T1, T2) as a picture, dark where it is least and bright where it is most.

    The first row is at the top. Of more than MATRIX_PIXELS a side, several cells are averaged.
    """
    shrunk = _averaged(_averaged(matrix, 0), 1)
    low, high = float(shrunk.min()), float(shrunk.max())
    image = coloured((shrunk - low) / max(high - low, 1e-12), DARK_TO_BRIGHT)
    size = max(2, MATRIX_PIXELS // max(shrunk.shape))
    return _even(image.repeat(size, axis=0).repeat(size, axis=1))


def heat_strip(images: Sequence[Image], heat: Float) -> Image:
    """Return frames in a row, and below each its heat: a red bar upwards for, a blue one down.

    Args:
        images: (H, W, 3) each, all of one size; at least one.
        heat: One for each.
    """
    width = images[0].shape[1]
    rows = np.arange(BAR_PIXELS, -BAR_PIXELS, -1)[:, None]  # from the top
    reach = BAR_PIXELS * heat / max(float(np.abs(heat).max()), 1e-12)  # (T,)
    inside = np.where(reach >= 0, (rows > 0) & (rows <= reach), (rows <= 0) & (rows > reach))
    bars = np.where(inside, np.sign(heat), 0.0).repeat(width, axis=1)
    bars[:, ::width] = 0.0  # a gap tells neighbours apart
    return _even(np.concatenate([np.concatenate(images, axis=1), signed(bars)]))


def signed(values: Float) -> Image:
    """Return values in [-1, 1] as colours: blue below 0, white at 0, red above."""
    return coloured((np.clip(values, -1, 1) + 1) / 2, AGAINST_TO_FOR)


def laid_over(image: Image, heat: Float) -> Image:
    """Return a picture (H, W, 3) under a map (h, w) in [-1, 1], clear where it is 0."""
    height, width = image.shape[:2]
    fine = _between(heat.shape[0], height) @ heat @ _between(heat.shape[1], width).T
    strength = 0.65 * np.abs(np.clip(fine, -1, 1))[..., None]
    mixed = (1 - strength) * image + strength * signed(np.sign(fine))
    return np.asarray(mixed.round(), np.uint8)


def _averaged(matrix: Float, axis: int) -> Float:
    number = matrix.shape[axis]
    edges = np.unique(np.linspace(0, number, min(number, MATRIX_PIXELS) + 1).astype(int))
    sums = np.add.reduceat(matrix, edges[:-1], axis=axis)
    sizes = np.diff(edges).reshape([-1 if each == axis else 1 for each in range(2)])
    averaged: Float = sums / sizes
    return averaged


def _between(number: int, size: int) -> Float:
    """Return (size, number) what interpolates linearly between the middles of cells."""
    places = (np.arange(size) + 0.5) * number / size - 0.5
    return np.stack([np.interp(places, np.arange(number), row) for row in np.eye(number)], axis=1)


def _even(image: Image) -> Image:
    """Pad a picture to even sides, as JPEG is written here."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
