"""How long a training step takes: from cached features, and with decoding and CNN in every step.

Generated clips of two scenes, the default settings, batches of equal size; the end-to-end step also
trains the last stage of the CNN, which is what it is for. Steps of the two take turns in rounds.

    python benchmarks/speed_training.py [--clips 24] [--rounds 3]
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from speed import RESULTS, machine

from soravec.data.generated import SCENES, render
from soravec.data.manifest import read_manifest
from soravec.training.config import TrainConfig
from soravec.training.estimate import estimate
from soravec.video import VideoWriter

CLIP_SECONDS, FPS = 8, 25.0
BATCH = 16


def main():
    arguments = parse()
    base = TrainConfig()
    base = replace(base, loop=replace(base.loop, batch_size=BATCH))
    configs = {
        "from the cache": base,
        "end to end": replace(base, cnn=replace(base.cnn, train_stages=1)),
    }
    steps = {name: [] for name in configs}
    with tempfile.TemporaryDirectory() as folder:
        manifest = read_manifest(drawn(Path(folder), arguments.clips))
        for _ in range(arguments.rounds):
            for name, config in configs.items():
                steps[name].append(estimate(manifest, config).step_seconds)
    medians = {name: statistics.median(seconds) for name, seconds in steps.items()}
    for name, median in medians.items():
        print(f"{name:<16}{median * 1000:10.1f} ms for a step of {BATCH} clips")
    print(f"ratio {medians['end to end'] / medians['from the cache']:.0f}")
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    facts |= {"batch": BATCH, "clip_seconds": CLIP_SECONDS, "step_seconds": steps}
    (RESULTS / "training.json").write_text(json.dumps(facts, indent=1) + "\n")


def drawn(folder, count):
    """Write labelled clips, and return their manifest."""
    lines = ["path,label"]
    for number in range(count):
        name = f"{number}.mp4"
        with VideoWriter(folder / name, width=320, height=240, fps=FPS) as writer:
            frames = round(CLIP_SECONDS * FPS)
            scene = SCENES[number % 2]
            for image in render(scene, frames, width=320, height=240, seed=number):
                writer.write(image)
        lines.append(f"{name},{'one' if number % 2 else 'other'}")
    path = folder / "clips.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
