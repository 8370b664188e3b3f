"""What a frame says of its colours, by FFmpeg's names, and what has to be mended before scaling."""

from fractions import Fraction
from functools import cache
from typing import Final

import numpy as np
from av.filter.graph import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

_MATRICES: Final = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
    15: "ipt-c2",
    16: "ycgco-re",
    17: "ycgco-ro",
}
"""Numbers and names of ITU-T H.273, table 4, as FFmpeg writes them; 2 is unspecified."""

_TRANSFERS: Final = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
"""Numbers and names of ITU-T H.273, table 3."""

_CONVERTED: Final = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
"""Matrices that FFmpeg's scaler converts; the others it refuses, and the frame with them."""

_RANGES: Final = {1: "limited", 2: "full"}


def matrix_name(frame: VideoFrame) -> str:
    """Return FFmpeg's name of the YUV matrix, such as `bt709`; empty where unspecified."""
    return _MATRICES.get(frame.colorspace, "")


def transfer_name(frame: VideoFrame) -> str:
    """Return FFmpeg's name of the transfer function; empty where unspecified."""
    return _TRANSFERS.get(frame.color_trc, "")


def range_name(frame: VideoFrame) -> str:
    """Return `limited` or `full`; empty where unspecified."""
    return _RANGES.get(frame.color_range, "")


def matrix_warning(frame: VideoFrame) -> str | None:
    """Return a sentence where the matrix is not converted as it should be."""
    if frame.colorspace in _CONVERTED:
        return None
    name = matrix_name(frame) or f"number {frame.colorspace}"
    taken = "BT.2020" if stand_in_matrix(frame) == Colorspace.BT2020 else "BT.601"
    return f"the colour matrix {name} is not supported and was taken for {taken}"


def stand_in_matrix(frame: VideoFrame) -> Colorspace | None:
    """Return the matrix to convert with in place of the frame's own; None for its own.

    FFmpeg up to 5 took BT.601 for all that it does not know, but for constant luminance.
    """
    if frame.colorspace in _CONVERTED:
        return None
    return Colorspace.BT2020 if frame.colorspace == 10 else Colorspace.ITU601


class Unsited:
    """Takes from frames the statement where their chroma samples lie.

    FFmpeg 8's scaler heeds it and FFmpeg 5's does not, nor do encoders when they subsample; without
    it all of them give the same picture. It costs 3 microseconds: the planes are not touched.
    """

    def __init__(self) -> None:
        self._shape: tuple[str, int, int] | None = None
        self._graph: Graph | None = None

    def take(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame, or another with the same planes where chroma is subsampled."""
        shape = (frame.format.name, frame.width, frame.height)
        if shape != self._shape:
            self._shape = shape
            self._graph = self._built(frame) if _is_subsampled(frame) else None
        if self._graph is None:
            return frame
        self._graph.push(frame)
        taken = self._graph.pull()
        assert isinstance(taken, VideoFrame)
        return taken

    @staticmethod
    def _built(frame: VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
        )
        unsited = graph.add("setparams", "chroma_location=unspecified")
        source.link_to(unsited)
        unsited.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


def _is_subsampled(frame: VideoFrame) -> bool:
    return any(
        c.is_chroma and (c.width, c.height) != (frame.width, frame.height)
        for c in frame.format.components
    )


def over_white(frame: VideoFrame) -> VideoFrame:
    """Return a frame that may be transparent as one that is not: laid over white.

    It is laid over at its own size, for a scaler would mix the colours that are hidden under full
    transparency into the edges. This takes 7 bytes per pixel, for such frames only.
    """
    if not _may_be_transparent(frame.format.name):
        return frame
    rgba = frame.reformat(format="rgba", src_colorspace=stand_in_matrix(frame), threads=1)
    plane = rgba.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]
    pixels = rows[:, : frame.width * 4].reshape(frame.height, frame.width, 4)
    if pixels[..., 3].min() == 255:
        return frame
    laid = np.empty((frame.height, frame.width, 3), np.uint8)
    for row, target in zip(pixels, laid, strict=True):
        _lay_row(row, target)
    return VideoFrame.from_ndarray(laid, format="rgb24")


@cache
def _may_be_transparent(pixel_format: str) -> bool:
    components = VideoFormat(pixel_format).components
    return pixel_format == "pal8" or any(c.is_alpha for c in components)


def _lay_row(row: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    """Write straight alpha (W, 4) over white into (W, 3), rounded."""
    alpha = row[:, 3:].astype(np.uint16)
    mixed = row[:, :3] * alpha + 255 * (255 - alpha) + 127
    target[:] = mixed // 255
