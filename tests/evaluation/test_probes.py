import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from soravec.errors import TrainingError
from soravec.evaluation.probes import STRENGTHS, ProbeData, fit_probe, probe_loss


def drawn(number, *, seed=0, dim=20, classes=3, spread=1.0):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, dim))
    labels = np.arange(number) % classes
    vectors = centres[labels] + rng.normal(0, spread, size=(number, dim))
    return ProbeData(vectors, np.eye(classes)[labels], np.arange(number))


@pytest.mark.parametrize("kind", ["linear", "neighbours"])
def test_a_probe_finds_what_is_there_and_nothing_where_there_is_nothing(kind):
    train, test = drawn(120), drawn(90, seed=1)
    probe = fit_probe(kind, train, "single_label")
    scores = probe.scores(test.vectors)
    assert scores.shape == (90, 3)
    assert scores.sum(axis=1) == pytest.approx(1)
    assert (scores.argmax(1) == test.truth.argmax(1)).mean() > 0.95
    noise = drawn(90, seed=1, spread=1e4)
    blind = probe.scores(noise.vectors).argmax(1) == noise.truth.argmax(1)
    assert blind.mean() < 0.55


def test_principal_components_change_nothing():
    train, test = drawn(30, dim=60, spread=3.0), drawn(30, seed=1, dim=60)
    probe = fit_probe("linear", train, "single_label")
    scale = StandardScaler().fit(train.vectors)
    plain = LogisticRegression(C=probe.setting, max_iter=5000, tol=1e-7).fit(
        scale.transform(train.vectors), train.truth.argmax(1)
    )
    wanted = plain.predict_proba(scale.transform(test.vectors))
    assert probe.scores(test.vectors) == pytest.approx(wanted, abs=2e-3)


def test_the_setting_with_the_least_loss_is_chosen_on_validation_where_there_is_enough():
    train, validation = drawn(60, spread=3.0), drawn(30, seed=1, spread=3.0)
    probe = fit_probe("linear", train, "single_label", validation=validation)
    assert probe.chosen_on == "validation"
    assert [setting for setting, _ in probe.losses] == list(STRENGTHS)
    assert probe.setting == min(probe.losses, key=lambda pair: pair[1])[0]
    loss = probe_loss(probe.scores(validation.vectors), validation.truth, "single_label")
    assert loss == pytest.approx(dict(probe.losses)[probe.setting])
    few = fit_probe("linear", train, "single_label", validation=drawn(6))
    assert few.chosen_on == "inner folds"


def test_inner_folds_tear_no_group_apart():
    # Labels are random, but clips of a group are copies: only torn groups would look learnable.
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(24, 10)), 5, axis=0)
    truth = np.eye(2)[np.repeat(rng.integers(2, size=24), 5)]
    whole = fit_probe(
        "neighbours", ProbeData(vectors, truth, np.repeat(np.arange(24), 5)), "single_label"
    )
    torn = fit_probe("neighbours", ProbeData(vectors, truth, np.arange(120)), "single_label")
    assert min(loss for _, loss in torn.losses) < 0.01
    assert min(loss for _, loss in whole.losses) > 0.4


@pytest.mark.parametrize("kind", ["linear", "neighbours"])
def test_regression(kind):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truth = vectors[:, :1] * 3 + 1
    train, test = (
        ProbeData(vectors[r], truth[r], np.arange(100)) for r in (slice(100), slice(100, 200))
    )
    scores = fit_probe(kind, train, "regression").scores(test.vectors)
    assert scores.shape == (100, 1)
    assert ((scores - test.truth) ** 2).mean() < 0.2 * test.truth.var()


@pytest.mark.parametrize("kind", ["linear", "neighbours"])
def test_labels_of_which_one_is_everywhere_and_one_nowhere(kind):
    train = drawn(60)
    truth = np.column_stack([train.truth[:, 0], np.ones(60), np.zeros(60)])
    scores = fit_probe(kind, ProbeData(train.vectors, truth, train.units), "multi_label").scores(
        train.vectors
    )
    assert ((scores[:, 0] > 0.5) == (truth[:, 0] > 0)).mean() > 0.95
    assert (scores[:, 1] == 1).all()
    assert (scores[:, 2] == 0).all()


def test_a_class_that_only_the_test_clips_have_gets_probability_zero():
    train = drawn(40, classes=2)
    wide = ProbeData(train.vectors, np.column_stack([train.truth, np.zeros(40)]), train.units)
    assert (fit_probe("linear", wide, "single_label").scores(train.vectors)[:, 2] == 0).all()


def test_one_group_leaves_nothing_to_choose_on():
    train = drawn(20)
    alone = ProbeData(train.vectors, train.truth, np.zeros(20, int))
    assert fit_probe("linear", alone, "single_label").chosen_on == "default"


def test_nothing_to_learn_is_an_error():
    train = drawn(9)
    with pytest.raises(TrainingError, match="two classes"):
        fit_probe("linear", train.take(np.array([0, 3, 6])), "single_label")
    with pytest.raises(TrainingError, match="none can be read"):
        fit_probe("linear", train.take(np.array([], int)), "single_label")


def test_the_same_seed_gives_the_same_probe():
    train, test = drawn(60, spread=3.0), drawn(30, seed=1)
    first, again = (fit_probe("linear", train, "single_label", seed=4) for _ in range(2))
    assert first.losses == again.losses
    assert (first.scores(test.vectors) == again.scores(test.vectors)).all()
