"""What a container says of its video, without reading further than the first frame."""

from soravec.types import VideoInfo
from soravec.video.container import MAX_PIXELS, translated
from soravec.video.decode import PictureSource
from soravec.video.inputs import VideoSource, find_input


def probe(
    source: VideoSource, *, max_pixels: int = MAX_PIXELS, allow_urls: bool = False
) -> VideoInfo:
    """Return what the container states of its main video stream.

    One frame is decoded: rotation stands there, and a stream without any is not a video.

    Args:
        source: A path (also `clips.tar/clip.mp4`), bytes, a binary file object, or a URL.
        max_pixels: The most pixels that one frame may have.
        allow_urls: Whether http and https URLs are opened.

    Raises:
        VideoError: One of its kinds, as the tree in `soravec.errors` tells.
    """
    pictures = PictureSource(find_input(source, allow_urls=allow_urls), max_pixels=max_pixels)
    try:
        return info_of(pictures)
    finally:
        pictures.close()


def info_of(source: PictureSource) -> VideoInfo:
    """Describe the file that a source has open."""
    container, stream, num_video_streams = source.opened
    frame = source.first.frame
    with translated(source.where):
        rotation = round(frame.rotation / 90) * 90 % 360
        width, height = frame.width, frame.height
        if rotation in (90, 270):
            width, height = height, width
        return VideoInfo(
            path=source.where.name,
            container=container.format.name,
            codec=stream.codec_context.codec.canonical_name,
            pixel_format=frame.format.name,
            width=width,
            height=height,
            rotation_degrees=rotation,
            start_seconds=_start_seconds(source),
            duration_seconds=_duration_seconds(source),
            native_fps=float(stream.average_rate or stream.guessed_rate or 0.0),
            size_bytes=source.where.size_bytes,
            has_audio=bool(container.streams.audio),
            num_video_streams=num_video_streams,
            created=container.metadata.get("creation_time"),
            warnings=tuple(source.warnings),
        )


def _start_seconds(source: PictureSource) -> float:
    stream = source.opened.stream
    if stream.start_time is None or not stream.time_base:
        return source.first.seconds
    return float(stream.start_time * stream.time_base)


def _duration_seconds(source: PictureSource) -> float:
    container, stream, _ = source.opened
    if stream.duration and stream.time_base and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / 1e6
    return 0.0
