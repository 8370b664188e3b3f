"""The sound of edited video: packets as they are, or samples placed on the timeline and encoded.

A copied packet keeps its distance from the pictures. Where clips are joined, packets of one do not
fit those of the next: there samples are put where they belong, one by one, silence in between.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from soravec.video.container import DECODER_ERRORS, open_container
from soravec.video.editing.clips import Clip

TimedPacket = tuple[float, Packet]  # type: ignore[type-arg]
"""When a packet is due, in seconds of the output, and the packet."""

_COPIED: Final = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le"},
    "webm": {"opus", "vorbis"},
    "avi": set(),  # it does not store when its sound begins
    "mpegts": {"aac", "mp3", "mp2", "ac3", "eac3"},
    "flv": {"aac", "mp3"},
}
"""What is copied into which container; into Matroska, everything."""

_ENCODERS: Final = {"webm": "libopus", "matroska": "libopus", "avi": "libmp3lame"}
"""What sound is encoded with elsewhere than AAC."""

_HIDES_A_START = ("mp4", "mov")
"""Containers whose edit list hides what is decoded before the first picture."""

_WARM_UP_PACKETS: Final = {"opus": 4, "vorbis": 2}
"""Packets that a decoder needs before what it gives is right; one for other lossy codecs."""

_WARM_UP_SECONDS = 0.5
"""What is decoded before a clip, so that its first sample is right."""

_SLACK_SECONDS = 0.0015
"""Timestamps rounded to milliseconds stray by this much from the samples that they count."""


@dataclass(frozen=True, slots=True)
class Sound:
    """How the sound of clips gets into a file."""

    clips: tuple[Clip, ...]
    container: str
    """FFmpeg's name of the container to write."""
    is_copied: bool
    rate: int
    """Samples per second."""
    layout: str
    """FFmpeg's name of the channels."""
    codec: str
    """Of the first clip that has sound."""
    notes: tuple[str, ...] = ()


def plan_sound(clips: Sequence[Clip], container: str, *, may_copy: bool) -> Sound | None:
    """Choose how sound is written; None where no clip has any."""
    found = [facts for clip in clips if (facts := _facts(clip)) is not None]
    if not found:
        return None
    codec, rate, layout, num_channels, num_streams = found[0]
    fits = container == "matroska" or codec in _COPIED[container]
    is_copied = may_copy and fits and len(clips) == 1
    notes = [f"sound: the first of {num_streams} streams was kept"] * (num_streams > 1)
    if not is_copied:
        if len(clips) > 1:
            why = "so that joints neither click nor drift"
        elif not fits:
            why = f"since {container} does not hold {codec}"
        else:
            why = "with the video"
        notes.append(f"sound: encoded anew, {why}")
        if _ENCODERS.get(container) == "libopus":
            rate = 48000
        if num_channels > 2:
            layout = "stereo"
            notes.append(f"sound: {num_channels} channels mixed down to two")
    return Sound(tuple(clips), container, is_copied, rate, layout, codec, tuple(notes))


def add_sound(sound: Sound, target: OutputContainer) -> AudioStream:
    """Add the stream to a file that is about to be written."""
    if sound.is_copied:
        container, source = _opened(sound.clips[0])
        with container:
            copy = target.add_stream_from_template(source)
            copy.time_base = Fraction(1, sound.rate)
            return copy
    encoder = _ENCODERS.get(sound.container, "aac")
    stream = target.add_stream(encoder, rate=sound.rate)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = sound.layout
    stream.codec_context.bit_rate = 96_000 * stream.codec_context.channels
    stream.codec_context.time_base = Fraction(1, sound.rate)
    return stream


def sound_packets(sound: Sound, stream: AudioStream) -> Iterator[TimedPacket]:
    """Yield the packets in order of time."""
    for packet in _copied(sound) if sound.is_copied else _encoded(sound, stream):
        packet.stream = stream
        assert packet.pts is not None
        if sound.container == "avi" and packet.pts + (packet.duration or 0) / 2 < 0:
            continue  # the delay of the encoder, which nothing would tell a player to leave out
        yield float(packet.pts * packet.time_base), packet


def placed(
    pieces: Iterable[tuple[int, NDArray[np.float32]]],
    num_samples: int,
    *,
    num_channels: int,
    slack: int,
) -> Iterator[NDArray[np.float32]]:
    """Yield exactly `num_samples` samples: each piece at its place, silence where there is none.

    Example: pieces of 3 samples at -1, 2 and 7, of 9 samples: two of the first, three of the
    second, two of silence, two of the third.

    Args:
        pieces: Place of the first sample and samples (channels, N), in order.
        num_samples: How many to give.
        num_channels: Channels of silence.
        slack: A piece this near to the end of the one before follows it without a gap.

    Yields:
        (channels, N) float32, N at most a second at 48 kHz.
    """
    at = 0
    for place, samples in pieces:
        begin = at if abs(place - at) <= slack else place
        if begin > at:
            yield from _silence(min(begin, num_samples) - at, num_channels)
            at = min(begin, num_samples)
        kept = samples[:, at - begin : num_samples - begin]
        if kept.shape[1]:
            yield kept
            at += kept.shape[1]
        if at >= num_samples:
            return
    yield from _silence(num_samples - at, num_channels)


def _silence(num_samples: int, num_channels: int) -> Iterator[NDArray[np.float32]]:
    for begin in range(0, num_samples, 48000):
        yield np.zeros((num_channels, min(48000, num_samples - begin)), np.float32)


def _facts(clip: Clip) -> tuple[str, int, str, int, int] | None:
    """Return codec, rate, layout, channels and number of streams of the sound; None without."""
    if isinstance(clip.place, Path) or not clip.info.has_audio:
        return None
    container, stream = _opened(clip)
    with container:
        context = stream.codec_context if stream is not None else None
        if context is None or not context.sample_rate:
            return None
        layout = context.layout.name
        usable = "mono" if context.channels == 1 else "stereo" if context.channels == 2 else layout
        num = len(container.streams.audio)
        return context.codec.canonical_name, context.sample_rate, usable, context.channels, num


def _opened(clip: Clip) -> tuple[InputContainer, AudioStream]:
    container = open_container(clip.where, limits=clip.limits)
    stream = container.streams.best("audio")
    for other in container.streams:
        if stream is None or other.index != stream.index:
            other.discard = Discard.all
    return container, stream  # type: ignore[return-value]


def _packets(clip: Clip, start: Fraction) -> Iterator[Packet]:  # type: ignore[type-arg]
    """Yield the packets of the sound from `start` on, in the time of the file."""
    container, stream = _opened(clip)
    if start > 0:
        try:
            container.seek(int(start / (stream.time_base or 1)), stream=stream)
        except DECODER_ERRORS:
            container.close()
            container, stream = _opened(clip)
    with container:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, *DECODER_ERRORS):  # what is damaged ends here, as in a player
                return
            yield packet


def _copied(sound: Sound) -> Iterator[Packet]:  # type: ignore[type-arg]
    """Yield what sounds during the clip, and what its decoder needs before where that is hidden."""
    clip = sound.clips[0]
    hides = sound.container in _HIDES_A_START
    earliest = -_pre_skip(clip) if sound.container in ("webm", "matroska") else 0
    warm_up: deque[tuple[Packet, int, int]] = deque(  # type: ignore[type-arg]
        maxlen=0 if sound.codec.startswith("pcm") else _WARM_UP_PACKETS.get(sound.codec, 1)
    )
    num_samples = round(clip.duration_seconds * sound.rate)
    for packet, begin, length in _on_samples(clip, sound.rate):
        if begin >= num_samples:
            return
        if begin + length <= 0 or (begin < earliest and not hides):
            warm_up.append((packet, begin, length))
            continue
        if hides:
            yield from (_set(*early, sound.rate) for early in warm_up)
        warm_up.clear()
        kept = min(length, num_samples - begin) if hides else length
        yield _set(packet, begin, kept, sound.rate)


def _pre_skip(clip: Clip) -> int:
    """Return how many samples at 48 kHz a decoder of Opus throws away first: RFC 7845, 5.1."""
    container, stream = _opened(clip)
    with container:
        extradata = stream.codec_context.extradata or b""
    return int.from_bytes(extradata[10:12], "little") if extradata[:8] == b"OpusHead" else 0


def _set(packet: Packet, begin: int, length: int, rate: int) -> Packet:  # type: ignore[type-arg]
    packet.pts = packet.dts = begin
    packet.duration = length
    packet.time_base = Fraction(1, rate)
    return packet


def _on_samples(clip: Clip, rate: int) -> Iterator[tuple[Packet, int, int]]:  # type: ignore[type-arg]
    """Yield packets with their first sample in the clip and their number of samples.

    Times that were rounded to milliseconds are put back on the samples that they stand for.
    """
    slack = round(_SLACK_SECONDS * rate)
    due: int | None = None
    for packet in _packets(clip, clip.start_seconds - 1):
        if packet.pts is None or not packet.size:
            continue
        begin = round((packet.pts * packet.time_base - clip.start_seconds) * rate)
        length = _num_samples(packet, rate)
        if due is not None and abs(begin - due) <= slack:
            begin = due
        if due is not None and begin < due:
            continue  # it would begin before the one before ends
        due = begin + length
        yield packet, begin, length


def _num_samples(packet: Packet, rate: int) -> int:  # type: ignore[type-arg]
    stated = round((packet.duration or 0) * packet.time_base * rate)
    usual = int(packet.stream.codec_context.frame_size)
    if usual and abs(stated - usual) <= round(_SLACK_SECONDS * rate):
        return usual
    return stated or usual or 1


def _encoded(sound: Sound, stream: AudioStream) -> Iterator[Packet]:  # type: ignore[type-arg]
    """Yield the sound of all clips, each for as long as its pictures, in one stream."""
    context = stream.codec_context
    at, offset = 0, Fraction(0)
    for clip in sound.clips:
        offset += clip.duration_seconds
        num_samples = round(offset * sound.rate) - at
        blocks = placed(
            _decoded(clip, sound),
            num_samples,
            num_channels=context.channels,
            slack=round(_SLACK_SECONDS * sound.rate),
        )
        for block in blocks:
            frame = AudioFrame.from_ndarray(
                np.ascontiguousarray(block), format="fltp", layout=sound.layout
            )
            frame.sample_rate, frame.time_base = sound.rate, Fraction(1, sound.rate)
            frame.pts = at
            at += block.shape[1]
            yield from context.encode(frame)
    yield from context.encode(None)


def _decoded(clip: Clip, sound: Sound) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield pieces of the sound of a clip, by the sample of the clip at which they begin."""
    if _facts(clip) is None:
        return
    start = clip.start_seconds
    resampler = _resampler(sound)
    for frame in _frames(clip, start - Fraction(_WARM_UP_SECONDS)):
        if (frame.pts or 0) * (frame.time_base or 0) >= clip.end_seconds:
            break
        try:
            pieces = resampler.resample(frame)
        except ValueError:  # the stream changes its form
            resampler = _resampler(sound)
            pieces = resampler.resample(frame)
        yield from (_piece(piece, start, sound.rate) for piece in pieces)
    yield from (_piece(piece, start, sound.rate) for piece in resampler.resample(None))


def _resampler(sound: Sound) -> AudioResampler:
    return AudioResampler(format="fltp", layout=sound.layout, rate=sound.rate)


def _piece(frame: AudioFrame, start: Fraction, rate: int) -> tuple[int, NDArray[np.float32]]:
    samples = np.asarray(frame.to_ndarray(), np.float32)
    assert frame.pts is not None
    return round((frame.pts * (frame.time_base or 0) - start) * rate), samples


def _frames(clip: Clip, start: Fraction) -> Iterator[AudioFrame]:
    """Decode the sound; what is damaged is passed over and becomes silence."""
    for packet in _packets(clip, start):
        try:
            frames = list(packet.decode())
        except av.EOFError:
            return
        except DECODER_ERRORS:
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame) and frame.pts is not None:
                yield frame
