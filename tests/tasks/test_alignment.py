"""Where two videos show the same, on courses that are made up."""

from dataclasses import replace

import numpy as np
import pytest

from soravec.tasks import duplicates
from soravec.tasks.alignment import (
    GRID_FPS,
    MOST_STEPS,
    Place,
    Shared,
    course,
    find_place,
    find_shared,
    on_grid,
)
from soravec.tasks.duplicates import Copy, SharedSpan, is_whole
from soravec.tasks.registration import Geometry


def film(number, *, seed=0):
    """Sketches of pictures in which blobs move smoothly, and features that change with them."""
    rng = np.random.default_rng(seed)
    places, speeds = rng.uniform(0, 24, (30, 2)), rng.uniform(-0.7, 0.7, (30, 2))
    light = rng.uniform(40, 200, 30)
    down, across = np.mgrid[:24, :24]
    sketches = []
    for step in range(number):
        y, x = np.moveaxis((places + step * speeds) % 24, 1, 0)[:, :, None, None]
        blobs = light[:, None, None] * np.exp(-((down - y) ** 2 + (across - x) ** 2) / 4)
        sketches.append(np.clip(blobs.sum(axis=0), 0, 255))
    walk = np.cumsum(rng.normal(size=(number, 16)), axis=0)
    return np.stack(sketches).astype(np.uint8), walk / np.abs(walk).max()


def course_of(sketches, features, *, start=0.0, spacing=1 / GRID_FPS, colours=None):
    seconds = start + spacing * np.arange(len(sketches))
    return course(features.astype(np.float32), sketches, seconds, colours)


def test_a_grid_is_even_and_counts_a_late_last_one():
    values, seconds = np.arange(6.0)[:, None], np.array([0, 0.48, 1, 1.48, 2, 2.48])
    assert on_grid(values, seconds, 2.0).ravel() == pytest.approx(
        [0, 1.04, 2, 3.04, 4, 5], abs=0.01
    )


def test_nothing_is_made_up_in_a_gap():
    values, seconds = np.array([[0.0], [8.0], [9.0]]), np.array([0.0, 4.0, 4.5])
    assert on_grid(values, seconds, 2.0).ravel().tolist() == [0] * 8 + [8, 9]


def test_a_shared_span_is_found_from_its_place(monkeypatch):
    """Steps 30 to 69 of the first are 10 to 49 of the second."""
    sketches, features = film(100)
    others, other_features = film(60, seed=1)
    others[10:50], other_features[10:50] = sketches[30:70], features[30:70]
    first, second = course_of(sketches, features, start=7.0), course_of(others, other_features)
    place = find_place(first.features, second.features, (40, 15), (60, 40))
    assert place.score > 0.99
    assert place.first_step - place.second_step == 20
    found = find_shared(first, second, place, 0.4)
    assert found.second_steps == pytest.approx((10, 49), abs=1)
    assert found.first_steps == pytest.approx((30, 69), abs=1)
    assert found.speed == pytest.approx(1.0, abs=0.015)
    assert found.geometry.mirrored is False
    assert min(found.score, found.fine_score, found.feature_score) > 0.95
    assert first.seconds(found.first_steps[0]) == pytest.approx(22.0, abs=0.5)


def test_colours_tell_two_that_are_equally_light_apart():
    sketches, features = film(60)
    light = sketches[:, ::2, ::2].astype(np.int16)
    colours = np.clip(np.stack([128 + light // 3, 150 - light // 4], axis=1), 0, 255)
    first = course_of(sketches, features, colours=colours.astype(np.uint8))
    others = course_of(sketches, features, colours=(255 - colours).astype(np.uint8))
    grey = course_of(sketches, features, colours=np.full_like(colours, 128).astype(np.uint8))
    place = Place(30.0, 30.0, 1.0)
    same, other = (find_shared(first, one, place, 0.4) for one in (first, others))
    assert same.colours == pytest.approx((1.0, 0.0), abs=0.01)
    assert other.colours[0] < -0.9
    assert other.colours[1] > 5
    assert duplicates.probability(same) > 0.99 > duplicates.probability(other)
    for one in (grey, course_of(sketches, features)):
        assert find_shared(first, one, place, 0.4).colours is None


@pytest.mark.parametrize("speed", [0.92, 1.08])
def test_a_faster_copy(speed):
    sketches, features = film(120)
    steps = 20 + np.arange(70) * speed
    faster = on_grid_at(sketches, steps).astype(np.uint8)
    second = course_of(faster, on_grid_at(features, steps))
    found = find_shared(course_of(sketches, features), second, Place(20 + 35 * speed, 35, 1.0), 0.4)
    assert found.speed == pytest.approx(speed, abs=0.015)
    assert found.second_steps == pytest.approx((0, 69), abs=2)


def test_more_than_is_looked_at_at_once_is_one_span():
    sketches, features = film(4 * MOST_STEPS)
    both = course_of(sketches, features)
    found = find_shared(both, both, Place(500.0, 500.0, 1.0), 0.4)
    assert found.second_steps == (0, 4 * MOST_STEPS - 1)


def test_two_slides_are_no_copy_however_seldom_they_were_sampled():
    """A cut between two still pictures is one change, not many."""
    rng = np.random.default_rng(0)
    slides = rng.integers(0, 256, (3, 24, 24), dtype=np.uint8)
    features = rng.normal(size=(3, 16))
    seldom = course_of(slides, features, spacing=10.0)
    often = course_of(slides.repeat(20, axis=0), features.repeat(20, axis=0))
    for slow in (seldom, often):
        assert find_shared(slow, slow, Place(20.5, 20.5, 1.0), 0.0) is None


def on_grid_at(values, steps):
    before = steps.astype(int)
    share = (steps - before).reshape(-1, *(1,) * (values.ndim - 1))
    return values[before] * (1 - share) + values[before + 1] * share


def shared(first, second, *, speed=1.0, score=0.9, mirrored=False):
    geometry = Geometry(mirrored=mirrored)
    return Shared(first, second, speed, geometry, score, score, score, levels=15.0, ways=6.0)


def test_spans_of_one_line_are_joined():
    parts = [shared((10.0, 30.0), (0, 20)), shared((36.0, 60.0), (26, 50))]
    (whole,) = duplicates._joined(parts)
    assert (whole.first_steps, whole.second_steps) == ((10.0, 60.0), (0, 50))


def test_a_span_within_another_does_not_shorten_it():
    parts = [shared((0.0, 200.0), (0, 200)), shared((20.0, 60.0), (20, 60))]
    (whole,) = duplicates._joined(parts)
    assert (whole.first_steps, whole.second_steps) == ((0.0, 200.0), (0, 200))


@pytest.mark.parametrize(
    "other",
    [
        shared((60.0, 80.0), (26, 50)),  # elsewhere
        shared((36.0, 60.0), (26, 50), mirrored=True),
        shared((130.0, 150.0), (120, 140)),  # far on
    ],
)
def test_others_are_not_joined(other):
    assert len(duplicates._joined([shared((10.0, 30.0), (0, 20)), other])) == 2


def test_a_span_that_shows_the_same_elsewhere_is_dropped():
    better = shared((10.0, 40.0), (0, 30))
    assert duplicates._overlaps(shared((60.0, 80.0), (5, 25)), better)
    assert duplicates._overlaps(shared((15.0, 35.0), (100, 120)), better)
    assert not duplicates._overlaps(shared((38.0, 68.0), (200, 230)), better)
    assert not duplicates._overlaps(shared((15.0, 35.0), (5, 25)), better)  # it is joined


class Video:
    start_seconds, end_seconds = 0.0, 100.0


def copy_of(first, second):
    spans = [SharedSpan("", "", *span) for span in (first, second)]
    return Copy(*spans, score=0.9, speed=1.0, mirrored=False)


def test_what_is_shared_twice_counts_once():
    spans = [copy_of((0, 66), (0, 66)), copy_of((40, 58), (41, 59))]
    assert not is_whole(Video, Video, spans)
    assert is_whole(Video, Video, [*spans, copy_of((60, 85), (60, 85))])
    short = replace_end(30.0)
    assert not is_whole(Video, short, [copy_of((50, 78), (1, 29))])


def replace_end(end):
    return type("Short", (), {"start_seconds": 0.0, "end_seconds": end})


def test_the_likelier_the_longer_and_the_more_agrees():
    span = shared((0.0, 10.0), (0, 10), score=0.8)
    surer = [
        replace(span, score=0.9),
        replace(span, second_steps=(0, 18)),
        replace(span, colours=(1.0, 0.0)),
        replace(span, ways=12.0),
    ]
    assert duplicates.probability(span) < min(map(duplicates.probability, surer))
    less_sure = [
        replace(span, speed=1.08),
        replace(span, levels=3.0),
        replace(span, geometry=Geometry(top=0.1, left=-0.1)),
        replace(span, colours=(0.2, 20.0)),
    ]
    assert duplicates.probability(span) > max(map(duplicates.probability, less_sure))
