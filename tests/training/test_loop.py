"""The loop: learning, exact resume, early stopping, average weights; all on features made here."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from soravec.errors import TrainingError
from soravec.models.temporal import TemporalModel
from soravec.runtime.config import TemporalConfig
from soravec.training.batches import CachedSource, Segment, varied
from soravec.training.checkpoint import read_checkpoint, write_checkpoint
from soravec.training.config import (
    LoopOptions,
    ObjectiveOptions,
    OptimizerOptions,
    TimeAugmentation,
)
from soravec.training.loop import CHECKPOINT_FILE, LOG_FILE, fit
from soravec.training.measure import calibrate, clip_outputs, measure
from soravec.training.objectives import Objective
from soravec.training.optimizer import make_optimizer, schedule, set_learning_rate
from soravec.training.train import fit_scales

DIM = 12
TIME = TimeAugmentation()
AS_IT_IS = TimeAugmentation(drop=0.0, speed=1.0, crop=1.0)


def rising_or_falling(count, *, seed):
    """Make segments whose class is the order of two patterns; their mean says nothing."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).normal(size=(2, DIM))
    segments = []
    for number in range(count):
        label, frames = number % 2, int(rng.integers(6, 14))
        course = np.linspace(0, 1, frames)[:, None]
        course = course if label else course[::-1]
        clean = patterns[0] * course + patterns[1] * (1 - course)
        features = (clean + rng.normal(scale=0.2, size=(frames, DIM))).astype(np.float16)
        seconds = np.arange(frames) / 4.0
        truth = np.eye(2, dtype=np.float32)[label]
        segments.append(Segment(number, (features,), seconds, truth, frames / 4.0))
    return segments


def make(segments, *, kind="gru", outputs=2, activation="softmax", dropout=0.2, **weights):
    torch.manual_seed(0)
    config = TemporalConfig(DIM, 8, kind=kind, hidden_dim=16, motion_weight=0.5, pooling="mean")
    temporal = TemporalModel(config, DIM, dropout=dropout)
    fit_scales(temporal, segments)
    return Objective(
        temporal, ObjectiveOptions(**weights), num_outputs=outputs, activation=activation
    )


def source(train, validation, *, num_views=1):
    return CachedSource(train, validation, batch_size=16, time=TIME, seed=3, num_views=num_views)


OPTIMIZER = OptimizerOptions(learning_rate=0.01)
OPTIONS = LoopOptions(epochs=12, patience=0, accelerator="cpu")


def accuracy(objective, segments):
    scores, truth = clip_outputs(objective, segments)
    return (scores.argmax(1) == truth.argmax(1)).mean()


def test_an_rnn_learns_order_and_a_mean_cannot():
    train, test = rising_or_falling(96, seed=0), rising_or_falling(60, seed=1)
    found = {}
    for kind in ("gru", "mean"):
        objective = make(train, kind=kind)
        fit(objective, source(train, []), optimizer_options=OPTIMIZER, options=OPTIONS)
        found[kind] = accuracy(objective, test)
    assert found["gru"] >= 0.95
    assert abs(found["mean"] - 0.5) <= 0.2


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_every_optimizer_makes_the_loss_small(name, ema):
    train = rising_or_falling(64, seed=0)
    objective = make(train)
    rate = 0.1 if name == "sgd" else 0.01
    options = OptimizerOptions(name=name, learning_rate=rate, ema=ema)
    result = fit(objective, source(train, train), optimizer_options=options, options=OPTIONS)
    history = [line["validation_loss"] for line in result.history]
    assert min(history) < 0.7 * history[0]
    assert result.best_loss == min(history)
    assert result.history[result.best_epoch - 1]["validation_loss"] == result.best_loss


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("stop_at", [1, 7, 16])
def test_going_on_gives_the_losses_of_one_run(tmp_path, stop_at, ema):
    train, validation = rising_or_falling(80, seed=0), rising_or_falling(20, seed=1)
    options = replace(OPTIONS, epochs=4, accumulate=2, checkpoint_seconds=0.0)
    optimizer = OptimizerOptions(learning_rate=0.01, ema=ema)

    def run(out, *, resume=False, on_progress=None):
        objective = make(train, contrast=0.3)
        result = fit(
            objective,
            source(train, validation, num_views=2),
            optimizer_options=optimizer,
            options=options,
            out=out,
            resume=resume,
            on_progress=on_progress,
        )
        return objective, result

    class Stop(Exception):
        pass

    steps = []

    def stop(progress):
        steps.append(progress)
        if len(steps) == stop_at:
            raise Stop

    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, expected = run(tmp_path / "whole")
    with pytest.raises(Stop):
        run(tmp_path / "parts", on_progress=stop)
    again, result = run(tmp_path / "parts", resume=True)
    assert result.losses == expected.losses
    assert result.history == expected.history
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    lines = (tmp_path / "whole" / LOG_FILE).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    assert list((tmp_path / "whole" / "tensorboard").iterdir())


def test_it_stops_when_validation_no_longer_improves():
    train = rising_or_falling(32, seed=0)
    flipped = [replace(s, truth=1 - s.truth) for s in rising_or_falling(32, seed=1)]
    objective = make(train)
    options = replace(OPTIONS, epochs=50, patience=3)
    result = fit(objective, source(train, flipped), optimizer_options=OPTIMIZER, options=options)
    assert result.epochs == result.best_epoch + 3 < 50


def test_two_runs_with_one_seed_are_equal_and_with_another_are_not():
    train = rising_or_falling(48, seed=0)
    runs = []
    for seed in (5, 5, 6):
        objective = make(train)
        options = replace(OPTIONS, epochs=2, seed=seed, deterministic=True)
        runs.append(
            fit(objective, source(train, []), optimizer_options=OPTIMIZER, options=options).losses
        )
    torch.use_deterministic_algorithms(False)
    assert runs[0] == runs[1] != runs[2]


def test_accumulated_batches_are_one_update():
    train = rising_or_falling(64, seed=0)
    flat = OptimizerOptions(
        name="sgd", learning_rate=0.1, momentum=0.0, warmup=0.0, schedule="constant", clip_norm=0.0
    )
    weights = []
    for batch_size, accumulate in ((64, 1), (16, 4), (16, 1)):
        objective = make(train, dropout=0.0)
        options = replace(OPTIONS, epochs=1, accumulate=accumulate)
        whole = CachedSource(train, [], batch_size=batch_size, time=AS_IT_IS, seed=3)
        fit(objective, whole, optimizer_options=flat, options=options)
        weights.append(objective.head.weight.detach())
    torch.testing.assert_close(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2])


def test_a_last_update_of_fewer_batches_weighs_them_alike():
    train = rising_or_falling(20, seed=0)  # batches of 16 and 4
    flat = OptimizerOptions(
        name="sgd", learning_rate=0.1, momentum=0.0, warmup=0.0, schedule="constant", clip_norm=0.0
    )
    weights = []
    for accumulate in (2, 5):
        objective = make(train, dropout=0.0)
        options = replace(OPTIONS, epochs=1, accumulate=accumulate)
        whole = CachedSource(train, [], batch_size=16, time=AS_IT_IS, seed=3)
        fit(objective, whole, optimizer_options=flat, options=options)
        weights.append(objective.head.weight.detach())
    torch.testing.assert_close(*weights)


def test_a_loss_that_is_no_number_ends_the_training():
    train = rising_or_falling(32, seed=0)
    wild = OptimizerOptions(name="sgd", learning_rate=1e30, warmup=0.0, clip_norm=0.0)
    with pytest.raises(TrainingError, match="lower optimizer.learning_rate"):
        fit(make(train), source(train, train), optimizer_options=wild, options=OPTIONS)


def test_calibration_on_a_few_that_are_all_right_makes_nothing_certain():
    train, few = rising_or_falling(64, seed=0), rising_or_falling(8, seed=1)
    objective = make(train)
    fit(objective, source(train, []), optimizer_options=OPTIMIZER, options=OPTIONS)
    assert accuracy(objective, few) == 1
    calibrate(objective, few)
    scores, _ = clip_outputs(objective, few)
    assert 0.8 < scores.max(axis=1).mean() < 0.97  # 9 of 10: eight were right, and one each way


def test_calibration_makes_validation_likelier():
    train, validation = rising_or_falling(64, seed=0), rising_or_falling(40, seed=1)
    validation[::8] = [replace(s, truth=s.truth[::-1].copy()) for s in validation[::8]]
    objective = make(train)
    fit(objective, source(train, []), optimizer_options=OPTIMIZER, options=OPTIONS)
    objective.head.weight.data.mul_(30)  # far too sure of itself

    def loss():
        scores, truth = clip_outputs(objective, validation)
        return -np.log((scores * truth).sum(1).clip(1e-12)).mean()

    sure, right = loss(), accuracy(objective, validation)
    temperature = calibrate(objective, validation)
    assert temperature > 1.5
    assert loss() < 0.5 * sure
    assert accuracy(objective, validation) == right


@pytest.mark.parametrize(("unit", "zero"), [(0.1, 0.0), (50.0, 500.0)])
def test_a_regression_beats_its_mean_in_any_unit(unit, zero):
    def targets(segments):
        truths = [np.array([len(s.seconds) * unit + zero], np.float32) for s in segments]
        return [replace(s, truth=truth) for s, truth in zip(segments, truths, strict=True)]

    train, validation = (targets(rising_or_falling(n, seed=n)) for n in (128, 60))
    objective = make(train, outputs=1, activation="identity")
    truths = np.array([s.truth for s in train])
    objective.output_mean.fill_(float(truths.mean()))
    objective.output_scale.fill_(float(truths.std()))
    fit(
        objective,
        source(train, []),
        optimizer_options=OPTIMIZER,
        options=replace(OPTIONS, epochs=40),
    )
    found = measure(objective, train, validation)
    assert found["mean_squared_error"] < 0.7 * found["mean_squared_error_of_the_mean"]


def test_several_labels_are_each_for_itself():
    def both(segments):
        return [replace(s, truth=np.array([s.truth[0], 1.0], np.float32)) for s in segments]

    train, validation = (both(rising_or_falling(n, seed=n)) for n in (96, 40))
    objective = make(train, outputs=2, activation="sigmoid")
    fit(objective, source(train, []), optimizer_options=OPTIMIZER, options=OPTIONS)
    assert measure(objective, train, validation)["accuracy_per_class"] >= 0.9


def test_a_sequence_autoencoder_beats_the_mean_the_last_frame_and_the_average():
    train, validation = rising_or_falling(192, seed=0), rising_or_falling(60, seed=1)
    objective = make(train, outputs=0, supervised=0.0, autoencoder=1.0, prediction=1.0)
    fit(
        objective,
        source(train, validation),
        optimizer_options=OPTIMIZER,
        options=replace(OPTIONS, epochs=30),
    )
    found = measure(objective, train, validation)
    for name in ("autoencoder", "prediction"):
        baselines = [found[f"{name}_by_{kind}"] for kind in ("mean", "copy", "average")]
        assert found[name] < 0.8 * min(baselines)


def test_views_stay_in_order_and_keep_two_frames():
    rng = np.random.default_rng(0)
    (segment,) = rising_or_falling(1, seed=0)
    wild = TimeAugmentation(drop=0.9, speed=2.0, crop=0.2)
    lengths = set()
    for _ in range(100):
        features, seconds, _ = varied(segment, wild, rng)
        assert len(features) == len(seconds) >= 2
        assert (np.diff(seconds) > 0).all()
        lengths.add(len(seconds))
    assert len(lengths) > 3
    features, seconds, _ = varied(segment, AS_IT_IS, rng)
    np.testing.assert_array_equal(features, segment.views[0])
    np.testing.assert_array_equal(seconds, segment.seconds)


def test_the_learning_rate_rises_and_falls():
    options = OptimizerOptions(warmup=0.1)
    found = [schedule(options, at) for at in (0.05, 0.1, 0.55, 1.0)]
    assert found == pytest.approx([0.5, 1.0, 0.5, 0.0])
    steps = OptimizerOptions(warmup=0.0, schedule="step")
    assert [schedule(steps, at) for at in (0.1, 0.6, 0.8)] == pytest.approx([1, 0.1, 0.01])
    module = torch.nn.Linear(2, 2)
    optimizer = make_optimizer([(module, 0.1)], OptimizerOptions(learning_rate=2.0, warmup=0.0))
    assert set_learning_rate(optimizer, OptimizerOptions(learning_rate=2.0, warmup=0.0), 0) == 2.0
    assert {group["lr"] for group in optimizer.param_groups} == {0.2}
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0]


def test_a_checkpoint_returns_what_was_written(tmp_path):
    state = {"a": {0: torch.arange(3), "b": [1.5, None, torch.ones(2, 2)]}, "c": "text"}
    write_checkpoint(state, tmp_path / CHECKPOINT_FILE)
    again = read_checkpoint(tmp_path / CHECKPOINT_FILE)
    assert torch.equal(again["a"][0], torch.arange(3))
    assert torch.equal(again["a"]["b"][2], torch.ones(2, 2))
    assert (again["a"]["b"][:2], again["c"]) == ([1.5, None], "text")
    content = (tmp_path / CHECKPOINT_FILE).read_bytes()
    (tmp_path / CHECKPOINT_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match="Remove it"):
        read_checkpoint(tmp_path / CHECKPOINT_FILE)
