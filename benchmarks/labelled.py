"""Accuracy on real labelled clips of every temporal model, with intervals, honestly nested.

`fights`: copies are left out, and stratified 5-fold cross-validation keeps clips of the same place
in one fold. `actions`: its own test groups. All choices (regularisation, frame or motion or both,
which temporal model) are made by inner folds of the training clips of each fold; frame or motion or
both by the statistics, for all models, so that they are compared on the same input. Then every
model is trained on all of these clips, for a fixed number of rounds, from several seeds, whose mean
speaks for the test clips. Intervals are 95 %, bootstrapped over groups of clips.

    python benchmarks/labelled.py --data DIR [--sets fights] [--models sora-mini] [--quick]
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from imagenet import NETWORKS, SIZE, network
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedGroupKFold

from soravec.data.clips import units_of
from soravec.data.duplicates import drop_duplicates, near_duplicates, same_group
from soravec.data.features import FeatureCache
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import mean_figure, resample
from soravec.evaluation.probes import ProbeData, fit_probe
from soravec.library.features import FeatureFiles
from soravec.library.identity import video_identity
from soravec.models.temporal import TemporalModel, pooled_dim
from soravec.runtime.config import TemporalConfig
from soravec.runtime.sketches import without_sketches
from soravec.training.batches import CachedSource, Segment, segments_of
from soravec.training.config import (
    DataOptions,
    LoopOptions,
    ObjectiveOptions,
    OptimizerOptions,
    TimeAugmentation,
    TrainConfig,
)
from soravec.training.loop import fit
from soravec.training.measure import clip_loss, clip_outputs
from soravec.training.objectives import Objective
from soravec.training.prepare import base_encoder
from soravec.training.train import fit_scales
from soravec.types import FrameFeatures
from soravec.video import AtRate, VideoReader

RATES = {"fights": 12.0, "actions": 4.0}
"""Frames per second that the temporal models read."""
PHASES = 2
"""Features are kept at this many times the rate: one view of a clip per phase of its sampling."""
GAIN = 4.0
"""How far the difference of two pictures is stretched before an ImageNet CNN reads it."""
COPIES_BY = "squeezenet"
"""By which CNN's looks copies and places are told: one that stays as it is."""
SEGMENT_SECONDS = {"fights": 8.0, "actions": 8.0}
"""Longest segment: that of the models; clips of fights are shorter."""
BACK = (1, 4)
"""How many frames back features are compared with: two time scales."""
INNER_FOLDS = 2
NUM_SEEDS = 3
MOTION_WEIGHT = {"frame": 0.5, "motion": 0.95, "both": 0.8}
READS = {"frame": "appearance", "motion": "motion", "both": "all"}

TEMPORAL = {
    "GRU": {"kind": "gru"},
    "GRU, differences": {"kind": "gru", "differences": BACK},
    "LSTM, differences": {"kind": "lstm", "differences": BACK},
    "GRU both ways, differences": {"kind": "gru", "bidirectional": True, "differences": BACK},
    "GRU, differences and statistics": {"kind": "gru", "differences": BACK, "statistics": True},
    "Transformer": {"kind": "transformer", "num_layers": 2},
}
QUICK = ("GRU, differences", "GRU both ways, differences", "GRU, differences and statistics")
SIZES = {"hidden_dim": 32, "pooling": "mean_max"}
DROPOUT = 0.6
OBJECTIVE = ObjectiveOptions(label_smoothing=0.1)
OPTIMIZER = OptimizerOptions(learning_rate=3e-3, weight_decay=0.05, warmup=0.15)
LOOP = LoopOptions(epochs=30, batch_size=48, patience=0, accelerator="cpu")
TIME = TimeAugmentation(drop=0.1, speed=1.1, crop=0.7)


@dataclass(frozen=True)
class Clips:
    """What was read of a set by one CNN."""

    truth: np.ndarray
    """(N, K), 1 for the class of a clip."""
    units: np.ndarray
    """(N,) the number of each clip's group."""
    is_test: np.ndarray
    """(N,) whether the set itself keeps a clip for the test; nowhere: cross-validation."""
    vectors: dict
    """(N, D) by name: mean and statistics over time of frames, of motion, of both."""
    segments: list
    """Per clip its segments, with a view per phase."""
    looks: int
    """How many of the features are of the frame itself."""


def main():
    arguments = parse()
    for name in arguments.sets:
        manifest = without_copies(name, arguments)
        print(describe(name, manifest), flush=True)
        for model in arguments.models:
            began = time.monotonic()
            features = read_set(manifest, model, RATES[name] * PHASES, arguments)
            read = clips_of(manifest, features, RATES[name], SEGMENT_SECONDS[name])
            print(f"\n{name}, {model}, features in {time.monotonic() - began:.0f} s", flush=True)
            table(read, arguments)
            print(f"{time.monotonic() - began:.0f} s in all", flush=True)


def describe(name, manifest):
    """Return what a set is, and how it is read, in a sentence."""
    units = len(set(units_of(manifest.clips)))
    return (
        f"\n{name}: {len(manifest.clips)} clips in {units} groups, {len(manifest.classes)} classes;"
        f" temporal models read {RATES[name]:g} frames/s, mean and statistics"
        f" {RATES[name] * PHASES:g} frames/s; motion is the difference to the frame before"
    )


# Clips and features


def without_copies(name, arguments):
    """Return a set's manifest without copies; clips of one place are one group unless it has any.

    What is a copy is told by the looks of one CNN, so that it is the same for all of them.
    """
    manifest = read_manifest(arguments.data / name / "manifest.csv")
    features = read_set(manifest, COPIES_BY, RATES[name] * PHASES, arguments)
    half = features[0].features.shape[1] // 2
    pairs = near_duplicates(manifest.clips, features, num_looks=half)
    kept = drop_duplicates(manifest, pairs)
    if all(clip.group is None for clip in manifest.clips):
        stay = {clip.row for clip in kept.clips}
        pairs = [pair for pair in pairs if {pair.first.row, pair.second.row} <= stay]
        kept = same_group(kept, pairs)
    print(f"{name}: {len(manifest.clips) - len(kept.clips)} copies left out", flush=True)
    return kept


def read_set(manifest, model, fps, arguments):
    """Return the features of frame and motion of every clip, from the cache where they lie."""
    if model not in NETWORKS:
        out = arguments.cache / model.replace("/", "_")
        config = TrainConfig(model=model, data=DataOptions(fps=fps, motion="difference"))
        found = FeatureCache(out, base_encoder(config, out)).read(manifest.clips)
        if found.skipped:
            raise SystemExit(found.skipped[0].message)
        return [views[0] for views in found.views]
    files = FeatureFiles(arguments.cache / model / f"{fps:g}fps")
    read = None
    features = []
    for clip in manifest.clips:
        identity = video_identity(clip.path)
        if not files.has(identity, model):
            read = read or network(model, arguments.weights)
            files.write(identity, read_clip(clip.path, read, fps, model))
        features.append(files.read(identity, model))
    return features


def read_clip(path, read, fps, model):
    """Return what an ImageNet CNN reads of the frames of a clip and of their differences."""
    parts, seconds = [], []
    with VideoReader(path) as video:
        for frames in video.read(AtRate(fps), size=(SIZE, SIZE), with_previous=True):
            change = frames.images.astype(np.float32) - frames.previous
            grey = np.clip(127.5 + GAIN * change / 2, 0, 255).round().astype(np.uint8)
            parts.append(np.concatenate([read(frames.images), read(grey)], axis=1))
            seconds.append(frames.seconds)
        return FrameFeatures(
            features=np.concatenate(parts),
            seconds=np.concatenate(seconds),
            shots=video.shots,
            info=video.info,
            feature_id=model,
        )


def clips_of(manifest, features, fps, segment_seconds):
    """Return a set as vectors and as segments."""
    classes = list(manifest.classes)
    truth = np.eye(len(classes))[[classes.index(clip.labels[0]) for clip in manifest.clips]]
    half = features[0].features.shape[1] // 2
    spans = {"frame": slice(half), "motion": slice(half, None), "both": slice(None)}
    series = [one.features.astype(np.float32) for one in features]
    vectors = {"mean, frame": np.stack([one[:, :half].mean(axis=0) for one in series])}
    for part, span in spans.items():
        vectors[f"statistics, {part}"] = np.stack([statistics(one[:, span]) for one in series])
    segments = [
        segments_of(
            number,
            phases(one, fps),
            row.astype(np.float32),
            segment_seconds=segment_seconds,
            parts=(half, half, 0),
        )
        for number, (one, row) in enumerate(zip(features, truth, strict=True))
    ]
    return Clips(
        truth=truth,
        units=np.array(units_of(manifest.clips)),
        is_test=np.array([clip.split == "test" for clip in manifest.clips]),
        vectors=vectors,
        segments=segments,
        looks=half,
    )


def statistics(series):
    """Return mean, standard deviation and mean absolute difference over time, (3 C,)."""
    change = np.abs(np.diff(series, axis=0)).mean(axis=0) if len(series) > 1 else 0 * series[0]
    return np.concatenate([series.mean(axis=0), series.std(axis=0), change])


def phases(features, fps):
    """Return a clip at a lower rate, once for every phase of its sampling, at the same times.

    At 10 frames/s from 0.0 s in two phases: 0, 0.1, 0.2, ... and 0.05, 0.15, 0.25, ...
    """
    features = without_sketches(features)
    first, last = features.seconds[0], features.seconds[-1]
    wanted = first + np.arange(np.floor((last - first) * fps) + 1) / fps
    base = np.unique(_on_show(features.seconds, wanted))
    return [
        replace(
            features,
            features=features.features[_on_show(features.seconds, features.seconds[base] + late)],
            seconds=features.seconds[base],
        )
        for late in np.arange(PHASES) / (fps * PHASES)
    ]


def _on_show(seconds, instants):
    return np.searchsorted(seconds, instants + 1e-3, side="right") - 1


# Models


def table(read, arguments):
    """Print the accuracy of every model on a set."""
    names = QUICK if arguments.quick else tuple(TEMPORAL)
    if read.is_test.any():
        outer = [(np.flatnonzero(~read.is_test), np.flatnonzero(read.is_test))]
    else:
        outer = folds(read, np.arange(len(read.truth)), 5, arguments.seed)
    jobs = [
        delayed(one_fold)(read, train, test, names, arguments.seed + number)
        for number, (train, test) in enumerate(outer)
    ]
    scored = {}
    rows = np.concatenate([test for _, test in outer])
    chosen = []
    parallel = Parallel(n_jobs=min(arguments.jobs, len(jobs)), return_as="generator")
    for number, (scores, choices) in enumerate(parallel(jobs), 1):
        print(f"fold {number} of {len(jobs)}: {choices[1]} of {choices[0]}", file=sys.stderr)
        chosen.append(choices)
        for name, values in scores.items():
            scored.setdefault(name, []).append(values)
    truth = read.truth[rows].argmax(axis=1)
    draws = resample(read.units[rows])
    right = {
        name: (np.concatenate(values).argmax(axis=1) == truth).astype(np.float64)
        for name, values in scored.items()
    }
    print(f"{'chance':<42} {np.bincount(truth).max() / len(truth):.3f}")
    for name, values in right.items():
        loss = clip_loss(np.concatenate(scored[name]), read.truth[rows], "softmax")
        found = mean_figure(values, draws)
        print(f"{name:<42} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]  loss {loss:.3f}")
    for name in (BEST, FUSED):
        less = mean_figure(right[name] - right[STATISTICS], draws)
        print(f"{name}, less {STATISTICS}: {less.value:+.3f} [{less.low:+.3f}, {less.high:+.3f}]")
    print("chosen: " + "; ".join(f"{model} of {part}" for part, model in chosen))


BEST = "best temporal model by inner folds"
STATISTICS = "statistics, input by inner folds"
FUSED = "best and statistics, averaged"


def one_fold(read, train, test, names, seed):
    """Return the scores (N, K) of the test clips by model name, and what was chosen on the train.

    Nothing of the test clips but their features is looked at.
    """
    torch.set_num_threads(1)
    # Products in bfloat16 where the processor has it: twice as fast.
    torch.set_float32_matmul_precision("medium")
    data = {name: ProbeData(v, read.truth, read.units) for name, v in read.vectors.items()}
    scores, losses = {}, {}
    for name, vectors in data.items():
        probe = fit_probe("linear", vectors.take(train), "single_label", seed=seed)
        scores[name] = probe.scores(vectors.vectors[test])
        losses[name] = min(loss for _, loss in probe.losses)
    part = min(READS, key=lambda name: losses[f"statistics, {name}"])
    scores[STATISTICS] = scores[f"statistics, {part}"]
    held_losses = {}
    for name in names:
        held_losses[name] = held_loss(read, train, part, name, seed)
        objectives = [
            trained(read, train, part, name, seed * NUM_SEEDS + number)
            for number in range(NUM_SEEDS)
        ]
        scores[name] = np.mean([said(objective, read, test) for objective in objectives], axis=0)
    best = min(names, key=lambda name: held_losses[name])
    scores[BEST] = scores[best]
    scores[FUSED] = (scores[best] + scores[STATISTICS]) / 2
    return scores, (part, best)


def held_loss(read, train, part, name, seed):
    """Return the loss of a temporal model on clips that inner folds of the training hold out."""
    loss = 0.0
    for number, (learned, held) in enumerate(folds(read, train, INNER_FOLDS, seed)):
        objective = trained(read, learned, part, name, seed * NUM_SEEDS + number)
        lost = clip_loss(said(objective, read, held), read.truth[held], "softmax")
        loss += lost * len(held) / len(train)
    return loss


def folds(read, rows, number, seed):
    """Return stratified folds of some clips, groups whole: rows to learn from, rows held out."""
    split = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    parts = split.split(rows, read.truth[rows].argmax(axis=1), read.units[rows])
    return [(rows[learned], rows[held]) for learned, held in parts]


def trained(read, rows, part, name, seed):
    """Return a temporal model with its head, trained on some clips."""
    torch.manual_seed(seed)
    width = read.segments[0][0].views[0].shape[1]
    parts = read.looks, width - read.looks, 0
    config = TemporalConfig(
        appearance_dim=read.looks,
        motion_dim=0,
        readout=False,
        reads=READS[part],
        motion_weight=MOTION_WEIGHT[part],
        **(SIZES | TEMPORAL[name]),
    )
    config = replace(config, motion_dim=pooled_dim(config, parts))
    temporal = TemporalModel(config, width, parts=parts, dropout=DROPOUT)
    segments = of_clips(read, rows)
    fit_scales(temporal, segments)
    outputs = read.truth.shape[1]
    objective = Objective(
        temporal, OBJECTIVE, num_outputs=outputs, activation="softmax", dropout=DROPOUT
    )
    source = CachedSource(segments, (), batch_size=LOOP.batch_size, time=TIME, seed=seed)
    fit(objective, source, optimizer_options=OPTIMIZER, options=replace(LOOP, seed=seed))
    return objective


def said(objective, read, rows):
    """Return the scores (N, K) of clips: the mean over the phases of their sampling."""
    views = [clip_outputs(objective, of_clips(read, rows, phase))[0] for phase in range(PHASES)]
    return np.mean(views, axis=0)


def of_clips(read, rows, phase=None):
    """Return the segments of clips, numbered anew, in all phases or in one."""
    segments = []
    for number, row in enumerate(rows):
        for one in read.segments[row]:
            views = one.views if phase is None else (one.views[phase],)
            segments.append(Segment(number, views, one.seconds, one.truth, one.duration_seconds))
    return segments


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--weights", type=Path, help="the ImageNet CNNs; DATA/weights by default")
    parser.add_argument("--sets", nargs="+", choices=tuple(RATES), default=list(RATES))
    parser.add_argument(
        "--models",
        nargs="+",
        default=["sora-mini", *NETWORKS],
        help=f"model folders or names, and ImageNet CNNs: {', '.join(NETWORKS)}",
    )
    parser.add_argument("--quick", action="store_true", help=f"only {'; '.join(QUICK)}")
    parser.add_argument("--seed", type=int, default=0, help="of folds, weights and order")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "soravec-labelled"
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    arguments.weights = arguments.weights or arguments.data / "weights"
    return arguments


if __name__ == "__main__":
    main()
