"""What is lost where keyframes alone are read, by their spacing.

Clips of `actions` are encoded anew with keyframes at most so far apart; vectors from keyframes are
compared with those of the same file read at the model's rate. Printed per spacing: the cosine of
the appearance of a clip read both ways (median, and that which 5 % stay below); mAP (of finding
clips of the same label among clips of other groups, by the cosine of centred means), of
appearance and of the whole, at the rate and by keyframes; and what of the whole's is lost, with its
interval over groups.

    python benchmarks/keyframes.py --data DIR [--model NAME|DIR] [--seconds 0.5 1 2 4 8]
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

import soravec
from soravec.data.clips import units_of
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import difference, figure, mean_of, resample
from soravec.evaluation.retrieval import rank_clips
from soravec.runtime.vectors import normalise, split
from soravec.video import EveryFrame, VideoReader, VideoWriter

QUANTILES = (50, 5)


def main():
    arguments = parse()
    clips = read_manifest(arguments.data / "actions" / "manifest.csv").clips
    labels = np.array([clip.labels[0] for clip in clips])
    units = np.array(units_of(clips))
    encoder = soravec.load(arguments.model)
    print(f"{len(clips)} clips of actions, {encoder.name}")
    names = ("keyframes, s", "cosine of looks", "5 %", "mAP of looks", "mAP of the whole", "lost")
    print("".join(f"{name:<22}" for name in names))
    with tempfile.TemporaryDirectory() as folder:
        for seconds in arguments.seconds:
            tasks = (
                delayed(encoded)(clip.path, Path(folder) / f"{number}.mp4", seconds)
                for number, clip in enumerate(clips)
            )
            paths = Parallel(n_jobs=-1)(tasks)
            show(seconds, encoder, paths, labels, units)


def show(seconds, encoder, paths, labels, units):
    """Print the row of one spacing."""
    read = {}
    for sampling in ("uniform", "keyframes"):
        read[sampling] = [encoder.embed(path, sampling=sampling) for path in paths]
    wholes = {way: np.stack([e.vector for e in found]) for way, found in read.items()}
    width = encoder.config.temporal.appearance_dim
    looks = {way: normalise(split(vectors, width)[0]) for way, vectors in wholes.items()}
    alike = (looks["uniform"] * looks["keyframes"]).sum(axis=1)
    relevant = labels[:, None] == labels
    precision = partial(precisions, relevant=relevant, units=units)
    found = {way: precision(vectors) for way, vectors in wholes.items()}
    lost = figure(
        difference(mean_of(found["uniform"]), mean_of(found["keyframes"])), resample(units)
    )
    cells = (
        f"{seconds:g}",
        *(f"{np.percentile(alike, q):.4f}" for q in QUANTILES),
        " -> ".join(f"{precision(looks[way]).mean():.3f}" for way in looks),
        " -> ".join(f"{found[way].mean():.3f}" for way in found),
        f"{lost.value:.3f} [{lost.low:.3f}, {lost.high:.3f}]",
    )
    print("".join(f"{cell:<22}" for cell in cells), flush=True)


def precisions(vectors, *, relevant, units):
    """Return the average precision of every clip that has a like in another group."""
    return rank_clips(vectors - vectors.mean(axis=0), relevant, units).average_precision


def encoded(path, out, seconds):
    """Return a clip encoded again, its keyframes at most so far apart."""
    with VideoReader(path) as reader:
        info = reader.info
        height, width = (side - side % 2 for side in (info.height, info.width))
        writer = VideoWriter(
            out, width=width, height=height, fps=info.native_fps, keyframe_seconds=seconds
        )
        with writer:
            for batch in reader.read(EveryFrame(), size=(height, width)):
                for image in batch.images:
                    writer.write(image)
    return out


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument(
        "--data", type=Path, default=Path(root) if root else None, required=not root
    )
    parser.add_argument("--model", default="sora-mini")
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.5, 1, 2, 4, 8])
    return parser.parse_args()


if __name__ == "__main__":
    main()
