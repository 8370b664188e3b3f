"""Whether two pieces of one video show the same again. Pure arithmetic on features and sketches."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from soravec.tasks.alignment import PLACE_STEPS, Course, course, find_place, find_shared
from soravec.tasks.flaws import STILL_LEVELS
from soravec.tasks.pieces import Piece
from soravec.types import FrameFeatures

Float = NDArray[np.float32]

ALIKE = 0.7
"""Pieces whose frames are so alike, each to the likest of the other piece, show the same place."""
LEAST_START = 0.4
"""Agreement of three seconds of sketches below which they are no copies."""
LEAST_COPY = 0.6
"""Agreement of all that two pieces share, above which one is a copy of the other."""
MOST_COMPARED = 2_000
"""Pairs whose pictures are compared one by one; of more, what is alike counts as copied."""


class Repeats:
    """Compares the pieces of a video.

    Args:
        features: Of the video.
        looks: (T, A) of its frames, unit length.
        pieces: What is compared.
    """

    def __init__(self, features: FrameFeatures, looks: Float, pieces: list[Piece]) -> None:
        self._features = features
        self._looks = looks
        self._pieces = pieces
        self._compared: dict[tuple[int, int], bool] = {}

    def are_alike(self, one: int, other: int) -> bool:
        """Return whether two pieces show the same place.

        Their likeness is that of frames each to the likest one of the other, averaged (Kordopatis-
        Zilos et al., "ViSiL: fine-grained spatio-temporal video similarity learning", 2019, eq. 3).
        """
        first, second = (self._pieces[number] for number in (one, other))
        products = self._looks[first.first : first.last] @ self._looks[second.first : second.last].T
        alike = max(products.max(axis=0).mean(), products.max(axis=1).mean())
        return bool(alike >= ALIKE)

    def are_copies(self, one: int, other: int) -> bool:
        """Return whether two pieces show the same at the same pace, or the same still picture.

        What is alike and too short or too old to be told counts as copied. Pieces of one shot go
        on from one another, and are none.
        """
        first, second = (self._pieces[number] for number in (one, other))
        if first.part == second.part or not self.are_alike(one, other):
            return False
        pair = min(one, other), max(one, other)
        if pair not in self._compared:
            if len(self._compared) >= MOST_COMPARED:
                return True
            self._compared[pair] = self._is_copied(first, second)
        return self._compared[pair]

    def _is_copied(self, first: Piece, second: Piece) -> bool:
        if self._course is None or self._is_still(first) or self._is_still(second):
            return True
        windows = [self._steps(piece) for piece in (first, second)]
        if min(end - begin for begin, end in windows) < PLACE_STEPS:
            return True
        (begin, end), (other_begin, other_end) = windows
        read = self._course.features
        place = find_place(read, read, (begin, other_begin), (end, other_end))
        if place is None:
            return True
        shared = find_shared(self._course, self._course, place, LEAST_START)
        return shared is not None and shared.score >= LEAST_COPY

    @cached_property
    def _course(self) -> Course | None:
        features = self._features
        if features.sketches is None:
            return None
        return course(self._looks, features.sketches, features.seconds)

    def _steps(self, piece: Piece) -> tuple[int, int]:
        assert self._course is not None
        start, end = (self._course.step(s) for s in (piece.start_seconds, piece.end_seconds))
        return max(0, int(np.floor(start))), min(len(self._course), int(np.ceil(end)) + 1)

    def _is_still(self, piece: Piece) -> bool:
        assert self._features.sketches is not None
        shown = self._features.sketches[piece.first : piece.last].astype(np.float32)
        return float(shown.std(axis=0).mean()) < STILL_LEVELS[0]
