import numpy as np
import pytest

from soravec.runtime.vectors import compose, likeness, mean_vector, normalise, split


def unit(rng, *shape):
    return normalise(rng.normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.7])
def test_an_inner_product_is_the_weighted_sum_of_the_two_likenesses(weight):
    rng = np.random.default_rng(0)
    looks, moves = unit(rng, 6, 5), unit(rng, 6, 3)
    vectors = compose(looks, moves, weight)
    expected = (1 - weight) * looks @ looks.T + weight * moves @ moves.T
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_likeness_weighs_anew():
    rng = np.random.default_rng(1)
    looks, moves = unit(rng, 4, 5), unit(rng, 4, 3)
    vectors = compose(looks, moves, 0.3)
    score, appearance, motion = likeness(vectors, vectors, appearance_dim=5, motion_weight=0.8)
    np.testing.assert_allclose(appearance, looks @ looks.T, atol=1e-6)
    np.testing.assert_allclose(motion, moves @ moves.T, atol=1e-6)
    np.testing.assert_allclose(score, 0.2 * looks @ looks.T + 0.8 * moves @ moves.T, atol=1e-6)


def test_without_motion_on_one_side_only_appearance_counts():
    rng = np.random.default_rng(2)
    looks, moves = unit(rng, 2, 5), unit(rng, 2, 3)
    moves[0] = 0
    vectors = compose(looks, moves, 0.4)
    score, appearance, motion = likeness(vectors, vectors, appearance_dim=5, motion_weight=0.4)
    assert np.isnan(motion[0]).all()
    assert np.isnan(motion[:, 0]).all()
    np.testing.assert_allclose(score[0], appearance[0])
    assert score[1, 1] == pytest.approx(1)


def test_split_undoes_compose():
    rng = np.random.default_rng(3)
    looks, moves = unit(rng, 3, 5), unit(rng, 3, 2)
    found = split(compose(looks, moves, 0.25), 5)
    np.testing.assert_allclose(found[0], looks, atol=1e-6)
    np.testing.assert_allclose(found[1], moves, atol=1e-6)


def test_the_mean_weighs_by_duration():
    vectors = np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(mean_vector(vectors, [3.0, 1.0]), np.array([3, 1]) / np.sqrt(10))


def test_a_zero_vector_stays_zero():
    assert not normalise(np.zeros((1, 4), np.float32)).any()
