"""What is kept of the picture beside the features."""

import numpy as np
import pytest

import soravec
from soravec.runtime.sketches import sketch
from soravec.video import AtSeconds, VideoReader
from tests.library.conftest import write_scenes


@pytest.mark.parametrize("shape", [(192, 192), (224, 100), (24, 31)])
def test_a_cell_is_the_mean_of_its_pixels(shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    light = images @ np.array([0.25, 0.5, 0.25])
    sketches = sketch(images).sketches
    rows, columns = (np.arange(25) * side // 24 for side in shape)
    for row, column in ((0, 0), (7, 13), (23, 23)):
        cell = light[:, rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        assert sketches[:, row, column] == pytest.approx(cell.mean(axis=(1, 2)), abs=0.51)


@pytest.mark.parametrize("shape", [(192, 192), (224, 100), (24, 31)])
def test_a_colour_is_what_blue_and_red_exceed_the_brightness_by(shape):
    images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    images[..., 2] //= 2
    light = images @ np.array([0.25, 0.5, 0.25])
    colours = sketch(images).colours
    rows, columns = ((np.arange(25) * side // 24)[::2] for side in shape)
    for row, column in ((0, 0), (3, 7), (11, 11)):
        cell = np.s_[:, rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        for plane, channel in ((0, 2), (1, 0)):
            over = (images[..., channel] - light)[cell].mean(axis=(1, 2))
            assert colours[:, plane, row, column] == pytest.approx(128 + over / 2, abs=0.51)


def test_grey_has_no_colour_and_blue_has_all():
    grey, blue = np.full((1, 48, 48, 3), 80, np.uint8), np.zeros((1, 48, 48, 3), np.uint8)
    blue[..., 2] = 255
    assert (sketch(grey).colours == 128).all()
    assert sketch(blue).colours[0, :, 5, 5].tolist() == [224, 96]


def test_what_is_blurred_is_less_sharp():
    images = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    blurred = (images.astype(float) + np.roll(images, 1, axis=2) + np.roll(images, 2, axis=2)) / 3
    assert sketch(blurred.astype(np.uint8)).sharpness[0] < 0.6 * sketch(images).sharpness[0]
    assert sketch(np.full((1, 96, 96, 3), 80, np.uint8)).sharpness[0] == 0


def test_every_frame_that_was_read_has_its_own(tmp_path):
    """Also one that was read for a segment in which the rate has none."""
    path = write_scenes(tmp_path / "shots.mp4", [(0, 2.2), (4, 2.2)])
    encoder = soravec.load("sora-mini").sampled(fps=0.5, segment_seconds=1.0)
    features = encoder.read(path)
    assert len(features) > 4  # at 0 and 2 s, and the middles of segments
    size = encoder.config.cnn.height, encoder.config.cnn.width
    with VideoReader(path) as reader:
        stream = reader.read(AtSeconds(tuple(features.seconds.tolist())), size=size)
        images = np.concatenate([frames.images for frames in stream])
    expected = sketch(images)
    assert np.array_equal(features.sketches, expected.sketches)
    assert np.array_equal(features.sharpness, expected.sharpness)
    assert np.array_equal(features.colours, expected.colours)
    assert len(np.unique(features.sketches, axis=0)) == len(features)
