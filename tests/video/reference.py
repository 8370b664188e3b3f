"""Debian's FFmpeg as the judge of pictures: it draws test files, and converts them its own way."""

import shutil
import subprocess

import numpy as np
import pytest

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="no ffmpeg command to compare with")


def ffmpeg(*arguments, input=None):
    """Run ffmpeg and return what it writes to its standard output."""
    command = [FFMPEG, "-v", "error", "-nostdin" if input is None else "-hide_banner", "-y"]
    done = subprocess.run(
        [*command, *map(str, arguments)], input=input, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return done.stdout


def drawn(path, *options, filters="null", size=(120, 160), pattern="testsrc2", frames=1):
    """Draw a file of the test pattern, (height, width) `size`, by what `options` say."""
    source = f"{pattern}=size={size[1]}x{size[0]}:rate=25"
    ffmpeg(
        "-f", "lavfi", "-i", source, "-vf", filters, "-frames:v", frames, "-strict", "-1",
        *options, path,
    )  # fmt: skip
    return path


def converted(path, size, *, filters="null", options=()):
    """Return the first frame as FFmpeg itself converts it: (H, W, 3) int."""
    raw = ffmpeg(
        *options, "-i", path, "-vf", filters, "-frames:v", "1", "-pix_fmt", "rgb24",
        "-f", "rawvideo", "-",
    )  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(*size, 3).astype(int)


def difference(image, reference):
    """Return the mean absolute difference, of 255."""
    assert image.shape == reference.shape
    return float(np.abs(image.astype(int) - reference).mean())
