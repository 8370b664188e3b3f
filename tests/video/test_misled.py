"""Files whose index, flags or beginnings mislead: part of them, the rest where time allows."""

import io
import os
import tarfile

import av
import numpy as np
import pytest

from soravec.video import AtRate, AtSeconds, EveryFrame, Keyframes, Uniform, VideoReader

from .code import read
from .corpus import CASES
from .judge import failures, requests
from .misled import MISLED

SUBSET = (
    "lies/all-sync-h264-reordered.mp4",
    "lies/wrong-sync-hevc.mp4",
    "lies/one-sync-mpeg4.mp4",
    "lies/wrong-flagged-h264.mkv",
    "lies/late-cues-vp9.webm",
    "lies/no-cues-vp8.webm",
    "lies/all-flagged-h264.flv",
    "lies/wrong-flagged-mpeg4.avi",
    "lies/no-index-h264.avi",
    "mid-gop/h264-reordered.ts",
    "mid-gop/mpeg2.ts",
    "open-start/hevc.mkv",
    "open-start/h264.ts",
    "wrap/h264-reordered.ts",
    "edits/swapped.mp4",
    "edits/inside-gops.mov",
    "few/one-gif.gif",
    "few/two-hevc.mov",
    "few/hours-apart-h264.mkv",
    "scale/half-ms-vp9.webm",
    "seldom/jpeg2000-yuv420p.mxf",
    "seldom/cinepak-rgb24.avi",
    "seldom/h263-yuv420p.3gp",
    "seldom/rv20-yuv420p.rm",
)


@pytest.mark.parametrize("name", SUBSET)
def test_what_misleads_changes_no_frame(tmp_path, name):
    assert_exact(tmp_path, name, num_random=1)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("SORAVEC_TEST_LONG"),
    reason="the long form: SORAVEC_TEST_LONG=1, or benchmarks/exactness.py",
)
@pytest.mark.parametrize("name", sorted(MISLED.keys() - {*SUBSET}))
def test_nor_does_the_rest(tmp_path, name):
    assert_exact(tmp_path, name, num_random=2)


def assert_exact(folder, name, *, num_random):
    path, truth = MISLED[name](folder)
    checked, found = failures(path, truth, requests(truth, num_random=num_random))
    assert not found, "\n".join(found[:8])
    assert checked > 0


KEYED = (
    "open-gop/h264.mp4",
    "open-gop/h264.ts",
    "open-gop/hevc.mkv",
    "open-gop/mpeg2.ts",
    "intra-refresh/h264.flv",
    "open-start/h264.mkv",
    "lies/all-sync-h264-reordered.mp4",
    "lies/all-flagged-vp9.webm",
    "lies/all-flagged-mpeg4.avi",
    "reordered/mpeg4.avi",
)


@pytest.mark.parametrize("name", KEYED)
def test_keyframes_are_those_that_a_decoder_of_all_frames_flags(tmp_path, name):
    path, truth = {**CASES, **MISLED}[name](tmp_path)
    with av.open(str(path)) as container:
        frames = [frame for frame in container.decode(video=0) if frame.key_frame]
        flagged = [read(frame.to_ndarray(format="rgb24"))[0] for frame in frames]
    times = dict(zip(truth.numbers, truth.times, strict=True))
    with VideoReader(path) as reader:
        found = delivered(reader, Keyframes(), None, None)
    assert [number for number, _ in found] == flagged
    assert [seconds for _, seconds in found] == pytest.approx([times[n] for n in flagged], abs=6e-6)


@pytest.fixture(scope="module", params=["reordered/h264.mp4", "plain/vp9.webm", "plain/hevc.ts"])
def written(request, tmp_path_factory):
    return CASES[request.param](tmp_path_factory.mktemp("ways"))


def test_bytes_a_file_object_and_a_tar_are_exact_too(written, tmp_path):
    path, truth = written
    asked = requests(truth, num_random=1)
    archive = tmp_path / "clips.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(path, arcname="before.bin")
        tar.add(path, arcname=f"clip{path.suffix}")
    for source in (path.read_bytes(), archive / f"clip{path.suffix}"):
        assert failures(source, truth, asked)[1] == []
    for sampling, start, end in asked[::3]:
        with path.open("rb") as file, VideoReader(path) as reader:
            expected = delivered(reader, sampling, start, end)
            for opened in (file, io.BytesIO(path.read_bytes())):
                with VideoReader(opened) as other:
                    assert delivered(other, sampling, start, end) == expected


def test_one_reader_read_again_and_again_gives_what_a_new_one_gives(written):
    """Also where a read was left in the middle, and after a jump."""
    path, truth = written
    samplings = [AtSeconds((truth.times[200],)), EveryFrame(), Keyframes(), AtRate(3), Uniform(5)]
    with VideoReader(path) as reader:
        for sampling in (*samplings, *reversed(samplings)):
            next(reader.read(EveryFrame(), batch_size=3))
            with VideoReader(path) as fresh:
                expected = delivered(fresh, sampling, None, None)
            assert delivered(reader, sampling, None, None) == expected


@pytest.mark.parametrize("size", [(96, 64), (33, 47), (256, 384)])
def test_the_size_asked_for_changes_no_frame(written, size):
    path, _ = written
    with VideoReader(path) as reader, VideoReader(path) as scaled:
        whole = delivered(reader, AtRate(5), None, None)
        assert delivered(scaled, AtRate(5), None, None, size=size) == whole


def delivered(reader, sampling, start, end, *, size=None):
    """Return the numbers and the times that come."""
    span = {"start_seconds": start, "end_seconds": end}
    found = []
    for batch in reader.read(sampling, size=size, **span):
        codes = [read(image) for image in batch.images]
        assert None not in codes
        found += zip([code[0] for code in codes], batch.seconds.tolist(), strict=True)
    assert np.all(np.diff([seconds for _, seconds in found]) > 0)
    return found
