"""What INT8 costs ImageNet CNNs in meaning.

Calibrated on generated video, as `soravec models quantize` does it. Of each CNN of `weights/`, in
bfloat16 and in INT8: mAP (of finding clips of the same label among clips of other groups of
`actions`, by the cosine of centred means of frames), what is lost with its interval over groups,
and pictures per second on one thread.

    python benchmarks/eight_bits.py --data DIR
"""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from imagenet import NETWORKS, SIZE, network
from representation import frames_of, speed
from shortcuts import precisions
from speed import RESULTS, machine

from soravec.data.clips import units_of
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import difference, figure, mean_of, resample
from soravec.training.quantize import CALIBRATION_CLIPS, generated_clips


def main():
    arguments = parse()
    clips = read_manifest(arguments.data / "actions" / "manifest.csv").clips
    labels = np.array([clip.labels[0] for clip in clips])
    units = np.array(units_of(clips))
    frames = frames_of(tuple(clip.path for clip in clips), SIZE)
    calibration = [clip.images for clip in generated_clips(SIZE, SIZE, CALIBRATION_CLIPS)]
    print(f"{'':<16}{'mAP':>8}{'INT8':>8}  {'lost':<24}{'pictures/s':>12}{'INT8':>8}")
    rows = []
    for name in NETWORKS:
        read = [
            network(name, arguments.weights, num_threads=1, calibration=chosen)
            for chosen in (None, calibration)
        ]
        found = []
        for one in read:
            vectors = np.stack([one(images).mean(axis=0, dtype=np.float32) for images in frames])
            found.append(precisions(vectors, relevant=labels[:, None] == labels, units=units))
        lost = figure(difference(mean_of(found[0]), mean_of(found[1])), resample(units))
        row = {
            "name": name,
            "precision": [float(values.mean()) for values in found],
            "lost": [lost.value, lost.low, lost.high],
            "pictures_per_second": [speed(one) for one in read],
        }
        rows.append(row)
        values = "{:>8.3f}{:>8.3f}".format(*row["precision"])
        shown = "{:.3f} [{:.3f}, {:.3f}]".format(*row["lost"])
        rates = "{:>12.0f}{:>8.0f}".format(*row["pictures_per_second"])
        print(f"{name:<16}{values}  {shown:<24}{rates}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "rows": rows}
    (RESULTS / "eight_bits.json").write_text(json.dumps(facts, indent=1) + "\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument(
        "--data", type=Path, default=Path(root) if root else None, required=not root
    )
    arguments = parser.parse_args()
    arguments.weights = arguments.data / "weights"
    return arguments


if __name__ == "__main__":
    main()
