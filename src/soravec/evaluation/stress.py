"""The same clips made harder in time: features reordered, thinned, cut; nothing is decoded again.

Answers whether a model uses time at all (if shuffled frames do as well, it does not), how many
frames per second it needs, and what averaging several temporal views gives.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from soravec.runtime.frames import frames_of_segment
from soravec.types import FrameFeatures, Shots
from soravec.video import plan_segments

Float = NDArray[np.float64]
Score = Callable[[FrameFeatures], Float]
"""Takes the features of a clip, gives its scores (K,)."""
Order = NDArray[np.int64]

NUM_SHUFFLES = 3
NUM_VIEWS = 5
MOST_RATES = 5
VIEW_SHARE = 0.75
"""Length of a temporal view, as a share of the clip."""
ORDERS = ("shuffled", "reversed", "still")


def order_scores(
    score: Score, clips: Sequence[FrameFeatures], *, segment_seconds: float, seed: int = 0
) -> dict[str, list[Float]]:
    """Return scores (N, K) of clips whose frames are out of order, by what was done to them.

    Within each segment: `shuffled` at random (NUM_SHUFFLES times, each in the list), `reversed`,
    and `still`, where the middle frame stands for all. What the CNN reads of the change to the
    frame before stays with its frame.

    Args:
        score: Gives the scores of a clip.
        clips: Features of each.
        segment_seconds: Longest segment.
        seed: Of the shuffles.
    """
    found: dict[str, list[Float]] = {}
    for name in ORDERS:
        rounds = NUM_SHUFFLES if name == "shuffled" else 1
        found[name] = [
            np.stack(
                [
                    score(reordered(one, name, segment_seconds, np.random.default_rng(key)))
                    for one, key in zip(clips, _keys(seed, turn, len(clips)), strict=True)
                ]
            )
            for turn in range(rounds)
        ]
    return found


def reordered(
    features: FrameFeatures, order: str, segment_seconds: float, rng: np.random.Generator
) -> FrameFeatures:
    """Return features with the frames of every segment in another order, at the same times.

    Reversed frames keep their distances: those at 0, 1 and 3 s stand at 0, 2 and 3 s.
    """
    values, seconds = features.features.copy(), features.seconds.copy()
    for start, end in plan_segments(features.shots, segment_seconds):
        frames = frames_of_segment(seconds, start, end)
        if len(frames) < 2:
            continue
        if order == "shuffled":
            values[frames] = features.features[rng.permutation(frames)]
        elif order == "still":
            values[frames] = features.features[frames[len(frames) // 2]]
        else:
            values[frames] = features.features[frames[::-1]]
            mirrored = features.seconds[frames[0]] + features.seconds[frames[-1]]
            seconds[frames] = mirrored - features.seconds[frames[::-1]]
    return replace(features, features=values, seconds=seconds)


def rates_below(fps: float, clips: Sequence[FrameFeatures]) -> list[float]:
    """Return halves of a rate, down to about one frame in most clips: 8 gives 4, 2, 1."""
    length = float(np.median([np.ptp(one.shots.bounds) for one in clips]))
    halvings = range(1, max(1, round(math.log2(max(2.0, fps * length)))) + 1)
    return [fps / 2**number for number in halvings][:MOST_RATES]


def thinned(features: FrameFeatures, fps: float) -> FrameFeatures:
    """Return the features that reading at a lower rate would have met, and the same shots.

    The first frame of each interval of 1 / fps since the first frame: of frames at 0, 0.5, 1 and
    1.5 s, 1 frame/s keeps those at 0 and 1 s.
    """
    place = np.floor((features.seconds - features.seconds[0]) * fps + 1e-6)
    kept = np.append(True, np.diff(place) > 0)
    return replace(features, features=features.features[kept], seconds=features.seconds[kept])


def views_of(
    features: FrameFeatures, num_views: int = NUM_VIEWS, share: float = VIEW_SHARE
) -> Iterator[FrameFeatures]:
    """Yield temporal views of a clip: the clip as it is, then spans spread evenly over it.

    Of a clip of 8 s, 5 views of 0.75 are [0, 8), [0, 6), [0.67, 6.67), [1.33, 7.33) and [2, 8).
    """
    yield features
    bounds = features.shots.bounds
    begin, end = float(bounds[0, 0]), float(bounds[-1, 1])
    length = share * (end - begin)
    for start in np.linspace(begin, end - length, num_views - 1):
        yield _span(features, float(start), float(start) + length)


def view_scores(score: Score, clips: Sequence[FrameFeatures]) -> Float:
    """Return scores (N, K), each the mean over NUM_VIEWS temporal views of a clip."""
    return np.stack([np.mean([score(view) for view in views_of(one)], axis=0) for one in clips])


def _span(features: FrameFeatures, start: float, end: float) -> FrameFeatures:
    bounds = np.clip(features.shots.bounds, start, end)
    frames = frames_of_segment(features.seconds, start, end)
    return replace(
        features,
        features=features.features[frames],
        seconds=features.seconds[frames],
        shots=Shots(bounds[bounds[:, 1] > bounds[:, 0]], features.shots.approximate),
    )


def _keys(seed: int, turn: int, number: int) -> list[list[int]]:
    return [[seed, turn, clip] for clip in range(number)]
