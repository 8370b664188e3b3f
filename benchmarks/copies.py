"""Does a changed copy find its original first, and how steady is a vector?

Clips of `actions` and `fights` are copied with a known change; each copy asks among the originals
of the copied clips, and among those of all clips of both sets, of which many show the same scene.
Printed: recall@1 by change, the median cosine of a clip with its re-encoding at half
the bit rate and of unrelated clips (of other sets), and the effective rank of the vectors (Roy and
Vetterli, "The effective rank", 2007).

    python benchmarks/copies.py --data DIR [--model NAME|DIR] [--clips 100] [--seed 0]
"""

import argparse
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from joblib import Parallel, delayed

import soravec
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import wilson
from soravec.runtime.vectors import normalise
from soravec.video import EveryFrame, VideoReader, VideoWriter

SETS = ("actions", "fights")
MAX_SIDE = 640
"""Copies are no larger: high resolutions would take long to encode, and are read small anyway."""


def cropped(images):
    """Keep 80 % of the width and of the height, off the middle."""
    height, width = images.shape[1:3]
    top, left = round(0.15 * height), round(0.05 * width)
    return images[:, top : top + round(0.8 * height), left : left + round(0.8 * width)]


def mirrored(images):
    return images[:, :, ::-1]


def brightened(images):
    return np.clip(images.astype(np.float32) * 1.25 + 15, 0, 255).astype(np.uint8)


def blurred(images):
    sigma = images.shape[1] / 120
    return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])


def letterboxed(images):
    bar = round(0.125 * images.shape[1])
    return np.pad(images, ((0, 0), (bar, bar), (0, 0), (0, 0)))


def with_logo(images):
    """Draw a white ring and a word over the upper right corner."""
    height, width = images.shape[1:3]
    out = images.copy()
    for image in out:
        centre, radius = (round(0.87 * width), round(0.13 * height)), round(0.08 * height)
        cv2.circle(image, centre, radius, (255, 255, 255), -1)
        cv2.circle(image, centre, round(0.8 * radius), (200, 30, 30), -1)
        cv2.putText(
            image, "LIVE", (round(0.7 * width), round(0.3 * height)), 0, height / 400, (255,) * 3, 2
        )
    return out


CHANGES = {
    "re-encoded, half the bit rate": (None, 1.0),
    "cropped 20 %": (cropped, 1.0),
    "mirrored": (mirrored, 1.0),
    "brightened": (brightened, 1.0),
    "blurred": (blurred, 1.0),
    "letterboxed": (letterboxed, 1.0),
    "1.25 times as fast": (None, 1.25),
    "logo": (with_logo, 1.0),
}
"""What is done to the pictures, and to the speed."""


def main():
    arguments = parse()
    encoder = soravec.load(arguments.model)
    originals = [
        clip.path
        for name in SETS
        for clip in read_manifest(arguments.data / name / "manifest.csv").clips
    ]
    sets = np.array([path.relative_to(arguments.data).parts[0] for path in originals])
    gallery = np.stack([encoder.embed(path).vector for path in originals])
    rng = np.random.default_rng(arguments.seed)
    each = arguments.clips // len(SETS)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(sets == name))[:each] for name in SETS])
    looks = encoder.config.temporal.appearance_dim
    everything = np.arange(len(originals))
    askings = {
        f"whole, among {len(chosen)}": (slice(None), chosen),
        f"whole, among {len(originals)}": (slice(None), everything),
        f"appearance, among {len(originals)}": (slice(looks), everything),
    }
    print(f"{encoder.name}: recall@1 of {len(chosen)} clips")
    print(f"{'change':<32}" + "".join(f"{asking:<26}" for asking in askings))
    shares, steady = [], None
    with tempfile.TemporaryDirectory() as temporary:
        for change in CHANGES:
            jobs = [
                delayed(copied)(originals[row], change, Path(temporary) / f"{row}.mp4")
                for row in chosen
            ]
            copies = Parallel(arguments.jobs)(jobs)
            vectors = np.stack([encoder.embed(path).vector for path in copies])
            if steady is None:
                steady = (vectors * gallery[chosen]).sum(axis=1)
            found = [
                first(vectors[:, part], gallery[rows, part], rows) == chosen
                for part, rows in askings.values()
            ]
            shares.append([hits.mean() for hits in found])
            print(f"{change:<32}" + "".join(f"{interval(hits):<26}" for hits in found), flush=True)
    print(f"{'mean':<32}" + "".join(f"{share:<26.3f}" for share in np.mean(shares, axis=0)))
    others = gallery[sets == SETS[0]] @ gallery[sets == SETS[1]].T
    print(f"median cosine: with its re-encoding {np.median(steady):.4f}; unrelated", end=" ")
    print(f"{np.median(others):.3f}; effective rank {effective_rank(gallery):.0f}", end=" ")
    print(f"of {gallery.shape[1]}, appearance {effective_rank(gallery[:, :looks]):.0f} of {looks}")


def first(vectors, gallery, rows):
    """Return which of the numbered rows of a gallery is nearest to each vector."""
    likeness = normalise(vectors) @ normalise(gallery).T
    return rows[likeness.argmax(axis=1)]


def interval(hits):
    low, high = wilson(int(hits.sum()), len(hits))
    return f"{hits.mean():.3f} [{low:.3f}, {high:.3f}]"


def effective_rank(vectors):
    """Return the exponential of the entropy of the covariance's eigenvalues."""
    variance = np.linalg.eigvalsh(np.cov(vectors, rowvar=False)).clip(1e-12)
    share = variance / variance.sum()
    return np.exp(-(share * np.log(share)).sum())


def copied(path, change, out):
    """Write a changed copy of a clip."""
    alter, speed = CHANGES[change]
    with VideoReader(path) as reader:
        info = reader.info
        images = np.concatenate([frames.images for frames in reader.read(EveryFrame())])
    fps = (info.native_fps or 25.0) * speed
    longest = max(images.shape[1:3])
    if longest > MAX_SIDE:
        small = tuple(round(side * MAX_SIDE / longest) for side in images.shape[2:0:-1])
        images = np.stack([cv2.resize(i, small, interpolation=cv2.INTER_AREA) for i in images])
    options = {}
    if alter is None and speed == 1:
        options["b"] = str(round(info.size_bytes * 8 / info.duration_seconds / 2))
    images = images if alter is None else alter(images)
    height, width = (side - side % 2 for side in images.shape[1:3])
    with VideoWriter(out, width=width, height=height, fps=round(fps, 3), options=options) as writer:
        for image in images:
            writer.write(np.ascontiguousarray(image[:height, :width]))
    return out


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--model", default="sora-mini")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    return arguments


if __name__ == "__main__":
    main()
