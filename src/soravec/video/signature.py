"""A picture as some thousand numbers: the mean brightness of 24 x 32 blocks, and colour samples.

They are read off the decoder's own planes, 48 rows of them, so that they cost the same
for every size of picture and nothing is converted. Means of blocks blend as the pictures do: the
signature of half one picture and half another is half of each signature.
"""

from collections.abc import Sequence

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

ROWS, COLS = 24, 32
"""Blocks of brightness down and across, whatever the shape of the picture."""
COLOUR_ROWS, COLOUR_COLS = 12, 16
"""Samples of each of the two colour planes."""
LUMA = ROWS * COLS
"""Numbers of brightness; those of colour follow."""
SIZE = LUMA + 2 * COLOUR_ROWS * COLOUR_COLS
"""Numbers of one signature."""

_ROWS_PER_BLOCK = 2
_MOST_TOGETHER = 16
_DIRECT = frozenset(
    {"yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "gray", "yuv411p"}
)
"""Eight bits per sample, a plane each: what needs no conversion."""
_FALLBACK_SIZE = 8 * COLS, 4 * ROWS
_WORD = 8
_EVERY_OTHER = np.uint64(0x00FF00FF00FF00FF)
_HIGHEST = np.uint64(48)
_ONES = np.uint64(0x0001000100010001)
_NO_COLOUR = 128


class SignatureReader:
    """Turns decoded frames into signatures; frames may change in size and format."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._size = (0, 0)
        self._words = np.empty((0, 0, 0), np.uint64)
        self._share = np.empty((0, 0), np.float32)

    def read(self, frames: Sequence[VideoFrame], out: NDArray[np.uint8]) -> None:
        """Write the signatures of N frames into `out`, (N, SIZE) uint8."""
        begin = 0
        for number, frame in enumerate(frames):
            direct = _is_direct(frame)
            # A name of its own keeps it: the planes are views of it.
            shown = frame if direct else self._reduced(frame)
            if (shown.width, shown.height) != self._size or number - begin == _MOST_TOGETHER:
                self._finish_luma(out[begin:number])
                begin = number
                self._lay_out(shown.width, shown.height)
            planes = shown.planes
            self._pick(planes[0], number - begin)
            _sample_colour(planes, out[number])
        self._finish_luma(out[begin:])

    def _reduced(self, frame: VideoFrame) -> VideoFrame:
        """Return a small picture in a format that can be read as it is."""
        width, height = _FALLBACK_SIZE
        shrinks = frame.width >= width and frame.height >= height
        return self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuv420p",
            interpolation=Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            threads=1,
        )

    def _lay_out(self, width: int, height: int) -> None:
        """Prepare for pictures of this size."""
        if (width, height) == self._size:
            return
        self._size = (width, height)
        per_block = min(_ROWS_PER_BLOCK, height // ROWS)
        self._words = np.empty((_MOST_TOGETHER, per_block * ROWS, -(-width // _WORD)), np.uint64)
        # What part of a block each word makes up. A last word that reaches beyond the picture is
        # left out: not all of it is picture.
        words = np.arange(width // _WORD)[:, None]
        edges = np.linspace(0, len(words), COLS + 1)
        overlap = np.minimum(words + 1, edges[1:]) - np.maximum(words, edges[:-1])
        overlap = np.clip(overlap, 0, None)
        self._share = np.zeros((self._words.shape[2], COLS), np.float32)
        self._share[: len(words)] = overlap / overlap.sum(axis=0) / (_WORD // 2 * per_block)

    def _pick(self, plane: VideoPlane, number: int) -> None:
        """Keep some rows of one picture, four pixels of eight in each 64-bit word."""
        picked = self._words[number]
        height, line_size = self._size[1], plane.line_size
        step = height // len(picked)
        first = (height - step * (len(picked) - 1)) // 2
        rows: NDArray[np.uint64] = np.ndarray(
            picked.shape, np.uint64, memoryview(plane), first * line_size, (step * line_size, _WORD)
        )
        # Every other pixel is left in 16 bits of its own, so that rows add up without overflow.
        np.bitwise_and(rows, _EVERY_OTHER, picked)

    def _finish_luma(self, out: NDArray[np.uint8]) -> None:
        """Write the means of blocks of the pictures picked since the last time."""
        if not len(out):
            return
        words = self._words[: len(out)]
        sums = np.add.reduce(words.reshape(len(out), ROWS, -1, words.shape[2]), axis=2)
        # The product leaves the sum of the four 16-bit parts in the highest: at most 4 * 2 * 255.
        sums *= _ONES
        sums >>= _HIGHEST
        means = sums.reshape(-1, words.shape[2]).astype(np.float32) @ self._share
        means += np.float32(0.5)
        out[:, :LUMA] = means.reshape(len(out), LUMA)


def changes(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean absolute change of brightness plus that of colour, (N, SIZE) to (N,)."""
    differences = np.maximum(before, after) - np.minimum(before, after)
    brightness = np.add.reduce(differences[..., :LUMA], axis=-1, dtype=np.uint32)
    colour = np.add.reduce(differences[..., LUMA:], axis=-1, dtype=np.uint32)
    return np.asarray(brightness / LUMA + colour / (SIZE - LUMA))


def _sample_colour(planes: tuple[VideoPlane, ...], out: NDArray[np.uint8]) -> None:
    if len(planes) < 3:
        out[LUMA:] = _NO_COLOUR
        return
    for plane, samples in zip(planes[1:3], out[LUMA:].reshape(2, COLOUR_ROWS, -1), strict=True):
        down, across, line_size = _steps(plane)
        offset = down // 2 * line_size + across // 2
        samples[:] = np.ndarray(
            (COLOUR_ROWS, COLOUR_COLS),
            np.uint8,
            memoryview(plane),
            offset,
            (down * line_size, across),
        )


def _steps(plane: VideoPlane) -> tuple[int, int, int]:
    """Return the rows and the bytes from one sample to the next, and the bytes of a row."""
    return plane.height // COLOUR_ROWS, plane.width // COLOUR_COLS, plane.line_size


def _is_direct(frame: VideoFrame) -> bool:
    """Return whether the planes can be read as they are."""
    if frame.format.name not in _DIRECT or frame.width < 2 * COLS or frame.height < 2 * ROWS:
        return False
    line_size = frame.planes[0].line_size
    return line_size > 0 and line_size % _WORD == 0
