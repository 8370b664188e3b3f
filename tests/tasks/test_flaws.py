"""What nobody wants to see again."""

from functools import lru_cache

import cv2
import numpy as np
import pytest

from soravec.runtime.sketches import sketch
from soravec.tasks.flaws import FLAWS, frame_quality
from soravec.types import FrameFeatures, Shots, VideoInfo
from tests.tasks.conftest import drawn, slide

FOREST, CITY = 2, 4


def features_of(images, fps=2.0):
    info = VideoInfo(
        "a.mp4", "mp4", "h264", "yuv420p", 160, 120, 0, 0.0, len(images) / fps, fps, 1, False, 1
    )
    kept = sketch(np.stack(images))
    seconds = np.arange(len(images)) / fps
    shots = Shots(np.array([[0.0, len(images) / fps]]))
    empty = np.zeros((len(images), 4), np.float16)
    return FrameFeatures(empty, seconds, shots, info, "none", **kept._asdict())


def quality_of(images, shots=None, fps=2.0):
    shots = np.zeros(len(images), np.int64) if shots is None else np.array(shots)
    return frame_quality(features_of(images, fps), shots, np.ones(len(images), np.float32))


@lru_cache
def sampled(scene, number, seed=3):
    return drawn(scene, number / 2, seed)[::12][:number]


def shaken(image, rng):
    x, y = rng.normal(0, 14, 2)
    matrix = np.array([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(image, matrix, (160, 120), borderMode=cv2.BORDER_REFLECT)


RNG = np.random.default_rng(4)
SPOIL = {
    "dark": lambda images: [(image * 0.05).astype(np.uint8) for image in images],
    "flat": lambda images: [np.full_like(image, 128) for image in images],
    "still": lambda images: [images[0]] * len(images),
    "blurred": lambda images: [cv2.GaussianBlur(image, (0, 0), 4) for image in images],
    "shaken": lambda images: [shaken(image, RNG) for image in images],
}


@pytest.mark.parametrize("name", FLAWS)
@pytest.mark.parametrize("scene", [FOREST, CITY])
def test_each_flaw_is_seen_where_it_is(name, scene):
    good = sampled(scene, 24)
    images = [*good[:8], *SPOIL[name](good[8:16]), *good[16:]]
    found = quality_of(images)
    assert found.usual == ()
    flaw = found.flaws[:, FLAWS.index(name)]
    assert flaw[9:15].mean() > (0.5 if name == "shaken" else 0.8)  # far jumps are not followed
    assert flaw[:6].max() < 0.3
    assert flaw[19:].max() < 0.3
    assert found.values[9:15].mean() < 0.65 < found.values[:6].min()


def test_what_most_of_a_video_is_does_not_count():
    images = SPOIL["dark"](sampled(CITY, 16))
    found = quality_of(images)
    assert "dark" in found.usual
    assert found.flaws[:, 0].min() == 1
    assert quality_of([*images, *sampled(CITY, 20)]).values[:16].max() < 0.1


@pytest.mark.parametrize("number", range(1, 7))
def test_the_shortest_videos_have_a_quality(number):
    found = quality_of(sampled(CITY, 24)[:number])
    assert found.flaws.shape == (number, len(FLAWS))
    assert np.isfinite(found.values).all()


def test_a_cut_is_no_shake_and_frames_far_apart_tell_nothing():
    images = [image for seed in range(6) for image in sampled(FOREST, 2, seed)]
    shots = np.repeat(np.arange(6), 2)
    assert quality_of(images, shots).flaws[:, FLAWS.index("shaken")].max() == 0
    still = [slide()] * 8
    assert quality_of(still, fps=0.5).flaws[:, FLAWS.index("still")].max() == 0
    assert quality_of(still).usual == ("still",)
