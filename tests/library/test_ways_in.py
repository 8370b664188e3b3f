"""A library of clips in tars, folders of frames and URLs."""

import io
import json
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from soravec.library.indexer import IndexOptions
from soravec.library.library import Library
from soravec.video import EveryFrame, VideoReader
from tests.library.conftest import write_scenes


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [write_scenes(folder / f"{number}.mp4", [(number, 2.0)]) for number in range(3)]


def write_shard(path, samples):
    with tarfile.open(path, "w") as tar:
        for name, content in samples.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_clips_of_a_tar_are_found_with_their_words(clips, tmp_path):
    shard = write_shard(
        tmp_path / "shards-000.tar",
        {
            "000000.mp4": clips[0].read_bytes(),
            "000000.txt": b"a zebra crossing the street",
            "000001.mp4": clips[1].read_bytes(),
            "000001.json": json.dumps(
                {"caption": "斑马过马路", "tags": ["street", "rain"]}
            ).encode(),
            "000001.cls": b"7",
            "000002.jpg": b"\xff\xd8\xff no video",
            "000000.en.srt": b"1\n00:00:00,500 --> 00:00:01,500\nmind the stripes\n",
            "000003.mp4": b"damaged",
        },
    )
    with Library(tmp_path / "library") as library:
        report = library.add(tmp_path, progress=False)
        assert (report.indexed, report.failed) == (2, 1)
        assert report.failures[0].path == str(shard / "000003.mp4")
        assert [hit.path for hit in library.search("zebra")] == [str(shard / "000000.mp4")]
        assert [hit.path for hit in library.search("斑马")] == [str(shard / "000001.mp4")]
        assert {hit.path for hit in library.search("street")} == {
            str(shard / "000000.mp4"),
            str(shard / "000001.mp4"),
        }
        (spoken,) = library.search("stripes")
        assert (spoken.path, spoken.language) == (str(shard / "000000.mp4"), "en")
        assert (spoken.start_seconds, spoken.end_seconds) == (0.5, 1.5)
        assert library.search(video=clips[1], k=1)[0].path == str(shard / "000001.mp4")
        again = library.add(shard, progress=False)
        assert (again.indexed, again.unchanged, again.failed) == (0, 2, 1)

        write_shard(shard, {"000000.mp4": clips[0].read_bytes(), "000000.txt": b"a camel"})
        report = library.add(tmp_path, progress=False)
        assert (report.indexed, report.unchanged, report.removed) == (0, 1, 1)
        assert library.search("zebra") == []
        assert [hit.path for hit in library.search("camel")] == [str(shard / "000000.mp4")]


def test_a_damaged_tar_is_told(tmp_path, clips):
    (tmp_path / "bad.tar").write_bytes(b"not a tar" * 100)
    with Library(tmp_path / "library") as library:
        report = library.add([tmp_path, clips[0]], progress=False)
        assert (report.indexed, report.failed) == (1, 1)
        assert report.failures[0].path == str(tmp_path / "bad.tar")


def test_a_folder_of_frames_is_a_video_of_the_library(clips, tmp_path, write_frames):
    folder = tmp_path / "raw" / "clip_7"
    write_frames(clips[2], folder)
    with Library(tmp_path / "library") as library:
        assert library.add(tmp_path / "raw", progress=False).indexed == 0
        options = IndexOptions(frame_folders=True, fps=25.0)
        assert library.add(tmp_path / "raw", options=options, progress=False).indexed == 1
        (hit,) = library.search(video=clips[2], k=1)
        assert hit.path == str(folder)
        assert hit.end_seconds == pytest.approx(2.0)
        assert hit.score > 0.95
        assert library.add(tmp_path / "raw", options=options, progress=False).unchanged == 1
        next(folder.iterdir()).unlink()
        assert library.add(tmp_path / "raw", options=options, progress=False).indexed == 1


@pytest.fixture
def write_frames():
    from PIL import Image

    def write(video, folder):
        folder.mkdir(parents=True)
        with VideoReader(video) as reader:
            number = 0
            for frames in reader.read(EveryFrame()):
                for image in frames.images:
                    number += 1
                    Image.fromarray(image).save(folder / f"img_{number}.png")

    return write


def test_a_url_is_indexed_only_when_that_is_asked_for(clips, tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(clips[0].parent)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/0.mp4"
    try:
        with Library(tmp_path / "library") as library:
            report = library.add([url, clips[1]], progress=False)
            assert (report.indexed, report.failed) == (1, 1)
            assert report.failures[0].error_type == "NotAllowed"
            allowed = IndexOptions(allow_urls="private")
            report = library.add([url, f"{url}.none"], options=allowed, progress=False)
            assert (report.indexed, report.failed) == (1, 1)
            assert report.failures[0].error_type == "MissingVideo"
            assert library.search(video=clips[0], k=1)[0].path == url
            assert library.add(url, options=allowed, progress=False).unchanged == 1
            assert library.search("0.mp4")[0].path == url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
