"""Variation of frames: consistent in time, repeatable, and as strong as asked for."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soravec.data.augmentation import (
    PERTURBATION_LEVELS,
    Augmentation,
    Perturbation,
    augment,
    perturb,
)
from soravec.errors import TrainingError
from soravec.types import Frames

NONE = Augmentation.none()
STRONG = {
    "crop": replace(NONE, crop=0.3),
    "flip": replace(NONE, flip=1.0),
    "rotation": replace(NONE, rotation_degrees=40.0),
    "brightness": replace(NONE, brightness=0.5),
    "contrast": replace(NONE, contrast=0.8),
    "saturation": replace(NONE, saturation=0.8),
    "hue": replace(NONE, hue=0.4),
    "blur": replace(NONE, blur=1.0, blur_sigma=4.0),
    "noise": replace(NONE, noise=1.0, noise_sigma=0.2),
    "jpeg": replace(NONE, jpeg=1.0, jpeg_quality=5),
}


def picture(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth, coloured picture without symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + y / 17), np.cos(x / 13 - y / 7), np.sin(x * y / 300)]
    return (127 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def clip(num_frames: int = 6, *, still: bool = True, previous: bool = False) -> Frames:
    """A picture that stands still, or shifts by one pixel per frame."""
    first = picture()
    images = [first if still else np.roll(first, number, axis=1) for number in range(num_frames)]
    stack = np.stack(images)
    before = np.concatenate([stack[:1], stack[:-1]]) if previous else None
    return Frames(stack, np.arange(num_frames) / 8.0, before)


@pytest.mark.parametrize("name", sorted(STRONG))
def test_each_variation_changes_the_picture_and_keeps_shape_and_times(name: str) -> None:
    frames = clip()
    changed = augment(frames, STRONG[name], seed=3)
    assert changed.images.shape == frames.images.shape
    assert changed.images.dtype == np.uint8
    assert np.array_equal(changed.seconds, frames.seconds)
    difference = np.abs(changed.images.astype(int) - frames.images).mean()
    assert difference > 1.0


@pytest.mark.parametrize("name", sorted(set(STRONG) - {"noise"}))
@pytest.mark.parametrize("seed", range(4))
def test_a_still_clip_stays_still(name: str, seed: int) -> None:
    images = augment(clip(), STRONG[name], seed=seed).images
    assert (images == images[0]).all()


def test_only_noise_is_another_in_each_frame() -> None:
    images = augment(clip(), STRONG["noise"], seed=1).images.astype(int)
    strengths = [(frame - clip().images[0]).std() for frame in images]
    assert (images[0] != images[1]).any()
    assert np.ptp(strengths) < 0.05 * np.mean(strengths)


def test_nothing_changes_when_all_is_off() -> None:
    frames = clip(still=False, previous=True)
    changed = augment(frames, NONE, seed=5)
    assert np.array_equal(changed.images, frames.images)
    assert changed.previous is not None
    assert np.array_equal(changed.previous, frames.previous)


def test_the_seed_decides_and_torchs_own_generator_stands_still() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    a, again, b = (augment(clip(), Augmentation(), seed=seed).images for seed in (1, 1, 2))
    assert np.array_equal(a, again)
    assert not np.array_equal(a, b)
    assert torch.equal(torch.rand(3), expected)


def test_parts_of_a_clip_are_varied_alike() -> None:
    config = replace(Augmentation(), noise=0.0, jpeg=1.0, blur=1.0)
    frames = clip(6, still=False)
    whole = augment(frames, config, seed=9).images
    parts = [
        augment(Frames(frames.images[a:b], frames.seconds[a:b]), config, seed=9).images
        for a, b in ((0, 2), (2, 6))
    ]
    assert np.array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("config", [Augmentation(), STRONG["crop"], STRONG["noise"]])
def test_the_picture_before_is_varied_alike(config: Augmentation) -> None:
    frames = clip(5, still=False, previous=True)
    changed = augment(frames, replace(config, noise=0.0), seed=2)
    assert changed.previous is not None
    assert np.array_equal(changed.previous[1:], changed.images[:-1])
    noisy = augment(frames, config, seed=2)
    assert noisy.previous is not None
    # The first frame has no predecessor but itself, which noise does not set moving.
    assert np.array_equal(noisy.previous[0], noisy.images[0])


def test_flip_swaps_left_and_right() -> None:
    images = augment(clip(), STRONG["flip"], seed=0).images
    assert np.array_equal(images, clip().images[:, :, ::-1])


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (40, 40)])
@pytest.mark.parametrize("degrees", [5.0, 40.0, 180.0])
def test_a_turned_picture_has_no_black_corners(shape: tuple[int, int], degrees: float) -> None:
    images = np.full((2, *shape, 3), 200, np.uint8)
    for seed in range(12):
        config = replace(NONE, rotation_degrees=degrees)
        changed = augment(Frames(images, np.arange(2.0)), config, seed=seed)
        assert changed.images.min() >= 199


@pytest.mark.parametrize("kind", get_args(Perturbation))
def test_perturbations_grow_with_their_level(kind: Perturbation) -> None:
    frames = clip(20, still=False)
    harm = []
    for level in PERTURBATION_LEVELS[kind]:
        worse = perturb(frames, kind, level, seed=1)
        if kind == "drop":
            harm.append(float(len(frames) - len(worse)))
        else:
            harm.append(float(np.abs(worse.images.astype(int) - frames.images).mean()))
    assert harm == sorted(harm)
    assert harm[0] > 0
    assert perturb(frames, kind, 0.0) is frames


def test_noise_has_the_deviation_asked_for() -> None:
    grey = Frames(np.full((4, 60, 60, 3), 128, np.uint8), np.arange(4.0))
    noisy = perturb(grey, "noise", 0.1, seed=1).images.astype(float)
    assert abs((noisy - 128).std() - 25.5) < 0.5


@pytest.mark.parametrize(("num_frames", "share", "left"), [(10, 0.25, 8), (3, 0.9, 2), (1, 0.9, 1)])
def test_drops_keep_at_least_two_frames_in_order(num_frames: int, share: float, left: int) -> None:
    frames = clip(num_frames, still=False, previous=True)
    kept = perturb(frames, "drop", share, seed=4)
    assert len(kept) == left
    assert (np.diff(kept.seconds) > 0).all()
    at = (kept.seconds * 8).astype(int)
    assert np.array_equal(kept.images, frames.images[at])
    assert kept.previous is not None
    assert frames.previous is not None
    assert np.array_equal(kept.previous, frames.previous[at])


def test_one_frame_and_none_pass_through() -> None:
    assert len(augment(clip(1), Augmentation(), seed=1)) == 1
    empty = Frames(np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0))
    assert len(augment(empty, Augmentation(), seed=1)) == 0
    assert len(perturb(empty, "noise", 0.1)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": 0.0}, "crop must lie from 0.01 to 1, not 0.0"),
        ({"hue": 0.7}, "hue must lie from 0 to 0.5"),
        ({"flip": float("nan")}, "flip must lie from 0 to 1, not nan"),
        ({"jpeg_quality": 0}, "jpeg_quality must lie from 1 to 100, not 0"),
    ],
)
def test_settings_out_of_range_are_errors(changes: dict[str, float], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        replace(Augmentation(), **changes)  # type: ignore[arg-type]  # what is tested


def test_an_unknown_perturbation_is_an_error() -> None:
    with pytest.raises(TrainingError, match="no perturbation 'fog': choose noise, blur"):
        perturb(clip(), "fog", 1.0)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TrainingError, match="level of drop must lie from 0 to 1, not 1.5"):
        perturb(clip(), "drop", 1.5)
