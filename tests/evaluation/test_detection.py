import numpy as np
import pytest

from soravec.evaluation.detection import (
    FoundSpan,
    are_right,
    average_precision,
    temporal_iou,
)

ONCE = np.ones((1, 3), np.uint16)


def area(found, truth, least_iou=0.5, counts=ONCE):
    return average_precision(found, truth, num_videos=3, least_iou=least_iou)(counts)


def test_intersection_over_union():
    spans = np.array([[0.0, 2.0], [5.0, 6.0]])
    assert temporal_iou(spans, np.array([[1.0, 4.0], [0.0, 2.0]])) == pytest.approx(
        np.array([[0.25, 1.0], [0.0, 0.0]])
    )


def test_a_true_span_is_found_once_by_the_surest():
    truth = [FoundSpan(0, 0, 10)]
    found = [FoundSpan(0, 0, 9, 0.5), FoundSpan(0, 1, 10, 0.9), FoundSpan(1, 0, 10, 1.0)]
    assert are_right(found, truth, 0.5).tolist() == [False, True, False]


def test_average_precision_by_hand():
    truth = [FoundSpan(0, 0, 10), FoundSpan(1, 0, 10)]
    found = [
        FoundSpan(0, 0, 10, 0.9),  # right
        FoundSpan(2, 0, 10, 0.8),  # wrong
        FoundSpan(1, 0, 8, 0.7),  # right at 0.5, wrong at 0.9
    ]
    assert area(found, truth) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert area(found, truth, 0.9) == pytest.approx(0.5)
    assert area([], truth) == 0
    assert np.isnan(area(found, []))


def test_videos_drawn_twice_count_twice():
    truth = [FoundSpan(0, 0, 10), FoundSpan(1, 0, 10)]
    found = [FoundSpan(0, 0, 10, 0.9), FoundSpan(2, 0, 10, 0.8), FoundSpan(1, 0, 10, 0.7)]
    counts = np.array([[2, 1, 0], [0, 1, 2], [0, 0, 3]], np.uint16)
    assert area(found, truth, counts=counts) == pytest.approx([1.0, 1 / 3, np.nan], nan_ok=True)


def test_it_is_the_area_that_activitynet_takes():
    """Against the plain way: a curve through every place, its envelope, its steps."""
    rng = np.random.default_rng(1)
    truth = [FoundSpan(int(rng.integers(3)), at, at + 5) for at in range(0, 200, 10)]
    found = []
    for _ in range(60):
        start = rng.uniform(0, 200)
        found.append(FoundSpan(int(rng.integers(3)), start, start + 5, rng.random()))
    found += [span._replace(score=rng.random()) for span in truth[::3]]
    right = are_right(found, truth, 0.5)
    order = np.argsort([-span.score for span in found])
    hits = np.cumsum(right[order])
    precision, recall = hits / np.arange(1, len(found) + 1), hits / len(truth)
    expected, last = 0.0, 0.0
    for place, value in enumerate(recall):
        expected += (value - last) * precision[place:].max()
        last = value
    assert area(found, truth) == pytest.approx(expected)
