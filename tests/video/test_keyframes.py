"""Keyframes with the pictures that follow them: the same that decoding everything gives."""

from itertools import pairwise

import av
import numpy as np
import pytest

from soravec.video import EveryFrame, Keyframes

from .corpus import CASES

SAME_SECONDS = 1e-6
MOST_ON = 9
"""How many pictures on the following one is shown at most, in these files."""


@pytest.mark.parametrize(
    "name",
    [
        "open-gop/h264.mp4",
        "open-gop/hevc.mkv",
        "open-gop/mpeg2.ts",
        "intra-refresh/h264.mp4",
        "reordered/h264.ts",
        "keyframes/av1-every-10.webm",
        "keyframes/vp9-every-10.webm",
        "keyframes/mpeg4-every-10.avi",
    ],
)
def test_what_follows_is_what_decoding_everything_gives(read, tmp_path, name):
    path, _ = CASES[name](tmp_path)
    alone, every = read(path, Keyframes()), read(path, EveryFrame())
    with_following = read(path, Keyframes(with_following=True))
    assert np.array_equal(with_following.seconds, alone.seconds)
    assert np.array_equal(with_following.images, alone.images)
    followed = np.concatenate([batch.following for batch in with_following.batches])
    num_alone = 0
    for seconds, keyframe, following in zip(alone.seconds, alone.images, followed, strict=True):
        first = int(np.searchsorted(every.seconds, seconds - SAME_SECONDS))
        later = every.images[first + 1 : first + MOST_ON]
        num_alone += np.array_equal(keyframe, following)
        assert any(np.array_equal(following, image) for image in [keyframe, *later])
    assert num_alone <= 1  # the last of the file, where nothing comes after it


@pytest.mark.parametrize("name", ["plain/mjpeg.mp4", "reordered/mpeg4.avi"])
def test_without_a_picture_that_follows_there_is_none(read, tmp_path, name):
    """Where every picture is a keyframe, or nothing tells when one is shown."""
    path, _ = CASES[name](tmp_path)
    assert all(b.following is None for b in read(path, Keyframes(with_following=True)).batches)


def test_a_picture_that_follows_and_cannot_be_decoded_costs_no_keyframe(read, tmp_path):
    path, _ = CASES["keyframes/vp9-every-10.webm"](tmp_path)
    whole = read(path, Keyframes())
    with av.open(str(path)) as container:
        packets = [(p.is_keyframe, p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for (is_keyframe, _, _), (_, position, size) in pairwise(packets):
        if is_keyframe:  # the head of the block stays, what it holds is gone
            data[position + 16 : position + size] = bytes([255]) * (size - 16)
    path.write_bytes(data)
    damaged = read(path, Keyframes(with_following=True))
    assert np.array_equal(damaged.seconds, whole.seconds)
    assert np.array_equal(damaged.images, whole.images)
    assert all(batch.following is None for batch in damaged.batches)
    assert "packets that could not be decoded: 25" in damaged.warnings[0]


def test_a_damaged_keyframe_is_counted_once(read, tmp_path):
    path, _ = CASES["keyframes/vp9-every-10.webm"](tmp_path)
    with av.open(str(path)) as container:
        keyframes = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.is_keyframe]
    data = bytearray(path.read_bytes())
    for position, size in keyframes[5:8]:
        data[position + 16 : position + size] = bytes([255]) * (size - 16)
    path.write_bytes(data)
    for sampling in (Keyframes(), Keyframes(with_following=True)):
        damaged = read(path, sampling)
        assert len(damaged.seconds) == len(keyframes) - 3
        assert "packets that could not be decoded: 3" in damaged.warnings[0]
