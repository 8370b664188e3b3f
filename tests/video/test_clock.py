"""Times of pictures, mended: no video needed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soravec.video.clock import MAX_WAITING, Clock


def times(stamps: list[float | None], *, duration: float = 1.0, counting: bool = False):
    clock: Clock[int] = Clock(counting=counting)
    given = [t for n, stamp in enumerate(stamps) for t in clock.add(n, stamp, duration)]
    given += list(clock.finish())
    assert [t.item for t in given] == list(range(len(stamps)))
    return [t.seconds for t in given], clock


@pytest.mark.parametrize(
    ("stamps", "wanted"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([5.5, 6, 9], [5.5, 6, 9]),
        ([-2, -1, 0], [-2, -1, 0]),
        ([0, 1, None, 3], [0, 1, 2, 3]),
        ([0, None, None, 3], [0, 1, 2, 3]),
        ([None, None, 3, 4], [1, 2, 3, 4]),
        ([0, 1, 1, 3], [0, 1, 2, 3]),
        ([0, 1, 0.5, 3], [0, 1, 2, 3]),
        ([0, 1, 50, 3, 4], [0, 1, 2, 3, 4]),
        ([0, 60, 120, 180], [0, 60, 120, 180]),
        ([0, 1, None, None], [0, 1, 2, 3]),
        ([0, 1, 2, 3, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7]),
        ([100, 101, 102, 0, 1, 2], [100, 101, 102, 103, 104, 105]),
        ([0, 1, 2, 0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ([0, 1, 2, None, 0, 1, 2], [0, 1, 2, 3, 4, 5, 6]),
        ([None] * 12, list(range(12))),
        ([0, *[0] * 12], list(range(13))),
        ([0, 1, 2, 0.5, 1.7], [0, 1, 2, 3, 4.2]),
    ],
)
def test_good_times_stay_and_the_others_are_put_between(stamps, wanted):
    assert times(stamps)[0] == pytest.approx(wanted)


def test_a_jump_back_that_lasts_keeps_the_steps_of_the_second_recording():
    second = [0.0, 0.5, 2.0, 2.25, 3.0]
    got, clock = times([10.0, 11.0, 12.0, *second])
    assert got == pytest.approx([10, 11, 12, *(13 + s for s in second)])
    assert clock.splices == [13.0]


def test_what_was_mended_is_counted():
    _, clock = times([0, None, 2, 2, 4, 90, 6])
    assert (clock.num_missing, clock.num_misplaced, clock.splices) == (1, 2, [])


def test_without_stamps_nothing_waits():
    clock: Clock[int] = Clock(counting=True)
    assert [list(clock.add(n, None, 0.5))[0].seconds for n in range(4)] == [0.0, 0.5, 1.0, 1.5]


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6) | st.integers(0, 40).map(float), max_size=60),
    st.sampled_from([0.04, 1.0]),
    st.booleans(),
)
def test_any_stamps_give_every_picture_once_in_ascending_time(stamps, duration, counting):
    got, _ = times(stamps, duration=duration, counting=counting)
    assert all(math.isfinite(t) for t in got)
    assert all(a < b for a, b in zip(got, got[1:], strict=False))


@given(st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=60))
def test_little_waits(stamps):
    clock: Clock[int] = Clock()
    given = 0
    for number, stamp in enumerate(stamps):
        given += len(list(clock.add(number, stamp, 0.04)))
        assert number + 1 - given <= MAX_WAITING
