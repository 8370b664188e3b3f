"""Peak memory of `soravec index` over the process tree: a one-hour video beside a one-minute one.

The two runs alternate. Memory is the proportional set size: what processes share counts once.

    python benchmarks/memory.py [--minutes 60] [--repeats 2]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from soravec.data.generated import SCENES, render
from soravec.video import VideoWriter
from soravec.video.editing.write import repeat_video


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        minute, hour = folder / "minute.mp4", folder / "hour.mp4"
        with VideoWriter(minute, width=480, height=360, fps=25.0) as writer:
            for number in range(6):
                for image in render(SCENES[number], 250, width=480, height=360, seed=number):
                    writer.write(image)
        repeat_video(minute, hour, arguments.minutes)
        peaks = {minute: [], hour: []}
        for repeat in range(arguments.repeats):
            for video in (minute, hour):
                started = time.perf_counter()
                peak = peak_bytes(video, folder / f"{video.stem}{repeat}.library")
                took = time.perf_counter() - started
                peaks[video].append(peak)
                print(f"{video.stem}: peak {peak / 2**20:.0f} MiB in {took:.1f} s", flush=True)
        one, many = (statistics.median(peaks[video]) for video in (minute, hour))
        print(f"{arguments.minutes} minutes / 1 minute: {many / one:.3f}")


def peak_bytes(video, library):
    """Return the largest summed proportional set size of the run's processes."""
    command = [sys.executable, "-m", "soravec", "index", video, "--library", library]
    process = psutil.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        total = 0
        try:
            for one in [process, *process.children(recursive=True)]:
                total += one.memory_full_info().pss
        except psutil.Error:
            continue
        peak = max(peak, total)
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"soravec index failed with {process.returncode}")
    return peak


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
