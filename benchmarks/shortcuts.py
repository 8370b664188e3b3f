"""What is lost where less is read: keyframes alone, by their spacing, and the fast decoding.

Clips of `actions` are encoded anew in H.264 with keyframes at most so far apart; their vectors read
in the short way are compared with those of the same file read whole at the model's rate. Printed:
the cosine of the appearance of a clip read both ways (median, and that which 5 % stay below); mAP
(of finding clips of the same label among clips of other groups, by the cosine of centred means), of
appearance and of the whole, in the long way and in the short; and what is lost of the whole's, with
its interval over groups.

    python benchmarks/shortcuts.py --data DIR [--model NAME|DIR] [--seconds 0.5 1 2 4 8]
"""

import argparse
import json
import os
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from speed import RESULTS, machine

import soravec
from soravec.data.clips import units_of
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import difference, figure, mean_of, resample
from soravec.evaluation.retrieval import rank_clips
from soravec.runtime.vectors import normalise, split
from soravec.video import EveryFrame, VideoReader, VideoWriter

QUANTILES = (50, 5)
FAST_SECONDS = 2
"""The fast decoding is tried on the files of this spacing."""


def main():
    arguments = parse()
    clips = read_manifest(arguments.data / "actions" / "manifest.csv").clips
    labels = np.array([clip.labels[0] for clip in clips])
    units = np.array(units_of(clips))
    encoder = soravec.load(arguments.model)
    print(f"{len(clips)} clips of actions, {encoder.name}")
    names = ("what is read", "cosine of looks", "5 %", "mAP of looks", "mAP of the whole", "lost")
    print("".join(f"{name:<24}" for name in names))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in arguments.seconds:
            tasks = (
                delayed(encoded)(clip.path, Path(folder) / f"{number}.mp4", seconds)
                for number, clip in enumerate(clips)
            )
            paths = Parallel(n_jobs=-1)(tasks)
            whole = [encoder.embed(path) for path in paths]
            ways = {f"keyframes, {seconds:g} s": {"sampling": "keyframes"}}
            if seconds == FAST_SECONDS:
                ways["fast decoding"] = {"fast_decode": True}
            for name, options in ways.items():
                short = [encoder.embed(path, **options) for path in paths]
                rows.append(compared(name, encoder, whole, short, labels, units))
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "rows": rows}
    (RESULTS / "shortcuts.json").write_text(json.dumps(facts, indent=1) + "\n")


def compared(name, encoder, whole, short, labels, units):
    """Print and return what is lost by one short way."""
    width = encoder.config.temporal.appearance_dim
    wholes = [np.stack([e.vector for e in found]) for found in (whole, short)]
    looks = [normalise(split(vectors, width)[0]) for vectors in wholes]
    alike = (looks[0] * looks[1]).sum(axis=1)
    precision = partial(precisions, relevant=labels[:, None] == labels, units=units)
    found = [precision(vectors) for vectors in wholes]
    lost = figure(difference(mean_of(found[0]), mean_of(found[1])), resample(units))
    row = {
        "name": name,
        "cosine": [float(np.percentile(alike, quantile)) for quantile in QUANTILES],
        "looks": [float(precision(vectors).mean()) for vectors in looks],
        "whole": [float(values.mean()) for values in found],
        "lost": [lost.value, lost.low, lost.high],
    }
    cells = (
        name,
        *(f"{cosine:.4f}" for cosine in row["cosine"]),
        "{:.3f} -> {:.3f}".format(*row["looks"]),
        "{:.3f} -> {:.3f}".format(*row["whole"]),
        "{:.3f} [{:.3f}, {:.3f}]".format(*row["lost"]),
    )
    print("".join(f"{cell:<24}" for cell in cells), flush=True)
    return row


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
