"""Which pieces stand best for all of a video."""

from itertools import combinations

import numpy as np
import pytest

from soravec.tasks.selection import QUALITY_WEIGHT, choose_pieces, share_out


def value(covered, weights, quality, chosen):
    if not chosen:
        return 0.0
    stands = covered[list(chosen)].max(axis=0) @ (weights / weights.sum())
    return float(stands + QUALITY_WEIGHT * quality[list(chosen)].sum() / len(quality))


@pytest.mark.parametrize("seed", range(12))
def test_the_greedy_choice_is_near_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    covered = rng.random((9, 30), np.float32) ** 3
    weights, quality = rng.random(30, np.float32), rng.random(9, np.float32)
    costs = rng.uniform(1, 2, 9).astype(np.float32)
    chosen = choose_pieces(covered, weights, quality, costs, 5.0, lambda *_: False)
    assert costs[chosen].sum() <= 5.0 + 1e-5
    sets = (s for n in range(1, 6) for s in combinations(range(9), n) if costs[list(s)].sum() <= 5)
    best = max(value(covered, weights, quality, s) for s in sets)
    assert value(covered, weights, quality, chosen) >= 0.85 * best


def test_laziness_changes_nothing():
    rng = np.random.default_rng(5)
    covered = rng.random((40, 60), np.float32)
    weights, quality = np.ones(60, np.float32), np.zeros(40, np.float32)
    chosen = choose_pieces(covered, weights, quality, np.ones(40, np.float32), 6, lambda *_: False)
    plain = []
    for _ in range(6):
        rest = set(range(40)) - set(plain)
        plain.append(max(rest, key=lambda p: value(covered, weights, quality, [*plain, p])))
    assert chosen == plain


def test_what_repeats_is_left_out_and_what_is_taken_stays_first():
    covered = np.eye(4, dtype=np.float32)
    weights, quality, costs = (np.ones(4, np.float32) for _ in range(3))

    def repeats(one, other):
        return {one, other} == {1, 2}

    chosen = choose_pieces(covered, weights, quality, costs, 9.0, repeats, [2])
    assert chosen[0] == 2
    assert set(chosen) == {0, 2, 3}
    assert choose_pieces(covered, weights, quality, costs, 0.5, repeats) == []


def test_the_longest_give_way_to_the_others():
    assert share_out(np.array([1.0, 5.0, 9.0]), 9.0).tolist() == [1.0, 4.0, 4.0]
    assert share_out(np.array([1.0, 5.0]), 9.0).tolist() == [1.0, 5.0]
    assert share_out(np.array([]), 9.0).tolist() == []
