"""From matching segments to moments: aligned runs merged, overlaps suppressed. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_DRIFT_SECONDS = 1.0
"""Added to half a segment: how far two matches of one run may disagree about their offset."""
MAX_SEEDS = 50
"""Runs that are tried in one video; bounds the work for a query of many segments."""
OVERLAP_SHARE = 0.5
"""A moment that shares more than this of the shorter one's length with a better one is dropped."""


@dataclass(frozen=True, slots=True)
class Match:
    """One segment of the library that resembles one segment of the query."""

    query_index: int
    """Which segment of the query."""
    query_start_seconds: float
    query_seconds: float
    """Length of the query's segment."""
    video_key: int
    ordinal: int
    start_seconds: float
    end_seconds: float
    score: float
    appearance: float
    motion: float
    """NaN where either side has no motion."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A span of one video that answers the whole query."""

    video_key: int
    ordinal: int
    """The segment that matches best."""
    start_seconds: float
    end_seconds: float
    score: float
    """Mean over the query's segments, weighted by their length; one without a match counts 0."""
    appearance: float
    motion: float


def find_moments(matches: Sequence[Match], query_seconds: float) -> list[Moment]:
    """Return moments, best first.

    For a query of several segments, matches of one video whose offsets (start in the video less
    start in the query) agree form a run; of each query segment the best match counts.

    A query of two segments of 4 s that matches [10, 14) with 0.9 and [14, 18) with 0.7 gives one
    moment [10, 18) with 0.8.

    Args:
        matches: In any order.
        query_seconds: Summed length of the query's segments.
    """
    by_video: dict[int, list[Match]] = {}
    for match in matches:
        by_video.setdefault(match.video_key, []).append(match)
    moments = [_moment(run, query_seconds) for group in by_video.values() for run in _runs(group)]
    moments.sort(key=lambda m: (-m.score, m.video_key, m.start_seconds))
    return suppress_overlaps(moments)


def suppress_overlaps(moments: Sequence[Moment]) -> list[Moment]:
    """Return the moments, best first, less those that overlap a better one of the same video."""
    kept: list[Moment] = []
    for moment in moments:
        rivals = (k for k in kept if k.video_key == moment.video_key)
        if not any(_overlap(moment, rival) > OVERLAP_SHARE for rival in rivals):
            kept.append(moment)
    return kept


def _runs(matches: list[Match]) -> list[list[Match]]:
    """Group matches of one video into runs of agreeing offsets, best match first in each.

    Each of the best matches seeds one run; a match may support several runs, and overlap
    suppression then leaves the best of them.
    """
    matches = sorted(matches, key=lambda m: -m.score)
    runs = []
    for seed in matches[:MAX_SEEDS]:
        best: dict[int, Match] = {seed.query_index: seed}
        offset = seed.start_seconds - seed.query_start_seconds
        for match in matches:
            drift = abs(match.start_seconds - match.query_start_seconds - offset)
            length = max(match.query_seconds, match.end_seconds - match.start_seconds)
            if drift <= MAX_DRIFT_SECONDS + length / 2:
                best.setdefault(match.query_index, match)
        runs.append(sorted(best.values(), key=lambda m: -m.score))
    return runs


def _moment(run: list[Match], query_seconds: float) -> Moment:
    weights = np.array([m.query_seconds for m in run]) / query_seconds
    motion = np.array([m.motion for m in run])
    moving = ~np.isnan(motion)
    mean_motion = float("nan")
    if moving.any():
        mean_motion = float((weights * motion)[moving].sum() / weights[moving].sum())
    return Moment(
        video_key=run[0].video_key,
        ordinal=run[0].ordinal,
        start_seconds=min(m.start_seconds for m in run),
        end_seconds=max(m.end_seconds for m in run),
        score=float((weights * [m.score for m in run]).sum()),
        appearance=float((weights * [m.appearance for m in run]).sum()),
        motion=mean_motion,
    )


def _overlap(a: Moment, b: Moment) -> float:
    """Return the shared length as a share of the shorter moment."""
    shared = min(a.end_seconds, b.end_seconds) - max(a.start_seconds, b.start_seconds)
    shorter = min(a.end_seconds - a.start_seconds, b.end_seconds - b.start_seconds)
    return max(shared, 0.0) / max(shorter, 1e-9)
