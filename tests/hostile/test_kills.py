"""kill -9 of the whole tree of processes, at any instant of whatever changes a library."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from soravec import Library

from .ledger import wrong_with_library

WORK = {
    "add": ("add=0.mp4,1.mp4,2.mp4,3.mp4,4.mp4,5.mp4,6.mp4",),
    "forget": ("forget=0.mp4", "forget=1.mp4", "forget=2.mp4", "forget=3.mp4"),
    "repair": ("repair",) * 20,
    "optimise and index": ("many=400",),
}
"""What is done while the kill comes, and how."""


def kill_tree(process):
    """Kill a process and all below it, stopped first so that none is born meanwhile."""
    tree = [process, *process.children(recursive=True)]
    for one in tree:
        try:
            one.suspend()
            tree += [child for child in one.children(recursive=True) if child not in tree]
        except psutil.Error:
            continue
    for one in tree:
        try:
            one.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(tree, timeout=20)


@pytest.mark.hostile("kill -9 of the process tree")
def test_kill_9_loses_doubles_and_tears_nothing(
    tmp_path,
    videos,
    whole,
    figures,
    is_long,
):
    base = tmp_path / "base" / "lib"
    with Library(base) as library:
        library.add(videos, progress=False)
    before = [f"indexed {path}" for path in whole[1]]
    rng = random.Random(2)
    spans = dict.fromkeys(WORK, 3.0)
    for case in range(300 if is_long else 12):
        kind = list(WORK)[case % len(WORK)]
        root = tmp_path / f"{case}"
        root.mkdir()
        if kind != "add":
            shutil.copytree(base, root / "lib")
        acknowledged = root / "acknowledged.txt"
        command = [sys.executable, "-m", "tests.hostile.driver", root / "lib", videos, acknowledged]
        process = psutil.Popen([*command, *WORK[kind]], stderr=subprocess.DEVNULL)
        while not acknowledged.exists() or not acknowledged.read_text():  # until it has begun
            time.sleep(0.01)
            assert process.poll() is None
        time.sleep(rng.uniform(0, spans[kind]))
        if process.poll() is None:
            kill_tree(process)
            figures.note(f"killed at: {kind}")
        else:
            spans[kind] *= 0.7  # to hit the work
            figures.note(f"done before it was killed: {kind}")
        process.wait()
        lines = acknowledged.read_text().splitlines() if acknowledged.exists() else []
        lines = lines if kind == "add" else before + lines
        wrong = wrong_with_library(root / "lib", lines, videos, whole)
        figures.count(wrong and f"{kind}, case {case}: {wrong}")
        shutil.rmtree(root)
    assert figures.facts.get("killed at: add"), figures.facts
    assert figures.facts.get("killed at: optimise and index"), figures.facts


def test_a_process_that_acknowledges_too_early_is_seen_to_lose(tmp_path, videos, whole):
    """Else the test above would pass of itself."""
    acknowledged = tmp_path / "acknowledged.txt"
    command = [sys.executable, "-m", "tests.hostile.driver", tmp_path / "lib", videos, acknowledged]
    process = psutil.Popen([*command, "boast", *WORK["add"]], stderr=subprocess.DEVNULL)
    while not acknowledged.exists() or "indexed" not in acknowledged.read_text():
        time.sleep(0.01)
        assert process.poll() is None
    kill_tree(process)
    lines = acknowledged.read_text().splitlines()
    assert wrong_with_library(tmp_path / "lib", lines, videos, whole).startswith("lost: ")


@pytest.mark.hostile("one writer, eight readers")
def test_readers_see_whole_videos_only(tmp_path, videos, whole, figures, is_long):
    path = tmp_path / "lib"
    with Library(path) as library:
        library.add(videos / "0.mp4", progress=False)
    until = time.time() + (600 if is_long else 40)
    reader = (
        "import sys, time\nfrom tests.hostile.test_kills import read_on\nread_on(*sys.argv[1:])\n"
    )
    counts = json.dumps(Counter(video_id for video_id, _ in whole[0]))
    command = [sys.executable, "-c", reader, path, videos, str(until), counts]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    with Library(path) as library:
        while time.time() < until - 5:
            library.add(videos, progress=False)
            for number in range(1, 8):
                if time.time() < until - 5:
                    library.forget(videos / f"{number}.mp4")
            library.repair()
            figures.note("rounds of the writer")
    for one in readers:
        out, _ = one.communicate(timeout=120)
        lines = out.splitlines()
        assert one.returncode == 0, out
        assert lines[-1].startswith("looked "), lines
        figures.note("libraries of different size, seen by a reader", int(lines[-1].split()[3]))
        for line in lines[:-1]:
            figures.count(line)
        for _ in range(int(lines[-1].split()[1])):
            figures.count()
    assert figures.cases >= 40
    assert figures.facts["rounds of the writer"] >= 1
    assert figures.facts["libraries of different size, seen by a reader"] > 8, "none saw a change"


def read_on(path, videos, until, counts):
    """Look at a library again and again, and print what is not consistent in itself."""
    until, counts = float(until), json.loads(counts)
    looked, sizes = 0, set()
    while time.time() < until:
        with Library(path, create=False) as library:
            library._mend_if_free = lambda *_: None  # a reader that never writes
            for _ in range(20):
                if time.time() > until:
                    break
                stored = library.catalogue.rows(
                    "SELECT v.video_id, count(*) FROM embeddings e JOIN videos v"
                    " ON v.key = e.video_key JOIN segments s ON s.video_key = v.key"
                    " GROUP BY v.video_id"
                )
                hits = library.search(video=Path(videos) / "0.mp4", k=30)
                if torn := [one for one in stored if counts[one[0]] != one[1]]:
                    print(f"torn: {torn}", flush=True)  # noqa: T201
                if not hits or hits[0].score < 0.99 or not hits[0].path.endswith("/0.mp4"):
                    print(f"not found: {hits[:1]}", flush=True)  # noqa: T201
                if any(not hit.path or hit.end_seconds <= hit.start_seconds for hit in hits):
                    print(f"half a hit: {hits}", flush=True)  # noqa: T201
                looked += 1
                sizes.add(len(stored))
    print(f"looked {looked} sizes {len(sizes)}", flush=True)  # noqa: T201
