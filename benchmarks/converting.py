"""What it costs to turn one decoded frame into a picture of 224x224, and how much memory.

    python benchmarks/converting.py

Frames are made of noise in each size and format; medians of the processor time of nine rounds are
printed, and by how much the peak of the process's memory rose above the frame itself.
"""

import argparse
import statistics
import time
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np

from soravec.video.convert import Converter

SIZES = {"480x360": (360, 480), "1080p": (1080, 1920), "4K": (2160, 3840), "8K": (4320, 7680)}
KINDS = {
    "8-bit 4:2:0": ("yuv420p", 2, False),
    "10-bit 4:2:0": ("yuv420p10le", 2, False),
    "10-bit PQ": ("yuv420p10le", 16, False),
    "8-bit interlaced": ("yuv420p", 2, True),
}


def peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def noise(height: int, width: int, pixel_format: str, transfer: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    rng = np.random.default_rng(0)
    limit = 256 if frame.format.components[0].bits == 8 else 1024
    for plane in frame.planes:
        samples = np.frombuffer(memoryview(plane), np.uint8 if limit == 256 else np.uint16)
        # One line of noise, repeated: a gradient of brightness would do as well.
        samples[:] = np.resize(rng.integers(0, limit, 4099), samples.size)
    frame.color_trc = transfer
    return frame


def comb(frame: av.VideoFrame) -> None:
    for plane in frame.planes:
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        lines[0::2, : plane.width // 4], lines[1::2, : plane.width // 4] = 40, 200


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    out = np.empty((224, 224, 3), np.uint8)
    for kind, (pixel_format, transfer, interlaced) in KINDS.items():
        for name, (height, width) in SIZES.items():
            frame = noise(height, width, pixel_format, transfer)
            if interlaced:
                comb(frame)
            converter = Converter((224, 224), "squash")
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (Linux)
            before = peak_mb()
            times = []
            for _ in range(9):
                began = time.process_time()
                converter.convert(_flagged(frame) if interlaced else frame, out)
                times.append(time.process_time() - began)
            grown = peak_mb() - before
            print(f"{kind:18} {name:8} {statistics.median(times) * 1e3:7.2f} ms, +{grown:.0f} MB")


def _flagged(frame: av.VideoFrame) -> av.VideoFrame:
    """Return the frame flagged as interlaced, by FFmpeg's own filter; the planes are shared."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
        ),
        graph.add("setfield", "tff"),
        graph.add("buffersink"),
    ).configure()
    graph.push(frame)
    return graph.pull()


if __name__ == "__main__":
    main()
