"""Cuts between shots, found while decoding, and the segments that follow from them.

The method is the content detector of PySceneDetect (Castellano, https://www.scenedetect.com, BSD
3-Clause): the mean absolute change of hue, saturation and value between neighbouring frames, cut at
27, and cuts closer than 0.6 s merged. Departures: it looks at a picture 64 pixels wide, and takes
frames whose red, green and blue hardly change, and the 0.6 s in PTS seconds, not in frames.
Fewer bits per colour would be as fast, but turn the hue of dull pictures: cuts are missed.
"""

from math import ceil

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from soravec.types import Shots

CUT_THRESHOLD = 27.0
"""Mean absolute change of hue (0-179), saturation and value (0-255) at which a shot begins."""
MERGE_SECONDS = 0.6
"""Cuts closer than this are one."""
MIN_SHOT_SECONDS = 0.5
"""A shorter shot joins its neighbour."""

_WIDTH = 64
_BATCH_SIZE = 8
_CALM = 10.0
"""Mean absolute change of red, green and blue below which a frame is no cut: nine in ten frames of
real clips. Their cuts begin at 22."""

# Division by table; 0 / 0 counts as 0. The half rounds where the fraction is cut off.
_HALF = np.float32(0.5)
_30_OVER = (30 / np.maximum(np.arange(256), 1)).astype(np.float32)
_255_OVER = (255 / np.maximum(np.arange(256), 1)).astype(np.float32)


def plan_segments(shots: Shots, segment_seconds: float) -> NDArray[np.float64]:
    """Divide each shot into equal pieces of at most `segment_seconds`.

    With 8 s, shots [0, 10) and [10, 13) give [0, 5), [5, 10) and [10, 13).

    Args:
        shots: Bounds (N, 2) in seconds.
        segment_seconds: The longest piece, above 0.

    Returns:
        (S, 2) float64 seconds, contiguous and ascending.
    """
    pieces = []
    for start, end in shots.bounds:
        # A hair of tolerance: 16.000000001 s are two pieces of 8, not three.
        count = max(1, ceil((end - start) / segment_seconds - 1e-6))
        edges = np.linspace(start, end, count + 1)
        pieces.append(np.stack([edges[:-1], edges[1:]], axis=1))
    return np.concatenate(pieces) if pieces else np.zeros((0, 2))


class CutDetector:
    """Finds cuts in a stream of decoded frames, in constant memory but for the cuts themselves."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._seconds: list[float] = []
        self._tiny: NDArray[np.uint8] | None = None  # (1 + batch, 3, h, w), the first from before
        self._filter = _MergeFilter()

    def add(self, seconds: float, frame: VideoFrame) -> None:
        """Look at the next frame."""
        if self._tiny is None:
            height = min(max(8, round(_WIDTH * frame.height / max(frame.width, 1))), 2 * _WIDTH)
            self._tiny = np.empty((1 + _BATCH_SIZE, 3, height, _WIDTH), np.uint8)
            self._shrink(frame, self._tiny[0])
        self._seconds.append(seconds)
        self._shrink(frame, self._tiny[len(self._seconds)])
        if len(self._seconds) == _BATCH_SIZE:
            self._score()

    def finish(self) -> list[float]:
        """Return the PTS seconds of the first frame of every new shot, ascending."""
        self._score()
        return self._filter.cuts

    def _shrink(self, frame: VideoFrame, out: NDArray[np.uint8]) -> None:
        """Write green, blue and red of a small version of the frame into `out`, (3, h, w)."""
        height = out.shape[1]
        tiny = self._reformatter.reformat(
            frame,
            width=_WIDTH,
            height=height,
            format="gbrp",
            # Nothing is averaged, so that the changes stay as large as in the full picture.
            interpolation=Interpolation.POINT,
            threads=1,
        )
        for colour, plane in zip(out, tiny.planes, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            colour[:] = rows[:height, :_WIDTH]

    def _score(self) -> None:
        """Score the collected frames against their predecessors, all at once."""
        if self._tiny is None or not self._seconds:
            return
        count = len(self._seconds)
        before, after = self._tiny[:count], self._tiny[1 : count + 1]
        above = _change(before, after) >= _CALM
        if above.any():
            above[above] = _change(_hsv(before[above]), _hsv(after[above])) >= CUT_THRESHOLD
        for seconds, is_above in zip(self._seconds, above.tolist(), strict=True):
            self._filter.add(seconds, is_above)
        self._tiny[0] = after[-1]
        self._seconds.clear()


def _change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean absolute difference of each pair of pictures, (T, 3, h, w) to (T,)."""
    difference = np.maximum(before, after) - np.minimum(before, after)
    return np.asarray(difference.mean(axis=(1, 2, 3)))


def _hsv(gbr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return hue (0-179), saturation and value (0-255) of green, blue, red: (T, 3, h, w)."""
    green, blue, red = gbr.astype(np.int16).swapaxes(0, 1)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    is_red, is_green = value == red, value == green
    difference = np.where(is_red, green - blue, np.where(is_green, blue - red, red - green))
    sector = np.where(is_red, _HALF, np.where(is_green, _HALF + 60, _HALF + 120))
    hue = difference * _30_OVER.take(chroma) + sector
    hue += (hue < 0) * np.float32(180)
    saturation = chroma * _255_OVER.take(value) + _HALF
    return np.stack([hue, saturation, value], axis=1).astype(np.uint8)


class _MergeFilter:
    """PySceneDetect's flash filter in its merge mode, in seconds.

    A run of frames above the threshold, each within 0.6 s of the last, becomes one cut at its end.
    Frames above at 2.0, 2.3 and 2.4 give the cut 2.0; with 2.7 and 2.9 beside them, 2.0 and 2.9.
    """

    def __init__(self) -> None:
        self.cuts: list[float] = []
        self._last_above: float | None = None
        self._merge_start: float | None = None

    def add(self, seconds: float, above: bool) -> None:
        last_above = seconds if self._last_above is None else self._last_above
        far = seconds - last_above >= MERGE_SECONDS - 1e-9
        if above or self._last_above is None:
            self._last_above = seconds
        if self._merge_start is not None:
            self._end_of_run(far and not above)
        elif above and far:
            self.cuts.append(seconds)
        elif above and self.cuts:
            self._merge_start = seconds

    def _end_of_run(self, ended: bool) -> None:
        assert self._merge_start is not None
        assert self._last_above is not None
        if ended and self._last_above - self._merge_start >= MERGE_SECONDS - 1e-9:
            self.cuts.append(self._last_above)
            self._merge_start = None


def shots_between(
    cuts: list[float], start_seconds: float, end_seconds: float, *, approximate: bool
) -> Shots:
    """Make shots of the cuts in a span, joining those under half a second to a neighbour.

    Cuts 4.0 and 4.3 in [0, 10) give [0, 4.3) and [4.3, 10): the 0.3 s join the shot before. A first
    shot that is too short joins the one after.
    """
    edges = [start_seconds]
    notes = []
    for cut in [c for c in cuts if start_seconds < c < end_seconds] + [end_seconds]:
        if cut - edges[-1] >= MIN_SHOT_SECONDS:
            edges.append(cut)
            continue
        if cut < end_seconds or len(edges) > 1:
            notes.append(
                f"shot of {cut - edges[-1]:.2f} s at {edges[-1]:.2f} s joined its neighbour"
            )
        if len(edges) > 1:
            edges[-1] = cut
    if len(edges) == 1:
        edges.append(end_seconds)
    bounds = np.stack([edges[:-1], edges[1:]], axis=1).astype(np.float64)
    return Shots(bounds, approximate=approximate, notes=tuple(notes))
