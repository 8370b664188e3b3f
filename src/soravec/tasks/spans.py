"""A span that somebody names, as frame features: kept ones of a library, else read anew."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError
from soravec.library.library import Library
from soravec.library.marks import find_span
from soravec.runtime.encoder import Encoder
from soravec.runtime.frames import frames_of_segment
from soravec.runtime.sketches import without_sketches
from soravec.tasks.stored import read_features
from soravec.types import FrameFeatures, Shots
from soravec.video import LIMITS, Limits, Span


def read_span(
    named: str | Span,
    encoder: Encoder,
    *,
    library: Library | None = None,
    limits: Limits = LIMITS,
    trusted: bool = False,
) -> FrameFeatures:
    """Return the frame features of a span; nothing is decoded where a library holds them.

    Args:
        named: A `segment_id` of the library, or a span of a file, which need not be in it.
        encoder: What reads a file that is not; the library's own model where there is one.
        library: Where segments and files are looked up.
        limits: What is refused of a file that is read.
        trusted: Decode in a child that is not confined (`soravec.sandbox`).

    Returns:
        Of the frames of the span alone, cut where the video is cut; `info.path` is a path of it.

    Raises:
        QueryError: It is not there, or holds no frame.
        SoravecError: The file cannot be used.
    """
    if isinstance(named, Span):
        path = str(named.path)
        read = read_features(path, library, encoder=encoder, limits=limits, trusted=trusted)
        return cut_features(read.features, named.start_seconds, named.end_seconds)
    if library is None:
        raise QueryError(f"{named}: a segment_id belongs to a library. Name one: --library DIR")
    return _kept_segment(named, library)


def cut_features(
    features: FrameFeatures, start_seconds: float | None, end_seconds: float | None
) -> FrameFeatures:
    """Return the part of a video's features that lies in a span, without sketches.

    Args:
        features: Of the whole video.
        start_seconds: Where the span begins; None means the beginning.
        end_seconds: Where it ends; None means the end.

    Raises:
        QueryError: The span is empty or lies outside the video.
    """
    first, last = float(features.shots.bounds[0, 0]), float(features.shots.bounds[-1, 1])
    start = first if start_seconds is None else max(first, start_seconds)
    end = last if end_seconds is None else min(last, end_seconds)
    if not start < end:
        raise QueryError(
            f"{features.info.path}: no span from {start_seconds} to {end_seconds} s: it has"
            f" {first:g} to {last:g} s"
        )
    frames = frames_of_segment(features.seconds, start, end)
    seconds = features.seconds[frames]
    return replace(
        without_sketches(features),
        features=features.features[frames],
        seconds=seconds,
        shots=Shots(
            _pieces(features.shots.bounds[1:, 0], seconds, start, end), features.shots.approximate
        ),
    )


def _kept_segment(named: str, library: Library) -> FrameFeatures:
    space = library.space()
    span = find_span(library.catalogue, space.space_id, named)
    video_id = library.catalogue.video_id(span.video_key)
    stored = library.files.read(video_id, space.feature_id)
    sql = "SELECT path FROM paths WHERE video_key = ? ORDER BY seen DESC, path LIMIT 1"
    for (path,) in library.catalogue.rows(sql, (span.video_key,)):
        stored = replace(stored, info=replace(stored.info, path=path))
    return cut_features(stored, span.start_seconds, span.end_seconds)


def _pieces(
    cuts: NDArray[np.float64], seconds: NDArray[np.float64], start: float, end: float
) -> NDArray[np.float64]:
    """Return the shots of a span; a piece without a frame is joined to the one before it."""
    edges = [start]
    for cut in cuts[(cuts > start) & (cuts < end)].tolist():
        before = ((seconds >= edges[-1]) & (seconds < cut)).any()
        if before and ((seconds >= cut) & (seconds < end)).any():
            edges.append(cut)
    return np.stack([edges, [*edges[1:], end]], axis=1)
