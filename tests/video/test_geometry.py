"""Turned, mirrored and oblong pictures are shown as a player shows them."""

import av
import numpy as np
import pytest

from soravec.video import EveryFrame, VideoReader, probe
from soravec.video.convert import Converter
from soravec.video.geometry import UPRIGHT, Orientation, orientation_of_matrix, square_size

from .reference import converted, drawn, needs_ffmpeg

CORNERS = np.zeros((48, 80, 3), np.uint8)
CORNERS[:24, :40], CORNERS[:24, 40:], CORNERS[24:, :40] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
CORNERS[24:, 40:] = 250


def write_turned(path, degrees, hflip, vflip):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 80, "rgb24"
        stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(CORNERS, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def first_image(path, **kwargs):
    with VideoReader(path) as reader:
        return next(reader.read(EveryFrame(), batch_size=1, **kwargs)).images[0]


@needs_ffmpeg
@pytest.mark.parametrize("vflip", [False, True])
@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_all_eight_ways_are_those_of_ffmpeg(tmp_path, degrees, hflip, vflip):
    path = write_turned(tmp_path / "a.mp4", degrees, hflip, vflip)
    info = probe(path)
    assert info.mirrored == (hflip != vflip)
    assert info.warnings == ()
    image = first_image(path)
    assert image.shape == (info.height, info.width, 3)
    assert np.array_equal(image, converted(path, image.shape[:2]))


@pytest.mark.parametrize(("degrees", "rounded"), [(30, 0), (50, 90), (-100, 270)])
def test_other_angles_are_rounded_with_a_warning(tmp_path, degrees, rounded):
    info = probe(write_turned(tmp_path / "a.mp4", degrees, False, False))
    assert info.rotation_degrees == rounded
    assert [w for w in info.warnings if "rounded" in w]


def test_a_matrix_without_sense_is_ignored_with_a_warning():
    singular = orientation_of_matrix(np.array([1, 1, 0, 1, 1, 0, 0, 0, 1], np.int32))
    assert singular[:2] == UPRIGHT[:2]
    assert "singular" in singular.warning
    assert orientation_of_matrix(np.zeros(2, np.int32)) == UPRIGHT


def test_squared_pixels_lose_nothing():
    assert square_size(576, 720, 64 / 45) == (576, 1024)
    assert square_size(480, 720, 8 / 9) == (540, 720)
    assert square_size(100, 200, 1.0) == (100, 200)


@needs_ffmpeg
@pytest.mark.parametrize("aspect", ["64/45", "8/9", "2/1", "1/2"])
def test_oblong_pixels_are_shown_square(tmp_path, aspect):
    # A square of the scene, drawn in oblong pixels, is a square in what is shown.
    ratio = float.__truediv__(*map(float, aspect.split("/")))
    width = round(120 / ratio)
    source = "color=black:s=320x240,drawbox=x=100:y=60:w=120:h=120:c=white:t=fill"
    filters = f"[in]nullsink;{source},scale={width * 320 // 120 // 2 * 2}:240,setsar={aspect}[out]"
    path = drawn(tmp_path / "a.mp4", "-c:v", "libx264", "-qp", "0", filters=filters)
    info = probe(path)
    assert info.sample_aspect_ratio == pytest.approx(ratio, rel=0.01)
    for image in (first_image(path), first_image(path, size=(200, 200), fit="crop")):
        white = image[..., 0] > 128
        tall, wide = white.any(axis=1).sum(), white.any(axis=0).sum()
        assert wide == pytest.approx(tall, rel=0.03)
    assert first_image(path).shape[:2] == (info.height, info.width)


@needs_ffmpeg
def test_an_incredible_aspect_is_ignored_with_a_warning(tmp_path):
    path = drawn(tmp_path / "a.mkv", "-c:v", "ffv1", filters="setsar=100/1")
    info = probe(path)
    assert (info.width, info.height, info.sample_aspect_ratio) == (160, 120, 1.0)
    assert [w for w in info.warnings if "not credible" in w]


def test_crop_takes_the_middle_with_the_shape_of_its_pixels():
    stored = np.zeros((90, 80, 3), np.uint8)  # 160x90 as shown; the middle 90 are white
    stored[:, 18:63] = 255
    image = np.empty((64, 64, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
    Converter((64, 64), "crop", Orientation(0, mirrored=False), 2.0).convert(frame, image)
    assert (image > 128).mean() > 0.95
