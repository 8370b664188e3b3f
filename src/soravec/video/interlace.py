"""One picture out of a frame that holds two: the fields of interlaced video.

A frame may be flagged interlaced and yet show one instant (film on a disc or in a broadcast), so
the flag is believed only where combing is seen; and only there are lines replaced: what stands
still keeps all of them. No other frame is needed, and the time stays: the upper field is kept, it
belongs to the frame's own span whichever field came first.
"""

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from soravec.video.colour import stand_in_matrix

_BLOCK = 16
"""Pixels of a side of the blocks in which combing is sought."""

_SEEN_RATIO, _SEEN_LEVELS = 1.5, 2.0
"""Neighbouring lines of a block differ this many times as much as next-but-one lines, and by so
much on average, of 255: combing beyond doubt. Noise gives 1.0, whatever is smooth 0.5, and moving
edges 2 to 100."""

_LIKELY_RATIO, _LIKELY_LEVELS = 1.15, 1.0
"""Combing, in a frame where some is beyond doubt."""

_MIN_SEEN_BLOCKS = 2


def deinterlaced(frame: VideoFrame) -> VideoFrame:
    """Return the frame with the lines of its lower field interpolated wherever it is combed.

    Returns:
        The frame itself where no combing is seen.
    """
    near, far = line_differences(frame)
    if ((near > _SEEN_RATIO * far) & (near > _SEEN_LEVELS)).sum() < _MIN_SEEN_BLOCKS:
        return frame
    combed = _spread((near > _LIKELY_RATIO * far) & (near > _LIKELY_LEVELS))
    planar = _as_planar(frame)
    filled = VideoFrame(planar.width, planar.height, planar.format.name)
    dtype = np.uint8 if planar.format.components[0].bits <= 8 else np.uint16
    for old, new in zip(planar.planes, filled.planes, strict=True):
        _fill(_samples(old, dtype), _samples(new, dtype), combed, frame.height, frame.width)
    filled.colorspace, filled.color_range = planar.colorspace, planar.color_range
    filled.color_trc, filled.color_primaries = planar.color_trc, planar.color_primaries
    return filled


def line_differences(frame: VideoFrame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how much lines differ from their next, and from their next but one.

    Returns:
        Two arrays (H // 16, W // 16) float32: means over blocks of 16x16 pixels, of 255.
    """
    height, width = frame.height // _BLOCK * _BLOCK, frame.width // _BLOCK * _BLOCK
    if not (height and width):
        return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
    matrix = stand_in_matrix(frame)
    gray = frame.reformat(format="gray", src_colorspace=matrix, threads=1)
    luma = _samples(gray.planes[0], np.uint8)[:, :width:2]  # every other column suffices
    return _block_means(luma[:-1], luma[1:], height), _block_means(luma[:-2], luma[2:], height)


def _block_means(
    lines: NDArray[np.uint8], others: NDArray[np.uint8], height: int
) -> NDArray[np.float32]:
    """Average absolute differences over blocks; lines that lack at the end count as equal."""
    difference = (np.maximum(lines, others) - np.minimum(lines, others))[:height]
    difference = np.pad(difference, ((0, height - len(difference)), (0, 0)))
    columns = difference.reshape(height // _BLOCK, _BLOCK, -1).sum(axis=1, dtype=np.uint16)
    sums = columns.reshape(len(columns), -1, _BLOCK // 2).sum(axis=2, dtype=np.float32)
    means: NDArray[np.float32] = sums / np.float32(_BLOCK * _BLOCK // 2)
    return means


def _spread(combed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the neighbours of every combed block: at its rim there may be too little to see."""
    padded = np.pad(combed, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _as_planar(frame: VideoFrame) -> VideoFrame:
    """Return a frame whose samples stand in planes of their own, in the byte order of the CPU."""
    fits = all(c.bits in (8, 10, 12, 14, 16) for c in frame.format.components)
    planes = {c.plane for c in frame.format.components}
    separate = len(planes) == len(frame.format.components)
    if separate and fits and not frame.format.is_big_endian and not frame.format.has_palette:
        return frame
    deep = any(c.bits > 8 for c in frame.format.components)
    name = "yuv444p16le" if deep else "yuv444p"
    return frame.reformat(format=name, src_colorspace=stand_in_matrix(frame), threads=1)


def _fill(
    old: NDArray[Any],
    new: NDArray[Any],
    combed: NDArray[np.bool_],
    height: int,
    width: int,
) -> None:
    """Copy a plane, every second line of the combed blocks as the mean of those above and below."""
    np.copyto(new, old)
    lower = np.arange(1, len(old), 2)
    above = old[lower - 1]
    below = old[np.minimum(lower + 1, (len(old) - 1) // 2 * 2)]
    mean = (above.astype(np.uint32) + below + 1) >> 1
    # What is left over beside whole blocks follows the last of them.
    rows = np.minimum(lower * height // len(old) // _BLOCK, len(combed) - 1)
    columns = np.arange(old.shape[1]) * width // old.shape[1] // _BLOCK
    mask = combed[rows][:, np.minimum(columns, combed.shape[1] - 1)]
    new[lower] = np.where(mask, mean.astype(old.dtype), old[lower])


def _samples(plane: VideoPlane, dtype: type[np.generic]) -> NDArray[Any]:
    """Return the (H, W) view of a plane without its padding."""
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height]
    samples: NDArray[Any] = lines.view(dtype)[:, : plane.width]
    return samples
