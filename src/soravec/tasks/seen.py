"""Whether a video shows again what somebody has seen: told frame by frame, of a few that are near.

One vector cannot tell a copy from another shot of the same place; what `duplicates` looks at can.
What stands still matches nothing there, so still pictures are compared as such.
"""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from soravec.library.contents import Contents
from soravec.library.library import Library
from soravec.tasks.alignment import DULL_LEVELS, GRID_FPS, PLACE_STEPS, Course
from soravec.tasks.courses import Courses
from soravec.tasks.duplicates import (
    LEAST_SCORE,
    WHOLE_SHARE,
    find_places,
    found_spans,
    told_spans,
)
from soravec.tasks.registration import Geometry, alike, num_moving

NEAR = 0.5
"""Segments whose vectors are less alike are not compared: a changed copy is nearer."""
MOST_VIDEOS, MOST_PAIRS = 5, 60
"""So many videos that were seen, the nearest, and pairs of segments of each are looked at."""
STILL_ALIKE = 0.9
"""Correlation of the details of two still pictures from which on they are one."""
DULL_SHARE = 0.8
"""Of the instants of a span with nothing in them, for nothing to be in it."""


class Seen:
    """What was seen, and what has nothing in it; read from the disk as far as it is asked for.

    Args:
        library: Where features are stored.
        contents: What it holds.
        keys: Of the videos that were seen.

    Attributes:
        keys: Of these; more may be added.
    """

    def __init__(self, library: Library, contents: Contents, keys: Iterable[int]) -> None:
        self.keys = set(keys)
        self._library = library
        self._contents = contents

    @cached_property
    def _courses(self) -> Courses:
        return Courses(self._library, self._contents)

    @property
    def untold(self) -> tuple[str, ...]:
        """Why videos could not be compared; of those asked for so far."""
        return tuple(self._courses.missing.values()) if "_courses" in self.__dict__ else ()

    def original_of(self, key: int, *, shown_too: Iterable[int] = ()) -> int | None:
        """Return the video that was seen and shows nearly all of this one; None where none does.

        Args:
            key: The video.
            shown_too: Videos beside it: what shows nearly all of them repeats them as well.
        """
        beside = set(shown_too)
        for other, pairs in self._near(key, self.keys | beside):
            first, second = self._courses.of(key), self._courses.of(other)
            if first is None or second is None:
                continue
            mine, theirs = _shared_shares(first, second, self._contents, pairs)
            if mine >= WHOLE_SHARE or (other in beside and theirs >= WHOLE_SHARE):
                return other
        return None

    def is_dull(self, key: int, start_seconds: float, end_seconds: float) -> bool:
        """Return whether nothing is seen in a span: it is black, or of one colour."""
        course = self._courses.of(key)
        if course is None:
            return False
        begin = max(0, round(course.step(start_seconds)))
        shown = course.details[begin : max(begin + 1, round(course.step(end_seconds)))]
        levels = np.sqrt((shown * shown).mean(axis=(1, 2)))
        return bool(len(levels)) and float((levels < DULL_LEVELS).mean()) >= DULL_SHARE

    def _near(self, key: int, others: Iterable[int]) -> list[tuple[int, list[tuple[int, int]]]]:
        """Return videos whose segments are nearest, with the pairs of rows that are."""
        contents, mine = self._contents, self._contents.segments_of(key)
        near: list[tuple[float, int, list[tuple[int, int]]]] = []
        for other in sorted(set(others) - {key}):
            theirs = contents.segments_of(other)
            found = contents.vectors[mine] @ contents.vectors[theirs].T
            rows, columns = np.nonzero(found >= NEAR)
            if len(rows):
                best = np.argsort(-found[rows, columns], kind="stable")[:MOST_PAIRS]
                pairs = [(mine.start + int(rows[n]), theirs.start + int(columns[n])) for n in best]
                near.append((float(found.max()), other, pairs))
        near.sort(key=lambda one: -one[0])
        return [(other, pairs) for _, other, pairs in near[:MOST_VIDEOS]]


def _shared_shares(
    first: Course, second: Course, contents: Contents, pairs: list[tuple[int, int]]
) -> tuple[float, float]:
    """Return which share of each of two videos the other one shows."""
    if _is_still(first) and _is_still(second):
        one, other = (c.details.mean(axis=0, keepdims=True) for c in (first, second))
        return (1.0, 1.0) if alike(one, other, Geometry())[0] >= STILL_ALIKE else (0.0, 0.0)
    places = find_places(first, second, contents, pairs)
    spans = told_spans(found_spans(first, second, places), LEAST_SCORE)
    mine = _covered(((*span.first_steps, span.speed) for span in spans), len(first))
    return mine, _covered(((*span.second_steps, 1.0) for span in spans), len(second))


def _covered(spans: Iterable[tuple[float, float, float]], length: int) -> float:
    """Return the share of a video's instants in spans, each of first and last step, and a step."""
    is_in = np.zeros(length, bool)
    for begin, end, step in spans:
        is_in[max(0, round(begin)) : round(end + step)] = True
    return float(is_in.mean())


def _is_still(course: Course) -> bool:
    return num_moving(course.details) < min(PLACE_STEPS // 2, max(1, len(course) / (2 * GRID_FPS)))
