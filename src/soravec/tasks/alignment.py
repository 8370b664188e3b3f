"""Where two videos show the same, moment by moment. Pure arithmetic on features and sketches.

First a place: a few seconds of one whose features change as those of the other do. Then how one
picture lies in the other (`registration`). From there both ways, as long as picture by picture
agrees, at the speed at which most agrees. So a seed is extended as BLAST does it (Altschul et al.,
"Basic local alignment search tool", 1990), along a line as in a temporal Hough transform (Douze,
Jegou, Schmid, "An image-based approach to video copy detection with spatio-temporal
post-filtering", 2010).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soravec.runtime.sketches import GREY
from soravec.tasks.registration import (
    FINE_CELLS,
    Geometry,
    Registration,
    agreement,
    alike,
    change_levels,
    colour_agreement,
    details,
    gists,
    num_changes,
    num_moving,
    register,
    register_again,
)

Float = NDArray[np.float32]

GRID_FPS = 2.0
"""Instants per second that are compared."""
PLACE_STEPS = 6
"""Length of the place that is looked for first: three seconds."""
SPEEDS = (0.9, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1)
"""How many seconds of the first video may pass in one second of the second."""
FINER, FINEST = (0.98, 0.99, 1.0, 1.01, 1.02), (0.995, 1.0, 1.005)
"""By which the best of them is multiplied afterwards, and then again."""
FIRST_SHIFTS, SHIFTS = (-0.5, 0.0, 0.5), (-0.5, -0.25, 0.0, 0.25, 0.5)
"""Steps by which a place may lie elsewhere in the first video, at first and then."""
LEAST_ALIKE = 0.4
"""Two pictures whose details correlate less are no longer the same."""
HELD_SECONDS = 1.0
"""Between samples that are so far apart nothing is interpolated: it would seem to move."""
MOST_STEPS = 240
"""Instants that are laid over one another at once; of a longer span, as many, evenly spaced."""
LEAST_SPREAD = 0.02
"""Sum of squares of what differs in a place; less is noise."""
MOST_LOSS = 2.4
"""By so much a sum over instants may fall before a span ends: three seconds that differ wholly."""
GREY_LEVELS = 1.5
"""Mean distance from grey, of 128, below which a span has no colours: black and white."""
DULL_LEVELS = 2.0
"""Root mean square of the details of a picture, of 255, below which it hardly tells anything."""


@dataclass(frozen=True, slots=True)
class Course:
    """A video at even instants."""

    start_seconds: float
    """The first of them."""
    features: Float
    """(N, F), weighted so that inner products tell."""
    sketches: NDArray[np.uint8]
    """(N, SIDE, SIDE)."""
    details: Float
    """(N, SIDE, SIDE), of the sketches."""
    gists: Float
    """(N, G), of the sketches."""
    colours: NDArray[np.uint8] | None = None
    """(N, 2, COLOUR_SIDE, COLOUR_SIDE); None where they were not kept."""

    def __len__(self) -> int:
        return len(self.features)

    def step(self, seconds: float) -> float:
        """Return at which of the instants a time lies, maybe between two."""
        return (seconds - self.start_seconds) * GRID_FPS

    def seconds(self, step: float) -> float:
        """Return the time of an instant."""
        return self.start_seconds + step / GRID_FPS


@dataclass(frozen=True, slots=True)
class Place:
    """A few seconds that two videos may share."""

    first_step: float
    """The middle of it in the first video."""
    second_step: float
    """The middle of it in the second one."""
    score: float
    """Correlation of the changes of their features, or of their gists."""


@dataclass(frozen=True, slots=True)
class Line:
    """Which instants of two videos belong together."""

    first_step: float
    """An instant of the first."""
    second_step: float
    """The one of the second that belongs to it."""
    speed: float
    """Steps of the first per step of the second."""
    rounded: bool = False
    """Whether instants are rounded: where a camera pans, pictures between two are blurred, but the
    nearest one shows the same, a little to the side."""

    def at(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return where steps of the second lie in the first."""
        places = np.asarray(self.first_step + (steps - self.second_step) * self.speed, np.float64)
        return np.round(places) if self.rounded else places


@dataclass(frozen=True, slots=True)
class Shared:
    """A span that two videos share."""

    first_steps: tuple[float, float]
    """Its first instant in the first video and the last one."""
    second_steps: tuple[int, int]
    """The same in the second one."""
    speed: float
    """Seconds of the first that pass in a second of the second."""
    geometry: Geometry
    """How the second lies in the first."""
    score: float
    """Correlation of the changes of their details, in [-1, 1]."""
    fine_score: float
    """The same of smaller details."""
    feature_score: float
    """Correlation of the changes of their features."""
    levels: float
    """Root mean square by which smaller details change, of 255, in the one in which they do less:
    how much there is that could disagree."""
    ways: float
    """In how many independent ways they do, in the one in which it is fewer."""
    colours: tuple[float, float] | None = None
    """Correlation of their colours, and by how much these differ, of 255; None where either has
    none."""

    @property
    def seconds(self) -> float:
        """How long it is in the second video."""
        return (self.second_steps[1] - self.second_steps[0] + 1) / GRID_FPS


def course(
    features: Float,
    sketches: NDArray[np.uint8],
    seconds: NDArray[np.float64],
    colours: NDArray[np.uint8] | None = None,
) -> Course:
    """Return a video at even instants.

    Args:
        features: (T, F), weighted so that inner products tell.
        sketches: (T, SIDE, SIDE).
        seconds: (T,) when they were.
        colours: (T, 2, COLOUR_SIDE, COLOUR_SIDE), if they were kept.
    """
    features, light = (on_grid(values, seconds, GRID_FPS) for values in (features, sketches))
    if colours is not None:
        colours = np.rint(on_grid(colours, seconds, GRID_FPS)).astype(np.uint8)
    small = np.rint(light).astype(np.uint8)
    return Course(float(seconds[0]), features, small, details(light), gists(small), colours)


def on_grid(values: NDArray[Any], seconds: NDArray[np.float64], fps: float) -> Float:
    """Return values (N, ...) float32 at even steps from the first one's time on, interpolated.

    At 4 steps/s values at 10.0, 10.5 and 11.0 s become five, at 10.0, 10.25 ... 11.0. The last one
    counts for a step a quarter of a step later too. Across a second and more nothing is
    interpolated: what was seen before the gap stays until it ends.
    """
    since = seconds - seconds[0]
    number = int(np.floor(since[-1] * fps + 0.25)) + 1
    return _at(values, since, np.arange(number) / fps, most_between=HELD_SECONDS)


def find_place(
    first: Float, second: Float, begin: tuple[int, int], end: tuple[int, int]
) -> Place | None:
    """Return where two change alike for three seconds, best of all in two windows.

    None where a window is shorter than that.

    Args:
        first: Features or gists of one video.
        second: Those of the other one.
        begin: The step at which the window of each begins.
        end: The step after its end.
    """
    one, other = first[begin[0] : end[0]], second[begin[1] : end[1]]
    rows, columns = len(one) - PLACE_STEPS + 1, len(other) - PLACE_STEPS + 1
    if min(rows, columns) < 1:
        return None
    products = one @ other.T
    sums = np.zeros((rows, columns), np.float32)
    for k in range(PLACE_STEPS):
        sums += products[k : k + rows, k : k + columns]
    (mean, spread), (other_mean, other_spread) = _windows(one), _windows(other)
    scores = (sums - PLACE_STEPS * mean @ other_mean.T) / np.sqrt(np.outer(spread, other_spread))
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    middle = (PLACE_STEPS - 1) / 2
    return Place(begin[0] + row + middle, begin[1] + column + middle, float(scores[row, column]))


def find_shared(first: Course, second: Course, place: Place, least_score: float) -> Shared | None:
    """Return the span around a place that two videos share, or None where they share none.

    Args:
        first: One video.
        second: The other one.
        place: Where to begin.
        least_score: What three seconds that agree less are not looked at any longer.
    """
    begin = round(place.second_step - (PLACE_STEPS - 1) / 2)
    line = Line(place.first_step, place.second_step, 1.0)
    span = begin, begin + PLACE_STEPS - 1
    moved = [replace(line, first_step=line.first_step + shift) for shift in FIRST_SHIFTS]
    tries = [(register(*_along(first, second, one, span)), one) for one in moved]
    found, line = max(tries, key=lambda one: one[0].score)
    if found.score < least_score:
        return None
    for speeds in (SPEEDS, FINER, FINEST):
        span, line = _longest(first, second, line, speeds, found.geometry)
        line = max(
            _moved(line, SHIFTS),
            key=lambda one: agreement(*_along(first, second, one, span), found.geometry),
        )
        found = register_again(*_along(first, second, line, span), found.geometry)
    return _shared(first, second, line, span, found)


def _moved(line: Line, shifts: tuple[float, ...]) -> list[Line]:
    moved = [replace(line, first_step=line.first_step + shift, rounded=False) for shift in shifts]
    return [*moved, replace(line, rounded=True)]


def _longest(
    first: Course, second: Course, line: Line, speeds: tuple[float, ...], geometry: Geometry
) -> tuple[tuple[int, int], Line]:
    """Return the span over which pictures agree, and the line, at the speed at which most does."""
    lines = [replace(line, speed=line.speed * speed) for speed in speeds]
    lines = [one for one in lines if SPEEDS[0] - 0.01 <= one.speed <= SPEEDS[-1] + 0.01]
    grown = [(*_grown(first, second, one, geometry), one) for one in lines]
    _, span, best = max(grown, key=lambda one: one[0])
    return span, best


def _grown(
    first: Course, second: Course, line: Line, geometry: Geometry
) -> tuple[float, tuple[int, int]]:
    """Return how much agrees along a line, and the steps of the second up to which it does."""
    middle, reach = round(line.second_step), MOST_STEPS
    while True:
        steps = np.arange(max(0, middle - reach), min(len(second), middle + reach + 1))
        gains = _gains(first, second, line, steps, geometry)
        at = middle - int(steps[0])
        (before, start), (after, end) = _best(gains[at::-1]), _best(gains[at:])
        is_all = steps[0] == 0 and steps[-1] == len(second) - 1
        if is_all or max(start, end) < reach - 2 * PLACE_STEPS:
            return before + after, (middle - start, middle + end)
        reach *= 2


def _gains(
    first: Course, second: Course, line: Line, steps: NDArray[np.int64], geometry: Geometry
) -> Float:
    """Return by how much the pictures at steps of the second are more alike than they must be."""
    places = line.at(steps)
    within = (places > -0.5) & (places < len(first) - 0.5)
    gains = np.full(len(steps), -MOST_LOSS, np.float32)
    one, other = _at_steps(first.details, places[within]), second.details[steps[within]]
    gained = np.maximum(alike(one, other, geometry) - LEAST_ALIKE, -LEAST_ALIKE)
    is_dull = np.minimum(_level(one), _level(other)) < DULL_LEVELS
    gains[within] = np.where(is_dull, np.minimum(gained, 0) / 4, gained)
    return gains


def _best(gains: Float) -> tuple[float, int]:
    """Return the highest sum of the first gains, and the number of the last one in it.

    It is not looked for beyond where the sum has fallen by `MOST_LOSS` from the highest before.
    """
    sums = np.cumsum(gains)
    highest = np.maximum.accumulate(sums)
    lost = np.flatnonzero(highest - sums >= MOST_LOSS)
    sums = sums[: lost[0]] if len(lost) else sums
    last = int(sums.argmax())
    return float(sums[last]), last


def _level(pictures: Float) -> Float:
    """Return the root mean square of each of some details."""
    level: Float = np.sqrt((pictures * pictures).mean(axis=(1, 2)))
    return level


def _shared(
    first: Course, second: Course, line: Line, span: tuple[int, int], found: Registration
) -> Shared | None:
    """Return what was found with all that tells whether it is a copy; None where little moves."""
    steps = np.arange(span[0], span[1] + 1)
    places = line.at(steps)
    moving = num_moving(_at_steps(first.details, places)), num_moving(second.details[steps])
    if min(moving) < PLACE_STEPS // 2:
        return None
    steps = _some(span)
    fine = [details(_at_steps(first.sketches, line.at(steps)), FINE_CELLS)]
    fine.append(details(second.sketches[steps], FINE_CELLS))
    features = _at_steps(first.features, line.at(steps)), second.features[steps]
    return Shared(
        (float(places[0]), float(places[-1])),
        span,
        line.speed,
        found.geometry,
        found.score,
        agreement(fine[0], fine[1], found.geometry),
        _correlation(*features),
        min(change_levels(one) for one in fine),
        min(num_changes(one) for one in fine),
        _colours(first, second, line, steps, found.geometry),
    )


def _colours(
    first: Course, second: Course, line: Line, steps: NDArray[np.int64], geometry: Geometry
) -> tuple[float, float] | None:
    if first.colours is None or second.colours is None:
        return None
    one, other = _at_steps(first.colours, line.at(steps)), second.colours[steps]
    if min(np.abs(colours - np.float32(GREY)).mean() for colours in (one, other)) < GREY_LEVELS:
        return None
    return colour_agreement(one, other, geometry)


def _correlation(one: Float, other: Float) -> float:
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    power = float((one * one).sum()) * float((other * other).sum())
    return float((one * other).sum() / max(math.sqrt(power), 1e-6))


def _along(first: Course, second: Course, line: Line, span: tuple[int, int]) -> tuple[Float, Float]:
    """Return the details of both over a span of the second."""
    steps = _some(span)
    return _at_steps(first.details, line.at(steps)), second.details[steps]


def _some(span: tuple[int, int]) -> NDArray[np.int64]:
    """Return the steps of a span, or as many as can be laid over one another at once."""
    number = min(span[1] - span[0] + 1, MOST_STEPS)
    return np.linspace(*span, number).round().astype(np.int64)


def _at_steps(values: NDArray[Any], steps: NDArray[np.float64]) -> Float:
    return _at(values, np.arange(len(values), dtype=np.float64), steps)


def _at(
    values: NDArray[Any],
    places: NDArray[np.float64],
    wanted: NDArray[np.float64],
    most_between: float = np.inf,
) -> Float:
    """Return values (N, ...) that stand at ascending places, interpolated at others.

    Between places that are `most_between` apart or more the one before counts.
    """
    if len(values) == 1:
        return np.repeat(values.astype(np.float32), len(wanted), axis=0)
    before = np.clip(np.searchsorted(places, wanted, side="right") - 1, 0, len(places) - 2)
    gaps = places[before + 1] - places[before]
    between = (wanted - places[before]) / np.maximum(gaps, 1e-9)
    between = np.where(gaps < most_between, between, np.floor(between))
    share = np.clip(between, 0, 1).astype(np.float32).reshape(-1, *(1,) * (values.ndim - 1))
    found = values[before] * (1 - share) + values[before + 1] * share
    return np.asarray(found, np.float32)


def _windows(values: Float) -> tuple[Float, Float]:
    """Return the mean of every window of a place, and the sum of squares of what differs."""
    zero = np.zeros((1, values.shape[1]))
    sums = np.concatenate([zero, np.cumsum(values, axis=0, dtype=np.float64)])
    squares = np.append(0.0, np.cumsum((values * values).sum(axis=1), dtype=np.float64))
    mean = (sums[PLACE_STEPS:] - sums[:-PLACE_STEPS]) / PLACE_STEPS
    energy = squares[PLACE_STEPS:] - squares[:-PLACE_STEPS]
    spread = energy - PLACE_STEPS * (mean * mean).sum(axis=1)
    return mean.astype(np.float32), np.maximum(spread, LEAST_SPREAD).astype(np.float32)
