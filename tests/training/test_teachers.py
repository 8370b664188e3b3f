"""The teacher itself: its maps and classes, read from the real network."""

import numpy as np
import pytest

from soravec.errors import ModelError
from soravec.training.pretraining.patches import load_photos, resize_views
from soravec.training.pretraining.teachers import INNER, TEACHER_FILE, MobileNet


@pytest.fixture(scope="module")
def teacher(data_dir):
    return MobileNet(data_dir / "weights", 1)


@pytest.fixture(scope="module")
def views(data_dir, teacher):
    photos = load_photos(data_dir / "photos")
    pictures = [levels[1] for levels in list(photos.values())[:40]]
    return np.concatenate([resize_views(one[None], teacher.size) for one in pictures])


def test_it_answers_for_every_cell(teacher, views):
    answers = teacher(views)  # more than one batch, the last not full
    size = teacher.size
    assert answers.maps.shape == (40, 1280, size // 32, size // 32)
    assert answers.logits.shape == (40, 1001)
    for maps, (channels, pixels) in zip(answers.inner, INNER, strict=True):
        assert maps.shape == (40, channels, size // pixels, size // pixels)
    alone = teacher(views[33:34])
    assert np.allclose(alone.logits, answers.logits[33:34], atol=1e-3)


def test_its_maps_move_with_the_picture(teacher, views):
    cell = INNER[-1][1]
    moved = teacher(np.roll(views, cell, axis=2)).inner[-1][:, :, 3:-3, 4:-3]
    still = teacher(views).inner[-1][:, :, 3:-3, 3:-4]
    assert np.corrcoef(moved.ravel(), still.ravel())[0, 1] > 0.9


def test_what_is_no_network_is_an_error(tmp_path):
    (tmp_path / TEACHER_FILE).write_bytes(b"none")
    with pytest.raises(ModelError, match="TFLite"):
        MobileNet(tmp_path)
