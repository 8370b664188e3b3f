"""How a stored picture is turned, flipped and stretched before it is shown.

A container states this as a display matrix and as the shape of its pixels (sample aspect ratio).
"""

from fractions import Fraction
from math import atan2, degrees, hypot
from typing import Any, NamedTuple

import numpy as np
from av.filter.graph import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from soravec.video.limits import Limits

MAX_PIXEL_ASPECT = 16.0
"""A pixel wider or taller than this is a mistake: it would blow a picture up beyond any screen."""

_ROUNDING_DEGREES = 1.0
"""Less than this off a right angle is rounding in the file."""


class Orientation(NamedTuple):
    """What a player does with the stored picture: first it flips it, then it turns it."""

    rotation_degrees: int
    """Counter-clockwise: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether it flips left and right."""
    warning: str | None = None
    """What was odd, in a sentence."""

    def shown(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of a stored picture as it is shown, or the other way round."""
        return (height, width) if self.rotation_degrees % 180 == 0 else (width, height)

    def applied(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view of (H, W, 3) as it is shown."""
        flipped = image[:, ::-1] if self.mirrored else image
        return np.rot90(flipped, self.rotation_degrees // 90)


UPRIGHT = Orientation(0, mirrored=False)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read the display matrix that the container or the decoder attached to a frame.

    A stored point (p, q), q downwards, is shown at (a p + c q, b p + d q), where a, b and c, d
    stand in the first two rows of the matrix, 3 by 3 numbers in 16.16 fixed point.
    """
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside it stands a kind that PyAV has no name for: EXIF, or stereo views
        data = _without_nameless_data(frame).side_data.get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    return orientation_of_matrix(np.frombuffer(memoryview(data), np.int32))


def orientation_of_matrix(matrix: NDArray[np.int32]) -> Orientation:
    """Take a display matrix of 9 numbers apart into a flip and a turn.

    Example: (-65536, 0, 0,  0, 65536, 0,  0, 0, 2**30) is mirrored, turned by 0 degrees.
    """
    if len(matrix) < 5:
        return UPRIGHT
    a, b, c, d = (float(matrix[i]) for i in (0, 1, 3, 4))
    if a * d == b * c:
        return UPRIGHT._replace(warning="the display matrix is singular and was ignored")
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    # Each column by its own length: a matrix may also scale, which the pixel aspect states better.
    angle = -degrees(atan2(b / hypot(b, d), a / hypot(a, c)))
    turns = round(angle / 90)
    warning = None
    if abs(angle - turns * 90) > _ROUNDING_DEGREES:
        warning = f"a rotation of {angle % 360:.0f} degrees was rounded to {turns * 90 % 360}"
    return Orientation(turns * 90 % 360, mirrored, warning)


def _without_nameless_data(frame: VideoFrame) -> VideoFrame:
    """Return the frame without the kinds of side data that this PyAV cannot name."""
    graph = Graph()
    end = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    first = len(Type)  # they are numbered from 0 without a gap
    for number in range(first, first + 16):
        following = graph.add("sidedata", f"mode=delete:type={number}")
        end.link_to(following)
        end = following
    end.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    result = graph.pull()
    assert isinstance(result, VideoFrame)
    return result


def pixel_aspect_of(stream: VideoStream, *, limits: Limits) -> tuple[float, str | None]:
    """Return width over height of a stored pixel, and a warning where it was not credible."""
    ratio = stream.sample_aspect_ratio
    if not ratio:  # 0/1 is FFmpeg's word for unknown
        return 1.0, None
    aspect = float(ratio)
    height, width = square_size(stream.codec_context.height, stream.codec_context.width, aspect)
    if not 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT or height * width > limits.pixels:
        return 1.0, f"the sample aspect ratio {ratio} is not credible and was ignored"
    return aspect, None


def square_size(height: int, width: int, pixel_aspect: float) -> tuple[int, int]:
    """Return (height, width) of a stored picture with square pixels, losing no pixel of it.

    Example: 576 lines of 720 pixels at 64:45 become (576, 1024), at 8:9 (648, 720).
    """
    if pixel_aspect >= 1:
        return height, round(width * pixel_aspect)
    return round(height / pixel_aspect), width
