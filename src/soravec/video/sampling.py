"""Which instants of a video are wanted: pure arithmetic over seconds, no decoding.

Every kind of sampling is answered in the same way: the picture for an instant is the one on show
then (the last whose PTS is not after it, by more than the rounding of timestamps), and no picture
is delivered twice.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from soravec.errors import QueryError


@dataclass(frozen=True, slots=True)
class EveryFrame:
    """Every frame of the span."""


@dataclass(frozen=True, slots=True)
class Keyframes:
    """Only the pictures that decode without any other: cheap, and as dense as the encoder chose.

    With `with_following`, a picture after each is given beside it: the first to be decoded of those
    shown later, which is shown a few pictures on and leans on none but the keyframe.
    """

    with_following: bool = False


@dataclass(frozen=True, slots=True)
class AtRate:
    """The pictures on show at `start + k / fps`, for k = 0, 1, 2, ...

    At 2 per second from 10.0 s the instants are 10.0, 10.5, 11.0. In a video of 1 frame/s, whose
    pictures lie at 10, 11 and 12, the instants 10.0 and 10.5 meet the same picture: it comes once.
    """

    fps: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise QueryError(f"AtRate takes a positive number of frames per second, not {self.fps}")

    def instants(self, start_seconds: float, *, after: float = -math.inf) -> Iterator[float]:
        """Yield the instants from `start_seconds` on, without end; `after` spares earlier ones."""
        first = (max(after, start_seconds) - start_seconds) * self.fps
        for number in itertools.count(max(0, math.floor(first) - 1)):
            yield start_seconds + number / self.fps


@dataclass(frozen=True, slots=True)
class Uniform:
    """The centres of `num_frames` equal parts of the span.

    Uniform(3) of the span [0, 12) looks at 2.0, 6.0 and 10.0.
    """

    num_frames: int

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise QueryError(f"Uniform takes at least one frame, not {self.num_frames}")

    def instants(self, start_seconds: float, end_seconds: float) -> Iterator[float]:
        """Yield the centres of the equal parts of `[start_seconds, end_seconds)`."""
        part = (end_seconds - start_seconds) / self.num_frames
        for number in range(self.num_frames):
            yield start_seconds + (number + 0.5) * part


@dataclass(frozen=True, slots=True)
class AtSeconds:
    """The pictures on show at given instants, ascending.

    AtSeconds((1.0, 2.5, 2.51)) of a 25 frames/s video gives the pictures at 1.0 and 2.48: 2.5 and
    2.51 meet the same one (2.48 to 2.52), which comes once. An instant before the first picture is
    answered by the first, one after the last by the last.
    """

    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds or not all(map(math.isfinite, self.seconds)):
            raise QueryError("AtSeconds takes at least one finite instant")
        if any(after < before for before, after in itertools.pairwise(self.seconds)):
            raise QueryError("AtSeconds takes its instants in ascending order")

    def instants(self, start_seconds: float, end_seconds: float) -> Iterator[float]:
        """Yield the instants that lie in `[start_seconds, end_seconds)`."""
        return (second for second in self.seconds if start_seconds <= second < end_seconds)


Sampling = EveryFrame | AtRate | Uniform | Keyframes | AtSeconds
