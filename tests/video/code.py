"""A frame number and a time as black and white cells that any codec and scaler leaves readable.

The whole picture is a grid of 8 x 8 cells, row by row from the top left: 16 bits of number, 32 of
microseconds (two's complement), 16 of checksum over both. A picture that is turned, mirrored,
mixed with another or off by a cell fails the checksum. Cells are brightness alone, so that colour
spaces, chroma subsampling, gray and palettes do not matter; they grow with the picture, and from
16 x 16 pixels on each has at least 2 x 2.
"""

import zlib

import numpy as np

CELLS = 8
NUMBER_BITS, TIME_BITS, SUM_BITS = 16, 32, 16


def draw(number, seconds, *, height, width, black=16, white=235):
    """Return an image (height, width, 3) uint8 that carries both."""
    grid = np.array(_bits(number, round(seconds * 1e6)), bool).reshape(CELLS, CELLS)
    rows, columns = (np.arange(side) * CELLS // side for side in (height, width))
    gray = np.where(grid, np.uint8(white), np.uint8(black))[rows[:, None], columns]
    return np.repeat(gray[:, :, None], 3, axis=2)


def read(image):
    """Return the number and the seconds drawn into an image; None where they are not readable."""
    cells = _brightness(image)
    middle = (cells.min() + cells.max()) / 2
    if cells.max() - cells.min() < 24:
        return None
    return _decoded((cells > middle).ravel())


def _bits(number, microseconds):
    number, microseconds = number % 2**NUMBER_BITS, microseconds % 2**TIME_BITS
    value = number << TIME_BITS | microseconds
    whole = value << SUM_BITS | _checksum(value)
    return [whole >> place & 1 for place in reversed(range(CELLS * CELLS))]


def _checksum(value):
    return zlib.crc32(value.to_bytes(6, "big")) & (2**SUM_BITS - 1)


def _brightness(image):
    """Return the mean of the middle of every cell, (8, 8)."""
    height, width = image.shape[:2]
    gray = image.reshape(height, width, -1).mean(axis=2)
    sums = np.pad(gray.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    (top, bottom), (left, right) = _middles(height), _middles(width)
    total = (
        sums[bottom[:, None], right]
        - sums[top[:, None], right]
        - sums[bottom[:, None], left]
        + sums[top[:, None], left]
    )
    return total / ((bottom - top)[:, None] * (right - left))


def _middles(side):
    """Return where the middle half of each cell begins and ends; at least a pixel."""
    begin = np.ceil((np.arange(CELLS) + 0.25) * side / CELLS).astype(int)
    end = np.floor((np.arange(CELLS) + 0.75) * side / CELLS).astype(int)
    return begin, np.maximum(end, begin + 1)


def _decoded(bits):
    whole = int("".join("1" if bit else "0" for bit in bits), 2)
    value = whole >> SUM_BITS
    if whole & (2**SUM_BITS - 1) != _checksum(value):
        return None
    number, microseconds = value >> TIME_BITS, value & (2**TIME_BITS - 1)
    if microseconds >= 2 ** (TIME_BITS - 1):
        microseconds -= 2**TIME_BITS
    return number, microseconds / 1e6
