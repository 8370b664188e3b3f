"""The RNN and the tags learn: generated moves, their recordings, what is told of them."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from soravec.models.pooling import temporal_statistics
from soravec.models.temporal import TemporalModel
from soravec.runtime.config import TemporalConfig
from soravec.training.pretraining.motion import (
    KINDS,
    STEPS,
    Recording,
    draw_recording,
    make_clips,
    make_move,
    render,
)
from soravec.training.pretraining.tags import class_names, fit_tags
from soravec.training.pretraining.temporal import (
    MotionObjective,
    TemporalTraining,
    collate,
    disturbed,
    sample_view,
    train_temporal,
)

PERFECT = Recording(frame_seconds=0.04, blur=0.0, noise=0.0, detail=1.0, quality=0)


def test_tags_are_what_the_teacher_says():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(20, 16))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def views(num):
        kinds = rng.integers(20, size=num)
        vectors = directions[kinds] + 0.1 * rng.normal(size=(num, 16))
        logits = np.full((num, 1001), -3.0, np.float32)
        logits[np.arange(num), 1 + kinds] = 6
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return (unit.astype(np.float32), logits), kinds

    (learn, _), (held_out, kinds) = views(400), views(60)
    temporal = TemporalConfig(16, 4, motion_weight=0.36)
    head, figures = fit_tags(learn, held_out, space_id="s", temporal=temporal, steps=150)
    whole = np.concatenate([0.8 * held_out[0], rng.normal(size=(60, 4))], axis=1)
    assert (head.scores(whole.astype(np.float32)).argmax(axis=1) == kinds).mean() > 0.95
    assert figures["among_best"] > 0.95
    assert 0 < head.config.least < 1
    assert len(head.classes) == len(head.config.words) == 1000


def test_every_class_has_names_in_two_languages():
    names, words = class_names()
    assert len(set(names)) == len(names) == 1000
    assert names[0] == "tench"
    assert names[-1] == "toilet paper"
    for others in words:
        assert any(re.search("[\u4e00-\u9fff]", word) for word in others) or "iPod" in others
    firsts = [next(word for word in others if not word.isascii()) for others in words if others]
    assert len(firsts) > 990
    spoken = {word for others in words for word in others} | set(names)
    assert {"violin", "小提琴", "piano", "钢琴", "bow", "弓", "basketball", "篮球"} <= spoken


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_moves_unless_it_is_still(photos, kind):
    rng = np.random.default_rng(3)
    pair = photos["00.png"], photos["01.png"]
    frames, earlier, seconds = render(make_move(rng, kind), pair, 32, PERFECT, rng)
    assert frames.shape == earlier.shape == (STEPS, 32, 32, 3)
    assert (np.diff(seconds) > 0).all()
    at_once = np.abs(frames.astype(int) - earlier).mean()
    assert (at_once == 0) == (kind == "still")
    assert at_once < np.abs(frames.astype(int) - frames[0]).mean() or kind == "still"
    change = np.abs(np.diff(frames.astype(int), axis=0)).max()
    assert (change == 0) == (kind == "still")


def test_a_recording_is_the_same_all_through_a_clip(photos):
    pair = photos["00.png"], photos["01.png"]
    move = make_move(np.random.default_rng(3), "still")
    for change, moves in (({"blur": 2.0}, False), ({"noise": 6.0}, True), ({"quality": 10}, False)):
        recording = replace(PERFECT, **change)
        frames, earlier, _ = render(move, pair, 32, recording, np.random.default_rng(4))
        plain, _, _ = render(move, pair, 32, PERFECT, np.random.default_rng(4))
        assert not np.array_equal(frames, plain)
        assert (np.abs(frames.astype(int) - earlier).max() > 0) == moves


def test_recordings_are_of_many_rates_and_some_are_perfect():
    rng = np.random.default_rng(5)
    drawn = [draw_recording(rng) for _ in range(400)]
    assert min(one.frame_seconds for one in drawn) < 0.02
    assert max(one.frame_seconds for one in drawn) > 0.08
    perfect = [not (one.blur or one.noise or one.quality) for one in drawn]
    assert np.mean(perfect) == pytest.approx(0.6**3, abs=0.06)


def clips_of_colour(photos, num):
    def extract(frames, earlier):
        assert frames.shape == earlier.shape
        small = frames.reshape(len(frames), 4, 8, 4, 8, 3).mean(axis=(2, 4))
        return small.reshape(len(frames), -1).astype(np.float32)

    return make_clips(list(photos.values()), num, extract, 32, seed=0)


def test_views_are_read_with_their_times(photos):
    clips = clips_of_colour(photos, 8)
    assert clips.features.shape == (8, 3, STEPS, 48)
    rng = np.random.default_rng(0)
    views = [
        sample_view(f[0], s[0], rng, drop=0.1)
        for f, s in zip(clips.features, clips.seconds, strict=True)
    ]
    assert all(len(features) == len(seconds) >= 4 for features, seconds in views)
    features, elapsed, mask = collate(views)
    assert features.shape[:2] == elapsed.shape == mask.shape
    assert not elapsed[:, 0].any()
    assert torch.allclose(elapsed.sum(1), torch.tensor([s[-1] - s[0] for _, s in views]))


def test_times_run_backwards_with_the_frames():
    features = np.arange(3, dtype=np.float16)[:, None]
    seconds = np.array([0, 1, 4], np.float32)
    backwards, _, still = disturbed(features, seconds, np.random.default_rng(0))
    assert backwards[0][:, 0].tolist() == [2, 1, 0]
    assert backwards[1].tolist() == [0, 3, 4]
    assert len(np.unique(still[0])) == 1


def test_the_rnn_learns(photos, tmp_path, monkeypatch):
    # 32 moves are too few to learn to see past noise
    monkeypatch.setattr("soravec.training.pretraining.motion.draw_recording", lambda rng: PERFECT)
    clips = clips_of_colour(photos, 32)
    config = TemporalTraining(steps=80, groups=4, log_every=40, other_photo=0, dropout=0)
    torch.manual_seed(0)
    model = TemporalModel(TemporalConfig(16, 8, hidden_dim=24), 48)
    values = clips.features.reshape(-1, 48).astype(np.float32)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    model.feature_mean.copy_(torch.from_numpy(unit.mean(0)))
    model.feature_scale.copy_(torch.from_numpy(1 / unit.std(0)))
    before = like_statistics(model, clips)
    history = train_temporal(model, clips, tmp_path, config=config)
    assert np.mean(history[-6:]) < np.mean(history[:6])
    assert like_statistics(model, clips) > max(before + 0.1, 0.5)


def like_statistics(model, clips):
    """How like the readings' cosines are to those of the statistics that are aimed at."""
    objective = MotionObjective(model, TemporalTraining())
    series = collate(list(zip(clips.features[:, 0], clips.seconds[:, 0], strict=True)))
    objective.fit_statistics(series)
    with torch.no_grad():
        motion = model(*series).motion.numpy()
        seen = temporal_statistics(model.standardise(series[0], series[2]), series[2])
        wanted = ((seen - objective.components_mean) @ objective.components).numpy()
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (motion, wanted)]
    pairs = np.triu_indices(len(motion), 1)
    return np.corrcoef(*((part @ part.T)[pairs] for part in unit))[0, 1]


def test_statistics_leave_out_what_the_looks_are_on_average(photos):
    model = TemporalModel(TemporalConfig(16, 8, hidden_dim=24), 48, parts=(24, 24, 0))
    objective = MotionObjective(model, TemporalTraining())
    clips = clips_of_colour(photos, 32)
    objective.fit_statistics(
        collate(list(zip(clips.features[:, 0], clips.seconds[:, 0], strict=True)))
    )
    assert not objective.components[:24].any()
    assert objective.components[24:].any(dim=1).all()


def test_the_rnn_goes_on_where_it_stopped(photos, tmp_path, monkeypatch):
    clips = clips_of_colour(photos, 32)
    config = TemporalTraining(steps=8, groups=2, log_every=4)

    def run(out, *, resume=False):
        torch.manual_seed(0)
        model = TemporalModel(TemporalConfig(16, 8, hidden_dim=24), 48)
        return train_temporal(model, clips, out, config=config, resume=resume)

    whole = run(tmp_path / "whole")

    def stop(self, target, replace=Path.replace):
        replace(self, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts")
    assert run(tmp_path / "parts", resume=True) == pytest.approx(whole, abs=1e-6)


def test_the_core_needs_no_pytorch():
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['timm'] = None;"
        "import soravec.runtime.encoder, soravec.runtime.folder, soravec.library, soravec.cli"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
