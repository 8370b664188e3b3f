"""Encoders: which one writes a codec, how it is set, and pictures through it as timed packets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

ENCODERS: Final = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "mpeg4": "mpeg4",
    "mpeg2video": "mpeg2video",
    "mpeg1video": "mpeg1video",
    "mjpeg": "mjpeg",
    "ffv1": "ffv1",
    "prores": "prores_ks",
    "png": "png",
    "huffyuv": "huffyuv",
    "utvideo": "utvideo",
    "rawvideo": "rawvideo",
}
"""The encoder of each codec that can be written, by FFmpeg's names."""

SPEED: Final = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "row-mt": "0"},
    "libsvtav1": {"preset": "8"},
}

_GOOD: Final = {
    "libx264": {"preset": "medium", "crf": "18"},
    "libx265": {"preset": "medium", "crf": "20"},
    "libvpx": {"deadline": "good", "cpu-used": "4", "crf": "8", "b": "8M", "auto-alt-ref": "0"},
    "libvpx-vp9": {
        "deadline": "good",
        "cpu-used": "4",
        "crf": "24",
        "b": "0",
        "auto-alt-ref": "0",
        "lag-in-frames": "0",
    },
    "libsvtav1": {"preset": "8", "crf": "28"},
    "mpeg4": {"qscale": "2"},
    "mpeg2video": {"qscale": "2"},
    "mpeg1video": {"qscale": "2"},
    "mjpeg": {"qscale": "2"},
}
"""How to encode so that little is lost beside what is copied."""

_X264_PROFILES: Final = {
    "Baseline": "baseline",
    "Constrained Baseline": "baseline",
    "Main": "main",
    "High": "high",
    "High 10": "high10",
    "High 4:2:2": "high422",
    "High 4:4:4 Predictive": "high444",
}
ODD_SIDES: Final = frozenset({"vp8", "vp9", "ffv1", "mjpeg", "png", "rawvideo"})
"""Codecs that take pictures whose sides are odd."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all pictures of one stream have in common."""

    codec: str
    """FFmpeg's name, a key of `ENCODERS`."""
    width: int
    height: int
    pixel_format: str
    fps: Fraction
    """For the rate control and the headers; times are kept apart from it."""
    primaries: int = 2
    """Colours, by the numbers of ITU-T H.273; 2 is unspecified."""
    transfer: int = 2
    matrix: int = 2
    color_range: int = 0
    """0 unspecified, 1 limited, 2 full."""
    pixel_aspect: Fraction = Fraction(0)
    """Width of a pixel over its height; 0 unspecified."""
    profile: str | None = None
    """FFmpeg's name of the profile; None for what the encoder chooses."""

    def takes(self, frame: VideoFrame) -> bool:
        """Whether a frame can be encoded without being converted."""
        return (
            frame.format.name == self.pixel_format
            and (frame.width, frame.height) == (self.width, self.height)
            and not frame.interlaced_frame
            and int(frame.colorspace) == self.matrix
            and int(frame.color_trc) == self.transfer
        )


@dataclass(slots=True)
class Timed:
    """A packet of the video to be written and when its picture is shown."""

    packet: Packet  # type: ignore[type-arg]
    pts: int
    """Ticks of the output."""
    duration: int
    """Ticks of the output."""
    breaks: bool = False
    """Whether the packet before has to end its sequence: see `nal.HEVC_END_OF_SEQUENCE`."""
    copied: bool = False


def can_encode(codec: str, pixel_format: str) -> bool:
    """Whether a codec can be written with a pixel format."""
    encoder = ENCODERS.get(codec)
    if encoder is None:
        return False
    formats = av.Codec(encoder, "w").video_formats
    return not formats or pixel_format in {f.name for f in formats}


def usual_pixel_format(codec: str) -> str:
    """Return the 8-bit format in which most players take a codec, else its first."""
    formats = [f.name for f in av.Codec(ENCODERS[codec], "w").video_formats or []]
    if codec == "mjpeg":
        return "yuvj420p"
    return "yuv420p" if "yuv420p" in formats or not formats else formats[0]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a stream is encoded beside what it shows."""

    keyframe_frames: int
    """The longest distance between keyframes."""
    max_b_frames: int = 0
    global_header: bool = False
    """Whether parameter sets go to the container's header only."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the encoder that win over the usual ones."""


def open_encoder(look: Look, recipe: Recipe) -> VideoCodecContext:
    """Return an encoder that takes frames whose PTS count up from 0."""
    context = av.CodecContext.create(ENCODERS[look.codec], "w")
    assert isinstance(context, VideoCodecContext)
    configure(context, look, recipe)
    context.open()
    return context


def configure(context: VideoCodecContext, look: Look, recipe: Recipe) -> None:
    """Set an encoder that is not open yet."""
    context.width, context.height, context.pix_fmt = look.width, look.height, look.pixel_format
    context.framerate, context.time_base = look.fps, 1 / look.fps
    context.color_primaries, context.color_trc = look.primaries, look.transfer
    context.colorspace, context.color_range = look.matrix, look.color_range
    if look.pixel_aspect:
        context.sample_aspect_ratio = look.pixel_aspect
    context.thread_count = 2
    options = dict(_GOOD.get(ENCODERS[look.codec], {}))
    if "qscale" in options:
        context.qscale = True
        context.global_quality = int(options.pop("qscale"))
    if look.codec not in ("prores", "png", "ffv1", "mjpeg"):
        context.gop_size = recipe.keyframe_frames
    context.options = options | _structure(look, recipe) | recipe.options
    if recipe.global_header:
        context.flags |= av.codec.context.Flags.global_header


def _structure(look: Look, recipe: Recipe) -> dict[str, str]:
    """Return the options that say how pictures depend on one another."""
    if look.codec == "h264":
        profile = _X264_PROFILES.get(look.profile or "")
        return {"bf": str(recipe.max_b_frames)} | ({"profile": profile} if profile else {})
    if look.codec == "hevc":
        params = f"log-level=none:open-gop=0:bframes={recipe.max_b_frames}"
        return {"x265-params": params}
    if look.codec in ("mpeg4", "mpeg2video", "mpeg1video"):
        return {"bf": str(recipe.max_b_frames)}
    return {}


def encoded(
    context: VideoCodecContext, pictures: Iterable[tuple[VideoFrame, int, int]]
) -> Iterator[Timed]:
    """Encode frames, each given with its PTS and duration in ticks of the output.

    The encoder only counts them; their times are put back on what comes out.
    """
    times: dict[int, tuple[int, int]] = {}
    for number, (frame, pts, duration) in enumerate(pictures):
        times[number] = (pts, duration)
        frame.pts, frame.time_base = number, context.time_base
        frame.pict_type = PictureType.NONE  # else the encoder would repeat that of the source
        yield from (_timed(packet, times) for packet in context.encode(frame))
    yield from (_timed(packet, times) for packet in context.encode(None))


def _timed(packet: Packet, times: dict[int, tuple[int, int]]) -> Timed:  # type: ignore[type-arg]
    assert packet.pts is not None
    return Timed(packet, *times.pop(packet.pts))


def plain(look: Look) -> Look:
    """Return the same with the colours of an ordinary screen, in 8 bits.

    BT.709, and BT.601 where that is what players take for granted: in JPEG, and in MPEG-4, which
    says nothing of its colours in AVI.
    """
    is_jpeg, is_silent = look.codec == "mjpeg", look.codec == "mpeg4"
    return replace(
        look,
        pixel_format=usual_pixel_format(look.codec),
        primaries=2 if is_silent else 1,
        transfer=2 if is_silent else 1,
        matrix=2 if is_silent else 5 if is_jpeg else 1,
        color_range=0 if is_silent else 2 if is_jpeg else 1,
        pixel_aspect=Fraction(0),
        profile=None,
    )


def is_hdr_look(look: Look) -> bool:
    """Whether the pictures are in PQ or HLG."""
    return look.transfer in (16, 18)
