"""The CNN learns: views and targets, losses that fall, a resumed run that equals a whole one."""

import json
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from soravec.errors import ModelError
from soravec.models.cnn import FrameCnn
from soravec.runtime.config import CnnConfig
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
from soravec.training.pretraining.optimizer import MatrixOptimizer
from soravec.training.pretraining.patches import (
    pyramid,
    split_photos,
)
from soravec.training.pretraining.teachers import Answers

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
