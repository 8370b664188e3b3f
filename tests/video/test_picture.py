import struct
import zlib

import av
import numpy as np
import pytest

from soravec.errors import MissingVideo, NotAllowed, TooLarge, UnreadableVideo, VideoError
from soravec.video import read_image
from soravec.video.limits import Limits

from ..conftest import HEIGHT, WIDTH, number_of, numbered_image
from .reference import converted, difference, drawn, needs_ffmpeg


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
        read_image(picture, size=None, limits=Limits(pixels=100))
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
        assert read_image(picture, size=(32, 32), limits=Limits(pixels=10**6)).images.shape == (
            1,
            32,
            32,
            3,
        )
    except VideoError as error:
        message = str(error)
    assert "\n" not in message


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_formats"),
    [
        ("png", "png", ["rgb48be", "gray", "gray16be", "pal8", "rgba", "rgba64be", "ya8", "monob"]),
        ("jpg", "mjpeg", ["yuvj420p", "yuvj422p", "yuvj444p", "gray"]),
        ("bmp", "bmp", ["bgr24", "rgb555le", "pal8", "bgra"]),
        ("webp", "libwebp", ["yuv420p", "bgra"]),
    ],
)
def test_pictures_are_converted_as_ffmpeg_does(tmp_path, suffix, codec, pixel_formats):
    for pixel_format in pixel_formats:
        path = tmp_path / f"{pixel_format}.{suffix}"
        drawn(path, "-c:v", codec, "-update", "1", filters=f"format={pixel_format}")
        ours = read_image(path, size=None).images[0]
        assert difference(ours, converted(path, (120, 160))) <= 0.5


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:] = (200, 100, 50, 128)
    with av.open(str(tmp_path / "a.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = 8, 8, "rgba"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
        container.mux(stream.encode(None))
    image = read_image(tmp_path / "a.png", size=None).images[0]
    assert (image[:, :4] == 255).all()
    assert np.abs(image[0, 4].astype(int) - (227, 177, 152)).max() <= 1


AS_SHOWN = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, 1),
}


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", sorted(AS_SHOWN))
def test_exif_turns_and_mirrors(tmp_path, suffix, orientation):
    image = np.full((48, 80, 3), 250, np.uint8)
    image[:24, :40], image[:24, 40:], image[24:, :40] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    path = tmp_path / f"a.{suffix}"
    codec = {"jpg": ("mjpeg", "yuvj444p"), "png": ("png", "rgb24")}[suffix]
    content = write_picture(path, image, *codec).read_bytes()
    # One entry of a TIFF directory: tag 0x112, a short.
    exif = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    if suffix == "jpg":
        segment = b"Exif\0\0" + exif
        marker = b"\xff\xe1" + struct.pack(">H", len(segment) + 2)
        path.write_bytes(content[:2] + marker + segment + content[2:])
    else:
        chunk = b"eXIf" + exif
        framed = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(content[:33] + framed + content[33:])
    shown = AS_SHOWN[orientation](image)
    assert difference(read_image(path, size=None).images[0], shown.astype(int)) < 3


def test_cmyk_jpeg_is_read_as_printed(tmp_path):
    inks = [(255, 255, 255, 255), (0, 255, 255, 255), (255, 0, 255, 255), (255, 255, 255, 0)]
    (tmp_path / "a.jpg").write_bytes(cmyk_jpeg(inks))
    image = read_image(tmp_path / "a.jpg", size=None).images[0]
    expected = [(254, 254, 254), (0, 254, 254), (254, 0, 254), (0, 0, 0)]
    assert np.abs(image[4, 4::8].astype(int) - expected).max() <= 1


def cmyk_jpeg(inks):
    """A row of flat blocks in Adobe's inverted CMYK: DC alone, 4-bit codes for its sizes."""

    def segment(marker, content):
        return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content

    bits, before = "", [0] * 4
    for block in inks:
        for channel, ink in enumerate(block):
            step = (ink - 128) * 8 - before[channel]
            before[channel] += step
            size = abs(step).bit_length()
            number = step if step > 0 else step + (1 << size) - 1
            bits += f"{size:04b}" + (f"{number:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    scan = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    components = range(1, 5)
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)),
            segment(0xDB, b"\0" + b"\1" * 64),
            segment(0xC0, struct.pack(">BHHB", 8, 8, 8 * len(inks), 4)
                    + b"".join(bytes((number, 0x11, 0)) for number in components)),
            segment(0xC4, b"\0" + bytes((0, 0, 0, 12)) + bytes(12) + bytes(range(12))),
            segment(0xC4, b"\x10" + bytes((1,)) + bytes(15) + b"\0"),
            segment(0xDA, b"\4" + b"".join(bytes((number, 0)) for number in components)
                    + bytes((0, 63, 0))),
            scan.replace(b"\xff", b"\xff\0"),
            b"\xff\xd9",
        )
    )  # fmt: skip
