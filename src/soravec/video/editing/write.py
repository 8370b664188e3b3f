"""Write video: arrays into a new file, or the packets of a file over again."""

from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from soravec.video.container import open_video, translated
from soravec.video.editing.encoders import ENCODERS, SPEED


class VideoWriter:
    """Encodes RGB images into a new file; the container follows the file's suffix.

    Args:
        path: The file to write, such as `out.mp4` or `out.webm`.
        width: Pixels across; even for most codecs.
        height: Pixels down; even for most codecs.
        fps: Frames per second.
        codec: `h264`, `hevc`, `vp8`, `vp9`, `av1`, `mpeg4`, `mjpeg` or `ffv1`.
        crf: Quality of H.264, HEVC, VP9 and AV1 (lower is better); None for the encoder's own.
        keyframe_seconds: The longest distance between keyframes.
        pixel_format: FFmpeg's name, `yuv420p` unless the codec needs another.
        options: Further options of the encoder, which win over the ones set here.
    """

    def __init__(  # noqa: PLR0913 - each is a plain fact of the file to write
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        fps: float,
        codec: str = "h264",
        crf: int | None = None,
        keyframe_seconds: float = 2.0,
        pixel_format: str = "yuv420p",
        options: dict[str, str] | None = None,
    ) -> None:
        encoder = ENCODERS.get(codec, codec)
        settings = dict(SPEED.get(encoder, {}))
        if crf is not None:
            settings |= (
                {"crf": str(crf), "b": "0"} if encoder == "libvpx-vp9" else {"crf": str(crf)}
            )
        rate = Fraction(fps).limit_denominator(1001)
        self.path = Path(path)
        self._container = av.open(str(self.path.absolute()), "w")
        stream = self._container.add_stream(encoder, rate=rate, options=settings | (options or {}))
        assert isinstance(stream, VideoStream)
        self._stream = stream
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = pixel_format
        self._stream.codec_context.gop_size = max(1, round(keyframe_seconds * fps))
        self._stream.codec_context.thread_count = 2
        self._stream.codec_context.time_base = 1 / rate
        self._num_frames = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, image: NDArray[np.uint8], *, number: int | None = None) -> None:
        """Append one image, (H, W, 3) uint8 RGB.

        Args:
            image: The picture; one of another size is scaled.
            number: Its place in units of `1 / fps`, above that of the last one, for a variable
                frame rate; None for the next.
        """
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._num_frames = (self._num_frames if number is None else number) + 1
        frame.pts = self._num_frames - 1
        frame.time_base = self._stream.codec_context.time_base
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        if self._num_frames:
            self._container.mux(self._stream.encode(None))
            self._num_frames = 0
        self._container.close()


def repeat_video(path: str | Path, out: str | Path, times: int) -> None:
    """Write the video stream of a file `times` times over, without encoding anew.

    Args:
        path: The file to repeat; its audio is left out.
        out: The file to write; its container must hold the codec.
        times: How often, at least 1.

    Raises:
        VideoError: `path` cannot be read.
    """
    with av.open(str(Path(out).absolute()), "w") as target:
        copy: VideoStream | None = None
        offset = 0
        for _ in range(times):
            opened = open_video(path)
            with opened.container, translated(path):
                if copy is None:
                    copy = target.add_stream_from_template(opened.stream, opaque=True)
                offset = _append(opened.container, opened.stream, target, copy, offset)


def _append(
    container: av.container.InputContainer,
    stream: VideoStream,
    target: av.container.OutputContainer,
    copy: VideoStream,
    offset: int,
) -> int:
    """Copy all packets, later by `offset`; return the offset of the next round."""
    end = offset
    for packet in container.demux(stream):
        if packet.pts is None or packet.dts is None:
            continue
        packet.pts += offset
        packet.dts += offset
        end = max(end, packet.pts + (packet.duration or 1))
        packet.stream = copy
        target.mux(packet)
    return end
