"""No file names another: what would have a second file or an address opened, opens nothing."""

import shutil
import sys
import urllib.request

import pytest

from soravec import probe
from soravec.errors import VideoError
from tests.video.making import Look, make

from .canaries import Listener, Opened, names, scripts
from .test_media import outcomes, wrong_with

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary.mp4"
    make(path, Look("mpeg4"), range(30))
    return path


@pytest.fixture
def listener():
    server = Listener()
    yield server
    server.close()


@pytest.mark.hostile("playlists, scripts and names")
def test_nothing_else_is_opened(tmp_path, canary, listener, figures):
    """The worker is trusted here: it is the reader that is to refuse, not the sandbox."""
    jobs = []
    for name, content in scripts(canary, listener.url).items():
        (tmp_path / name).write_bytes(content)
        jobs.append((tmp_path / name,))
    watched = Opened(canary)
    for outcome in outcomes(jobs, limits=None, num_workers=1):  # one after the other
        name, reply = outcome.job[0].name, outcome.reply
        is_read = not isinstance(reply, Exception) and reply.header["kind"] != "failed"
        wrong = seen(watched, listener, is_read) or wrong_with(reply, figures)
        figures.count(wrong and f"{name}: {wrong}")
    for name in names(canary, listener.url, tmp_path):
        try:
            is_read = bool(probe(name))
        except VideoError as error:
            is_read = False
            figures.note(f"refused: {type(error).__name__}")
        wrong = seen(watched, listener, is_read)
        figures.count(wrong and f"{name}: {wrong}")
    watched.close()
    assert figures.cases >= 40


def seen(watched, listener, is_read):
    """Return what was opened that should not be, or None."""
    if watched.happened():
        return "the other file was opened"
    if listener.asked:
        asked, listener.asked[:] = list(listener.asked), []
        return f"a request was made: {asked}"
    return "it gave pictures" if is_read else None


def test_the_canaries_would_be_seen(tmp_path, canary, listener):
    """Else the test above would pass of itself."""
    watched = Opened(canary)
    assert not watched.happened()
    (outcome,) = outcomes([(canary,)], num_workers=1)
    assert outcome.reply.header["kind"] == "embedded"
    assert watched.happened()
    watched.close()
    with pytest.raises(OSError, match="404"):
        urllib.request.urlopen(listener.url)  # noqa: S310
    assert listener.asked


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="ffprobe is not installed")
def test_ffmpeg_itself_would_open_some(tmp_path, canary, listener):
    import subprocess

    opened = 0
    for name, content in scripts(canary, listener.url).items():
        path = tmp_path / name
        path.write_bytes(content)
        watched = Opened(canary)
        subprocess.run(
            ["ffprobe", "-v", "quiet", "-show_format", path],
            capture_output=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        opened += watched.happened() or bool(listener.asked)
        listener.asked.clear()
        watched.close()
    assert opened >= 5
