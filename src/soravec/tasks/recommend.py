"""What to watch next, from content alone: like what was liked, unlike one another, nothing twice.

Videos are compared by their vectors, less what is common to the whole library: what all share tells
nothing about taste. Of the most like a diverse list is chosen (`diversity`); what shows again what
was seen, or what the list has already, is left out, told frame by frame (`seen`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError
from soravec.library.contents import Contents
from soravec.library.filters import Filter, allowed_videos
from soravec.library.library import Library
from soravec.library.marks import MarkedSpan, find_span
from soravec.runtime.vectors import compose, likeness, normalise, split
from soravec.tasks.diversity import choose_diverse
from soravec.tasks.seen import Seen
from soravec.tasks.teach import rows_of
from soravec.video import Span

Float = NDArray[np.float32]

EAGERNESS = 6.64
"""How much likeness counts beside diversity: theta = 0.93 in Chen et al., equation 8."""
SHARPNESS = 10.0
"""Of several liked videos the nearest counts most: 0 would be their mean, infinity the nearest."""
POOL_VIDEOS = 500
"""The most like, of which a list is chosen."""
MOST_ROWS = 1000
"""Segments of a video that are looked at for a reason; of a longer one, as many, evenly spaced."""
TIMES_AS_MUCH = 2.0
"""By appearance means that it adds so many times what motion does, and the other way round."""


@dataclass(frozen=True, slots=True)
class VideoMoment:
    """A span `[start, end)` of a video of the library."""

    path: str
    video_id: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a video is recommended."""

    liked: VideoMoment
    """The moment of the liked video that it is like."""
    moment: VideoMoment
    """Its own moment that is like it."""
    score: float
    """How alike the two are: `(1-w) * appearance + w * motion`, as in a search."""
    appearance: float
    """Likeness of appearance, in [-1, 1]."""
    motion: float | None
    """Likeness of motion, in [-1, 1]; None where either has no time in it."""
    by: Literal["appearance", "motion", "both"]
    """What makes them more alike than the liked moment is to the library as a whole."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A video to watch next."""

    path: str
    video_id: str
    score: float
    """Likeness to what was liked, less what is common to the library, in [-1, 1]."""
    reason: Reason


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A video that would have been recommended, but for what it shows."""

    path: str
    original: str | None
    """Path of the video that shows the same; None where nothing is seen in it."""


@dataclass(frozen=True, slots=True)
class Recommendations:
    """What to watch next."""

    videos: tuple[Recommendation, ...]
    """In order of being chosen: the most like first, then what adds most."""
    left_out: tuple[LeftOut, ...]
    untold: tuple[str, ...]
    """Why some videos could not be compared with what was seen."""


def recommend(
    library: Library,
    *,
    liked: Sequence[str | Span],
    watched: Sequence[str | Span] = (),
    k: int = 10,
    where: Filter | None = None,
    eagerness: float = EAGERNESS,
) -> Recommendations:
    """Return videos to watch next, each with its reason.

    All vectors are read once; of the videos that are chosen, features. Nothing is decoded.

    Args:
        library: The library.
        liked: Videos (by identity), segments (`VIDEO_ID:ORDINAL`) or spans of files in the library.
        watched: The same of what was seen, liked or not.
        k: How many at most.
        where: Which videos may be recommended; None means all.
        eagerness: How much likeness counts beside diversity; far more is plain nearness.

    Raises:
        QueryError: Something named is not in the library, nothing is liked, or nothing is left.
        LibraryError: The library is empty or damaged.
    """
    if not liked or k < 1:
        raise QueryError("name at least one liked video, and ask for at least one")
    contents = library.contents()
    spans = [_found(library, contents, one) for one in liked]
    seen = Seen(library, contents, {_found(library, contents, one).video_key for one in watched})
    seen.keys |= {span.video_key for span in spans}
    allowed = None if where is None else set(allowed_videos(library.catalogue, where))
    vectors = VideoVectors(contents)
    worth, nearest = _worth(vectors, [vectors.of_rows(rows_of(contents, one)) for one in spans])
    may = [(allowed is None or key in allowed) and key not in seen.keys for key in vectors.keys]
    pool = np.flatnonzero(may)
    pool = pool[np.argsort(-worth[pool], kind="stable")[: max(POOL_VIDEOS, 4 * k)]]
    rows, left_out = _chosen(contents, seen, vectors, worth, pool, k, eagerness)
    if not rows:
        raise QueryError(
            f"nothing to recommend: of {len(contents.videos)} videos, {len(seen.keys)} were seen,"
            f" {len(left_out)} show the same or nothing"
            + ("" if where is None else ", and the others do not pass the filter")
        )
    why = _Reasons(contents, seen)
    found = []
    for row in rows:
        video = contents.videos[vectors.keys[row]]
        reason = why.of(spans[nearest[row]], video.key)
        found.append(Recommendation(video.path, video.video_id, float(worth[row]), reason))
    return Recommendations(tuple(found), left_out, seen.untold)


def _chosen(  # noqa: PLR0913, PLR0917  # what was worked out so far
    contents: Contents,
    seen: Seen,
    vectors: "VideoVectors",
    worth: NDArray[np.float64],
    pool: NDArray[np.int64],
    k: int,
    eagerness: float,
) -> tuple[list[int], tuple[LeftOut, ...]]:
    """Return rows of the videos to watch, and what was left out on the way."""
    left_out: list[LeftOut] = []
    chosen: list[int] = []

    def is_new(row: int) -> bool:
        video = contents.videos[vectors.keys[int(pool[row])]]
        original = seen.original_of(video.key, shown_too=chosen)
        if original is not None:
            left_out.append(LeftOut(video.path, contents.videos[original].path))
        elif seen.is_dull(video.key, video.start_seconds, video.end_seconds):
            left_out.append(LeftOut(video.path, None))
        else:
            chosen.append(video.key)
            return True
        return False

    values = vectors.values[pool]
    rows = choose_diverse(worth[pool], values, k, eagerness=eagerness, accept=is_new)
    return pool[rows].tolist() if rows else [], tuple(left_out)


def _found(library: Library, contents: Contents, named: str | Span) -> MarkedSpan:
    span = find_span(library.catalogue, contents.space.space_id, named)
    if span.video_key not in contents.videos:
        raise QueryError(f"{named}: its files are gone, or it is not indexed by the present model")
    return span


class VideoVectors:
    """Vectors of all videos, less what is common to them, part by part.

    Attributes:
        keys: (V,) of the videos, ascending.
        values: (V, D) unit length, or zero.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        names, starts = np.unique(contents.keys, return_index=True)
        seconds = np.diff(contents.bounds, axis=1).astype(np.float32)
        sums = np.stack(
            [_weighted(contents.vectors[a:b], seconds[a:b]) for a, b in _runs(starts, contents)]
        )
        self.keys: list[int] = names.tolist()
        self._means = [normalise(part).mean(axis=0) for part in self._split(sums)]
        self.values = self._centred(sums)

    def of_rows(self, rows: Sequence[int]) -> Float:
        """Return the vector (D,) of some segments."""
        seconds = np.diff(self._contents.bounds[rows], axis=1).astype(np.float32)
        whole = _weighted(self._contents.vectors[rows], seconds)
        return np.asarray(self._centred(whole[None])[0], np.float32)

    def _centred(self, vectors: Float) -> Float:
        looks, moves = (
            normalise(np.where(part.any(axis=1, keepdims=True), part - mean, 0))
            for part, mean in zip(self._split(vectors), self._means, strict=True)
        )
        return compose(looks, moves, self._contents.space.motion_weight)

    def _split(self, vectors: Float) -> tuple[Float, Float]:
        return split(vectors, self._contents.space.appearance_dim)


def _runs(starts: NDArray[np.int64], contents: Contents) -> list[tuple[int, int]]:
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(contents)], strict=True))


def _weighted(vectors: Float, seconds: Float) -> Float:
    return np.asarray((vectors * seconds).sum(axis=0), np.float32)


def _worth(
    vectors: VideoVectors, liked: Sequence[Float]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return how like each video (V,) is to what was liked, and which of it it is most like.

    A soft maximum: what is like one of two liked videos is like what was liked.
    """
    each = (np.stack(liked) @ vectors.values.T).astype(np.float64)  # (L, V)
    soft = np.log(np.exp(SHARPNESS * (each - 1)).mean(axis=0)) / SHARPNESS + 1
    return soft, each.argmax(axis=0)


class _Reasons:
    """Which moments of two videos are alike, beyond what a moment shares with the library."""

    def __init__(self, contents: Contents, seen: Seen) -> None:
        self._contents = contents
        self._seen = seen
        space = contents.space
        self._weight = space.motion_weight
        self._likeness = partial(
            likeness, appearance_dim=space.appearance_dim, motion_weight=space.motion_weight
        )
        step = -(-len(contents) // MOST_ROWS)
        self._sample = contents.vectors[::step]

    def of(self, span: MarkedSpan, key: int) -> Reason:
        """Return why a video is like a liked span."""
        contents = self._contents
        mine = self._shown(rows_of(contents, span))
        theirs = self._shown(range(*contents.segments_of(key).indices(len(contents))))
        liked, others = contents.vectors[mine], contents.vectors[theirs]
        score, looks, moves = self._likeness(liked, others)
        usual, usual_looks, usual_moves = map(_mean, self._likeness(liked, self._sample))
        one, other = np.unravel_index(int((score - usual).argmax()), score.shape)
        motion = float(moves[one, other])
        gains = {
            "appearance": (looks - usual_looks)[one, other] * (1 - self._weight),
            "motion": np.nan_to_num((moves - usual_moves)[one, other]) * self._weight,
        }
        return Reason(
            self._moment(mine[one]),
            self._moment(theirs[other]),
            float(score[one, other]),
            float(looks[one, other]),
            None if np.isnan(motion) else motion,
            _by(gains),
        )

    def _shown(self, rows: Sequence[int]) -> list[int]:
        """Return the rows in which something is seen; all of them where nothing is in any."""
        some = list(rows)[:: -(-len(rows) // MOST_ROWS)]
        contents = self._contents
        shown = [
            row
            for row in some
            if not self._seen.is_dull(int(contents.keys[row]), *contents.bounds[row].tolist())
        ]
        return shown or some

    def _moment(self, row: int) -> VideoMoment:
        video = self._contents.videos[int(self._contents.keys[row])]
        return VideoMoment(video.path, video.video_id, *self._contents.bounds[row].tolist())


def _mean(part: Float) -> Float:
    """Return the mean (L, 1) of a likeness (L, N) over those that there are."""
    number = np.isfinite(part).sum(axis=1, keepdims=True)
    mean: Float = np.nan_to_num(part).sum(axis=1, keepdims=True) / np.maximum(number, 1)
    return mean


def _by(gains: Mapping[str, float]) -> Literal["appearance", "motion", "both"]:
    if gains["appearance"] >= TIMES_AS_MUCH * gains["motion"]:
        return "appearance"
    return "motion" if gains["motion"] >= TIMES_AS_MUCH * gains["appearance"] else "both"
