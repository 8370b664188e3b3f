"""The words of a video between file, worker and catalogue: subtitles, chapters and title."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from soravec.library.catalogue import Catalogue
from soravec.library.features import FeatureFiles
from soravec.library.schema import Words
from soravec.library.words import one_line
from soravec.types import VideoInfo
from soravec.video.container import CONTAINERS
from soravec.video.inputs import Input
from soravec.video.text.sidecars import Sidecar, SidecarFinder
from soravec.video.text.subtitles import WARNING_PREFIX, Subtitles, read_subtitles

INSIDE = "video"
"""The source of words that stand in the video itself, whatever its path."""


def read_words(source: str | Input, info: VideoInfo, sidecars: Sequence[Sidecar]) -> Subtitles:
    """Return the subtitles of a video that could be read; nothing that goes wrong is an error."""
    if info.container.split(",")[0] not in CONTAINERS.split(","):  # a folder of frames, a picture
        return Subtitles((), (), ())
    try:
        return read_subtitles(source, sidecars=sidecars)
    except Exception as error:  # noqa: BLE001  # the vectors of a video do not depend on its words
        return Subtitles((), (), (f"{WARNING_PREFIX}not read ({type(error).__name__}: {error})",))


def pack_words(subtitles: Subtitles) -> dict[str, Any]:
    """Return subtitles as JSON."""
    lines = [
        (source, one_line(text.text), text.start_seconds, text.end_seconds, text.language)
        for text, source in zip(subtitles.texts, subtitles.sources, strict=True)
    ]
    return {"lines": lines, "warnings": subtitles.warnings}


def pack_sidecars(sidecars: Iterable[Sidecar]) -> list[tuple[str, int, int, str]]:
    """Return sidecars as JSON."""
    return [(str(s.path), s.size_bytes, s.mtime_ns, s.language) for s in sidecars]


def unpack_sidecars(packed: Iterable[Sequence[Any]]) -> tuple[Sidecar, ...]:
    """Return sidecars from what `pack_sidecars` made of them."""
    return tuple(Sidecar(Path(path), size, time, language) for path, size, time, language in packed)


class WordKeeper:
    """Keeps the words of videos in a catalogue, and knows which of them were read.

    Args:
        catalogue: Where they are kept.
        files: The features, which hold what the files say of themselves too.
        metadata: Whether title, chapters, place and time of recording are wanted.
        subtitles: Whether subtitles are wanted.
    """

    def __init__(
        self, catalogue: Catalogue, files: FeatureFiles, *, metadata: bool, subtitles: bool
    ) -> None:
        self._catalogue = catalogue
        self._files = files
        self._subtitles = subtitles
        # Not empty even where nothing is wanted: empty is what was never looked at.
        self._kinds = " ".join(["read", *["metadata"] * metadata, *["subtitles"] * subtitles])
        self._finder = SidecarFinder()

    def sidecars(self, path: Path | str) -> tuple[Sidecar, ...] | None:
        """Return the subtitle files beside a video; None where no subtitles are wanted."""
        if not self._subtitles:
            return None
        return self._finder.find(path) if isinstance(path, Path) else ()

    def are_read(self, path: str, sidecars: Sequence[Sidecar] | None) -> bool:
        """Whether all words of a known path that are wanted, and no others, are kept."""
        return self._catalogue.words_read(path) == (self._kinds, _stamped(sidecars))

    def put(
        self,
        video_key: int,
        *,
        path: str,
        info: VideoInfo,
        packed: Mapping[str, Any],
        sidecars: Sequence[Sidecar] | None,
    ) -> None:
        """Store what a worker read in the place of what was there, inside a transaction."""
        by_source: dict[str, list[Words]] = {INSIDE: [], path: []}
        for source, *line in packed["lines"]:
            by_source[path if source else INSIDE].append(Words(*line))
        for source, words in by_source.items():
            self._catalogue.put_words(video_key, "subtitle", source, words)
        titles = [Words(info.title)] if info.title else []
        chapters = [Words(c.text, c.start_seconds, c.end_seconds) for c in info.chapters]
        self._catalogue.put_words(video_key, "title", INSIDE, titles)
        self._catalogue.put_words(video_key, "chapter", INSIDE, chapters)
        self._catalogue.mark_words_read(video_key, path, self._kinds, _stamped(sidecars))

    def renew(
        self,
        video_id: str,
        path: str,
        said: VideoInfo,
        packed: Mapping[str, Any],
        sidecars: Sequence[Sidecar] | None,
        *,
        recorded: float,
    ) -> str:
        """Store the words of a video that is in the library; return what could not be read.

        Args:
            video_id: The video.
            path: Where it was read.
            said: What it says of itself now.
            packed: Its subtitles, as `pack_words` made them.
            sidecars: The subtitle files that were read.
            recorded: When it was recorded, in seconds since 1970.
        """
        key = self._catalogue.video_key(video_id)
        assert key is not None
        before = self._catalogue.info(key)
        info = _described_anew(before, said)
        with self._catalogue.transaction():
            self._catalogue.put_info(key, info, recorded=recorded)
            self.put(key, path=path, info=info, packed=packed, sidecars=sidecars)
        if info != before:
            self._files.put_info(video_id, info)
        return "; ".join(packed["warnings"])


def _stamped(sidecars: Sequence[Sidecar] | None) -> str:
    return json.dumps(pack_sidecars(sidecars)) if sidecars else ""


def _described_anew(before: VideoInfo, said: VideoInfo) -> VideoInfo:
    """Return the facts of a video with its metadata, and the warnings of its subtitles, as now."""
    old = [warning for warning in before.warnings if not warning.startswith(WARNING_PREFIX)]
    new = [warning for warning in said.warnings if warning.startswith(WARNING_PREFIX)]
    return replace(
        before,
        title=said.title,
        created=said.created,
        location=said.location,
        chapters=said.chapters,
        warnings=(*old, *new),
    )
