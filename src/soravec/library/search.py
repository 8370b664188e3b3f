"""Answers by vectors and by words: hits are moments, with a score and its two parts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError, SpaceMismatch
from soravec.library.catalogue import Catalogue
from soravec.library.filters import Filter, allowed_by, allowed_videos
from soravec.library.moments import OVERLAP_SHARE, Match, Moment, find_moments
from soravec.library.schema import SegmentRow, Space
from soravec.library.store import Allowed, VectorRows, VectorStore
from soravec.library.words import find_words
from soravec.runtime.vectors import likeness, split
from soravec.types import Embedding, Hit

CANDIDATES_PER_HIT, MIN_CANDIDATES = 10, 50
"""Segments fetched per wanted hit, so that merging and suppression leave enough."""
LONE_CANDIDATES_PER_HIT, LONE_MIN_CANDIDATES = 4, 30
"""For a query of one segment, whose candidates answer by themselves."""


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """Segments to look for, from whatever encoder made them.

    A text encoder that shares the space gives one segment whose motion part is zero, as an image
    does; nothing below this class knows the difference.
    """

    vectors: NDArray[np.float32]
    """(Q, D) segment vectors."""
    start_seconds: NDArray[np.float64]
    """(Q,) where each begins in the query."""
    seconds: NDArray[np.float64]
    """(Q,) length of each."""
    space_id: str
    """The space that the vectors live in."""
    without: tuple[int, int] | None = None
    """(video_key, ordinal) of a segment that must not answer itself."""

    @classmethod
    def of_embedding(cls, embedding: Embedding) -> "VectorQuery":
        """Return a query for what looks and moves like `embedding`."""
        starts = [segment.start_seconds for segment in embedding.segments]
        lengths = [segment.duration_seconds for segment in embedding.segments]
        return cls(
            vectors=np.stack([segment.vector for segment in embedding.segments]),
            start_seconds=np.array(starts, np.float64),
            seconds=np.array(lengths, np.float64),
            space_id=embedding.space_id,
        )


def search_vectors(
    catalogue: Catalogue,
    store: VectorStore,
    space: Space,
    query: VectorQuery,
    *,
    k: int,
    where: Filter,
    motion_weight: float | None = None,
) -> list[Hit]:
    """Return the `k` best moments for a query by vectors, best first.

    Args:
        catalogue: What the library holds.
        store: Its vectors in `space`.
        space: The space.
        query: What to look for.
        k: Moments at most.
        where: Which videos may answer.
        motion_weight: `w` of the score; None is the model's own.

    Raises:
        SpaceMismatch: The query lives in another space.
    """
    if query.space_id != space.space_id:
        raise SpaceMismatch(
            f"the query lives in space {query.space_id}, the library in {space.space_id}"
            f" ({space.model_name}). Make the query with the library's model."
        )
    weight = _checked_weight(motion_weight, space)
    allowed = allowed_by(catalogue, where)
    matches = _matches(catalogue, store, space, query, k=k, allowed=allowed, weight=weight)
    moments = find_moments(matches, float(query.seconds.sum()))[:k]
    return [_hit(catalogue, moment) for moment in moments]


def segment_query(
    catalogue: Catalogue, store: VectorStore, space: Space, segment_id: str
) -> VectorQuery:
    """Return a query for what resembles a stored segment.

    Raises:
        QueryError: There is no such segment.
    """
    video_id, _, ordinal = segment_id.rpartition(":")
    key = catalogue.video_key(video_id)
    rows = {r.ordinal: r for r in catalogue.segments_of(key, space.space_id)} if key else {}
    if key is None or not ordinal.isdecimal() or int(ordinal) not in rows:
        raise QueryError(
            f"no segment '{segment_id}' in this library. A hit of 'soravec search --json' names"
            " its segment_id."
        )
    segment = rows[int(ordinal)]
    stored = store.rows_of(key)
    return VectorQuery(
        vectors=stored.vectors[stored.ordinals == segment.ordinal],
        start_seconds=np.array([segment.start_seconds]),
        seconds=np.array([segment.end_seconds - segment.start_seconds]),
        space_id=space.space_id,
        without=(key, segment.ordinal),
    )


def search_words(
    catalogue: Catalogue, space: Space, text: str, *, k: int, where: Filter
) -> list[Hit]:
    """Return the `k` best moments whose words hold every term."""
    hits: list[Hit] = []
    for match in find_words(catalogue, text, videos=allowed_videos(catalogue, where)):
        segments = catalogue.segments_of(match.video_key, space.space_id)
        if not segments:
            continue
        start = match.start_seconds
        whole = start is None or match.end_seconds is None
        first = segments[0] if start is None else _segment_at(segments, start)
        hits.append(
            Hit(
                path=catalogue.path_of(match.video_key),
                start_seconds=segments[0].start_seconds if start is None else start,
                end_seconds=segments[-1].end_seconds if whole else match.end_seconds or 0.0,
                score=match.score,
                video_id=catalogue.video_id(match.video_key),
                segment_id=f"{catalogue.video_id(match.video_key)}:{first.ordinal}",
                text=match.text,
                language=match.language or None,
            )
        )
        if len(hits) == k:
            break
    return hits


def without_repeats(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits, best first, less those of about the same span as a better one's."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: -hit.score):
        if not any(hit.video_id == other.video_id and _same_span(hit, other) for other in kept):
            kept.append(hit)
    return kept


def _same_span(hit: Hit, other: Hit) -> bool:
    """Return whether two spans share more than half of the longer one."""
    shared = min(hit.end_seconds, other.end_seconds) - max(hit.start_seconds, other.start_seconds)
    longer = max(hit.end_seconds - hit.start_seconds, other.end_seconds - other.start_seconds)
    return shared > OVERLAP_SHARE * longer


def _matches(
    catalogue: Catalogue,
    store: VectorStore,
    space: Space,
    query: VectorQuery,
    *,
    k: int,
    allowed: Allowed | None,
    weight: float,
) -> list[Match]:
    """Return every candidate segment with its exact score, for every segment of the query."""
    spans: dict[tuple[int, int], SegmentRow | None] = {}
    matches = []
    for index, vector in enumerate(query.vectors):
        rows = _candidates(store, space, query, vector, k=k, allowed=allowed, weight=weight)
        score, appearance, motion = likeness(
            vector[None],
            rows.vectors,
            appearance_dim=space.appearance_dim,
            motion_weight=weight,
        )
        for row, (key, ordinal) in enumerate(
            zip(rows.video_keys.tolist(), rows.ordinals.tolist(), strict=True)
        ):
            if (key, ordinal) not in spans:
                spans[key, ordinal] = catalogue.segment(key, ordinal, space.space_id)
            span = spans[key, ordinal]
            if (key, ordinal) == query.without or span is None:
                continue
            matches.append(
                Match(
                    query_index=index,
                    query_start_seconds=float(query.start_seconds[index]),
                    query_seconds=float(query.seconds[index]),
                    video_key=key,
                    ordinal=ordinal,
                    start_seconds=span.start_seconds,
                    end_seconds=span.end_seconds,
                    score=float(score[0, row]),
                    appearance=float(appearance[0, row]),
                    motion=float(motion[0, row]),
                )
            )
    return matches


def _candidates(
    store: VectorStore,
    space: Space,
    query: VectorQuery,
    vector: NDArray[np.float32],
    *,
    k: int,
    allowed: Allowed | None,
    weight: float,
) -> VectorRows:
    """Return the rows that may answer one segment of the query.

    They come by their inner product with the query. That is the score of a moving segment, and of
    every segment where the query is still; of a still segment it is less than its score.
    """
    reweighted = _reweighted(vector, space, weight)
    is_usual = weight == space.motion_weight
    many = max(MIN_CANDIDATES, CANDIDATES_PER_HIT * k)
    if len(query.vectors) == 1:
        few = max(LONE_MIN_CANDIDATES, LONE_CANDIDATES_PER_HIT * k)
        rows = store.search(reweighted, few, allowed, everywhere=not is_usual)
        in_order = not reweighted[space.appearance_dim :].any()
        moving = rows.vectors[:, space.appearance_dim :].any(axis=1)
        if in_order or len(rows) < few or moving.all():
            return rows
    return store.search(reweighted, many, allowed, everywhere=not is_usual)


def _reweighted(vector: NDArray[np.float32], space: Space, weight: float) -> NDArray[np.float32]:
    """Return the vector whose inner product with a stored one is the score at another weight."""
    looks, motion = split(vector, space.appearance_dim)
    stored = space.motion_weight
    if not motion.any() or stored == 0:
        return np.concatenate([looks, np.zeros_like(motion)])
    parts = looks * (1 - weight) / math.sqrt(1 - stored), motion * weight / math.sqrt(stored)
    return np.concatenate(parts).astype(np.float32)


def _checked_weight(motion_weight: float | None, space: Space) -> float:
    if motion_weight is None:
        return space.motion_weight
    if not 0 <= motion_weight <= 1:
        raise QueryError(f"motion_weight must lie in [0, 1], not {motion_weight}")
    if motion_weight and not space.motion_weight:
        raise QueryError(f"the model {space.model_name} has no motion part: its RNN is untrained")
    return motion_weight


def _hit(catalogue: Catalogue, moment: Moment) -> Hit:
    video_id = catalogue.video_id(moment.video_key)
    return Hit(
        path=catalogue.path_of(moment.video_key),
        start_seconds=moment.start_seconds,
        end_seconds=moment.end_seconds,
        score=moment.score,
        video_id=video_id,
        segment_id=f"{video_id}:{moment.ordinal}",
        appearance=moment.appearance,
        motion=None if math.isnan(moment.motion) else moment.motion,
    )


def _segment_at(segments: list[SegmentRow], seconds: float) -> SegmentRow:
    """Return the segment that holds an instant, or the last one before it."""
    before = [segment for segment in segments if segment.start_seconds <= seconds]
    return before[-1] if before else segments[0]
