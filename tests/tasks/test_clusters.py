"""What belongs together, and the map."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from soravec.tasks import clusters
from soravec.tasks.clusters import find_clusters, lay_out, sample_rows


def blobs(each, number=5, seed=0, spread=0.02):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(number, 24))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    truth = np.repeat(np.arange(number), each)
    vectors = centres[truth] + spread * rng.normal(size=(len(truth), 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), truth


def test_as_many_clusters_are_found_as_there_are():
    vectors, truth = blobs(12)
    found = find_clusters(vectors)
    assert adjusted_rand_score(truth, found.labels) == 1.0
    assert found.silhouette > 0.7
    assert np.allclose(found.nearness, 1, atol=0.1)


def test_the_largest_is_the_first():
    vectors, truth = blobs(12)
    kept = np.concatenate([np.flatnonzero(truth == n)[: 3 + 2 * n] for n in range(5)])
    labels = find_clusters(vectors[kept], num_clusters=5).labels
    sizes = np.bincount(labels)
    assert sizes.tolist() == [11, 9, 7, 5, 3]


def test_what_does_not_fall_apart_is_one_cluster():
    vectors = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = find_clusters(vectors)
    assert found.labels.max() == 0
    assert found.silhouette == 0.0


def test_beyond_the_sample_the_same_is_found(monkeypatch):
    monkeypatch.setattr(clusters, "SAMPLE_ROWS", 60)
    monkeypatch.setattr(clusters, "MAP_ROWS", 60)
    vectors, truth = blobs(60)
    assert adjusted_rand_score(truth, find_clusters(vectors).labels) == 1.0
    places = lay_out(vectors)
    assert places.shape == (300, 2)
    assert neighbours_agree(places, truth) > 0.98


def test_the_map_keeps_together_what_is_alike_and_is_the_same_each_time():
    vectors, truth = blobs(12)
    places = lay_out(vectors, seed=3)
    assert places.dtype == np.float32
    assert np.abs(places).max() == pytest.approx(1.0, abs=1e-5)
    assert neighbours_agree(places, truth) > 0.98
    assert np.array_equal(places, lay_out(vectors, seed=3))
    assert np.array_equal(find_clusters(vectors).labels, find_clusters(vectors).labels)


@pytest.mark.parametrize("number", [1, 2, 3, 7, 9])
@pytest.mark.parametrize("same", [True, False])
def test_few_vectors_and_the_same_one_do(number, same):
    vectors = np.random.default_rng(1).normal(size=(number, 16)).astype(np.float32)
    vectors = np.repeat(vectors[:1], number, axis=0) if same else vectors
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = find_clusters(vectors)
    assert found.labels.shape == (number,)
    assert np.isfinite(lay_out(vectors)).all()
    assert find_clusters(vectors, num_clusters=4).labels.max() < 4


def test_a_sample_is_even_and_repeatable():
    assert sample_rows(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    rows = sample_rows(1000, 100, 7)
    assert len(np.unique(rows)) == 100
    assert np.array_equal(rows, sample_rows(1000, 100, 7))
    assert (np.diff(rows) > 0).all()


def neighbours_agree(places, truth):
    far = np.square(places[:, None] - places[None]).sum(axis=2)
    np.fill_diagonal(far, np.inf)
    return (truth[far.argmin(axis=1)] == truth).mean()
