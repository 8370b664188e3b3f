"""Reconstructing and predicting frame features of clips that were not learned from: MSE.

The composite sequence autoencoder (Srivastava et al. 2015): a GRU reads the first half of a
segment; one decoder gives it back in reverse, another the second half. Trained without labels on
the clips of `actions` that are not for the test, stopped by a validation part of them, and measured
once on its test groups. Features are standardised, so that 1 is about what the training mean
misses by.
Intervals are 95 %, bootstrapped over groups of clips.

    python benchmarks/sequences.py --data DIR [--model sora-mini] [--fps 4] [--set KEY=VALUE]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from soravec.data.clips import units_of
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import mean_figure, resample
from soravec.training.batches import plain_batches
from soravec.training.config import read_train_config
from soravec.training.prepare import Places, of_split, prepare, segments_of_set
from soravec.training.train import train_objective

SETTINGS = (
    "objective.supervised=0",
    "objective.autoencoder=1",
    "objective.prediction=1",
    "temporal.hidden_dim=256",
    "temporal.dropout=0.0",
    "data.duplicates=ignore",
)


def main():
    arguments = parse()
    torch.set_num_threads(1)
    config = read_train_config(
        None,
        [
            *SETTINGS,
            f"model={arguments.model}",
            f"data.fps={arguments.fps:g}",
            *arguments.settings,
        ],
    )
    manifest = read_manifest(arguments.data / "actions" / "manifest.csv")
    with tempfile.TemporaryDirectory() as out:
        prepared = prepare(manifest, config, Path(out), Places(arguments.cache))
    began = time.monotonic()
    objective, result = train_objective(prepared, config)
    seconds = time.monotonic() - began
    test = of_split(prepared.features, "test")
    segments = segments_of_set(test, prepared.manifest, prepared.encoder)
    print(
        f"actions, {arguments.model}, {arguments.fps:g} frames/s: learned from"
        f" {len(prepared.train)} segments in {seconds:.0f} s (epoch {result.best_epoch} of"
        f" {result.epochs}, validation loss {result.best_loss:.4f}), measured on"
        f" {len(segments)} of {len(test.clips)} test clips"
    )
    units = np.array(units_of(test.clips))[[segment.clip for segment in segments]]
    draws = resample(units)
    errors = errors_of(objective, segments)
    for task, by_kind in errors.items():
        for kind, values in by_kind.items():
            found = mean_figure(np.array(values), draws)
            print(f"{task:<12} {kind:<8} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
        for kind in ("mean", "copy", "average"):
            less = mean_figure(np.subtract(by_kind["model"], by_kind[kind]), draws)
            print(
                f"{task:<12} model less {kind}: {less.value:+.3f}"
                f" [{less.low:+.3f}, {less.high:+.3f}]"
            )


@torch.no_grad()
def errors_of(objective, segments):
    """Return mean squared errors of every segment by task and by what answers."""
    objective.eval()
    found = {}
    for batch in plain_batches(segments, 1):
        for task, errors in objective.sequence_errors(batch).items():
            for kind, error in zip(errors._fields, errors, strict=True):
                found.setdefault(task, {}).setdefault(kind, []).append(float(error))
    return found


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--model", default="sora-mini")
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "soravec-labelled"
    )
    parser.add_argument("--set", dest="settings", action="append", default=[])
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    return arguments


if __name__ == "__main__":
    main()
