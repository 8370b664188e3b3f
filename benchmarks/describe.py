"""How well clusters, the map and the outliers of `soravec describe` tell what is in a library.

On `actions` (`--data DIR`), whose four classes it is not told: purity, adjusted Rand index and
normalised mutual information of the clusters, beside k-means told that there are four, and random
ones; trustworthiness of the map (Venna and Kaski, 2001; ten neighbours) and how many of the five
nearest of other source videos are of one class, beside the first two principal components;
and, with generated clips of other places put among them, AUC of being like nothing else, beside the
distance to the mean. Intervals of 95 % over source videos. `--part test` takes groups 1 to 7, `all`
every one, `tune` groups 8 to 25, on which all constants were chosen.

`--growth` prints processor time and peak memory on random vectors instead.

    python benchmarks/describe.py --data DIR [--part test] [--growth] [--seed 0]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, roc_auc_score

import soravec
from soravec.data.generated import SCENES, render
from soravec.data.manifest import read_manifest
from soravec.library.contents import Contents
from soravec.library.schema import Space
from soravec.tasks.clusters import find_clusters, lay_out
from soravec.tasks.describe import find_oddness
from soravec.video import VideoWriter

PLACES = {"tune": range(6), "test": range(6, 12), "all": range(6, 12)}
"""Scenes of the generated clips."""
NUM_NEAREST = 5
NUM_DRAWS = 500
SIZES = (1_000, 10_000, 100_000)


def main():
    arguments = parse()
    if arguments.one:
        grown(arguments.one, arguments.seed)
        return
    if arguments.growth:
        growth(arguments.seed)
        return
    if arguments.data is None:
        raise SystemExit("name the folder of real clips: --data DIR or $SORAVEC_DATA")
    clips = read_manifest(arguments.data / "actions/manifest.csv").clips
    wanted = {"tune": ("train",), "test": ("test",), "all": ("train", "test")}[arguments.part]
    clips = [clip for clip in clips if clip.split in wanted]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with soravec.Library(folder / "actions.library") as library:
            library.add([clip.path for clip in clips], progress=False)
            score(library.contents(), clips, arguments)
            drawn = [generated(folder, scene) for scene in PLACES[arguments.part]]
            library.add(drawn, progress=False)
            outliers(library.contents(), clips)


def score(contents, clips, arguments):
    """Print how well clusters and map agree with the classes."""
    kinds, sources = told(contents, clips)
    draws = drawn_rows(sources)
    print(f"{len(clips)} clips, {len(contents)} segments, {len(set(sources))} source videos")
    rng = np.random.default_rng(arguments.seed)
    found = find_clusters(contents.vectors, seed=arguments.seed)
    four = KMeans(4, n_init=4, random_state=arguments.seed).fit_predict(contents.vectors)
    ways = {
        f"soravec describe ({found.labels.max() + 1} clusters)": found.labels,
        "the same, told four": find_clusters(contents.vectors, num_clusters=4).labels,
        "k-means of vectors, told four": four,
        "random": rng.permutation(found.labels),
    }
    print("| clusters | purity | adjusted Rand index | mutual information |")
    print("| --- | --- | --- | --- |")
    for name, labels in ways.items():
        cells = [
            shown(measure(kinds, labels), [measure(kinds[rows], labels[rows]) for rows in draws])
            for measure in (purity, adjusted_rand_score, normalized_mutual_info_score)
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print("| map | trustworthiness | of the five nearest of one class |")
    print("| --- | --- | --- |")
    plain = PCA(2, random_state=0).fit_transform(contents.vectors)
    spaces = {
        "soravec describe": lay_out(contents.vectors, seed=arguments.seed),
        "principal components": plain,
        "all dimensions": contents.vectors,
    }
    for name, places in spaces.items():
        right = nearest_right(places, kinds, sources)
        trust = trustworthiness(contents.vectors, places, n_neighbors=10, metric="cosine")
        cell = shown(right.mean(), [right[rows].mean() for rows in draws])
        print(f"| {name} | {trust:.3f} | {cell} |")


def outliers(contents, clips):
    """Print how well generated clips stand out."""
    kinds, sources = told(contents, clips)
    is_odd = kinds == "generated"
    draws = drawn_rows(sources)
    mean = contents.vectors.mean(axis=0)
    ways = {
        "soravec describe": find_oddness(contents),
        "distance to the mean": 1 - contents.vectors @ mean,
    }
    print(f"| {is_odd.sum()} generated segments among {(~is_odd).sum()} | AUC |")
    print("| --- | --- |")
    for name, scores in ways.items():
        drawn = [roc_auc_score(is_odd[r], scores[r]) for r in draws if 0 < is_odd[r].mean() < 1]
        print(f"| {name} | {shown(roc_auc_score(is_odd, scores), drawn)} |")


def told(contents, clips):
    """Return class and source video of each segment."""
    names = {str(clip.path): (clip.labels[0], clip.group) for clip in clips}
    found = [
        names.get(contents.videos[key].path, ("generated", str(key)))
        for key in contents.keys.tolist()
    ]
    return np.array([kind for kind, _ in found]), np.array([" ".join(one) for one in found])


def drawn_rows(sources):
    """Return rows of as many source videos as there are, drawn with replacement, so often."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(sources == name) for name in np.unique(sources)]
    return [
        np.concatenate([rows[n] for n in rng.integers(len(rows), size=len(rows))])
        for _ in range(NUM_DRAWS)
    ]


def purity(kinds, labels):
    """Return the share of segments that are of the class most often met in their cluster."""
    most = [np.unique(kinds[labels == one], return_counts=True)[1].max() for one in set(labels)]
    return sum(most) / len(kinds)


def nearest_right(places, kinds, sources):
    """Return by segment how many of the nearest of other source videos are of its class."""
    far = np.square(places[:, None] - places[None]).sum(axis=2)
    far[sources[:, None] == sources] = np.inf
    near = np.argsort(far, axis=1)[:, :NUM_NEAREST]
    return (kinds[near] == kinds[:, None]).mean(axis=1)


def shown(value, drawn):
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def generated(folder, scene):
    """Write six seconds of a drawn place."""
    path = folder / f"{scene}.mp4"
    with VideoWriter(path, width=320, height=240, fps=25.0) as writer:
        for image in render(SCENES[scene], 150, width=320, height=240, seed=1000 + scene):
            writer.write(image)
    return path


def growth(seed):
    """Print processor time and memory of each size, of a process of its own."""
    print("| segments | clusters | map | outliers | peak memory beyond the vectors |")
    print("| --- | --- | --- | --- | --- |")
    for size in SIZES:
        command = [sys.executable, __file__, "--one", str(size), "--seed", str(seed)]
        subprocess.run(command, check=True)


def grown(size, seed):
    """Print a row of the table."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(50, 384)).astype(np.float32)
    vectors = centres[rng.integers(50, size=size)]
    vectors += 0.7 * rng.normal(size=(size, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    keys = np.arange(size) // 10
    space = Space("s", "f", "m", "m", 256, 384, 0.2)
    contents = Contents(space, {}, keys, np.zeros(size, np.int32), np.zeros((size, 2)), vectors)
    find_clusters(vectors[:100]), lay_out(vectors[:100])  # loads scikit-learn
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for call in (lambda: find_clusters(vectors), lambda: lay_out(vectors)):
        begin = time.process_time()
        call()
        seconds.append(time.process_time() - begin)
    begin = time.process_time()
    find_oddness(contents)
    seconds.append(time.process_time() - begin)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    times = " | ".join(f"{one:.1f} s" for one in seconds)
    print(f"| {size:,} | {times} | {peak:.0f} MiB |", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) if default else None)
    parser.add_argument("--part", choices=("test", "tune", "all"), default="test")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--one", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
