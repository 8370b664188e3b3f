"""What becomes of a score when frames are left out: read again from features, nothing is decoded.

Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section
4.2), over time; deletion and insertion (Petsiuk et al., "RISE: Randomized Input Sampling for
Explanation of Black-box Models", 2018, section 4.2).

Frames are taken away, not painted over: what stays is read as a video that was sampled less often,
which the temporal model knows from its training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soravec.runtime.encoder import Encoder
from soravec.runtime.frames import frames_of_segment
from soravec.runtime.sketches import without_sketches
from soravec.types import FrameFeatures, Shots
from soravec.video import plan_segments

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]
Worth = Callable[[NDArray[np.float32]], Float]
"""Gives vectors (N, D) of segments a number each, (N,)."""

BATCH_READINGS = 512
"""Segments that are read again at once."""
MOST_STEPS = 32
"""Of a curve: of more frames, several are taken at once."""
NUM_RANDOM = 20
"""Random orders that an explanation is compared with."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Whether what an explanation puts first is what the score depends on.

    Areas under the curves of the score while what mattered most is taken away first (deletion:
    lower is better) or added first (insertion: higher is better), beside the mean of random orders;
    in [0, 1] where the score is a probability.
    """

    deletion: float
    random_deletion: float
    insertion: float
    random_insertion: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A span, and which of its frames speak for each of its segments."""

    encoder: Encoder
    features: FrameFeatures
    members: tuple[NDArray[np.int64], ...]
    """The frames of each segment, ascending."""
    lengths: Float
    """(S,) seconds of each segment."""

    def __len__(self) -> int:
        return len(self.features)


def reading_of(encoder: Encoder, features: FrameFeatures) -> Reading:
    """Return a span as the segments that `Encoder.embed_features` makes of it."""
    bounds = plan_segments(features.shots, encoder.config.sampling.segment_seconds)
    members = tuple(frames_of_segment(features.seconds, start, end) for start, end in bounds)
    return Reading(encoder, features, members, bounds[:, 1] - bounds[:, 0])


def read_again(reading: Reading, kept: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Return the vectors (N, D) of segments of which some frames were kept.

    Args:
        reading: The span.
        kept: Which frames, ascending, at least one, all of one segment.
    """
    parts = [
        _read(reading, kept[begin : begin + BATCH_READINGS])
        for begin in range(0, len(kept), BATCH_READINGS)
    ]
    return np.concatenate(parts)


def judge(reading: Reading, kept: Bools, worth: Worth) -> Float:
    """Return the worth (V,) of a span of which some frames were kept: the mean over its segments.

    As in `Head.classify`, segments count by their length; one without any frame does not count.

    Args:
        reading: The span.
        kept: (V, T) which frames; at least one each time.
        worth: What a segment is worth.
    """
    wanted: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    for frames in reading.members:
        rows, which = np.unique(kept[:, frames], axis=0, return_inverse=True)
        some = rows.any(axis=1)
        place = np.where(some, len(wanted) + np.cumsum(some) - 1, -1)
        places.append(place[which.reshape(-1)])
        wanted += [frames[row] for row in rows[some]]
    values = np.append(worth(read_again(reading, wanted)), 0.0)  # at -1: of no frame
    table = np.stack(places, axis=1)  # (V, S)
    weights = np.where(table >= 0, reading.lengths, 0.0)
    total: Float = (values[table] * weights).sum(axis=1) / weights.sum(axis=1)
    return total


def frame_heat(reading: Reading, worth: Worth) -> Float:
    """Return how much each frame (T,) speaks for what a span is worth; below 0: against it.

    What the span loses without the frame, times the number of frames, and what the frame is worth
    alone, less the mean of that over frames; half of each. These are the last and the first step of
    Shapley's orders: of many frames that show the same, none is missed when it alone is left out.
    """
    number = len(reading)
    if number == 1:
        return np.zeros(1)
    one = np.eye(number, dtype=bool)
    values = judge(reading, np.concatenate([np.ones((1, number), bool), ~one, one]), worth)
    lost, alone = values[0] - values[1 : number + 1], values[number + 1 :]
    heat: Float = (lost * number + alone - alone.mean()) / 2
    return heat


def faithfulness(
    heat: Float,
    curve: Callable[[Bools], Float],
    *,
    num_random: int = NUM_RANDOM,
    most_steps: int = MOST_STEPS,
    seed: int = 0,
) -> Faithfulness | None:
    """Return deletion and insertion of an explanation; None of fewer than two parts.

    Departure: one part is left at the end of deletion, since of nothing there is no vector.

    Args:
        heat: (T,) of the parts.
        curve: Gives the score (V,) of the parts (V, T) that are there.
        num_random: How many random orders are averaged.
        most_steps: Of a curve: of more parts, several are taken at once.
        seed: Of these.
    """
    number = len(heat)
    if number < 2:
        return None
    rng = np.random.default_rng(seed)
    orders = [np.argsort(-heat, kind="stable")]
    orders += [rng.permutation(number) for _ in range(num_random)]
    ranks = np.stack([np.argsort(order) for order in orders])  # (1 + R, T)
    taken = np.unique(np.linspace(0, number - 1, min(number, most_steps)).round().astype(int))
    kept = np.stack([ranks[:, None] >= taken[:, None], ranks[:, None] <= taken[:, None]])
    points = curve(kept.reshape(-1, number)).reshape(2, len(orders), len(taken))
    areas = np.asarray(np.trapezoid(points, taken / (number - 1), axis=-1))  # (2, 1 + R)
    (deletion, insertion), (random_deletion, random_insertion) = areas[:, 0], areas[:, 1:].mean(1)
    return Faithfulness(
        float(deletion), float(random_deletion), float(insertion), float(random_insertion)
    )


def _read(reading: Reading, kept: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Lay segments one after the other as shots of a video of their own, and read that."""
    features = reading.features
    length = reading.encoder.config.sampling.segment_seconds
    starts = 2 * length * np.arange(len(kept))
    seconds = [
        start + features.seconds[frames] - features.seconds[frames[0]]
        for start, frames in zip(starts, kept, strict=True)
    ]
    made_up = replace(
        without_sketches(features),
        features=features.features[np.concatenate(kept)],
        seconds=np.concatenate(seconds),
        shots=Shots(np.stack([starts, starts + length], axis=1)),
    )
    segments = reading.encoder.embed_features(made_up).segments
    return np.stack([segment.vector for segment in segments])
