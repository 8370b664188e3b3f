"""How one picture lies in another: mirrored, cropped, between bars. Pure arithmetic on sketches.

Two spans of sketches are laid over one another so that what *changes* in them agrees best. What
stands still counts for nothing: neither bars and logos, nor a place before a still camera, nor
black.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soravec.runtime.sketches import COLOUR_SIDE, SIDE

Float = NDArray[np.float32]

DETAIL_CELLS, FINE_CELLS = 9, 5
"""What is larger than so many cells is left out: where it is bright or dark is much the same in
many pictures, and changes with every exposure."""
STILL_LEVELS = 0.5
"""Root mean square of the changes of a span, of 255, below which it stands still."""
BLACK_LEVELS, MOST_BAR = 20, SIDE // 3
"""A row no lighter, of 255, at both ends of a picture is a bar; so many cells at most."""
GIST_CELLS, GIST_LEVELS = 6, 10.0
"""Cells of a gist across and down, and the standard deviation of them below which it is less."""
PROMISING = 0.3
"""What correlates less at a coarse look is not looked at again."""
LEAST_SHARE = 0.5
"""Of the picture must be seen in both."""
MOST_SHIFT, LEAST_SIDE, MOST_SIDE = 0.13, 0.7, 1.5
"""How far off the middle may lie, and how long a side may be, as shares of the other picture's."""
STEPS, FINE_STEPS = (0.06, 0.03, 0.015), (0.03, 0.015, 0.0075)
"""By which a side is moved while the best geometry is looked for, as shares of the picture."""

Side = tuple[float, float, bool]
"""Where a side begins and ends in the other picture, and whether it is mirrored."""
Laid = tuple[Float, Float]
"""Matrices (K, cells, cells) that read a side of the first picture at the cells of the second, and
(K, cells) which of these cells lie within the first."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a picture shows another one: what is at `u` in it is at `begin + (end - begin) * u`.

    Of the other one, and all as shares of a side. A picture that was cropped has both inside 0
    and 1, one between bars has them outside.
    """

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0
    mirrored: bool = False

    @property
    def departure(self) -> float:
        """By how much the sides lie elsewhere, in all, as shares of a side."""
        return abs(self.top) + abs(1 - self.bottom) + abs(self.left) + abs(1 - self.right)


@dataclass(frozen=True, slots=True)
class Registration:
    """How well two spans agree where they agree best."""

    geometry: Geometry
    """Of the second in the first."""
    score: float
    """Correlation of the changes, in [-1, 1]; 0 where one stands still."""


def details(sketches: NDArray[np.uint8] | Float, cells: int = DETAIL_CELLS) -> Float:
    """Return sketches (T, SIDE, SIDE) less what is large in them: the mean of the cells around.

    Black bars are no part of the picture: they have no details, nor are they around any.
    """
    number = np.arange(SIDE)
    around = (np.abs(number[:, None] - number) <= cells // 2).astype(np.float32)
    values = np.asarray(sketches, np.float32)
    rows, columns = _shown(values.max(axis=2)), _shown(values.max(axis=1))  # (T, SIDE)
    shown = rows[:, :, None] * columns[:, None, :]
    number_around = (rows @ around)[:, :, None] * (columns @ around)[:, None, :]
    mean = around @ (values * shown) @ around / np.maximum(number_around, 1)
    detailed: Float = (values - mean) * shown
    return detailed


def _shown(lightest: Float) -> Float:
    """Return 1 for the rows (T, SIDE) of a picture and 0 for those of bars at both of its ends.

    Of each its lightest cell is given. The row beside a bar is mostly partly bar.
    """
    is_dark = lightest <= BLACK_LEVELS
    before = np.minimum.accumulate(is_dark, axis=1).sum(axis=1)
    after = np.minimum.accumulate(is_dark[:, ::-1], axis=1).sum(axis=1)
    is_barred = (before > 0) & (after > 0) & (np.maximum(before, after) <= MOST_BAR)
    before, after = (np.where(is_barred, bar + 1, 0)[:, None] for bar in (before, after))
    at = np.arange(SIDE)
    return ((at >= before) & (at < SIDE - after)).astype(np.float32)


def gists(sketches: NDArray[np.uint8]) -> Float:
    """Return what is light and dark in each picture (T, G) and lies alike in its likenesses.

    Coarse, without bars, the same when mirrored, and of unit length unless there is hardly anything
    to see. Two instants may be of one moment where gists change alike.
    """
    values = sketches.astype(np.float32)
    shown = _shown(values.max(axis=2)) > 0, _shown(values.max(axis=1)) > 0
    sides = [(side.argmax(axis=1), SIDE - side[:, ::-1].argmax(axis=1)) for side in shown]
    bounds = np.stack([*sides[0], *sides[1]], axis=1)
    coarse = np.empty((len(values), GIST_CELLS, GIST_CELLS), np.float32)
    for top, bottom, left, right in np.unique(bounds, axis=0).tolist():
        chosen = (bounds == (top, bottom, left, right)).all(axis=1)
        coarse[chosen] = _means(top, bottom) @ values[chosen] @ _means(left, right).T
    both = _flat((coarse + coarse[:, :, ::-1])[:, :, : (GIST_CELLS + 1) // 2])
    both -= both.mean(axis=1, keepdims=True)
    spread = np.maximum(both.std(axis=1, keepdims=True), GIST_LEVELS)
    found: Float = both / (spread * np.float32(both.shape[1] ** 0.5))
    return found


def _means(begin: int, end: int) -> Float:
    """Return a matrix (GIST_CELLS, SIDE) that means cells from `begin` to `end`."""
    edges = begin + (end - begin) * np.arange(GIST_CELLS + 1) / GIST_CELLS
    cell = np.arange(SIDE)
    shared = np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell)
    return np.asarray(np.maximum(shared, 0) * GIST_CELLS / (end - begin), np.float32)


def register(first: Float, second: Float) -> Registration:
    """Return how the second span lies in the first.

    Args:
        first: (T, SIDE, SIDE), the details of its sketches.
        second: (T, SIDE, SIDE), at the same instants.
    """
    one, other = _changes(first), _changes(second)
    if _is_still(one) or _is_still(other):
        return Registration(Geometry(), 0.0)
    downs, acrosses = _sides(), _sides(mirrored=(False, True))
    scores = _scores(_coarse(one), _coarse(other), *_coarsely_laid())
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    geometry = _geometry(downs[row], acrosses[column])
    if scores[row, column] < PROMISING:
        return Registration(geometry, float(scores[row, column]))
    best = Registration(geometry, _score(one, other, geometry))
    for step in STEPS:
        best = _refined(one, other, best, step)
    return best


def register_again(first: Float, second: Float, geometry: Geometry) -> Registration:
    """Return how the second span lies in the first, which is known but for a little."""
    one, other = _changes(first), _changes(second)
    if _is_still(one) or _is_still(other):
        return Registration(geometry, 0.0)
    best = Registration(geometry, _score(one, other, geometry))
    for step in FINE_STEPS:
        best = _refined(one, other, best, step)
    return best


def agreement(first: Float, second: Float, geometry: Geometry) -> float:
    """Return the correlation of the changes of two spans, the second lying in the first so."""
    one, other = _changes(first), _changes(second)
    return 0.0 if _is_still(one) or _is_still(other) else _score(one, other, geometry)


def alike(first: Float, second: Float, geometry: Geometry) -> Float:
    """Return the correlation (T,) of each two pictures, the second lying in the first so."""
    (rows, down), (columns, across) = _of(geometry)
    seen = np.outer(down[0], across[0]).ravel()
    one, other = _flat(rows[0] @ first @ columns[0].T), _flat(second)  # the first is 0 elsewhere
    count = max(float(seen.sum()), 1.0)
    sums = one.sum(axis=1), other @ seen
    both = np.einsum("tc,tc->t", one, other) - sums[0] * sums[1] / count
    power = np.einsum("tc,tc->t", one, one) - sums[0] * sums[0] / count
    rest = (other * other) @ seen - sums[1] * sums[1] / count
    spread = np.sqrt(np.maximum(power, 0) * np.maximum(rest, 0))
    found: Float = both / np.maximum(spread, STILL_LEVELS * count)
    return found


def colour_agreement(
    first: Float, second: NDArray[np.uint8], geometry: Geometry
) -> tuple[float, float]:
    """Return how well the colours of two spans agree, the second lying in the first so.

    Args:
        first: (T, 2, COLOUR_SIDE, COLOUR_SIDE), blue and red, 128 where grey.
        second: The same at the same instants.
        geometry: Of the second in the first.

    Returns:
        The correlation of both, less the mean colour of each, and the root mean square by which
        their mean colours differ at an instant, of 255.
    """
    (rows, down), (columns, across) = _of(geometry, COLOUR_SIDE)
    laid = rows[0] @ first @ columns[0].T
    seen = np.outer(down[0], across[0]) > 0
    one, other = laid[:, :, seen], second[:, :, seen].astype(np.float32)  # (T, 2, cells)
    apart = one.mean(axis=2) - other.mean(axis=2)
    one, other = (colours - colours.mean(axis=(0, 2), keepdims=True) for colours in (one, other))
    power = np.sqrt((one * one).mean() * (other * other).mean())
    score = float((one * other).mean() / max(float(power), STILL_LEVELS))
    return score, float(np.sqrt((apart * apart).sum(axis=1).mean()))


def num_moving(span: Float) -> int:
    """Return how many of the pictures (T, SIDE, SIDE) differ from the one before them."""
    steps = np.diff(span, axis=0)
    return int((np.sqrt((steps * steps).mean(axis=(1, 2))) >= STILL_LEVELS).sum())


def change_levels(span: Float) -> float:
    """Return the root mean square by which pictures (T, SIDE, SIDE) change, of 255."""
    changed = _changes(span)
    return float(np.sqrt((changed * changed).mean()))


def num_changes(span: Float) -> float:
    """Return in how many ways pictures (T, SIDE, SIDE) change, of which none tells another.

    The participation ratio of the variances of their principal components, (sum)^2 / sum of
    squares: n where n have the same variance. What two spans of few ways agree in may be chance.
    """
    changed = _flat(_changes(span))
    products = changed @ changed.T
    return float(np.trace(products) ** 2 / max(float((products * products).sum()), 1e-6))


def _changes(span: Float) -> Float:
    changed: Float = span - span.mean(axis=0)
    return changed


def _is_still(changed: Float) -> bool:
    return float(np.sqrt((changed * changed).mean())) < STILL_LEVELS


def _refined(one: Float, other: Float, best: Registration, step: float) -> Registration:
    """Move the sides while that helps."""
    for _ in range(4):
        here = best.geometry
        downs: list[Side] = [(*side, False) for side in _around(here.top, here.bottom, step)]
        acrosses: list[Side] = [
            (*side, here.mirrored) for side in _around(here.left, here.right, step)
        ]
        scores = _scores(one, other, _laid(downs), _laid(acrosses))
        row, column = np.unravel_index(int(scores.argmax()), scores.shape)
        if scores[row, column] <= best.score + 1e-4:
            return best
        geometry = _geometry(downs[row], acrosses[column])
        best = Registration(geometry, float(scores[row, column]))
    return best


def _geometry(down: Side, across: Side) -> Geometry:
    (top, bottom, _), (left, right, mirrored) = down, across
    return Geometry(top, bottom, left, right, mirrored)


def _around(begin: float, end: float, step: float) -> list[tuple[float, float]]:
    """Return sides near to one, itself first, as somebody would cut or put bars."""
    moved = [(begin + one, end + other) for one, other in product((0, -step, step), repeat=2)]
    return [(begin, end), *(side for side in moved[1:] if _is_usual(*side))]


def _is_usual(begin: float, end: float) -> bool:
    is_central = abs(begin + end - 1) / 2 <= MOST_SHIFT
    return is_central and LEAST_SIDE <= end - begin <= MOST_SIDE


@lru_cache(maxsize=2)
def _sides(mirrored: tuple[bool, ...] = (False,)) -> tuple[Side, ...]:
    """Return what is tried first: the whole, crops at either end or both, and bars."""
    cuts = product((0.08, 0.16, 0.24), (0, 0.5, 1))
    spans = [(0.0, 1.0), *((cut * share, 1 - cut * (1 - share)) for cut, share in cuts)]
    spans += [(-bar, 1 + bar) for bar in (0.07, 0.14, 0.22)]
    return tuple((begin, end, flip) for flip in mirrored for begin, end in spans)


def _coarse(changed: Float) -> Float:
    """Return the means of two by two cells."""
    means: Float = changed.reshape(len(changed), SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    return means


@lru_cache(maxsize=1)
def _coarsely_laid() -> tuple[Laid, Laid]:
    return _laid(_sides(), SIDE // 2), _laid(_sides(mirrored=(False, True)), SIDE // 2)


def _of(geometry: Geometry, cells: int = SIDE) -> tuple[Laid, Laid]:
    across = [(geometry.left, geometry.right, geometry.mirrored)]
    return _laid([(geometry.top, geometry.bottom, False)], cells), _laid(across, cells)


def _laid(sides: Iterable[Side], cells: int = SIDE) -> Laid:
    matrices, inside = zip(*(_laid_side(*side, cells) for side in sides), strict=True)
    return np.stack(matrices), np.stack(inside)


@lru_cache(maxsize=8192)
def _laid_side(begin: float, end: float, mirrored: bool, cells: int) -> Laid:
    places = _places(begin, end, mirrored, cells)
    at = np.clip(places, 0, cells - 1)
    before = np.minimum(at.astype(int), cells - 2)
    share = (at - before)[:, None]
    inside = (places > -0.75) & (places < cells - 0.25)
    each = np.arange(cells)
    matrix = (each == before[:, None]) * (1 - share) + (each == before[:, None] + 1) * share
    return (matrix * inside[:, None]).astype(np.float32), inside.astype(np.float32)


def _places(begin: float, end: float, mirrored: bool, cells: int) -> NDArray[np.float64]:
    """Return at which cell of the first the middle of each cell of the second lies."""
    middle = (np.arange(cells) + 0.5) / cells
    middle = middle[::-1] if mirrored else middle
    places: NDArray[np.float64] = (begin + (end - begin) * middle) * cells - 0.5
    return places


def _score(one: Float, other: Float, geometry: Geometry) -> float:
    return float(_scores(one, other, *_of(geometry))[0, 0])


def _scores(one: Float, other: Float, down: Laid, across: Laid) -> Float:
    """Return the correlation (K, M) for each way to lay both sides.

    Of all cells that lie in both; less, at every instant, the mean over these. The pictures so laid
    are never made: sums of their products are products of sums over rows and over columns.
    """
    cells = one.shape[1]
    rows = down[0][:, None] @ one  # (K, T, cells, cells)
    flat = rows.reshape(len(rows), -1, cells)
    turned = flat.transpose(0, 2, 1)
    products = turned @ other.reshape(-1, cells)  # (K, columns of the first, of the second)
    both = _flat(products.transpose(0, 2, 1)) @ _flat(across[0]).T
    power = _flat(turned @ flat) @ _flat(across[0].transpose(0, 2, 1) @ across[0]).T
    rest = down[1] @ (other * other).sum(axis=0) @ across[1].T
    first = rows.sum(axis=2).transpose(1, 0, 2) @ across[0].sum(axis=1).T  # (T, K, M)
    second = down[1] @ other @ across[1].T
    number = np.outer(down[1].sum(axis=1), across[1].sum(axis=1))
    count = np.maximum(number, 1)
    both -= (first * second).sum(axis=0) / count
    power -= (first * first).sum(axis=0) / count
    rest -= (second * second).sum(axis=0) / count
    scores: Float = both / np.sqrt(np.maximum(power, 1e-6) * np.maximum(rest, 1e-6))
    return np.where(number >= LEAST_SHARE * cells * cells, scores, np.float32(-1))


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(len(values), -1)
