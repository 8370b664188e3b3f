"""kill -9 at random instants of an index run. $SORAVEC_TEST_KILLS sets how many (5 by default)."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from soravec import Library

from .conftest import rows_of, vectors_of, write_scenes

NUM_KILLS = int(os.environ.get("SORAVEC_TEST_KILLS", "5"))
NUM_VIDEOS = 24


@pytest.fixture(scope="module")
def many_videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    for number in range(NUM_VIDEOS):
        plan = [(number % 12, 1.5), ((number + 5) % 12, 1.0)]
        write_scenes(folder / f"{number:02}.mp4", plan, seed=number)
    return folder


def start(videos, library):
    return subprocess.Popen(
        [sys.executable, "-m", "soravec", "index", videos, "--library", library, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def acknowledged_in(output):
    lines = [json.loads(line) for line in output.splitlines() if line.endswith("}")]
    return {line["path"] for line in lines if line.get("status") == "indexed"}


@pytest.mark.slow
def test_kill_9_loses_and_doubles_nothing_that_was_acknowledged(many_videos, tmp_path):
    whole = Library(tmp_path / "whole.library")
    started = time.monotonic()
    whole.add(many_videos, progress=False)
    run_seconds = time.monotonic() - started
    rng = random.Random(0)
    path = tmp_path / "killed.library"
    acknowledged, kills = set(), 0
    while kills < NUM_KILLS:
        process = start(many_videos, path)
        time.sleep(rng.uniform(0, 1.2 * run_seconds + 0.5))
        killed = process.poll() is None
        process.send_signal(signal.SIGKILL)
        acknowledged |= acknowledged_in(process.communicate()[0])
        kills += killed
        if not (path / "catalogue.db").exists():
            continue
        with Library(path, create=False) as library:
            _, paths = rows_of(library)
            assert acknowledged <= {name for name, _ in paths}
            assert len({name for name, _ in paths}) == len(paths)
            if acknowledged:
                name = sorted(acknowledged)[-1]
                assert library.search(video=name, k=1)[0].score == pytest.approx(1, abs=1e-3)
                assert library.verify() == []
        if not killed:  # that run came to its end: begin anew, so that every kill hits work
            path = tmp_path / f"killed-{kills}.library"
            acknowledged = set()
    done = start(many_videos, path)
    counts = json.loads(done.communicate()[0].splitlines()[-1])
    assert counts["indexed"] + counts["unchanged"] == NUM_VIDEOS
    with Library(path, create=False) as library:
        assert library.verify() == []
        assert rows_of(library) == rows_of(whole)
        found, expected = vectors_of(library), vectors_of(whole)
        assert found.keys() == expected.keys()
        assert min(float(found[key] @ expected[key]) for key in found) > 0.9999


@pytest.mark.slow
def test_ctrl_c_loses_nothing_that_was_done(many_videos, tmp_path):
    path = tmp_path / "interrupted.library"
    process = start(many_videos, path)
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    acknowledged = acknowledged_in(first + rest)
    assert acknowledged
    with Library(path, create=False) as library:
        assert acknowledged <= {name for name, _ in rows_of(library)[1]}
        assert library.verify() == []
