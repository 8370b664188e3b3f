"""Labelled segments as padded batches, each of which follows from seed, epoch and place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soravec.models.rnn import SHORTEST_SECONDS
from soravec.runtime.frames import features_of_segment, frames_of_segment
from soravec.training.config import TimeAugmentation
from soravec.types import FrameFeatures
from soravec.video import plan_segments


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a labelled clip, as it is and in augmented views."""

    clip: int
    """Which clip, among those that are learned from."""
    views: tuple[NDArray[np.float16], ...]
    """(T, C) float16 each; the first is the segment as it is."""
    seconds: NDArray[np.float64]
    """(T,) float64 PTS seconds."""
    truth: NDArray[np.float32]
    """(K,) float32: 1 for each class that is right, or the targets; empty without labels."""
    duration_seconds: float
    """Its share in the clip's score."""


@dataclass(slots=True)  # not frozen: Fabric converts the tensors of a batch in place
class Batch:
    """Padded segments."""

    features: Tensor
    """(B, T, C) float32."""
    elapsed_seconds: Tensor
    """(B, T) float32, 0 for the first frame."""
    mask: Tensor
    """(B, T) float32, 1 for a frame."""
    truth: Tensor
    """(B, K) float32."""

    def __len__(self) -> int:
        return len(self.mask)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(
            self.features.to(device),
            self.elapsed_seconds.to(device),
            self.mask.to(device),
            self.truth.to(device),
        )


def segments_of(
    clip: int,
    views: Sequence[FrameFeatures],
    truth: NDArray[np.float32],
    *,
    segment_seconds: float,
    parts: tuple[int, int, int],
) -> list[Segment]:
    """Return the segments of a clip: the same that `Encoder.embed_features` makes.

    Args:
        clip: Its number.
        views: Features of the clip as it is and augmented, frame by frame at the same times.
        truth: (K,) of the clip.
        segment_seconds: Longest segment.
        parts: How many features are of the frame's looks, of its difference and of the layout
            (`CnnConfig.parts`).
    """
    seconds = views[0].seconds
    segments = []
    for start, end in plan_segments(views[0].shots, segment_seconds):
        frames = frames_of_segment(seconds, start, end)
        read = tuple(features_of_segment(view.features, frames, parts) for view in views)
        segments.append(Segment(clip, read, seconds[frames], truth, float(end - start)))
    return segments


def plain_batches(segments: Sequence[Segment], batch_size: int) -> Iterator[Batch]:
    """Yield segments as they are, in their order."""
    for begin in range(0, len(segments), batch_size):
        part = segments[begin : begin + batch_size]
        yield collate([(s.views[0], s.seconds, s.truth) for s in part])


class CachedSource:
    """Batches of segments whose features lie in memory.

    Args:
        train: What is learned from.
        validation: What is not.
        batch_size: Segments per batch.
        time: How frames of training segments are varied in time.
        seed: Of order and variation.
        num_views: Versions of each batch.
    """

    def __init__(
        self,
        train: Sequence[Segment],
        validation: Sequence[Segment],
        *,
        batch_size: int,
        time: TimeAugmentation,
        seed: int,
        num_views: int = 1,
    ) -> None:
        self._train = train
        self._validation = validation
        self._batch_size = batch_size
        self._time = time
        self._seed = seed
        self._num_views = num_views

    @property
    def num_batches(self) -> int:
        """How many make an epoch; the last one may be smaller."""
        return (len(self._train) + self._batch_size - 1) // self._batch_size

    def training(self, epoch: int, begin: int) -> Iterator[list[Batch]]:
        """Yield the views of each batch of an epoch, from batch `begin` on."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._train))
        for number in range(begin, self.num_batches):
            first = number * self._batch_size
            chosen = [self._train[i] for i in order[first : first + self._batch_size]]
            rng = np.random.default_rng([self._seed, epoch, number])
            yield [self._varied(chosen, rng) for _ in range(self._num_views)]

    def validation(self) -> Iterator[list[Batch]]:
        """Yield the validation segments as they are; further views are varied, always alike."""
        for begin in range(0, len(self._validation), self._batch_size):
            part = self._validation[begin : begin + self._batch_size]
            rng = np.random.default_rng([self._seed, begin])
            others = [self._varied(part, rng) for _ in range(self._num_views - 1)]
            yield [*plain_batches(part, len(part)), *others]

    def _varied(self, segments: Sequence[Segment], rng: np.random.Generator) -> Batch:
        return collate([varied(segment, self._time, rng) for segment in segments])


Example = tuple[NDArray[np.float16], NDArray[np.float64], NDArray[np.float32]]
"""Features (T, C), seconds (T,) and truth (K,)."""


def varied(segment: Segment, time: TimeAugmentation, rng: np.random.Generator) -> Example:
    """Return one of a segment's views, varied in time."""
    features = segment.views[rng.integers(len(segment.views))]
    kept, factor = varied_frames(len(segment.seconds), time, rng)
    return features[kept], segment.seconds[kept] * factor, segment.truth


def varied_frames(
    count: int, time: TimeAugmentation, rng: np.random.Generator
) -> tuple[NDArray[np.int64], float]:
    """Return which of `count` frames are kept, ascending, and what their times are multiplied by.

    At least two frames remain of those there are.
    """
    least = min(2, count)
    length = max(least, round(count * rng.uniform(time.crop, 1)))
    first = int(rng.integers(count - length + 1))
    kept = first + np.flatnonzero(rng.random(length) >= rng.uniform(0, time.drop))
    if len(kept) < least:
        kept = np.arange(first, first + length)
    return kept, float(np.exp(rng.uniform(-1, 1) * np.log(time.speed)))


def collate(examples: Sequence[Example]) -> Batch:
    """Return examples as one padded batch."""
    elapsed, mask = padded_times([seconds for _, seconds, _ in examples])
    features = np.zeros((*mask.shape, examples[0][0].shape[1]), np.float32)
    for row, (values, _, _) in enumerate(examples):
        features[row, : len(values)] = values
    truth = torch.from_numpy(np.stack([truth for _, _, truth in examples]))
    return Batch(torch.from_numpy(features), elapsed, mask, truth)


def padded_times(series: Sequence[NDArray[np.float64]]) -> tuple[Tensor, Tensor]:
    """Return the seconds since the previous frame and the mask, each (B, T) float32."""
    longest = max(len(seconds) for seconds in series)
    elapsed, mask = np.zeros((2, len(series), longest), np.float32)
    for row, seconds in enumerate(series):
        elapsed[row, 1 : len(seconds)] = np.maximum(np.diff(seconds), SHORTEST_SECONDS)
        mask[row, : len(seconds)] = 1
    return torch.from_numpy(elapsed), torch.from_numpy(mask)
