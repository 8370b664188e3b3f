import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    r2_score,
    recall_score,
)
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_average_precision,
    multiclass_calibration_error,
    multiclass_f1_score,
    multilabel_average_precision,
    multilabel_f1_score,
)
from torchmetrics.functional.regression import r2_score as torch_r2_score

from soravec.evaluation import statistics
from soravec.evaluation.intervals import resample
from soravec.evaluation.measures import class_figures
from soravec.evaluation.metrics import (
    binary_cross_entropies,
    calibration,
    classification_metrics,
    in_top,
    label_metrics,
    regression_metrics,
)

NAMES = tuple("abcdefg")


@pytest.fixture(scope="module")
def answers():
    """200 clips of 7 classes with scores that are right about half of the time."""
    rng = np.random.default_rng(0)
    truth = rng.integers(7, size=200)
    logits = rng.normal(size=(200, 7))
    logits[np.arange(200), truth] += 1.2
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), truth


def test_metrics_worked_by_hand():
    scores = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    found = classification_metrics(scores, np.array([0, 0, 1, 2]), "xyz")
    assert found.accuracy == 0.75
    assert found.confusion == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    x, y, z = found.classes
    assert (x.num_clips, x.precision, x.recall) == (2, 1.0, 0.5)
    assert x.f1 == pytest.approx(2 / 3)
    assert (y.precision, y.recall) == (0.5, 1.0)
    assert x.average_precision == 1.0
    assert z.average_precision == 1.0
    assert found.macro_recall == pytest.approx((0.5 + 1 + 1) / 3)
    assert found.cross_entropy == pytest.approx(-np.log([0.7, 0.4, 0.8, 0.4]).mean())
    assert found.top5_accuracy is None


def test_classification_agrees_with_torchmetrics(answers):
    scores, truth = answers
    found = classification_metrics(scores, truth, NAMES)
    given = torch.from_numpy(scores), torch.from_numpy(truth), 7
    assert found.accuracy == pytest.approx(float(multiclass_accuracy(*given, average="micro")))
    top = float(multiclass_accuracy(*given, top_k=5, average="micro"))
    assert found.top5_accuracy == pytest.approx(top)
    assert found.macro_f1 == pytest.approx(float(multiclass_f1_score(*given)))
    assert found.macro_recall == pytest.approx(float(multiclass_accuracy(*given)))
    area = float(multiclass_average_precision(*given))
    assert found.mean_average_precision == pytest.approx(area, abs=1e-5)
    error = float(multiclass_calibration_error(*given, n_bins=15))
    assert found.calibration.expected_error == pytest.approx(error, abs=1e-6)


def test_labels_agree_with_torchmetrics(answers):
    scores = np.minimum(1.0, answers[0] * 2)
    truth = np.random.default_rng(3).random((200, 7)) < scores
    found = label_metrics(scores, truth, NAMES)
    given = torch.from_numpy(scores), torch.from_numpy(truth.astype(int)), 7
    assert found.macro_f1 == pytest.approx(float(multilabel_f1_score(*given)), abs=1e-6)
    area = float(multilabel_average_precision(*given))
    assert found.mean_average_precision == pytest.approx(area, abs=1e-5)
    wanted = torch.nn.functional.binary_cross_entropy(
        torch.from_numpy(scores.clip(1e-7, 1 - 1e-7)), torch.from_numpy(truth.astype(float))
    )
    assert found.cross_entropy == pytest.approx(float(wanted), abs=1e-6)
    assert binary_cross_entropies(scores, truth).mean() == pytest.approx(found.cross_entropy)


def test_regression_agrees_with_torchmetrics():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(50, 2))
    predicted = truth + rng.normal(0, 0.5, size=(50, 2))
    found = regression_metrics(predicted, truth, ("up", "down"))
    wanted = float(torch_r2_score(torch.from_numpy(predicted), torch.from_numpy(truth)))
    assert found.r_squared == pytest.approx(wanted)
    assert found.mean_squared_error == pytest.approx(((predicted - truth) ** 2).mean())
    assert found.mean_absolute_error == pytest.approx(np.abs(predicted - truth).mean())
    assert [name for name, *_ in found.targets] == ["up", "down"]


def test_targets_that_do_not_vary_have_no_r_squared():
    assert np.isnan(regression_metrics(np.zeros((3, 1)), np.ones((3, 1)), ["t"]).r_squared)


def test_a_class_without_clips_counts_in_no_mean():
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    found = classification_metrics(scores, np.array([0, 1]), "xyz")
    assert found.macro_f1 == found.mean_average_precision == 1.0
    assert np.isnan(found.classes[2].recall)


def test_equal_scores_rank_the_earlier_class_first():
    assert in_top(np.full((1, 7), 1 / 7), np.array([4]), 5).tolist() == [True]
    assert in_top(np.full((1, 7), 1 / 7), np.array([5]), 5).tolist() == [False]


def test_calibration_worked_by_hand():
    found = calibration(np.array([0.95, 0.95, 0.55, 1.0]), np.array([True, False, True, True]), 10)
    assert found.num_clips == (0, 0, 0, 0, 0, 1, 0, 0, 0, 3)
    assert found.accuracy[9] == pytest.approx(2 / 3)
    assert found.expected_error == pytest.approx(0.25 * 0.45 + 0.75 * abs(2.9 / 3 - 2 / 3))


@pytest.mark.parametrize("tied", [False, True])
def test_statistics_of_draws_agree_with_scikit_learn(answers, tied):
    scores, numbers = answers
    scores = scores.round(1) if tied else scores
    truth = np.eye(7, dtype=bool)[numbers]
    given = np.eye(7, dtype=bool)[scores.argmax(axis=1)]
    counts = resample(range(200), num_resamples=5).counts
    areas = statistics.mean_average_precision(scores, truth)(counts)
    f1 = statistics.macro_f1(given, truth)(counts)
    right = statistics.accuracy(scores, numbers)(counts)
    for row, weights in enumerate(counts):
        area = average_precision_score(truth, scores, sample_weight=weights, average="macro")
        assert areas[row] == pytest.approx(area)
        wanted = f1_score(truth, given, sample_weight=weights, average="macro")
        assert f1[row] == pytest.approx(wanted)
        wanted = np.average(scores.argmax(axis=1) == numbers, weights=weights)
        assert right[row] == pytest.approx(wanted)


def test_figures_of_a_class_agree_with_scikit_learn_draw_by_draw(answers):
    scores, numbers = answers
    truth = np.eye(7)[numbers]
    draws = resample(range(200), num_resamples=200)
    found = class_figures(scores, truth, "single_label", draws)
    given = np.eye(7)[scores.argmax(axis=1)]
    wanted = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    for k, figures in enumerate(found):
        assert figures["chance"].value == pytest.approx(truth[:, k].mean())
        for name, score in wanted.items():
            answer = truth[:, k], given[:, k]
            values = [score(*answer, sample_weight=weights) for weights in draws.counts]
            assert figures[name].value == pytest.approx(score(*answer))
            assert figures[name].low == pytest.approx(np.percentile(values, 2.5))
            assert figures[name].high == pytest.approx(np.percentile(values, 97.5))
        area = average_precision_score(truth[:, k], scores[:, k])
        assert figures["average_precision"].value == pytest.approx(area)


def test_r_squared_of_draws_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.normal(5, 2, size=(30, 2))
    predicted = truth + rng.normal(size=(30, 2))
    counts = resample(range(30), num_resamples=5).counts
    for weights, found in zip(counts, statistics.r_squared(predicted, truth)(counts), strict=True):
        assert found == pytest.approx(r2_score(truth, predicted, sample_weight=weights))


def test_a_draw_without_a_class_leaves_it_out():
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    truth = np.eye(2, dtype=bool)
    counts = np.array([[2, 0]], np.uint16)
    assert statistics.mean_average_precision(scores, truth)(counts).tolist() == [1.0]
    assert statistics.macro_f1(~truth, truth)(counts).tolist() == [0.0]
