"""Views look as if filmed and compressed: what each step does to a picture, and how often."""

import numpy as np
import pytest

from soravec.errors import ModelError
from soravec.training.pretraining.patches import (
    add_noise,
    bend,
    changed_copies,
    compress,
    cut_view,
    load_photos,
    pyramid,
    recolour,
    sample_patches,
    soften,
    split_photos,
    warp,
    whole_views,
)

SIZE = 48


def picture(seed=0):
    """Return coloured noise about grey."""
    return np.random.default_rng(seed).integers(64, 192, (SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize(
    ("step", "share"), [(soften, 0.25), (add_noise, 0.2), (compress, 0.35), (recolour, 0.8)]
)
def test_a_step_changes_its_share_of_the_views(step, share):
    rng, view = np.random.default_rng(1), picture()
    given = [step(view, rng) for _ in range(400)]
    assert all(one.shape == view.shape and one.dtype == np.uint8 for one in given)
    changed = np.mean([not np.array_equal(one, view) for one in given])
    assert changed == pytest.approx(share, abs=0.08)
    np.testing.assert_array_equal(view, picture())


def test_compression_loses_colour_before_brightness():
    rng, view = np.random.default_rng(2), picture().astype(np.float32)
    for _ in range(40):
        found = compress(picture(), rng).astype(np.float32)
        if np.array_equal(found, view):
            continue
        kept_colour = (found[..., 0] - found[..., 1]).std() / (view[..., 0] - view[..., 1]).std()
        kept_brightness = found.mean(axis=2).std() / view.mean(axis=2).std()
        assert kept_colour < kept_brightness


def test_compression_keeps_which_colour_is_which():
    red = np.zeros((SIZE, SIZE, 3), np.uint8)
    red[..., 0] = 200
    rng = np.random.default_rng(3)
    for _ in range(20):
        np.testing.assert_allclose(compress(red, rng).mean(axis=(0, 1)), [200, 0, 0], atol=24)


def test_what_is_bent_stays_near_its_place():
    across = np.tile(np.arange(SIZE, dtype=np.uint8)[None, :, None], (SIZE, 1, 3))
    moved = [
        np.abs(bend(across, np.random.default_rng(seed)).astype(float) - across).mean()
        for seed in range(50)
    ]
    assert min(moved) > 0
    assert max(moved) < 0.1 * SIZE


def test_grey_noise_has_no_colour():
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    rng = np.random.default_rng(4)
    noisy = [view for view in (add_noise(grey, rng) for _ in range(200)) if (view != 128).any()]
    colourless = [not np.ptp(view.astype(int), axis=2).any() for view in noisy]
    assert 0.3 < np.mean(colourless) < 0.7


def test_the_same_seed_cuts_the_same_view():
    photo = pyramid(np.kron(picture(), np.ones((4, 4, 1), np.uint8)))
    first, again, other = (cut_view(photo, SIZE, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_whole_views_show_most_of_a_photograph_as_it_is():
    axis = np.linspace(0, 255, 200).astype(np.uint8)
    photo = pyramid(np.dstack(np.broadcast_arrays(axis[None], axis[:120, None], np.uint8(90))))
    views = whole_views([photo], 60, SIZE, np.random.default_rng(7)).astype(float)
    assert views.shape == (60, SIZE, SIZE, 3)
    across = views[:, :, -4:, 0].mean(axis=(1, 2)) - views[:, :, :4, 0].mean(axis=(1, 2))
    down = views[:, -4:, :, 1].mean(axis=(1, 2)) - views[:, :4, :, 1].mean(axis=(1, 2))
    assert np.all(across > 0.6 * 0.7 * 255)
    assert np.all(down > 0.6 * 0.7 * 255 * 120 / 200)


def test_copies_show_the_same_cut():
    photos = [
        pyramid(np.kron(picture(seed)[::8, ::8], np.ones((16, 16, 1), np.uint8)))
        for seed in range(12)
    ]
    cuts, changed = changed_copies(photos, 24, 32, np.random.default_rng(0))
    assert (cuts.shape, changed.shape) == ((24, 32, 32, 3), (6, 24, 32, 32, 3))
    np.testing.assert_array_equal(changed[1], cuts[:, :, ::-1])
    flat = cuts.reshape(24, -1).astype(float)
    flat -= flat.mean(axis=1, keepdims=True)
    for kind in (2, 3, 5):  # brightened, blurred, compressed
        others = changed[kind].reshape(24, -1) - changed[kind].mean(axis=(1, 2, 3))[:, None]
        likeness = (others @ flat.T) / np.linalg.norm(others, axis=1)[:, None]
        likeness /= np.linalg.norm(flat, axis=1)
        assert (likeness.argmax(axis=1) == np.arange(24)).mean() > 0.9


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
