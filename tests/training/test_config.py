"""A training's settings: read strictly, laid over one another, written back."""

import re

import pytest
import yaml

from soravec.errors import TrainingError
from soravec.training.config import TrainConfig, read_train_config, write_train_config

from ..test_docs import ROOT


def test_a_file_and_single_settings_are_laid_over_the_defaults(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("loop: {epochs: 5}\ntemporal:\n  kind: lstm\n")
    config = read_train_config(path, ["loop.seed=7", "data.fps=8", "optimizer.name=sgd"])
    assert (config.loop.epochs, config.loop.seed) == (5, 7)
    assert (config.temporal.kind, config.data.fps, config.optimizer.name) == ("lstm", 8, "sgd")
    assert config.temporal.hidden_dim == TrainConfig().temporal.hidden_dim


def test_numbers_may_be_written_as_people_write_them():
    config = read_train_config(
        None, ["optimizer.learning_rate=1e-3", "optimizer.weight_decay=2E-2"]
    )
    assert config.optimizer.learning_rate == 0.001
    assert config.optimizer.weight_decay == 0.02


def test_what_is_written_is_read_back(tmp_path):
    config = read_train_config(None, ["optimizer.step_at=[0.2, 0.4]", "data.motion=difference"])
    write_train_config(config, tmp_path / "config.yaml")
    assert read_train_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("loop: {epoch: 3}", "unknown key 'epoch'; did you mean 'epochs'"),
        ("lop: {epochs: 3}", "unknown key 'lop'; did you mean 'loop'"),
        ("loop: {epochs: many}", "epochs is 'many', but must be of type int"),
        ("loop: 3", "loop is 3, but must be a group of keys"),
        ("temporal: {kind: rnn}", "must be one of mean, statistics, gru, lstm, transformer"),
        ("temporal: {bidirectional: 1}", "must be of type bool"),
        ("data: {fractions: [0.5, 0.5]}", "must be a list of 3 values"),
        ("temporal: {hidden_dim: 0}", "must be at least 1"),
        ("temporal: {dropout: 1.5}", r"must lie in \[0, 1\)"),
        ("objective: {label_smoothing: 2}", r"must lie in \[0, 1\)"),
        ("optimizer: {ema: 1.5}", r"lie in \[0, 1\)"),
        ("loop: {seed: -1}", "must be at least 0"),
        ("data: {fps: 0}", "fps must be above 0, not 0"),
        ("3: 4", "must hold keys and values"),
        ("temporal: {differences: true}", "must be a list of values"),
        ("temporal: {differences: [1, 0]}", "1 or more, not \\[1, 0\\]"),
        ("loop: {epochs: 0}", "must be at least 1"),
        ("time: {drop: 1.5}", r"drop must lie in \[0, 1\)"),
        ("- a\n- b", "must hold keys and values"),
        ("a: [", "not YAML"),
    ],
)
def test_bad_settings_say_what_and_where(tmp_path, content, reason):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(TrainingError, match=reason) as caught:
        read_train_config(path)
    assert "bad.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("loop.epochs", "KEY=VALUE"),
        ("lop.epochs=3", "no group 'lop'"),
        ("loop.epoch=3", "did you mean 'epochs'"),
        ("loop.epochs=x", "must be of type int"),
        ("loop.epochs=[", "not YAML"),
    ],
)
def test_a_bad_setting_says_what(setting, reason):
    with pytest.raises(TrainingError, match=reason):
        read_train_config(None, [setting])


def test_aliases_that_name_one_another_are_not_written_out(tmp_path):
    inner = ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))
    path = tmp_path / "laughs.yaml"
    path.write_text(f"data:\n  fps: [&a0 [x, x], {inner}]\n")
    with pytest.raises(TrainingError, match="must be of type float") as caught:
        read_train_config(path)
    assert len(str(caught.value)) < 1000


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match="cannot be read"):
        read_train_config(tmp_path / "none.yaml")


def test_every_setting_is_documented(tmp_path):
    text = (ROOT / "docs" / "training.md").read_text()
    table = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", table))))
    write_train_config(TrainConfig(), tmp_path / "all.yaml")
    for group, values in yaml.safe_load((tmp_path / "all.yaml").read_text()).items():
        assert group in named
        if isinstance(values, dict) and group != "augmentation":
            assert not set(values) - named, group
