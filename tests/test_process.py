import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from soravec.channel import Message
from soravec.errors import WorkerError
from soravec.process import Worker, supervise

CHILD = """
import os, sys, time
import numpy as np
from soravec.channel import Message
from soravec.process import serve

def open_session(setup):
    def work(job, parent):
        what = job.header["what"]
        if what == "die":
            os.kill(os.getpid(), 9)
        if what == "exit":
            print("some last words", file=sys.stderr)
            os._exit(7)
        if what == "hang":
            time.sleep(60)
        if what == "print":
            print("a library that prints to stdout")
        if what == "threads":
            np.ones((600, 600)) @ np.ones((600, 600))
            return Message({"threads": len(os.listdir("/proc/self/task"))})
        if what == "slow":
            for step in range(4):
                time.sleep(0.2)
                parent.tell({"step": step})
        values = job.arrays.get("x", np.zeros(1)) * setup.header["factor"]
        return Message({"kind": "done", "pid": os.getpid()}, {"y": values})
    return work

if __name__ == "__main__":
    serve(open_session)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "child_of_test.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "child_of_test"


def run(child, whats, *, deadline=30.0, num_workers=2, on_progress=None):
    outcomes = supervise(
        Worker(child, Message({"factor": 3})),
        list(enumerate(whats)),
        encode=lambda job: Message({"what": job[1]}, {"x": np.full((2, 3), job[0], np.float32)}),
        deadline_seconds=lambda progress: deadline,
        num_workers=num_workers,
        on_progress=on_progress,
    )
    return {outcome.job[0]: outcome.reply for outcome in outcomes}


def test_arrays_cross_the_pipe_whole(child):
    replies = run(child, ["ok"] * 7)
    assert sorted(replies) == list(range(7))
    for number, reply in replies.items():
        np.testing.assert_array_equal(reply.arrays["y"], np.full((2, 3), 3 * number, np.float32))
    assert len({reply.header["pid"] for reply in replies.values()}) == 2


def test_a_child_that_dies_loses_only_its_job(child):
    replies = run(child, ["ok", "die", "ok", "exit", "ok"])
    assert "SIGKILL" in str(replies[1])
    assert "exit code 7 (some last words)" in str(replies[3])
    assert all(isinstance(replies[n], Message) for n in (0, 2, 4))


def test_a_deadline_kills_only_the_child_that_overran_it(child):
    started = time.monotonic()
    replies = run(child, ["hang", "ok", "ok", "ok"], deadline=1.5)
    assert isinstance(replies[0], WorkerError)
    assert "deadline of 2 s" in str(replies[0])
    assert all(isinstance(replies[n], Message) for n in (1, 2, 3))
    assert time.monotonic() - started < 20


def test_progress_arrives_while_the_job_runs(child):
    seen = []
    run(child, ["slow"], on_progress=lambda job, header: seen.append((job[0], header["step"])))
    assert seen == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_what_a_library_prints_does_not_disturb_the_pipe(child):
    assert isinstance(run(child, ["print"])[0], Message)


def test_a_child_that_cannot_start_is_one_clear_error():
    with pytest.raises(WorkerError, match="No module named"):
        run("soravec.no_such_module", ["ok"])


def test_closing_early_leaves_no_child(child):
    outcomes = supervise(
        Worker(child, Message({"factor": 1})),
        ["ok", "hang", "hang"],
        encode=lambda what: Message({"what": what}),
        deadline_seconds=lambda progress: 60,
        num_workers=2,
    )
    next(outcomes)
    outcomes.close()
    assert children_of(os.getpid(), "child_of_test") == []


def test_children_go_when_their_parent_is_killed(child, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            from soravec.channel import Message
            from soravec.process import Worker, supervise
            worker = Worker("child_of_test", Message({"factor": 1}))
            for _ in supervise(worker, ["ok", "hang", "hang"],
                               encode=lambda what: Message({"what": what}),
                               deadline_seconds=lambda p: 60, num_workers=2):
                print("one", flush=True)
            """
        )
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"one\n"
    born = children_of(parent.pid, "child_of_test")
    assert born
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in born) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in born if alive(pid)]


def children_of(parent, name):
    import psutil

    children = psutil.Process(parent).children(recursive=True)
    return [c.pid for c in children if name in " ".join(c.cmdline())]


def alive(pid):
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_blas_starts_no_threads_in_a_child(child):
    """There is a child per core already; two of them with two threads each took twice the time."""
    assert (
        run(child, ["threads"])[0].header["threads"] == 2
    )  # the one that works, and the one that listens
