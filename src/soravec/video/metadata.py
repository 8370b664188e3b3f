"""What a container's metadata says: title, chapters, when and where it was recorded."""

import re
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from av.container import InputContainer

from soravec.types import TimedText, VideoInfo

MAX_CHAPTERS = 10_000
MAX_TITLE_CHARS = 1000
FIRST_YEAR, LAST_YEAR = 1971, 2100
"""A clock that was never set says 1904 or 1970."""

_CREATED = ("com.apple.quicktime.creationdate", "creation_time")
"""In order of trust: the first has the time zone of the place."""

_PLACE = ("com.apple.quicktime.location.iso6709", "location", "location-eng")

_ISO_6709 = re.compile(
    r"([+-]\d{2,6}(?:\.\d+)?)([+-]\d{3,7}(?:\.\d+)?)(?:[+-]\d+(?:\.\d+)?|/|CRS|$)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class Described(NamedTuple):
    """What the metadata of a container says."""

    title: str | None = None
    created: str | None = None
    """ISO 8601, with its zone where the file states one."""
    location: tuple[float, float] | None = None
    """Latitude and longitude in degrees, north and east positive."""
    chapters: tuple[TimedText, ...] = ()
    """Those that have a title, in order of time."""


def described(container: InputContainer) -> Described:
    """Return what the metadata says; what makes no sense is left out."""
    said = {name.lower(): value for name, value in container.metadata.items()}
    created = (_date(said.get(name, "")) for name in _CREATED)
    places = (_place(said.get(name, "")) for name in _PLACE)
    return Described(
        title=_title(said.get("title", "")) or None,
        created=next((date for date in created if date), None),
        location=next((place for place in places if place), None),
        chapters=_chapters(container),
    )


def without_metadata(info: VideoInfo) -> VideoInfo:
    """Return the facts of a file without what its metadata says."""
    return replace(info, **Described()._asdict())


def _title(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()[:MAX_TITLE_CHARS]


def _date(text: str) -> str | None:
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return date.isoformat() if FIRST_YEAR <= date.year <= LAST_YEAR else None


def _place(text: str) -> tuple[float, float] | None:
    """Return the place that an ISO 6709 text names; 0, 0 is what a camera writes that has none.

    >>> _place("+37.3318-122.0312+010.000/")
    (37.3318, -122.0312)
    >>> _place("+2730.5-08215/")
    (27.508333333333333, -82.25)
    """
    match = _ISO_6709.match(text.strip())
    if match is None:
        return None
    latitude, longitude = _degrees(match[1], 2), _degrees(match[2], 3)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return None
    return latitude, longitude


def _degrees(text: str, num_digits: int) -> float:
    """Return degrees from `+DD.D`, `+DDMM.M` or `+DDMMSS.S`, the degrees having `num_digits`."""
    whole, _, fraction = text[1:].partition(".")
    parts = [whole[:num_digits], *re.findall("..?", whole[num_digits:])]
    parts[-1] += f".{fraction or 0}"
    degrees = sum(float(part) / 60.0**power for power, part in enumerate(parts))
    return -degrees if text[0] == "-" else degrees


def _chapters(container: InputContainer) -> tuple[TimedText, ...]:
    """Return the chapters that have a title; one without an end lasts until the next."""
    found = []
    for chapter in container.chapters()[:MAX_CHAPTERS]:
        base = chapter["time_base"] or Fraction(0)
        title = _title(chapter["metadata"].get("title", ""))
        found.append((float(chapter["start"] * base), float(chapter["end"] * base), title))
    found.sort()
    limit = (container.duration or 0) / 1e6
    following = [start for start, _, _ in found][1:] + [limit] * bool(found)
    return tuple(
        TimedText(start, end if end > start else due, title)
        for (start, end, title), due in zip(found, following, strict=True)
        if title and max(end, due) > start
    )
