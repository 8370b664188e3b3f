"""The projection of appearance passes over what changed copies differ by."""

import numpy as np
import pytest

from soravec.training.pretraining.projection import (
    Copies,
    fit_projection,
    mean_average_precision,
    project,
    recall_of_copies,
)


def test_average_precision_by_hand():
    # nearest to row 0: 1 (same), 2, 3; to row 2: 3 (same) first, and so on
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    assert mean_average_precision(vectors, np.array([0, 0, 1, 1])) == pytest.approx(1.0)
    assert mean_average_precision(vectors, np.array([0, 1, 0, 1])) == pytest.approx(5 / 12)


def copies(num, rng, truth):
    """Pictures told by three numbers, hidden among two louder ones that change in every copy."""
    hidden = rng.normal(size=(num, 3))
    seen = [
        np.concatenate([hidden, 4 * rng.normal(size=(num, 2))], axis=1) @ truth + 12
        for _ in range(3)
    ]
    return Copies(seen[0].astype(np.float32), np.stack(seen[1:]).astype(np.float32))


def test_a_projection_passes_over_what_copies_vary_by():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, 10))
    learn, held_out = copies(600, rng, truth), copies(80, rng, truth)
    fitted, scores = fit_projection(learn.pictures, learn, held_out, 3)
    assert project(held_out.pictures, fitted).shape == (80, 3)
    assert fitted.name.startswith("copies alike")  # the plain components are what varies
    assert scores["plain"] < 0.3
    assert recall_of_copies(held_out, fitted) == scores[fitted.name] > 0.6
