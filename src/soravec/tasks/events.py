"""Where in time something happens: scores at every frame, smoothed, thresholded, merged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soravec.errors import LibraryError, ModelError, QueryError
from soravec.library.batch import embed_files
from soravec.library.filters import Filter
from soravec.library.library import Library
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import Head
from soravec.types import Event, FrameFeatures
from soravec.video import LIMITS, AllowUrls, Limits

ALIKE = 0.5
"""Intersection over union of two spans above which they are one."""
MARGIN = 0.25
"""Of a span's length on either side: what it should stand out from."""
THRESHOLDS = tuple(step / 20 for step in range(1, 20))
NO_CUTS = np.zeros(0, np.int64)
EPSILON = 1e-6
"""Seconds: times are not exact."""
BLOCK_FRAMES = 2048
"""Frames whose windows are read at once."""


@dataclass(frozen=True, slots=True)
class EventOptions:
    """How scores become events."""

    threshold: float = 0.5
    """An event has a frame that scores at least so much."""
    going_on: float = 0.5
    """It goes on while frames score at least this share of the threshold; segments: all of it."""
    smooth_seconds: float = 0.5
    """Scores are averaged over so long; 0: they are not."""
    gap_seconds: float = 0.5
    """Events of one class less apart than this are one."""
    least_seconds: float = 0.5
    """Shorter events are none."""
    snap_seconds: float = 0.5
    """Where a cut is so near to the start or the end, it begins or ends there."""
    window_seconds: float | None = None
    """How much is read around each frame by a head that reads no running state; None: as it was
    learned, in windows or by segments."""

    def __post_init__(self) -> None:
        if not (0 < self.threshold <= 1 and 0 < self.going_on <= 1):
            raise QueryError("threshold and going_on must lie in (0, 1]")
        lengths = self.smooth_seconds, self.gap_seconds, self.least_seconds, self.snap_seconds
        if min(lengths) < 0:
            raise QueryError(f"lengths in seconds must be at least 0: {self}")
        if self.window_seconds is not None and not self.window_seconds > 0:
            raise QueryError(f"window_seconds must be above 0, not {self.window_seconds}")


OPTIONS = EventOptions()


@dataclass(frozen=True, slots=True)
class Watched:
    """What became of one file."""

    path: str
    """As the caller named it."""
    events: tuple[Event, ...] | None = None
    """What happens in it, in order of time; None where it was skipped."""
    seconds: tuple[float, float] = (0.0, 0.0)
    """From when to when it lasts; both 0 where it was skipped."""
    error_type: str = ""
    """Kind of the error; empty where there was none."""
    message: str = ""
    """What, where and what to do."""


def find_events(
    features: FrameFeatures, encoder: Encoder, head: Head, options: EventOptions = OPTIONS
) -> tuple[Event, ...]:
    """Return what happens in a video, in order of time; several things at once, if need be.

    Args:
        features: Of the whole video.
        encoder: Whose temporal model reads them.
        head: Its classes; those of `softmax` exclude one another.
        options: How scores become events.

    Raises:
        ModelError: The head is of another space, or no classifier.
    """
    scores = frame_scores(features, encoder, head, window_seconds=options.window_seconds)
    if not (head.config.running or head.config.window_seconds or options.window_seconds):
        options = replace(options, going_on=1.0)  # a segment is scored whole
    bounds, cuts = frame_bounds(features), cut_frames(features)
    found = [
        Event(features.info.path, *bounds_of(bounds, span), label, mean)
        for column, label in enumerate(head.classes)
        for span, mean in spans_of(scores[:, column], bounds, options, cuts)
    ]
    return tuple(sorted(found, key=lambda event: (event.start_seconds, event.end_seconds)))


def events_of_files(
    paths: Sequence[str | Path],
    encoder: Encoder,
    head: Head,
    options: EventOptions = OPTIONS,
    *,
    num_workers: int | None = None,
    allow_urls: AllowUrls = False,
    limits: Limits = LIMITS,
    trusted: bool = False,
) -> Iterator[Watched]:
    """Yield what happens in files, in their order; one bad file does not stop the others.

    Args:
        paths: Files, clips in tars, folders of frames, URLs.
        encoder: The model.
        head: Its classes.
        options: How scores become events.
        num_workers: Processes; None means one per core.
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.
        limits: What is refused.
        trusted: Decode in children that are not confined (`soravec.sandbox`).

    Raises:
        ModelError: The head is of another space, or no classifier.
    """
    _check_head(encoder, head)
    read = embed_files(
        paths,
        encoder,
        num_workers=num_workers,
        allow_urls=allow_urls,
        limits=limits,
        trusted=trusted,
    )
    for one in read:
        if one.features is None:
            yield Watched(one.path, error_type=one.error_type, message=one.message)
        else:
            found = find_events(one.features, encoder, head, options)
            yield Watched(one.path, _of_file(found, one.path), _lasting(one.features))


def events_of_library(
    library: Library,
    encoder: Encoder,
    head: Head,
    options: EventOptions = OPTIONS,
    *,
    where: Filter | None = None,
) -> Iterator[Watched]:
    """Yield what happens in the videos of a library, from what it has read: nothing is decoded.

    Args:
        library: The library.
        encoder: A model on the CNN that the library's videos were read by.
        head: Its classes, or a taught label's.
        options: How scores become events.
        where: Which videos; None means all.

    Raises:
        LibraryError: Nothing in it can answer.
        ModelError: The head is of another space, or no classifier.
        QueryError: A date of the filter cannot be read.
    """
    _check_head(encoder, head)
    contents = library.contents(where)
    for video in sorted(contents.videos.values(), key=lambda one: one.path):
        try:
            features = library.features(video)
        except LibraryError as error:
            yield Watched(video.path, error_type=type(error).__name__, message=str(error))
            continue
        rate, learned = features.recipe.get("fps"), head.config.sample_fps
        if head.config.running and rate != learned:
            cause = f"read at {rate} frames/s, but '{head.name}' was learned at {learned:g}"
            remedy = "Name the file itself, which is then read at that rate."
            message = f"{video.path}: {cause}. {remedy}"
            yield Watched(video.path, error_type=QueryError.__name__, message=message)
            continue
        found = find_events(features, encoder, head, options)
        yield Watched(video.path, _of_file(found, video.path), _lasting(features))


def frame_scores(
    features: FrameFeatures, encoder: Encoder, head: Head, *, window_seconds: float | None = None
) -> NDArray[np.float32]:
    """Return how likely each class is at every frame, (T, K) float32.

    A head that was learned at every frame (`soravec train --events`) reads the state that an RNN
    carries through the whole video. Any other reads the segment in which a frame lies; or a window
    around each frame as if that were a segment, where it was learned so or a length is given.

    Raises:
        ModelError: The head is of another space, or no classifier.
    """
    _check_head(encoder, head)
    if head.config.running:
        later = features.seconds + head.config.delay_seconds + EPSILON
        told = np.searchsorted(features.seconds, later, side="right") - 1
        return head.scores(encoder.running_vectors(features))[told]
    length = window_seconds or head.config.window_seconds
    if not length:
        segments = encoder.embed_features(features).segments
        starts = np.array([segment.start_seconds for segment in segments])
        places = np.searchsorted(starts, features.seconds + EPSILON, side="right") - 1
        return head.scores(np.stack([one.vector for one in segments]))[np.maximum(places, 0)]
    scores = []
    for begin in range(0, len(features), BLOCK_FRAMES):
        middles = features.seconds[begin : begin + BLOCK_FRAMES]
        bounds = np.stack([middles - length / 2, middles + length / 2], axis=1)
        scores.append(head.scores(encoder.span_vectors(features, bounds)))
    return np.concatenate(scores)


def frame_bounds(features: FrameFeatures) -> NDArray[np.float64]:
    """Return from when each frame speaks, and until when the last does, (T + 1,) seconds."""
    last = max(features.shots.bounds[-1, 1], features.seconds[-1] + 1e-3)
    return np.append(features.seconds, last)


def cut_frames(features: FrameFeatures) -> NDArray[np.int64]:
    """Return the first frame of each shot, (N,) ascending."""
    shots = np.searchsorted(features.shots.bounds[:, 0], features.seconds, side="right")
    return np.flatnonzero(np.diff(shots, prepend=-1)).astype(np.int64)


def bounds_of(bounds: NDArray[np.float64], span: tuple[int, int]) -> tuple[float, float]:
    """Return the seconds of frames `[first, last)`."""
    return float(bounds[span[0]]), float(bounds[span[1]])


def spans_of(
    scores: NDArray[np.float32],
    bounds: NDArray[np.float64],
    options: EventOptions = OPTIONS,
    cuts: NDArray[np.int64] = NO_CUTS,
) -> list[tuple[tuple[int, int], float]]:
    """Return the frames `[first, last)` of each event of one class, and their mean score.

    Smoothed scores that stay at `threshold * going_on` or above are one event where one of them
    reaches the threshold (hysteresis, as for edges in Canny, "A Computational Approach to Edge
    Detection", 1986, section VIII). Events close to one another are then joined, ends near a cut
    moved there, and short ones left out.

    Args:
        scores: (T,) of every frame.
        bounds: (T + 1,) seconds, from when each frame speaks and until when the last does.
        options: How.
        cuts: (N,) first frames of shots.

    Example: scores 0, 0.3, 0.6, 0.3, 0, one a second, not smoothed, are one event of frames 1 to 3.
    """
    smooth = smoothed(scores, bounds, options.smooth_seconds)
    going = smooth >= options.threshold * options.going_on
    edges = np.flatnonzero(np.diff(going, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    reached = [
        bool((smooth[a:b] >= options.threshold).any()) for a, b in zip(starts, ends, strict=True)
    ]
    joined: list[list[int]] = []
    for start, end in zip(starts[reached].tolist(), ends[reached].tolist(), strict=True):
        if joined and bounds[start] - bounds[joined[-1][1]] < options.gap_seconds:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    moved = (snapped(start, end, bounds, cuts, options.snap_seconds) for start, end in joined)
    return [
        ((start, end), float(smooth[start:end].mean()))
        for start, end in dict.fromkeys(moved)
        if bounds[end] - bounds[start] >= options.least_seconds
    ]


def snapped(
    start: int, end: int, bounds: NDArray[np.float64], cuts: NDArray[np.int64], seconds: float
) -> tuple[int, int]:
    """Return frames `[start, end)`, each moved to the nearest cut at most so many seconds away.

    They stay where nothing would be left between them.
    """
    if not len(cuts):
        return start, end
    ends = np.append(cuts, len(bounds) - 1)
    away = np.abs(bounds[ends] - bounds[[start, end]][:, None])  # (2, N)
    nearest = away.argmin(axis=1)
    near = away.min(axis=1) <= seconds
    first = int(ends[nearest[0]]) if near[0] else start
    last = int(ends[nearest[1]]) if near[1] else end
    return (first, last) if first < last else (start, end)


def ranked_spans(
    scores: NDArray[np.float32],
    bounds: NDArray[np.float64],
    options: EventOptions = OPTIONS,
    cuts: NDArray[np.int64] = NO_CUTS,
) -> list[tuple[tuple[int, int], float]]:
    """Return spans of one class of every sureness, surest first, of which none are much alike.

    Those of `spans_of` at many thresholds (as in Zhao et al., "Temporal Action Detection with
    Structured Segment Networks", 2017, section 5), how sure a span is being its mean score less
    that of what lies just before and after it (Shou et al., "AutoLoc: Weakly-supervised Temporal
    Action Localization in Untrimmed Videos", 2018, section 3.3); then the surest of those that
    share more than `ALIKE` of what they cover together. For figures over all thresholds.
    """
    smooth = smoothed(scores, bounds, options.smooth_seconds)
    spans = {
        span
        for threshold in THRESHOLDS
        for span, _ in spans_of(scores, bounds, replace(options, threshold=threshold), cuts)
    }
    sure = sorted(((contrast(smooth, bounds, span), span) for span in spans), reverse=True)
    kept: list[tuple[tuple[int, int], float]] = []
    for score, span in sure:
        if all(_shared(bounds, span, other) <= ALIKE for other, _ in kept):
            kept.append((span, score))
    return kept


def contrast(
    smooth: NDArray[np.float64], bounds: NDArray[np.float64], span: tuple[int, int]
) -> float:
    """Return the mean score within a span, less that of a quarter of its length on either side."""
    sums = np.concatenate([[0.0], np.cumsum(smooth * np.diff(bounds))])
    start, end = bounds_of(bounds, span)
    margin = (end - start) * MARGIN
    edges = np.clip([start - margin, start, end, end + margin], bounds[0], bounds[-1])
    before, first, last, after = np.interp(edges, bounds, sums)
    outside = edges[1] - edges[0] + edges[3] - edges[2]
    around = (after - last + first - before) / outside if outside > 0 else 0.0
    return float((last - first) / (end - start) - around)


def _shared(bounds: NDArray[np.float64], first: tuple[int, int], second: tuple[int, int]) -> float:
    """Return the intersection over union of two spans of frames."""
    (a, b), (c, d) = bounds_of(bounds, first), bounds_of(bounds, second)
    shared = min(b, d) - max(a, c)
    return max(shared, 0.0) / (b - a + d - c - max(shared, 0.0))


def smoothed(
    scores: NDArray[np.float32], bounds: NDArray[np.float64], seconds: float
) -> NDArray[np.float64]:
    """Return scores (T,), each averaged over so many seconds around the middle of its frame.

    Frames count for as long as they speak, so uneven times do no harm.
    """
    if not seconds:
        return scores.astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(scores * np.diff(bounds))])
    middles = (bounds[1:] + bounds[:-1]) / 2
    starts = np.clip(middles - seconds / 2, bounds[0], bounds[-1])
    ends = np.clip(middles + seconds / 2, bounds[0], bounds[-1])
    within = np.interp(ends, bounds, sums) - np.interp(starts, bounds, sums)
    return np.asarray(within / (ends - starts))


def _of_file(events: tuple[Event, ...], path: str) -> tuple[Event, ...]:
    """Return events by a path: that of the features may be an older one."""
    return tuple(replace(event, path=path) for event in events)


def _lasting(features: FrameFeatures) -> tuple[float, float]:
    bounds = frame_bounds(features)
    return float(bounds[0]), float(bounds[-1])


def _check_head(encoder: Encoder, head: Head) -> None:
    if head.config.space_id != encoder.space_id:
        raise ModelError(
            f"the head '{head.name}' reads vectors of space {head.config.space_id}, but"
            f" {encoder.name} makes {encoder.space_id}"
        )
    if head.activation == "identity":
        raise ModelError(f"the head '{head.name}' tells numbers, not classes: no events")
