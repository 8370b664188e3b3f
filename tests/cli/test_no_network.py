"""No command opens a network socket: the kernel kills whoever tries."""

import subprocess
import sys
import textwrap

import pytest

from tests.library.conftest import write_scenes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")

# A seccomp filter that kills the process at socket(AF_INET or AF_INET6); children inherit it.
WITHOUT_NETWORK = textwrap.dedent(
    """
    import ctypes, os, platform, struct, sys

    NUMBER = {"x86_64": 41, "aarch64": 198}[platform.machine()]
    LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
    KILL, ALLOW = 0x80000000, 0x7FFF0000

    def step(code, yes, no, value):
        return struct.pack("HBBI", code, yes, no, value)

    program = b"".join([
        step(LOAD, 0, 0, 0),          # the number of the system call
        step(EQUAL, 0, 3, NUMBER),    # socket?
        step(LOAD, 0, 0, 16),         # its first argument: the family
        step(EQUAL, 2, 0, 2),         # AF_INET
        step(EQUAL, 1, 0, 10),        # AF_INET6
        step(RETURN, 0, 0, ALLOW),
        step(RETURN, 0, 0, KILL),
    ])
    buffer = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0             # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, filter_, 0, 0) == 0       # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    os.execv(sys.argv[1], sys.argv[1:])
    """
)


@pytest.fixture(scope="module")
def without_network(tmp_path_factory):
    script = tmp_path_factory.mktemp("net") / "without_network.py"
    script.write_text(WITHOUT_NETWORK)

    def run(*arguments):
        command = [sys.executable, script, sys.executable, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_the_filter_does_kill(without_network):
    done = without_network("-c", "import socket; socket.socket(socket.AF_INET)")
    assert done.returncode == -31  # SIGSYS
    done = without_network("-c", "import socket; socket.socketpair(); print('alive')")
    assert done.stdout == "alive\n"


def test_no_command_opens_a_socket(without_network, tmp_path):
    video = write_scenes(tmp_path / "videos" / "a.mp4", [(0, 2.0), (4, 2.0)])
    write_scenes(tmp_path / "videos" / "b.webm", [(0, 2.0), (4, 2.0)], codec="vp9")
    write_scenes(tmp_path / "videos" / "c.mp4", [(2, 2.0)], seed=5)
    library, page = tmp_path / "l.library", tmp_path / "copies.html"
    names = "next.html", "why.html", "whole.html", "watch.html"
    following, why, whole, watch = (tmp_path / name for name in names)
    for arguments in (
        ["doctor"],
        ["probe", video],
        ["embed", video, "-o", tmp_path / "a.npz"],
        ["embed", video, "-o", tmp_path / "b.npz", "--engine", "onnxruntime"],
        ["index", tmp_path / "videos", "--library", library],
        ["search", "a", "--library", library],
        ["search", "--video", video, "--library", library],
        ["index", tmp_path / "videos", "--library", library, "--verify", "--trusted"],
        ["search", "--video", video, "--start", "1", "--library", library],
        ["classify", video, "--model", "sora-mini"],
        ["cut", video, "-o", tmp_path / "cut.mp4", "--start", "1"],
        ["concat", video, video, "-o", tmp_path / "joined.mp4"],
        ["frames", video, "-o", tmp_path / "frames", "--rate", "2"],
        ["frames-to-video", tmp_path / "frames", "-o", tmp_path / "again.mp4"],
        ["models", "list"],
        ["models", "show", "sora-mini"],
        ["demo"],
        ["duplicates", "--library", library, "--page", page],
        ["summarize", video, "--library", library, "--sheet", tmp_path / "sheet.png"],
        ["recommend", "--liked", video, "--library", library, "--page", watch],
        ["describe", "--library", library, "--page", whole],
        ["teach", "sand", "--yes", f"{video}@0-2", "--library", library, "--page", following],
        ["classify", video, "--library", library],
        ["events", "--library", library, "--page", tmp_path / "events.html"],
        ["explain", video, tmp_path / "videos" / "b.webm", "--library", library, "--page", why],
        ["explain", video, "--library", library, "--video", tmp_path / "why.mp4"],
        ["library", "info", "--library", library],
        ["library", "failures", "--library", library],
        ["library", "verify", "--library", library],
        ["library", "repair", "--library", library],
        ["library", "forget", video, "--library", library],
    ):
        done = without_network("-m", "soravec", *arguments)
        assert done.returncode == 0, (arguments, done.returncode, done.stderr)
    assert "<img" in page.read_text()
    assert "<img" in following.read_text()
    assert "<img" in why.read_text()
    assert "<img" in watch.read_text()
    assert "<svg" in whole.read_text()


def test_learning_opens_no_socket(without_network, tmp_path):
    pytest.importorskip("torch")
    for label, scene in (("a", 0), ("b", 4)):
        for number in range(4):
            write_scenes(tmp_path / "clips" / label / f"{number}.mp4", [(scene, 1.0)], seed=number)
    run, again, cnn = tmp_path / "run", tmp_path / "again", tmp_path / "cnn"
    settings = ("loop.epochs=1", "data.views=1", "data.duplicates=ignore")
    chosen = [part for setting in settings for part in ("--set", setting)]
    cache = ("--cache", tmp_path / "features")
    for arguments in (
        ["train", tmp_path / "clips", "-o", run, *chosen, *cache, "--no-robustness"],
        ["evaluate", run / "model", tmp_path / "clips", "-o", again, *cache, "--no-robustness"],
        ["classify", tmp_path / "clips" / "a" / "0.mp4", "--model", run / "model"],
        ["explain", tmp_path / "clips" / "a" / "0.mp4", "--model", run / "model", "--regions"],
        ["models", "build", "--cnn", "timm/mobilenetv3_small_050", "--random", "-o", cnn],
    ):
        done = without_network("-m", "soravec", *arguments)
        assert done.returncode == 0, (arguments, done.returncode, done.stderr)
    done = without_network("-m", "soravec", "models", "quantize", cnn, "-o", tmp_path / "int8")
    assert done.returncode in (0, 1), done.returncode  # random weights may not bear eight bits
