"""The durable truth of a library: what has been ingested, in SQLite with full sync.

Everything else in the folder can be rebuilt from here and from the feature files. A row that was
committed has been acknowledged, and survives kill -9 and power loss.
"""

import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soravec.errors import LibraryBusy, LibraryError
from soravec.library.identity import FileStamp
from soravec.types import VideoInfo
from soravec.video import is_url

FORMAT_VERSION = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE videos (
  key INTEGER PRIMARY KEY,
  video_id TEXT NOT NULL UNIQUE,
  start_seconds REAL NOT NULL,
  duration_seconds REAL NOT NULL,
  recorded REAL NOT NULL,          -- seconds since 1970: metadata, else the file's time
  info TEXT NOT NULL,              -- VideoInfo as JSON
  added REAL NOT NULL
);
CREATE TABLE paths (
  path TEXT PRIMARY KEY,
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  seen REAL NOT NULL
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
  kind TEXT NOT NULL,              -- name, label, caption or tag
  text TEXT NOT NULL,
  start_seconds REAL,              -- NULL: the whole video
  end_seconds REAL,
  source TEXT NOT NULL             -- the path that a name belongs to, or who said it
);
CREATE INDEX texts_video ON texts(video_key);
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


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A span of a video, as stored."""

    video_key: int
    ordinal: int
    start_seconds: float
    end_seconds: float
    approximate: bool


class Catalogue:
    """`catalogue.db`.

    Args:
        path: The file; made where absent if `create`.
        create: Whether to make it.

    Raises:
        LibraryError: It is missing, damaged, or of another format.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        if not create and not path.is_file():
            raise LibraryError(
                f"{path.parent}: no library here. Make one: soravec index VIDEOS --library"
                f" {path.parent}"
            )
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._prepare(path)
        except sqlite3.DatabaseError as error:
            raise LibraryError(
                f"{path}: cannot be used as a catalogue ({error}). Restore it from a backup, or"
                " move the library away and index again."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that happens inside durable together, or not at all.

        Raises:
            LibraryBusy: Another process holds the catalogue.
            LibraryError: The disk is full or cannot be written.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise LibraryBusy("another process is writing to this library; wait") from error
            raise LibraryError(f"the catalogue cannot be written: {error}") from error

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return the rows of a query as tuples."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise LibraryError(
                f"the catalogue cannot be read: {error}. Restore it from a backup, or index again."
            ) from error

    # Videos and paths

    def video_key(self, video_id: str) -> int | None:
        """Return the key of a video, or None where it is not in the catalogue."""
        key: int | None = _only(self.rows("SELECT key FROM videos WHERE video_id = ?", (video_id,)))
        return key

    def video_id(self, video_key: int) -> str:
        """Return the identity of a video by its key."""
        return str(_only(self.rows("SELECT video_id FROM videos WHERE key = ?", (video_key,))))

    def put_video(self, video_id: str, info: VideoInfo, *, recorded: float) -> int:
        """Store what is known of a video and return its key."""
        self._db.execute(
            "INSERT INTO videos(video_id, start_seconds, duration_seconds, recorded, info, added)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(video_id) DO UPDATE SET info = excluded.info,"
            " start_seconds = excluded.start_seconds, duration_seconds = excluded.duration_seconds",
            (
                video_id,
                info.start_seconds,
                info.duration_seconds,
                recorded,
                json.dumps(asdict(info)),
                time.time(),
            ),
        )
        key = self.video_key(video_id)
        assert key is not None
        return key

    def put_path(self, stamp: FileStamp, video_key: int) -> None:
        """Note that a file holds a video; its name becomes searchable."""
        path = str(stamp.path)
        self.drop_path(path)
        self._db.execute(
            "INSERT INTO paths VALUES (?, ?, ?, ?, ?)",
            (path, video_key, stamp.size_bytes, stamp.mtime_ns, time.time()),
        )
        name = "/".join(re.split(r"[\\/]", path.partition("?")[0] if is_url(path) else path)[-2:])
        self.put_text(video_key, "name", name, source=path)
        self._db.execute("DELETE FROM failures WHERE path = ?", (path,))

    def drop_path(self, path: str) -> None:
        """Forget a path; what is known of its video stays."""
        self._db.execute(
            "DELETE FROM texts WHERE source = ?1"
            " AND video_key = (SELECT video_key FROM paths WHERE path = ?1)",
            (path,),
        )
        self._db.execute("DELETE FROM paths WHERE path = ?", (path,))

    def paths_below(self, root: Path | str) -> list[str]:
        """Return every known path at or below `root`."""
        rows = self.rows(
            "SELECT path FROM paths WHERE path = ?1"
            " OR substr(path, 1, length(?1) + 1) IN (?1 || '/', ?1 || '\\')",
            (str(root).rstrip("/\\"),),
        )
        return [path for (path,) in rows]

    def path_of(self, video_key: int) -> str:
        """Return the path of a video that was seen last."""
        sql = "SELECT path FROM paths WHERE video_key = ? ORDER BY seen DESC, path LIMIT 1"
        return str(_only(self.rows(sql, (video_key,))) or "")

    def known_file(self, stamp: FileStamp) -> int | None:
        """Return the key of an unchanged file's video, or None where it is new or changed."""
        sql = "SELECT video_key FROM paths WHERE path = ? AND size_bytes = ? AND mtime_ns = ?"
        key: int | None = _only(self.rows(sql, (str(stamp.path), stamp.size_bytes, stamp.mtime_ns)))
        return key

    def put_failure(self, stamp: FileStamp, kind: str, message: str) -> None:
        """Note why a file was skipped. It no longer stands for the video it once held."""
        self.drop_path(str(stamp.path))
        self._db.execute(
            "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)",
            (str(stamp.path), stamp.size_bytes, stamp.mtime_ns, kind, message, time.time()),
        )

    def drop_failure(self, path: str) -> None:
        """Forget that a file was skipped."""
        self._db.execute("DELETE FROM failures WHERE path = ?", (path,))

    def known_failure(self, stamp: FileStamp) -> tuple[str, str] | None:
        """Return (type, message) of an unchanged file that was skipped before, or None."""
        sql = (
            "SELECT type, message FROM failures WHERE path = ? AND size_bytes = ? AND mtime_ns = ?"
        )
        rows = self.rows(sql, (str(stamp.path), stamp.size_bytes, stamp.mtime_ns))
        return rows[0] if rows else None

    # Spaces and segments

    def put_space(self, space: Space) -> None:
        """Store a space, and make it the one that is searched."""
        self._db.execute(
            "INSERT INTO spaces VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT(space_id) DO UPDATE"
            " SET model_name = excluded.model_name, model_path = excluded.model_path,"
            " used = excluded.used",
            (
                space.space_id,
                space.feature_id,
                space.model_name,
                space.model_path,
                space.appearance_dim,
                space.dim,
                space.motion_weight,
                time.time(),
            ),
        )

    def spaces(self) -> list[Space]:
        """Return every space, the one used last first."""
        rows = self.rows(
            "SELECT space_id, feature_id, model_name, model_path, appearance_dim, dim,"
            " motion_weight, vectors_version FROM spaces ORDER BY used DESC"
        )
        return [Space(*row) for row in rows]

    def put_embedding(
        self, space_id: str, recipe: Mapping[str, Any], segments: Sequence[SegmentRow]
    ) -> None:
        """Replace the segments of one video in one space; its vectors are then pending."""
        key = segments[0].video_key
        self._db.execute(
            "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, 0)",
            (key, space_id, json.dumps(dict(recipe))),
        )
        self._db.execute(
            "DELETE FROM segments WHERE video_key = ? AND space_id = ?", (key, space_id)
        )
        self._db.executemany(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)",
            [
                (key, space_id, s.ordinal, s.start_seconds, s.end_seconds, s.approximate)
                for s in segments
            ],
        )

    def has_embedding(self, video_key: int, space_id: str) -> bool:
        """Return whether a video has segments in a space."""
        sql = "SELECT 1 FROM embeddings WHERE video_key = ? AND space_id = ?"
        return bool(self.rows(sql, (video_key, space_id)))

    def drop_embedding(self, video_key: int, space_id: str) -> None:
        """Forget the segments of a video in a space; its files are indexed again next time."""
        values = (video_key, space_id)
        self._db.execute("DELETE FROM embeddings WHERE video_key = ? AND space_id = ?", values)
        self._db.execute("DELETE FROM segments WHERE video_key = ? AND space_id = ?", values)

    def segments_of(self, video_key: int, space_id: str) -> list[SegmentRow]:
        """Return the segments of a video in order of time."""
        sql = (
            "SELECT ordinal, start_seconds, end_seconds, approximate FROM segments"
            " WHERE video_key = ? AND space_id = ? ORDER BY ordinal"
        )
        rows = self.rows(sql, (video_key, space_id))
        return [SegmentRow(video_key, o, start, end, bool(a)) for o, start, end, a in rows]

    def mark_indexed(self, space_id: str, keys: Iterable[int], vectors_version: int) -> None:
        """Note that the vectors of some videos are in the index, which is now at a version."""
        self._db.executemany(
            "UPDATE embeddings SET indexed = 1 WHERE video_key = ? AND space_id = ?",
            [(key, space_id) for key in keys],
        )
        self._db.execute(
            "UPDATE spaces SET vectors_version = ? WHERE space_id = ?", (vectors_version, space_id)
        )

    def mark_pending(self, space_id: str, keys: Iterable[int]) -> None:
        """Note that the vectors of some videos are not in the index."""
        self._db.executemany(
            "UPDATE embeddings SET indexed = 0 WHERE video_key = ? AND space_id = ?",
            [(key, space_id) for key in keys],
        )

    # Words

    def put_text(
        self,
        video_key: int,
        kind: str,
        text: str,
        *,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        source: str = "user",
    ) -> None:
        """Add words to a video or a span of it; the same words twice are stored once."""
        values = (video_key, kind, text, start_seconds, end_seconds, source)
        sql = (
            "SELECT 1 FROM texts WHERE video_key = ? AND kind = ? AND text = ?"
            " AND start_seconds IS ? AND end_seconds IS ? AND source = ?"
        )
        if not self.rows(sql, values):
            self._db.execute(
                "INSERT INTO texts(video_key, kind, text, start_seconds, end_seconds, source)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )

    def replace_texts(self, video_key: int, source: str, words: Iterable[tuple[str, str]]) -> None:
        """Put (kind, text) from a path in the place of what came from there before."""
        self._db.execute(
            "DELETE FROM texts WHERE video_key = ? AND source = ? AND kind <> 'name'",
            (video_key, source),
        )
        for kind, text in words:
            self.put_text(video_key, kind, text, source=source)

    def forget(self, video_key: int) -> None:
        """Remove a video and everything that hangs on it."""
        self._db.execute("DELETE FROM videos WHERE key = ?", (video_key,))

    def _prepare(self, path: Path) -> None:
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
            self._create()
        version = _only(self.rows("SELECT value FROM meta WHERE key = 'format_version'"))
        if version != str(FORMAT_VERSION):
            raise LibraryError(
                f"{path}: format version {version}, but this Soravec reads {FORMAT_VERSION}."
                " Use the version that wrote it, or index again."
            )

    def _create(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
            for statement in _statements(SCHEMA):
                self._db.execute(statement)
            self._db.execute(
                "INSERT INTO meta VALUES ('format_version', ?)", (str(FORMAT_VERSION),)
            )
        self._db.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would commit the open transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _only(rows: list[Any]) -> Any:  # noqa: ANN401  # a column of any type
    return rows[0][0] if rows else None
