"""The tables of `catalogue.db`, rows of them, and how those of an older format become them."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from soravec.library.durable import sync_folder

FORMAT_VERSION = 2
"""1 knew nothing of subtitles; such a library is brought up to date when it is opened."""

MOVED_FORMAT = "3"
"""The same, where a repair has moved the vectors: who knows only `vectors/` must not read it."""


@dataclass(frozen=True, slots=True)
class Space:
    """A vector space that the library holds, and the model that makes its vectors."""

    space_id: str
    feature_id: str
    model_name: str
    model_path: str
    appearance_dim: int
    dim: int
    motion_weight: float
    vectors_version: int = 0
    vectors_folder: str = "vectors"
    """Where in the library its vectors lie."""

    @property
    def place(self) -> tuple[str, str]:
        """Where its vectors lie: the folder and the name."""
        return self.vectors_folder, self.space_id


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A span of a video, as stored."""

    video_key: int
    ordinal: int
    start_seconds: float
    end_seconds: float
    approximate: bool


class Words(NamedTuple):
    """Words of a video, as stored."""

    text: str
    """One line."""
    start_seconds: float | None = None
    """None for the whole video."""
    end_seconds: float | None = None
    language: str = ""
    """As the file states it."""


TIMEOUT_SECONDS = 30
"""For so long one process waits for another that writes to the catalogue."""

ANSWERING = """
SELECT s.ordinal, s.start_seconds, s.end_seconds, s.approximate FROM segments s
JOIN embeddings e ON e.video_key = s.video_key AND e.space_id = s.space_id
WHERE s.video_key = ? AND s.space_id = ? AND e.indexed = 1
AND EXISTS (SELECT 1 FROM paths p WHERE p.video_key = s.video_key)
"""
"""The segments of a video that may answer: it has a file, and its vectors are in the index."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE videos (
  key INTEGER PRIMARY KEY,
  video_id TEXT NOT NULL UNIQUE,
  start_seconds REAL NOT NULL,
  duration_seconds REAL NOT NULL,
  recorded REAL NOT NULL,          -- seconds since 1970: metadata, else the file's time
  info TEXT NOT NULL,              -- VideoInfo as JSON
  added REAL NOT NULL,
  words TEXT NOT NULL DEFAULT ''   -- which of the words inside were read: metadata, subtitles
);
CREATE TABLE paths (
  path TEXT PRIMARY KEY,
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  seen REAL NOT NULL,
  sidecars TEXT NOT NULL DEFAULT ''  -- the subtitle files beside it that were read, as JSON
);
CREATE INDEX paths_video ON paths(video_key);
CREATE TABLE failures (
  path TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  type TEXT NOT NULL,
  message TEXT NOT NULL,
  failed REAL NOT NULL
);
CREATE TABLE spaces (
  space_id TEXT PRIMARY KEY,
  feature_id TEXT NOT NULL,
  model_name TEXT NOT NULL,
  model_path TEXT NOT NULL,        -- what to load: a bundled name or a folder
  appearance_dim INTEGER NOT NULL,
  dim INTEGER NOT NULL,
  motion_weight REAL NOT NULL,
  vectors_version INTEGER NOT NULL DEFAULT 0,
  used REAL NOT NULL
);
CREATE TABLE embeddings (
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  space_id TEXT NOT NULL REFERENCES spaces(space_id),
  recipe TEXT NOT NULL,
  indexed INTEGER NOT NULL DEFAULT 0,   -- whether its vectors have reached vectors/
  PRIMARY KEY (video_key, space_id)
);
CREATE INDEX embeddings_pending ON embeddings(space_id) WHERE indexed = 0;
CREATE TABLE segments (
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  space_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  start_seconds REAL NOT NULL,
  end_seconds REAL NOT NULL,
  approximate INTEGER NOT NULL,
  PRIMARY KEY (video_key, space_id, ordinal)
) WITHOUT ROWID;
CREATE TABLE texts (
  id INTEGER PRIMARY KEY,
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  kind TEXT NOT NULL,              -- name, label, caption, tag, subtitle, chapter or title
  text TEXT NOT NULL,
  start_seconds REAL,              -- NULL: the whole video
  end_seconds REAL,
  source TEXT NOT NULL,            -- the path that they belong to, or who said it
  language TEXT NOT NULL DEFAULT ''  -- as the file states it
);
CREATE INDEX texts_time ON texts(video_key, start_seconds);
CREATE INDEX texts_label ON texts(text) WHERE kind = 'label';
CREATE VIRTUAL TABLE words
  USING fts5(text, content='texts', content_rowid='id', tokenize='trigram');
CREATE TRIGGER texts_insert AFTER INSERT ON texts BEGIN
  INSERT INTO words(rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER texts_delete AFTER DELETE ON texts BEGIN
  INSERT INTO words(words, rowid, text) VALUES ('delete', old.id, old.text);
END;
"""

FROM_1_TO_2 = """
ALTER TABLE videos ADD COLUMN words TEXT NOT NULL DEFAULT '';
ALTER TABLE paths ADD COLUMN sidecars TEXT NOT NULL DEFAULT '';
ALTER TABLE texts ADD COLUMN language TEXT NOT NULL DEFAULT '';
CREATE INDEX texts_time ON texts(video_key, start_seconds);
DROP INDEX texts_video;
UPDATE meta SET value = '2' WHERE key = 'format_version';
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open a catalogue; one on a read-only disk only to be read.

    SQLite writes beside a file that it reads, so it is told where nobody can. Then it does not look
    at what was committed last and not yet written back, and that must not be there.

    Raises:
        sqlite3.DatabaseError: It cannot be opened.
    """
    if not path.is_file() or not _is_on_read_only_disk(path):
        return sqlite3.connect(path, isolation_level=None, timeout=TIMEOUT_SECONDS)
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size:
        raise sqlite3.OperationalError(
            "it lies on a read-only disk and was not closed: open it once where it can be written"
        )
    return sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True, isolation_level=None)


def create(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new catalogue, durably, unless another process was faster."""
    db.execute("BEGIN IMMEDIATE")
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchall():
        for statement in statements(SCHEMA):
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('format_version', ?)", (str(FORMAT_VERSION),))
    db.execute("COMMIT")
    sync_folder(path.parent)
    sync_folder(path.parent.parent)


def _is_on_read_only_disk(path: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would commit the open transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
