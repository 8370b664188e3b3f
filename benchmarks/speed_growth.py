"""How time and memory grow: with the number of files, with the length of one, with what is stored.

Times and peaks (the proportional set size of the process tree) are fitted by a power, a line
through their logarithms; the exponent is printed, and that between the last two sizes, where what
is paid once no longer hides it.

    python benchmarks/speed_growth.py [--files 1000] [--minutes 180] [--segments 1000000]
"""

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from memory import peak_bytes
from recall import clustered
from speed import RESULTS, machine
from speed_search import composed, library, moments, queries_near

from soravec.data.generated import SCENES, render
from soravec.video import VideoWriter
from soravec.video.editing.write import repeat_video

SEARCHES = 30


def main():
    arguments = parse()
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found += by_files(folder, up_to(arguments.files, 1))
        found += by_length(folder, up_to(arguments.minutes, 1))
    found += by_segments(up_to(arguments.segments, 1000))
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "rows": found}
    (RESULTS / "growth.json").write_text(json.dumps(facts, indent=1) + "\n")


def up_to(most, least):
    """Return sizes from `least` to `most`, about ten times apart."""
    steps = max(1, round(np.log10(most / least)))
    return np.unique(np.geomspace(least, most, steps + 1).round().astype(int)).tolist()


def by_files(folder, sizes):
    """Index folders of short clips, of different content each."""
    clip = folder / "clip.mp4"
    with VideoWriter(clip, width=160, height=120, fps=25.0) as writer:
        for image in render(SCENES[0], 100, width=160, height=120, seed=0):
            writer.write(image)
    seconds, peaks = [], []
    for size in sizes:
        clips = folder / f"{size} clips"
        clips.mkdir()
        for number in range(size):  # a free box of its own content makes each another file
            box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
            (clips / f"{number}.mp4").write_bytes(clip.read_bytes() + box)
        indexed(clips, folder / f"files{size}.library", seconds, peaks)
    return [fitted("index, by files", sizes, seconds, peaks)]


def by_length(folder, sizes):
    """Index one file, longer and longer."""
    minute = folder / "minute.mp4"
    with VideoWriter(minute, width=160, height=120, fps=25.0) as writer:
        for shot in range(6):
            for image in render(SCENES[shot], 250, width=160, height=120, seed=shot):
                writer.write(image)
    seconds, peaks = [], []
    for size in sizes:
        video = folder / f"{size} minutes.mp4"
        repeat_video(minute, video, size)
        indexed(video, folder / f"minutes{size}.library", seconds, peaks)
    return [fitted("index, by minutes of one file", sizes, seconds, peaks)]


def indexed(path, library, seconds, peaks):
    began = time.perf_counter()
    peaks.append(peak_bytes(path, library))
    seconds.append(time.perf_counter() - began)


def by_segments(sizes):
    """Store and search more and more segments."""
    storing, searching = [], []
    for size in sizes:
        rng = np.random.default_rng(0)
        vectors = composed(clustered(rng, size))
        with tempfile.TemporaryDirectory() as temporary:
            began = time.perf_counter()
            catalogue, store = library(Path(temporary), vectors)
            storing.append(time.perf_counter() - began)
            queries = queries_near(vectors, SEARCHES, rng)
            moments(catalogue, store, queries[0], None)
            began = time.perf_counter()
            for query in queries:
                moments(catalogue, store, query, None)
            searching.append((time.perf_counter() - began) / SEARCHES)
            catalogue.close()
    return [
        fitted("store and make the index, by segments", sizes, storing),
        fitted("search, by segments", sizes, searching),
    ]


def fitted(name, sizes, seconds, peaks=()):
    """Print and return sizes, times and exponents."""
    row = {"name": name, "sizes": sizes, "seconds": seconds, "peak_bytes": list(peaks)}
    print(f"\n{name}")
    for number, size in enumerate(sizes):
        peak = f"  {peaks[number] / 2**20:8.0f} MiB" if peaks else ""
        print(f"{size:>10} {seconds[number]:10.3f} s{peak}")
    for label, values in (("time", seconds), ("memory", peaks)):
        if not values:
            continue
        row[f"{label}_exponent"] = exponent(sizes, values)
        row[f"last_{label}_exponent"] = exponent(sizes[-2:], values[-2:])
        print(
            f"{label} grows with the power {row[f'{label}_exponent']:.2f},"
            f" at the end {row[f'last_{label}_exponent']:.2f}",
            flush=True,
        )
    return row


def exponent(sizes, values):
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--minutes", type=int, default=180)
    parser.add_argument("--segments", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
