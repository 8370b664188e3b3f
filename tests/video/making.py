"""Small files with a code drawn into every frame, and the truth about them.

What is drawn is what is meant: the number of the frame and the time that the file is to give it.
Every encoder is asked for near-lossless pictures, so that a code that cannot be read is a wrong
picture and not a poor one.
"""

import math
import os
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from .code import draw

os.environ.setdefault("SVT_LOG", "1")  # errors only: it writes to stderr by itself

MILLISECOND_CONTAINERS = {"matroska", "webm", "flv"}
HEIGHT, WIDTH = 64, 96
RATE = 25

ENCODERS = {
    "h264": ("libx264", "yuv420p", {"preset": "veryfast", "crf": "12", "bf": "0"}),
    "hevc": ("libx265", "yuv420p", {"preset": "ultrafast", "crf": "12"}),
    "vp8": ("libvpx", "yuv420p", {"deadline": "realtime", "cpu-used": "8", "crf": "4"}),
    "vp9": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8", "crf": "4"}),
    "av1": ("libsvtav1", "yuv420p", {"preset": "8", "crf": "2", "svtav1-params": "lp=1"}),
    "mpeg1": ("mpeg1video", "yuv420p", {"qmin": "1", "qmax": "3"}),
    "mpeg2": ("mpeg2video", "yuv420p", {"qmin": "1", "qmax": "3"}),
    "mpeg4": ("mpeg4", "yuv420p", {"qmin": "1", "qmax": "3"}),
    "mjpeg": ("mjpeg", "yuvj420p", {"qmin": "1", "qmax": "3"}),
    "prores": ("prores_ks", "yuv422p10le", {}),
    "ffv1": ("ffv1", "yuv420p", {"level": "3"}),
    "gif": ("gif", "gray", {}),
    "msmpeg4": ("msmpeg4", "yuv420p", {"qmin": "1", "qmax": "3"}),
    "wmv2": ("wmv2", "yuv420p", {"qmin": "1", "qmax": "3"}),
    "flv1": ("flv", "yuv420p", {"qmin": "1", "qmax": "3"}),
    "dnxhd": ("dnxhd", "yuv422p", {"profile": "dnxhr_hq"}),
    "huffyuv": ("huffyuv", "yuv422p", {}),
    "qtrle": ("qtrle", "rgb24", {}),
    "raw": ("rawvideo", "yuv420p", {}),
    "webp": ("libwebp_anim", "yuv420p", {"lossless": "1"}),
    "apng": ("apng", "rgb24", {}),
}
"""FFmpeg's encoder, pixel format and options by codec."""

_INTRA = {"mjpeg", "prores", "ffv1", "dnxhd", "huffyuv", "raw"}
_BITRATE = {"vp8", "vp9", "mpeg1", "mpeg2", "mpeg4", "msmpeg4", "wmv2", "flv1"}


@dataclass(frozen=True)
class Truth:
    """What a file shows: `times[i]` is when frame `numbers[i]` begins."""

    numbers: tuple[int, ...]
    times: tuple[float, ...]
    keyframes: tuple[int, ...] | None = None
    """Numbers of the frames that decode alone; None where the file and FFmpeg may differ."""
    end: tuple[float, float] | None = None
    """Between what and what the last frame ends; None for 0 to 3 steps after its beginning."""
    size: tuple[int, int] = (HEIGHT, WIDTH)
    """(height, width) as shown."""
    warns: str | None = None
    """Words that stand in a warning; None where there must be none, empty where there may be."""
    is_partial: bool = False
    """Frames may be missing; those that come are right."""
    is_as_drawn: bool = True
    """Whether the drawn times are those shown; not where the file was changed afterwards."""
    slack: float = 0.0
    """By how many seconds a mended time may differ; every sampling must then agree on it."""

    @property
    def ends(self) -> tuple[float, float]:
        last = self.times[-1]
        step = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1 / RATE
        return self.end or (last, last + 3 * max(step, 1 / RATE))


@dataclass(frozen=True)
class Look:
    """How the frames of a file look and are encoded."""

    codec: str = "h264"
    height: int = HEIGHT
    width: int = WIDTH
    pixel_format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    rate: Fraction = Fraction(RATE)
    time_base: Fraction = Fraction(1, RATE)
    keyframe_every: int = 25
    matrix: Colorspace | None = None
    range: ColorRange | None = None
    transfer: int | None = None
    primaries: int | None = None
    aspect: Fraction | None = None
    interlaced: bool = False
    transparent: bool = False
    """White cells are transparent as well."""
    noise: int = 0
    """By how much single pixels differ from their cell, at most."""
    quarter_turns: int = 0
    """How often a player turns the stored picture clockwise by 90 degrees, after mirroring."""
    mirrored: bool = False

    @property
    def shown(self) -> tuple[int, int]:
        """(height, width) as shown: with square pixels, no pixel lost, and turned."""
        aspect = self.aspect or Fraction(1)
        height = self.height if aspect >= 1 else round(self.height / aspect)
        width = round(self.width * aspect) if aspect >= 1 else self.width
        return (width, height) if self.quarter_turns % 2 else (height, width)


@dataclass(frozen=True)
class Coded:
    """One packet before muxing, in the order of decoding."""

    data: bytes
    pts: int
    dts: int
    is_keyframe: bool


def make(path, look=Look(), ticks=None, *, form=None, container_options=None, numbers=None, **more):
    """Write one file whose frames are due at `ticks` of its time base; return the truth."""
    ticks = list(range(250)) if ticks is None else list(ticks)
    numbers = list(range(len(ticks))) if numbers is None else list(numbers)
    target = str(path) if isinstance(path, Path) else path
    with av.open(target, "w", format=form, options=container_options or {}) as output:
        name = output.format.name
        stream = add_stream(output, look)
        keyed = []
        for packet in encoded(stream, look, ticks, numbers):
            if packet.is_keyframe:
                keyed.append(packet.pts)
            output.mux(packet)
    times = [held(name, tick * look.time_base) for tick in ticks]
    by_tick = dict(zip(ticks, numbers, strict=True))
    keyframes = tuple(sorted(by_tick[tick] for tick in keyed))
    more.setdefault("keyframes", keyframes)
    return Truth(tuple(numbers), tuple(times), size=look.shown, **more)


def make_many(path, looks, ticks, *, form=None, prepare=lambda streams: None, tones=False):
    """Write a file of several video streams; the numbers of the n-th begin at 1000 n."""
    with av.open(str(path), "w", format=form) as output:
        streams = [add_stream(output, look) for look in looks]
        if tones:
            sound = output.add_stream("aac", rate=16000)
        prepare(streams)
        packets = []
        for place, (stream, look) in enumerate(zip(streams, looks, strict=True)):
            numbers = range(1000 * place, 1000 * place + len(ticks))
            packets += [(p.pts, p) for p in encoded(stream, look, ticks, numbers)]
        for _, packet in sorted(packets, key=lambda pair: pair[1].dts):
            output.mux(packet)
        if tones:
            _add_tone(output, sound, ticks)


def _add_tone(output, sound, ticks):
    samples = np.sin(np.arange(16000 * len(ticks) // RATE) / 8).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 16000, 16000 * ticks[0] // RATE
    for packet in [*sound.encode(frame), *sound.encode(None)]:
        output.mux(packet)


def held(container, seconds):
    """Return the time that a container can hold, in seconds."""
    if MILLISECOND_CONTAINERS & set(container.split(",")):
        return math.floor(Fraction(seconds) * 1000 + Fraction(1, 2)) / 1000
    if container in {"mpegts", "vob"}:
        return math.floor(Fraction(seconds) * 90_000 + Fraction(1, 2)) / 90_000
    return float(seconds)


def add_stream(output, look):
    encoder, pixel_format, options = ENCODERS[look.codec]
    options = {**options, **look.options}
    if look.codec in _INTRA:
        options.pop("bf", None)
    if look.codec == "hevc":
        own = options.pop("x265-params", "")
        options["x265-params"] = ":".join(filter(None, ["log-level=none:pools=1", own]))
        if "bf" not in options:
            options["bf"] = "0"
    stream = output.add_stream(encoder, rate=look.rate, options=options)
    context = stream.codec_context
    context.width, context.height = look.width, look.height
    context.pix_fmt = look.pixel_format or pixel_format
    context.time_base = look.time_base
    stream.time_base = look.time_base
    if look.interlaced:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
    context.gop_size = 1 if look.codec in _INTRA else look.keyframe_every
    context.thread_count = 1
    if look.codec in _BITRATE:
        context.bit_rate = max(4_000_000, look.width * look.height * 60)
        context.bit_rate_tolerance = context.bit_rate
    if look.aspect is not None:
        context.sample_aspect_ratio = look.aspect
    _colour(context, look)
    return stream


def _colour(context, look):
    if look.matrix is not None:
        context.colorspace = look.matrix
    if look.range is not None:
        context.color_range = look.range
    if look.transfer is not None:
        context.color_trc = look.transfer
    if look.primaries is not None:
        context.color_primaries = look.primaries


def encoded(stream, look, ticks, numbers):
    """Yield the packets of one stream."""
    context = stream.codec_context
    for number, tick in zip(numbers, ticks, strict=True):
        frame = drawn(look, number, float(tick * look.time_base), context.pix_fmt)
        frame.pts, frame.time_base = tick, look.time_base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def drawn(look, number, seconds, pixel_format):
    """Return one frame in the pixel format of the encoder."""
    height, width = look.height, look.width
    if look.quarter_turns % 2:
        height, width = width, height
    image = draw(number, seconds, height=height, width=width)
    if look.noise:
        spread = np.random.default_rng(number).integers(-look.noise, look.noise, image.shape[:2])
        image = np.clip(image + spread[:, :, None], 0, 255).astype(np.uint8)
    image = np.rot90(image, look.quarter_turns)
    image = np.ascontiguousarray(image[:, ::-1] if look.mirrored else image)
    if look.transparent:
        image = np.dstack([image, np.where(image[:, :, 0] > 126, np.uint8(0), np.uint8(255))])
        frame = VideoFrame.from_ndarray(image, format="rgba")
    else:
        frame = VideoFrame.from_ndarray(image, format="rgb24")
    is_full = pixel_format.startswith("yuvj") or look.range == ColorRange.JPEG
    return frame.reformat(
        format=pixel_format,
        dst_colorspace=look.matrix,
        dst_color_range=ColorRange.JPEG if is_full else None,
    )


def coded(look, ticks=None, numbers=None, *, form="mpegts"):
    """Return the packets of an encoder without a container, headers in band."""
    ticks = list(range(250)) if ticks is None else list(ticks)
    numbers = list(range(len(ticks))) if numbers is None else list(numbers)
    with av.open(os.devnull, "w", format=form) as output:
        stream = add_stream(output, look)
        return [
            Coded(bytes(packet), packet.pts, packet.dts, packet.is_keyframe)
            for packet in encoded(stream, look, ticks, numbers)
        ]


def mux(path, look, packets, *, form=None, container_options=None):
    """Write packets as they are given."""
    with av.open(str(path), "w", format=form, options=container_options or {}) as output:
        stream = add_stream(output, look)
        for one in packets:
            packet = av.Packet(one.data)
            packet.pts, packet.dts = one.pts, one.dts
            packet.time_base, packet.stream = look.time_base, stream
            packet.is_keyframe = one.is_keyframe
            output.mux(packet)
    return Path(path)
