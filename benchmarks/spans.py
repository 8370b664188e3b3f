"""How often a span, cut out of an indexed long video and encoded anew, finds its place in it.

Long videos are made of generated scenes, and of real clips joined, where there are some.

    python benchmarks/spans.py [--data DIR] [--spans 50] [--seed 0]
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

import soravec
from soravec.data.generated import SCENES, join_clips, render
from soravec.video import EveryFrame, VideoReader, VideoWriter


def main():
    arguments = parse()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        videos = [*generated(folder, rng), *joined(folder, rng, arguments.data)]
        library = soravec.Library(folder / "spans.library")
        report = library.add(videos)
        print(
            f"{report.indexed} videos, {report.video_seconds / 60:.0f} minutes,"
            f" {report.segments} segments"
        )
        lengths = {video: soravec.probe(video).duration_seconds for video in videos}
        found = {"overlaps": 0, "same video": 0}
        for number in range(arguments.spans):
            video = videos[rng.integers(len(videos))]
            length = rng.uniform(3.0, 12.0)
            start = rng.uniform(0, lengths[video] - length)
            clip = cut(video, start, start + length, folder / f"clip{number}.webm")
            hit = library.search(video=clip, k=1)[0]
            same = Path(hit.path) == video
            overlaps = same and hit.start_seconds < start + length and start < hit.end_seconds
            found["same video"] += same
            found["overlaps"] += overlaps
            if not overlaps:
                print(
                    f"missed: {video.name} [{start:.1f}, {start + length:.1f}) ->"
                    f" {Path(hit.path).name} [{hit.start_seconds:.1f}, {hit.end_seconds:.1f})"
                    f" score {hit.score:.3f}"
                )
        print(
            f"top hit overlaps the true span: {found['overlaps']} of {arguments.spans};"
            f" lies in the right video: {found['same video']}"
        )


def generated(folder, rng):
    """Write four videos of ten shots each, scenes recurring with other motion."""
    videos = []
    for number in range(4):
        path = folder / f"generated{number}.mp4"
        with VideoWriter(path, width=320, height=240, fps=25.0) as writer:
            for _ in range(10):
                scene = SCENES[rng.integers(len(SCENES))]
                frames = int(25 * rng.uniform(4, 12))
                for image in render(scene, frames, seed=int(rng.integers(1 << 30))):
                    writer.write(image)
        videos.append(path)
    return videos


def joined(folder, rng, data):
    """Write four videos of 20 real clips each, every clip in one video only."""
    clips = sorted(data.rglob("*.avi")) if data is not None else []
    order = rng.permutation(len(clips))
    videos = []
    for number in range(4 if len(clips) >= 80 else 0):
        path = folder / f"joined{number}.mp4"
        join_clips([clips[i] for i in order[20 * number : 20 * number + 20]], path)
        videos.append(path)
    return videos


def cut(video, start, end, out):
    """Encode a span anew: VP9, 256x192, 12.5 frames/s."""
    with (
        VideoReader(video) as reader,
        VideoWriter(out, width=256, height=192, fps=12.5, codec="vp9", crf=40) as writer,
    ):
        number = 0
        for frames in reader.read(
            EveryFrame(), size=(192, 256), start_seconds=start, end_seconds=end
        ):
            for image in frames.images:
                if number % 2 == 0:
                    writer.write(image)
                number += 1
    return out


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) / "actions" if root else None)
    parser.add_argument("--spans", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
