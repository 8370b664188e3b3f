"""How well spans of time are found: average precision at a temporal intersection over union.

As ActivityNet measures it (Heilbron et al., "ActivityNet: A Large-Scale Video Benchmark for Human
Activity Understanding", 2015, section 4): what was found, surest first, is right where it shares
enough with a true span of its class in its video that nothing surer has taken.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soravec.evaluation.intervals import Counts, Statistic

Float = NDArray[np.float64]


class FoundSpan(NamedTuple):
    """A span that was found, or a true one."""

    video: int
    """Number of its video."""
    start_seconds: float
    end_seconds: float
    score: float = 1.0
    """How sure it is; of a true one it does not matter."""


def temporal_iou(first: Float, second: Float) -> Float:
    """Return the intersection over union (N, M) of spans (N, 2) and (M, 2) in seconds.

    Example: [0, 2) and [1, 4) share 1 of 4 seconds: 0.25.
    """
    starts = np.maximum(first[:, None, 0], second[None, :, 0])
    ends = np.minimum(first[:, None, 1], second[None, :, 1])
    shared = np.maximum(ends - starts, 0)
    lengths = np.diff(first, axis=1) + np.diff(second, axis=1).T
    return np.asarray(shared / np.maximum(lengths - shared, 1e-12))


def are_right(
    found: Sequence[FoundSpan], truth: Sequence[FoundSpan], least_iou: float
) -> NDArray[np.bool_]:
    """Return which of the spans found, surest first, are right (N,), in the order given.

    Each true span is found once: by the surest span that shares `least_iou` with it and with no
    other free one more.
    """
    right = np.zeros(len(found), bool)
    for video in {span.video for span in found}:
        mine = [row for row, span in enumerate(found) if span.video == video]
        true = [span for span in truth if span.video == video]
        if not true:
            continue
        shared = temporal_iou(_bounds([found[row] for row in mine]), _bounds(true))
        for place in sorted(range(len(mine)), key=lambda at: -found[mine[at]].score):
            best = int(shared[place].argmax())
            if shared[place, best] >= least_iou:
                right[mine[place]] = True
                shared[:, best] = -1
    return right


def average_precision(
    found: Sequence[FoundSpan], truth: Sequence[FoundSpan], *, num_videos: int, least_iou: float
) -> Statistic:
    """Return the statistic that is the average precision, of videos drawn so often.

    The area under precision over recall, precision being the best at that recall or above. NaN
    where no true span was drawn.

    Args:
        found: Spans of one class.
        truth: True spans of the class.
        num_videos: V; `FoundSpan.video` counts from 0.
        least_iou: From which intersection over union on a span is right.
    """
    order = sorted(range(len(found)), key=lambda row: -found[row].score)
    right = are_right(found, truth, least_iou)[order]
    videos = np.array([found[row].video for row in order], np.int64)
    num_true = np.bincount([span.video for span in truth], minlength=num_videos)

    def statistic(counts: Counts) -> Float:
        weights = counts[:, videos].astype(np.float64)  # (R, N)
        hits = np.cumsum(weights * right, axis=1)
        total = counts.astype(np.float64) @ num_true  # (R,)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = hits / np.maximum(np.cumsum(weights, axis=1), 1e-12)
            recall = hits / total[:, None]
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        area = (np.diff(recall, axis=1, prepend=0) * best).sum(axis=1)
        return np.where(total > 0, area, np.nan)

    return statistic


def _bounds(spans: Sequence[FoundSpan]) -> Float:
    return np.array([[span.start_seconds, span.end_seconds] for span in spans], np.float64)
