"""A picture as the bytes of a JPEG file."""

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray


def encode_jpeg(image: NDArray[np.uint8], *, quantizer: int = 4) -> bytes:
    """Return a picture (H, W, 3) uint8 RGB as JPEG.

    Args:
        image: The picture; its sides are cut to even ones.
        quantizer: From 1, the best, to 31.
    """
    height, width = (side // 2 * 2 for side in image.shape[:2])
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
    context.time_base = Fraction(1, 25)
    context.options = {"qmin": str(quantizer), "qmax": str(quantizer)}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), "rgb24")
    packets = [*context.encode(frame.reformat(format="yuvj420p")), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
