"""Batches of decoded frames, for training the CNN as well."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soravec.data.augmentation import Augmentation, augment
from soravec.runtime.config import CnnConfig
from soravec.training.batches import Segment, padded_times, varied_frames
from soravec.training.config import TimeAugmentation
from soravec.types import Frames
from soravec.video import LIMITS, AtSeconds, Limits, VideoReader


@dataclass(slots=True)  # not frozen: Fabric converts the tensors of a batch in place
class FrameBatch:
    """Padded segments as frames."""

    frames: Tensor
    """(B, T, H, W, 3) uint8 RGB."""
    previous: Tensor | None
    """(B, T, H, W, 3) uint8, the picture before each at the video's own rate; None if not read."""
    elapsed_seconds: Tensor
    """(B, T) float32, 0 for the first frame."""
    mask: Tensor
    """(B, T) float32, 1 for a frame."""
    truth: Tensor
    """(B, K) float32."""

    def __len__(self) -> int:
        return len(self.mask)

    def to(self, device: torch.device) -> "FrameBatch":
        """Return the batch on a device."""
        return FrameBatch(
            self.frames.to(device),
            None if self.previous is None else self.previous.to(device),
            self.elapsed_seconds.to(device),
            self.mask.to(device),
            self.truth.to(device),
        )


class _Example(NamedTuple):
    """One segment, ready to be put into a batch."""

    frames: Frames
    truth: NDArray[np.float32]


class _Wanted(NamedTuple):
    """Which version of which segment is to be decoded; `seed` is None for it as it is."""

    segment: int
    seed: tuple[int, ...] | None


class DecodedSource:
    """Batches of frames, decoded in this process when they are wanted.

    PyTorch's DataLoader is not used: once its workers have run, the next child process that Soravec
    starts brings the parent down (a segmentation fault, seen with torch 2.15 and OpenVINO 2026).

    Args:
        train: What is learned from.
        validation: What is not.
        paths: Video of each clip, of train and of validation.
        cnn: Size of the frames.
        batch_size: Segments per batch.
        max_frames: Most frames of a segment.
        time: How training segments are varied in time.
        augmentation: How their frames are varied.
        seed: Of order and variation.
        num_views: Versions of each batch.
        limits: What is refused.
    """

    def __init__(  # noqa: PLR0913  # what batches follow from
        self,
        train: Sequence[Segment],
        validation: Sequence[Segment],
        *,
        paths: tuple[Sequence[Path], Sequence[Path]],
        cnn: CnnConfig,
        batch_size: int,
        max_frames: int,
        time: TimeAugmentation,
        augmentation: Augmentation,
        seed: int,
        num_views: int = 1,
        limits: Limits = LIMITS,
    ) -> None:
        how = cnn, max_frames, time, augmentation, limits
        self._train = _Decoded(train, paths[0], *how)
        self._validation = _Decoded(validation, paths[1], *how)
        self._batch_size = batch_size
        self._seed = seed
        self._num_views = num_views

    @property
    def num_batches(self) -> int:
        """How many make an epoch; the last one may be smaller."""
        return (len(self._train) + self._batch_size - 1) // self._batch_size

    def training(self, epoch: int, begin: int) -> Iterator[list[FrameBatch]]:
        """Yield the views of each batch of an epoch, from batch `begin` on."""
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._train))
        wanted = [
            [
                _Wanted(int(index), (self._seed, epoch, int(index), view))
                for view in range(self._num_views)
                for index in order[first : first + self._batch_size]
            ]
            for first in range(begin * self._batch_size, len(order), self._batch_size)
        ]
        yield from self._load(self._train, wanted)

    def validation(self) -> Iterator[list[FrameBatch]]:
        """Yield the validation segments as they are; further views are varied, always alike."""
        count = len(self._validation)
        wanted = [
            [
                _Wanted(index, None if view == 0 else (self._seed, index, view))
                for view in range(self._num_views)
                for index in range(first, min(first + self._batch_size, count))
            ]
            for first in range(0, count, self._batch_size)
        ]
        yield from self._load(self._validation, wanted)

    def _load(
        self, segments: "_Decoded", wanted: Sequence[list[_Wanted]]
    ) -> Iterator[list[FrameBatch]]:
        for keys in wanted:
            examples = [segments[key] for key in keys]
            size = len(examples) // self._num_views
            yield [_collate(examples[at : at + size]) for at in range(0, len(examples), size)]


class _Decoded:
    """Segments that are decoded when they are asked for; keys say which version is wanted."""

    def __init__(  # noqa: PLR0913, PLR0917  # as `DecodedSource`
        self,
        segments: Sequence[Segment],
        paths: Sequence[Path],
        cnn: CnnConfig,
        max_frames: int,
        time: TimeAugmentation,
        augmentation: Augmentation,
        limits: Limits,
    ) -> None:
        self._limits = limits
        self._segments = segments
        self._paths = paths
        self._cnn = cnn
        self._max_frames = max_frames
        self._time = time
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, wanted: _Wanted) -> _Example:
        segment = self._segments[wanted.segment]
        path = self._paths[segment.clip]
        if wanted.seed is None:
            return _Example(self._read(path, segment.seconds), segment.truth)
        rng = np.random.default_rng(list(wanted.seed))
        kept, factor = varied_frames(len(segment.seconds), self._time, rng)
        frames = self._read(path, segment.seconds[kept])
        frames = augment(frames, self._augmentation, seed=int(rng.integers(2**31)))
        return _Example(replace(frames, seconds=frames.seconds * factor), segment.truth)

    def _read(self, path: Path, seconds: NDArray[np.float64]) -> Frames:
        if len(seconds) > self._max_frames:
            spread = np.linspace(0, len(seconds) - 1, self._max_frames).round().astype(int)
            seconds = seconds[spread]
        with VideoReader(path, limits=self._limits) as video:
            stream = video.read(
                AtSeconds(tuple(seconds.tolist())),
                size=(self._cnn.height, self._cnn.width),
                fit=self._cnn.fit,
                batch_size=len(seconds),
                with_previous=self._cnn.motion != "none",
            )
            return next(stream)


def _collate(examples: Sequence[_Example]) -> FrameBatch:
    """Return examples as one padded batch."""
    elapsed, mask = padded_times([example.frames.seconds for example in examples])
    truth = torch.from_numpy(np.stack([example.truth for example in examples]))
    read = [example.frames for example in examples]
    before = [frames.previous for frames in read if frames.previous is not None]
    return FrameBatch(
        _padded([frames.images for frames in read], mask),
        _padded(before, mask) if before else None,
        elapsed,
        mask,
        truth,
    )


def _padded(clips: Sequence[NDArray[np.uint8]], mask: Tensor) -> Tensor:
    """Return clips (T, H, W, 3) as one (B, T, H, W, 3), black where there is no frame."""
    padded = np.zeros((*mask.shape, *clips[0].shape[1:]), np.uint8)
    for row, clip in enumerate(clips):
        padded[row, : len(clip)] = clip
    return torch.from_numpy(padded)
