"""Parts that learn by themselves: what they read, and that joined they say what they said apart."""

import numpy as np
import pytest
import torch

from soravec.models.cnn import FrameCnn
from soravec.runtime.config import CnnConfig
from soravec.training.pretraining.distill import (
    Batch,
    DistillConfig,
    GraftedStudent,
    Student,
    crop_together,
)
from soravec.training.pretraining.grafting import Grafts

CNN = CnnConfig("timm/mobilenetv3_small_050", 288, height=64, width=64)
CHANNELS = (5, 7)


@pytest.fixture
def cnn():
    torch.manual_seed(0)
    cnn = FrameCnn(CNN)
    for layer in cnn.modules():  # as after some training: no buffer is at its start
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return cnn.eval()


def pictures(num, size):
    return torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (num, size, size, 3), np.uint8)
    )


@torch.no_grad()
def test_joined_parts_say_what_they_said_one_after_the_other(cnn):
    grafts = Grafts(cnn, CHANNELS).eval()
    views = pictures(4, 64)
    unread = torch.zeros(4, 7, 4, 4)
    first, *_ = grafts(views, torch.zeros(4, 5, 8, 8), unread)
    _, second, _ = grafts(torch.cat([views, views]), torch.zeros(8, 5, 8, 8), unread)
    assert (first.shape, second.shape) == ((4, 5, 8, 8), (8, 7, 4, 4))
    *_, last = grafts(views, first, second[:4])  # the half that reads what the first part says
    before = cnn.maps(views)
    grafts.join()
    after = cnn.maps(views)
    assert torch.allclose(after, last, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(after, before, rtol=0.1, atol=0.1)


@torch.no_grad()
def test_the_second_part_reads_half_from_the_first_and_half_from_the_teacher(cnn):
    grafts = Grafts(cnn, CHANNELS).eval()
    views, unread = pictures(4, 64), torch.zeros(4, 7, 4, 4)
    teacher = [torch.randn(4, 5, 8, 8) for _ in range(2)]
    second, other = (grafts(views, maps, unread)[1] for maps in teacher)
    same = [torch.allclose(a, b) for a, b in zip(second, other, strict=True)]
    assert same == [True, True, False, False]


def test_the_first_part_does_not_learn_from_the_second(cnn):
    grafts = Grafts(cnn, CHANNELS)
    _, second, _ = grafts(pictures(2, 64), torch.zeros(2, 5, 8, 8), torch.zeros(2, 7, 4, 4))
    second.sum().backward()
    assert cnn.network.conv_stem.weight.grad is None
    assert cnn.network.blocks[2][0].conv_pw.weight.grad.any()


def test_crops_show_the_same_place():
    place = torch.arange(48 * 48, dtype=torch.float32).view(1, 48, 48)
    coarse = [place[:, None, ::step, ::step] for step in (8, 16)]
    for corner in ((0.0, 0.0), (0.3, 0.9), (1.0, 1.0)):
        views, (finer, cells) = crop_together(place[..., None], coarse, corner)
        assert (views.shape, finer.shape, cells.shape) == (
            (1, 16, 16, 1),
            (1, 1, 2, 2),
            (1, 1, 1, 1),
        )
        assert views[0, 0, 0, 0] == finer[0, 0, 0, 0] == cells[0, 0, 0, 0]


def test_parts_are_right_where_the_teacher_is_met():
    torch.manual_seed(0)
    model = GraftedStudent(Student(FrameCnn(CNN), 3, 4), CHANNELS).eval()
    views, inner = pictures(4, 64), (torch.randn(4, 5, 8, 8), torch.randn(4, 7, 4, 4))
    batch = Batch(views, torch.randn(4, 3, 2, 2), torch.randn(4, 4), inner)
    with torch.no_grad():
        crop, crops = crop_together(views, inner, batch.corner)
        said, (maps, logits) = model(crop, crops[0], inner[-1])
        far = model.losses(batch, DistillConfig())
        answer = torch.nn.functional.adaptive_avg_pool2d(maps, 2)
        near = model.losses(Batch(views, answer, logits, inner, batch.corner), DistillConfig())
    assert far["first_part"] == pytest.approx(float((said[0] - crops[0]).square().mean()))
    assert float(near["embedding"]) < 1e-3 < float(far["embedding"])
    assert float(near["classes"]) < 1e-3 < float(far["classes"])
    assert near["agreement"] == 1
