"""What frozen features are worth, on real clips that the model has never seen: one table.

Rows: the bundled network with random weights, ImageNet CNNs, and `sora-mini`, its appearance and
whole. Every row sees the same frames: of `actions` 2 per second; of `fights`, for statistics and
RNN, what `labelled.py` reads. Probes, folds and intervals (95 %, over groups) are the same for all.

    python benchmarks/representation.py --data DIR [--model NAME|DIR] [--fights]

- actions, linear and kNN: accuracy on the test groups; mAP: of finding clips of the same label
  among clips of other groups, by the cosine of centred means.
- fights (`--fights`): accuracy over five stratified folds, clips of one camera in one fold: of a
  linear probe of averaged frames and of the whole, at two rates; then, a quarter of an hour per
  row, of the mean over time, of mean, deviation and mean absolute difference, and of the best RNN
  by inner folds.
- agreement: linear CKA (Kornblith et al., "Similarity of Neural Network Representations Revisited",
  2019, https://arxiv.org/abs/1905.00414, equation 4) with MobileNetV1 on the frames of actions.
- images/s: of the CNN in OpenVINO, one thread. MB: of the weights, or of the model's folder.
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import labelled
import numpy as np
import openvino as ov
import torch
from imagenet import BATCH, NETWORKS, SIZE, SQUEEZENET, TFLITE, network
from labelled import RATES, SEGMENT_SECONDS, clips_of, folds, one_fold, read_set, without_copies
from sklearn.model_selection import StratifiedGroupKFold

import soravec
from soravec.data.clips import units_of
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import mean_figure, resample
from soravec.evaluation.probes import ProbeData, fit_probe
from soravec.evaluation.retrieval import rank_clips
from soravec.evaluation.stress import thinned
from soravec.models.cnn import FrameCnn
from soravec.models.export import save_model
from soravec.models.sora import SoraEncoder
from soravec.runtime.folder import find_model
from soravec.types import Frames
from soravec.video import AtRate, VideoReader

FPS = 2.0
RNNS = ("GRU, differences", "GRU, differences and statistics")
TEACHER = "mobilenet-v1"
RANDOM = "random weights"


@dataclass(frozen=True)
class Row:
    """One kind of features."""

    name: str
    frames: list
    """Per clip of actions (T, C): features of frames, or None where it has none of its own."""
    vectors: np.ndarray
    """(N, D) of the clips of actions."""
    speed: str
    size: str
    labelled: str = ""
    """Under which name `labelled.py` reads it."""


def main():
    arguments = parse()
    torch.set_num_threads(1)
    actions = read_manifest(arguments.data / "actions" / "manifest.csv")
    paths = tuple(clip.path for clip in actions.clips)
    folder = find_model(arguments.model).path
    rows = [
        random_row(folder, paths, arguments),
        *(imagenet_row(name, paths, arguments) for name in NETWORKS),
        *model_rows(folder, paths),
    ]
    truth = one_hot(actions)
    units = np.array(units_of(actions.clips))
    test = np.array([clip.split == "test" for clip in actions.clips])
    teacher = np.concatenate(next(row.frames for row in rows if row.name == TEACHER))
    print(f"{len(actions.clips)} clips of actions, {FPS:g} frames/s; {len(teacher)} frames")
    heads = ("actions: linear", "actions: kNN", "actions: mAP", "agreement", "images/s", "MB")
    print(f"{'':<28}" + "".join(f"{head:<24}" for head in heads))
    precision = {}
    for row in rows:
        figures = [
            accuracy("linear", row.vectors, truth, units, test),
            accuracy("neighbours", row.vectors, truth, units, test),
        ]
        centred = row.vectors - row.vectors.mean(axis=0)
        ranks = rank_clips(centred, truth @ truth.T > 0, units)
        figures.append(mean_figure(ranks.average_precision, resample(units[ranks.query])))
        precision[row.name] = figures[-1].value
        shown = [f"{f.value:.3f} [{f.low:.3f}, {f.high:.3f}]" for f in figures]
        agreed = "" if row.frames is None else f"{alike(np.concatenate(row.frames), teacher):.3f}"
        cells = [*shown, agreed, row.speed, row.size]
        print(f"{row.name:<28}" + "".join(f"{cell:<24}" for cell in cells), flush=True)
    gap = precision[TEACHER] - precision[RANDOM]
    best = max(value for name, value in precision.items() if "sora" in name or "whole" in name)
    print(f"of the gap in mAP from random to {TEACHER}: {(best - precision[RANDOM]) / gap:.1%}")
    if arguments.fights:
        averages(rows, arguments)
        fights(rows, arguments)


# Rows


@lru_cache(maxsize=1)
def frames_of(paths, size):
    """Return the frames of clips, each (T, size, size, 3)."""
    clips = []
    for path in paths:
        with VideoReader(path) as video:
            parts = list(video.read(AtRate(FPS), size=(size, size)))
        clips.append(np.concatenate([part.images for part in parts]))
    return clips


def imagenet_row(name, paths, arguments):
    """Return what an ImageNet CNN makes of the clips: the mean over time."""
    read = network(name, arguments.weights)
    features = [read(images).astype(np.float32) for images in frames_of(paths, SIZE)]
    single = network(name, arguments.weights, num_threads=1)
    path = arguments.weights / (SQUEEZENET if name == "squeezenet" else TFLITE[name])
    return Row(
        name,
        features,
        np.stack([one.mean(axis=0) for one in features]),
        f"{speed(single):.0f}",
        f"{path.stat().st_size / 1e6:.1f}",
        labelled=name,
    )


def random_row(folder, paths, arguments):
    """Return what the network of the bundled model makes of the clips with random weights."""
    out = arguments.cache / RANDOM.replace(" ", "-")
    config = soravec.load(folder).config
    torch.manual_seed(arguments.seed)
    cnn = FrameCnn(config.cnn)
    save_model(SoraEncoder(config, cnn), out, card="# Random weights\n")
    return replace(cnn_row(RANDOM, out, paths), labelled=str(out))


def cnn_row(name, folder, paths):
    """Return what the CNN of a model makes of the clips: the mean over time of frame features."""
    encoder = soravec.load(folder)
    looks = encoder.config.cnn.parts[0]

    def read(images):
        return encoder.features(Frames(images, np.zeros(len(images)))).astype(np.float32)[:, :looks]

    size = encoder.config.cnn.height
    features = [read(images) for images in frames_of(paths, size)]
    engine = ov.Core().compile_model(
        folder / "cnn.onnx",
        "CPU",
        {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 1},
    )
    rate = speed(lambda images: engine([images] * len(engine.inputs))[0], size)
    megabytes = find_model(folder).size_bytes / 1e6
    vectors = np.stack([one.mean(axis=0) for one in features])
    return Row(name, features, vectors, f"{rate:.0f}", f"{megabytes:.1f}")


def model_rows(folder, paths):
    """Return the rows of the model itself: its frame features, its appearance, and whole."""
    encoder = soravec.load(folder)
    features = cnn_row(f"{encoder.name}, frame features", folder, paths)
    whole = np.stack([encoder.embed(path).vector for path in paths])
    looks = encoder.config.temporal.appearance_dim
    return [
        replace(features, labelled=str(folder)),
        replace(
            features, name=f"{encoder.name}, appearance", vectors=whole[:, :looks], frames=None
        ),
        replace(features, name=f"{encoder.name}, whole", vectors=whole, frames=None),
    ]


def speed(read, size=SIZE):
    """Return pictures per second of a network that runs on one thread."""
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    read(pictures)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 2:
        read(pictures)
        count += BATCH
    return count / (time.perf_counter() - began)


# Figures


def one_hot(manifest):
    """Return the labels of clips, (N, K)."""
    classes = list(manifest.classes)
    return np.eye(len(classes))[[classes.index(clip.labels[0]) for clip in manifest.clips]]


def accuracy(kind, vectors, truth, units, test):
    """Return the accuracy of a probe on the test clips."""
    data = ProbeData(vectors, truth, units)
    probe = fit_probe(kind, data.take(np.flatnonzero(~test)), "single_label")
    right = probe.scores(vectors[test]).argmax(axis=1) == truth[test].argmax(axis=1)
    return mean_figure(right.astype(np.float64), resample(units[test]))


def alike(first, second):
    """Return the linear CKA of two sets of features (N, C) and (N, E) of the same pictures."""
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    shared = np.square(first.T @ second).sum()
    return shared / (np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second))


def fights(rows, arguments):
    """Print what each row's features make of fights."""
    manifest = without_copies("fights", arguments)
    names = ("mean, frame", "statistics, input by inner folds", labelled.BEST)
    rate = RATES["fights"] * labelled.PHASES
    print(f"\n{'fights':<28}{'mean':<24}{'statistics':<24}RNN")
    for row in rows:
        if not row.labelled:
            continue
        features = read_set(manifest, row.labelled, rate, arguments)
        read = clips_of(manifest, features, RATES["fights"], SEGMENT_SECONDS["fights"])
        outer = folds(read, np.arange(len(read.truth)), 5, arguments.seed)
        tested = np.concatenate([held for _, held in outer])
        draws = resample(read.units[tested])
        scored = [
            one_fold(read, *part, RNNS, arguments.seed + i)[0] for i, part in enumerate(outer)
        ]
        shown = ""
        for name in names:
            said = np.concatenate([scores[name] for scores in scored]).argmax(axis=1)
            found = mean_figure((said == read.truth[tested].argmax(axis=1)).astype(float), draws)
            shown += f"{f'{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]':<24}"
        print(f"{row.name:<28}{shown}", flush=True)


def averages(rows, arguments):
    """Print what plain averages of frames are worth on fights, and the whole of the same frames."""
    manifest = without_copies("fights", arguments)
    encoder = soravec.load(find_model(arguments.model).path)
    looks = encoder.config.temporal.appearance_dim
    most = RATES["fights"] * labelled.PHASES
    rates = (encoder.config.sampling.fps, most)
    print(f"\n{'fights, linear probe':<28}" + "".join(f"{f'{r:g} frames/s':<24}" for r in rates))
    truth, units = one_hot(manifest), np.array(units_of(manifest.clips))
    for row in rows:
        if not row.labelled:
            continue
        features = read_set(manifest, row.labelled, most, arguments)
        half = features[0].features.shape[1] // 2
        series = [[thinned(one, rate) for one in features] for rate in rates]
        frames = [
            np.stack([one.features[:, :half].mean(0, np.float32) for one in s]) for s in series
        ]
        print(f"{f'{row.name}, averaged':<28}{shown(frames, truth, units, arguments)}", flush=True)
    features = read_set(manifest, arguments.model, most, arguments)
    series = [[thinned(one, rate) for one in features] for rate in rates]
    whole = [np.stack([encoder.embed_features(one).vector for one in clips]) for clips in series]
    parts = {"whole": slice(None), "motion": slice(looks, None), "appearance": slice(looks)}
    for name, part in parts.items():
        vectors = [one[:, part] for one in whole]
        print(
            f"{f'{encoder.name}, {name}':<28}{shown(vectors, truth, units, arguments)}", flush=True
        )


def shown(sets, truth, units, arguments):
    """Return the accuracy of a linear probe of each set of vectors (N, D), with its interval."""
    text = ""
    draws = resample(units)
    for vectors in sets:
        data, right = ProbeData(vectors, truth, units), np.zeros(len(truth))
        split = StratifiedGroupKFold(5, shuffle=True, random_state=arguments.seed)
        for learned, held in split.split(vectors, truth.argmax(axis=1), units):
            scores = fit_probe("linear", data.take(learned), "single_label").scores(vectors[held])
            right[held] = scores.argmax(axis=1) == truth[held].argmax(axis=1)
        found = mean_figure(right, draws)
        text += f"{f'{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]':<24}"
    return text


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--weights", type=Path, help="the ImageNet CNNs; DATA/weights by default")
    parser.add_argument("--model", default="sora-mini")
    parser.add_argument("--fights", action="store_true", help="also on fights, which takes long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "soravec-representation"
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    arguments.weights = arguments.weights or arguments.data / "weights"
    return arguments


if __name__ == "__main__":
    main()
