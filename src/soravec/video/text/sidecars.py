"""Subtitle files beside a video: which they are, and what they say.

`clip.mp4` goes with `clip.srt`, `clip.mp4.srt`, `clip.en.srt`, `Clip.zh-Hans.forced.ASS` and their
like, in its own folder and in `Subs` or `Subtitles` there.
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from stat import S_ISREG
from typing import Any
from unicodedata import normalize

import av
from av.packet import Packet
from av.subtitles.stream import SubtitleStream

from soravec.video.container import DECODER_ERRORS
from soravec.video.inputs import archive_of, find_input, tar_members
from soravec.video.text.cues import Cue, plain_text
from soravec.video.text.encodings import decode_text

MAX_SIDECAR_BYTES = 10 * 2**20
"""A larger file is not read: two hours of subtitles have a hundredth of this."""

FORMATS = {".srt": "srt", ".vtt": "webvtt", ".ass": "ass", ".ssa": "ass"}
"""FFmpeg's names of what is read, by suffix."""

FOLDERS = ("subs", "subtitles")

_FLAGS = frozenset({"forced", "sdh", "cc", "hi", "default", "full", "commentary"})
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
_TIME = r"(?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3}"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A subtitle file that belongs to a video, and what tells that it has not changed."""

    path: Path
    """Absolute, if the video's is."""
    size_bytes: int
    mtime_ns: int
    language: str = ""
    """From its name, such as `en` or `zh-Hans`; empty where that says none."""


class SidecarFinder:
    """Finds the sidecars of many videos, reading each folder once as long as it does not change."""

    def __init__(self) -> None:
        self._folder: tuple[Path, int] | None = None
        self._found: dict[str, list[Sidecar]] = {}

    def find(self, video: Path) -> tuple[Sidecar, ...]:
        """Return the subtitle files that go with a video, in order of their names."""
        archive = archive_of(video)
        try:
            folder = video.parent, (archive or video.parent).stat().st_mtime_ns
        except OSError:
            return ()
        if folder != self._folder:
            listed = _subtitle_files(video.parent) if archive is None else _in_tar(archive, video)
            self._folder, self._found = folder, _by_stem(listed)
        names = dict.fromkeys((_folded(video.stem), _folded(video.name)))
        found = [sidecar for name in names for sidecar in self._found.get(name, ())]
        return tuple(sorted(found, key=lambda sidecar: str(sidecar.path)))


def read_sidecar(sidecar: Sidecar) -> tuple[list[Cue], int]:
    """Return the events of a subtitle file, their times from 0 on, and how many were broken.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, or holds no subtitles.
    """
    if sidecar.size_bytes > MAX_SIDECAR_BYTES:
        limit = MAX_SIDECAR_BYTES // 2**20
        raise ValueError(f"it has {sidecar.size_bytes} bytes, more than {limit} MiB")
    with find_input(sidecar.path).open() as file:
        data = file.read(MAX_SIDECAR_BYTES)
    text = decode_text(data, language=sidecar.language).replace("\r\n", "\n").replace("\r", "\n")
    format_name = _format_of(text, sidecar.path.suffix.lower())
    text, num_broken = (text, 0) if format_name == "ass" else _without_broken(text)
    try:
        cues = list(_parsed(text, format_name))
    except DECODER_ERRORS as error:
        raise ValueError("it holds no subtitles that can be read") from error
    if format_name == "ass":
        num_broken = len(re.findall(r"^Dialogue:", text, re.MULTILINE)) - len(cues)
    if not cues:
        raise ValueError("it holds no subtitles that can be read")
    return cues, max(num_broken, 0)


def _by_stem(sidecars: Iterator[Sidecar]) -> dict[str, list[Sidecar]]:
    """Return subtitle files under every name that their video may have."""
    found: dict[str, list[Sidecar]] = {}
    for sidecar in sidecars:
        for stem, language in _stems(sidecar.path.name):
            found.setdefault(stem, []).append(replace(sidecar, language=language))
    return found


def _in_tar(archive: Path, video: Path) -> Iterator[Sidecar]:
    """Yield the subtitle files that lie in the folder of a video in a tar."""
    mtime_ns = archive.stat().st_mtime_ns
    for name in tar_members(archive):
        path = archive / name
        is_near = path.parent == video.parent and path.suffix.lower() in FORMATS
        if is_near and _is_plain(path.name):
            yield Sidecar(path, find_input(path).size_bytes, mtime_ns)


def _subtitle_files(folder: Path, *, inside: bool = False) -> Iterator[Sidecar]:
    """Yield the subtitle files of a folder on disk, and of those inside it that are named so."""
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except OSError:
        return
    for entry in listed:
        if not inside and entry.name.lower() in FOLDERS and entry.is_dir():
            yield from _subtitle_files(Path(entry.path), inside=True)
        elif Path(entry.name).suffix.lower() in FORMATS and _is_plain(entry.name):
            try:
                status = Path(entry.path).stat()
            except OSError:  # a link that leads nowhere, or gone since
                continue
            if S_ISREG(status.st_mode):
                yield Sidecar(Path(entry.path), status.st_size, status.st_mtime_ns)


def _is_plain(name: str) -> bool:
    """Whether a name is not hidden, and text without control characters or broken UTF-8."""
    return not name.startswith(".") and name.isprintable()


def _stems(name: str) -> Iterator[tuple[str, str]]:
    """Yield the names that a sidecar's video may have, with the language that is then stated.

    >>> list(_stems("clip.en.forced.srt"))
    [('clip.en.forced', ''), ('clip.en', ''), ('clip', 'en')]
    """
    stem, language = Path(name).stem, ""
    yield _folded(stem), language
    while "." in stem:
        stem, _, tag = stem.rpartition(".")
        if tag.lower() not in _FLAGS:
            if language or not _LANGUAGE.fullmatch(tag):
                return
            language = tag
        yield _folded(stem), language


def _folded(name: str) -> str:
    return normalize("NFC", name).casefold()


def _format_of(text: str, suffix: str) -> str:
    """Return FFmpeg's name of the format: what the text begins with counts more than the name."""
    head = text[:1000].lstrip("\ufeff \n")
    if head.startswith("WEBVTT"):
        return "webvtt"
    return "ass" if head.startswith("[Script Info]") else FORMATS[suffix]


def _without_broken(text: str) -> tuple[str, int]:
    """Return SubRip or WebVTT without the events whose times cannot be read, and their number.

    FFmpeg would take them for words of the event before, or stop reading there.
    """
    kept: list[str] = []
    num_broken = 0
    skipping = False
    for line in text.split("\n"):
        if "-->" in line:
            skipping = _TIMING.match(line) is None
            num_broken += skipping
            if skipping and kept and kept[-1].strip():  # its number or name
                kept.pop()
        elif not line.strip():
            skipping = False
        if not skipping:
            kept.append(line)
    return "\n".join(kept), num_broken


def _parsed(text: str, format_name: str) -> Iterator[Cue]:
    """Yield the events that FFmpeg finds in a text; it is handed no file, and opens none."""
    data = io.BytesIO(text.encode("utf-8", "replace"))
    options = {"protocol_whitelist": "file", "format_whitelist": format_name}
    with av.open(data, "r", format=format_name, container_options=options) as container:
        (stream,) = container.streams.subtitles
        for packet in container.demux(stream):
            if packet.pts is not None and packet.size:
                yield from cues_of(stream, packet)


def cues_of(stream: SubtitleStream, packet: "Packet[Any]") -> Iterator[Cue]:
    """Yield the events in a packet, times in seconds of the stream's clock."""
    events = stream.codec_context.decode2(packet)
    if events is None or packet.pts is None:
        return
    base = stream.time_base or Fraction(1, 1000)
    length = (packet.duration or 0) * base
    if not length:  # 2**32 - 1 milliseconds mean that it is not known
        length = Fraction(events.end_display_time % (2**32 - 1), 1000)
    start = float(packet.pts * base)
    end = float(packet.pts * base + length) if length > 0 else None
    native_ass = stream.codec_context.name in ("ass", "ssa")
    for event in events:
        markup = getattr(event, "ass", b"").decode("utf-8", "replace")
        fields = markup.split(",", 8)  # ReadOrder, Layer, Style, ..., Text
        if len(fields) == 9:
            yield Cue(start, end, plain_text(fields[8], native_ass=native_ass))
