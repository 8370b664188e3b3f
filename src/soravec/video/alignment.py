"""How alike the structure of two pictures is, wherever the camera has moved between them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soravec.video.signature import COLS, LUMA, ROWS

_REACH_ROWS, _REACH_COLS = 10, 14
"""The farthest that one picture may have moved in the other, in blocks: two fifths of it."""
_BOX = 7
"""Side of the neighbourhood, in blocks, whose mean and contrast are taken out."""
_LEAST_CONTRAST = 3.0
_BLACK = 24.0
"""Brightness up to which an edge of the picture counts as a black bar."""
_ALIKE = 0.65
_PADDED = (36, 48)  # at least the picture and its reach

_DOWN = np.arange(-_REACH_ROWS, _REACH_ROWS + 1)[:, None]
_ACROSS = np.arange(-_REACH_COLS, _REACH_COLS + 1)[None, :]
_OVERLAP = (1 - np.abs(_DOWN) / ROWS) * (1 - np.abs(_ACROSS) / COLS)


class Alignment(NamedTuple):
    """How well one picture can be laid over another."""

    correlation: float
    """Of the structure: 1 is the same view, 0.2 typical of unrelated ones, 0 that of a flat one."""
    share: float
    """Part of what has structure, in [0, 1], that fits by itself: all that a caption leaves."""
    shift: int
    """How far one was moved, in blocks."""


def align(
    before: NDArray[np.uint8 | np.float32],
    after: NDArray[np.uint8 | np.float32],
    *,
    reach: int = _REACH_COLS,
) -> Alignment:
    """Return how two signatures fit at the best shift of at most `reach` blocks.

    What is compared is brightness less that of its neighbourhood, over the contrast there: light
    that goes on or flashes changes little of it. Black bars around both are left out.
    """
    old, new = _without_bars(before, after)
    first, second = _structure(old), _structure(new)
    energy = np.sqrt(np.square(first).sum() * np.square(second).sum()) + 0.05 * LUMA
    spectrum = np.fft.rfft2(first, _PADDED) * np.conj(np.fft.rfft2(second, _PADDED))
    products = np.fft.irfft2(spectrum, _PADDED)[_DOWN, _ACROSS] / _OVERLAP
    near = (np.abs(_DOWN) <= reach) & (np.abs(_ACROSS) <= reach)
    products = np.where(near, products, -np.inf)
    best = int(products.argmax())
    down, across = best // _ACROSS.size - _REACH_ROWS, best % _ACROSS.size - _REACH_COLS
    share = _share(first, second, down, across)
    return Alignment(float(products.flat[best] / energy), share, max(abs(down), abs(across)))


def _share(
    first: NDArray[np.float64], second: NDArray[np.float64], down: int, across: int
) -> float:
    """Return which part of the structure correlates within its neighbourhood."""
    rows, cols = ROWS - abs(down), COLS - abs(across)
    one = first[max(down, 0) :, max(across, 0) :][:rows, :cols]
    two = second[max(-down, 0) :, max(-across, 0) :][:rows, :cols]
    product = _neighbourhood(one * two)
    one_energy, two_energy = _neighbourhood(one * one), _neighbourhood(two * two)
    rich = np.maximum(one_energy, two_energy) > 0.1
    alike = product > _ALIKE * np.sqrt(one_energy * two_energy)
    return float((alike & rich).sum() / max(rich.sum(), 0.1 * LUMA))


def _without_bars(
    before: NDArray[np.uint8 | np.float32], after: NDArray[np.uint8 | np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the brightness of both, with rows and columns black in both filled from within."""
    old = before[:LUMA].reshape(ROWS, COLS).astype(np.float64)
    new = after[:LUMA].reshape(ROWS, COLS).astype(np.float64)
    light = np.maximum(old, new) > _BLACK
    if light[0].any() and light[-1].any() and light[:, 0].any() and light[:, -1].any():
        return old, new
    for axis in (0, 1):
        lit = np.flatnonzero(light.any(axis=1 - axis))
        if len(lit):
            inside = np.clip(np.arange(light.shape[axis]), lit[0], lit[-1])
            # The outermost lit blocks are bar in part.
            if lit[0] > 0 and lit[-1] - lit[0] > 4:
                inside = np.maximum(inside, lit[0] + 1)
            if lit[-1] < light.shape[axis] - 1 and lit[-1] - lit[0] > 4:
                inside = np.minimum(inside, lit[-1] - 1)
            old, new = old.take(inside, axis), new.take(inside, axis)
    return old, new


def _structure(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    detail = luma - _neighbourhood(luma)
    contrast = np.sqrt(np.maximum(_neighbourhood(detail * detail), 0.0))
    return np.asarray(detail / (contrast + _LEAST_CONTRAST))


def _neighbourhood(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the box around each block, the edges repeated outwards."""
    rows, cols = image.shape
    return _BOXES[rows] @ image @ _BOXES[cols].T


def _box(length: int) -> NDArray[np.float64]:
    near = np.arange(length)[:, None] + np.arange(-(_BOX // 2), _BOX // 2 + 1)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], np.clip(near, 0, length - 1)), 1 / _BOX)
    return matrix


_BOXES = {length: _box(length) for length in range(1, COLS + 1)}
