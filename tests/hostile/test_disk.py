"""Disks that are full, fail, cannot be written to, or lose their power."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from soravec import Library
from soravec.errors import LibraryError

from .conftest import NUM_VIDEOS
from .ledger import wrong_with_library
from .power import Disk, read_log

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler and Linux"
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", built, source, "-lpthread"]
    subprocess.run(command, check=True)
    return built


def run(root, videos, steps, **shim):
    """Run the driver below the shim, and return how it ended."""
    environment = {**os.environ, "LD_PRELOAD": str(shim.pop("built")), "SHIM_ROOT": str(root)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # children must not change names
    environment |= {f"SHIM_{name.upper()}": str(value) for name, value in shim.items()}
    command = [sys.executable, "-m", "tests.hostile.driver", root / "lib", videos]
    acknowledged = root / "acknowledged.txt" if "log" in shim else root.parent / "acknowledged.txt"
    return subprocess.run(
        [*command, acknowledged, *steps],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def changes_after_the_first(tmp_path, shim, videos, *, skipped):
    """Return between which changes something has been acknowledged and there is more to do."""
    root = tmp_path / "counted" / "disk"
    root.mkdir(parents=True)
    if skipped:
        run(root, videos, STEPS[:skipped], built=shim)
    run(root, videos, STEPS[skipped:], built=shim, log=tmp_path / "counted.log")
    changes = [op for op in read_log(tmp_path / "counted.log") if op[0] != "S"]
    first = next(i for i, op in enumerate(changes) if op[0] == "W" and b"indexed" in op[4])
    return (first, len(changes) - 20)


STEPS = ("add=0.mp4,1.mp4,2.mp4", "forget=1.mp4", "add=3.mp4,4.mp4", "repair", "add=5.mp4,6.mp4")


@pytest.mark.hostile("power loss")
def test_what_was_acknowledged_survives_power_loss(tmp_path, shim, videos, whole, figures, is_long):
    root = tmp_path / "disk"
    root.mkdir()
    done = run(root, videos, STEPS, built=shim, log=tmp_path / "log")
    assert done.returncode == 0, done.stderr
    ops = read_log(tmp_path / "log")
    replayed = Disk(str(root))
    for op in ops:
        replayed.apply(op)
    assert replayed.differs_from_files() == [], "the log is not whole"
    first = next(i for i, op in enumerate(ops) if op[0] == "W" and b"indexed" in op[4])
    rng = random.Random(1)
    for case in range(50 if is_long else 4):
        point, strict = rng.randrange(first if case % 5 else 0, len(ops)), bool(case % 2)
        disk, lines = Disk(str(root)), ""
        for op in ops[:point]:
            disk.apply(op)
            if op[0] == "W" and op[1].endswith("acknowledged.txt"):
                lines += op[4].decode()
        place = tmp_path / f"after{case}"
        place.mkdir()
        disk.write(place, strict=strict)
        wrong = wrong_with_library(place / "lib", lines.splitlines(), videos, whole)
        figures.count(wrong and f"after change {point} of {len(ops)}, strict={strict}: {wrong}")
        figures.note(f"acknowledged before the power went: {len(lines.splitlines())}")
        shutil.rmtree(place)


def test_without_syncing_something_would_be_lost(tmp_path, shim, videos, whole):
    """Else the test above would pass of itself."""
    root = tmp_path / "disk"
    root.mkdir()
    run(root, videos, ("forget-to-sync", STEPS[0]), built=shim, log=tmp_path / "log")
    disk = Disk(str(root))
    for op in read_log(tmp_path / "log"):
        disk.apply(op)
    lines = (root / "acknowledged.txt").read_text().splitlines()
    assert len(lines) > 3
    for strict in (True, False):
        place = tmp_path / f"after-{strict}"
        place.mkdir()
        disk.write(place, strict=strict)
        assert wrong_with_library(place / "lib", lines, videos, whole) is not None


@pytest.mark.parametrize("fault", ["enospc", "eio", "erofs"])
def test_a_disk_that_fails_loses_nothing(tmp_path, shim, videos, whole, fault, request, is_long):
    from .conftest import RESULTS, Figures, keep

    figures = Figures({"enospc": "disk full", "eio": "I/O errors", "erofs": "read-only"}[fault])
    rng = random.Random(fault)
    span = changes_after_the_first(tmp_path, shim, videos, skipped=1 if fault == "erofs" else 0)
    for case in range(30 if is_long else 2):
        root = tmp_path / f"{case}" / "disk"
        root.mkdir(parents=True)
        steps = STEPS
        if fault == "erofs":  # a library that was made before
            run(root, videos, STEPS[:1], built=shim)
            steps = STEPS[1:]
        early, late = (0, 1) if fault == "erofs" and case % 2 else span
        after = rng.randrange(early if case % 3 else 0, late)
        done = run(root, videos, steps, built=shim, fault=fault, after=after)
        acknowledged = root.parent / "acknowledged.txt"
        lines = acknowledged.read_text().splitlines() if acknowledged.exists() else []
        wrong = wrong_with_library(root / "lib", lines, videos, whole)
        if done.returncode == 0:
            figures.note("the fault came too late to be met")
        else:
            figures.note("ended with a message")
            figures.note("of these, after something was acknowledged", bool(len(lines) > 1))
            last = (done.stderr.strip().splitlines() or [""])[-1]
            if not last.startswith("soravec.errors."):
                wrong = wrong or f"no clear message: {last[:300]}"
        figures.count(wrong and f"{fault} after {after}: {wrong}")
        shutil.rmtree(root.parent)
    if RESULTS:
        keep(Path(RESULTS), figures)
    assert not figures.violations, (len(figures.violations), figures.cases, figures.violations[:9])
    assert figures.facts.get("ended with a message")


def test_a_process_that_acknowledges_too_early_is_seen_to_lose(tmp_path, shim, videos, whole):
    """Else the test above would pass of itself."""
    root = tmp_path / "disk"
    root.mkdir()
    done = run(root, videos, ("boast", STEPS[0]), built=shim, fault="enospc", after=120)
    assert done.returncode != 0
    lines = (root.parent / "acknowledged.txt").read_text().splitlines()
    assert wrong_with_library(root / "lib", lines, videos, whole).startswith(("lost", "no library"))


def test_the_library_of_the_driver_is_whole(tmp_path, shim, videos, whole):
    """Else the tests above would look for faults in what is faulty already."""
    root = tmp_path / "disk"
    root.mkdir()
    done = run(root, videos, STEPS, built=shim)
    assert done.returncode == 0, done.stderr
    lines = (root.parent / "acknowledged.txt").read_text().splitlines()
    assert len([line for line in lines if line.startswith("indexed")]) == NUM_VIDEOS - 1
    assert wrong_with_library(root / "lib", lines, videos, whole) is None
    with pytest.raises(LibraryError):
        Library(root / "none", create=False)
