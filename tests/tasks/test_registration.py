"""How one picture lies in another."""

import numpy as np
import pytest

from soravec.runtime.sketches import sketch
from soravec.tasks import registration
from soravec.tasks.registration import (
    Geometry,
    agreement,
    alike,
    change_levels,
    colour_agreement,
    details,
    gists,
    num_changes,
    num_moving,
    register,
)

SIDE = 192


@pytest.fixture(scope="module")
def pictures():
    """Eight pictures of things that move, with detail."""
    rng = np.random.default_rng(0)
    blobs = rng.uniform(0, SIDE, (40, 2)), rng.uniform(-14, 14, (40, 2)), rng.uniform(0, 255, 40)
    down, across = np.mgrid[:SIDE, :SIDE]
    images = []
    for step in range(8):
        image = np.zeros((SIDE, SIDE))
        for place, velocity, light in zip(*blobs, strict=True):
            y, x = (place + step * velocity) % SIDE
            image += light * np.exp(-((down - y) ** 2 + (across - x) ** 2) / 200)
        images.append(np.clip(image, 0, 255))
    return np.stack(images).astype(np.uint8)


def details_of(pictures):
    return details(sketch(np.repeat(pictures[..., None], 3, axis=3)).sketches)


def test_the_same_pictures_lie_in_one_another(pictures):
    found = register(details_of(pictures), details_of(pictures))
    assert found.score > 0.99
    assert found.geometry == Geometry()


def test_a_mirrored_copy(pictures):
    found = register(details_of(pictures), details_of(pictures[:, :, ::-1]))
    assert found.geometry.mirrored
    assert found.score > 0.95


def test_a_crop(pictures):
    """Of 15 % at the top and of 10 % on the right."""
    cropped = np.stack([resized(image[29:, :173]) for image in pictures])
    found = register(details_of(pictures), details_of(cropped))
    sides = found.geometry.top, found.geometry.bottom, found.geometry.left, found.geometry.right
    assert sides == pytest.approx((0.15, 1.0, 0.0, 0.9), abs=0.035)
    assert found.score > 0.85


def test_bars(pictures):
    """Of an eighth of the height each."""
    barred = np.zeros_like(pictures)
    barred[:, 24:168] = [squeezed(image) for image in pictures]
    found = register(details_of(pictures), details_of(barred))
    assert found.geometry.top == pytest.approx(-1 / 6, abs=0.05)
    assert found.geometry.bottom == pytest.approx(7 / 6, abs=0.05)
    assert found.score > 0.8


def test_bars_are_no_part_of_the_picture(pictures):
    """Neither have they details, nor what is beside them other ones than without."""
    squeezed_ones = [squeezed(image) for image in pictures]
    barred = np.zeros_like(pictures)
    barred[:, 24:168] = squeezed_ones
    found = details_of(np.maximum(barred, 3))
    assert not found[:, :4].any()
    assert not found[:, -4:].any()
    whole = details(np.repeat(np.full((8, 24, 1), 40, np.uint8), 24, axis=2))
    assert np.abs(whole).max() < 1e-3
    inside = np.zeros((8, 24, 24), np.uint8)
    inside[:, 3:-3] = 90
    assert np.abs(details(inside)).max() < 1e-3


def test_what_is_dark_at_one_end_or_all_over_has_no_bars():
    sketches = np.random.default_rng(0).integers(30, 255, (2, 24, 24)).astype(np.uint8)
    sketches[0, :3], sketches[1, :10], sketches[1, -10:] = 5, 5, 5
    assert details(sketches)[0, 1].any()
    assert details(sketches)[1, 8].any()


def test_colours_agree_where_pictures_lie(pictures):
    coloured = np.stack([pictures, pictures[::-1], 255 - pictures], axis=3)
    shifted = np.stack([resized(image[:, :173]) for image in coloured])
    one, other = (sketch(images).colours for images in (coloured, shifted))
    score, apart = colour_agreement(one.astype(np.float32), other, Geometry(right=0.9))
    assert score > 0.97
    assert apart < 3
    turned, far = colour_agreement(one.astype(np.float32), 255 - other, Geometry(right=0.9))
    assert turned < -0.97
    assert far > apart


def test_a_gist_is_much_the_same_mirrored_and_between_bars(pictures):
    barred = np.full_like(pictures, 2)
    barred[:, 24:168] = [squeezed(image)[:, ::-1] for image in pictures]
    one, other = (gists(sketch(np.repeat(p[..., None], 3, 3)).sketches) for p in (pictures, barred))
    assert np.linalg.norm(one, axis=1) == pytest.approx(np.ones(8), abs=1e-3)
    assert (one * other).sum(axis=1).min() > 0.85
    assert (one * other[::-1]).sum(axis=1).min() < 0.7


def test_all_ways_to_lay_pictures_are_scored_as_each_of_them(pictures):
    """By the definition: laid cell by cell, and correlated."""
    one, other = (registration._changes(details_of(p)) for p in (pictures, pictures[:, ::-1]))
    downs, acrosses = [(0.1, 1.0, False), (-0.2, 1.2, False)], [(0.0, 0.9, True), (0.1, 1.1, False)]
    down, across = registration._laid(downs), registration._laid(acrosses)
    scores = registration._scores(one, other, down, across)
    for k in range(2):
        for m in range(2):
            seen = np.outer(down[1][k], across[1][m]) > 0
            laid = (down[0][k] @ one @ across[0][m].T)[:, seen]
            mine = other[:, seen]
            laid, mine = (v - v.mean(axis=1, keepdims=True) for v in (laid, mine))
            expected = (laid * mine).sum() / np.sqrt((laid**2).sum() * (mine**2).sum())
            assert scores[k, m] == pytest.approx(expected, abs=1e-4)


def test_others_do_not_agree(pictures):
    others = np.stack([np.roll(np.rot90(image), 50, axis=0) for image in pictures])
    assert register(details_of(pictures), details_of(others)).score < 0.5


def test_what_stands_still_agrees_with_nothing(pictures):
    still = np.repeat(pictures[:1], 8, axis=0)
    assert register(details_of(still), details_of(still)).score == 0.0
    assert agreement(details_of(still), details_of(still), Geometry()) == 0.0
    assert num_moving(details_of(still)) == 0
    assert num_moving(details_of(pictures)) == 7


def test_a_brighter_copy_is_alike_picture_by_picture(pictures):
    brighter = (pictures * 0.7 + 40).astype(np.uint8)
    values = alike(details_of(pictures), details_of(brighter), Geometry())
    assert values.min() > 0.97
    assert alike(details_of(pictures), details_of(pictures[::-1]), Geometry()).min() < 0.5


def resized(image):
    """Return a picture at the full size, each pixel the nearest."""
    rows = np.linspace(0, image.shape[0] - 1, SIDE).round().astype(int)
    columns = np.linspace(0, image.shape[1] - 1, SIDE).round().astype(int)
    return image[np.ix_(rows, columns)]


def squeezed(image):
    """Return a picture three quarters as high."""
    return image[np.linspace(0, SIDE - 1, 144).round().astype(int)]


def test_how_much_changes_and_in_how_many_ways():
    patterns = np.zeros((4, 24, 24), np.float32)
    for number, pattern in enumerate(patterns):
        pattern[6 * number : 6 * number + 6] = 8.0  # none overlaps another
    waves = np.cos(2 * np.pi * np.outer(np.arange(24), [1, 2, 3, 4]) / 24).astype(np.float32)
    span = np.tensordot(waves, patterns, 1) + 50.0
    assert num_changes(span) == pytest.approx(4.0, abs=1e-3)
    assert num_changes(span[:, :6]) == pytest.approx(1.0, abs=1e-3)  # one of the patterns
    assert change_levels(span) == pytest.approx(8.0 / 2**0.5, abs=1e-3)
    assert (num_changes(span * 0), change_levels(span * 0)) == (0.0, 0.0)
