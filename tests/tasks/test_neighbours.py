"""Which vectors are alike, without comparing all with all."""

import numpy as np
import pytest

from soravec.tasks import neighbours
from soravec.tasks.neighbours import find_neighbours


def vectors_of(number, *, seed=0):
    """Vectors in groups, owners of five each."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(number // 10, 32))
    vectors = places[rng.integers(len(places), size=number)] + 0.3 * rng.normal(size=(number, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.arange(number) // 5


def nearest(vectors, owners, k):
    likeness = vectors @ vectors.T
    likeness[owners[:, None] == owners[None, :]] = -np.inf
    return np.argsort(-likeness, axis=1, kind="stable")[:, :k]


def test_few_vectors_are_all_compared():
    vectors, owners = vectors_of(300)
    found = find_neighbours(vectors, owners, 7)
    assert np.array_equal(found.rows, nearest(vectors, owners, 7))
    inner = (vectors[found.rows] * vectors[:, None]).sum(axis=2)
    assert found.likeness == pytest.approx(inner, abs=1e-5)


def test_of_many_nearly_all_are_found(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_ROWS", 1000)
    vectors, owners = vectors_of(6000)
    found = find_neighbours(vectors, owners, 5)
    true = nearest(vectors, owners, 5)
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(true, found.rows, strict=True)])
    assert recall > 0.95
    assert (owners[found.rows] != owners[:, None]).all()
    assert (np.diff(found.likeness, axis=1) <= 0).all()
    assert all(len(set(row)) == 5 for row in found.rows.tolist())


def test_where_there_are_fewer_the_rest_is_empty():
    vectors, _ = vectors_of(20)
    owners = np.array([0] * 19 + [1])
    found = find_neighbours(vectors, owners, 4)
    assert (found.rows[:19, 0] == 19).all()
    assert (found.rows[:19, 1:] == -1).all()
    assert np.isneginf(found.likeness[:19, 1:]).all()


def test_of_a_cell_that_is_far_too_large_a_part_is_looked_into(monkeypatch):
    """Three quarters are the same picture: the others are found all the same."""
    monkeypatch.setattr(neighbours, "EXACT_ROWS", 1000)
    compared = []
    product = neighbours._merge

    def counted(rows, likeness, mine, others, found):
        compared.append(found.size)
        product(rows, likeness, mine, others, found)

    monkeypatch.setattr(neighbours, "_merge", counted)
    vectors, owners = vectors_of(8000)
    vectors[2000:] = vectors[2000]
    found = find_neighbours(vectors, owners, 3)
    assert sum(compared) < 0.25 * 8000**2
    true = nearest(vectors, owners, 3)[:2000, 0]
    assert (found.rows[:2000, 0] == true).mean() > 0.9
