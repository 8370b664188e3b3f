"""Training: a few steps lower the loss, and a resumed run equals an uninterrupted one."""

import json
import re
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from soravec.errors import ModelError
from soravec.models.cnn import FrameCnn
from soravec.models.pooling import temporal_statistics
from soravec.models.temporal import TemporalModel
from soravec.runtime.config import CnnConfig, TemporalConfig
from soravec.training.losses import contrast_loss, distillation_loss, embedding_loss
from soravec.training.pretraining.bank import (
    HELD_OUT,
    PLAIN,
    WHOLE,
    Bank,
    BankConfig,
    Chunk,
    Maker,
    fit_targets,
    pool_cells,
)
from soravec.training.pretraining.distill import DistillConfig, Student, distill, draw, schedule
from soravec.training.pretraining.motion import (
    KINDS,
    STEPS,
    Recording,
    draw_recording,
    make_clips,
    make_move,
    render,
)
from soravec.training.pretraining.optimizer import MatrixOptimizer
from soravec.training.pretraining.patches import (
    load_photos,
    pyramid,
    sample_patches,
    split_photos,
    warp,
)
from soravec.training.pretraining.tags import class_names, fit_tags
from soravec.training.pretraining.teachers import Answers
from soravec.training.pretraining.temporal import (
    MotionObjective,
    TemporalTraining,
    collate,
    disturbed,
    sample_view,
    train_temporal,
)

PERFECT = Recording(frame_seconds=0.04, blur=0.0, noise=0.0, detail=1.0, quality=0)
CNN = CnnConfig("timm/mobilenetv3_small_050", 288, height=32, width=32)


class ColourTeacher:
    """Says of every quarter of a picture its mean colour, and which channel is strongest."""

    size = 32

    def __call__(self, images):
        quarters = images.reshape(len(images), 2, 16, 2, 16, 3).mean(axis=(2, 4)) / 255
        logits = images.mean(axis=(1, 2)) / 16
        finer = images.reshape(len(images), 4, 8, 4, 8, 3).mean(axis=(2, 4)) / 255
        maps, inner = (m.transpose(0, 3, 1, 2).astype(np.float32) for m in (quarters, finer))
        return Answers(maps, logits.astype(np.float32), (inner, maps))


class ViewsHere:
    """A bank without processes."""

    def __init__(self, maker):
        self.maker = maker

    def held_out(self):
        return self.maker.chunk(-1)

    def rounds(self, first, last):
        for number in range(first, last):
            kept = range(max(0, number - self.maker.config.rounds_kept + 1), number + 1)
            yield [self.maker.chunk(i) for i in kept]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(12):
        coarse = rng.integers(0, 256, (5, 6, 3), np.uint8)
        picture = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i:02}.png"), picture)
    return load_photos(folder)


BANK = BankConfig(
    chunk=64,
    paintings=2,
    size=32,
    cells=2,
    components=3,
    rounds_with_inner=2,
    rounds_kept=2,
    num_held_out=32,
)


def train(photos, out, *, resume=False, **changes):
    torch.manual_seed(0)
    out.mkdir(exist_ok=True)
    maker = Maker(split_photos(photos), ColourTeacher(), BANK)
    maker.fit(out / "targets.npz")
    config = DistillConfig(
        rounds=5,
        grafted_rounds=2,
        steps=8,
        batch=16,
        sizes=((1.0, 32),),
        learning_rate=5e-3,
        average=0.9,
    )
    student = Student(FrameCnn(CNN), 3, 3)
    views = ViewsHere(maker)
    return distill(student, views, out, config=replace(config, **changes), resume=resume)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_photographs_are_held_out_and_never_shared(photos):
    kept, held = split_photos(photos)
    assert (len(kept), len(held)) == (11, 1)
    assert not {id(p) for p in kept} & {id(p) for p in held}


def test_a_folder_without_photographs_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="no photographs"):
        load_photos(tmp_path)


def test_views_are_the_same_for_the_same_seed(photos):
    kept, _ = split_photos(photos)
    first, again, other = (
        sample_patches(kept, 6, 24, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (6, 24, 24, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unturned_view_at_full_size_is_the_photograph(photos):
    photo = photos["00.png"]
    height, width = photo[0].shape[:2]
    view = warp(photo, (width / 2, height / 2), (1.0, 1.0), 0.0, (height, width))
    assert np.array_equal(view, photo[0])


def test_training_lowers_the_loss(photos, tmp_path):
    train(photos, tmp_path, rounds=6, steps=32)
    parts, log = lines(tmp_path / "graft.jsonl"), lines(tmp_path / "distill.jsonl")
    assert [line["round"] for line in (*parts, *log)] == [1, 2, 3, 4, 5, 6]
    assert parts[-1]["first_part"] < 0.8 * parts[0]["first_part"]
    assert parts[-1]["second_part"] < parts[0]["second_part"]
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]


def test_what_is_drawn_of_a_view_is_all_of_that_view(photos, tmp_path):
    maker = Maker(split_photos(photos), ColourTeacher(), BANK)
    maker.fit(tmp_path / "targets.npz")
    batch = draw([maker.chunk(0)], DistillConfig(batch=16), None, np.random.default_rng(0))
    answers = ColourTeacher()(batch.views.numpy())
    last, *scales = maker.targets
    assert np.array_equal(batch.maps, last(answers.maps, 2).astype(np.float32))
    for scale, drawn, maps in zip(scales, batch.inner, answers.inner, strict=True):
        assert np.array_equal(drawn, scale(maps, maps.shape[-1]).astype(np.float32))
    assert np.allclose(batch.logits, answers.logits, rtol=1e-3)


def test_a_run_that_starts_anew_takes_nothing_of_an_earlier_one(photos, tmp_path):
    train(photos, tmp_path / "new")
    train(photos, tmp_path / "old", seed=1)
    train(photos, tmp_path / "old")
    for name in ("graft.jsonl", "distill.jsonl"):
        ours, theirs = lines(tmp_path / "new" / name), lines(tmp_path / "old" / name)
        assert [line["loss"] for line in ours] == [line["loss"] for line in theirs]


def test_too_few_rounds_are_an_error():
    with pytest.raises(ModelError, match="more than the 8"):
        DistillConfig(rounds=8)


@pytest.mark.parametrize("stopped_after", [1, 2, 3, 4])
def test_a_resumed_run_equals_an_uninterrupted_one(photos, tmp_path, monkeypatch, stopped_after):
    whole = train(photos, tmp_path / "whole")
    rounds = []

    def interrupt(state, path, save=torch.save):
        save(state, path)
        rounds.append(state["rounds"])

    monkeypatch.setattr(torch, "save", interrupt)

    def stop(self, target, replace=Path.replace):
        replace(self, target)
        if len(rounds) == stopped_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            train(photos, tmp_path / "parts")
    resumed = train(photos, tmp_path / "parts", resume=True)
    drop = {"minutes", "waited"}
    for name in ("graft.jsonl", "distill.jsonl"):
        ours, theirs = lines(tmp_path / "whole" / name), lines(tmp_path / "parts" / name)
        assert [{k: v for k, v in line.items() if k not in drop} for line in ours] == [
            {k: v for k, v in line.items() if k not in drop} for line in theirs
        ]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name])


def test_matrices_are_updated_as_matrices():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(16, 24, 1), nn.Conv2d(24, 24, 3, groups=24), nn.Linear(24, 5))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = MatrixOptimizer(model, model, learning_rate=0.1, weight_decay=0.0)
    optimizer.zero_grad()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * torch.linspace(0.1, 10, len(parameter)).view(
            -1, *(1,) * (parameter.ndim - 1)
        )
    optimizer.set_learning_rate(0.01)
    optimizer.step()
    changes = [p.detach() - b for p, b in zip(model.parameters(), before, strict=True)]
    stretches = torch.linalg.svdvals(changes[0].flatten(1))
    assert stretches.max() < 2 * stretches.min()
    for change in changes[1:]:  # of AdamW's first step every number is the learning rate
        assert torch.allclose(change.abs(), torch.full_like(change, 0.01), atol=1e-4)


def test_targets_are_components_of_the_teachers_maps():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 5)) + [0, 1, 2, 3, 9]
    maps = mixed.reshape(50, 2, 2, 5).transpose(0, 3, 1, 2).astype(np.float16)
    fitted = fit_targets(maps, 2)
    found = fitted(maps, 2)
    assert found.shape == (50, 2, 2, 2)
    flat = found.transpose(0, 2, 3, 1).reshape(-1, 2).astype(np.float64)
    assert np.allclose(flat.mean(axis=0), 0, atol=0.01)
    assert np.square(flat).mean() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(flat.T)[0, 1]) < 0.02
    # two numbers per cell hold all that varies
    rebuilt = np.linalg.lstsq(flat, mixed - mixed.mean(axis=0), rcond=None)[1]
    assert rebuilt.max() < 0.2


def test_cells_cover_the_whole_map():
    maps = np.arange(49, dtype=np.float32).reshape(1, 7, 7, 1)
    pooled = pool_cells(maps, 4)
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(maps[..., 0]), 4)
    assert np.allclose(pooled[..., 0], expected)


def test_a_chunk_survives_being_written(photos, tmp_path):
    maker = Maker(split_photos(photos), ColourTeacher(), BANK)
    maker.fit(tmp_path / "targets.npz")
    chunk = maker.chunk(0)
    chunk.save(tmp_path / "0.npz")
    again = Chunk.load(tmp_path / "0.npz")
    assert (chunk.views.shape, chunk.maps.shape) == ((64, 32, 32, 3), (64, 3, 2, 2))
    assert [maps.shape for maps in chunk.inner] == [(64, 3, 4, 4), (64, 3, 2, 2)]
    for name in ("views", "maps", "logits"):
        assert np.array_equal(getattr(chunk, name), getattr(again, name))
    for maps, others in zip(chunk.inner, again.inner, strict=True):
        assert np.array_equal(maps, others)
    assert (
        maker.chunk(2).inner == maker.chunk(PLAIN).inner == ()
    )  # only as long as the parts learn by themselves
    assert np.array_equal(maker.chunk(0).views, chunk.views)
    assert not np.array_equal(maker.chunk(1).views, chunk.views)


def test_photographs_held_out_are_never_learned_from(tmp_path):
    white, black = (pyramid(np.full((60, 80, 3), value, np.uint8)) for value in (255, 0))
    maker = Maker(([black], [white]), ColourTeacher(), replace(BANK, paintings=0))
    maker.fit(tmp_path / "targets.npz")
    learned, plain = maker.chunk(0).views, maker.chunk(PLAIN).views
    held_out, whole = maker.chunk(HELD_OUT).views, maker.chunk(WHOLE).views
    assert len(held_out) == len(whole) == BANK.num_held_out
    assert np.median(learned) < 140  # grey is what has not moved
    assert plain.mean() < 60
    assert 120 < held_out.mean() < whole.mean()
    assert whole.min() > 250


def test_a_bank_keeps_recent_rounds_and_says_what_fails(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no picture")
    with Bank(tmp_path, tmp_path, tmp_path / "views", BANK, 1) as bank:
        assert not list(bank.rounds(3, 3))  # where all rounds are done, nothing is made again
        with pytest.raises(BrokenProcessPool):
            bank.held_out()


def test_the_learning_rate_warms_up_and_falls():
    assert schedule(0.01) == pytest.approx(0.5)
    assert schedule(0.02) == pytest.approx(1.0)
    assert schedule(0.51) == pytest.approx(0.5)
    assert schedule(1.0) == pytest.approx(0.0)


def test_losses_are_zero_where_student_and_teacher_agree():
    logits, vectors = torch.randn(4, 7), torch.nn.functional.normalize(torch.randn(4, 6), dim=-1)
    assert float(distillation_loss(logits, logits, 2.0)) == pytest.approx(0, abs=1e-6)
    assert float(embedding_loss(vectors, 3 * vectors)) == pytest.approx(0, abs=1e-6)
    right = float(contrast_loss(vectors, vectors, -vectors[:, None], 0.05))
    wrong = float(contrast_loss(vectors, vectors.flip(0), vectors[:, None], 0.05))
    assert right < wrong


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
    config = TemporalTraining(steps=80, groups=4, log_every=40, other_photo=0)
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
