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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from soravec.errors import LibraryBusy, LibraryError
from soravec.library.features import info_from_json
from soravec.library.identity import FileStamp
from soravec.library.schema import (
    ANSWERING,
    FORMAT_VERSION,
    FROM_1_TO_2,
    MOVED_FORMAT,
    TIMEOUT_SECONDS,
    SegmentRow,
    Space,
    Words,
    connect,
    create,
    statements,
)
from soravec.types import VideoInfo
from soravec.video import is_url

FORGETTING, UNCOMPACTED = "forgetting:", "uncompacted"
NUM_ATTEMPTS = 6
"""How often, over 6 s, the catalogue is written back before a reader is said to be in the way."""


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
            self._db = connect(path)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._prepare(path)
        except (sqlite3.DatabaseError, OSError) as error:
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

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read inside be of one instant, whatever others write meanwhile."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")  # the first reading sets the instant
        try:
            yield
        finally:
            if self._db.in_transaction:  # else SQLite has given up by itself
                self._db.execute("ROLLBACK")

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return the rows of a query as tuples."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise LibraryError(
                f"the catalogue cannot be read: {error}. Restore it from a backup, or index again."
            ) from error

    def change(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement that changes something; inside a transaction."""
        self._db.execute(sql, values)

    # Videos and paths

    def video_key(self, video_id: str) -> int | None:
        """Return the key of a video, or None where it is not in the catalogue."""
        key: int | None = _only(self.rows("SELECT key FROM videos WHERE video_id = ?", (video_id,)))
        return key

    def video_id(self, video_key: int) -> str:
        """Return the identity of a video by its key."""
        return str(_only(self.rows("SELECT video_id FROM videos WHERE key = ?", (video_key,))))

    def put_video(self, video_id: str, info: VideoInfo, *, recorded: float) -> int:
        """Store what is known of a video and return its key.

        A key is never given again: readers may still hold vectors of the one that had it.
        """
        self._db.execute(
            "INSERT INTO videos(key, video_id, start_seconds, duration_seconds, recorded, info,"
            " added) VALUES (1 + max("
            "coalesce((SELECT max(key) FROM videos), 0),"
            " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_key'), 0)),"
            " ?, ?, ?, ?, ?, ?) ON CONFLICT(video_id) DO UPDATE SET info = excluded.info,"
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
        return int(_only(self.rows("SELECT key FROM videos WHERE video_id = ?", (video_id,))))

    def info(self, video_key: int) -> VideoInfo:
        """Return what a video's file says."""
        stored = _only(self.rows("SELECT info FROM videos WHERE key = ?", (video_key,)))
        return info_from_json(json.loads(stored))

    def put_info(self, video_key: int, info: VideoInfo, *, recorded: float) -> None:
        """Replace what a video's file says; when the video begins and ends stays."""
        self._db.execute(
            "UPDATE videos SET info = ?, recorded = ? WHERE key = ?",
            (json.dumps(asdict(info)), recorded, video_key),
        )

    def put_path(self, stamp: FileStamp, video_key: int) -> None:
        """Note that a file holds a video; its name becomes searchable."""
        path = str(stamp.path)
        self.drop_path(path)
        self._db.execute(
            "INSERT INTO paths(path, video_key, size_bytes, mtime_ns, seen) VALUES (?, ?, ?, ?, ?)",
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
        """Store a space; it is searched once `use_space` says so, or where it is the first."""
        self._db.execute(
            "INSERT INTO spaces VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT(space_id) DO UPDATE"
            " SET model_name = excluded.model_name, model_path = excluded.model_path",
            (
                space.space_id,
                space.feature_id,
                space.model_name,
                space.model_path,
                space.appearance_dim,
                space.dim,
                space.motion_weight,
            ),
        )

    def use_space(self, space_id: str) -> None:
        """Make a space the one that is searched."""
        self._db.execute("UPDATE spaces SET used = ? WHERE space_id = ?", (time.time(), space_id))

    def spaces(self) -> list[Space]:
        """Return every space, the one used last first."""
        rows = self.rows(
            "SELECT space_id, feature_id, model_name, model_path, appearance_dim, dim,"
            " motion_weight, vectors_version FROM spaces ORDER BY used DESC"
        )
        folder = _only(self.rows("SELECT value FROM meta WHERE key = 'vectors'")) or "vectors"
        return [replace(Space(*row), vectors_folder=folder) for row in rows]

    def space(self, space_id: str) -> Space:
        """Return a space that was put here."""
        return next(one for one in self.spaces() if one.space_id == space_id)

    def now(self, space: Space) -> Space:
        """Return a space as it is now.

        Raises:
            LibraryError: Its vectors were put elsewhere meanwhile.
        """
        for one in self.spaces():
            if one.place == space.place:
                return one
        raise LibraryError("the vectors were made anew while they were searched")

    def put_vectors_folder(self, name: str) -> None:
        """Note where in the library the vectors of all spaces lie from now on."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('vectors', ?)", (name,))
        self._db.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", (MOVED_FORMAT,))

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

    def num_segments(self, video_key: int, space_id: str) -> int:
        """Return how many segments a video has in a space."""
        sql = "SELECT count(*) FROM segments WHERE video_key = ? AND space_id = ?"
        return int(_only(self.rows(sql, (video_key, space_id))))

    def segments_of(self, video_key: int, space_id: str) -> list[SegmentRow]:
        """Return the segments of a video in order of time, if it may answer.

        It may while it has a file, and once its vectors are in the index.
        """
        rows = self.rows(f"{ANSWERING} ORDER BY s.ordinal", (video_key, space_id))
        return [SegmentRow(video_key, o, start, end, bool(a)) for o, start, end, a in rows]

    def segment(self, video_key: int, ordinal: int, space_id: str) -> SegmentRow | None:
        """Return one segment of a video that may answer, or None where there is none such."""
        given = video_key, space_id, ordinal
        for _, start, end, approximate in self.rows(f"{ANSWERING} AND s.ordinal = ?", given):
            return SegmentRow(video_key, ordinal, start, end, bool(approximate))
        return None

    def mark_indexed(self, space_id: str, keys: Iterable[int], vectors_version: int) -> None:
        """Note that the vectors of some videos are in the index, which is now at a version."""
        self._db.executemany(
            "UPDATE embeddings SET indexed = 1 WHERE video_key = ? AND space_id = ?",
            [(key, space_id) for key in keys],
        )
        self._db.execute(
            "UPDATE spaces SET vectors_version = ? WHERE space_id = ?", (vectors_version, space_id)
        )

    def mark_pending(self, space_id: str, keys: Iterable[int] | None = None) -> None:
        """Note that the vectors of some videos, or of all, are not in the index."""
        if keys is None:
            self._db.execute("UPDATE embeddings SET indexed = 0 WHERE space_id = ?", (space_id,))
            return
        self._db.executemany(
            "UPDATE embeddings SET indexed = 0 WHERE video_key = ? AND space_id = ?",
            [(key, space_id) for key in keys],
        )

    def pending(self, space_id: str) -> list[int]:
        """Return the keys of the videos that have a path, but no vectors in the index."""
        return self._keys(f"e.indexed = 0 AND EXISTS {_A_PATH}", space_id)

    def stale(self, space_id: str) -> list[int]:
        """Return the keys of the videos that have vectors in the index, but no path any more."""
        return self._keys(f"e.indexed = 1 AND NOT EXISTS {_A_PATH}", space_id)

    def _keys(self, condition: str, space_id: str) -> list[int]:
        sql = f"SELECT e.video_key FROM embeddings e WHERE e.space_id = ? AND {condition}"
        return [key for (key,) in self.rows(sql, (space_id,))]

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

    def put_words(self, video_key: int, kind: str, source: str, words: Iterable[Words]) -> None:
        """Put the words of a kind and a source in the place of those that were there."""
        self._db.execute(
            "DELETE FROM texts WHERE video_key = ? AND kind = ? AND source = ?",
            (video_key, kind, source),
        )
        self._db.executemany(
            "INSERT INTO texts(video_key, kind, source, text, start_seconds, end_seconds, language)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(video_key, kind, source, *entry) for entry in words],
        )

    def words_read(self, path: str) -> tuple[str, str] | None:
        """Return what `mark_words_read` noted of a path and its video; None if it is unknown."""
        sql = "SELECT v.words, p.sidecars FROM paths p JOIN videos v ON v.key = p.video_key"
        rows = self.rows(f"{sql} WHERE p.path = ?", (path,))
        return rows[0] if rows else None

    def mark_words_read(self, video_key: int, path: str, words: str, sidecars: str) -> None:
        """Note which words of a video were read, and which files beside it."""
        self._db.execute("UPDATE videos SET words = ? WHERE key = ?", (words, video_key))
        self._db.execute("UPDATE paths SET sidecars = ? WHERE path = ?", (sidecars, path))

    def forget(self, video_key: int) -> None:
        """Remove a video and all that hangs on it; `forgetting` tells of it until the end."""
        mark = f"{FORGETTING}{self.video_id(video_key)}"
        self._db.execute(
            "INSERT OR REPLACE INTO meta SELECT 'last_key', max(v.key,"
            " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_key'), 0))"
            " FROM (SELECT max(key) AS key FROM videos) v"
        )
        self._db.execute("DELETE FROM videos WHERE key = ?", (video_key,))
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (mark,))

    def forgetting(self) -> list[str]:
        """Return the identities of the videos that were removed here, and maybe not elsewhere."""
        rows = self.rows("SELECT key FROM meta WHERE key GLOB ?", (f"{FORGETTING}*",))
        return [key.removeprefix(FORGETTING) for (key,) in rows]

    def is_forgetting(self) -> bool:
        """Whether something of a forgotten video may be left, be it in free pages of the file."""
        sql = "SELECT 1 FROM meta WHERE key = ? OR key GLOB ?"
        return bool(self.rows(sql, (UNCOMPACTED, f"{FORGETTING}*")))

    def forgot(self, video_id: str) -> None:
        """Note that nothing is left of a video, not even its identity, but for `compact`."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (UNCOMPACTED,))
        self._db.execute("DELETE FROM meta WHERE key = ?", (f"{FORGETTING}{video_id}",))

    def compact(self) -> None:
        """Leave nothing of what was removed in the file, and make it smaller.

        Raises:
            LibraryError: The disk is full or cannot be written.
        """
        try:
            self._db.execute("INSERT INTO words(words) VALUES ('optimize')")
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA busy_timeout = 100")  # milliseconds
            for attempt in range(NUM_ATTEMPTS):
                ((is_busy, *_),) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                if not is_busy:
                    self._db.execute("DELETE FROM meta WHERE key = ?", (UNCOMPACTED,))
                    return
                time.sleep(0.1 * 2**attempt)
            raise LibraryError(
                "it is forgotten, but somebody reads the catalogue, and words are still in its"
                " file. Forget any video when nobody does: that removes them."
            )
        except sqlite3.DatabaseError as error:
            raise LibraryError(f"the catalogue cannot be compacted: {error}") from error
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {1000 * TIMEOUT_SECONDS}")

    def _prepare(self, path: Path) -> None:
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
            create(self._db, path)
        if self._version() == "1":
            with self.transaction():
                for statement in statements(FROM_1_TO_2 if self._version() == "1" else ""):
                    self._db.execute(statement)
        version = self._version()
        if version not in (str(FORMAT_VERSION), MOVED_FORMAT):
            raise LibraryError(
                f"{path}: format version {version}, but this Soravec reads {FORMAT_VERSION}."
                " Use the version that wrote it, or index again."
            )

    def _version(self) -> str:
        return str(_only(self.rows("SELECT value FROM meta WHERE key = 'format_version'")))


_A_PATH = "(SELECT 1 FROM paths p WHERE p.video_key = e.video_key)"


def _only(rows: list[Any]) -> Any:  # noqa: ANN401  # a column of any type
    return rows[0][0] if rows else None
