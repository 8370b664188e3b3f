"""A picture as some thousand numbers: the mean brightness of 24 x 32 blocks, and colour samples.

They are read off the decoder's own planes, about a hundred rows of them, so that they cost the same
for every size of picture and nothing is converted. Means of blocks blend as the pictures do: the
signature of half one picture and half another is half of each signature.
"""

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

_ROWS_PER_BLOCK = 4
_DIRECT = frozenset(
    {"yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "gray", "yuv411p"}
)
"""Eight bits per sample, a plane each: what needs no conversion."""
_FALLBACK_SIZE = 8 * COLS, 4 * ROWS
_WORD = 8
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_BYTE, _HIGHEST = np.uint64(8), np.uint64(48)
_ONES = np.uint64(0x0001000100010001)
_NO_COLOUR = 128


class SignatureReader:
    """Turns decoded frames into signatures; frames may change in size and format."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._shares: dict[tuple[int, int], NDArray[np.float32]] = {}

    def read(self, frame: VideoFrame, out: NDArray[np.float32]) -> None:
        """Write the signature into `out`, (SIZE,) float32 in [0, 255]."""
        if not _is_direct(frame):
            frame = self._reformatter.reformat(
                frame,
                width=_FALLBACK_SIZE[0],
                height=_FALLBACK_SIZE[1],
                format="yuv420p",
                interpolation=Interpolation.AREA
                if frame.width >= _FALLBACK_SIZE[0] and frame.height >= _FALLBACK_SIZE[1]
                else Interpolation.BILINEAR,
                threads=1,
            )
        planes = frame.planes
        out[:LUMA] = self._luma(frame.width, frame.height, planes[0]).ravel()
        if len(planes) < 3:
            out[LUMA:] = _NO_COLOUR
            return
        for number, plane in enumerate(planes[1:3]):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            down, across = plane.height // COLOUR_ROWS, plane.width // COLOUR_COLS
            samples = rows[
                down // 2 : down * COLOUR_ROWS : down, across // 2 : across * COLOUR_COLS : across
            ]
            begin = LUMA + number * COLOUR_ROWS * COLOUR_COLS
            out[begin : begin + COLOUR_ROWS * COLOUR_COLS] = samples.ravel()

    def _luma(self, width: int, height: int, plane: VideoPlane) -> NDArray[np.float32]:
        """Return the means of blocks, (ROWS, COLS): eight pixels at a time in one 64-bit word."""
        per_block = min(_ROWS_PER_BLOCK, height // ROWS)
        count = per_block * ROWS
        step = height // count
        words = np.frombuffer(memoryview(plane), np.uint64).reshape(-1, plane.line_size // _WORD)
        rows = words[step // 2 : step * count : step, : -(-width // _WORD)]
        sums = rows & _EVEN_BYTES
        sums += (rows >> _BYTE) & _EVEN_BYTES
        sums = np.add.reduce(sums.reshape(ROWS, per_block, -1), axis=1)
        # The product leaves the sum of the four 16-bit parts in the highest: at most 4 * 4 * 510.
        sums *= _ONES
        sums >>= _HIGHEST
        return np.asarray(sums.astype(np.float32) @ self._share(width, per_block))

    def _share(self, width: int, per_block: int) -> NDArray[np.float32]:
        """Return what part of a block each word makes up, over the pixels of it: (words, COLS)."""
        share = self._shares.get((width, per_block))
        if share is None:
            # Words that reach beyond the picture are left out: their rest is not picture.
            words = np.arange(width // _WORD)[:, None]
            edges = np.linspace(0, len(words), COLS + 1)
            overlap = np.minimum(words + 1, edges[1:]) - np.maximum(words, edges[:-1])
            overlap = np.clip(overlap, 0, None)
            part = overlap / overlap.sum(axis=0) / (_WORD * per_block)
            share = np.zeros((-(-width // _WORD), COLS), np.float32)
            share[: len(words)] = part
            self._shares[width, per_block] = share
        return share


def _is_direct(frame: VideoFrame) -> bool:
    """Return whether the planes can be read as they are."""
    if frame.format.name not in _DIRECT or frame.width < 2 * COLS or frame.height < 2 * ROWS:
        return False
    return all(plane.line_size > 0 and plane.line_size % _WORD == 0 for plane in frame.planes[:1])
