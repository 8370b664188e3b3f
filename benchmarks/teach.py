"""How good a label is that was taught by five clips that show it and five that do not.

On `actions` (`--data DIR`): the clips of groups 8 to 25 are a library, of which a label is taught
for each class by clips drawn anew for every seed; it judges the clips of groups 1 to 7, of other
source videos. Printed for each class: AUC, mean over the seeds with a 95 % interval of that mean
over draws of examples (not over clips); the same by the features of MobileNetV1, averaged over
time, with the same learning; by the mean of the examples that show it alone; and how far
probabilities are off (expected calibration error, both kinds counting the same). Chance is 0.5.

    python benchmarks/teach.py --data DIR [--examples 5] [--seeds 20]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from imagenet import SIZE, network
from sklearn.metrics import roc_auc_score

import soravec
from soravec.data.manifest import read_manifest
from soravec.tasks.examples import learn_label
from soravec.tasks.teach import taught_head, teach
from soravec.video import AtRate, Span, VideoReader

FPS = 2.0
NUM_BINS = 10


def main():
    arguments = parse()
    if arguments.data is None:
        raise SystemExit("name the folder of real clips: --data DIR or $SORAVEC_DATA")
    clips = read_manifest(arguments.data / "actions/manifest.csv").clips
    known = [clip for clip in clips if clip.split != "test"]
    unseen = [clip for clip in clips if clip.split == "test"]
    read = network("mobilenet-v1", arguments.data / "weights")
    others = {clip.path: averaged(read, clip.path) for clip in clips}
    with (
        tempfile.TemporaryDirectory() as temporary,
        soravec.Library(Path(temporary) / "teach.library") as library,
    ):
        library.add([clip.path for clip in known], progress=False)
        encoder = library.encoder()
        judged = [encoder.embed(clip.path) for clip in unseen]
        vectors = {clip.path: encoder.embed(clip.path).vector for clip in known}
        report(arguments, library, known, unseen, judged, vectors, others)


def report(arguments, library, known, unseen, judged, vectors, others):  # noqa: PLR0913
    labels = np.array([clip.labels[0] for clip in known])
    truth = np.array([clip.labels[0] for clip in unseen])
    print(
        f"{len(known)} clips to teach by, {len(unseen)} to judge by; {arguments.examples} of each"
        f" kind, {arguments.seeds} draws"
    )
    print("| class | taught | by MobileNetV1 | nearness to what shows it | calibration error |")
    print("| --- | --- | --- | --- | --- |")
    times, every = [], {name: [] for name in ("taught", "mobilenet", "mean", "error")}
    for number, name in enumerate(sorted(set(labels))):
        figures = {kind: [] for kind in every}
        for seed in range(arguments.seeds):
            rng = np.random.default_rng([seed, number])
            yes = rng.choice(np.flatnonzero(labels == name), arguments.examples, replace=False)
            no = rng.choice(np.flatnonzero(labels != name), arguments.examples, replace=False)
            begin = time.perf_counter()
            label = f"{name} {seed}"
            spans = [[Span(known[index].path) for index in which] for which in (yes, no)]
            teach(library, label, yes=spans[0], no=spans[1])
            times.append(time.perf_counter() - begin)
            head = taught_head(library, label)
            likely = np.array([head.classify(one).probability for one in judged])
            is_so = truth == name
            figures["taught"].append(roc_auc_score(is_so, likely))
            figures["error"].append(calibration_error(likely, is_so))
            odds = by_features(known, unseen, others, yes, no)
            figures["mobilenet"].append(roc_auc_score(is_so, odds))
            mean = np.mean([vectors[known[index].path] for index in yes], axis=0)
            near = [one.vector @ mean for one in judged]
            figures["mean"].append(roc_auc_score(is_so, near))
        print(line(name, figures))
        for kind, values in figures.items():
            every[kind].append(values)
    print(line("mean", {kind: np.mean(values, axis=0) for kind, values in every.items()}))
    print(f"teaching took {np.median(times):.2f} s (median), {np.max(times):.2f} s at most")


def line(name, figures):
    """Return a row of the table."""
    order = (figures[kind] for kind in ("taught", "mobilenet", "mean", "error"))
    return f"| {name} | {' | '.join(shown(values) for values in order)} |"


def shown(values):
    error = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {error:.3f}"


def by_features(known, unseen, features, yes, no):
    """Return log-odds of clips by another CNN's features, learned in the same way."""
    both = np.concatenate([yes, no])
    rest = np.setdiff1d(np.arange(len(known)), both)
    examples, background = (
        np.stack([features[known[index].path] for index in which]) for which in (both, rest)
    )
    learned = learn_label(examples, np.arange(len(both)) < len(yes), both, background)
    return np.stack([features[clip.path] for clip in unseen]) @ learned.weight + learned.bias


def averaged(read, path):
    """Return the mean of a CNN's features over time, of unit length."""
    with VideoReader(path) as reader:
        images = np.concatenate([f.images for f in reader.read(AtRate(FPS), size=(SIZE, SIZE))])
    mean = read(images).astype(np.float32).mean(axis=0)
    return mean / np.linalg.norm(mean)


def calibration_error(likely, is_so):
    """Return the mean distance of probability and share that is right, over bins."""
    weight = np.where(is_so, 0.5 / is_so.mean(), 0.5 / (1 - is_so.mean())) / len(is_so)
    bins = np.minimum((likely * NUM_BINS).astype(int), NUM_BINS - 1)
    return sum(abs((weight * (likely - is_so))[bins == number].sum()) for number in range(NUM_BINS))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) if default else None)
    parser.add_argument("--examples", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
