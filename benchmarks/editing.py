"""Cut spans out of drawn video: speed and share of what is copied, beside encoding everything.

    python benchmarks/editing.py [--seconds 60] [--codec h264]

Every frame carries its number; the cut is read back, and a wrong frame ends the run.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from soravec.video import EveryFrame, VideoReader, VideoWriter, cut

NUM_BITS = 12
FPS = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="length of the video")
    parser.add_argument("--codec", default="h264", help="h264, hevc or vp9")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suffix = "webm" if arguments.codec == "vp9" else "mp4"
        path = draw(Path(folder) / f"in.{suffix}", arguments.seconds, arguments.codec)
        measure(path, Path(folder) / f"out.{suffix}", arguments.seconds)


def draw(path: Path, seconds: int, codec: str) -> Path:
    """Write frames with moving stripes and their number in black and white."""
    rows, columns = np.mgrid[0:360, 0:640]
    with VideoWriter(path, width=640, height=360, fps=FPS, codec=codec) as writer:
        for number in range(seconds * FPS):
            wave = 127 + 100 * np.sin((columns + 3 * number) / 40) * np.cos(rows / 30)
            image = np.repeat(wave.astype(np.uint8)[..., None], 3, axis=2)
            for bit in range(NUM_BITS):
                image[300:340, bit * 48 : bit * 48 + 48] = 235 if number >> bit & 1 else 16
            writer.write(image)
    return path


def measure(path: Path, out: Path, seconds: int) -> None:
    """Cut at ten places, by copying and by encoding, and print medians."""
    rng = np.random.default_rng(1)
    copied, encoded, shares = [], [], []
    for begin in rng.uniform(0.2, 0.3 * seconds, 10):
        end = float(begin) + 0.6 * seconds
        start = time.perf_counter()
        result = cut(path, out, start_seconds=float(begin), end_seconds=end, overwrite=True)
        copied.append((time.perf_counter() - start) / result.duration_seconds)
        shares.append(result.num_copied / result.num_frames)
        check(out, float(begin), end)
    for _ in range(2):
        start = time.perf_counter()
        result = cut(path, out, end_seconds=0.3 * seconds, fps=FPS, overwrite=True)
        encoded.append((time.perf_counter() - start) / result.duration_seconds)
    print(f"frames copied: {statistics.median(shares):.1%}; every frame where it should be")
    print(f"seconds of video per second: {1 / statistics.median(copied):.0f} cut,", end=" ")
    print(f"{1 / statistics.median(encoded):.0f} encoded")


def check(out: Path, begin: float, end: float) -> None:
    """Compare the numbers in the pictures with those of the span."""
    slack = 0.0006  # as everywhere, times within the rounding of timestamps are the same
    wanted = [
        k
        for k in range(int(end * FPS) + 1)
        if (k + 1) / FPS > begin + slack and k / FPS < end - slack
    ]
    with VideoReader(out) as reader:
        got = [
            sum(int(image[320, bit * 48 + 24, 0] > 126) << bit for bit in range(NUM_BITS))
            for frames in reader.read(EveryFrame())
            for image in frames.images
        ]
    if got != wanted:
        raise SystemExit(
            f"wrong frames: {got[:3]}... to {got[-3:]}, not {wanted[0]} to {wanted[-1]}"
        )


if __name__ == "__main__":
    main()
