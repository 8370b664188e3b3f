"""Precision@1 and mAP by label on labelled clips, beside frozen ImageNet CNNs.

The data is a folder with `manifest.csv` (path, label, group), as a UCF101 subset has. A clip is
right for a query if it has the same label; clips of the query's own group (cut from the same source
video) are left out. All methods see the same frames: 2 per second, the whole picture.

    python benchmarks/retrieval.py --data DIR [--weights DIR] [--model NAME|DIR]
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from imagenet import NETWORKS, SIZE
from imagenet import network as imagenet_network

import soravec
from soravec.runtime.vectors import normalise
from soravec.video import AtRate, VideoReader

FPS = 2.0


def main():
    arguments = parse()
    with (arguments.data / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    paths = [arguments.data / row["path"] for row in rows]
    labels = np.array([row["label"] for row in rows])
    groups = np.array([f"{row['label']} {row['group']}" for row in rows])
    encoder = soravec.load(arguments.model)
    print(
        f"{len(rows)} clips, {len(set(labels))} labels, {len(set(groups))} groups; {FPS} frames/s"
    )
    print(f"{'method':<44}{'dim':>6}   precision@1 [95 %]     mAP [95 %]")
    methods = {f"{encoder.name} (video vector)": sora(encoder, paths)}
    dim = encoder.config.temporal.appearance_dim
    vectors = methods[f"{encoder.name} (video vector)"]
    methods[f"{encoder.name}, appearance only"] = normalise(vectors[:, :dim])
    methods[f"{encoder.name}, mean of CNN features"] = mean_features(encoder, paths)
    if arguments.weights is not None:
        for name in NETWORKS:
            network = imagenet_network(name, arguments.weights)
            methods[f"{name}, ImageNet, mean"] = averaged(paths, network)
    rng = np.random.default_rng(0)
    methods["chance (random vectors)"] = normalise(rng.normal(size=(len(rows), 64)))
    for name, vectors in methods.items():
        hits, precisions = score(vectors, labels, groups)
        print(
            f"{name:<44}{vectors.shape[1]:>6}   {hits.mean():.3f} {interval(hits, groups)}"
            f"   {precisions.mean():.3f} {interval(precisions, groups)}",
            flush=True,
        )


def score(vectors, labels, groups):
    """Return per query whether the nearest clip is right, and the average precision."""
    vectors = normalise(np.asarray(vectors, np.float64))
    likeness = vectors @ vectors.T
    hits, precisions = [], []
    for query in range(len(vectors)):
        gallery = np.flatnonzero(groups != groups[query])
        order = gallery[np.argsort(-likeness[query, gallery], kind="stable")]
        right = labels[order] == labels[query]
        hits.append(float(right[0]))
        ranks = np.flatnonzero(right) + 1
        precisions.append(float((np.arange(1, len(ranks) + 1) / ranks).mean()))
    return np.array(hits), np.array(precisions)


def interval(values, groups, repeats=2000):
    """Return the 95 % bootstrap interval over groups, whose clips are not independent."""
    rng = np.random.default_rng(0)
    means = [values[groups == group] for group in sorted(set(groups))]
    sums = np.array([part.sum() for part in means])
    sizes = np.array([len(part) for part in means])
    draws = rng.integers(len(means), size=(repeats, len(means)))
    low, high = np.percentile(sums[draws].sum(1) / sizes[draws].sum(1), [2.5, 97.5])
    return f"[{low:.3f}, {high:.3f}]"


def sora(encoder, paths):
    return np.stack([encoder.embed(path).vector for path in paths])


def mean_features(encoder, paths):
    means = []
    for path in paths:
        features = encoder.read(path).features.astype(np.float32)
        means.append(normalise(features).mean(axis=0))
    return normalise(np.stack(means))


def averaged(paths, network):
    """Return the mean over frames of a network's features, (N, D)."""
    means = []
    for path in paths:
        with VideoReader(path) as video:
            frames = [f.images for f in video.read(AtRate(FPS), size=(SIZE, SIZE))]
        means.append(network(np.concatenate(frames)).astype(np.float32).mean(axis=0))
    return normalise(np.stack(means))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) / "actions" if root else None)
    parser.add_argument("--weights", type=Path, default=Path(root) / "weights" if root else None)
    parser.add_argument("--model", default="sora-mini")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    return arguments


if __name__ == "__main__":
    main()
