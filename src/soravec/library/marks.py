"""What people said of spans: this is it, this is not; who, and when. Labels are taught by it."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from soravec.errors import QueryError
from soravec.library.catalogue import Catalogue
from soravec.library.identity import located
from soravec.video import Span

SOURCE = "taught"
"""Of the words that a mark puts into the catalogue, so that a search for them finds the span."""

_TABLE = """
CREATE TABLE IF NOT EXISTS marks (
  label TEXT NOT NULL,
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  start_seconds REAL NOT NULL,
  end_seconds REAL NOT NULL,
  is_so INTEGER NOT NULL,
  author TEXT NOT NULL,
  marked REAL NOT NULL,            -- seconds since 1970
  PRIMARY KEY (label, video_key, start_seconds, end_seconds)
) WITHOUT ROWID
"""


class Mark(NamedTuple):
    """What somebody said of a span."""

    video_key: int
    start_seconds: float
    end_seconds: float
    is_so: bool
    """Whether it is what the label says."""
    author: str
    marked: float
    """When, in seconds since 1970."""


class MarkedSpan(NamedTuple):
    """A span of a video of the library."""

    video_key: int
    start_seconds: float
    end_seconds: float


def put_marks(
    catalogue: Catalogue, label: str, spans: Iterable[tuple[MarkedSpan, bool]], *, author: str
) -> None:
    """Note whether spans show a label, in place of what was said of them; in a transaction."""
    catalogue.change(_TABLE)
    for (key, start, end), is_so in spans:
        catalogue.change(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?)",
            (label, key, start, end, is_so, author, time.time()),
        )
        catalogue.change(
            "DELETE FROM texts WHERE video_key = ? AND kind = 'label' AND text = ? AND source = ?"
            " AND start_seconds = ? AND end_seconds = ?",
            (key, label, SOURCE, start, end),
        )
        if is_so:
            catalogue.put_text(
                key, "label", label, start_seconds=start, end_seconds=end, source=SOURCE
            )


def marks_of(catalogue: Catalogue, label: str) -> list[Mark]:
    """Return what was said of a label, in order of video and time."""
    if not catalogue.rows("SELECT 1 FROM sqlite_master WHERE name = 'marks'"):
        return []
    rows = catalogue.rows(
        "SELECT video_key, start_seconds, end_seconds, is_so, author, marked FROM marks"
        " WHERE label = ? ORDER BY video_key, start_seconds, end_seconds",
        (label,),
    )
    return [Mark(k, start, end, bool(so), author, at) for k, start, end, so, author, at in rows]


def labels_of(catalogue: Catalogue) -> list[tuple[str, int, int]]:
    """Return (label, how often it was said to be so, how often not to be), sorted."""
    if not catalogue.rows("SELECT 1 FROM sqlite_master WHERE name = 'marks'"):
        return []
    sql = "SELECT label, sum(is_so), sum(1 - is_so) FROM marks GROUP BY label ORDER BY label"
    return catalogue.rows(sql)


def find_span(catalogue: Catalogue, space_id: str, named: str | Span) -> MarkedSpan:
    """Return the span that a `segment_id`, a video's identity, or a span of a file names.

    Raises:
        QueryError: It is not in the library.
    """
    if isinstance(named, str):
        find = _span_of_segment if ":" in named else _span_of_video
        return find(catalogue, space_id, named)
    path, start, end = str(named.path), named.start_seconds, named.end_seconds
    return _span_of_file(catalogue, space_id, path, start, end)


def _span_of_segment(catalogue: Catalogue, space_id: str, segment_id: str) -> MarkedSpan:
    video_id, _, ordinal = segment_id.rpartition(":")
    key = catalogue.video_key(video_id)
    if key is not None and ordinal.isdecimal() and len(ordinal) < 10:
        row = catalogue.segment(key, int(ordinal), space_id)
        if row is not None:
            return MarkedSpan(key, row.start_seconds, row.end_seconds)
    raise QueryError(
        f"no segment '{segment_id}' in this library. A hit of 'soravec search --json' names its"
        " segment_id; a span of a file is FILE@START-END."
    )


def _span_of_video(catalogue: Catalogue, space_id: str, video_id: str) -> MarkedSpan:
    key = catalogue.video_key(video_id)
    segments = [] if key is None else catalogue.segments_of(key, space_id)
    if key is None or not segments:
        raise QueryError(
            f"no video '{video_id}' in this library. A hit of 'soravec search --json' names its"
            " video_id; a file may be named by its path."
        )
    return MarkedSpan(key, segments[0].start_seconds, segments[-1].end_seconds)


def _span_of_file(
    catalogue: Catalogue, space_id: str, path: str, start: float | None, end: float | None
) -> MarkedSpan:
    rows = catalogue.rows("SELECT video_key FROM paths WHERE path = ?", (str(located(path)),))
    segments = catalogue.segments_of(rows[0][0], space_id) if rows else []
    if not segments:
        raise QueryError(f"{path}: not in this library, or not indexed yet")
    first, last = segments[0].start_seconds, segments[-1].end_seconds
    begin = first if start is None else max(first, start)
    stop = last if end is None else min(last, end)
    if not stop > begin:
        raise QueryError(f"{path}: no span from {start} to {end} s: it has {first:g} to {last:g} s")
    return MarkedSpan(rows[0][0], begin, stop)
