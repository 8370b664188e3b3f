"""How many copies of clips are found, and how many other clips are taken for copies.

Clips are copied with a known change: encoded anew, half as large, cropped by 5 %, brighter, begun a
second later, and all of that at once. Clips that are no copies: all others, above all those of the
same group or drawn place. Prints recall by change, and every pair of originals that is found.

    python benchmarks/duplicates.py [--data DIR] [--copies 36] [--fps 4] [--seed 0]
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import soravec
from soravec.data.duplicates import near_duplicates, same_group
from soravec.data.generated import SCENES, Motion, render
from soravec.data.manifest import Clip, Manifest, read_manifest
from soravec.data.scenes import paint
from soravec.video import EveryFrame, VideoReader, VideoWriter

MAX_FRAMES = 250
MAX_SIDE = 640


def main():
    arguments = parse()
    encoder = soravec.load("sora-mini").sampled(fps=arguments.fps)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        manifests = {"generated": generated(folder)}
        if arguments.data is not None:
            for name in ("actions", "fights"):
                manifests[name] = read_manifest(arguments.data / name / "manifest.csv")
        for name, manifest in manifests.items():
            report(name, manifest, encoder, arguments, folder)


def report(name, manifest, encoder, arguments, folder):
    """Print what is found among the clips, and of their copies."""
    clips = list(manifest.clips)
    features = [encoder.read(clip.path) for clip in clips]
    looks = encoder.config.cnn.parts[0]
    pairs = near_duplicates(clips, features, num_looks=looks)
    copies = [pair for pair in pairs if pair.kind == "copy"]
    places = [pair for pair in pairs if pair.kind == "same_place"]
    print(f"\n{name}: {len(clips)} clips, {len(clips) * (len(clips) - 1) // 2} pairs")
    print(f"called copies: {len(copies)}, in other groups {sum(map(apart, copies))}")
    for pair in copies:
        print(f"  {stem(pair.first)} {stem(pair.second)} score {pair.score:.2f}{split_note(pair)}")
    ungrouped = [replace(clip, group=None) for clip in clips]
    alone = near_duplicates(ungrouped, features, num_looks=looks)
    known = {(pair.first.path, pair.second.path) for pair in copies}
    scores = [
        pair.score
        for pair in alone
        if pair.kind == "copy" and (pair.first.path, pair.second.path) not in known
    ]
    if scores:
        print(
            f"were the groups not known, {len(scores)} more: {min(scores):.2f} to {max(scores):.2f}"
        )
    groups = [clip.group for clip in same_group(unsplit(manifest), places).clips]
    sizes = [groups.count(group) for group in set(groups) - {None}]
    print(
        f"called the same place, in other groups: {len(places)} pairs; {sum(sizes)} clips in"
        f" {len(sizes)} sets, the largest of {max(sizes, default=0)}"
    )
    chosen = np.random.default_rng(arguments.seed).permutation(len(clips))[: arguments.copies]
    print("change     clips  found as copy  found as copy or place")
    for change in CHANGES:
        made, origin = [], []
        for index in sorted(chosen):
            path = copied(clips[index].path, change, folder / f"{name}-{index}-{change}.mp4")
            if path is not None:
                made.append(encoder.read(path))
                origin.append(int(index))
        near_duplicate = near_duplicates(
            [*clips, *(Clip(Path(f"/copy/{index}")) for index in origin)],
            [*features, *made],
            num_looks=looks,
        )
        kinds = {(pair.first.path, pair.second.path): pair.kind for pair in near_duplicate}
        found = [kinds.get((clips[index].path, Path(f"/copy/{index}"))) for index in origin]
        as_copy = np.mean([kind == "copy" for kind in found])
        at_all = np.mean([kind is not None for kind in found])
        print(f"{change:10} {len(found):5} {as_copy:14.2f} {at_all:23.2f}")


def apart(pair):
    return pair.first.group is None or pair.first.group != pair.second.group


def stem(clip):
    return clip.path.stem


def split_note(pair):
    where = f" ({pair.first.split} and {pair.second.split})" if pair.across_splits else ""
    return f"{', other group' if apart(pair) else ''}{where}"


def unsplit(manifest):
    clips = tuple(replace(clip, split=None, group=None) for clip in manifest.clips)
    return replace(manifest, clips=clips)


def generated(folder):
    """Draw every scene four times, from other places and with other moves."""
    clips = []
    for scene in SCENES:
        world = paint(scene)
        for move in range(4):
            path = folder / f"{scene.name}-{move}.mp4".replace(" ", "_")
            images = render(world, 100, motion=Motion.of_seed(move), seed=1000 * move + 7)
            write(path, np.stack(list(images)), 25.0)
            clips.append(Clip(path, (scene.name,), group=scene.name))
    return Manifest(folder / "clips.csv", tuple(clips), (), "single_label")


def resized(images, factor):
    return np.stack(
        [cv2.resize(i, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for i in images]
    )


def cropped(images):
    height, width = images.shape[1:3]
    rows = slice(int(height * 0.04), height - int(height * 0.01))
    return images[:, rows, int(width * 0.01) : width - int(width * 0.04)]


def brighter(images):
    return np.clip(images.astype(np.float32) * 1.15 + 12, 0, 255).astype(np.uint8)


CHANGES = {
    "encoded": (lambda images, fps: images, 36),
    "half size": (lambda images, fps: resized(images, 0.5), None),
    "cropped": (lambda images, fps: cropped(images), None),
    "brighter": (lambda images, fps: brighter(images), None),
    "1 s later": (lambda images, fps: images[round(fps) :], None),
    "all": (lambda images, fps: resized(brighter(cropped(images[round(1.1 * fps) :])), 0.6), 34),
}
"""What is done to the frames, and the quality of the encoding (CRF)."""


def copied(path, change, out):
    """Write a changed copy; None where too little would be left of it."""
    with VideoReader(path) as reader:
        fps = reader.info.native_fps or 25.0
        parts = [frames.images for frames in reader.read(EveryFrame())]
    images = np.concatenate(parts)[:MAX_FRAMES]
    if change in ("1 s later", "all") and len(images) < 2 * fps:
        return None
    if max(images.shape[1:3]) > MAX_SIDE:
        images = resized(images, MAX_SIDE / max(images.shape[1:3]))
    alter, crf = CHANGES[change]
    return write(out, alter(images, fps), fps, crf)


def write(path, images, fps, crf=None):
    height, width = (side - side % 2 for side in images.shape[1:3])
    with VideoWriter(path, width=width, height=height, fps=round(fps, 3), crf=crf) as writer:
        for image in images:
            writer.write(np.ascontiguousarray(image[:height, :width]))
    return path


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    folder = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=folder and Path(folder))
    parser.add_argument("--copies", type=int, default=36)
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
