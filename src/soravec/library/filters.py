"""Which videos a search may return: resolved in the catalogue to video keys."""

from dataclasses import dataclass
from datetime import datetime

from soravec.errors import QueryError
from soravec.library.catalogue import Catalogue
from soravec.library.store import Allowed


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a video; all must hold."""

    path: str | None = None
    """Glob over the whole path, such as `*/holiday/*.mp4`; without a wildcard, a part of it."""
    label: str | None = None
    """A label that the video or one of its spans carries."""
    min_seconds: float | None = None
    """Shortest length of the video."""
    max_seconds: float | None = None
    """Longest length of the video."""
    after: str | None = None
    """Recorded at or after this date, ISO 8601; a date without a zone is local time."""
    before: str | None = None
    """Recorded before this date, ISO 8601."""

    @property
    def is_empty(self) -> bool:
        """Whether every video passes."""
        return self == Filter()


def allowed_by(catalogue: Catalogue, where: Filter) -> Allowed | None:
    """Return the videos that pass, or None where every one does.

    Raises:
        QueryError: A date cannot be read.
    """
    if where.is_empty:
        return None
    keys = allowed_videos(catalogue, where)
    ((num_videos,),) = catalogue.rows("SELECT count(*) FROM videos")
    return Allowed(keys, len(keys) / max(num_videos, 1))


def allowed_videos(catalogue: Catalogue, where: Filter) -> list[int]:
    """Return the keys, ascending, of the videos that pass.

    Raises:
        QueryError: A date cannot be read.
    """
    clauses, values = ["EXISTS (SELECT 1 FROM paths p WHERE p.video_key = v.key)"], []
    if where.path is not None:
        glob = where.path if any(c in where.path for c in "*?[") else f"*{where.path}*"
        clauses.append("EXISTS (SELECT 1 FROM paths p WHERE p.video_key = v.key AND p.path GLOB ?)")
        values.append(glob)
    if where.label is not None:
        clauses.append("v.key IN (SELECT video_key FROM texts WHERE kind = 'label' AND text = ?)")
        values.append(where.label)
    bounds = (
        ("v.duration_seconds >= ?", where.min_seconds),
        ("v.duration_seconds <= ?", where.max_seconds),
        ("v.recorded >= ?", _timestamp(where.after)),
        ("v.recorded < ?", _timestamp(where.before)),
    )
    for clause, value in bounds:
        if value is not None:
            clauses.append(clause)
            values.append(value)  # type: ignore[arg-type]  # text and numbers side by side
    sql = f"SELECT v.key FROM videos v WHERE {' AND '.join(clauses)} ORDER BY v.key"
    return [key for (key,) in catalogue.rows(sql, values)]


def as_ranges(keys: list[int]) -> list[tuple[int, int]]:
    """Return ascending keys as inclusive runs.

    >>> as_ranges([1, 2, 3, 7, 9, 10])
    [(1, 3), (7, 7), (9, 10)]
    """
    runs: list[tuple[int, int]] = []
    for key in keys:
        if runs and key == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], key
        else:
            runs.append((key, key))
    return runs


def _timestamp(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return datetime.fromisoformat(date).timestamp()
    except ValueError as error:
        raise QueryError(f"'{date}' is not a date: write 2026-11-22 or 2026-11-22T09:30") from error
