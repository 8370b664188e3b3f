"""Rows of a CSV, Parquet or JSON Lines file, with their columns under the names that we know."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import zip_longest
from pathlib import Path
from typing import Any

from soravec.errors import ManifestError

COLUMNS = ("path", "label", "labels", "split", "group", "start", "end", "caption", "target")
SUFFIXES = (".csv", ".jsonl", ".parquet")

_OTHER_NAMES = {"start_seconds": "start", "end_seconds": "end"}
_MEANT = {"class": "label", "file": "path", "filename": "path", "video": "path", "subset": "split"}
_CONTENT = ("label", "labels", "target", "caption")
_LIKENESS = 0.75
"""Of `difflib`, from 0 to 1: `lable` is 0.8 like `label`, `state` is 0.8 like `start`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the file."""

    number: int
    """As a spreadsheet counts: the header is row 1. A JSONL line and a Parquet row count from 1."""
    values: Mapping[str, Any]
    """What stands in the known columns; an empty cell is left out."""


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a file."""

    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    """The known columns that the file has."""
    warnings: tuple[str, ...]
    """Columns that were not read."""
    problems: tuple[str, ...]
    """Rows that are none."""


def read_table(file: Path) -> Table:
    """Return the rows of a file.

    Raises:
        ManifestError: It cannot be read, or lacks a column.
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise ManifestError(file, [f"'{suffix}' is no format of a manifest: {', '.join(SUFFIXES)}"])
    if not file.is_file():
        raise ManifestError(file, ["no such file"])
    problems: list[str] = []
    if suffix == ".parquet":
        raw = _parquet(file)
    else:
        text = _text(file)
        raw = _csv(file, text, problems) if suffix == ".csv" else _jsonl(text, problems)
    given = list(dict.fromkeys(name for _, values in raw for name in values))
    if raw:
        warnings = _checked_columns(file, given)
        problems.extend(_double_columns(given))
    else:
        warnings = []
    rows = tuple(Row(number, _known(values)) for number, values in raw)
    columns = tuple(name for name in COLUMNS if name in {_OTHER_NAMES.get(g, g) for g in given})
    return Table(rows, columns, tuple(warnings), tuple(problems))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        cause = f"not UTF-8 (line {line}); save it as UTF-8, in a spreadsheet 'CSV UTF-8'"
        raise ManifestError(file, [cause]) from error
    except OSError as error:
        raise ManifestError(file, [f"cannot be read ({error})"]) from error


def _csv(file: Path, text: str, problems: list[str]) -> list[tuple[int, dict[str, Any]]]:
    header = text.partition("\n")[0]
    delimiter = next((sign for sign in ",;\t" if sign in header), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = list(reader)
    except csv.Error as error:
        raise ManifestError(file, [f"not CSV: line {reader.line_num}: {error}"]) from error
    if not lines:
        return []
    names = [name.strip() for name in lines[0]]
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            problems.append(
                f"row {number}: {len(cells)} cells, but {len(names)} columns; a cell with a"
                f" '{delimiter}' in it stands in quotes"
            )
            continue
        pairs = zip_longest(names, cells, fillvalue="")  # spreadsheets leave out empty cells
        rows.append((number, {name: cell.strip() for name, cell in pairs if name}))
    if not rows and not problems:
        _checked_columns(file, names)
    return rows


def _jsonl(text: str, problems: list[str]) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"row {number}: not JSON ({error})")
            continue
        if not isinstance(values, dict):
            problems.append(f'row {number}: not a JSON object, such as {{"path": "a.mp4"}}')
            continue
        rows.append((number, values))
    return rows


def _parquet(file: Path) -> list[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    except (pa.ArrowException, OSError) as error:
        cause = str(error).split("\n")[0]
        raise ManifestError(file, [f"not readable Parquet ({cause})"]) from error
    return list(enumerate(rows, start=1))


def _checked_columns(file: Path, given: Sequence[str]) -> list[str]:
    """Return a warning per unknown column; raise if one that is needed is missing or mistyped."""
    known = {_OTHER_NAMES.get(name, name) for name in given}
    unknown = [name for name in given if name not in COLUMNS and name not in _OTHER_NAMES]
    meant = {name: _nearest(name) for name in unknown}
    # Whoever mistypes `group` or `split` would get splits that leak, and never know.
    needed = {"path", "split", "group"} - known
    if not known & set(_CONTENT):
        needed |= set(_CONTENT)
    mistyped = [
        f"unknown column '{n}'; did you mean '{m}'?" for n, m in meant.items() if m in needed
    ]
    if "path" not in known and "path" not in meant.values():
        mistyped.insert(0, f"no column 'path' (found: {', '.join(given)})")
    if mistyped:
        raise ManifestError(file, mistyped)
    return [
        f"column '{name}' was not read" + (f"; did you mean '{near}'?" if near else "")
        for name, near in meant.items()
    ]


def _double_columns(given: Sequence[str]) -> list[str]:
    return [
        f"columns '{other}' and '{name}' mean the same; keep one"
        for other, name in _OTHER_NAMES.items()
        if other in given and name in given
    ]


def _nearest(name: str) -> str | None:
    plain = name.strip().lower()
    if plain in _MEANT:
        return _MEANT[plain]
    near = get_close_matches(plain, [*COLUMNS, *_OTHER_NAMES], n=1, cutoff=_LIKENESS)
    return _OTHER_NAMES.get(near[0], near[0]) if near else None


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {_OTHER_NAMES.get(name, name): value for name, value in values.items()}
    return {name: v for name, v in renamed.items() if name in COLUMNS and not _is_empty(v)}


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
