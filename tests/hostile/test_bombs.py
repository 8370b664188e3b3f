"""Files that ask for much, and streams that never end."""

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from soravec.errors import VideoError
from soravec.library.identity import stamp
from soravec.sandbox import ChildLimits
from tests.video.making import Look, make

from .bombs import write_bombs
from .test_media import outcomes, wrong_with

MEMORY_BYTES = 1536 * 2**20
DEADLINE_SECONDS = 20.0


class Peak:
    """The most memory that any child of this process held, and this process."""

    def __init__(self):
        self.own = self.child = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        this = psutil.Process()
        while not self._stop.wait(0.02):
            self.own = max(self.own, this.memory_info().rss)
            for one in this.children(recursive=True):
                try:
                    self.child = max(self.child, one.memory_info().rss)
                except psutil.Error:
                    continue


@pytest.mark.hostile("bombs")
def test_a_bomb_gives_a_result_or_a_typed_error(tmp_path, figures):
    jobs = [(path,) for path in write_bombs(tmp_path)]
    assert len(jobs) >= 20
    before = psutil.Process().memory_info().rss
    with Peak() as peak:
        began = time.monotonic()
        limits = ChildLimits(MEMORY_BYTES)
        for outcome in outcomes(jobs, deadline=DEADLINE_SECONDS, limits=limits, num_workers=1):
            took, began = time.monotonic() - began, time.monotonic()
            wrong = wrong_with(outcome.reply, figures)
            if took > DEADLINE_SECONDS + 15:
                wrong = f"took {took:.0f} s"
            if peak.child > MEMORY_BYTES * 1.2 or peak.own - before > 2**30:
                wrong = f"{peak.child / 2**20:.0f} MiB, {peak.own / 2**20:.0f} in the parent"
                peak.child = 0
            figures.count(wrong and f"{outcome.job[0].name}: {wrong}")
    figures.note("most memory of a child, MiB", round(peak.child / 2**20))


@pytest.mark.hostile("streams that never end")
def test_what_never_ends_is_ended(tmp_path, figures):
    endless = (tmp_path / "zero.mp4", tmp_path / "random.ts", tmp_path / "pipe.mp4")
    endless[0].symlink_to("/dev/zero")
    endless[1].symlink_to("/dev/urandom")
    os.mkfifo(endless[2])
    for path in endless:
        with pytest.raises((VideoError, OSError)):
            stamp(path)
        figures.count()
    for outcome in outcomes([(path,) for path in endless], deadline=10.0, num_workers=1):
        figures.count(wrong_with(outcome.reply, figures))

    clip = tmp_path / "clip.ts"
    make(clip, Look("mpeg2"), range(50), form="mpegts")
    data = clip.read_bytes()

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(data)
                    time.sleep(len(data) / 20e6)  # twenty megabytes a second
            except OSError:
                return

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/live.ts"
    began = time.monotonic()
    (outcome,) = outcomes([(url,)], deadline=10.0, num_workers=1)
    server.shutdown()
    thread.join()
    server.server_close()
    late = time.monotonic() - began > 60
    figures.count("went on" if late else wrong_with(outcome.reply, figures))
