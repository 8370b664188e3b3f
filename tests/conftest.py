"""Small real files, drawn once per session: every frame carries its own number in its pixels."""

import os
from pathlib import Path

import numpy as np
import pytest

from soravec.video import VideoWriter

FPS = 25.0
WIDTH, HEIGHT = 160, 96
NUM_BITS = 10
COLOURS = ((200, 60, 40), (40, 160, 70), (50, 70, 200), (210, 190, 60))


def numbered_image(number, *, colour=None):
    """Draw a frame: a flat colour per second, a moving square, and `number` in black and white."""
    colour = COLOURS[int(number / FPS) % len(COLOURS)] if colour is None else colour
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = colour
    left = 8 + number * 3 % (WIDTH - 40)
    image[16:40, left : left + 24] = (240, 240, 240)
    for bit in range(NUM_BITS):
        image[64:80, bit * 16 : bit * 16 + 16] = 235 if number >> bit & 1 else 16
    return image


def number_of(image):
    """Read the number back from a frame of any size."""
    height, width = image.shape[:2]
    row = image[round(height * 72 / HEIGHT)].mean(axis=1)
    bits = [row[round((bit + 0.5) * width / NUM_BITS)] > 126 for bit in range(NUM_BITS)]
    return sum(int(on) << bit for bit, on in enumerate(bits))


def write_numbered(path, num_frames, *, codec="h264", numbers=None, keyframe_seconds=2.0, **kwargs):
    writer = VideoWriter(
        path,
        width=WIDTH,
        height=HEIGHT,
        fps=FPS,
        codec=codec,
        keyframe_seconds=keyframe_seconds,
        **kwargs,
    )
    with writer:
        for number in range(num_frames) if numbers is None else numbers:
            writer.write(numbered_image(number), number=number)
    return path


@pytest.fixture(scope="session")
def data_dir():
    folder = os.environ.get("SORAVEC_DATA")
    if not folder:
        pytest.skip("SORAVEC_DATA does not name a folder of real video")
    if not Path(folder).is_dir():
        pytest.skip(f"SORAVEC_DATA names {folder}, which is no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def video_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def numbered_video(video_dir):
    """Two seconds, 50 frames at 25 frames/s, H.264 with B-frames: the colour changes at 1 s."""
    return write_numbered(video_dir / "numbered.mp4", 50)


LONG_KINDS = {
    "h264-mp4": ("mp4", "h264", {"bf": "3", "preset": "medium"}),
    "h264-opengop": ("mp4", "h264", {"bf": "3", "preset": "medium", "x264-params": "open-gop=1"}),
    "h264-mkv": ("mkv", "h264", {}),
    "h264-ts": ("ts", "h264", {}),
    "h264-avi": ("avi", "h264", {"bf": "0"}),
    "h264-bframes-avi": ("avi", "h264", {"bf": "3"}),
    "hevc-mp4": ("mp4", "hevc", {}),
    "vp9-webm": ("webm", "vp9", {}),
    "vp8-webm": ("webm", "vp8", {}),
    "mpeg4-avi": ("avi", "mpeg4", {"bf": "2"}),
    "mpeg4-mp4": ("mp4", "mpeg4", {"bf": "1"}),
    "mjpeg-avi": ("avi", "mjpeg", {}),
}


@pytest.fixture(scope="session", params=sorted(LONG_KINDS))
def long_video(request, video_dir):
    """Sixteen seconds, 400 frames, a keyframe at least every 1.6 s, in one codec and container."""
    suffix, codec, options = LONG_KINDS[request.param]
    path = video_dir / f"{request.param}.{suffix}"
    if not path.exists():
        pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        write_numbered(
            path, 400, codec=codec, keyframe_seconds=1.6, options=options, pixel_format=pixel_format
        )
    return path


@pytest.fixture(scope="session")
def variable_rate_video(video_dir):
    """Frames 0 to 19 at 25 frames/s, then every fifth one to 120."""
    numbers = [*range(20), *range(20, 121, 5)]
    return write_numbered(video_dir / "variable.mp4", 0, numbers=numbers)
