"""Short by default; `make hostile` sets SORAVEC_HOSTILE=long and keeps the figures.

Every test says how many cases it tried and what went wrong in which; `figures` collects that, and
fails the test where anything did.
"""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soravec import Library
from tests.library.conftest import vectors_of, write_scenes

IS_LONG = os.environ.get("SORAVEC_HOSTILE") == "long"
NUM_VIDEOS = 8
RESULTS = os.environ.get("SORAVEC_HOSTILE_RESULTS")


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/hostile" in str(item.path):
            item.add_marker(pytest.mark.slow)
            if IS_LONG:
                item.add_marker(pytest.mark.timeout(4 * 3600))


@pytest.fixture(scope="session")
def is_long():
    return IS_LONG


class Figures:
    """What a test tried, and in which cases it was violated."""

    def __init__(self, name):
        self.name = name
        self.cases = 0
        self.violations = []
        self.facts = {}

    def count(self, violation=None):
        """Count a case, and what was wrong with it."""
        self.cases += 1
        if violation:
            self.violations.append(str(violation))

    def note(self, fact, number=1):
        """Count something that is no violation, and worth telling."""
        self.facts[fact] = self.facts.get(fact, 0) + number


@pytest.fixture
def figures(request):
    found = Figures(request.node.get_closest_marker("hostile").args[0])
    yield found
    assert found.cases, "nothing was tried"
    if RESULTS:
        keep(Path(RESULTS), found)
    assert not found.violations, (len(found.violations), found.cases, found.violations[:10])


def keep(path, found):
    """Write the figures of a test among those of the others."""
    facts = json.loads(path.read_text()) if path.exists() else {"tests": {}}
    facts["machine"] = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
    }
    facts["tests"][found.name] = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "cases": found.cases,
        "violations": len(found.violations),
        "facts": found.facts,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def _commit():
    """Return the short name of the commit that is tried; empty outside of a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS):
        plan = [((number + step) % 12, 0.8) for step in (0, 3, 7)]  # of three segments each
        write_scenes(folder / f"{number}.mp4", plan, seed=number)
    return folder


@pytest.fixture(scope="session")
def whole(videos, tmp_path_factory):
    """What a library of all of them holds: vectors by identity, and identities by path."""
    with Library(tmp_path_factory.mktemp("whole") / "x.library") as library:
        library.add(videos, progress=False)
        rows = library.catalogue.rows(
            "SELECT p.path, v.video_id FROM paths p JOIN videos v ON v.key = p.video_key"
        )
        return vectors_of(library), dict(rows)
