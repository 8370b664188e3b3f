"""The part of the corpus that PyAV cannot write: codecs that only the installed ffmpeg encodes, and
MPEG-4 as DivX packed it. Where there is no ffmpeg, those files are skipped."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from .making import RATE, Coded, Look, Truth, coded, drawn, mux

NUM = 250

FOREIGN = {}
"""Functions of a folder by name, as `corpus.CASES`."""

BY_FFMPEG = {
    "theora.ogg": "-c:v libtheora -q:v 10 -g 25",
    "h261.mkv": "-c:v h261 -qscale:v 6",
    "h263p.mov": "-c:v h263p -qscale:v 6",
    "rv20.rm": "-c:v rv20 -qscale:v 6",
    "svq1.mov": "-c:v svq1 -qscale:v 1",
    "snow.avi": "-c:v snow -strict -2 -qscale:v 1",
    "dirac.mkv": "-c:v vc2 -strict -1",
    "flashsv.flv": "-c:v flashsv",
    "av1-libaom.mkv": "-c:v libaom-av1 -cpu-used 8 -crf 10 -g 25 -lag-in-frames 16",
    "av1-libaom.mp4": "-c:v libaom-av1 -cpu-used 8 -crf 10 -g 25 -lag-in-frames 16",
    "h264-16-b-frames.mp4": "-c:v libx264 -crf 12 -bf 16 -b_strategy 0 -refs 16 -g 60",
    "h264-16-b-frames.avi": "-c:v libx264 -crf 12 -bf 16 -b_strategy 0 -refs 16 -g 60",
    "hevc-8-b-frames.mp4": "-c:v libx265 -crf 12 -x265-params bframes=8:log-level=none",
}
"""Options of ffmpeg by file name."""


NOT_CODED = b"\0\0\1\xb6\x57\xff\x7f"
"""A P-VOP with vop_coded = 0."""


def _by_ffmpeg(path, options):
    # H.263 has no word for square pixels that its encoder would use: it says 12:11.
    aspect = Fraction(12, 11) if "h263" in options else None
    look = Look(height=144, width=176, aspect=aspect)
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed, which makes what PyAV cannot")
    raw = b"".join(drawn(look, n, n / RATE, "yuv420p").to_ndarray().tobytes() for n in range(NUM))
    feed = f"-f rawvideo -pix_fmt yuv420p -s {look.width}x{look.height} -r {RATE} -i -"
    subprocess.run(
        [program, "-v", "error", *feed.split(), *options.split(), str(path)], input=raw, check=True
    )
    return Truth(tuple(range(NUM)), tuple(n / RATE for n in range(NUM)), None, size=look.shown)


def _packed(path):
    """Write an AVI whose packets hold a reference and the B-frame that is shown before it.

    The slot after it holds a frame that says nothing but that it was not coded.
    """
    look = Look("mpeg4", options={"bf": "1", "b_strategy": "0"})
    packets = coded(look, range(NUM), form="avi")
    slots: list[bytes] = []
    while packets:
        packet = packets.pop(0)
        if packets and packets[0].pts < packet.pts:
            slots += [packet.data + packets.pop(0).data, NOT_CODED]
        else:
            slots.append(packet.data)
    slots[0] = slots[0].replace(b"\0\0\1\xb6", b"\0\0\1\xb2DivX503b1393p\0\0\1\xb6", 1)
    mux(path, look, [Coded(data, n, n, n == 0) for n, data in enumerate(slots)], form="avi")
    assert slots.count(NOT_CODED) > NUM / 3, "most slots are packed"
    return Truth(tuple(range(NUM)), tuple(n / RATE for n in range(NUM)), None)


def _enter():
    for name, options in BY_FFMPEG.items():
        FOREIGN[f"foreign/{name}"] = lambda folder, name=name, options=options: (
            folder / name,
            _by_ffmpeg(folder / name, options),
        )
    FOREIGN["foreign/mpeg4-packed.avi"] = lambda folder: (
        Path(folder) / "packed.avi",
        _packed(Path(folder) / "packed.avi"),
    )


_enter()
