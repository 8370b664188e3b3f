"""A still picture as one frame."""

from pathlib import Path

import av
import numpy as np

from soravec.errors import NotAllowed, UnreadableVideo
from soravec.types import Frames, VideoInfo
from soravec.video.colour import over_white
from soravec.video.container import decoder_options, open_container, translated
from soravec.video.convert import Converter, Fit
from soravec.video.geometry import orientation_of
from soravec.video.inputs import Input, VideoSource, find_input
from soravec.video.limits import LIMITS, Limits

_DEMUXERS = {
    b"\xff\xd8\xff": "jpeg_pipe",
    b"\x89PNG": "png_pipe",
    b"RIFF": "webp_pipe",
    b"BM": "bmp_pipe",
}


def read_image(
    source: VideoSource,
    *,
    size: tuple[int, int] | None,
    fit: Fit = "squash",
    limits: Limits = LIMITS,
) -> Frames:
    """Read a JPEG, PNG, WebP or BMP file as one frame at 0.0 s.

    Args:
        source: A path, bytes or a binary file object.
        size: (height, width) of the result; None for the picture's own.
        fit: `squash` or `crop`, as in `VideoReader.read`.
        limits: What is refused.

    Returns:
        Frames with images (1, H, W, 3).

    Raises:
        MissingVideo: No such file.
        NotAllowed: Not a picture of these kinds.
        TooLarge: More pixels than the limits allow.
        UnreadableVideo: Damaged, or too large for its size to be known.
    """
    where = find_input(source)
    frame = decode_picture(where, limits=limits)
    orientation = orientation_of(frame)
    shown = size or orientation.shown(frame.height, frame.width)
    images = np.empty((1, *shown, 3), np.uint8)
    with translated(where):
        Converter(shown, fit, orientation).convert(frame, images[0])
    return Frames(images, np.zeros(1))


def picture_info(path: str | Path, frames: Frames, *, seconds: float) -> VideoInfo:
    """Return the facts of a still picture as those of a video that lasts so many seconds."""
    return VideoInfo(
        path=str(path),
        container="image",
        codec="image",
        pixel_format="rgb24",
        width=frames.images.shape[2],
        height=frames.images.shape[1],
        rotation_degrees=0,
        start_seconds=0.0,
        duration_seconds=seconds,
        native_fps=0.0,
        size_bytes=Path(path).stat().st_size,
        has_audio=False,
        num_video_streams=0,
    )


def is_picture(where: Input) -> bool:
    """Whether the first bytes are those of a picture that can be read; of a run of JPEGs, not."""
    if where.name.lower().endswith((".mjpg", ".mjpeg")):
        return False
    head = where.head(64 * 1024)
    if head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0]:
        return False  # an animation
    return any(head.startswith(magic) for magic in _DEMUXERS) and (
        not head.startswith(b"RIFF") or head[8:12] == b"WEBP"
    )


def decode_picture(where: Input, *, limits: Limits = LIMITS) -> av.VideoFrame:
    """Decode the only frame of a picture.

    Raises:
        NotAllowed: Not a picture of the kinds that are read.
        TooLarge: More pixels than the limits allow.
        UnreadableVideo: Damaged, or too large for its size to be known.
    """
    demuxer = _demuxer(where)
    try:
        return over_white(_decoded(where, demuxer, limits))
    except NotAllowed as error:  # what a video would be told, of a file that begins as a picture
        cause = f"the picture is damaged, or has more than {limits.pixels} pixels"
        remedy = "Copy it again, or raise the limit: --limit pixels=NUMBER."
        raise UnreadableVideo(where.name, cause, remedy) from error


def _decoded(where: Input, demuxer: str, limits: Limits) -> av.VideoFrame:
    with (
        open_container(where, limits=limits, containers=demuxer, format_name=demuxer) as container,
        translated(where),
    ):
        context = container.streams.video[0].codec_context
        limits.check_size(where.name, context.width, context.height)
        context.options = decoder_options(context.width, context.height, limits)
        context.thread_count = 1
        for frame in container.decode(video=0):
            limits.check_size(where.name, frame.width, frame.height)  # of PNG not known before
            return frame
    remedy = "Copy or download it again."
    raise UnreadableVideo(where.name, "the picture could not be decoded", remedy)


def _demuxer(where: Input) -> str:
    """Choose the reader by the first bytes; by the name, `a%d.png` would be taken for a pattern."""
    with translated(where):
        head = where.head(16)
    for magic, demuxer in _DEMUXERS.items():
        if head.startswith(magic):
            return demuxer
    if not head:
        raise UnreadableVideo(where.name, "the file is empty", "Copy or download it again.")
    remedy = "Convert it to one of these."
    raise NotAllowed(where.name, "not a JPEG, PNG, WebP or BMP picture", remedy)
