"""How many times faster than real time files become vectors, beside peers and beside the limit.

Every measurement is a process of its own (`speed_run.py`); the ways take turns; medians and ratios
are printed, and written to `benchmarks/results/speed.json` with machine, versions and date.

    python benchmarks/speed.py [--corpus DIR] [--data DIR] [--model DIR] [--only 1080p] [--rounds 3]
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from speed_corpus import KINDS, drawn, real
from speed_run import CANNOT_READ

import soravec

WAYS = ("soravec", "torchcodec", "pyav", "opencv", "limit")
SAMPLINGS = ("uniform", "keyframes")
REAL = "240p h264, real clips"
RESULTS = Path(__file__).parent / "results"
CORES = len(os.sched_getaffinity(0))
FILES_PER_CORE = {False: 1, True: 3}
"""How often each file is read under another name, per core: keyframes alone take little time."""


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.corpus or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        kinds = [kind for kind in KINDS if any(part in kind.name for part in arguments.only)]
        if arguments.repeats:
            kinds = [replace(kind, repeats=arguments.repeats) for kind in kinds]
        corpus = {kind.name: drawn(kind, folder) for kind in kinds}
        if arguments.data is not None and any(part in REAL for part in arguments.only):
            corpus[REAL] = real(arguments.data, folder)
        for name, path in corpus.items():
            for sampling in arguments.sampling:
                keyframes = sampling == "keyframes"
                row = measured(name, copies(path, keyframes), arguments, keyframes=keyframes)
                show(row)
                keep(row, RESULTS / arguments.out)


def keep(row, path):
    """Write a row among those that were measured on this machine, in the place of an older one."""
    facts = {"machine": machine(), "date": row["date"], "rows": []}
    if path.exists():
        before = json.loads(path.read_text())
        if before["machine"] == facts["machine"]:
            facts["rows"] = [one for one in before["rows"] if key_of(one) != key_of(row)]
    order = [*(kind.name for kind in KINDS), REAL]
    facts["rows"] = sorted([*facts["rows"], row], key=lambda one: order.index(one["corpus"]))
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(facts, indent=1) + "\n")


def key_of(row):
    return row["corpus"], row["sampling"], row["model"]


def measured(name, files, arguments, *, keyframes):
    """Return the medians of every way on some files."""
    length = sum(soravec.probe(path).duration_seconds for path in files)
    seconds = {way: [] for way in arguments.ways}
    for _ in range(arguments.rounds):
        for way in list(seconds):
            found = run(way, files, arguments.model, keyframes=keyframes)
            if found is None:
                del seconds[way]
            else:
                seconds[way].append(found["seconds"])
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "corpus": name,
        "model": Path(arguments.model).name,
        "sampling": "keyframes" if keyframes else "uniform",
        "video_seconds": length,
        "seconds": seconds,
        "times_real_time": {w: length / statistics.median(t) for w, t in seconds.items()},
    }


def run(way, files, model, *, keyframes):
    """Return what a way says in a process of its own, None where it cannot read the files."""
    script = Path(__file__).with_name("speed_run.py")
    command = [sys.executable, script, way, "--model", model, *files]
    command += ["--keyframes"] if keyframes else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == CANNOT_READ:
        return None
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def show(row):
    """Print one row: times real time, and how many times each of the others that is."""
    speeds = row["times_real_time"]
    ours = speeds["soravec"]
    minutes = row["video_seconds"] / 60
    print(f"\n{row['corpus']}, {row['sampling']}: {minutes:.0f} minutes of video", flush=True)
    for way, speed in speeds.items():
        print(
            f"  {way:<12}{speed:>8.0f} times real time   soravec/{way} {ours / speed:.2f}",
            flush=True,
        )


def copies(path, keyframes):
    """Return a file under several names, with a byte more each: a library knows equal files."""
    made = []
    for number in range(CORES * FILES_PER_CORE[keyframes]):
        copy = path.with_stem(f"{path.stem}-copy{number}")
        if not copy.exists():
            copy.write_bytes(path.read_bytes())
            if number:
                with copy.open("ab") as file:  # a free box of 8 + number bytes
                    file.write((8 + number).to_bytes(4, "big") + b"free" + bytes(number))
        made.append(copy)
    return made


def machine():
    """Return what it was measured on."""
    packages = ("soravec", "av", "lancedb", "openvino", "torch", "timm", "torchcodec", "faiss-cpu")
    installed = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    model = [
        x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")
    ]
    return {
        "processor": model[0].split(":")[1].strip() if model else platform.processor(),
        "cores": CORES,
        "system": platform.platform(),
        "versions": {name: installed[name] for name in packages if name in installed},
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--corpus", type=Path, help="where files are kept; else they are temporary")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--model", default="sora-mini")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="kinds whose names hold one of these"
    )
    parser.add_argument("--repeats", type=int, help="how often what is drawn is repeated in a file")
    parser.add_argument(
        "--sampling", nargs="+", choices=SAMPLINGS, default=SAMPLINGS, help="what is read"
    )
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--out", default="speed.json", help="name of the file of results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
