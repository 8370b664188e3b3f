"""A label from a handful of examples."""

import numpy as np
import pytest

from soravec.tasks.examples import choose_uncertain, learn_label


def drawn(number, centre, *, seed, spread=0.7):
    """Unit vectors around a centre."""
    rng = np.random.default_rng(seed)
    vectors = np.asarray(centre) + spread * rng.normal(size=(number, 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


A, B = np.eye(24)[0] * 3, np.eye(24)[1] * 3


@pytest.fixture(scope="module")
def background():
    return np.concatenate([drawn(30, A, seed=1), drawn(170, B, seed=2)])


def learned_from(vectors, truth, background, groups=None):
    truth = np.asarray(truth)
    groups = np.arange(len(truth)) if groups is None else groups
    return learn_label(vectors, truth, groups, background)


def odds_of(learned, vectors):
    return vectors @ learned.weight + learned.bias


def test_what_is_like_the_examples_is_told_from_what_is_not(background):
    examples = np.concatenate([drawn(5, A, seed=3), drawn(5, B, seed=4)])
    learned = learned_from(examples, [True] * 5 + [False] * 5, background)
    assert (odds_of(learned, drawn(50, A, seed=5)) > 0).mean() > 0.95
    assert (odds_of(learned, drawn(50, B, seed=6)) < 0).mean() > 0.95
    assert (learned.odds[:5] > 0).all()
    assert (learned.odds[5:] < 0).all()


def test_one_example_is_enough_to_begin_with(background):
    learned = learned_from(drawn(1, A, seed=3), [True], background)
    likely, unlikely = (
        odds_of(learned, drawn(50, A, seed=5)),
        odds_of(learned, drawn(50, B, seed=6)),
    )
    assert np.median(likely) > np.quantile(unlikely, 0.95)
    assert np.median(likely) > 0 > np.median(unlikely)


def test_the_score_of_an_example_does_not_come_from_itself(background):
    """Of examples that have nothing to do with the label, those that were seen are right."""
    seen, left_out = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        vectors, truth = drawn(40, B, seed=50 + seed), rng.permutation(np.repeat([True, False], 20))
        learned = learned_from(vectors, truth, background)
        odds = odds_of(learned, vectors)
        seen.append(((odds > np.median(odds)) == truth).mean())
        left_out.append(((learned.odds > np.median(learned.odds)) == truth).mean())
    assert np.mean(seen) > 0.7
    assert np.mean(left_out) < 0.58


def test_segments_of_one_video_are_left_out_together(background):
    """Five that are all but the same, of videos whose label was drawn by lot."""
    right = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        middles = drawn(6, B, seed=seed).repeat(5, axis=0)
        vectors = middles + 0.02 * rng.normal(size=middles.shape).astype(np.float32)
        truth = rng.permutation([True] * 3 + [False] * 3).repeat(5)
        learned = learned_from(vectors, truth, background, np.arange(6).repeat(5))
        right.append(((learned.odds > 0) == truth).mean())
    assert np.mean(right) < 0.6


def test_what_nobody_marked_counts_but_not_for_much(background):
    """It moves the label away from what is common, and does not outweigh what was said."""
    common = drawn(60, B, seed=9)
    examples, truth = drawn(3, A, seed=3), [True] * 3
    learned = learned_from(examples, truth, background)
    assert np.median(odds_of(learned, common)) < np.median(odds_of(learned, examples)) - 0.5
    without = learned_from(examples, truth, background[:0])
    assert abs(np.median(odds_of(without, common)) - np.median(odds_of(without, examples))) < 0.5
    assert (odds_of(learned, examples) > 0).all()


def test_a_single_background_vector_does_not_blow_up():
    examples = np.concatenate([drawn(1, A, seed=3), drawn(1, B, seed=4)])
    learned = learned_from(examples, [True, False], drawn(1, B, seed=5))
    assert np.abs(odds_of(learned, examples)).max() < 5


def test_probabilities_are_no_surer_than_they_are_right(background):
    """Of classes that overlap, whatever share of the examples shows the label."""
    errors = []
    for seed in range(20):
        examples = np.concatenate([drawn(4, A / 3, seed=seed), drawn(16, B / 3, seed=100 + seed)])
        learned = learned_from(examples, [True] * 4 + [False] * 16, background)
        odds = [
            odds_of(learned, drawn(200, c / 3, seed=300 + seed + n)) for n, c in enumerate((A, B))
        ]
        likely = 1 / (1 + np.exp(-np.concatenate([odds[0], -odds[1]])))
        errors.append(np.maximum(likely, 1 - likely).mean() - (likely > 0.5).mean())
    assert abs(np.mean(errors)) < 0.12


def test_suggestions_are_uncertain_and_unlike_one_another():
    vectors = np.concatenate([drawn(20, A, seed=1, spread=0.05), drawn(20, B, seed=2, spread=0.05)])
    odds = np.concatenate([np.full(20, 0.1), np.full(20, 0.4)])
    odds[5] = 0.0
    chosen = choose_uncertain(odds, vectors, 2)
    assert chosen[0] == 5
    assert chosen[1] >= 20
    assert sorted(choose_uncertain(odds, vectors, 99)) == list(range(40))
