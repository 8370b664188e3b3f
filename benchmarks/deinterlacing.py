"""How near deinterlaced frames come to the progressive truth, beside FFmpeg's `estdif`.

    python benchmarks/deinterlacing.py PHOTO VIDEO

Each scene is drawn at 50 frames/s by the ffmpeg command, woven to 25 interlaced ones, and one of
these is mended. Printed: PSNR of the luma in dB, and the time that it took.
"""

import argparse
import subprocess
import time

import av
import av.filter
import numpy as np

from soravec.video.interlace import deinterlaced

HEIGHT, WIDTH = 576, 720


def frames(source: list[str], filters: str, count: int) -> list[av.VideoFrame]:
    command = ["ffmpeg", "-v", "error", "-nostdin", *source, "-vf", f"{filters},format=yuv420p"]
    command += ["-frames:v", str(count), "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    stacks = np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT * 3 // 2, WIDTH)
    return [av.VideoFrame.from_ndarray(stack, format="yuv420p") for stack in stacks]


def estdif(frame: av.VideoFrame) -> av.VideoFrame:
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add("buffer", f"video_size={WIDTH}x{HEIGHT}:pix_fmt=yuv420p:time_base=1/25"),
        graph.add("estdif", "mode=frame:parity=tff:deint=all"),
        graph.add("buffersink"),
    ).configure()
    graph.push(frame)
    graph.push(None)
    return graph.pull()


def psnr(frame: av.VideoFrame, truth: av.VideoFrame) -> float:
    luma = [f.to_ndarray(format="yuv420p")[:HEIGHT].astype(float) for f in (frame, truth)]
    return float(10 * np.log10(255**2 / ((luma[0] - luma[1]) ** 2).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo")
    parser.add_argument("video")
    arguments = parser.parse_args()
    still = ["-framerate", "50", "-loop", "1", "-i", arguments.photo]
    size = f"crop={WIDTH}:{HEIGHT}"
    scenes = {
        "test pattern": (["-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r=50"], "null"),
        "panned photograph": (still, f"scale=1200:800,{size}:x=n*4:y=n"),
        "rotating photograph": (still, f"scale=1200:800,rotate=0.03*n,{size}"),
        "video": (["-i", arguments.video], f"scale={WIDTH}:{HEIGHT}"),
    }
    for name, (source, filters) in scenes.items():
        truth = frames(source, filters, 18)[16]
        woven = frames(source, f"{filters},interlace=scan=tff:lowpass=off", 9)[8]
        began = time.process_time()
        ours = deinterlaced(woven)
        middle = time.process_time()
        theirs = estdif(woven)
        costs = (middle - began) * 1e3, (time.process_time() - middle) * 1e3
        print(
            f"{name:20} combed {psnr(woven, truth):.1f}, ours {psnr(ours, truth):.1f} in"
            f" {costs[0]:.0f} ms, estdif {psnr(theirs, truth):.1f} in {costs[1]:.0f} ms"
        )


if __name__ == "__main__":
    main()
