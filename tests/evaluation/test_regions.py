"""Which places of the pictures speak for a label."""

import numpy as np
import pytest
import torch

from soravec.evaluation.regions import (
    GRID,
    PatchScore,
    SegmentOdds,
    explain_regions,
    patch_heat,
    read_frames,
)
from soravec.models.export import load_encoder
from soravec.runtime.heads import Head, HeadConfig
from soravec.tasks.explain_label import log_odds
from soravec.video import VideoWriter
from tests.library.conftest import write_scenes
from tests.tasks.conftest import images_of

DESERT, CITY = 0, 4


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A desert, a city, and one that shows the city to the left and the desert to the right."""
    folder = tmp_path_factory.mktemp("regions")
    paths = {
        name: write_scenes(folder / f"{name}.mp4", [(scene, 2.0)], seed=3)
        for name, scene in (("desert", DESERT), ("city", CITY))
    }
    paths["both"] = folder / "both.mp4"
    with VideoWriter(paths["both"], width=160, height=120, fps=25.0) as writer:
        for left, right in zip(images_of(paths["city"]), images_of(paths["desert"]), strict=True):
            writer.write(np.concatenate([left[:, :80], right[:, 80:]], axis=1))
    return paths


@pytest.fixture(scope="module")
def head(encoder, scenes):
    desert, city = (encoder.embed(scenes[name]).vector for name in ("desert", "city"))
    weight = np.stack([desert, city, desert + city]).astype(np.float32)
    config = HeadConfig(("desert", "city", "either"), "softmax", encoder.space_id)
    return Head("place", config, 4 * weight, np.array([0, 0, -4], np.float32))


def test_the_odds_are_those_of_the_runtime(encoder, scenes, head):
    features = encoder.read(scenes["both"])
    frames = read_frames(features, encoder)
    assert (encoder.features(frames) == features.features).all()
    elapsed = np.diff(frames.seconds, prepend=frames.seconds[0]).astype(np.float32)
    vector = encoder.embed_features(features).vector
    for chosen in range(3):
        model = SegmentOdds(load_encoder(encoder.folder.path), head, chosen, torch.tensor(elapsed))
        pictures = (torch.from_numpy(one) for one in (frames.images, frames.previous))
        odds = model(*pictures).item()
        assert odds == pytest.approx(log_odds(head, chosen)(vector[None])[0], abs=0.1)


def test_the_half_that_shows_it_speaks_for_it(encoder, scenes, head):
    features = encoder.read(scenes["both"])
    city, desert = (
        explain_regions(features, encoder, head, label=name, judged=False).maps
        for name in ("city", "desert")
    )
    for left_speaks, maps in ((True, city), (False, desert)):
        assert maps.shape[0] == len(features)
        assert np.abs(maps).max() == pytest.approx(1.0)
        half = maps.shape[2] // 2
        left, right = maps[:, :, :half].mean(), maps[:, :, -half:].mean()
        assert (left > right) == left_speaks
    # The length of a frame's features does not matter: what speaks for it and against it balance.
    looks = explain_regions(features, encoder, head, label="city", judged=False).looks
    assert np.abs(looks.sum(axis=(1, 2))).max() < 1e-3 * np.abs(looks).sum(axis=(1, 2)).max()


def test_patches_that_are_taken_away_are_blurred(encoder, scenes, head):
    features = encoder.read(scenes["both"])
    frames = read_frames(features, encoder)
    score = PatchScore(features, frames, encoder, head, 1)
    whole = head.classify(encoder.embed_features(features)).scores[1]
    patches = np.ones((3, len(features), GRID, GRID), bool)
    patches[1, :, :, : GRID // 2] = False
    patches[2, :, :, GRID // 2 :] = False
    all_there, without_city, without_desert = score(patches.reshape(3, -1))
    assert all_there == pytest.approx(whole, abs=1e-5)
    assert without_city < all_there < without_desert


def test_deletion_and_insertion_beside_random_orders(encoder, scenes, head):
    features = encoder.read(scenes["both"])
    found = explain_regions(features, encoder, head, label="city")
    areas = found.faithfulness
    assert areas.deletion < areas.random_deletion
    assert areas.insertion > areas.random_insertion


def test_heat_of_patches_is_that_of_the_map():
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 3] = 1.0
    heat = patch_heat(maps)
    assert heat.shape == (1, GRID, GRID)
    assert np.unravel_index(heat[0].argmax(), heat[0].shape) == (0, GRID - 1)
    assert heat.sum() * maps[0].size / heat[0].size == pytest.approx(maps.sum(), rel=0.3)
