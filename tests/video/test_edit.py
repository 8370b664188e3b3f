import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from soravec.errors import MissingVideo, QueryError, SoravecError, UnreadableVideo
from soravec.video import EveryFrame, Span, VideoReader, concat, cut, probe

from ..conftest import HEIGHT, WIDTH, number_of, numbered_image, write_numbered
from .chromium import played

RATE = 48000
NUM_FRAMES = 120
SLACK = 0.0006

# name: suffix, codec of video, codec of sound, options of the video
KINDS = {
    "h264-mp4": ("mp4", "libx264", "aac", {"bf": "3"}),
    "h264-mov": ("mov", "libx264", "pcm_s16le", {"bf": "2"}),
    "h264-mkv": ("mkv", "libx264", "ac3", {"bf": "3"}),
    "h264-ts": ("ts", "libx264", "aac", {"bf": "3"}),
    "h264-flv": ("flv", "libx264", "aac", {"bf": "2"}),
    "h264-baseline": ("mp4", "libx264", "aac", {"profile": "baseline"}),
    "hevc-open-mp4": ("mp4", "libx265", "aac", {"x265-params": "log-level=none:open-gop=1"}),
    "hevc-mkv": ("mkv", "libx265", "flac", {"x265-params": "log-level=none:open-gop=0"}),
    "hevc-ts": ("ts", "libx265", "aac", {"x265-params": "log-level=none:open-gop=1"}),
    "vp9-webm": ("webm", "libvpx-vp9", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    "vp8-webm": ("webm", "libvpx", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    "av1-mp4": ("mp4", "libsvtav1", "aac", {"preset": "12"}),
    "mpeg4-mp4": ("mp4", "mpeg4", "aac", {"bf": "2"}),
    "mpeg2-ts": ("ts", "mpeg2video", "mp2", {"bf": "2", "b": "2M"}),
    "mjpeg-mov": ("mov", "mjpeg", "pcm_s16le", {}),
    "prores-mov": ("mov", "prores_ks", "pcm_s16le", {}),
}
INTRA = ("mjpeg-mov", "prores-mov")
SPANS = [(1.3, 4.1), (0.0, 2.52), (1.61, None), (2.4, 4.0), (2.5, 2.7)]


def noise(num_samples):
    """Draw sound in which every instant is unlike every other."""
    values = np.random.default_rng(7).normal(0, 0.3, num_samples // 8 + 1)
    return np.repeat(values, 8)[:num_samples].clip(-1, 1).astype(np.float32)


SOUND = noise(RATE * 8)


def write_with_sound(path, video, audio, options, *, numbers=range(NUM_FRAMES), fps=25):
    """Write numbered frames at numbers / fps and noise under them, sample n at n / RATE."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(video, rate=fps, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(video, "yuv420p")
        stream.codec_context.gop_size = 30
        stream.codec_context.time_base = Fraction(1, fps)
        sound = container.add_stream(audio, rate=RATE) if audio else None
        if sound is not None:
            sound.layout = "mono"
        at = 0
        for number in numbers:
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
            while sound is not None and at < (number + 1) * RATE // fps:
                block = av.AudioFrame.from_ndarray(
                    SOUND[None, at : at + 960], format="fltp", layout="mono"
                )
                block.sample_rate, block.pts, block.time_base = RATE, at, Fraction(1, RATE)
                container.mux(sound.encode(block))
                at += 960
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def source(video_dir):
    def make(kind):
        suffix, video, audio, options = KINDS[kind]
        path = video_dir / f"edit-{kind}.{suffix}"
        return path if path.exists() else write_with_sound(path, video, audio, options)

    return make


def frames_of(path, **span):
    with VideoReader(path) as reader:
        batches = list(reader.read(EveryFrame(), **span))
        assert reader.warnings == []
    seconds = np.concatenate([batch.seconds for batch in batches])
    return [number_of(image) for batch in batches for image in batch.images], seconds


def on_show(numbers, seconds, start, end):
    """Return what a cut has to hold: numbers, and seconds from its beginning."""
    ends = [*seconds[1:], np.inf]
    start = max(start, seconds[0])
    kept = [
        (number, max(begin - start, 0.0))
        for number, begin, until in zip(numbers, seconds, ends, strict=True)
        if until > start + SLACK and begin < (np.inf if end is None else end) - SLACK
    ]
    return [number for number, _ in kept], [second for _, second in kept]


def check_cut(path, out, start, end):
    numbers, seconds = on_show(*frames_of(path), start, end)
    result = cut(path, out, start_seconds=start, end_seconds=end, overwrite=True)
    got, times = frames_of(out)
    assert got == numbers
    assert times - times[0] == pytest.approx(seconds, abs=1.1e-3)
    assert (result.num_frames, result.num_copied + result.num_encoded) == (len(got), len(got))
    return result


def sound_of(path):
    """Decode the sound onto the timeline that begins with the first picture."""
    begin = probe(path).start_seconds
    line = np.zeros(RATE * 30, np.float32)
    due = 0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        for frame in container.decode(audio=0):
            for piece in resampler.resample(frame):
                at = round((float(piece.pts * piece.time_base) - begin) * RATE)
                at = due if abs(at - due) < 0.0015 * RATE else at  # times in milliseconds
                due = at + piece.samples
                samples = piece.to_ndarray()[0][max(0, -at) :]
                line[max(0, at) : max(0, at) + len(samples)] = samples
    return line


def lateness(line, at_seconds, source_seconds, *, reach=0.06):
    """Return by how many seconds the sound of the source comes late, found by correlation."""
    length, reach = RATE // 4, round(reach * RATE)
    begin = round(source_seconds * RATE)
    wanted = SOUND[begin : begin + length]
    at = round(at_seconds * RATE)
    got = np.pad(line, (reach, 0))[at : at + length + 2 * reach]
    match = np.correlate(got, wanted, "valid")
    best = int(np.argmax(match))
    strength = match[best] / np.linalg.norm(wanted) / np.linalg.norm(got[best : best + length])
    assert strength > 0.8
    return (best - reach) / RATE


def complaints(path):
    """Return what FFmpeg's own tools find wrong."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    decode = ["ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "null", "-"]
    examine = ["ffprobe", "-v", "error", "-show_packets", "-show_streams", path]
    said = [
        subprocess.run(c, capture_output=True, text=True, check=False) for c in (decode, examine)
    ]
    return "".join(done.stderr for done in said)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_cuts_are_exact_to_the_frame(source, tmp_path, kind):
    path = source(kind)
    out = tmp_path / f"out{path.suffix}"
    for start, end in SPANS:
        result = check_cut(path, out, start, end)
        if end is None or end - start > 2:
            assert result.num_copied >= 30
        if kind in INTRA:
            assert result.num_encoded == 0
        assert bool(result.num_encoded) == bool(result.notes)
    assert sorted(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_is_wrong_with_what_was_cut(source, tmp_path, kind):
    path = source(kind)
    out = tmp_path / f"out{path.suffix}"
    cut(path, out, start_seconds=1.3, end_seconds=4.1)
    assert complaints(out) == ""


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "ts", "flv", "avi"])
@pytest.mark.parametrize("kind", ["h264-mp4", "vp9-webm", "h264-ts", "h264-mkv", "h264-mov"])
def test_sound_stays_with_the_pictures(source, tmp_path, kind, suffix):
    path = source(kind)
    out = tmp_path / f"out.{suffix}"
    result = cut(path, out, start_seconds=1.33, end_seconds=3.9, size=(48, 80))
    assert result.audio in ("copied", "encoded")
    line = sound_of(out)
    begin = 1.33 - probe(path).start_seconds
    for at in (0.1, 1.2, 2.2):
        assert abs(lateness(line, at, begin + at)) < 0.003
    assert np.abs(line[round(2.64 * RATE) :]).max() == 0


def test_packets_are_copied_where_the_cut_allows(source, tmp_path):
    path = source("h264-mp4")
    result = cut(path, tmp_path / "out.mp4", start_seconds=2.4, end_seconds=4.8)
    assert (result.num_copied, result.num_encoded, result.audio) == (60, 0, "copied")
    with av.open(str(path)) as one, av.open(str(tmp_path / "out.mp4")) as other:
        packets = [bytes(p) for p in one.demux(video=0) if p.size]
        copies = [bytes(p) for p in other.demux(video=0) if p.size]
    assert copies == packets[60:]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_variable_rates_keep_their_intervals(tmp_path, suffix):
    codec = {"mp4": "libx264", "mkv": "libx265", "webm": "libvpx-vp9"}[suffix]
    options = {"libx264": {"bf": "3"}, "libx265": {"x265-params": "log-level=none"}}
    numbers = [*range(40), *range(40, 100, 3), *range(100, 190, 7)]
    path = write_with_sound(
        tmp_path / f"in.{suffix}",
        codec,
        None,
        options.get(codec, {"deadline": "realtime", "cpu-used": "8"}),
        numbers=numbers,
    )
    for start, end in [(0.33, 2.0), (1.5, 6.3), (3.17, 3.31), (2.0, None)]:
        result = check_cut(path, tmp_path / f"out.{suffix}", start, end)
        stated = probe(tmp_path / f"out.{suffix}").duration_seconds
        assert stated == pytest.approx(result.duration_seconds, abs=2e-3)


def test_a_cut_keeps_how_pictures_are_turned_and_coloured(tmp_path):
    path = write_numbered(
        tmp_path / "in.mp4", 60, keyframe_seconds=0.8, codec="hevc", pixel_format="yuv420p10le",
        options={
            "x265-params": "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
        },
    )  # fmt: skip
    result = cut(path, tmp_path / "out.mp4", start_seconds=0.5, end_seconds=2.0)
    assert result.num_copied > 10
    assert result.num_encoded > 5
    before, after = probe(path), probe(tmp_path / "out.mp4")
    for name in ("pixel_format", "color_transfer", "color_space", "color_range", "width"):
        assert getattr(before, name) == getattr(after, name), name
    assert frames_of(tmp_path / "out.mp4")[0] == frames_of(path)[0][12:50]
    scaled = cut(path, tmp_path / "small.mp4", size=(48, 80))
    assert probe(tmp_path / "small.mp4").pixel_format == "yuv420p"
    assert any("HDR" in note for note in scaled.notes)


def test_size_and_rate(source, tmp_path):
    path = source("h264-mp4")
    out = tmp_path / "out.mp4"
    result = cut(path, out, start_seconds=1.0, end_seconds=3.0, fps=10, size=(200, 160))
    with VideoReader(out) as reader:
        (frames,) = list(reader.read(EveryFrame(), batch_size=50))
    assert frames.seconds == pytest.approx(np.arange(20) / 10)
    assert frames.images.shape[1:] == (200, 160, 3)
    assert frames.images[:, :50].max() < 10  # the same shape, with black above and below
    inner = frames.images[:, 52:148]
    assert [number_of(image) for image in inner] == [int(25 + 2.5 * k + 0.01) for k in range(20)]
    assert (result.num_copied, result.num_encoded) == (0, 20)


def test_twenty_joins_keep_every_frame_and_do_not_drift(source, tmp_path):
    path = source("h264-mp4")
    starts = [0.3 + 0.17 * k for k in range(20)]
    out = tmp_path / "out.mp4"
    concat([Span(path, start, start + 0.77) for start in starts], out)
    numbers, seconds = frames_of(path)
    wanted, times = [], []
    for place, start in enumerate(starts):
        kept = on_show(numbers, seconds, start, start + 0.77)
        wanted += kept[0]
        times += [0.77 * place + second for second in kept[1]]
    got = frames_of(out)
    assert got[0] == wanted
    assert got[1] == pytest.approx(times, abs=1e-3)
    line = sound_of(out)
    assert probe(out).duration_seconds == pytest.approx(20 * 0.77, abs=1e-3)
    for place, start in enumerate(starts):
        assert abs(lateness(line, 0.77 * place + 0.25, start + 0.25)) < 0.003


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_files_with_other_parameter_sets_are_joined_by_copying(tmp_path, codec, suffix):
    quiet = "log-level=none:"
    kinds = {
        "libx264": ({"bf": "3"}, {"bf": "0", "profile": "baseline"}),
        "libx265": (
            {"x265-params": quiet + "open-gop=1:bframes=3"},
            {"x265-params": quiet + "open-gop=0:bframes=0:ref=1:ctu=16"},
        ),
    }[codec]
    paths = [
        write_with_sound(tmp_path / f"{n}.{suffix}", codec, None, kind, numbers=range(75))
        for n, kind in enumerate(kinds)
    ]
    out = tmp_path / f"out.{suffix}"
    numbers = []
    spans = [Span(paths[0], 0.6, 2.0), Span(paths[1], 0.3), Span(paths[0])]
    for span in spans:
        numbers += on_show(*frames_of(span.path), span.start_seconds or 0.0, span.end_seconds)[0]
    result = concat(spans, out)
    assert frames_of(out)[0] == numbers
    assert result.num_copied > 90
    if suffix != "ts":  # there each frame of the sources is late by the delay of decoding
        assert complaints(out) == ""


def test_what_differs_is_made_like_the_first(source, tmp_path, numbered_video):
    small = write_numbered(tmp_path / "small.mkv", 20, codec="mpeg4")
    with VideoReader(source("vp9-webm")) as reader:
        assert reader.info.has_audio
    out = tmp_path / "out.mp4"
    result = concat([source("h264-mp4"), source("vp9-webm"), small, numbered_video], out)
    numbers, seconds = frames_of(out)
    assert numbers == [*range(120), *range(120), *range(20), *range(50)]
    assert np.diff(seconds) == pytest.approx(0.04, abs=1.5e-3)
    assert result.num_copied == 170
    assert any("codec differs" in note for note in result.notes)
    line = sound_of(out)
    assert abs(lateness(line, 6.0, 6.0 - 4.8)) < 0.003
    assert np.abs(line[round(9.65 * RATE) : round(12.3 * RATE)]).max() < 1e-3  # no sound there


def test_another_shape_and_rate_are_brought_to_those_of_the_first(tmp_path, numbered_video):
    other = tmp_path / "other.mp4"
    image = np.full((96, 96, 3), 200, np.uint8)
    with av.open(str(other), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 96
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    concat([numbered_video, other], tmp_path / "out.mp4")
    with VideoReader(tmp_path / "out.mp4") as reader:
        (frames,) = list(reader.read(EveryFrame(), batch_size=100))
    assert len(frames) == 75
    assert frames.seconds == pytest.approx(np.arange(75) / 25, abs=1e-3)
    assert frames.images[60, :, :30].max() < 20
    assert np.abs(frames.images[60, :, 36:124].astype(int) - 200).max() < 6


def test_a_file_that_cannot_be_spliced_is_encoded_and_says_why(tmp_path, video_dir):
    path = write_numbered(tmp_path / "in.avi", 50, codec="mpeg4", options={"bf": "2"})
    result = cut(path, tmp_path / "out.mp4", start_seconds=0.4)
    assert result.num_copied == 0
    assert "avi" in result.notes[0]
    assert frames_of(tmp_path / "out.mp4")[0] == list(range(10, 50))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"out": "in.mp4"}, QueryError, "one of the videos to read"),
        ({"out": "there.mp4"}, QueryError, "there already"),
        ({"out": "out.xyz"}, QueryError, "suffix"),
        ({"out": "nowhere/out.mp4"}, QueryError, "no folder"),
        ({"start_seconds": 3.0, "end_seconds": 2.0}, QueryError, "empty"),
        ({"start_seconds": 99.0}, QueryError, "nothing is shown"),
        ({"size": (0, 5)}, QueryError, "size"),
        ({"fps": 0.0}, QueryError, "fps"),
        ({"path": "none.mp4"}, MissingVideo, "no such file"),
        ({"path": "bad.mp4"}, UnreadableVideo, "not a video"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, numbered_video, arguments, error, words):
    (tmp_path / "in.mp4").write_bytes(numbered_video.read_bytes())
    (tmp_path / "there.mp4").write_bytes(b"precious")
    (tmp_path / "bad.mp4").write_bytes(b"not a video at all" * 99)
    before = sorted(tmp_path.iterdir())
    paths = {"path": "in.mp4", "out": "out.mp4"}
    paths |= {k: v for k, v in arguments.items() if k in paths}
    rest = {k: v for k, v in arguments.items() if k not in paths}
    with pytest.raises(error, match=words):
        cut(tmp_path / paths["path"], tmp_path / paths["out"], **rest)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.mp4").read_bytes() == b"precious"


def test_an_interrupt_leaves_nothing_half_done(tmp_path, source, monkeypatch):
    from soravec.video.editing import output

    class Interrupted(output.Counted):
        def timed(self, *args):
            for number, item in enumerate(super().timed(*args)):
                if number == 30:
                    raise KeyboardInterrupt
                yield item

    monkeypatch.setattr("soravec.video.editing.edit.Counted", Interrupted)
    (tmp_path / "out.mp4").write_bytes(b"precious")
    with pytest.raises(KeyboardInterrupt):
        cut(source("h264-mp4"), tmp_path / "out.mp4", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, source):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        (folder / "probe").touch()
    except PermissionError:
        with pytest.raises(SoravecError, match="cannot be written"):
            cut(source("h264-mp4"), folder / "out.mp4")
    else:
        pytest.skip("this user may write anywhere")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["h264-mp4", "h264-ts", "vp9-webm", "vp8-webm", "av1-mp4"])
def test_chromium_plays_what_was_cut(source, tmp_path, kind):
    path = source(kind)
    out = tmp_path / f"out.{'webm' if path.suffix == '.webm' else 'mp4'}"
    result = cut(path, out, start_seconds=1.5, end_seconds=4.1)
    assert result.num_copied
    assert result.num_encoded
    check_played(out)


@pytest.mark.slow
def test_chromium_plays_what_was_joined(source, tmp_path):
    other = write_with_sound(
        tmp_path / "in.mp4", "libx264", "aac", {"bf": "0", "profile": "baseline"}
    )
    out = tmp_path / "out.mp4"
    concat([Span(source("h264-mp4"), 0.5, 3.2), Span(other, 1.1, 4.0), source("h264-mp4")], out)
    check_played(out)


def check_played(path):
    numbers, seconds = frames_of(path)
    instants = [float(at) for at in np.linspace(0.05, seconds[-1] - 0.1, 8).round(3)]
    instants = [instants[i] for i in (3, 1, 6, 0, 7, 2, 5, 4)]
    report = played(path, at=instants)
    assert report["error"] is None
    places = np.searchsorted(seconds, np.array(instants) + SLACK, side="right") - 1
    assert report["seeks"] == [numbers[place] for place in places]
    assert report["ended"]
    assert report["last"] in numbers[-3:]
    assert report["duration"] == pytest.approx(probe(path).duration_seconds, abs=0.05)
