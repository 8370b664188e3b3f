"""What nobody wants to see again: dark, empty, still, blurred and shaken pictures, by sketches.

All is told from what is kept of sampled frames (`runtime.sketches`); nothing is decoded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.runtime.sketches import SIDE
from soravec.tasks.registration import FINE_CELLS, details
from soravec.types import FrameFeatures

Float = NDArray[np.float32]

FLAWS = ("dark", "flat", "still", "blurred", "shaken")
WEIGHTS = (1.0, 1.0, 0.9, 0.6, 0.9)
"""How much of its quality a picture loses by each. A soft picture may be meant: fog, a sky."""
DARK_LEVELS = (45.0, 20.0)
"""From the first to the second the lightest twentieth of a picture, of 255, makes it dark."""
FLAT_LEVELS = (8.0, 3.0)
"""The same of the spread of brightness."""
STILL_LEVELS = (1.2, 0.7)
"""The same of the change to the frames beside it."""
BLURRED_SHARES = (0.09, 0.05)
"""The same of the sharpness of pixels, as a share of the details of cells."""
SOFTER_SHARES = (0.5, 0.25)
"""The same, as a share of what is usual in the sharper frames of its shot."""
SHAKEN_CELLS = (0.8, 2.0)
"""By so much a step of the picture differs from the one before, of 24 cells; between frames half a
second apart, a hand that pans steadily moves evenly."""
MOST_STEP = 6
"""Cells by which a picture is moved, at most, to lay it over the next one."""
LEAST_ALIKE = 0.5
"""Correlation below which it is not the same picture, moved."""
NEAR_CELLS, LEAST_MARGIN = 2, 0.2
"""By which the best step must fit better than every one that is farther from it."""
MOST_SECONDS = 1.5
"""Frames that are farther apart say nothing of motion."""
USUAL_SHARE = 0.5
"""A flaw that more of a video has tells no part of it from another: it does not count."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good sampled frames are to look at."""

    flaws: Float
    """(T, 5) in [0, 1], in the order of `FLAWS`."""
    usual: tuple[str, ...]
    """Flaws that most of the video has, which do not count."""
    values: Float
    """(T,) in [0, 1]; 1 has no flaw."""


def frame_quality(features: FrameFeatures, shots: NDArray[np.int64], weights: Float) -> Quality:
    """Return how good frames are to look at.

    Args:
        features: Of a video; without sketches no flaw is seen.
        shots: (T,) the shot of each frame.
        weights: (T,) seconds for which each stands.
    """
    if features.sketches is None or features.sharpness is None:
        nothing = np.zeros((len(features), len(FLAWS)), np.float32)
        return Quality(nothing, (), np.ones(len(features), np.float32))
    sketches = features.sketches.astype(np.float32)
    cells = sketches.reshape(len(sketches), -1)
    beside = (np.diff(features.seconds) <= MOST_SECONDS) & (np.diff(shots) == 0)
    flaws = np.stack(
        [
            _ramp(np.percentile(cells, 95, axis=1), DARK_LEVELS),
            _ramp(cells.std(axis=1), FLAT_LEVELS),
            _still(cells, beside),
            _blurred(sketches, features.sharpness.astype(np.float32), shots),
            _shaken(details(sketches), beside),
        ],
        axis=1,
    )
    shares = weights @ flaws / weights.sum()
    is_usual = shares > USUAL_SHARE
    lost = flaws * np.array(WEIGHTS, np.float32) * ~is_usual
    usual = tuple(name for name, is_so in zip(FLAWS, is_usual, strict=True) if is_so)
    return Quality(flaws, usual, (1 - lost).prod(axis=1))


def _ramp(values: NDArray[np.floating], levels: tuple[float, float]) -> Float:
    """Return 0 at the first level, 1 at the second, and between them what lies between."""
    first, second = levels
    ramp: Float = np.clip((values - first) / (second - first), 0, 1).astype(np.float32)
    return ramp


def _still(cells: Float, beside: NDArray[np.bool_]) -> Float:
    """Return of each frame whether both frames beside it show the same."""
    steps = np.sqrt(np.square(np.diff(cells, axis=0)).mean(axis=1))
    still = _ramp(steps, STILL_LEVELS)
    before = np.append(False, beside)
    after = np.append(beside, False)
    one = np.where(before, np.append(0, still), 1)
    other = np.where(after, np.append(still, 0), 1)
    found: Float = np.where(before | after, np.minimum(one, other), 0).astype(np.float32)
    return found


def _blurred(sketches: Float, sharpness: Float, shots: NDArray[np.int64]) -> Float:
    """Return of each frame whether it lacks the fine of what it has of the coarse."""
    coarse = np.sqrt(np.square(details(sketches, FINE_CELLS)).mean(axis=(1, 2)))
    shares = (sharpness / (coarse + 1)).astype(np.float32)
    usual = np.empty_like(shares)
    for shot in np.unique(shots):
        usual[shots == shot] = np.percentile(shares[shots == shot], 75)
    softer = _ramp(shares / np.maximum(usual, 1e-6), SOFTER_SHARES)
    return np.maximum(_ramp(shares, BLURRED_SHARES), softer)


def _shaken(detailed: Float, beside: NDArray[np.bool_]) -> Float:
    """Return of each frame how unsteadily the picture moves around it."""
    number = len(detailed)
    if number < 3:
        return np.zeros(number, np.float32)
    moved, known = _moves(detailed)
    known = known & beside
    jerks = np.hypot(*(moved[1:] - moved[:-1]).T)
    counts = (known[1:] & known[:-1]).astype(np.float32)
    jerks = np.minimum(jerks, MOST_STEP) * counts
    near = np.ones(5, np.float32)  # two steps before and after
    # As many as there are frames; "same" would give five of fewer.
    sums, seen = (np.convolve(np.pad(one, 1), near)[2:-2] for one in (jerks, counts))
    here = np.pad(counts, 1) > 0
    return np.where(here & (seen >= 2), _ramp(sums / np.maximum(seen, 1), SHAKEN_CELLS), 0)


def _moves(detailed: Float) -> tuple[Float, NDArray[np.bool_]]:
    """Return by how many cells (T - 1, 2) each picture is moved in the next, and whether surely.

    Of stripes and of clouds nobody can say: another way to lay them fits as well.
    """
    first, second = detailed[:-1], detailed[1:]
    steps = [(d, a) for d in _STEPS for a in _STEPS]
    fits = np.stack([_fit(first, second, *step) for step in steps])  # (S, T - 1)
    places = np.array(steps, np.float32)
    best = fits.argmax(axis=0)
    moved = places[best]
    apart = np.abs(places[:, None] - moved).max(axis=2) > NEAR_CELLS
    second_best = np.where(apart, fits, -1).max(axis=0)
    highest = fits.max(axis=0)
    return moved, (highest >= LEAST_ALIKE) & (second_best <= highest - LEAST_MARGIN)


def _fit(first: Float, second: Float, down: int, across: int) -> Float:
    """Return the correlation (T,) of pictures, the second ones moved."""
    one, other = _part(first, down, across), _part(second, -down, -across)
    power = np.square(one).sum(axis=1) * np.square(other).sum(axis=1)
    fit: Float = (one * other).sum(axis=1) / np.sqrt(power + 1)
    return fit


def _part(pictures: Float, down: int, across: int) -> Float:
    """Return the cells of pictures (T, SIDE, SIDE) that are left when they are moved, (T, N)."""
    rows = slice(max(0, down), SIDE + min(0, down))
    columns = slice(max(0, across), SIDE + min(0, across))
    return pictures[:, rows, columns].reshape(len(pictures), -1)


_STEPS = range(-MOST_STEP, MOST_STEP + 1)
