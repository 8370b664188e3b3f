from itertools import islice
from math import inf, nan

import pytest

from soravec.errors import QueryError
from soravec.video import AtRate, AtSeconds, Uniform


def test_at_rate_counts_from_the_start_without_adding_up_errors():
    assert list(islice(AtRate(2).instants(10.0), 3)) == [10.0, 10.5, 11.0]
    far = list(islice(AtRate(2).instants(10.0, after=1e9), 3))
    assert far[0] < 1e9 <= far[-1]
    assert next(islice(AtRate(3).instants(0.0), 3000, None)) == 1000.0


def test_uniform_looks_at_the_centres():
    assert list(Uniform(3).instants(0.0, 12.0)) == [2.0, 6.0, 10.0]
    assert list(Uniform(1).instants(4.0, 5.0)) == [4.5]


def test_at_seconds_keeps_what_lies_in_the_span():
    assert list(AtSeconds((1.0, 2.0, 3.0)).instants(1.0, 3.0)) == [1.0, 2.0]


@pytest.mark.parametrize("fps", [0, -1, nan, inf])
def test_rates_must_be_positive(fps):
    with pytest.raises(QueryError, match="AtRate takes a positive number"):
        AtRate(fps)


@pytest.mark.parametrize("seconds", [(), (nan,), (1.0, inf), (2.0, 1.0)])
def test_instants_must_be_finite_and_ascend(seconds):
    with pytest.raises(QueryError, match="AtSeconds takes"):
        AtSeconds(seconds)


def test_uniform_takes_at_least_one():
    with pytest.raises(QueryError, match="not 0"):
        Uniform(0)
