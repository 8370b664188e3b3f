"""Fades: a shot sinks into a plain picture, such as black or white, or rises from one.

A plain picture is one without contrast. What leads to it is a fade if the contrast falls steadily
over at least a fifth of a second; a drop from one frame to the next is a cut.
"""

from collections import deque
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from soravec.types import Transition
from soravec.video.signature import LUMA

PLAIN = 2.0
"""Standard deviation of the blocks, of 255, up to which a picture is plain."""
LEAST_CONTRAST = 6.0
"""What a shot must have for its fading to be seen."""
LEAST_SECONDS = 0.2
"""A shorter one is a cut."""
MOST_SECONDS = 3.0
"""A longer one is shortened to this."""
MOST_HOLD_SECONDS = 1.5
"""A fade out and the next fade in are one, if no more plain time lies between."""

_MOST_STEP = 0.55  # of the contrast, between two frames
_MOST_FRAMES = 1024
_FLICKER_SECONDS = 0.1
_FLICKER = 1.03


class Fades:
    """Finds fades in blocks of signatures; constant memory but for what it finds."""

    def __init__(self) -> None:
        self._found: list[Transition] = []
        self._recent: deque[tuple[float, float]] = deque(maxlen=_MOST_FRAMES)
        self._plain_from: float | None = None
        self._plain_until: float | None = None  # its first frame that is not

    def add(self, seconds: NDArray[np.float64], signatures: NDArray[np.uint8]) -> None:
        """Take the next frames, in order: (N,) and (N, SIZE)."""
        # One block in three tells as much as all.
        contrasts = signatures[:, :LUMA:3].astype(np.float32).std(axis=1)
        for second, contrast in zip(seconds.tolist(), contrasts.tolist(), strict=True):
            self._see(second, contrast)

    def finish(self) -> list[Transition]:
        """Return all fades, those through a plain picture as one."""
        self._rise()
        merged: list[Transition] = []
        for fade in self._found:
            out = merged[-1] if merged else None
            if out is not None and self._is_same(out, fade):
                boundary = (out.boundary_seconds + fade.boundary_seconds) / 2
                merged[-1] = Transition(out.start_seconds, fade.end_seconds, "fade", boundary)
            else:
                merged.append(fade)
        return merged

    @staticmethod
    def _is_same(out: Transition, back: Transition) -> bool:
        hold = back.start_seconds - out.end_seconds
        sinks = out.boundary_seconds == out.end_seconds
        rises = back.boundary_seconds == back.start_seconds
        return sinks and rises and hold <= MOST_HOLD_SECONDS

    def _see(self, second: float, contrast: float) -> None:
        if self._plain_until is not None and second - self._plain_until > MOST_SECONDS:
            self._rise()
        if contrast <= PLAIN:
            if self._plain_until is not None:
                self._rise()
            if self._plain_from is None:
                self._plain_from = second
                self._sink()
        elif self._plain_from is not None and self._plain_until is None:
            self._plain_until = second
            self._recent.append((second, 0.0))
        self._recent.append((second, contrast))

    def _sink(self) -> None:
        """Note a fade that ends in the plain picture that just began."""
        assert self._plain_from is not None
        frames = [*self._recent, (self._plain_from, 0.0)]
        ramp = _ramp([(self._plain_from - second, contrast) for second, contrast in frames[::-1]])
        if ramp is not None:
            end = self._plain_from
            begin = max(end - ramp, frames[0][0])
            self._found.append(Transition(begin, end, "fade", end))

    def _rise(self) -> None:
        """Note a fade that begins in the plain picture that ended."""
        begin = self._plain_until
        self._plain_from = self._plain_until = None
        if begin is None:
            return
        ramp = _ramp([(second - begin, level) for second, level in self._recent if second >= begin])
        if ramp is not None:
            self._found.append(Transition(begin, begin + ramp, "fade", begin))


def _ramp(frames: list[tuple[float, float]]) -> float | None:
    """Return how long the contrast rises steadily from a plain picture, or None if it does not.

    Args:
        frames: Time since the plain picture, in seconds and ascending, and contrast.
    """
    top_seconds, top = 0.0, 0.0
    for seconds, contrast in frames:
        if seconds > MOST_SECONDS:
            break
        if contrast > top * _FLICKER or (seconds - top_seconds < 1e-6):
            top_seconds, top = seconds, max(contrast, top)
        elif seconds - top_seconds > _FLICKER_SECONDS:
            break
    rising = [frame for frame in frames if frame[0] <= top_seconds]
    if top < LEAST_CONTRAST or top_seconds < LEAST_SECONDS or len(rising) < 4:
        return None
    if max(after[1] - before[1] for before, after in pairwise(rising)) > _MOST_STEP * top:
        return None
    quarter = next(seconds for seconds, contrast in rising if contrast >= top / 4)
    three = next(seconds for seconds, contrast in rising if contrast >= 0.75 * top)
    # The shot goes on changing once the fade is over: what counts is its steep middle.
    return float(np.clip(three + (three - quarter) / 2, LEAST_SECONDS, top_seconds))
