"""Pictures of a clip as the frames of another stream: turned upright, scaled, on a steady grid."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from soravec.video.convert import Converter
from soravec.video.editing.clips import Clip, pictures
from soravec.video.editing.encoders import Look
from soravec.video.geometry import UPRIGHT

_MATRICES = {1: Colorspace.ITU709, 9: Colorspace.BT2020}


class Renderer:
    """Turns the pictures of one clip into frames of a look, never distorted.

    A picture of another shape is put in the middle, on black. One that is stored as the look has
    it, upright and with square pixels, stays as it is, at its depth and with its colours.

    Args:
        clip: Where the pictures come from.
        look: What they are to become.
    """

    def __init__(self, clip: Clip, look: Look) -> None:
        self.clip = clip
        self.look = look
        self._is_plain = clip.orientation[:2] == UPRIGHT[:2] and clip.info.sample_aspect_ratio == 1
        shown = clip.info.height, clip.info.width
        self._inner = fitted(shown, (look.height, look.width))
        self._converter = Converter(
            self._inner, "squash", clip.orientation, clip.info.sample_aspect_ratio
        )

    def keeps(self, stored: Look) -> bool:
        """Whether pictures that are stored so can stay as they are."""
        same = (stored.pixel_format, stored.width, stored.height, stored.matrix, stored.transfer)
        look = self.look
        return self._is_plain and same == (
            look.pixel_format, look.width, look.height, look.matrix, look.transfer
        )  # fmt: skip

    def frame(self, frame: VideoFrame) -> VideoFrame:
        """Return a frame in the look."""
        if self._is_plain and self.look.takes(frame):
            return frame
        image = np.empty((*self._inner, 3), np.uint8)
        self._converter.convert(frame, image)
        return in_look(framed(image, self.look.height, self.look.width), self.look)


def rendered(
    renderer: Renderer,
    offset: Fraction,
    time_base: Fraction,
    *,
    fps: Fraction | None,
    origin: Fraction = Fraction(0),
) -> Iterator[tuple[VideoFrame, int, int]]:
    """Yield the frames of a clip with their PTS and duration in ticks.

    Args:
        renderer: Makes the frames.
        offset: Seconds of the output at which the clip begins.
        time_base: Seconds of a tick.
        fps: Frames per second of a grid; None for the times of the pictures themselves.
        origin: Seconds of the output at which the grid begins.
    """
    for frame, begin, end in _shown(renderer.clip):
        image: VideoFrame | None = None
        for first, last in _instants(offset + begin, offset + end, origin, fps):
            image = image or renderer.frame(frame)
            pts = round(first / time_base)
            yield image, pts, round(last / time_base) - pts


def _shown(clip: Clip) -> Iterator[tuple[VideoFrame, Fraction, Fraction]]:
    """Yield the pictures of a clip, from when and until when each is on show in it."""
    begin, held = Fraction(0), None
    for picture in pictures(clip, clip.start_seconds, clip.end_seconds):
        if held is not None:
            end = Fraction(picture.seconds) - clip.start_seconds
            yield held, begin, end
            begin = end
        held = picture.frame
    if held is not None:
        yield held, begin, clip.duration_seconds


def _instants(
    begin: Fraction, end: Fraction, origin: Fraction, fps: Fraction | None
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield when a picture that is on show from `begin` to `end` is written, and until when.

    On a grid of 4 frames/s a picture shown from 0.2 s to 0.8 s is written at 0.25, 0.5 and 0.75 s.
    """
    if fps is None:
        yield begin, end
        return
    slack = Fraction(6, 10000)  # sums of rounded times
    number = max(0, ceil((begin - origin - slack) * fps))
    while origin + number / fps < end - slack:
        yield origin + number / fps, origin + (number + 1) / fps
        number += 1


def in_look(image: NDArray[np.uint8], look: Look) -> VideoFrame:
    """Return an image, (H, W, 3) uint8 RGB, as a frame of that look."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    is_full = look.color_range == 2 or look.pixel_format.startswith("yuvj")
    return frame.reformat(
        format=look.pixel_format,
        dst_colorspace=_MATRICES.get(look.matrix, Colorspace.ITU601),
        dst_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC,
        threads=1,
    )


def fitted(shape: tuple[int, int], limits: tuple[int, int]) -> tuple[int, int]:
    """Return the greatest (height, width) of that shape within limits, in even numbers.

    What comes within a pixel of a limit takes it: 1080x1919 in 1080x1920 leaves no black line.
    """
    scale = min(Fraction(limits[0], shape[0]), Fraction(limits[1], shape[1]))
    height, width = (
        limit if limit - side * scale <= 1 else max(2, 2 * round(side * scale / 2))
        for side, limit in zip(shape, limits, strict=True)
    )
    return height, width


def framed(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return an image, (h, w, 3), in the middle of a black one."""
    if image.shape[:2] == (height, width):
        return image
    black = np.zeros((height, width, 3), np.uint8)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    black[top : top + image.shape[0], left : left + image.shape[1]] = image
    return black
