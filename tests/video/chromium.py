"""Plays files in Chromium: a page shows each, reads the number in its pictures, and reports."""

import json
import shutil
import subprocess
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from ..conftest import HEIGHT, NUM_BITS

PAGE = """<!doctype html><video id=v muted playsinline></video><canvas id=c></canvas><script>
const v = document.getElementById('v'), c = document.getElementById('c'), bits = %(bits)d;
const q = new URLSearchParams(location.search);
const event = name => new Promise(done => v.addEventListener(name, done, {once: true}));
const shown = () => new Promise(done => v.requestVideoFrameCallback(done));
function number() {
  c.width = v.videoWidth; c.height = v.videoHeight;
  const g = c.getContext('2d', {willReadFrequently: true});
  g.drawImage(v, 0, 0);
  const y = Math.round(c.height * %(row)f);
  let n = 0;
  for (let bit = 0; bit < bits; bit++) {
    const p = g.getImageData(Math.round((bit + .5) * c.width / bits), y, 1, 1).data;
    if ((p[0] + p[1] + p[2]) / 3 > 126) n += 2 ** bit;
  }
  return n;
}
async function run() {
  const report = {error: null, duration: 0, seeks: [], ended: false};
  v.src = q.get('file');
  v.addEventListener('error', () => {
    report.error = v.error ? v.error.code + ' ' + v.error.message : 'unknown'; send(report); });
  await event('loadeddata');
  report.duration = v.duration;
  for (const t of JSON.parse(q.get('at'))) {
    const both = Promise.all([event('seeked'), shown()]);
    v.currentTime = t;
    await both;
    report.seeks.push(number());
  }
  const back = event('seeked');
  v.currentTime = 0;
  await back;
  v.playbackRate = 4;
  const ended = event('ended');
  await v.play();
  await ended;
  report.ended = true; report.last = number(); report.at = v.currentTime;
  report.frames = v.getVideoPlaybackQuality().totalVideoFrames;
  send(report);
}
let sent = false;
function send(r) { if (!sent) { sent = true; fetch('/report', {method: 'POST', body: JSON.stringify(r)}); } }
run().catch(e => send({error: String(e), seeks: []}));
</script>""" % {"bits": NUM_BITS, "row": 72 / HEIGHT}  # noqa: E501, UP031  # the page has braces


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder with ranges, which seeking needs, and takes the report."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args, reports, **kwargs):
        self.reports = reports
        super().__init__(*args, **kwargs)

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("/page"):
            self._send(200, PAGE.encode(), "text/html")
            return
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self._send(404, b"", "text/plain")
            return
        data = path.read_bytes()
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        kind = "video/webm" if path.suffix == ".webm" else "video/mp4"
        if not asked:
            self._send(200, data, kind)
            return
        first, _, last = asked.partition("-")
        begin, end = int(first), min(int(last) if last else len(data) - 1, len(data) - 1)
        self._send(206, data[begin : end + 1], kind, f"bytes {begin}-{end}/{len(data)}")

    def do_POST(self):
        self.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send(200, b"", "text/plain")

    def _send(self, status, data, kind, content_range=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Accept-Ranges", "bytes")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        try:
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def played(path, *, at=()):
    """Return what Chromium says of a file: error, duration, the numbers seen at instants, ..."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    reports = Queue()
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Handler, directory=str(path.parent), reports=reports)
    )
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/page?file=/{path.name}&at={json.dumps(list(at))}"
    profile = tempfile.mkdtemp()
    browser = subprocess.Popen(
        [
            chromium,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--mute-audio",
            "--autoplay-policy=no-user-gesture-required",
            f"--user-data-dir={profile}",
            url.replace(" ", ""),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return reports.get(timeout=90)
    finally:
        browser.terminate()
        browser.wait(timeout=30)
        server.shutdown()
        server.server_close()
        shutil.rmtree(profile, ignore_errors=True)
