"""What a confined child cannot do, each tried in one."""

import os
import platform
import subprocess
import sys
import time

import numpy as np
import pytest

from soravec.channel import Message
from soravec.errors import WorkerError
from soravec.process import Worker, supervise
from soravec.sandbox import ChildLimits, child_environment

CHILD = """
import ctypes, fcntl, mmap, os, resource, socket, subprocess, threading, time
from soravec.channel import Message
from soravec.process import serve

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "system call")

def run_thread():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()

def hold(num_bytes):
    # Not data of its own, so that RLIMIT_DATA does not count it.
    region = mmap.mmap(-1, num_bytes, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for begin in range(0, num_bytes, 4096):
        region[begin] = 1
    time.sleep(60)

def burn():
    while True:
        pass

def leak():
    return [os.open(os.devnull, os.O_RDONLY) for _ in range(10_000)]

def open_session(setup):
    def work(job, parent):
        deed, folder = job.header["deed"], job.header["folder"]
        try:
            eval(deed, globals() | {"folder": folder})
        except OSError as error:
            return Message({"kind": "done", "refused": True, "error": str(error)})
        except (MemoryError, ValueError) as error:
            return Message({"kind": "done", "refused": True, "error": type(error).__name__})
        return Message({"kind": "done", "refused": False, "environment": dict(os.environ)})
    return work

if __name__ == "__main__":
    serve(open_session)
"""

linux = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the filter is Linux's",
)


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """Return a function that has one confined child do things, and returns what it says of each."""
    (tmp_path / "child_of_sandbox.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("kept")

    def run(*deeds, limits=ChildLimits(), deadline=30.0):  # noqa: B008  # frozen
        outcomes = supervise(
            Worker("child_of_sandbox", Message({}), limits),
            deeds,
            encode=lambda deed: Message({"deed": deed, "folder": str(folder)}),
            deadline_seconds=lambda progress: deadline,
            num_workers=1,
        )
        return [outcome.reply for outcome in outcomes]

    return run


def state(path):
    status = path.stat()
    return status.st_mode, status.st_nlink, status.st_uid, status.st_mtime_ns, status.st_ctime_ns


FORBIDDEN = (
    "socket.socket()",
    "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
    "socket.socket(socket.AF_UNIX)",
    "subprocess.run(['true'])",
    "os.fork()",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "os.execv('/bin/true', ['true'])",
    "open(folder + '/new', 'w')",
    "open(folder + '/file', 'a')",
    "open(folder + '/file', 'r+')",
    "os.open(folder + '/file', os.O_RDONLY | os.O_TRUNC)",
    "os.truncate(folder + '/file', 0)",
    "os.unlink(folder + '/file')",
    "os.rename(folder + '/file', folder + '/other')",
    "os.link(folder + '/file', folder + '/other')",
    "os.symlink(folder + '/file', folder + '/linked')",
    "os.mkdir(folder + '/made')",
    "os.rmdir(folder)",
    "os.mkfifo(folder + '/pipe')",
    "os.chmod(folder + '/file', 0o777)",
    "os.chown(folder + '/file', os.getuid(), os.getgid())",
    "os.utime(folder + '/file')",
    "os.setxattr(folder + '/file', 'user.x', b'')",
    "os.kill(os.getppid(), 0)",
    "os.kill(-1, 0)",
    "os.pidfd_open(os.getppid())",
    "libc.ptrace(16, os.getppid(), 0, 0) and call(-1)",
    "call(425, 8, ctypes.create_string_buffer(120))",  # io_uring, which opens and sends by itself
    "call(437, -100, (folder + '/new').encode(), ctypes.create_string_buffer(24), 24)",  # openat2
    "socket.socketpair()",
    "os.memfd_create('x')",
    "call(129 if os.uname().machine == 'x86_64' else 138, os.getppid(), 0, None)",  # sigqueue
    "call(29 if os.uname().machine == 'x86_64' else 194, 0, 4096, 0o1600)",  # shmget
    "call(240 if os.uname().machine == 'x86_64' else 180, b'x', os.O_CREAT | os.O_RDWR, 384, 0)",
    "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    "os.setpriority(os.PRIO_PROCESS, os.getppid(), 0)",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (10**6, 10**6))",
    "open(f'/proc/{os.getppid()}/environ').read()",
    "open(f'/proc/{os.getppid()}/maps').read()",
    "os.readlink(f'/proc/{os.getppid()}/fd/0')",
    "os.readlink(f'/proc/{os.getppid()}/cwd')",
    "leak()",
    "bytearray(5 * 2**30)",
)


HARMFUL = {
    deed
    for deed in FORBIDDEN
    for word in (
        "fork",
        "execv",
        "kill(-1",
        "unlink",
        "rename",
        "rmdir",
        "ptrace",
        "leak",
        "call(",
        "rlimit",
    )
    if word in deed
}
"""What would end a child that could do it, spoil the rest, or needs root."""


@linux
def test_nothing_forbidden_can_be_done(tried, tmp_path):
    before = state(tmp_path / "folder" / "file")
    for deed, reply in zip(FORBIDDEN, tried(*FORBIDDEN), strict=True):
        assert isinstance(reply, Message), (deed, reply)
        assert reply.header["refused"], deed
    assert [one.name for one in (tmp_path / "folder").iterdir()] == ["file"]
    assert (tmp_path / "folder" / "file").read_text() == "kept"
    assert state(tmp_path / "folder" / "file") == before


@linux
def test_each_of_them_can_be_done_by_a_child_that_is_trusted(tried):
    """Else the test above would pass of itself."""
    could = (
        *(deed for deed in FORBIDDEN if deed not in HARMFUL),
        "open(folder + '/new', 'w')",
        "os.rename(folder + '/new', folder + '/again')",
    )
    for deed, reply in zip(could, tried(*could, limits=None), strict=True):
        assert reply.header.get("refused") is False, deed


@linux
def test_what_decoding_needs_can_still_be_done(tried):
    needed = ("open(folder + '/file').read()", "run_thread()", "os.kill(os.getpid(), 0)")
    for deed, reply in zip(needed, tried(*needed), strict=True):
        assert reply.header["refused"] is False, deed


@linux
def test_memory_that_is_no_data_is_seen_by_the_parent(tried):
    (reply,) = tried("hold(600 * 2**20)", limits=ChildLimits(memory_bytes=400 * 2**20))
    assert isinstance(reply, WorkerError)
    assert "of memory where 400 are allowed" in str(reply)


@linux
def test_a_parent_that_does_not_look_is_no_way_out(tried, monkeypatch):
    """The kernel ends a child that computes beyond its deadline, even if the parent would not."""
    monkeypatch.setattr("soravec.process.cap_cpu_seconds", lambda pid, seconds: cap(pid, 1.0))
    from soravec.sandbox import cap_cpu_seconds as cap

    started = time.monotonic()
    (reply,) = tried("burn()", deadline=300.0)
    assert isinstance(reply, WorkerError)
    assert "SIGXCPU" in str(reply)
    assert time.monotonic() - started < 60


def test_no_secret_reaches_a_child(tried, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hush@proxy")
    (reply,) = tried("None", limits=None)
    assert "hush" not in str(reply.header)
    assert reply.header["environment"]["PATH"] == os.environ["PATH"]


def test_what_is_kept_of_an_environment():
    given = {"PATH": "/bin", "LC_ALL": "C", "Path": "x", "GITHUB_TOKEN": "hush", "SORAVEC_X": "1"}
    kept = child_environment(given)
    assert {"PATH", "LC_ALL", "Path"} <= kept.keys()
    assert not {"GITHUB_TOKEN", "SORAVEC_X"} & kept.keys()


MEAN = """
import os, struct, sys, time
from soravec import process
from soravec.process import serve
from soravec.channel import Message

taken = process._private_pipe

def taking():
    source, sink = taken()
    globals().update(channel=(source, sink))
    return source, sink

process._private_pipe = taking

def frame(text, lies=None):
    data = text.encode("utf-8", "surrogatepass")
    channel[1].write(struct.pack(">I", len(data) if lies is None else lies) + data)
    channel[1].flush()

def open_session(setup):
    def work(job, parent):
        exec(job.header["deed"], globals() | {"parent": parent})
        time.sleep(60)
    return work

serve(open_session)
"""

MEAN_DEEDS = (
    "frame('nonsense')",
    "frame('{}')",
    "frame('[]')",
    'frame(\'{"header": 1, "arrays": []}\')',
    "frame('[' * 100_000)",
    "frame('{', lies=2**32 - 1)",
    "channel[1].close(); os.close(1)",
    "os.kill(os.getpid(), 40)",
    'frame(\'{"header": {"kind": "progress", "duration_seconds": "x"}, "arrays": []}\')',
    "parent.tell({'duration_seconds': -1e300})",
    "parent.tell({'duration_seconds': float('nan')})",
    "parent.tell({'duration_seconds': float('inf')})",
    "parent.tell({'duration_seconds': [1]})",
    "parent.ask({'what': 'bytes', 'position': float('inf'), 'num_bytes': 1})",
    *(
        f'frame(\'{{"header": {{}}, "arrays": [["x", "{dtype}", {shape}]]}}\')'
        for dtype, shape in (
            ("<f4", "[1000000000000]"),
            ("<f4", "[4611686018427387904, 4]"),
            ("<f4", "[-1]"),
            ("<f4", '"much"'),
            ("<f4", "[400000000]"),
            ("2f4,(", "[1]"),
            ("O", "[1]"),
        )
    ),
)
"""What a child may say whose decoder was taken over."""


def test_whatever_a_child_says_the_run_goes_on(tmp_path, monkeypatch):
    (tmp_path / "mean_child.py").write_text(MEAN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def answer(deed, header, go_on):
        return Message({}, {"x": np.zeros(int(header["position"]))})

    started = time.monotonic()
    outcomes = list(
        supervise(
            Worker("mean_child", Message({})),
            MEAN_DEEDS,
            encode=lambda deed: Message({"deed": deed}),
            deadline_seconds=lambda said: 5.0 + 0 * float(said.get("duration_seconds", 0.0)),
            num_workers=2,
            answer=answer,
        )
    )
    assert sorted(outcome.job for outcome in outcomes) == sorted(MEAN_DEEDS)
    for outcome in outcomes:
        assert isinstance(outcome.reply, WorkerError), (outcome.job, outcome.reply)
    assert time.monotonic() - started < 120


@linux
def test_what_the_kernel_does_not_offer_is_said():
    """In a process of its own, for a domain is for good."""
    code = (
        "import threading, time; from soravec import sandbox\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print(sandbox.withdraw())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the memory and environment of other processes are not shut off" in done.stdout
    assert "there are other threads" in done.stdout
