"""Dissolves: one shot fading into another while both are seen.

Eight to ten signatures a second are kept for some seconds, and the squared distance between any
two. Windows of seven lengths slide over them. In a dissolve from A to B the frames lie on the line
between the two: the middle one is half of each, and has half their contrast, for what is dark in
one is bright in the other. Movement also leads from A to B, but around and not through the middle,
and as sharp as before. Eight such numbers of a window are weighed by a network of eight neurons,
fitted to generated video (`benchmarks/cuts.py --fit`).
"""

import json
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soravec.types import Transition
from soravec.video.alignment import align
from soravec.video.signature import COLS, LUMA, ROWS, SIZE

TICK_SECONDS = 0.09
"""The least time between two signatures that are looked at."""
HALVES = (2, 3, 4, 5, 6, 8, 10)
"""Halves of the windows, in ticks: 0.4 s to 2.4 s from end to end."""
THRESHOLD = 0.7
"""Probability above which a window is a dissolve."""

_GAP_SECONDS = 0.4  # nothing is known of what lies between
_LEAST_DISTANCE = 16.0
_MOST_DETOUR, _MOST_CONTRAST = 1.3, 0.97
_UNRELATED = 0.1
_GROWTH = 1.06
_CAPACITY, _CONTEXT = 128, 2 * HALVES[-1] + 2 * (HALVES[-1] // 2) + 2


# How far back from the last tick of the time after: the ends of the time before, of the window, its
# middle. Times before and after are half a half.
_BACK = np.array(
    [
        (2 * half + 2 * (half // 2), 2 * half + half // 2, half + half // 2, half // 2, 0)
        for half in HALVES
    ]
).reshape(1, -1)


class Windows(NamedTuple):
    """Indices of the ticks that delimit windows, (W,) each."""

    outside_before: NDArray[np.int64]
    start: NDArray[np.int64]
    middle: NDArray[np.int64]
    end: NDArray[np.int64]
    outside_after: NDArray[np.int64]

    def take(self, chosen: NDArray[np.bool_]) -> "Windows":
        """Return some of them."""
        return Windows(*(indices[chosen] for indices in self))


class Dissolves:
    """Finds dissolves in blocks of signatures; constant memory but for what it finds."""

    def __init__(self) -> None:
        self._network = Network.load()
        self._found: list[tuple[float, Transition]] = []
        self._seconds = np.empty(_CAPACITY)
        self._signatures = np.empty((_CAPACITY, SIZE), np.float32)  # less 128
        self._contrasts = np.empty(_CAPACITY)
        self._squares = np.empty(_CAPACITY)
        self._distances = np.zeros((_CAPACITY, _CAPACITY))
        self._num = 0
        self._last: float | None = None

    def add(self, seconds: NDArray[np.float64], signatures: NDArray[np.uint8]) -> None:
        """Take the next frames, in order: (N,) and (N, SIZE), N at most 64."""
        chosen: list[int] = []
        for number, second in enumerate(seconds.tolist()):
            if self._last is not None and second - self._last < TICK_SECONDS:
                continue
            if self._last is not None and second - self._last > _GAP_SECONDS:
                self._take(seconds[chosen], signatures[chosen])
                self._close()
                chosen = []
            chosen.append(number)
            self._last = second
        self._take(seconds[chosen], signatures[chosen])

    def finish(self) -> list[Transition]:
        """Look at the last windows and return all dissolves."""
        self._close()
        return [transition for _, transition in self._found]

    def _take(self, seconds: NDArray[np.float64], signatures: NDArray[np.uint8]) -> None:
        if not len(seconds):
            return
        if self._num + len(seconds) > _CAPACITY:
            self._forget()
        begin, end = self._num, self._num + len(seconds)
        self._seconds[begin:end] = seconds
        # Around the middle of the range, for the sake of the digits that are left.
        centred = self._signatures[begin:end] = signatures - np.float32(128)
        self._contrasts[begin:end] = contrasts(centred)
        first = max(0, begin - _CONTEXT)
        squares = self._squares[begin:end] = np.einsum("ns,ns->n", centred, centred)
        products = self._signatures[first:end] @ centred.T
        block = (self._squares[first:end, None] + squares - 2 * products) / SIZE
        self._distances[first:end, begin:end] = block
        self._distances[begin:end, first:end] = block.T
        self._num = end
        self._look(windows_that_end(np.arange(begin, end)))

    def _forget(self) -> None:
        begin = self._num - _CONTEXT
        for array in (self._seconds, self._signatures, self._contrasts, self._squares):
            array[:_CONTEXT] = array[begin : self._num]
        self._distances[:_CONTEXT, :_CONTEXT] = self._distances[
            begin : self._num, begin : self._num
        ]
        self._num = _CONTEXT

    def _close(self) -> None:
        """Look at windows whose time after is cut short, and begin anew."""
        beyond = windows_that_end(np.arange(self._num, self._num + HALVES[-1] // 2))
        inside = beyond.take(beyond.end < self._num)
        self._look(inside._replace(outside_after=np.minimum(inside.outside_after, self._num - 1)))
        self._num = 0

    def _look(self, windows: Windows) -> None:
        distances = self._distances
        windows, features = describe(distances, self._contrasts, windows)
        if not len(features):
            return
        # What may pass were the two ends unrelated is worth the comparison.
        hopes = self._network(features)
        for number in np.flatnonzero(hopes > THRESHOLD)[np.argsort(-hopes[hopes > THRESHOLD])]:
            start, end, row = windows.start[number], windows.end[number], features[number]
            if self._is_beaten(hopes[number], self._seconds[start], self._seconds[end]):
                continue
            row[-1] = align(self._signatures[start] + 128, self._signatures[end] + 128).correlation
            score = float(self._network(row[None])[0])
            if score > THRESHOLD:
                window = Windows(*(indices[number] for indices in windows))
                first, last = self._fitted(window)
                self._propose(score, float(self._seconds[first]), float(self._seconds[last]))

    def _fitted(self, window: Windows) -> tuple[int, int]:
        """Move the ends of one window to where the picture begins and ends to change fast."""
        first, last = int(window.start), int(window.end)
        distances = self._distances
        while last < window.outside_after and _grows(distances[first, last : last + 2]):
            last += 1
        while first > window.outside_before and _grows(
            distances[last, first - 1 : first + 1][::-1]
        ):
            first -= 1
        while last - first > 3 and not _grows(distances[first, last - 1 : last + 1]):
            last -= 1
        while last - first > 3 and not _grows(distances[last, first : first + 2][::-1]):
            first += 1
        return first, last

    def _rivals(self, start: float, end: float) -> list[int]:
        """Return which of the last windows that were found overlap this one."""
        return [
            number
            for number in range(max(len(self._found) - 4, 0), len(self._found))
            if self._found[number][1].start_seconds < end
            and start < self._found[number][1].end_seconds
        ]

    def _is_beaten(self, score: float, start: float, end: float) -> bool:
        return any(self._found[number][0] >= score for number in self._rivals(start, end))

    def _propose(self, score: float, start: float, end: float) -> None:
        """Keep the best of the windows that overlap."""
        if self._is_beaten(score, start, end):
            return
        for number in reversed(self._rivals(start, end)):
            del self._found[number]
        self._found.append((score, Transition(start, end, "dissolve", (start + end) / 2)))


class Network:
    """A perceptron: features (W, 8) to the probability of a dissolve (W,)."""

    def __init__(self, hidden: NDArray[np.float64], output: NDArray[np.float64]) -> None:
        self._hidden = hidden  # (neurons, 8 weights and a bias)
        self._output = output  # (neurons weights and a bias,)

    @classmethod
    def load(cls) -> "Network":
        """Return the one that comes with the package."""
        weights = json.loads(files("soravec.video").joinpath("dissolves.json").read_text("utf-8"))
        return cls(np.array(weights["hidden"]), np.array(weights["output"]))

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities, (W,)."""
        hidden = np.maximum(features @ self._hidden[:, :-1].T + self._hidden[:, -1], 0)
        logits = hidden @ self._output[:-1] + self._output[-1]
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


def _grows(distances: NDArray[np.float64]) -> bool:
    """Whether a squared distance grows from one tick to the next as it does in a dissolve."""
    return bool(distances[1] > _GROWTH * distances[0])


def windows_that_end(ticks: NDArray[np.int64]) -> Windows:
    """Return the windows of all lengths whose time after ends at these ticks."""
    return _windows(*(ticks[:, None] - _BACK).reshape(-1, 5).T)


def _windows(*indices: NDArray[np.int64]) -> Windows:
    windows = Windows(*indices)
    windows = windows._replace(outside_before=np.maximum(windows.outside_before, 0))
    return windows.take(windows.start >= 0)


def describe(
    distances: NDArray[np.float64], contrast: NDArray[np.float64], windows: Windows
) -> tuple[Windows, NDArray[np.float64]]:
    """Return the windows that may be dissolves, and their features.

    Args:
        distances: (T, T) squared distances between the signatures of ticks.
        contrast: (T,) contrast of each.
        windows: Which spans of them to look at.

    Returns:
        The windows that are left, W of them, and (W, 8) features: how far around the middle leads,
        how far off the line the frames lie, how unevenly they proceed along it, the contrast of the
        middle, the distance of the ends, the change before and after, and, to be filled in, the
        correlation of the ends.
    """
    between = distances[windows.start, windows.end]
    windows, between = windows.take(between > _LEAST_DISTANCE), between[between > _LEAST_DISTANCE]
    _, start, middle, end, _ = windows
    detour = (distances[start, middle] + distances[middle, end]) / between
    ends = (contrast[start] + contrast[end]) / 2
    dip = (contrast[middle] + 0.5) / (ends + 0.5)
    chosen = (detour < _MOST_DETOUR) & (dip < _MOST_CONTRAST)
    windows, between, detour, dip = (
        windows.take(chosen),
        between[chosen],
        detour[chosen],
        dip[chosen],
    )
    off, uneven = _path(distances, windows, between)
    features = np.empty((len(between), 8))
    features[:, 0], features[:, 1], features[:, 2], features[:, 3] = detour, off, uneven, dip
    features[:, 4] = np.log(between)
    before = distances[windows.outside_before, windows.start]
    after = distances[windows.end, windows.outside_after]
    features[:, 5] = np.minimum(before / between, 2)
    features[:, 6] = np.minimum(after / between, 2)
    features[:, 7] = _UNRELATED
    return windows, features


def _path(
    distances: NDArray[np.float64], windows: Windows, between: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far frames lie off the line, squared, and how unevenly they proceed: (W,) each."""
    within = np.arange(1, 2 * HALVES[-1])
    lengths = (windows.end - windows.start)[:, None]
    inside = within < lengths
    ticks = np.where(inside, windows.start[:, None] + within, windows.start[:, None])
    between = between[:, None]
    from_start = distances[windows.start[:, None], ticks]
    along = (from_start + between - distances[windows.end[:, None], ticks]) / (2 * between)
    off = np.maximum(from_start / between - along**2, 0)
    uneven = np.abs(along - within / lengths)
    counts = inside.sum(axis=1)
    return (off * inside).sum(axis=1) / counts, (uneven * inside).sum(axis=1) / counts


def contrasts(signatures: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean squared difference of neighbouring blocks, (N, SIZE) to (N,)."""
    luma = signatures[:, :LUMA].reshape(-1, ROWS, COLS)
    down, across = np.diff(luma, axis=1), np.diff(luma, axis=2)
    return np.asarray((down**2).mean(axis=(1, 2)) + (across**2).mean(axis=(1, 2)), np.float64)
