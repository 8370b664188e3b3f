import av
import numpy as np
import pytest

from soravec.errors import MissingVideo, NotAllowed, TooLarge, UnreadableVideo, VideoError
from soravec.video import read_image

from ..conftest import HEIGHT, WIDTH, number_of, numbered_image


def write_picture(path, image, codec, pixel_format):
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream(codec, rate=1)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = pixel_format
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def picture(tmp_path):
    return write_picture(tmp_path / "still.png", numbered_image(37), "png", "rgb24")


def test_png_is_exact(picture):
    frames = read_image(picture, size=None)
    assert np.array_equal(frames.images[0], numbered_image(37))
    assert frames.seconds.tolist() == [0.0]


def test_jpeg_and_bmp_are_read(tmp_path):
    for name, codec, pixel_format in (("a.jpg", "mjpeg", "yuvj420p"), ("a.bmp", "bmp", "bgr24")):
        path = write_picture(tmp_path / name, numbered_image(37), codec, pixel_format)
        assert number_of(read_image(path, size=(HEIGHT // 2, WIDTH // 2)).images[0]) == 37


def test_a_pattern_in_the_name_is_a_name(picture):
    path = picture.rename(picture.with_name("a%d.png"))
    assert number_of(read_image(path, size=None).images[0]) == 37


def test_crop_keeps_the_proportions(picture):
    assert read_image(picture, size=(64, 64), fit="crop").images.shape == (1, 64, 64, 3)


def test_what_is_no_picture_is_refused(tmp_path, picture, numbered_video):
    with pytest.raises(MissingVideo):
        read_image(tmp_path / "none.png", size=None)
    with pytest.raises(NotAllowed, match="not a JPEG"):
        read_image(numbered_video, size=None)
    with pytest.raises((TooLarge, UnreadableVideo), match="pixels"):
        read_image(picture, size=None, max_pixels=100)
    picture.write_bytes(picture.read_bytes()[:300])
    with pytest.raises(UnreadableVideo, match="damaged"):
        read_image(picture, size=None)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(UnreadableVideo, match="empty"):
        read_image(tmp_path / "empty.png", size=None)


@pytest.mark.parametrize("seed", range(12))
def test_damage_raises_nothing_foreign(picture, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(picture.read_bytes())
    for at in rng.integers(8, min(len(content), 8 + 60 * (seed + 1)), 1 + seed):
        content[at] = rng.integers(256)
    picture.write_bytes(content[: len(content) if seed % 2 else len(content) * seed // 12 + 9])
    message = ""
    try:
        assert read_image(picture, size=(32, 32), max_pixels=10**6).images.shape == (1, 32, 32, 3)
    except VideoError as error:
        message = str(error)
    assert "\n" not in message
