"""Choosing what is worth it and does not repeat itself."""

import itertools

import numpy as np
import pytest

from soravec.tasks.diversity import choose_diverse

E = np.eye(4, dtype=np.float32)


def test_the_worthiest_comes_first_and_its_double_last():
    vectors = np.stack([E[0], E[0], E[1], E[2]])
    worth = np.array([0.9, 0.89, 0.7, 0.6])
    assert choose_diverse(worth, vectors, 4, eagerness=1.0) == [0, 2, 3, 1]


def test_with_all_eagerness_only_worth_counts():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(9, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    worth = rng.permutation(9) / 9
    chosen = choose_diverse(worth, vectors, 9, eagerness=40.0)
    assert chosen == np.argsort(-worth).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_every_step_is_the_one_of_the_largest_determinant(seed):
    """As the definition has it: the greedy maximum of det(L) over the sets that grow."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(8, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    worth = rng.uniform(-0.5, 0.9, 8)
    quality = np.exp(2.0 * worth)
    kernel = np.outer(quality, quality) * (1 + vectors @ vectors.T) / 2
    chosen = choose_diverse(worth, vectors, 5, eagerness=2.0)
    for number in range(5):
        before, rest = chosen[:number], set(range(8)) - set(chosen[:number])
        sets = [[*before, row] for row in rest]
        best = max(sets, key=lambda rows: np.linalg.det(kernel[np.ix_(rows, rows)]))
        assert best[-1] == chosen[number]


def test_what_is_refused_is_asked_once_and_counts_for_nothing():
    vectors = np.stack([E[0], E[0], E[1], E[2]])
    asked = []

    def accept(row):
        asked.append(row)
        return row != 0

    worth = np.array([0.9, 0.8, 0.7, 0.6])
    assert choose_diverse(worth, vectors, 4, eagerness=1.0, accept=accept) == [1, 2, 3]
    assert sorted(asked) == [0, 1, 2, 3]


def test_nothing_of_nothing():
    none = np.zeros((0, 4), np.float32)
    assert choose_diverse(np.zeros(0), none, 3, eagerness=1.0) == []
    pairs = itertools.product((0, 1), repeat=2)
    assert all(choose_diverse(np.ones(2), E[:2] * a, b, eagerness=1.0)[b:] == [] for a, b in pairs)
