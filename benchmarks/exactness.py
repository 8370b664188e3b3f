"""Whether every sampled frame is the one that it claims to be, at the time that it claims.

    python benchmarks/exactness.py [--only 'uneven/*'] [--requests 6]

Writes the whole corpus of `tests/video` file by file (codecs x containers x cases, each frame with
its number and time drawn into it), reads each in every way of sampling, whole and over random
spans, and compares what comes with the contract of docs/video.md. Prints a line per codec,
container and group, and every failure; exits with 1 if there is one.
"""

import argparse
import fnmatch
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.video.corpus import CASES
from tests.video.damaged import DAMAGED
from tests.video.foreign import FOREIGN
from tests.video.judge import failures, requests
from tests.video.making import ENCODERS
from tests.video.misled import MISLED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", help="names of files, such as 'uneven/*.mkv'")
    parser.add_argument("--requests", type=int, default=6, help="random spans for each file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.monotonic()
    files: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for name, write in {**CASES, **DAMAGED, **FOREIGN, **MISLED}.items():
        if not fnmatch.fnmatch(name, arguments.only):
            continue
        kind = _kind(name)
        folder = Path(tempfile.mkdtemp())
        try:
            path, truth = write(folder)
            asked = requests(truth, num_random=arguments.requests, seed=arguments.seed)
            checked, found = failures(path, truth, asked)
        finally:
            shutil.rmtree(folder)
        files[kind] += 1
        frames[kind] += checked
        bad[kind] += len(found)
        for problem in found[:4]:
            print(f"    {name}: {problem}", flush=True)
    print(f"{'group':14} {'codec':10} {'container':9} {'files':>5} {'frames':>8} {'failures':>8}")
    for kind in files:
        group, codec, container = kind.split()
        print(f"{group:14} {codec:10} {container:9} {files[kind]:5} {frames[kind]:8} {bad[kind]:8}")
    print(
        f"{files.total()} files, {frames.total()} frames checked, {bad.total()} failures,"
        f" {time.monotonic() - began:.0f} s"
    )
    return 1 if bad.total() or not files else 0


def _kind(name: str) -> str:
    """Return group, codec and container of a file; H.264 where the name does not say."""
    group, rest = name.split("/")
    stem, container = rest.rsplit(".", 1)
    words = stem.split("-")
    codec = next((word for word in words if word in ENCODERS), "h264")
    if group in {"foreign", "seldom"}:
        codec = words[0]
    if group == "stills":
        codec = container
    return f"{group} {codec} {container}"


if __name__ == "__main__":
    sys.exit(main())
