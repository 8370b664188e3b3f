"""Features pooled over time: the baselines that every table shows, before any probe is fitted."""

import numpy as np
from numpy.typing import NDArray

from soravec.runtime.frames import features_of_segment, frames_of_segment
from soravec.runtime.vectors import normalise
from soravec.types import FrameFeatures
from soravec.video import plan_segments

Float = NDArray[np.float64]


def pooled_mean(
    features: FrameFeatures, *, segment_seconds: float, parts: tuple[int, int, int]
) -> Float:
    """Return the mean (C,) over frames, segments weighted by duration: blind to time.

    Args:
        features: Of one clip.
        segment_seconds: Longest segment.
        parts: How many features are of the frame's looks, of its difference and of the layout
            (`CnnConfig.parts`). The first two are scaled to unit length each, and the layout is
            left as it is, as temporal models read them.
    """
    width = features.features.shape[1]
    return pooled_statistics(features, segment_seconds=segment_seconds, parts=parts)[:width]


def pooled_statistics(
    features: FrameFeatures, *, segment_seconds: float, parts: tuple[int, int, int]
) -> Float:
    """Return mean, standard deviation and mean absolute change from frame to frame (3 C,).

    Of each segment, so that no change is taken across a cut; then the mean over segments, weighted
    by duration. The change is 0 in a segment of one frame. Arguments as of `pooled_mean`.
    """
    series = features.features.astype(np.float64)
    looks, moves, layout = np.split(series, np.cumsum(parts)[:2], axis=1)
    series = np.concatenate([normalise(looks), normalise(moves), layout], axis=1)
    bounds = plan_segments(features.shots, segment_seconds)
    rows = []
    for start, end in bounds:
        members = frames_of_segment(features.seconds, start, end)
        frames = features_of_segment(series, members, parts)
        change = np.abs(np.diff(frames, axis=0)) if len(frames) > 1 else np.zeros_like(frames)
        rows.append(np.concatenate([frames.mean(0), frames.std(0), change.mean(0)]))
    return np.average(rows, axis=0, weights=bounds[:, 1] - bounds[:, 0])
