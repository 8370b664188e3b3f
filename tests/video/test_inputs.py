"""Other ways in: tar, bytes, file objects, URLs, pictures, folders of frames, animations."""

import functools
import io
import os
import re
import socket
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
import pytest

from soravec.errors import MissingVideo, NotAllowed, QueryError, TooLarge, UnreadableVideo
from soravec.video import AtRate, AtSeconds, EveryFrame, Limits, Uniform, VideoReader, probe
from tests.conftest import FPS, number_of, numbered_image

KINDS = pytest.mark.parametrize(
    "long_video", ["h264-mp4", "h264-ts", "vp9-webm", "mpeg4-avi"], indirect=True
)
SAMPLINGS = (EveryFrame(), AtRate(2.5), AtSeconds((0.1, 7.0, 15.9)), Uniform(3))


def read_all(source, sampling, **kwargs):
    span = {key: kwargs.pop(key) for key in ("start_seconds", "end_seconds") if key in kwargs}
    with VideoReader(source, **kwargs) as reader:
        batches = list(reader.read(sampling, **span))
    images = np.concatenate([batch.images for batch in batches])
    return images, np.concatenate([batch.seconds for batch in batches]), reader.warnings


def assert_read_alike(source, path, **kwargs):
    for sampling in SAMPLINGS:
        images, seconds, _ = read_all(source, sampling, **kwargs)
        plain_images, plain_seconds, _ = read_all(path, sampling)
        assert np.array_equal(images, plain_images)
        assert np.array_equal(seconds, plain_seconds)


@pytest.fixture
def archive(tmp_path, long_video):
    path = tmp_path / "clips.tar"
    with tarfile.open(path, "w") as tar:
        note = tarfile.TarInfo("000001.txt")
        note.size = 5
        tar.addfile(note, io.BytesIO(b"words"))
        tar.add(long_video, "train/000002" + long_video.suffix)
    return path


@KINDS
def test_a_clip_in_a_tar_is_read_where_it_lies(archive, long_video):
    name = archive / f"train/000002{long_video.suffix}"
    assert_read_alike(name, long_video)
    info = probe(name)
    assert info.path == str(name)
    assert info.size_bytes == long_video.stat().st_size


@pytest.mark.parametrize("long_video", ["h264-mp4"], indirect=True)
def test_what_is_wrong_with_a_tar_is_said(archive, tmp_path):
    with pytest.raises(MissingVideo, match="no such file in clips.tar"):
        probe(archive / "train/3.mp4")
    packed = tmp_path / "clips.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(archive, "a.mp4")
    with pytest.raises(NotAllowed, match="compressed tar"):
        probe(packed / "a.mp4")
    plain = tmp_path / "plain.mp4"
    plain.write_bytes(b"no archive")
    with pytest.raises(MissingVideo, match="no such file"):
        probe(plain / "a.mp4")


@KINDS
def test_a_truncated_tar_gives_what_it_has(archive, long_video, tmp_path):
    whole = archive.read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: 1024 + 512 + 3 * long_video.stat().st_size // 4])
    name = cut / f"train/000002{long_video.suffix}"
    if long_video.suffix == ".mp4":  # the index was at the end
        with pytest.raises(UnreadableVideo):
            probe(name)
    else:
        images, _, _ = read_all(name, EveryFrame())
        assert 100 < len(images) < 400
        assert number_of(images[100]) == 100


@KINDS
def test_bytes_and_file_objects_are_read_like_the_file(long_video):
    content = long_video.read_bytes()
    assert_read_alike(content, long_video)
    assert_read_alike(io.BytesIO(content), long_video)
    with long_video.open("rb") as file:
        file.seek(1000)  # it is read from its beginning all the same
        assert_read_alike(file, long_video)
        assert not file.closed
        assert probe(file).path == str(long_video)
    assert probe(content).path == "<bytes>"
    assert probe(content).size_bytes == len(content)


@KINDS
def test_a_pipe_is_copied_once(long_video):
    reading, writing = os.pipe()

    def feed():
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(long_video.read_bytes())

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(reading, "rb") as pipe, VideoReader(pipe) as reader:
        first = [number_of(f.images[0]) for f in reader.read(EveryFrame(), batch_size=1)]
        again = [number_of(f.images[0]) for f in reader.read(EveryFrame(), batch_size=1)]
    feeder.join()
    assert first == again == list(range(400))


@pytest.mark.parametrize("content", [b"", b"#EXTM3U\n/etc/passwd", b"no video at all" * 9])
def test_bytes_that_are_no_video_are_refused(content):
    with pytest.raises((UnreadableVideo, NotAllowed), match="<bytes>"):
        probe(content)


class Handler(BaseHTTPRequestHandler):
    """Serves one file: with ranges, without, breaking off, only to one user, or elsewhere."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args, content, log, **kwargs):
        self.content = content
        self.log = log
        super().__init__(*args, **kwargs)

    def do_GET(self):
        self.log.append(self.path)
        if self.path == "/elsewhere":
            self.answer(302, Location=self.headers["Host"] and "file:///etc/passwd")
        elif self.path == "/moved.bin":
            self.answer(301, Location="/ranges.bin")
        elif self.path == "/secret.bin" and self.headers.get("Authorization") != "Basic bWU6cEB3":
            self.answer(401)
        elif self.path in ("/ranges.bin", "/secret.bin", "/breaking.bin"):
            first = int(re.match(r"bytes=(\d+)-", self.headers["Range"])[1])
            total = len(self.content)
            body = self.content[first:]
            self.answer(206, body, **{"Content-Range": f"bytes {first}-{total - 1}/{total}"})
        elif self.path == "/plain.bin":
            self.answer(200, self.content)
        else:
            self.answer(404)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.path == "/breaking.bin" and len(body) > 3000:
            body = body[: len(body) // 2]
            self.close_connection = True
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def served(long_video):
    log = []
    handler = functools.partial(Handler, content=long_video.read_bytes(), log=log)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", log
    server.shutdown()
    thread.join()
    server.server_close()


@KINDS
@pytest.mark.parametrize("page", ["ranges.bin", "plain.bin", "moved.bin", "breaking.bin"])
def test_a_url_is_read_like_the_file_when_that_is_asked_for(served, long_video, page):
    url, _ = served
    assert_read_alike(f"{url}/{page}", long_video, allow_urls="private")


@pytest.mark.parametrize("long_video", ["h264-mp4"], indirect=True)
def test_a_url_is_not_touched_unless_that_is_asked_for(served):
    url, log = served
    with pytest.raises(NotAllowed, match="only when that is asked for"):
        probe(f"{url}/ranges.bin")
    assert log == []


@pytest.mark.parametrize("long_video", ["h264-mp4"], indirect=True)
def test_a_redirect_leads_to_no_local_file(served):
    url, log = served
    with pytest.raises(UnreadableVideo, match="302"):
        probe(f"{url}/elsewhere", allow_urls="private")
    assert log == ["/elsewhere"]


@pytest.mark.parametrize("long_video", ["h264-mp4"], indirect=True)
def test_what_a_server_refuses_is_said(served):
    url, _ = served
    with pytest.raises(MissingVideo, match="no such file"):
        probe(f"{url}/none.mp4", allow_urls="private")
    with pytest.raises(NotAllowed, match="401"):
        probe(f"{url}/secret.bin", allow_urls="private")
    with pytest.raises(NotAllowed, match="only http"):
        probe("ftp://127.0.0.1/clip.mp4", allow_urls="private")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/clip.mp4"
        with pytest.raises(UnreadableVideo, match="cannot be fetched"):
            probe(closed, allow_urls="private")


@pytest.mark.parametrize("long_video", ["h264-mp4"], indirect=True)
def test_a_password_in_a_url_is_used_and_never_shown(served):
    url, _ = served
    named = url.replace("http://", "http://me:p%40w@")
    info = probe(f"{named}/secret.bin", allow_urls="private")
    assert info.path == f"{url}/secret.bin"
    with pytest.raises(NotAllowed) as caught:
        probe(f"{url.replace('http://', 'http://me:wrong@')}/secret.bin", allow_urls="private")
    assert "wrong" not in str(caught.value)
    with pytest.raises(NotAllowed) as caught:
        probe(f"{named}/secret.bin")
    assert "p%40w" not in str(caught.value)


def write_picture(path, number, *, codec, pixel_format):
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = 160, 96, pixel_format
        if codec == "mjpeg":
            stream.codec_context.color_range = 2
        frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
        container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode(None))


@pytest.fixture
def frame_folder(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(40):
        write_picture(folder / f"f{number + 1}.png", number, codec="png", pixel_format="rgb24")
    (folder / "notes.txt").write_text("not a frame")
    return folder


def test_a_folder_of_frames_is_a_video_in_the_order_of_its_numbers(frame_folder):
    info = probe(frame_folder, fps=10)
    assert (info.width, info.height, info.duration_seconds) == (160, 96, 4.0)
    assert info.native_fps == pytest.approx(10)
    images, seconds, warnings = read_all(frame_folder, EveryFrame(), fps=10)
    assert [number_of(image) for image in images] == list(range(40))
    assert seconds == pytest.approx(np.arange(40) / 10)
    assert warnings == []
    assert np.array_equal(images[7], numbered_image(7))
    images, seconds, _ = read_all(frame_folder, AtSeconds((0.55, 3.0, 3.99)), fps=10)
    assert [number_of(image) for image in images] == [5, 30, 39]
    images, seconds, _ = read_all(frame_folder, Uniform(4), fps=10)
    assert [number_of(image) for image in images] == [5, 15, 25, 35]
    images, seconds, _ = read_all(
        frame_folder, AtRate(2), fps=10, start_seconds=1.05, end_seconds=2.1
    )
    assert [number_of(image) for image in images] == [10, 15, 20]
    assert seconds == pytest.approx([1.05, 1.5, 2.0])


def test_a_folder_of_frames_takes_its_times_from_its_table(frame_folder):
    rows = [f"f{n + 1}.png,{n * n / FPS}" for n in range(10)]
    (frame_folder / "frames.csv").write_text("\n".join(["file,seconds", *rows]))
    images, seconds, _ = read_all(frame_folder, EveryFrame())
    assert [number_of(image) for image in images] == list(range(10))
    assert seconds == pytest.approx(np.arange(10) ** 2 / FPS)
    (frame_folder / "frames.csv").write_text("file,seconds\nf1.png,1\nf2.png,1")
    with pytest.raises(UnreadableVideo, match="do not ascend"):
        probe(frame_folder)


def test_a_damaged_frame_is_passed_over_and_counted(frame_folder):
    (frame_folder / "f4.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (frame_folder / "f1.png").write_bytes(b"")
    images, seconds, warnings = read_all(frame_folder, EveryFrame(), fps=10)
    assert [number_of(image) for image in images] == [n for n in range(40) if n not in (0, 3)]
    assert seconds[0] == pytest.approx(0.1)
    assert len(warnings) == 1
    assert re.match(r"pictures that could not be decoded: 2 .*f1\.png", warnings[0])


def test_a_folder_without_pictures_and_a_rate_for_a_file_are_refused(tmp_path, numbered_video):
    with pytest.raises(MissingVideo, match="a folder without pictures"):
        probe(tmp_path)
    with pytest.raises(QueryError, match="times of its own"):
        probe(numbered_video, fps=5)


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [("png", "png", "rgb24"), ("jpg", "mjpeg", "yuvj444p"), ("webp", "libwebp", "yuv420p")],
)
def test_a_picture_is_a_video_of_one_frame(tmp_path, suffix, codec, pixel_format):
    path = tmp_path / f"still.{suffix}"
    write_picture(path, 77, codec=codec, pixel_format=pixel_format)
    for source in (path, path.read_bytes()):
        for sampling in SAMPLINGS:
            images, seconds, _ = read_all(source, sampling)
            assert [number_of(image) for image in images] == [77]
            assert seconds == pytest.approx([0.0])
        with VideoReader(source) as reader:
            list(reader.read(EveryFrame()))
            assert reader.shots.bounds.tolist() == [[0.0, 0.04]]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(seconds=3.4), "longer than 3 seconds"),
        (Limits(packets=7), "more than 7 packets"),
        (Limits(pixels=160 * 96 - 1), "pixels, the limit is"),
    ],
)
def test_stills_are_limited_as_videos_are(tmp_path, frame_folder, limits, reason):
    path = tmp_path / "moving.webp"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libwebp_anim", rate=2)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for source, fps in ((path, None), (frame_folder, 3.0)):
        with VideoReader(source, fps=fps) as reader:
            assert len(list(reader.read(EveryFrame(), batch_size=1))) >= 8
        with pytest.raises(TooLarge, match=reason):
            VideoReader(source, fps=fps, limits=limits)


def test_stills_of_too_high_a_rate_are_refused(frame_folder, monkeypatch):
    monkeypatch.setattr("soravec.video.limits.BURST_PICTURES", 2)
    with pytest.raises(TooLarge, match="over 1000 per second"):
        VideoReader(frame_folder, fps=1e6)


@pytest.mark.parametrize("lossless", ["0", "1"])
def test_an_animated_webp_gives_every_frame_at_its_time(tmp_path, lossless):
    path = tmp_path / "moving.webp"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libwebp_anim", rate=20, options={"lossless": lossless})
        stream.width, stream.height = 160, 96
        stream.pix_fmt = "bgra" if lossless == "1" else "yuv420p"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            frame.pts = number if number < 20 else 3 * number - 40
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    due = np.array([n if n < 20 else 3 * n - 40 for n in range(30)]) / 20
    images, seconds, warnings = read_all(path, EveryFrame())
    assert [number_of(image) for image in images] == list(range(30))
    assert seconds == pytest.approx(due)
    assert warnings == []
    images, seconds, _ = read_all(path, AtSeconds((0.51, 1.26)))
    assert [number_of(image) for image in images] == [10, 21]
    if lossless == "1":
        assert np.array_equal(images[0], numbered_image(10))
