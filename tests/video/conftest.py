"""How the tests of this layer read a whole sampling at once, with and without jumps."""

from typing import NamedTuple

import numpy as np
import pytest

from soravec.types import Frames, Shots
from soravec.video import VideoReader
from soravec.video.decode import PictureSource


class Read(NamedTuple):
    images: np.ndarray
    seconds: np.ndarray
    shots: Shots
    warnings: list[str]
    batches: list[Frames]


@pytest.fixture(scope="session")
def read():
    def read_all(path, sampling, **kwargs):
        with VideoReader(path) as reader:
            batches = list(reader.read(sampling, **kwargs))
            images = np.concatenate([batch.images for batch in batches])
            seconds = np.concatenate([batch.seconds for batch in batches])
            return Read(images, seconds, reader.shots, reader.warnings, batches)

    return read_all


@pytest.fixture
def read_without_jumps(read, monkeypatch):
    def read_all(path, sampling, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(PictureSource, "_pays", lambda *_: False)
            return read(path, sampling, **kwargs)

    return read_all
