"""Frames of two fields become one picture where they are combed, and are left alone elsewhere."""

import av
import numpy as np
import pytest

from soravec.video import AtSeconds, VideoReader, probe
from soravec.video.interlace import deinterlaced, line_differences

from .reference import drawn, needs_ffmpeg

HEIGHT, WIDTH = 192, 256


def scene(seconds, pixel_format="yuv420p"):
    """A texture that stands still, and a disc that crosses the right half."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = (120 + 60 * np.sin(x * 0.5) * np.cos(y * 0.3)).astype(np.uint8)
    disc = (y - 96) ** 2 + (x - 150 - 200 * seconds) ** 2 < 40**2
    rgb = np.stack([image, image, image], -1)
    rgb[disc] = (240, 200, 20)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)


def woven(upper, lower):
    """The even lines of one frame and the odd ones of another, in every plane."""
    for top, bottom in zip(upper.planes, lower.planes, strict=True):
        lines = np.frombuffer(memoryview(top), np.uint8).reshape(-1, top.line_size)
        lines[1::2] = np.frombuffer(memoryview(bottom), np.uint8).reshape(-1, top.line_size)[1::2]
    return upper


def gray(frame):
    return frame.reformat(format="gray").to_ndarray().astype(float)


def num_combed(frame):
    near, far = line_differences(frame)
    return int(((near > 1.5 * far) & (near > 2.0)).sum())


FORMATS = ["yuv420p", "yuv422p", "yuv422p10le", "yuv444p12le", "nv12", "yuyv422", "gray", "gbrp"]


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_combing_goes_and_what_stands_still_stays(pixel_format):
    truth = scene(0.10, pixel_format)
    combed = woven(scene(0.10, pixel_format), scene(0.14, pixel_format))
    assert num_combed(combed) > 5
    result = deinterlaced(combed)
    assert num_combed(result) == 0
    error = np.abs(gray(result) - gray(truth)).mean()
    assert error < 0.25 * np.abs(gray(combed) - gray(truth)).mean()
    # Away from the disc: to the very value, but for a conversion of a packed format.
    assert np.abs(gray(result) - gray(truth))[:, :64].max() <= 1


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_what_is_not_combed_is_the_same_frame(pixel_format):
    frame = scene(0.1, pixel_format)
    assert deinterlaced(frame) is frame


def test_noise_is_not_combing():
    rng = np.random.default_rng(0)
    frame = av.VideoFrame.from_ndarray(
        rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8), "gray"
    )
    assert deinterlaced(frame) is frame


def test_tiny_and_odd_pictures_pass():
    for height, width in ((1, 1), (15, 15), (16, 16), (17, 40), (33, 35)):
        combed = np.full((height, width), 30, np.uint8)
        combed[1::2, : width // 2] = 220
        frame = av.VideoFrame.from_ndarray(combed, format="gray")
        assert deinterlaced(frame).height == height
    assert np.ptp(deinterlaced(frame).to_ndarray()) == 0  # the last is combed and large enough


ENCODED = {
    "mpeg2": ("a.mpg", "tff", ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme")),
    "h264": ("a.mp4", "bff", ("-c:v", "libx264", "-crf", "8", "-x264opts", "bff=1")),
    "prores": ("a.mov", "tff", ("-c:v", "prores_ks", "-flags", "+ildct", "-top", "1")),
}


@needs_ffmpeg
@pytest.mark.parametrize("kind", sorted(ENCODED))
def test_interlaced_files_are_shown_without_combing(tmp_path, kind):
    name, order, options = ENCODED[kind]
    pixels = "yuv422p10le" if kind == "prores" else "yuv420p"
    fields = f"interlace=scan={order}:lowpass=off,format={pixels}"
    path = drawn(tmp_path / name, *options, filters=fields, size=(288, 352), frames=8)
    info = probe(path)
    assert info.interlaced
    with VideoReader(path) as reader:
        at = reader.info.start_seconds + 0.17
        frames = next(reader.read(AtSeconds((at,))))
    with av.open(str(path)) as container:
        stored = [f for f in container.decode(video=0) if f.time <= at + 1e-3][-1]
    assert frames.seconds[0] <= at
    shown = av.VideoFrame.from_ndarray(frames.images[0], format="rgb24")
    assert num_combed(stored) > 5
    assert num_combed(shown) <= 0.1 * num_combed(stored)


@needs_ffmpeg
def test_film_that_is_flagged_interlaced_keeps_every_line(tmp_path):
    options = ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme")
    path = drawn(
        tmp_path / "a.mpg", *options, filters="format=yuv420p,setfield=tff", size=(288, 352)
    )
    assert probe(path).interlaced
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert deinterlaced(frame) is frame
