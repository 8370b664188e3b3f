"""One picture out of a frame that holds two: the fields of interlaced video.

A frame may be flagged interlaced and yet show one instant (film on a disc or in a broadcast), so
the flag is believed only where combing is seen; and only there is anything changed: elsewhere every
line stays as it is. No other frame is needed; the time of the frame is that of its first field.
"""

from fractions import Fraction

import numpy as np
from av.filter.graph import Graph
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

_BLOCK = 16
"""Pixels of a side of the blocks in which combing is sought."""

_COMBED_RATIO = 1.5
"""Combed is a block in which neighbouring lines differ this many times as much as next-but-one
lines: noise gives 1.0, whatever is smooth 0.5, and moving edges 2 to 100."""

_COMBED_LEVELS = 2.0
"""And in which they differ by so much on average, of 255."""

_MIN_COMBED_BLOCKS = 2


def deinterlaced(frame: VideoFrame) -> VideoFrame:
    """Return the frame with its first field completed wherever the two fields are at odds.

    Returns:
        The frame itself where no combing is seen.
    """
    combed = combed_blocks(frame)
    if combed.sum() < _MIN_COMBED_BLOCKS:
        return frame
    filled = _first_field(frame)
    if filled.format.name != frame.format.name:  # the filter does not know every format
        frame = frame.reformat(format=filled.format.name, threads=1)
    _keep(frame, filled, ~_spread(combed))
    filled.pts, filled.time_base = frame.pts, frame.time_base
    filled.colorspace, filled.color_range = frame.colorspace, frame.color_range
    filled.color_trc, filled.color_primaries = frame.color_trc, frame.color_primaries
    return filled


def combed_blocks(frame: VideoFrame) -> NDArray[np.bool_]:
    """Return where a frame is combed, by whole blocks of 16x16 pixels: (H // 16, W // 16) bool."""
    if min(frame.height, frame.width) < _BLOCK:
        return np.zeros((0, 0), np.bool_)
    gray = frame.reformat(format="gray", threads=1).planes[0]
    luma = np.frombuffer(memoryview(gray), np.uint8).reshape(-1, gray.line_size)
    height, width = frame.height // _BLOCK * _BLOCK, frame.width // _BLOCK * _BLOCK
    luma = luma[: frame.height, :width:2]  # every other column suffices
    near = _block_sums(luma[:-1], luma[1:], height)
    far = _block_sums(luma[:-2], luma[2:], height)
    lines_and_columns = _BLOCK * _BLOCK // 2
    combed: NDArray[np.bool_] = (near > _COMBED_RATIO * far) & (
        near > _COMBED_LEVELS * lines_and_columns
    )
    return combed


def _block_sums(
    lines: NDArray[np.uint8], others: NDArray[np.uint8], height: int
) -> NDArray[np.float32]:
    """Sum the absolute differences of lines over blocks; lines that lack are taken for equal."""
    difference = np.maximum(lines, others) - np.minimum(lines, others)
    missing = height - len(difference)
    difference = difference[:height] if missing <= 0 else np.pad(difference, ((0, missing), (0, 0)))
    columns = difference.reshape(height // _BLOCK, _BLOCK, -1).sum(axis=1, dtype=np.uint16)
    sums: NDArray[np.float32] = columns.reshape(len(columns), -1, _BLOCK // 2).sum(
        axis=2, dtype=np.float32
    )
    return sums


def _spread(combed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the neighbours of every combed block: at its rim there may be too little to see."""
    padded = np.pad(combed, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _first_field(frame: VideoFrame) -> VideoFrame:
    """Complete the first field by interpolating along edges (FFmpeg's `estdif`)."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1),
    )
    deinterlace = graph.add("estdif", "mode=frame:parity=auto:deint=all")
    sink = graph.add("buffersink")
    source.link_to(deinterlace)
    deinterlace.link_to(sink)
    graph.configure()
    source.push(frame)
    source.push(None)  # the filter hands out a frame when the next or the end comes
    result = sink.pull()
    assert isinstance(result, VideoFrame)
    return result


def _keep(frame: VideoFrame, filled: VideoFrame, blocks: NDArray[np.bool_]) -> None:
    """Copy from `frame` into `filled` the lines of the blocks that are true, in every plane."""
    dtype = np.uint8 if frame.format.components[0].bits <= 8 else np.uint16
    for old, new in zip(frame.planes, filled.planes, strict=True):
        # What is left over beside whole blocks follows the last of them.
        rows = np.arange(old.height) * frame.height // old.height // _BLOCK
        columns = np.arange(old.width) * frame.width // old.width // _BLOCK
        kept = blocks[np.minimum(rows, len(blocks) - 1)]
        kept = kept[:, np.minimum(columns, blocks.shape[1] - 1)]
        np.copyto(_samples(new, dtype), _samples(old, dtype), where=kept)


def _samples(plane: VideoPlane, dtype: type[np.generic]) -> NDArray[np.generic]:
    """Return the (H, W) view of a plane without its padding."""
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height]
    samples: NDArray[np.generic] = lines.view(dtype)[:, : plane.width]
    return samples
