"""The words that are written over a video: its subtitle streams, and the files beside it.

Their times are on the clock of the frames. What cannot be read becomes a warning, never an error:
a video is not worse for its subtitles.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.subtitles.stream import SubtitleStream

from soravec.types import TimedText
from soravec.video.container import CONTAINERS, DECODER_ERRORS, IO_BUFFER_BYTES, translated
from soravec.video.inputs import Input, VideoSource, find_input
from soravec.video.text.cues import Cue, settle
from soravec.video.text.encodings import guess_encoding
from soravec.video.text.sidecars import Sidecar, SidecarFinder, cues_of, read_sidecar

MAX_CUES = 100_000
"""Of one video, all its streams and sidecars together."""
MAX_CHARS = 4_000_000
"""Of one video."""

END_SLACK_SECONDS = 1.0
"""Containers do not state their duration more exactly than this."""

WARNING_PREFIX = "subtitles: "
"""How every warning of this module begins."""

_FREE_CLOCKS = frozenset({"mpegts", "mpeg", "flv", "wtv", "nsv", "dv"})
"""Containers whose clock may begin anywhere: players take their beginning for 0."""


class Subtitles(NamedTuple):
    """What was read."""

    texts: tuple[TimedText, ...]
    """In order of time; embedded or from sidecars."""
    sources: tuple[str, ...]
    """Of each text: the path of its sidecar, or an empty text for a stream of the video."""
    warnings: tuple[str, ...]
    """What was not read and why, in sentences."""


class _Clock(NamedTuple):
    """The span of a video on the clock of its frames."""

    begin_seconds: float
    end_seconds: float
    zero_seconds: float
    """Where the clock of a sidecar has its 0."""


def read_subtitles(
    source: VideoSource | Input, *, sidecars: Sequence[Sidecar] | None = None
) -> Subtitles:
    """Return the subtitles of a video as timed text.

    Streams of text are decoded, and nothing else is; where they lie scattered in the file, it is
    read through once.

    Args:
        source: The video.
        sidecars: The files beside it; None to look for them, if `source` is a path.

    Raises:
        VideoError: The video cannot be opened.
    """
    where = find_input(source)
    if sidecars is None:
        is_path = isinstance(source, str | Path)
        sidecars = SidecarFinder().find(Path(source)) if is_path else ()  # type: ignore[arg-type]
    gathered = _Gathered()
    with translated(where):
        container = _open(where)
        try:
            clock = _clock_of(container)
            _take_streams(container, clock, gathered)
        finally:
            container.close()
    for sidecar in sidecars:
        _take_sidecar(sidecar, clock, gathered)
    return gathered.result()


class _Gathered:
    """Collects the texts of one video up to the limits."""

    def __init__(self) -> None:
        self._texts: dict[tuple[TimedText, str], None] = {}
        self._num_chars = 0
        self._warnings: list[str] = []

    def warn(self, text: str) -> None:
        self._warnings.append(WARNING_PREFIX + text)

    def add(self, cues: Sequence[Cue], name: str, path: str, language: str, clock: _Clock) -> None:
        """Settle the events of one stream or sidecar, called `name`, and take them."""
        settled = settle(
            cues,
            language=language,
            begin_seconds=clock.begin_seconds,
            end_seconds=clock.end_seconds,
        )
        if settled.num_outside:
            self.warn(f"{name}: {settled.num_outside} lie before or after the video, left out")
        for number, text in enumerate(settled.texts):
            if len(self._texts) >= MAX_CUES or self._num_chars + len(text.text) > MAX_CHARS:
                left = len(settled.texts) - number
                self.warn(f"{name}: {left} left out: more than {MAX_CUES} texts or too long")
                return
            self._texts[text, path] = None
            self._num_chars += len(text.text)

    def result(self) -> Subtitles:
        ordered = sorted(self._texts, key=lambda entry: entry[0].start_seconds)
        texts = tuple(text for text, _ in ordered)
        return Subtitles(texts, tuple(path for _, path in ordered), tuple(self._warnings))


def _open(where: Input) -> InputContainer:
    """Open a container for its subtitles.

    FFmpeg's full treatment of edit lists puts subtitles at wrong times where the list begins inside
    one; its simple one, an offset, is right for all lists but those with several entries.
    """
    return av.open(
        where.for_ffmpeg(),
        "r",
        container_options={
            "protocol_whitelist": "file",
            "format_whitelist": CONTAINERS,
            "advanced_editlist": "0",
        },
        metadata_errors="replace",
        buffer_size=IO_BUFFER_BYTES,
    )


def _clock_of(container: InputContainer) -> _Clock:
    """Return when the video begins and ends; without a duration it does not end."""
    begin = max((container.start_time or 0) / 1e6, 0.0)
    zero = begin if container.format.name in _FREE_CLOCKS else 0.0
    length = (container.duration or 0) / 1e6
    end = begin + length + END_SLACK_SECONDS if length > 0 else inf
    return _Clock(begin, end, zero)


def _take_streams(container: InputContainer, clock: _Clock, gathered: _Gathered) -> None:
    """Read every subtitle stream whose codec is text."""
    readable = [stream for stream in container.streams.subtitles if _is_text(stream, gathered)]
    if not readable:
        return
    for stream in container.streams:
        stream.discard = Discard.default if stream in readable else Discard.all
    packets: dict[int, list[Packet[Any]]] = {stream.index: [] for stream in readable}
    num_bytes = 0
    try:
        for packet in container.demux(readable):
            if packet.pts is not None and packet.size:
                packets[packet.stream.index].append(packet)
                num_bytes += packet.size
            if num_bytes > 8 * MAX_CHARS:
                break
    except DECODER_ERRORS as error:
        gathered.warn(f"reading broke off ({str(error).splitlines()[0]})")
    for stream in readable:
        cues, num_broken = _decoded(stream, packets[stream.index])
        name = _name(stream)
        if num_broken:
            gathered.warn(f"{name}: {num_broken} are damaged, left out")
        gathered.add(cues, name, "", _language(stream), clock)


def _is_text(stream: SubtitleStream, gathered: _Gathered) -> bool:
    """Whether a stream can be read; say so where it cannot."""
    context = stream.codec_context
    if context is None:
        gathered.warn(f"{_name(stream)}: this FFmpeg cannot read its format, not read")
        return False
    if context.codec.bitmap_sub:
        gathered.warn(f"{_name(stream)}: pictures, not read")
        return False
    return True


def _language(stream: SubtitleStream) -> str:
    """Return a stream's language as stated; `und` states that it is not."""
    return "" if stream.language in (None, "und") else str(stream.language)


def _name(stream: SubtitleStream) -> str:
    codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
    said = ", ".join(
        word for word in (codec, _language(stream), stream.metadata.get("title")) if word
    )
    return f"stream {stream.index} ({said})"


def _decoded(stream: SubtitleStream, packets: "Sequence[Packet[Any]]") -> tuple[list[Cue], int]:
    """Return the events of a stream, and how many of its packets could not be decoded."""
    cues: list[Cue] = []
    num_broken = 0
    as_unicode = _to_unicode(stream, packets)
    for packet in packets:
        try:
            cues.extend(cues_of(stream, as_unicode(packet)))
        except DECODER_ERRORS:
            num_broken += 1
    return cues, num_broken


def _to_unicode(
    stream: SubtitleStream, packets: "Sequence[Packet[Any]]"
) -> "Callable[[Packet[Any]], Packet[Any]]":
    """Return what turns a packet of a stream that is not UTF-8, as it ought to be, into one."""
    if stream.codec_context.name not in ("srt", "subrip", "ass", "ssa", "webvtt", "text"):
        return lambda packet: packet
    encoding = guess_encoding(b"\n".join(_texts_of(packets)), language=_language(stream))

    def recoded(packet: "Packet[Any]") -> "Packet[Any]":
        data = bytes(packet).decode(encoding, "replace").encode()
        if data == bytes(packet):
            return packet
        copy: Packet[Any] = Packet(data)
        copy.pts, copy.duration = packet.pts, packet.duration
        return copy

    return recoded


def _texts_of(packets: "Sequence[Packet[Any]]") -> Iterator[bytes]:
    return (bytes(packet) for packet in packets)


def _take_sidecar(sidecar: Sidecar, clock: _Clock, gathered: _Gathered) -> None:
    """Read one file; times in it count from where players begin."""
    name = sidecar.path.name
    try:
        cues, num_broken = read_sidecar(sidecar)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        gathered.warn(f"{name}: {reason}, not read")
        return
    if num_broken:
        gathered.warn(f"{name}: {num_broken} are broken, left out")
    zero = clock.zero_seconds
    moved = [
        Cue(start + zero, None if end is None else end + zero, text) for start, end, text in cues
    ]
    gathered.add(moved, name, str(sidecar.path), sidecar.language, clock)
