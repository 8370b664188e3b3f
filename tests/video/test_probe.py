import pytest

from soravec.video import decoder_version, probe

from ..conftest import HEIGHT, WIDTH
from .reference import drawn, needs_ffmpeg


def test_probe_states_the_facts(numbered_video):
    info = probe(numbered_video)
    assert info.path == str(numbered_video)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert (info.width, info.height, info.rotation_degrees) == (WIDTH, HEIGHT, 0)
    assert (info.start_seconds, info.duration_seconds, info.native_fps) == (0.0, 2.0, 25.0)
    assert info.end_seconds == 2.0
    assert info.size_bytes == numbered_video.stat().st_size
    assert (info.has_audio, info.num_video_streams) == (False, 1)
    assert info.warnings == ()


def test_probe_of_every_kind(long_video):
    info = probe(long_video)
    assert info.duration_seconds == pytest.approx(16.0, abs=0.05)
    assert info.native_fps == pytest.approx(25.0)


def test_the_decoder_is_named():
    assert decoder_version().startswith("PyAV ")


@needs_ffmpeg
def test_probe_states_colour_and_shape(tmp_path):
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67:range=pc"
    filters = f"format=yuv420p10le,setsar=4/3,{tags}"
    info = probe(drawn(tmp_path / "a.mkv", "-c:v", "ffv1", filters=filters))
    assert (info.color_space, info.color_range) == ("bt2020nc", "full")
    assert info.color_transfer == "arib-std-b67"
    assert info.sample_aspect_ratio == pytest.approx(4 / 3)
    assert (info.height, info.width) == (120, 213)
    assert (info.mirrored, info.interlaced) == (False, False)
    plain = probe(drawn(tmp_path / "b.mkv", "-c:v", "ffv1", filters="format=yuv420p"))
    assert (plain.color_space, plain.color_transfer) == ("", "")
    assert (plain.sample_aspect_ratio, plain.width) == (1.0, 160)
