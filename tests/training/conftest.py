"""One thread: on a busy machine, threads that wait for one another take many times as long."""

import cv2
import numpy as np
import pytest
import torch

from soravec.training.pretraining.patches import load_photos


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(12):
        coarse = rng.integers(0, 256, (5, 6, 3), np.uint8)
        picture = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i:02}.png"), picture)
    return load_photos(folder)
