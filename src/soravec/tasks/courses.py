"""The videos of a library as courses, read from what is stored: nothing is decoded."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from soravec.errors import LibraryError
from soravec.library.contents import Contents, StoredVideo
from soravec.library.library import Library
from soravec.runtime.sketches import without_sketches
from soravec.runtime.vectors import normalise
from soravec.tasks.alignment import Course, course
from soravec.types import FrameFeatures

Float = NDArray[np.float32]

SAMPLE_VIDEOS, SAMPLE_FRAMES = 400, 20_000
"""What the weights of features are fitted to, at most."""
FLOOR = 0.5
"""Added to the variance of each direction, as a share of their mean; more where samples are few."""
NUM_COMPONENTS = 128
"""Principal components of the features of looks, and as many of those of motion, at most."""
KEPT_STEPS = 100_000
"""Instants of videos that are remembered: 14 hours, about 450 MB."""
MOST_HOURS = 24
"""Longer videos are not compared."""


class Courses:
    """Gives the course of each video, and remembers those that were asked for last.

    Features are whitened by the library itself: what many of its videos share tells little.

    Args:
        library: Where they are stored.
        contents: Which there are.

    Attributes:
        missing: Why videos have no course, by key; of those asked for so far.
    """

    def __init__(self, library: Library, contents: Contents) -> None:
        self.missing: dict[int, str] = {}
        self._library = library
        self._contents = contents
        self._encoder = library.encoder()
        self._whiten = self._fitted()
        self._kept: OrderedDict[int, Course] = OrderedDict()

    def of(self, key: int) -> Course | None:
        """Return the course of a video; None where what is stored does not suffice."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = None if key in self.missing else self._read(key)
        if found is not None:
            self._kept[key] = found
            while len(self._kept) > 2 and sum(map(len, self._kept.values())) > KEPT_STEPS:
                self._kept.popitem(last=False)
        return found

    def _read(self, key: int) -> Course | None:
        video = self._contents.videos[key]
        features = self._stored(video)
        if features is None or features.sketches is None:
            return None
        if features.seconds[-1] - features.seconds[0] > 3600 * MOST_HOURS:
            self.missing[key] = f"{video.path}: is longer than {MOST_HOURS} hours"
            return None
        return course(
            self._whitened(features), features.sketches, features.seconds, features.colours
        )

    def _stored(self, video: StoredVideo) -> FrameFeatures | None:
        try:
            features = self._library.features(video)
        except LibraryError as error:
            self.missing[video.key] = str(error)
            return None
        if features.sketches is None:
            self.missing[video.key] = (
                f"{video.path}: was indexed by an older Soravec, without what copies are told by."
                " Forget it and index it again."
            )
        return features

    def _fitted(self) -> "Sequence[tuple[Float, Float]]":
        """Return the mean and the weights of features of looks, and of motion where there are."""
        videos = list(self._contents.videos.values())
        chosen = videos[:: -(-len(videos) // SAMPLE_VIDEOS)]
        each = max(1, SAMPLE_FRAMES // len(chosen))
        looks: list[Float] = []
        moves: list[Float] = []
        for video in chosen:
            features = self._stored(video)
            if features is None:
                continue
            frames = np.linspace(0, len(features) - 1, min(each, len(features))).astype(int)
            some = replace(
                without_sketches(features),
                features=features.features[frames],
                seconds=features.seconds[frames],
            )
            for found, part in zip((looks, moves), self._parts(some), strict=True):
                found.append(part)
        if not looks:
            return []
        samples = np.concatenate(looks), np.concatenate(moves)
        return [_whitener(one) for one in samples if one.shape[1]]

    def _parts(self, features: FrameFeatures) -> tuple[Float, Float]:
        looks, moves, _ = self._encoder.config.cnn.parts
        motion = features.features[:, looks : looks + moves].astype(np.float32)
        return self._encoder.frame_looks(features), motion

    def _whitened(self, features: FrameFeatures) -> Float:
        parts = zip(self._parts(features), self._whiten, strict=False)
        return np.concatenate(
            [normalise((p - mean) @ matrix) for p, (mean, matrix) in parts], axis=1
        )


def _whitener(values: Float) -> tuple[Float, Float]:
    """Return the mean and a matrix that whitens, of the largest principal components."""
    number, length = values.shape
    mean = values.mean(axis=0)
    centred = (values - mean).astype(np.float64)
    variance, directions = np.linalg.eigh(centred.T @ centred / number)
    variance, directions = (
        np.maximum(variance, 0)[-NUM_COMPONENTS:],
        directions[:, -NUM_COMPONENTS:],
    )
    floor = (FLOOR + length / number) * max(float(variance.mean()), 1e-9)
    return mean, (directions / np.sqrt(variance + floor)).astype(np.float32)
