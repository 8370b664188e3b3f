"""Whatever is given, only our own errors come out, and they say what is wrong."""

import os

import av
import numpy as np
import pytest

from soravec.errors import (
    EncryptedVideo,
    MissingVideo,
    NotAllowed,
    NoVideoStream,
    SoravecError,
    TooLarge,
    UnreadableVideo,
)
from soravec.video import AtRate, EveryFrame, Keyframes, Uniform, VideoReader, probe
from soravec.video.limits import Limits

from ..conftest import number_of, write_numbered


@pytest.fixture
def write_file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.fixture(scope="session")
def sound(video_dir):
    path = video_dir / "sound.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_sound_alone_is_named(sound):
    with pytest.raises(NoVideoStream, match=r"sound\.m4a: no video stream \(found: audio\)"):
        probe(sound)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("notes.mp4", b"These are my notes.\n" * 50, "not a video"),
        ("noise.mkv", np.random.default_rng(5).bytes(50_000), "not a video"),
        ("head.mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "without its index"),
    ],
)
def test_what_is_not_a_video_is_unreadable(write_file, name, content, said):
    path = write_file(name, content)
    with pytest.raises(UnreadableVideo, match=said) as caught:
        VideoReader(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy.endswith(".")


@pytest.mark.parametrize("path", ["nowhere.mp4", "", "a\0b.mp4", "x" * 5000])
def test_missing_files_are_missing(path):
    with pytest.raises(MissingVideo):
        probe(path)


def test_a_folder_is_not_a_video(tmp_path):
    with pytest.raises(MissingVideo, match="folder"):
        probe(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.timeout(10)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MissingVideo, match="device"):
        probe(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(
    "url", ["https://example.org/a.mp4", "file:///a.mp4", "concat://a|b", "rtsp://localhost/x"]
)
def test_urls_are_refused(url):
    with pytest.raises(NotAllowed, match="URL"):
        probe(url)


@pytest.mark.parametrize(
    "name", ["concat:a.mp4|b.mp4", "subfile,,start,0,end,9,,:a.mp4", "data:,x"]
)
def test_names_that_look_like_protocols_are_names(tmp_path, monkeypatch, numbered_video, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingVideo):
        probe(name)
    (tmp_path / name).write_bytes(numbered_video.read_bytes())
    assert probe(name).duration_seconds == pytest.approx(2.0)


def test_playlists_are_not_followed(write_file, numbered_video):
    name = numbered_video.name
    write_file(name, numbered_video.read_bytes())
    m3u8 = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{name}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile {name}\n"
    mpd = f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">{name}</MPD>'
    for suffix in ("m3u8", "mp4"):
        for text in (m3u8, concat, mpd):
            with pytest.raises(NotAllowed, match="a playlist"):
                probe(write_file(f"list.{suffix}", text.encode()))


def test_damaged_pictures_are_told_apart(write_file):
    for content in (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"\xff\xd8\xff\xe0" + b"\0" * 64):
        with pytest.raises(UnreadableVideo, match="the picture is damaged"):
            probe(write_file("still.mp4", content))
    with pytest.raises(NotAllowed, match="a picture"):
        probe(write_file("still.mp4", b"II*\x00" + b"\0" * 64))


def test_the_cap_on_pixels_holds(numbered_video):
    with pytest.raises(TooLarge, match="160x96 pixels, the limit is 15359"):
        VideoReader(numbered_video, limits=Limits(pixels=160 * 96 - 1))
    for sampling in (EveryFrame(), Uniform(2), Keyframes()):
        with VideoReader(numbered_video, limits=Limits(pixels=160 * 96)) as reader:
            assert list(reader.read(sampling))


def test_a_protected_file_says_so(tmp_path, numbered_video):
    path = tmp_path / "protected.mp4"
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "00112233445566778899aabbccddeeff",
        "encryption_kid": "ffeeddccbbaa99887766554433221100",
    }
    with (
        av.open(str(numbered_video)) as source,
        av.open(str(path), "w", container_options=options) as target,
    ):
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    with pytest.raises(EncryptedVideo, match="encrypted"):
        list(VideoReader(path).read(EveryFrame()))


def test_no_permission_is_said(write_file, numbered_video):
    path = write_file("closed.mp4", numbered_video.read_bytes())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UnreadableVideo, match="permission denied"):
        probe(path)


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_a_truncated_file_gives_what_it_has(write_file, video_dir, suffix):
    codec = "mjpeg" if suffix == "avi" else "h264"
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = video_dir / f"whole.{suffix}"
    whole = write_numbered(path, 100, codec=codec, pixel_format=pixel_format).read_bytes()
    path = write_file(f"half.{suffix}", whole[: len(whole) // 2])
    with VideoReader(path) as reader:
        numbers = [number_of(i) for frames in reader.read(EveryFrame()) for i in frames.images]
        assert 10 < len(numbers) < 90
        assert numbers[: len(numbers) - 3] == list(range(len(numbers) - 3))
    # TS states no length: half of it is a shorter one, cut between packets here.
    said = {"mkv": "the container states 4.0 s", "avi": "could not be decoded", "ts": ""}[suffix]
    assert said in " ".join(reader.warnings)


def test_an_mp4_without_its_index_is_unreadable(write_file, numbered_video):
    content = numbered_video.read_bytes()
    with pytest.raises(UnreadableVideo, match=r"without its index \(moov\)"):
        probe(write_file("cut.mp4", content[: len(content) * 6 // 10]))


def test_a_fragment_without_its_header_says_what_is_missing(write_file, numbered_video, tmp_path):
    path = tmp_path / "whole.mp4"
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with (
        av.open(str(numbered_video)) as source,
        av.open(str(path), "w", container_options=options) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    content = path.read_bytes()
    assert probe(path).width == 160
    fragment = write_file("part.m4s", content[content.index(b"moof") - 4 :])
    with pytest.raises(UnreadableVideo, match="without the header that belongs to it"):
        probe(fragment)


def test_a_tar_is_told_apart(write_file):
    with pytest.raises(NotAllowed, match="it is a tar"):
        probe(write_file("clips.mp4", bytes(257) + b"ustar\x0000" + bytes(5000)))


MUTANTS = [(kind, seed) for kind in ("mp4", "mkv", "ts", "avi", "webm") for seed in range(12)]


@pytest.mark.parametrize(("suffix", "seed"), MUTANTS)
@pytest.mark.timeout(60)
def test_damage_raises_nothing_foreign(write_file, video_dir, suffix, seed):
    source = video_dir / f"fuzz.{suffix}"
    if not source.exists():
        codec = {"avi": "mpeg4", "webm": "vp9"}.get(suffix, "h264")
        write_numbered(source, 50, codec=codec, keyframe_seconds=0.4)
    rng = np.random.default_rng([seed, len(suffix), ord(suffix[1])])
    content = bytearray(source.read_bytes())
    # Half of them are hurt in the header or in the index at the end, where structure lies.
    reach = len(content) if seed % 2 else min(len(content), 1500)
    for at in rng.integers(0, reach, rng.integers(1, 60)):
        content[at if seed % 4 else -at - 1] = rng.integers(256)
    if seed % 3 == 0:
        content = content[: rng.integers(len(content) // 4, len(content))]
    path = write_file(f"mutant.{suffix}", bytes(content))
    sampling = (EveryFrame(), AtRate(3), Uniform(4), Keyframes())[seed % 4]
    message = ""
    try:
        with VideoReader(path, limits=Limits(pixels=1_000_000)) as reader:
            for frames in reader.read(sampling, size=(32, 32), batch_size=8):
                assert np.all(np.diff(frames.seconds) > 0)
            assert np.all(reader.shots.bounds[:, 1] > reader.shots.bounds[:, 0])
    except SoravecError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.real
@pytest.mark.slow
def test_odd_files_are_read_or_refused_by_name(data_dir):
    outcomes = {}
    for path in sorted((data_dir / "odd").iterdir()):
        if path.suffix == ".csv":
            continue
        try:
            with VideoReader(path) as reader:
                end = reader.info.start_seconds + 3.0
                num_frames = sum(len(f) for f in reader.read(EveryFrame(), end_seconds=end))
                outcomes[path.name] = "read" if num_frames else "nothing"
        except SoravecError as error:
            outcomes[path.name] = type(error).__name__
    kinds = set(outcomes.values())
    assert kinds <= {"read", "UnreadableVideo", "EncryptedVideo", "NoVideoStream"}, outcomes
    protected = {name for name, kind in outcomes.items() if kind == "EncryptedVideo"}
    assert protected == {
        name for name in outcomes if "drm" in name or "enc" in name.split("__")[-1]
    }
