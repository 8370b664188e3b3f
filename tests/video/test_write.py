import numpy as np
import pytest

from soravec.errors import MissingVideo
from soravec.video import EveryFrame, Keyframes, VideoWriter, probe
from soravec.video.editing.write import repeat_video

from ..conftest import number_of, numbered_image, write_numbered

CODECS = [
    ("mp4", "h264"),
    ("mp4", "hevc"),
    ("mp4", "av1"),
    ("webm", "vp9"),
    ("avi", "mpeg4"),
    ("mkv", "ffv1"),
]


@pytest.mark.parametrize(("suffix", "codec"), CODECS)
def test_what_is_written_is_read(read, tmp_path, suffix, codec):
    path = write_numbered(tmp_path / f"out.{suffix}", 12, codec=codec)
    got = read(path, EveryFrame())
    assert [number_of(image) for image in got.images] == list(range(12))
    assert np.diff(got.seconds) == pytest.approx(0.04, abs=1.1e-3)
    assert probe(path).codec == codec
    drawn = np.stack([numbered_image(number) for number in range(12)]).astype(int)
    assert np.abs(drawn - got.images).mean() < 6


def test_quality_is_a_choice(tmp_path):
    sizes = [
        write_numbered(tmp_path / f"{crf}.mp4", 25, crf=crf).stat().st_size for crf in (10, 40)
    ]
    assert sizes[0] > sizes[1]


def test_keyframes_come_as_often_as_asked(read, tmp_path):
    path = write_numbered(tmp_path / "out.mp4", 50, keyframe_seconds=0.4)
    assert np.diff(read(path, Keyframes()).seconds).max() <= 0.4 + 1e-6


def test_images_of_another_size_are_scaled(read, tmp_path):
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, fps=10) as writer:
        writer.write(np.full((100, 200, 3), 90, np.uint8))
    assert read(tmp_path / "out.mp4", EveryFrame()).images.shape == (1, 48, 64, 3)


def test_repeating_keeps_every_frame_and_its_time(read, tmp_path, numbered_video):
    repeat_video(numbered_video, tmp_path / "out.mp4", 3)
    got = read(tmp_path / "out.mp4", EveryFrame())
    assert [number_of(image) for image in got.images] == [*range(50)] * 3
    assert got.seconds == pytest.approx(np.arange(150) / 25)
    with pytest.raises(MissingVideo):
        repeat_video(tmp_path / "none.mp4", tmp_path / "again.mp4", 2)


@pytest.mark.parametrize("codec", ["hevc", "vp9", "av1"])
def test_repeating_copies_whatever_the_decoder_is_called(read, tmp_path, codec):
    path = write_numbered(tmp_path / "once.mp4", 12, codec=codec)
    repeat_video(path, tmp_path / "twice.mp4", 2)
    assert probe(tmp_path / "twice.mp4").codec == codec
    assert len(read(tmp_path / "twice.mp4", EveryFrame()).seconds) == 24
