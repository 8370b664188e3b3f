"""Paintings: the same for the same seed, of every stuff, and cut up beside the photographs."""

import numpy as np
import pytest

from soravec.training.pretraining import paintings
from soravec.training.pretraining.paintings import lit, paint, paint_pictures
from soravec.training.pretraining.patches import PAINTED_SHARE, pyramid, sample_patches

STUFFS = (
    "pattern_network",
    "power_noise",
    "stripes",
    "cells",
    "fractal",
    "leaves",
    "writing",
    "plain",
)


def test_a_painting_is_the_same_for_the_same_seed():
    first, again, other = (paint(64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == ((64, 64, 3), np.uint8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("stuff", STUFFS)
def test_every_stuff_is_a_picture_and_no_two_are_alike(stuff):
    rng = np.random.default_rng(0)
    drawn = np.stack([getattr(paintings, stuff)(48, rng) for _ in range(12)])
    assert (drawn.shape, drawn.dtype) == ((12, 48, 48, 3), np.float32)
    assert np.isfinite(drawn).all()
    assert ((drawn >= 0) & (drawn <= 1)).mean() > 0.8
    assert drawn.std(axis=(1, 2)).mean() > 0.03
    assert drawn.std(axis=0).mean() > 0.08


def test_light_from_one_side_falls_on_one_slope():
    across = np.abs(np.linspace(-1, 1, 64, dtype=np.float32))
    roof = np.tile(across, (64, 1))
    sides = []
    for seed in range(8):
        picture = np.full((64, 64, 3), 0.5, np.float32)
        bright = lit(picture, roof, np.random.default_rng(seed)).mean(axis=(0, 2))
        assert bright[4:28].std() < 1e-3
        sides.append(bright[4:28].mean() - bright[36:60].mean())
    assert np.abs(sides).mean() > 0.05
    assert min(sides) < 0 < max(sides)


def test_some_views_are_cut_from_paintings():
    black, white = (np.full((96, 96, 3), value, np.uint8) for value in (0, 255))
    rng = np.random.default_rng(0)
    views = sample_patches([pyramid(black)], 500, 16, rng, paintings=[pyramid(white)], mix=False)
    share = (views.mean(axis=(1, 2, 3)) > 100).mean()
    assert abs(share - PAINTED_SHARE) < 0.07
    assert sample_patches([pyramid(black)], 50, 16, rng, mix=False).mean() < 30


def test_a_painting_has_four_sizes():
    sizes = [level.shape[:2] for level in paint_pictures(1, np.random.default_rng(0))[0]]
    assert sizes == [(384, 384), (192, 192), (96, 96), (48, 48)]
