"""What `auto` chooses, that it says why, and that it loses nothing where pictures stand alone."""

import numpy as np
import pytest

import soravec
from soravec.data.generated import SCENES, render
from soravec.errors import QueryError
from soravec.runtime.sampling import choose_sampling
from soravec.video import VideoWriter, find_place, keyframe_spacing
from soravec.video.decode import PictureSource

SECONDS, FPS = 20, 25


@pytest.fixture(scope="module")
def pictures():
    """Two shots of a moving camera."""
    shots = (render(SCENES[n], SECONDS * FPS // 2, width=160, height=120, seed=n) for n in (0, 1))
    return [image for shot in shots for image in shot]


def written(path, pictures, **options):
    with VideoWriter(path, width=160, height=120, fps=FPS, **options) as writer:
        for picture in pictures:
            writer.write(picture)
    return path


@pytest.fixture
def decoded(monkeypatch):
    """Count the pictures that are really decoded."""
    count = [0]
    read = PictureSource._decode

    def counted(source):
        for frame in read(source):
            count[0] += 1
            yield frame

    monkeypatch.setattr(PictureSource, "_decode", counted)
    return count


@pytest.mark.parametrize(
    ("seconds", "sampling", "reason"),
    [(1, "keyframes", "at most 1 s"), (2, "keyframes", "at most 2 s"), (8, "uniform", "up to 8 s")],
)
def test_keyframes_are_read_where_they_are_near(tmp_path, pictures, seconds, sampling, reason):
    still = [pictures[0]] * len(pictures)  # so that the encoder adds none of its own
    path = written(tmp_path / "clip.mp4", still, keyframe_seconds=seconds)
    recipe = soravec.load().read(path, sampling="auto").recipe
    assert recipe["sampling"] == sampling
    assert reason in recipe["auto"]
    assert "auto" not in soravec.load().read(path).recipe


@pytest.mark.parametrize("name", ["clip.avi", "clip.mp4", "clip.mov"])
def test_where_pictures_stand_alone_only_the_sampled_are_decoded(tmp_path, pictures, name, decoded):
    path = written(tmp_path / name, pictures, codec="mjpeg", pixel_format="yuvj420p")
    encoder = soravec.load()
    every = encoder.read(path)
    assert decoded[0] == len(pictures)
    decoded[0] = 0
    chosen = encoder.read(path, sampling="auto")
    # Per sample: the one before, the one, the one after it, and at times one more.
    assert decoded[0] <= 4.5 * len(every)
    assert chosen.recipe["auto"] == "every picture stands alone"
    assert chosen.recipe["sampling"] == "uniform"
    assert chosen.shots.approximate
    np.testing.assert_array_equal(chosen.seconds, every.seconds)
    np.testing.assert_allclose(chosen.features, every.features, atol=2e-3)
    cuts = chosen.shots.bounds[:-1, 1]
    assert len(cuts) == 1
    assert abs(cuts[0] - SECONDS / 2) < 0.5


def test_without_an_index_everything_is_decoded(tmp_path, pictures, decoded):
    path = written(tmp_path / "clip.mkv", pictures, codec="mjpeg", pixel_format="yuvj420p")
    features = soravec.load().read(path, sampling="auto")
    assert decoded[0] == len(pictures)
    assert not features.shots.approximate


def test_the_end_counts_as_a_gap(tmp_path, pictures):
    still = [pictures[0]] * (5 * FPS)
    path = written(tmp_path / "clip.mp4", still, keyframe_seconds=100)
    spacing = keyframe_spacing(find_place(path))
    assert spacing.widest_seconds == pytest.approx(5.0, abs=0.05)
    assert not spacing.stand_alone


def test_a_picture_and_a_folder(tmp_path):
    (tmp_path / "frames").mkdir()
    assert choose_sampling(tmp_path / "frames", "auto").stand_alone
    with pytest.raises(QueryError, match="choose auto, uniform or keyframes"):
        choose_sampling(tmp_path / "frames", "all")
