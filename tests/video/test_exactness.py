"""A part of the corpus, chosen so that each codec, container and case comes up; all of it is read
by `benchmarks/exactness.py`."""

import os

import numpy as np
import pytest

from .code import draw, read
from .corpus import CASES
from .damaged import DAMAGED
from .foreign import FOREIGN
from .judge import failures, requests

ALL = {**CASES, **DAMAGED, **FOREIGN}

SUBSET = (
    "plain/h264.3gp",
    "plain/av1.mp4",
    "plain/mpeg4.ts",
    "plain/mjpeg.mov",
    "plain/prores.mov",
    "plain/ffv1.mkv",
    "plain/vp9.flv",
    "plain/mpeg2.mxf",
    "plain/wmv2.asf",
    "plain/gif.gif",
    "uneven/h264-reordered.mp4",
    "uneven/hevc-reordered.mkv",
    "uneven/vp9-reordered.webm",
    "uneven/av1.webm",
    "uneven/h264-reordered.flv",
    "uneven/mpeg4.avi",
    "uneven/gif.gif",
    "uneven/webp.webp",
    "reordered/h264.avi",
    "reordered/mpeg2.ts",
    "reordered/mpeg4.avi",
    "reordered/vp8.webm",
    "keyframes/h264-every-250.ts",
    "keyframes/hevc-every-10.mp4",
    "open-gop/h264.mp4",
    "open-gop/hevc.mkv",
    "intra-refresh/h264.ts",
    "start/h264-at-3600.flv",
    "edit-list/late.mp4",
    "edit-list/inside-gop.mp4",
    "pixels/10-bit-hevc.mp4",
    "pixels/444-h264.mp4",
    "pixels/gray-h264.mp4",
    "pixels/alpha-prores.mov",
    "pixels/full-range-h264.mp4",
    "pixels/pq-hevc.mp4",
    "pixels/hlg-hevc.mkv",
    "pixels/interlaced-h264.mp4",
    "pixels/interlaced-mpeg2.ts",
    "pixels/wide-h264.mp4",
    "pixels/narrow-mpeg4.avi",
    "pixels/odd-size-vp9.webm",
    "pixels/tiny-h264.mp4",
    "turned/90.mp4",
    "turned/180-mirrored.mov",
    "turned/270-mirrored.mp4",
    "streams/second-larger.mkv",
    "streams/with-sound.ts",
    "streams/cover-first.mp4",
    "foreign/mpeg4-packed.avi",
    "foreign/h264-16-b-frames.avi",
    "fragmented/frag_keyframe+empty_moov-reordered.mp4",
    "piped/h264.mkv",
    "piped/vp9.webm",
    "slow-motion/240.mp4",
    "rates/29.970.ts",
    "resized/h264.ts",
    "resized/vp9.webm",
    "bare/hevc-reordered.hevc",
    "bare/mpeg4.m4v",
    "stills/timed.png",
    "stills/one.jpg",
    "cut-off/h264.mkv",
    "cut-off/h264.mp4",
    "wrong/duplicate-h264.ts",
    "wrong/far-back-h264.mkv",
    "wrong/stray-ahead-5-h264.flv",
    "wrong/gap-vp8.webm",
    "missing/pairs-h264.ts",
    "missing/the-last-ten-mpeg2.ts",
    "spliced/two-h264-reordered.ts",
    "spliced/three-mpeg2.ts",
    "table/some-zero.mp4",
    "holes/h264.mkv",
)


@pytest.mark.parametrize("name", SUBSET)
def test_every_frame_is_the_one_it_claims_to_be(tmp_path, name):
    path, truth = ALL[name](tmp_path)
    checked, found = failures(path, truth, requests(truth, num_random=1))
    assert not found, "\n".join(found[:8])
    assert checked > 0


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("SORAVEC_TEST_LONG"),
    reason="the long form: SORAVEC_TEST_LONG=1, or benchmarks/exactness.py",
)
@pytest.mark.parametrize("name", sorted(ALL.keys() - {*SUBSET}))
def test_the_rest_of_the_corpus_is_exact(tmp_path, name):
    path, truth = ALL[name](tmp_path)
    _, found = failures(path, truth, requests(truth, num_random=2))
    assert not found, "\n".join(found[:8])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 23), (65, 97), (1080, 1920)])
def test_the_code_survives_noise_and_tells_when_it_is_not_upright(height, width):
    rng = np.random.default_rng(height)
    for number, seconds in ((0, 0.0), (1, -0.5), (65535, 1234.567891)):
        image = draw(number, seconds, height=height, width=width)
        noisy = np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)
        assert read(noisy) == (number, seconds)
        turned = (image[::-1], image[:, ::-1], np.rot90(image), np.rot90(image, 2), 255 - image)
        assert [read(other) for other in turned] == [None] * 5


def test_the_judge_finds_a_wrong_frame_and_a_wrong_time(tmp_path):
    """Against a truth that is off by one frame, or by a millisecond, nothing passes."""
    path, truth = CASES["plain/h264.mp4"](tmp_path)
    asked = requests(truth, num_random=1)
    assert failures(path, truth, asked)[1] == []
    later = tuple(time + 0.001 for time in truth.times)
    for wrong in ({"numbers": (*truth.numbers[1:], 250)}, {"times": later}):
        false = type(truth)(**{**vars(truth), **wrong})
        assert len(failures(path, false, asked)[1]) >= len(asked) - 2
