"""One row of a manifest as a clip, or all that is wrong with it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from soravec.data.clips import SPLITS, Clip, Split
from soravec.data.rows import Row
from soravec.library.identity import absolute
from soravec.video import is_url

_SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "validate", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What data sets call the three splits."""


def clip_of(row: Row, folder: Path) -> tuple[Clip | None, list[str]]:
    """Return what a row says, or what is wrong with it."""
    problems: list[str] = []

    def cell(column: str, read: Callable[[Any], Any]) -> Any:
        value = row.values.get(column)
        if value is None or (column != "target" and isinstance(value, float) and math.isnan(value)):
            return None  # pandas writes NaN for an empty cell
        try:
            return read(value)
        except ValueError as error:
            problems.append(f"row {row.number}, column '{column}': {error}")
            return None

    def path_of(value: object) -> Path:
        text = _text(value)
        if is_url(text):
            raise ValueError(f"'{text}' is a URL; download it first")
        return absolute(folder / text)

    path = cell("path", path_of)
    if row.values.get("path") is None:
        problems.append(f"row {row.number}, column 'path': it is empty")
    label, labels = cell("label", _text), cell("labels", _labels)
    if label is not None and labels is not None:
        problems.append(f"row {row.number}: both 'label' and 'labels'; fill in one of them")
    start, end = cell("start", _seconds), cell("end", _seconds)
    if end is not None and end <= (start or 0.0):
        problems.append(f"row {row.number}, column 'end': {end} is not after {start or 0.0}")
    split, group = cell("split", _split), cell("group", _text)
    caption, target = cell("caption", _text), cell("target", _target)
    if problems:
        return None, problems
    names = labels or (() if label is None else (label,))
    return Clip(path, names, split, group, start, end, caption, target, row.number), problems


def split_named(text: str) -> Split | None:
    """Return the split that a data set calls by this name, such as `val`; None if there is none."""
    return _SPLIT_NAMES.get(text.strip().lower())


def _text(value: object) -> str:
    if isinstance(value, str | int | float):
        return str(value).strip()
    raise ValueError(f"{value!r} is not a text")


def _labels(value: object) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else str(value).replace("|", ";").split(";")
    names = [_text(part) for part in parts]
    if isinstance(value, list) and not all(names):
        raise ValueError(f"{value!r} holds an empty label")
    names = [name for name in names if name]  # `a;b;` is (a, b)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"'{doubled[0]}' stands there twice")
    return tuple(sorted(names))


def _split(value: object) -> Split:
    split = split_named(_text(value))
    if split is None:
        raise ValueError(f"'{value}' is no split: choose {', '.join(SPLITS)}")
    return split


def _seconds(value: object) -> float:
    seconds = _number(value, "a number of seconds")
    if seconds < 0:
        raise ValueError(f"{value} is negative; seconds count from 0")
    return seconds


def _target(value: object) -> tuple[float, ...]:
    if isinstance(value, str):
        parts: Sequence[object] = value.replace("|", ";").split(";")
    else:
        parts = value if isinstance(value, list) else [value]
    if not parts:
        raise ValueError("it is empty")
    return tuple(_number(part, "a number (several are separated by ';')") for part in parts)


def _number(value: object, allowed: str) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        number = float(value)
    except ValueError:
        raise ValueError(f"{value!r} is not {allowed}") from None
    if not math.isfinite(number):
        raise ValueError(f"{value} is not finite")
    return number
