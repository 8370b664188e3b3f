"""Open a video safely, and turn what goes wrong into one of our errors.

FFmpeg follows playlists, URLs and concatenation scripts unless it is told not to; here only regular
files in true video containers are opened, and a cap on pixels holds before decoding starts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from soravec.errors import NoVideoStream, SoravecError, UnreadableVideo
from soravec.video.diagnosis import explained
from soravec.video.inputs import Input, VideoSource, find_input
from soravec.video.limits import LIMITS, Limits, too_large

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,"
    "av1,obu,vc1,flv,asf,ogg,mxf,ivf,gif,rm,nut,dv,wtv,yuv4mpegpipe,mjpeg,cavsvideo,dirac,nsv,"
    "apng,mp3,wav,flac,aac,amr,caf,aiff"
)
"""FFmpeg's names of the containers that are opened. None of them refers to another file. The audio
ones are there so that a sound file is told apart from a damaged one."""

DECODER_ERRORS = (
    av.FFmpegError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
    MemoryError,
)
"""What PyAV raises on damaged files: beside its own errors, Python's from inside its bindings."""

_NOT_A_MOVING_PICTURE = (
    Disposition.attached_pic
    | Disposition.timed_thumbnails
    | Disposition.still_image
    | Disposition.dependent  # the enhancement of another stream, nothing by itself
)

IO_BUFFER_BYTES = 2**18
"""What is read at once from a file object."""


class OpenedVideo(NamedTuple):
    """An open container and the video stream that is read."""

    container: InputContainer
    stream: VideoStream
    num_video_streams: int


def open_video(
    source: VideoSource | Input, *, limits: Limits = LIMITS, fast_decode: bool = False
) -> OpenedVideo:
    """Open a video and choose its main stream; the caller closes the container.

    The main stream is one that can be decoded, that the container marks as default, that has the
    most pixels: in this order.

    Args:
        source: Where it lies.
        limits: What is refused.
        fast_decode: Leave out the smoothing over the edges of blocks (FFmpeg's `skip_loop_filter`).

    Raises:
        MissingVideo: No such file, or not a regular one.
        NotAllowed: A URL, a playlist or a picture.
        NoVideoStream: Nothing moving inside.
        TooLarge: The header states more pixels or streams than the limits allow.
        EncryptedVideo: The file is protected.
        UnreadableVideo: FFmpeg makes nothing of it.
    """
    where = find_input(source)
    container = open_container(where, limits=limits)
    try:
        with translated(where):
            streams = [
                s for s in container.streams.video if not s.disposition & _NOT_A_MOVING_PICTURE
            ]
            if not streams:
                raise _no_video(where.name, container)
            stream = max(streams, key=_rank)
            _prepare(where.name, container, stream, limits, fast_decode=fast_decode)
    except BaseException:
        container.close()
        raise
    return OpenedVideo(container, stream, len(streams))


def open_container(
    source: VideoSource | Input,
    *,
    limits: Limits,
    containers: str = CONTAINERS,
    format_name: str | None = None,
) -> InputContainer:
    """Open something as one of `containers`; the caller closes it."""
    where = find_input(source)
    with translated(where):
        try:
            container = av.open(
                where.for_ffmpeg(),
                "r",
                format=format_name,
                options={"max_pixels": str(limits.pixels)},
                container_options={
                    "protocol_whitelist": "file",
                    "format_whitelist": containers,
                    "max_streams": str(limits.streams + 1),
                },
                metadata_errors="replace",
                buffer_size=IO_BUFFER_BYTES,
            )
        except MemoryError as error:  # what FFmpeg says of too many streams, too
            cause = f"it needs too much memory, or holds more than {limits.streams} streams"
            raise too_large(where.name, cause, "streams") from error
        if len(container.streams) > limits.streams:
            container.close()
            cause = f"it holds more than {limits.streams} streams"
            raise too_large(where.name, cause, "streams")
        return container


@contextmanager
def translated(source: VideoSource | Input) -> Iterator[None]:
    """Turn whatever PyAV raises inside into one of our errors."""
    try:
        yield
    except SoravecError:
        raise
    except DECODER_ERRORS as error:
        raise explained(find_input(source), error) from error


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    """Order streams: what can be decoded first, then what is marked as default, then by size."""
    if stream.codec_context is None:
        return False, False, 0
    pixels = stream.codec_context.width * stream.codec_context.height
    return True, bool(stream.disposition & Disposition.default), pixels


def _prepare(
    name: str,
    container: InputContainer,
    stream: VideoStream,
    limits: Limits,
    *,
    fast_decode: bool,
) -> None:
    """Refuse what is too large, and set up decoding: one thread, one stream."""
    if stream.codec_context is None:
        remedy = "Convert it to a codec of the table in docs/video.md, such as H.264."
        raise UnreadableVideo(name, "its codec is not known to this FFmpeg", remedy)
    width, height = stream.codec_context.width, stream.codec_context.height
    limits.check_size(name, width, height)
    # The only place where FFmpeg heeds these options while it decodes.
    options = decoder_options(width, height, limits)
    fast = {"skip_loop_filter": "all"} if fast_decode else {}
    stream.codec_context.options = options | fast
    # Files are decoded in parallel, frames are not: two threads on small frames are slower.
    stream.thread_type = "SLICE"
    stream.codec_context.thread_count = 1
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def decoder_options(width: int, height: int, limits: Limits) -> dict[str, str]:
    """Return the decoder's own cap, which holds when the size changes after the header.

    FFmpeg rounds both sides up to its blocks before it compares, so it is given that much more.
    """
    return {"max_pixels": str(limits.pixels + 64 * (width + height) + 64 * 64)}


def _no_video(name: str, container: InputContainer) -> NoVideoStream:
    """Say what was found in place of a moving picture."""
    found = sorted({"cover art" if s.type == "video" else s.type for s in container.streams})
    cause = f"no video stream (found: {', '.join(found) or 'nothing'})"
    return NoVideoStream(name, cause, "Give a file with a moving picture.")


def decoder_version() -> str:
    """Return the versions of PyAV and of the FFmpeg inside it."""
    major, minor, micro = av.library_versions["libavcodec"]
    return f"PyAV {av.__version__}, libavcodec {major}.{minor}.{micro}"
