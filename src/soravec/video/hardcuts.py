"""Hard cuts: a change that stands out from those around it, stays, and is no movement.

Four questions are put to each frame that differs much from the one before. Is the change larger
than those around it, so that a fast pan or a shaking camera is none? (PySceneDetect asks so too, in
its AdaptiveDetector.) Does it last, so that a flash or a dropped frame is none? Has most of the
picture changed, so that a caption is none? And is there no shift that lays one picture over the
other?
"""

import numpy as np
from numpy.typing import NDArray

from soravec.types import Transition
from soravec.video.alignment import align
from soravec.video.signature import LUMA, SIZE, changes

LEAST_CHANGE = 5.0
"""Mean absolute change of brightness plus that of colour, of 255."""
PROMINENCE = 1.7
"""How many times larger than the changes around it."""
LEAST_LASTING = 0.6
"""How much of the change is left between the frames farther before and after."""
LEAST_AREA = 0.45
"""Share of the picture that changes."""
AREA_BY_MOTION, MOST_AREA_ASKED = 0.01, 0.8
"""How much larger that share must be for each unit of the changes around, and the most: what comes
close to a moving camera covers much of the picture at once."""
MOST_SHARED = 0.3
"""Part of the structure that fits by itself."""
MOST_ALIGNED = 0.45
"""Correlation of structure at the best shift."""

AROUND_SECONDS = 0.3
LASTING_SECONDS = 0.4
"""Longer than a flash, shorter than the shortest shot."""
_APART_SECONDS = 0.25
_MOTION, _FAR, _NEAR = 2.0, 14, 3
_MOST_WAIT = 3.0
_CAPACITY, _CONTEXT = 256, 64  # frames


class HardCuts:
    """Finds hard cuts in blocks of signatures; constant memory but for the cuts themselves."""

    def __init__(self) -> None:
        self.cuts: list[Transition] = []
        self._strength = 0.0  # of the last cut
        self._seconds = np.empty(_CAPACITY)
        self._signatures = np.empty((_CAPACITY, SIZE), np.uint8)
        self._changes = np.zeros(_CAPACITY)
        self._waits = np.ones(_CAPACITY)  # for the frame, over what is usual
        self._num = 0
        self._decided = 0

    def add(
        self,
        seconds: NDArray[np.float64],
        signatures: NDArray[np.uint8],
        steps: NDArray[np.int64],
    ) -> None:
        """Take the next frames, in order, at most 64.

        Args:
            seconds: When they are shown, (N,).
            signatures: (N, SIZE).
            steps: How many frames each lies after the one before, (N,); where some were passed
                over, little has changed.
        """
        if self._num + len(seconds) > _CAPACITY:
            self._forget()
        begin, end = self._num, self._num + len(seconds)
        self._seconds[begin:end] = seconds
        self._signatures[begin:end] = signatures
        first = max(begin, 1)
        if end > first:
            found = changes(self._signatures[first - 1 : end - 1], self._signatures[first:end])
            self._changes[first:end] = found / np.sqrt(steps[first - begin :])
            waits = np.diff(self._seconds[first - 1 : end]) / steps[first - begin :]
            self._waits[first:end] = np.clip(waits / np.median(waits), 1, _MOST_WAIT)
        self._num = end
        ripe = np.searchsorted(self._seconds[:end], self._seconds[end - 1] - LASTING_SECONDS)
        self._decide(max(int(ripe), end - _CONTEXT))

    def finish(self) -> list[Transition]:
        """Decide on the last frames and return all cuts."""
        self._decide(self._num)
        return self.cuts

    def _forget(self) -> None:
        """Keep the frames that are undecided and those before them."""
        begin = max(0, self._decided - _CONTEXT)
        for array in (self._seconds, self._signatures, self._changes, self._waits):
            array[: self._num - begin] = array[begin : self._num]
        self._num -= begin
        self._decided -= begin

    def _decide(self, end: int) -> None:
        """Decide on the frames before index `end`."""
        begin, self._decided = max(self._decided, 1), max(end, self._decided)
        for number in begin + np.flatnonzero(self._changes[begin:end] >= LEAST_CHANGE):
            if self._stands_out(int(number)) and self._is_cut(int(number)):
                self._note(float(self._seconds[number]), float(self._changes[number]))

    def _stands_out(self, number: int) -> bool:
        """Whether the change is larger than the second largest on each side.

        The second largest, so that a frame shown twice, or another cut nearby, hides nothing.
        """
        # At a variable rate, what moves or fades goes farther in the time of a frame left out.
        change = self._changes[number] / self._waits[number]
        return bool(change >= PROMINENCE * (self._around(number) + 1.0))

    def _around(self, number: int) -> float:
        """Return the second largest change in the time before or after a frame."""
        begin, end = self._span(number, AROUND_SECONDS)
        rates = self._changes[begin:end] / self._waits[begin:end]
        sides = rates[1 : number - begin], rates[number + 1 - begin :]
        return max(float(np.sort(side)[-2:][0]) if len(side) else 0.0 for side in sides)

    def _is_cut(self, number: int) -> bool:
        old, new = self._signatures[number - 1], self._signatures[number]
        differences = np.abs(old[:LUMA].astype(np.int16) - new[:LUMA])
        around = self._around(number)
        area = float(np.mean(differences > max(2.0, 0.15 * differences.mean())))
        if area < min(LEAST_AREA + AREA_BY_MOTION * around, MOST_AREA_ASKED):
            return False
        before, after = self._most_alike(number)
        lasting = float(changes(before, after)) / float(self._changes[number])
        if lasting < LEAST_LASTING:
            return False
        # A camera at rest does not jump: only one in motion may have moved far.
        moves = around > _MOTION
        waits = self._seconds[number] - self._seconds[number - 1] > AROUND_SECONDS
        reach = _FAR if moves or waits else _NEAR
        if _fits(old, new, reach):
            return False
        return lasting > 0.9 or not _fits(before, after, reach)

    def _most_alike(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the two frames farther before and after the change that differ least."""
        begin, end = self._span(number, LASTING_SECONDS)
        before = self._signatures[begin:number][:: -max(1, (number - begin) // 6)]
        after = self._signatures[number:end][:: max(1, (end - number) // 6)]
        best = int(np.argmin([changes(before, later) for later in after]))
        return before[best % len(before)], after[best // len(before)]

    def _span(self, number: int, seconds: float) -> tuple[int, int]:
        """Return the indices of the frames within so many seconds of the change."""
        times = self._seconds[: self._num]
        begin = np.searchsorted(times, times[number - 1] - seconds)
        end = np.searchsorted(times, times[number] + seconds, side="right")
        # Frames far apart have no neighbours to compare with.
        return min(int(begin), number - 1), max(int(end), number + 1)

    def _note(self, seconds: float, strength: float) -> None:
        if self.cuts and seconds - self.cuts[-1].start_seconds < _APART_SECONDS:
            if strength <= self._strength:
                return
            self.cuts.pop()
        self.cuts.append(Transition(seconds, seconds, "cut", seconds))
        self._strength = strength


def _fits(old: NDArray[np.uint8], new: NDArray[np.uint8], reach: int) -> bool:
    """Whether a shift of at most so many blocks lays one picture over the other, or much of it."""
    fit = align(old, new, reach=reach)
    return fit.correlation > MOST_ALIGNED or fit.share > MOST_SHARED
