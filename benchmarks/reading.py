"""How fast a file is decoded, and what sampling, scaling and finding cuts add to it.

    python benchmarks/reading.py [FILE]

Without a file, 60 s of moving scenes are drawn: 480x360, H.264, 25 frames/s. One core; the kinds
of reading take turns, and medians are printed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av

from soravec.data.generated import SCENES, render
from soravec.data.scenes import paint
from soravec.video import AtRate, Keyframes, VideoReader, VideoWriter, probe


def draw(path: Path) -> None:
    worlds = [paint(SCENES[number]) for number in (4, 6, 10)]
    with VideoWriter(path, width=480, height=360, fps=25) as writer:
        for shot in range(10):
            for image in render(worlds[shot % 3], 150, width=480, height=360, seed=shot):
                writer.write(image)


def decode_only(path: Path) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def read_with_cuts(path: Path) -> None:
    with VideoReader(path) as reader:
        for _ in reader.read(AtRate(2), size=(224, 224)):
            pass


def read_keyframes(path: Path) -> None:
    with VideoReader(path) as reader:
        for _ in reader.read(Keyframes(), size=(224, 224)):
            pass


KINDS: dict[str, Callable[[Path], None]] = {
    "decode only": decode_only,
    "2 frames/s at 224x224, with cuts": read_with_cuts,
    "keyframes at 224x224": read_keyframes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "drawn.mp4"
        if arguments.file is None:
            draw(path)
        with av.open(str(path)) as container:
            num_frames = sum(p.size > 0 for p in container.demux(video=0))
        info = probe(path)
        print(f"{info.width}x{info.height} {info.codec}, {num_frames} frames")
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(arguments.rounds):
            for kind, run in KINDS.items():
                began = time.perf_counter()
                run(path)
                seconds[kind].append(time.perf_counter() - began)
    medians = {kind: statistics.median(times) for kind, times in seconds.items()}
    for kind, median in medians.items():
        ratio = median / medians["decode only"]
        print(f"{kind:34} {num_frames / median:8.0f} frames/s, {ratio:.2f} of decode only")


if __name__ == "__main__":
    main()
