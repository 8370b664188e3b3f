import doctest

import numpy as np
import pytest

from soravec.evaluation import intervals
from soravec.evaluation.intervals import (
    difference,
    figure,
    mean_figure,
    mean_of,
    proportion_figure,
    resample,
    wilson,
)


def test_documented_example():
    assert doctest.testmod(intervals).failed == 0


def test_the_mean_of_many_values_has_the_normal_interval():
    values = np.random.default_rng(1).normal(3.0, 2.0, 2000)
    found = mean_figure(values, resample(range(2000)))
    half = 1.96 * values.std() / np.sqrt(2000)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert found.method == "percentile bootstrap over 2000 clips"


def test_groups_of_equal_clips_widen_the_interval_as_if_each_were_one_clip():
    values = np.random.default_rng(1).random(40)
    alone = mean_figure(values, resample(range(40)))
    repeated = mean_figure(np.repeat(values, 5), resample(np.repeat(np.arange(40), 5)))
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high))
    assert repeated.method == "percentile bootstrap over 40 groups"


def test_the_same_seed_gives_the_same_draws_and_another_seed_others():
    units = [0, 0, 1, 2]
    first, again, other = (resample(units, seed=seed) for seed in (0, 0, 1))
    assert (first.counts == again.counts).all()
    assert (first.counts != other.counts).any()


def test_clips_of_a_unit_are_drawn_together_as_many_units_as_there_are():
    counts = resample(["a", "b", "a", "c"]).counts
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_few_independent_clips_get_wilsons_interval():
    found = proportion_figure(np.array([True] * 9 + [False]), resample(range(10)))
    assert (found.low, found.high) == pytest.approx((0.59585, 0.98212), abs=1e-4)
    assert found.method == "Wilson over 10 clips"


def test_all_right_over_groups_counts_groups_not_clips():
    found = proportion_figure(np.ones(20, bool), resample(np.arange(20) // 4))
    assert (found.low, found.high) == wilson(5, 5)
    assert found.method == "Wilson over 5 groups"


def test_a_difference_is_taken_draw_by_draw():
    values = np.random.default_rng(2).normal(size=50)
    found = figure(difference(mean_of(values + 1), mean_of(values)), resample(range(50)))
    assert (found.low, found.value, found.high) == pytest.approx((1, 1, 1))


def test_one_unit_has_no_interval():
    found = mean_figure(np.array([1.0, 2.0]), resample([7, 7]))
    assert (found.value, found.low, found.high) == (1.5, None, None)


def test_draws_without_a_value_are_left_out():
    found = figure(lambda counts: np.where(counts[:, 0] > 0, 1.0, np.nan), resample(range(3)))
    assert (found.low, found.high) == (1.0, 1.0)
