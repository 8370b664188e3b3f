"""Labels, captions and tags from a CSV or JSON Lines file."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from soravec.errors import QueryError
from soravec.library.catalogue import Catalogue
from soravec.library.identity import VideoPath, absolute
from soravec.video import is_url

COLUMNS = ("path", "label", "caption", "tag", "start_seconds", "end_seconds")


@dataclass(frozen=True, slots=True)
class Annotation:
    """Words that somebody gave to a video, or to a span of it."""

    path: VideoPath
    """Absolute, or a URL."""
    kind: str
    """`label`, `caption` or `tag`."""
    text: str
    start_seconds: float | None
    """None for the whole video."""
    end_seconds: float | None


def annotations_by_key(catalogue: Catalogue, file: Path) -> list[tuple[int, Annotation]]:
    """Return what a file says, each with the key of its video.

    Raises:
        QueryError: A row is wrong, or names a video that is not in the library.
    """
    annotations = read_annotations(file)
    keys = dict(catalogue.rows("SELECT path, video_key FROM paths"))
    unknown = sorted({str(a.path) for a in annotations} - set(keys))
    if unknown:
        raise QueryError(
            f"{file}: {len(unknown)} paths are not in the library, such as {unknown[0]}."
            " Index them first."
        )
    return [(keys[str(a.path)], a) for a in annotations]


def read_annotations(file: Path) -> list[Annotation]:
    """Return what a file says, one entry per label, caption and tag.

    Args:
        file: `.csv` with a header, or `.jsonl`. Columns: `path` (absolute, or relative to the
            file), any of `label`, `caption` and `tag`, and `start_seconds` with `end_seconds`
            for a span.

    Raises:
        QueryError: It cannot be read; every bad row is named with its number.
    """
    found: list[Annotation] = []
    problems: list[str] = []
    for number, row in _rows(file):
        try:
            found.extend(_annotations(row, file.parent))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        shown = "; ".join(problems[:10])
        more = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise QueryError(f"{file}: {shown}{more}. Nothing was taken over.")
    return found


def _annotations(row: Mapping[str, Any], folder: Path) -> Iterator[Annotation]:
    for key in row:
        if key not in COLUMNS:
            near = get_close_matches(str(key), COLUMNS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(COLUMNS)}"
            raise ValueError(f"unknown column '{key}'; {hint}")
    if not row.get("path"):
        raise ValueError("no path")
    start, end = _seconds(row, "start_seconds"), _seconds(row, "end_seconds")
    if (start is None) != (end is None):
        raise ValueError("start_seconds and end_seconds go together")
    if start is not None and end is not None and end <= start:
        raise ValueError(f"ends at {end} s, not after {start} s")
    texts = [
        (kind, str(row[kind]).strip()) for kind in ("label", "caption", "tag") if row.get(kind)
    ]
    if not any(text for _, text in texts):
        raise ValueError("neither label, caption nor tag")
    given = str(row["path"])
    path = given if is_url(given) else absolute(folder / given)
    for kind, text in texts:
        if text:
            yield Annotation(path, kind, text, start, end)


def _seconds(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is '{value}', not a number") from None


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{file}: cannot be read as UTF-8 text ({error})") from error
    if file.suffix.lower() == ".csv":
        yield from enumerate(csv.DictReader(text.splitlines()), start=2)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise QueryError(f"{file}: row {number} is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise QueryError(f"{file}: row {number} is not a JSON object")
        yield number, row
