"""Whether every way of sampling real files agrees with reading them straight through.

    python benchmarks/jumps.py --data DIR [--only 'odd/*.mkv'] [--files 40] [--seed 0]

Reads all frames of each file below DIR/odd, and of some below DIR/actions and DIR/fights, then asks
for instants (with jumps), spans, equal parts and keyframes: each frame must come with the time and
the very pixels that it had before. Prints what differs; exits with 1 if anything does. Files that
are refused, and those of more than `--gigapixels`, are counted.
"""

import argparse
import fnmatch
import os
import random
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from soravec.errors import SoravecError
from soravec.video import AtSeconds, EveryFrame, Keyframes, Uniform, VideoReader
from soravec.video.sampling import Sampling

SAME_SECONDS = 0.0006
"""As docs/video.md has it."""

SIZE = (48, 64)
SPAN_SECONDS = 1.5
SUFFIXES = {".avi", ".mp4", ".mkv", ".mpg", ".mpeg", ".webm"}

Shown = list[tuple[float, str]]
"""The seconds and a digest of the pixels of each frame."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SORAVEC_DATA"))
    parser.add_argument("--only", default="*", help="paths below DIR, such as 'odd/*.mkv'")
    parser.add_argument("--files", type=int, default=40, help="clips of actions and fights each")
    parser.add_argument("--gigapixels", type=float, default=3.0, help="the longest file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data names no folder")
    counts: Counter[str] = Counter()
    for path in _chosen(arguments.data, arguments.files, arguments.seed):
        name = str(path.relative_to(arguments.data))
        if not fnmatch.fnmatch(name, arguments.only):
            continue
        rng = random.Random(f"{arguments.seed} {name}")
        try:
            if _gigapixels(path) > arguments.gigapixels:
                counts["too long"] += 1
                continue
            everything, end = _all_frames(path)
        except SoravecError:
            counts["refused"] += 1
            continue
        counts["files"] += 1
        for what in _differences(path, everything, end, rng, counts):
            counts["differences"] += 1
            print(f"{name}: {what}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 1 if counts["differences"] or not counts["files"] else 0


def _chosen(data: Path, num_clips: int, seed: int) -> list[Path]:
    odd = sorted(p for p in (data / "odd").iterdir() if p.suffix not in {".csv", ".md"})
    for folder in ("actions", "fights"):
        clips = sorted(p for p in (data / folder).rglob("*") if p.suffix.lower() in SUFFIXES)
        odd += random.Random(seed).sample(clips, min(num_clips, len(clips)))
    return odd


def _gigapixels(path: Path) -> float:
    with VideoReader(path) as reader:
        info = reader.info
        return info.duration_seconds * max(info.native_fps, 1.0) * info.width * info.height / 1e9


def _all_frames(path: Path) -> tuple[Shown, float]:
    with VideoReader(path) as reader:
        return _read(reader, EveryFrame()), float(reader.shots.bounds[-1, 1])


def _differences(
    path: Path, everything: Shown, end: float, rng: random.Random, counts: Counter[str]
) -> Iterator[str]:
    """Ask in every way, and say where the answer is not that of reading everything."""
    first = everything[0][0]
    for sampling, start in _requests(first, end, rng):
        stop = None if start is None else start + SPAN_SECONDS
        what = f"{sampling} from {start}"
        try:
            with VideoReader(path) as reader:
                got = _read(reader, sampling, start, stop)
        except SoravecError as error:
            yield f"{what}: {type(error).__name__}: {error}"
            continue
        counts["frames"] += len(got)
        if isinstance(sampling, Keyframes):
            others = [frame for frame in got if frame not in everything]
            if others or not got:
                yield f"{what}: {len(others)} of {len(got)} differ: {others[:2]}"
        elif got != (wanted := _wanted(everything, end, sampling, start)):
            pairs = zip(got, wanted, strict=False)
            place = next((n for n, (a, b) in enumerate(pairs) if a != b), len(got))
            yield (
                f"{what}: frame {place} of {len(got)} is {got[place : place + 1]}, should be"
                f" {wanted[place : place + 1]} of {len(wanted)}"
            )


def _requests(
    first: float, end: float, rng: random.Random
) -> Iterator[tuple[Sampling, float | None]]:
    for _ in range(6):
        yield AtSeconds(tuple(sorted(rng.uniform(first, end) for _ in range(3)))), None
    for _ in range(3):
        yield EveryFrame(), rng.uniform(first, end)
    yield Uniform(5), None
    yield Keyframes(), None


def _read(
    reader: VideoReader, sampling: Sampling, start: float | None = None, stop: float | None = None
) -> Shown:
    return [
        (float(seconds), blake2b(image.tobytes(), digest_size=8).hexdigest())
        for batch in reader.read(sampling, size=SIZE, start_seconds=start, end_seconds=stop)
        for image, seconds in zip(batch.images, batch.seconds, strict=True)
    ]


def _wanted(everything: Shown, end: float, sampling: Sampling, start: float | None) -> Shown:
    """Return what must come, picked from all frames."""
    times = [seconds for seconds, _ in everything]

    def on_show(instant: float) -> int:
        return max(bisect_right(times, instant + SAME_SECONDS) - 1, 0)

    if start is not None:
        span = everything[on_show(start) :]
        span = [frame for frame in span if frame[0] < start + SPAN_SECONDS - SAME_SECONDS]
        begins = start if span[0][0] <= start + SAME_SECONDS else span[0][0]
        return [(begins, span[0][1]), *span[1:]]
    if isinstance(sampling, AtSeconds):
        instants = list(sampling.seconds)
    else:
        assert isinstance(sampling, Uniform)
        instants = list(sampling.instants(times[0], end))
    return [everything[place] for place in dict.fromkeys(map(on_show, instants))]


if __name__ == "__main__":
    sys.exit(main())
