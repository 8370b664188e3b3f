"""What a container says of its video, without reading further than the first frame."""

from typing import NamedTuple

from soravec.types import VideoInfo
from soravec.video.colour import matrix_name, matrix_warning, range_name, transfer_name
from soravec.video.container import translated
from soravec.video.decode import PictureSource
from soravec.video.geometry import orientation_of, pixel_aspect_of, square_size
from soravec.video.inputs import AllowUrls, VideoSource
from soravec.video.limits import LIMITS, Limits
from soravec.video.metadata import Described, described
from soravec.video.source import Place, StillSource, find_place, open_source


def probe(
    source: VideoSource | Place,
    *,
    limits: Limits = LIMITS,
    allow_urls: AllowUrls = False,
    fps: float | None = None,
) -> VideoInfo:
    """Return what the container states of its main video stream.

    One frame is decoded: rotation stands there, and a stream without any is not a video.

    Args:
        source: A path (also `clips.tar/clip.mp4`, a picture or a folder of frames), bytes, a binary
            file object, or a URL.
        limits: What is refused.
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.
        fps: Frames per second of a folder of frames; None for what its `frames.csv` says, else 25.

    Raises:
        VideoError: One of its kinds, as the tree in `soravec.errors` tells.
    """
    place = find_place(source, allow_urls=allow_urls)
    pictures = open_source(place, limits=limits, fps=fps)
    try:
        return info_of(pictures)
    finally:
        pictures.close()


def info_of(source: PictureSource | StillSource) -> VideoInfo:
    """Describe what a source has open."""
    frame = source.first.frame
    with translated(source.where):
        stated = _stated(source)
        orientation = orientation_of(frame)
        aspect, aspect_warning = _pixel_aspect(source)
        height, width = orientation.shown(*square_size(frame.height, frame.width, aspect))
        odd = (orientation.warning, aspect_warning, matrix_warning(frame))
        return VideoInfo(
            path=source.where.name,
            container=stated.container,
            codec=stated.codec,
            pixel_format=frame.format.name,
            width=width,
            height=height,
            rotation_degrees=orientation.rotation_degrees,
            mirrored=orientation.mirrored,
            sample_aspect_ratio=aspect,
            interlaced=frame.interlaced_frame,
            color_space=matrix_name(frame),
            color_range=range_name(frame),
            color_transfer=transfer_name(frame),
            start_seconds=stated.start_seconds,
            duration_seconds=stated.duration_seconds,
            native_fps=stated.native_fps,
            size_bytes=stated.size_bytes,
            has_audio=stated.has_audio,
            num_video_streams=stated.num_video_streams,
            **stated.said._asdict(),
            warnings=(*source.warnings, *(warning for warning in odd if warning)),
        )


def _pixel_aspect(source: PictureSource | StillSource) -> tuple[float, str | None]:
    """Return the shape of the pixels; those of a picture are square, as every browser has it."""
    if not isinstance(source, PictureSource):
        return 1.0, None
    return pixel_aspect_of(source.opened.stream, limits=source.limits)


class _Stated(NamedTuple):
    """What stands outside the pictures."""

    container: str
    codec: str
    start_seconds: float
    duration_seconds: float
    native_fps: float
    size_bytes: int
    has_audio: bool = False
    num_video_streams: int = 1
    said: Described = Described()


def _stated(source: PictureSource | StillSource) -> _Stated:
    if not isinstance(source, PictureSource):
        length = source.end_seconds - source.first.seconds
        fps = source.num_frames / source.end_seconds
        kind = source.container
        return _Stated(kind, kind, source.first.seconds, length, fps, source.size_bytes)
    container, stream, num_video_streams = source.opened
    return _Stated(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        start_seconds=_start_seconds(source),
        duration_seconds=_duration_seconds(source),
        native_fps=float(stream.average_rate or stream.guessed_rate or 0.0),
        size_bytes=source.where.size_bytes,
        has_audio=bool(container.streams.audio),
        num_video_streams=num_video_streams,
        said=described(container),
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
    length = (container.duration or 0) / 1e6
    if container.format.name.startswith(("matroska", "nut", "asf")):  # they state when they end
        start = max(_start_seconds(source), 0.0)
        return length - start if length > start else length
    return max(length, 0.0)
