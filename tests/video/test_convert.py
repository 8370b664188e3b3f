"""Colours are those of FFmpeg's own conversion, whatever the format; frames may change at will."""

import av
import numpy as np
import pytest

from soravec.video import EveryFrame, VideoReader, probe
from soravec.video.colour import over_white
from soravec.video.convert import Converter
from soravec.video.geometry import Orientation

from .reference import converted, difference, drawn, ffmpeg, needs_ffmpeg

pytestmark = needs_ffmpeg

FORMATS = [  # of every family: subsampled, deep, gray, planar and packed, with and without alpha
    "yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv440p", "yuvj420p", "yuvj422p",
    "yuvj444p", "nv12", "yuyv422", "uyvy422", "yuv420p10le", "yuv422p10le", "yuv444p10le",
    "yuv420p12le", "yuv422p12le", "yuv444p12le", "yuv420p16le", "gray", "gray10le", "gray12le",
    "gray16le", "gray16be", "monob", "ya8", "yuva420p", "yuva444p10le", "gbrp", "gbrp10le",
    "gbrp12le", "gbrap", "rgb24", "bgr24", "rgba", "argb", "bgr0", "rgb48le", "rgba64le",
    "rgb565le", "rgb555le", "bgr8", "pal8",
]  # fmt: skip
ODD = (121, 161)
SMALL = (56, 72)


def first_image(path, **kwargs):
    with VideoReader(path) as reader:
        return next(reader.read(EveryFrame(), batch_size=1, **kwargs)).images[0]


def as_shown(frame, size=(120, 160)):
    image = np.empty((*size, 3), np.uint8)
    Converter(size, "squash").convert(frame, image)
    return image


def assert_as_ffmpeg(path, size, *, limit=0.5):
    """The whole picture, and the picture scaled down by the same algorithm."""
    whole, small = path.with_name("whole"), path.with_name("small")
    scale = f"scale={SMALL[1]}:{SMALL[0]}:flags=area+full_chroma_inp"
    raw = ("-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo")
    ffmpeg("-i", path, *raw, whole, "-vf", scale, *raw, small)
    for output, shape in ((whole, size), (small, SMALL)):
        reference = np.fromfile(output, np.uint8).reshape(*shape, 3).astype(int)
        assert difference(first_image(path, size=shape), reference) <= limit


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_every_format_is_converted_as_ffmpeg_does(tmp_path, pixel_format):
    filters = f"scale={ODD[1]}:{ODD[0]},format={pixel_format}"  # the pattern has even sides only
    path = drawn(tmp_path / "a.nut", "-c:v", "rawvideo", filters=filters)
    assert_as_ffmpeg(path, ODD)


@pytest.mark.parametrize("bits", ["yuv420p", "yuv444p10le"])
@pytest.mark.parametrize("limits", ["tv", "pc"])
@pytest.mark.parametrize(
    "matrix", ["bt709", "smpte170m", "bt470bg", "smpte240m", "fcc", "bt2020nc"]
)
def test_matrix_and_range_are_those_of_the_file(tmp_path, bits, limits, matrix):
    filters = f"scale=out_color_matrix=bt709:out_range={limits},format={bits}"
    filters += f",setparams=colorspace={matrix}:range={limits}"
    path = drawn(tmp_path / "a.mkv", "-c:v", "ffv1", filters=filters)
    assert_as_ffmpeg(path, (120, 160))
    info = probe(path)
    assert info.color_space == matrix
    assert info.color_range == {"tv": "limited", "pc": "full"}[limits]


ENCODED = {
    "mjpeg full range": ("a.avi", "yuvj420p", ("-c:v", "mjpeg")),
    "h264 10-bit 4:2:2": ("a.mp4", "yuv422p10le", ("-c:v", "libx264")),
    "h264 rgb": ("a.mp4", "rgb24", ("-c:v", "libx264rgb", "-qp", "0")),
    "h264 gray full range": ("a.mp4", "gray", ("-c:v", "libx264", "-color_range", "pc")),
    "hevc 12-bit": ("a.mp4", "yuv420p12le", ("-c:v", "libx265", "-x265-params", "log-level=0")),
    "prores with alpha": ("a.mov", "yuva444p10le", ("-c:v", "prores_ks", "-profile:v", "4")),
    "gif": ("a.gif", "rgb24", ()),
    "vp9 4:4:4": ("a.webm", "yuv444p", ("-c:v", "libvpx-vp9")),
}


@pytest.mark.parametrize("kind", sorted(ENCODED))
def test_encoded_files_are_as_ffmpeg_shows_them(tmp_path, kind):
    name, pixel_format, options = ENCODED[kind]
    path = drawn(tmp_path / name, *options, filters=f"format={pixel_format}")
    assert_as_ffmpeg(path, (120, 160), limit=1.0)


@pytest.mark.parametrize("siting", range(6))
def test_siting_of_chroma_makes_no_difference(tmp_path, siting):
    options = ("-c:v", "libx265", "-x265-params", f"log-level=0:chromaloc={siting}")
    assert_as_ffmpeg(drawn(tmp_path / "a.mp4", *options, filters="format=yuv420p10le"), (120, 160))


def test_semi_planar_ten_bits_are_converted_as_ffmpeg_does(tmp_path):
    planar = drawn(tmp_path / "a.nut", "-c:v", "rawvideo", filters="format=yuv420p10le")
    frame = decoded(planar).reformat(format="p010le")
    image = as_shown(frame)
    assert difference(image, converted(planar, (120, 160))) <= 0.5


@pytest.mark.parametrize(("matrix", "taken"), [("ycgco", "smpte170m"), ("bt2020c", "bt2020nc")])
def test_a_matrix_that_is_not_supported_is_named_and_does_not_stop(tmp_path, matrix, taken):
    options = ("-c:v", "ffv1")
    path = drawn(
        tmp_path / "a.mkv", *options, filters=f"format=yuv444p,setparams=colorspace={matrix}"
    )
    near = drawn(
        tmp_path / "b.mkv", *options, filters=f"format=yuv444p,setparams=colorspace={taken}"
    )
    image = as_shown(decoded(path))
    assert difference(image, converted(near, (120, 160))) <= 0.5
    assert [w for w in probe(path).warnings if matrix in w]
    assert probe(near).warnings == ()


TRANSPARENT = ["rgba", "argb", "ya8", "gbrap", "yuva444p", "yuva444p12le", "rgba64le"]


@pytest.mark.parametrize("pixel_format", TRANSPARENT)
def test_transparency_of_video_is_dropped_as_ffmpeg_does(tmp_path, pixel_format):
    alpha = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*X/W'"
    options = ("-c:v", "rawvideo")
    path = drawn(tmp_path / "a.nut", *options, filters=f"{alpha},format={pixel_format}")
    assert difference(as_shown(decoded(path)), converted(path, (120, 160))) <= 0.5


@pytest.mark.parametrize("pixel_format", TRANSPARENT)
def test_what_is_transparent_in_a_picture_is_laid_over_white(tmp_path, pixel_format):
    alpha = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*X/W'"
    options = ("-c:v", "rawvideo")
    path = drawn(tmp_path / "a.nut", *options, filters=f"{alpha},format={pixel_format}")
    over = "color=white:s=160x120,format=gbrp[w];[0]format=gbrap[f];[w][f]overlay=format=gbrp"
    raw = ffmpeg(
        "-i", path, "-filter_complex", over, "-frames:v", "1",
        "-pix_fmt", "rgb24", "-f", "rawvideo", "-",
    )  # fmt: skip
    reference = np.frombuffer(raw, np.uint8).reshape(120, 160, 3).astype(int)
    image = as_shown(over_white(decoded(path)))
    assert image[:, 0].min() >= 253
    assert difference(image, reference) <= 2.0


def test_hidden_colours_do_not_reach_the_edges():
    pixels = np.zeros((64, 64, 4), np.uint8)  # hidden black around a white square
    pixels[16:48, 17:47] = 255
    frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
    assert as_shown(over_white(frame), (20, 20)).min() == 255


def test_frames_may_change_their_format_and_size_at_any_time(tmp_path):
    shapes = [("yuv420p", 64, 96), ("rgba", 33, 51), ("gray", 64, 96), ("yuv422p10le", 128, 80)]
    frames = []
    for number, (pixel_format, height, width) in enumerate(shapes):
        name = tmp_path / f"{number}.nut"
        filters = f"format={pixel_format}"
        frames.append(
            decoded(drawn(name, "-c:v", "rawvideo", filters=filters, size=(height, width)))
        )
    kept = Converter((48, 72), "crop", Orientation(90, mirrored=True), 4 / 3)
    for frame in [*frames, *reversed(frames), *frames[::2]]:
        ours, fresh = np.empty((2, 48, 72, 3), np.uint8)
        kept.convert(frame, ours)
        Converter((48, 72), "crop", Orientation(90, mirrored=True), 4 / 3).convert(frame, fresh)
        assert np.array_equal(ours, fresh)
        assert ours.std() > 20


def test_one_pixel_and_extreme_shapes_are_converted():
    for height, width in ((1, 1), (1, 300), (300, 1), (2, 3), (17, 4000)):
        frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 200, np.uint8))
        frame = frame.reformat(format="yuv420p")
        for size in ((1, 1), (7, 5), (64, 64)):
            assert np.abs(as_shown(frame, size).astype(int) - 200).max() <= 3


def decoded(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0))
