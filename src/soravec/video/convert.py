"""A decoded picture as an RGB array of the wanted size, in one conversion.

The decoder's planes go straight to the small target, so that no full-size RGB copy is ever made;
rotation is applied to the small image.
"""

from typing import Literal

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

Fit = Literal["squash", "crop"]


class Converter:
    """Turns pictures of one video into uint8 RGB arrays.

    Args:
        size: (height, width) of the result, as shown.
        fit: `squash` scales both sides independently; `crop` scales until the picture covers the
            target and takes the middle.
        rotation_degrees: How far to turn the stored picture counter-clockwise.
    """

    def __init__(self, size: tuple[int, int], fit: Fit, rotation_degrees: int) -> None:
        self.size = size
        self._fit = fit
        self._turns = rotation_degrees // 90
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame, out: NDArray[np.uint8]) -> None:
        """Write the picture into `out`, (H, W, 3) uint8."""
        height, width = self.size if self._turns % 2 == 0 else self.size[::-1]
        scaled_height, scaled_width = height, width
        if self._fit == "crop":
            scale = max(height / frame.height, width / frame.width)
            scaled_height = max(height, round(frame.height * scale))
            scaled_width = max(width, round(frame.width * scale))
        image = self._scaled(frame, scaled_height, scaled_width)
        top, left = (scaled_height - height) // 2, (scaled_width - width) // 2
        out[:] = np.rot90(image[top : top + height, left : left + width], self._turns)

    def _scaled(self, frame: VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
        shrinks = height <= frame.height and width <= frame.width
        small = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            # Measured: area averaging is as fast as bilinear and does not alias; it cannot enlarge.
            interpolation=Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            threads=1,
        )
        return rgb_view(small)


def rgb_view(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return the (H, W, 3) view of an rgb24 frame, without its padding."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)
