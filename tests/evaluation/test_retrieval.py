import itertools

import numpy as np
import pytest

from soravec.evaluation.intervals import resample
from soravec.evaluation.retrieval import Ranks, chance_metrics, rank_clips, retrieval_metrics


def test_ranks_worked_by_hand_leave_out_the_own_group():
    # Four clips on a circle: 0 and 1 are of one group, so 0 looks among 2 and 3 only.
    angles = np.radians([0, 1, 10, 40])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array(["a", "a", "b", "a"])
    ranks = rank_clips(vectors, labels[:, None] == labels, [0, 0, 1, 2])
    assert ranks.query.tolist() == [0, 1, 3]  # 2 has no like
    assert ranks.first.tolist() == [2, 2, 2]  # 3 sees 2 (b), then 1, then 0
    assert ranks.average_precision == pytest.approx([1 / 2, 1 / 2, (1 / 2 + 2 / 3) / 2])
    assert ranks.gallery.tolist() == [2, 2, 3]
    assert ranks.relevant.tolist() == [1, 1, 2]


def test_vectors_that_say_nothing_find_nothing():
    labels = np.array([0, 0, 1, 1])
    ranks = rank_clips(np.ones((4, 3)), labels[:, None] == labels, range(4))
    assert ranks.first.tolist() == [3, 3, 3, 3]


def test_metrics_count_ranks():
    ranks = Ranks(
        query=np.arange(4),
        first=np.array([1, 3, 7, 20]),
        average_precision=np.array([1.0, 0.5, 0.3, 0.2]),
        gallery=np.full(4, 30),
        relevant=np.full(4, 2),
    )
    found = retrieval_metrics(ranks, resample(range(4)))
    assert [(k, one.value) for k, one in found.recall] == [(1, 0.25), (5, 0.5), (10, 0.75)]
    assert found.mean_average_precision.value == pytest.approx(0.5)
    assert found.median_rank.value == 3
    assert (found.median_rank.low, found.median_rank.high) == (1, 20)


@pytest.mark.parametrize(("size", "right"), [(2, 1), (5, 1), (5, 3), (6, 2), (4, 4)])
def test_chance_is_the_mean_over_all_orders(size, right):
    orders = list(itertools.permutations([True] * right + [False] * (size - right)))
    firsts, precisions = [], []
    for order in orders:
        places = np.flatnonzero(order) + 1
        firsts.append(places[0])
        precisions.append((np.arange(1, right + 1) / places).mean())
    ranks = Ranks(*(np.array([value]) for value in (0, 1, 1.0, size, right)))
    found = chance_metrics(ranks)
    assert found.mean_average_precision.value == pytest.approx(np.mean(precisions))
    for k, share in found.recall:
        assert share.value == pytest.approx((np.array(firsts) <= k).mean())
    assert found.median_rank.value == np.quantile(firsts, 0.5, method="inverted_cdf")


def test_random_vectors_find_what_chance_finds():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    ranks = rank_clips(rng.normal(size=(400, 32)), labels[:, None] == labels, range(400))
    found, chance = retrieval_metrics(ranks, resample(range(400))), chance_metrics(ranks)
    assert found.mean_average_precision.value == pytest.approx(
        chance.mean_average_precision.value, abs=0.01
    )
    assert chance.recall[0][1].value == pytest.approx(99 / 399)
