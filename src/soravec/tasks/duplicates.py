"""What a library holds twice: videos that are copies, and spans of one that another shows.

Segments that look and move alike are candidates, found without comparing all with all
(`neighbours`). In each two of them a place is sought, and from it the span that both videos share
(`alignment`). One vector per segment finds what may be a copy; only frame by frame can it be told.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from soravec.library.contents import Contents, StoredVideo
from soravec.library.filters import Filter
from soravec.library.library import Library
from soravec.tasks.alignment import GRID_FPS, Course, Place, Shared, find_place, find_shared
from soravec.tasks.courses import Courses
from soravec.tasks.neighbours import find_neighbours
from soravec.tasks.registration import STILL_LEVELS

NUM_NEIGHBOURS = 40
"""Segments of other videos that each is compared with."""
MARGIN_STEPS = 2
"""By which the window around a segment is wider than it."""
LEAST_PLACE, LEAST_GIST, LEAST_START = 0.3, 0.6, 0.4
"""Agreement of features, of gists, and of sketches, below which three seconds are not looked at;
those of two videos whose features agree best always are."""
NEAR_STEPS = 8.0
"""A place so near to the line of a span that was found belongs to it."""
MOST_OVERLAP = 0.3
"""A span that shares more of itself with a better one in either video is dropped."""
GAP_SECONDS, DRIFT_SECONDS = 6.0, 1.0
"""Two spans on one line become one across a gap so long, if the line is as near to both."""
LEAST_SECONDS = 2.5
"""What is found of a span is no shorter: a copied one of three seconds or a little more."""
TILE_VIDEOS = 64
"""Pairs are gone through by tiles of so many videos, so that each is read from the disk seldom."""
WHOLE_SHARE = 0.8
"""Of a video must be shown by the other one for it to be a copy of the whole."""

TELLING_SECONDS = 10.0
"""Of longer spans the length tells no more."""
TELLING_LEVELS = 6.5
"""Of details that change by more, how much they do tells no more."""
LEAST_SCORE = 0.9
"""Probability from which on a span is told of: a wrong one is worse than one missed."""
WEIGHTS = (-32.35, 4.83, 10.96, 7.06, 4.64, 2.15, 0.3, -9.93, -5.16, 11.52, -0.69)
"""Of 1 and of the `evidence`, in the log-odds that a span is a copy: a logistic regression on spans
of `benchmarks/partial_copies.py --fit`."""
LIGHT_WEIGHTS = (-29.14, 10.74, 12.94, 7.99, 2.66, 0.75, 2.03, -7.72, -5.58)
"""The same without colours: those of black and white, and of what an older version indexed."""


@dataclass(frozen=True, slots=True)
class SharedSpan:
    """A span of one video of the library."""

    path: str
    video_id: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Copy:
    """A span that two videos share."""

    first: SharedSpan
    second: SharedSpan
    score: float
    """Probability that it is a copy, in [0, 1]."""
    speed: float
    """Seconds of the first that pass in a second of the second."""
    mirrored: bool
    """Whether one shows it mirrored."""


@dataclass(frozen=True, slots=True)
class CopyGroup:
    """Videos that show the same from beginning to end."""

    best: str
    """Path of the one to keep: the one that shows most pixels, then the longest, the largest."""
    others: tuple[str, ...]
    """Paths of the others."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What a library holds twice."""

    copies: tuple[Copy, ...]
    """In order of the paths and of time."""
    groups: tuple[CopyGroup, ...]
    """Of videos of which each is a copy of the whole of another, or the same file."""
    skipped: tuple[str, ...]
    """Why videos were not looked at."""


def find_duplicates(
    library: Library,
    *,
    where: Filter | None = None,
    least_score: float = LEAST_SCORE,
    on_progress: Callable[[int, int], None] | None = None,
) -> Duplicates:
    """Return the spans that two videos of a library share, and which videos are copies.

    Spans of about 3 s and more are found, also re-encoded, resized, cropped at a side by up to a
    fifth or so, between bars, mirrored, brighter, with a logo or subtitles, and 10 % faster or
    slower. What stands still or is black matches nothing. Nothing is decoded.

    Args:
        library: The library.
        where: Which of its videos are compared; None means all.
        least_score: Probability from which on a span is told of.
        on_progress: Called with how many pairs of videos were compared, and of how many.

    Raises:
        LibraryError: Nothing in it can be compared.
    """
    contents = library.contents(where)
    courses = Courses(library, contents)
    pairs = candidate_pairs(contents)
    copies: list[Copy] = []
    for number, (one, other) in enumerate(_by_tiles(pairs, contents)):
        first, second = courses.of(one), courses.of(other)
        if first is not None and second is not None:
            places = find_places(first, second, contents, pairs[one, other])
            shared = told_spans(found_spans(first, second, places), least_score)
            videos = contents.videos[one], contents.videos[other]
            copies += [_copy(*videos, first, second, span) for span in shared]
        if on_progress is not None:
            on_progress(number + 1, len(pairs))
    copies.sort(key=lambda c: (c.first.path, c.second.path, c.first.start_seconds))
    groups = _groups(contents, copies)
    return Duplicates(tuple(copies), groups, tuple(courses.missing.values()))


def candidate_pairs(contents: Contents) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return, by pair of videos, the rows of segments that may show the same."""
    near = find_neighbours(contents.vectors, contents.keys, NUM_NEIGHBOURS).rows
    rows = np.repeat(np.arange(len(near)), near.shape[1])
    both = np.stack([rows, near.ravel()], axis=1)[near.ravel() >= 0]
    pairs = defaultdict(list)
    for one, other in np.unique(np.sort(both, axis=1), axis=0).tolist():
        pairs[int(contents.keys[one]), int(contents.keys[other])].append((one, other))
    return pairs


def find_places(
    first: Course, second: Course, contents: Contents, rows: Iterable[tuple[int, int]]
) -> list[Place]:
    """Return where segments may show the same, the likeliest first."""
    by_features, by_gists = [], []
    for one, other in rows:
        windows = [_window(first, contents, one), _window(second, contents, other)]
        begin, end = zip(*windows, strict=True)
        by_features.append(find_place(first.features, second.features, begin, end))
        by_gists.append(find_place(first.gists, second.gists, begin, end))
    places = _likeliest(by_features)
    places = places[:1] + [place for place in places[1:] if place.score >= LEAST_PLACE]
    seen = {(place.first_step, place.second_step) for place in places}
    more = [place for place in _likeliest(by_gists) if place.score >= LEAST_GIST]
    return places + [place for place in more if (place.first_step, place.second_step) not in seen]


def _likeliest(places: Iterable[Place | None]) -> list[Place]:
    """Return places, the likeliest first, less those that are none."""
    return sorted((place for place in places if place is not None), key=lambda one: -one.score)


def found_spans(first: Course, second: Course, places: Sequence[Place]) -> list[Shared]:
    """Return the spans that come into question; some may overlap."""
    found: list[Shared] = []
    for place in places:
        if any(_belongs(place, span) for span in found):
            continue
        span = find_shared(first, second, place, LEAST_START)
        if span is not None and span.seconds >= LEAST_SECONDS:
            found.append(span)
    return found


def told_spans(found: Iterable[Shared], least_score: float) -> list[Shared]:
    """Return those of them that are copies, each once."""
    kept: list[Shared] = []
    for span in sorted(found, key=probability, reverse=True):
        if probability(span) >= least_score and not any(_overlaps(span, one) for one in kept):
            kept.append(span)
    return _joined(kept)


def probability(span: Shared) -> float:
    """Return how likely it is that a span is a copy, in [0, 1]."""
    weights = LIGHT_WEIGHTS if span.colours is None else WEIGHTS
    odds = weights[0] + sum(w * value for w, value in zip(weights[1:], evidence(span), strict=True))
    return 1 / (1 + exp(-odds))


def evidence(span: Shared) -> tuple[float, ...]:
    """Return what tells whether a span is a copy: eight numbers, and two of any colours."""
    length = log(min(span.seconds, TELLING_SECONDS))
    agreements = span.score, span.fine_score, span.feature_score
    levels = min(max(span.levels, STILL_LEVELS), TELLING_LEVELS)
    detail = log(levels), log(max(span.ways, 1.0))
    seen = (*agreements, *detail, length, abs(log(span.speed)), span.geometry.departure)
    if span.colours is None:
        return seen
    agreement, distance = span.colours
    return (*seen, agreement, log(1 + distance))


def _by_tiles(pairs: Iterable[tuple[int, int]], contents: Contents) -> list[tuple[int, int]]:
    tile = {key: number // TILE_VIDEOS for number, key in enumerate(sorted(contents.videos))}
    return sorted(pairs, key=lambda pair: (tile[pair[0]], tile[pair[1]], pair))


def _window(course: Course, contents: Contents, row: int) -> tuple[int, int]:
    start, end = (course.step(seconds) for seconds in contents.bounds[row].tolist())
    return max(0, int(start) - MARGIN_STEPS), min(len(course), int(end) + MARGIN_STEPS + 1)


def _belongs(place: Place, span: Shared) -> bool:
    begin, end = span.second_steps
    on_line = span.first_steps[0] + (place.second_step - begin) * span.speed
    is_inside = begin - 2 <= place.second_step <= end + 2
    return is_inside and abs(on_line - place.first_step) <= NEAR_STEPS


def _overlaps(span: Shared, better: Shared) -> bool:
    """Return whether a span shows in either video much of what a better one shows, elsewhere."""
    if _is_one_line(better, span):
        return False  # they are joined
    sides = (span.first_steps, better.first_steps), (span.second_steps, better.second_steps)
    return any(
        min(mine[1], theirs[1]) - max(mine[0], theirs[0])
        > MOST_OVERLAP * min(mine[1] - mine[0], theirs[1] - theirs[0])
        for mine, theirs in sides
    )


def _joined(spans: Iterable[Shared]) -> list[Shared]:
    """Return the spans with those that lie on one line made one."""
    joined: list[Shared] = []
    for span in sorted(spans, key=lambda span: span.second_steps):
        before = joined[-1] if joined else None
        gap = (span.second_steps[0] - before.second_steps[1]) / GRID_FPS if before else 0.0
        if before is None or gap > GAP_SECONDS or not _is_one_line(before, span):
            joined.append(span)
            continue
        (start, end), (begin, stop) = before.first_steps, span.first_steps
        joined[-1] = replace(
            max(before, span, key=lambda one: one.seconds),
            first_steps=(min(start, begin), max(end, stop)),
            second_steps=(
                before.second_steps[0],
                max(before.second_steps[1], span.second_steps[1]),
            ),
        )
    return joined


def _is_one_line(one: Shared, other: Shared) -> bool:
    """Return whether the same instants belong together in both spans."""
    steps = other.second_steps[0] - one.second_steps[0]
    meant = one.first_steps[0] + steps * (one.speed + other.speed) / 2
    drift = abs(other.first_steps[0] - meant) / GRID_FPS
    return one.geometry.mirrored == other.geometry.mirrored and drift <= DRIFT_SECONDS


def _copy(
    video: StoredVideo, other: StoredVideo, first: Course, second: Course, span: Shared
) -> Copy:
    return Copy(
        _span(video, first, *span.first_steps, span.speed),
        _span(other, second, *span.second_steps, 1.0),
        probability(span),
        span.speed,
        span.geometry.mirrored,
    )


def _span(video: StoredVideo, course: Course, begin: float, end: float, last: float) -> SharedSpan:
    """Return the span from one instant to the end of another."""
    start = max(video.start_seconds, course.seconds(begin))
    return SharedSpan(
        video.path, video.video_id, start, min(video.end_seconds, course.seconds(end + last))
    )


def _groups(contents: Contents, copies: Iterable[Copy]) -> tuple[CopyGroup, ...]:
    """Return the sets of videos that are copies of the whole of one another."""
    by_id = {video.video_id: video for video in contents.videos.values()}
    shown: dict[tuple[str, str], list[Copy]] = defaultdict(list)
    for copy in copies:
        shown[copy.first.video_id, copy.second.video_id].append(copy)
    leader = {name: name for name in by_id}

    def leader_of(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for (one, other), spans in shown.items():
        if is_whole(by_id[one], by_id[other], spans):
            leader[leader_of(other)] = leader_of(one)
    sets = defaultdict(list)
    for name, video in by_id.items():
        sets[leader_of(name)].append(video)
    groups = []
    for videos in sets.values():
        best, *others = sorted(videos, key=_worth, reverse=True)
        paths = [*best.paths[1:], *(path for video in others for path in video.paths)]
        if paths:
            groups.append(CopyGroup(best.path, tuple(sorted(paths))))
    return tuple(sorted(groups, key=lambda group: group.best))


def is_whole(one: StoredVideo, other: StoredVideo, spans: Sequence[Copy]) -> bool:
    """Return whether two videos share nearly all of both."""
    sides = (one, [copy.first for copy in spans]), (other, [copy.second for copy in spans])
    return all(
        _covered(shown) >= WHOLE_SHARE * (video.end_seconds - video.start_seconds)
        for video, shown in sides
    )


def _covered(spans: Iterable[SharedSpan]) -> float:
    """Return how many seconds lie in at least one of the spans."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted((span.start_seconds, span.end_seconds) for span in spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _worth(video: StoredVideo) -> tuple[int, float, int, str]:
    info = video.info
    length = video.end_seconds - video.start_seconds
    return info.width * info.height, round(length), info.size_bytes, video.path
