"""Stretches and windows of videos of which it is known what happens at every frame, as batches.

Videos are put one after another at random: so a model that learns from short clips also learns
where one thing ends and another begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from soravec.runtime.frames import features_of_segment, running_inputs
from soravec.training.batches import Batch, collate, varied_frames
from soravec.training.config import TimeAugmentation
from soravec.types import FrameFeatures

WINDOWS = 2
"""Of a series of frames, so many times what would cover it, are taken in a round."""


@dataclass(frozen=True, slots=True)
class Series:
    """A video, and what happens at each of its frames."""

    features: FrameFeatures
    """Of the whole video."""
    truth: NDArray[np.float32]
    """(T, K), 1 for each class that lasts."""


class RunningSource:
    """Batches of stretches of frames, videos put one after another in random order.

    Args:
        train: What is learned from.
        validation: What is not.
        parts: `CnnConfig.parts`.
        num_frames: T of a stretch.
        delay_frames: So many frames later the state is asked what happens.
        batch_size: Stretches per batch.
        time: How many frames of a stretch may be lost, and how its times are stretched.
        seed: Of the order.
    """

    def __init__(
        self,
        train: Sequence[Series],
        validation: Sequence[Series],
        *,
        parts: tuple[int, int, int],
        num_frames: int,
        delay_frames: int = 0,
        batch_size: int,
        time: TimeAugmentation,
        seed: int,
    ) -> None:
        self._delay = delay_frames
        self._time = time
        self._train = [_as_read(one, parts) for one in train]
        self._validation = [_as_read(one, parts) for one in validation]
        self._num_frames = num_frames
        self._batch_size = batch_size
        self._seed = seed

    @property
    def num_batches(self) -> int:
        """How many make an epoch."""
        stretches = -(-sum(len(elapsed) for _, elapsed, _ in self._train) // self._num_frames)
        return -(-stretches // self._batch_size)

    def training(self, epoch: int, begin: int) -> Iterator[list[Batch]]:
        """Yield the batches of an epoch, from batch `begin` on."""
        rng = np.random.default_rng([self._seed, epoch])
        order = rng.permutation(len(self._train))
        tape = [self._train[index] for index in order]
        offset = int(rng.integers(self._num_frames))
        for number, stretches in self._stretches(tape, offset, begin):
            varying = np.random.default_rng([self._seed, epoch, number])
            yield [_padded([self._varied(one, varying) for one in stretches])]

    def validation(self) -> Iterator[list[Batch]]:
        """Yield the validation videos, always put together alike."""
        order = np.random.default_rng(self._seed).permutation(len(self._validation))
        tape = [self._validation[index] for index in order]
        yield from ([_padded(stretches)] for _, stretches in self._stretches(tape, 0, 0))

    def _stretches(
        self, tape: Sequence["_Read"], offset: int, begin: int
    ) -> Iterator[tuple[int, list["_Read"]]]:
        """Yield numbers of batches and the stretches of each, from batch `begin` on.

        The tape is a ring, and the first stretch begins at `offset`.
        """
        lengths = [len(elapsed) for _, elapsed, _ in tape]
        total, ends = sum(lengths), np.cumsum(lengths)
        starts = range(0, total, self._num_frames)
        for first in range(begin * self._batch_size, len(starts), self._batch_size):
            stretches = []
            for start in starts[first : first + self._batch_size]:
                wanted = min(self._num_frames, total - start)
                at = np.arange(start + offset, start + offset + wanted) % total
                stretches.append(_stretch(tape, ends, at, self._delay))
            yield first // self._batch_size, stretches

    def _varied(self, stretch: "_Read", rng: np.random.Generator) -> "_Read":
        """Return a stretch with some of its frames lost, and its times stretched."""
        values, elapsed, truth = stretch
        kept, factor = varied_frames(len(elapsed), replace(self._time, crop=1.0), rng)
        first = np.flatnonzero(elapsed == 0)
        waited = np.diff(np.cumsum(elapsed)[kept], prepend=0) * factor
        # Where the first frame of a shot was lost, the next one is the first.
        waited[np.diff(np.searchsorted(first, kept, side="right"), prepend=0) > 0] = 0
        return values[kept], waited.astype(np.float32), truth[kept]


_Read = tuple[NDArray[np.float16], NDArray[np.float32], NDArray[np.float32]]
"""Features (T, C), seconds waited (T,) and truth (T, K)."""


def _as_read(series: Series, parts: tuple[int, int, int]) -> _Read:
    values, elapsed = running_inputs(series.features, parts)
    return values, elapsed, series.truth


def _stretch(
    tape: Sequence[_Read], ends: NDArray[np.int64], at: NDArray[np.int64], delay: int
) -> _Read:
    """Return the frames of a tape at ascending places, those of one video at once."""
    videos = np.searchsorted(ends, at, side="right")
    pieces = []
    for video in dict.fromkeys(videos.tolist()):
        rows = at[videos == video] - (ends[video] - len(tape[video][1]))
        pieces.append([part[rows] for part in tape[video]])
    values, elapsed, truth = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    elapsed[0] = 0
    asked = np.maximum(np.arange(len(truth)) - delay, 0)
    return values, elapsed, truth[asked]


def _padded(stretches: Sequence[_Read]) -> Batch:
    longest = max(len(elapsed) for _, elapsed, _ in stretches)
    values, _, truth = stretches[0]
    features = np.zeros((len(stretches), longest, values.shape[1]), np.float32)
    right = np.zeros((len(stretches), longest, truth.shape[1]), np.float32)
    waited, mask = np.zeros((2, len(stretches), longest), np.float32)
    for row, (values, elapsed, truth) in enumerate(stretches):
        features[row, : len(values)] = values
        right[row, : len(values)] = truth
        waited[row, : len(values)] = elapsed
        mask[row, : len(values)] = 1
    tensors = (torch.from_numpy(array) for array in (features, waited, mask, right))
    return Batch(*tensors)


class WindowSource:
    """Batches of windows around frames drawn at random, for models that keep no state.

    Clips shorter than a window are put one after another, as in `RunningSource`.

    Args:
        train: What is learned from.
        validation: What is not.
        parts: `CnnConfig.parts`.
        window_seconds: Length of a window.
        batch_size: Windows per batch.
        seed: Of all draws.
    """

    def __init__(
        self,
        train: Sequence[Series],
        validation: Sequence[Series],
        *,
        parts: tuple[int, int, int],
        window_seconds: float,
        batch_size: int,
        seed: int,
    ) -> None:
        self._parts = parts
        self._length = window_seconds
        self._batch_size = batch_size
        self._seed = seed
        self._train, self._validation = train, validation
        per_window = np.median([_frames_in(one, window_seconds) for one in train])
        self._num_windows = _num_frames(train) * WINDOWS / max(1, per_window)

    @property
    def num_batches(self) -> int:
        """How many make an epoch."""
        return max(1, int(self._num_windows) // self._batch_size)

    def training(self, epoch: int, begin: int) -> Iterator[list[Batch]]:
        """Yield the batches of an epoch, from batch `begin` on."""
        rng = np.random.default_rng([self._seed, epoch])
        tape = _tape([self._train[index] for index in rng.permutation(len(self._train))])
        places = rng.permutation(len(tape.seconds))
        for number in range(begin, self.num_batches):
            first = number * self._batch_size
            chosen = np.take(places, range(first, first + self._batch_size), mode="wrap")
            yield [self._windows(tape, chosen)]

    def validation(self) -> Iterator[list[Batch]]:
        """Yield windows of the validation videos, always the same."""
        rng = np.random.default_rng(self._seed)
        order = rng.permutation(len(self._validation))
        if not len(order):
            return
        tape = _tape([self._validation[index] for index in order])
        places = np.sort(rng.permutation(len(tape.seconds))[: 16 * self._batch_size])
        for begin in range(0, len(places), self._batch_size):
            yield [self._windows(tape, places[begin : begin + self._batch_size])]

    def _windows(self, tape: "_Tape", places: NDArray[np.int64]) -> Batch:
        examples = []
        for place in places.tolist():
            middle = tape.seconds[place]
            first, last = np.searchsorted(
                tape.seconds, [middle - self._length / 2, middle + self._length / 2]
            )
            frames = np.arange(first, max(last, first + 1))
            values = features_of_segment(tape.features, frames, self._parts)
            examples.append((values, tape.seconds[frames], tape.truth[place]))
        return collate(examples)


@dataclass(frozen=True, slots=True)
class _Tape:
    """Videos one after another, as if they were one."""

    features: NDArray[np.float16]
    seconds: NDArray[np.float64]
    truth: NDArray[np.float32]


def _tape(videos: Sequence[Series]) -> _Tape:
    seconds, end = [], 0.0
    for one in videos:
        bounds = one.features.shots.bounds
        seconds.append(one.features.seconds - bounds[0, 0] + end)
        end += bounds[-1, 1] - bounds[0, 0]
    features = np.concatenate([one.features.features for one in videos])
    return _Tape(features, np.concatenate(seconds), np.concatenate([one.truth for one in videos]))


def _num_frames(series: Sequence[Series]) -> int:
    return sum(len(one.features) for one in series)


def _frames_in(series: Series, seconds: float) -> float:
    bounds = series.features.shots.bounds
    return float(len(series.features) * seconds / (bounds[-1, 1] - bounds[0, 0]))
