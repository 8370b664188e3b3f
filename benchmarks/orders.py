"""The textbook case: can it read time? Ten classes that differ only in the order of motion.

Makes 1,000 videos of 100 frames (five pairs of classes; within a pair the same frames in another
order), trains on the train split from cached features, measures the test split once, and then a
second set with other textures, backgrounds, speeds and sizes, which training never saw. A reading
that is blind to order can at best tell the pairs: 0.5. The column "by pairs" says what guessing
inside the pairs that a model tells would give.

    python benchmarks/orders.py -o DIR [--model NAME|DIR] [--set KEY=VALUE ...]

Videos and features stay in DIR, so that a second run takes a minute or two.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import soravec
from soravec.data.features import FeatureCache
from soravec.data.manifest import read_manifest
from soravec.data.orders import CLASSES, PAIRS, write_orders
from soravec.evaluation.intervals import wilson
from soravec.runtime.engine import available_cores
from soravec.training.config import read_train_config, with_temporal
from soravec.training.prepare import Places
from soravec.training.train import train

SETTINGS = Path(__file__).with_name("orders.yaml")
MODELS = {
    "mean of looks": {"kind": "mean", "reads": "appearance", "centred": False},
    "mean": {"kind": "mean", "centred": False},
    "statistics": {"kind": "statistics", "centred": False},
    "GRU": {},
    "LSTM": {"kind": "lstm"},
    "Transformer": {"kind": "transformer", "hidden_dim": 96, "num_layers": 2},
}
"""Changes to the temporal model; all but the first read the same as the GRU."""
SECOND_SEED = 2000


def main():
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    sets = {
        "test": make(arguments.out / "first", arguments.videos, "first", seed=0),
        "second generator": make(
            arguments.out / "second", arguments.videos // 3, "second", seed=SECOND_SEED
        ),
    }
    config = read_train_config(SETTINGS, [f"model={arguments.model}", *arguments.settings])
    places = Places(arguments.out / "features")
    print(
        f"{arguments.videos} videos, {len(CLASSES)} classes in {len(PAIRS)} pairs,"
        f" {config.data.fps} frames/s, {arguments.model}; chance 0.1, told by pairs 0.5"
    )
    heading = f"{'temporal model':<14}{'test [95 %]':<26}{'second generator [95 %]':<26}"
    print(f"{heading}{'by pairs':<14}seconds to train")
    for name in arguments.only or MODELS:
        changes = MODELS[name]
        out = arguments.out / name
        began = time.monotonic()
        trained = train(read_manifest(sets["test"]), out, with_temporal(config, **changes), places)
        encoder = soravec.load(trained.model)
        rights, pairs = {}, {}
        for which, manifest in sets.items():
            rights[which], pairs[which] = answers(encoder, manifest, trained, places)
        figures = "".join(f"{shown(rights[which]):<26}" for which in sets)
        print(
            f"{name:<14}{figures}{pairs['test'].mean() / 2:<14.3f}{trained.fit.seconds:.1f}"
            f"  (best epoch {trained.fit.best_epoch} of {trained.fit.epochs};"
            f" all {time.monotonic() - began:.0f} s)",
            flush=True,
        )


def make(folder, num_videos, style, *, seed):
    """Return the manifest of generated videos, made once."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        print(f"making {num_videos} videos in {folder}", flush=True)
        write_orders(folder, num_videos=num_videos, style=style, seed=seed)
    return manifest


def answers(encoder, manifest, trained, places):
    """Return, for each test clip, whether its class is told, and whether its pair is."""
    clips = read_manifest(manifest).of_split("test")
    cache = FeatureCache(places.cache, encoder)
    features = cache.read(clips)
    assert len(features.clips) == len(clips)
    head = encoder.head()
    told = [head.classify(encoder.embed_features(views[0])).label for views in features.views]
    truth = [clip.labels[0] for clip in features.clips]
    pair = {name: key for key, names in PAIRS.items() for name in names}
    right = np.array([a == b for a, b in zip(told, truth, strict=True)])
    return right, np.array([pair[a] == pair[b] for a, b in zip(told, truth, strict=True)])


def shown(right):
    """Return an accuracy with its Wilson interval over videos."""
    low, high = wilson(int(right.sum()), len(right))
    return f"{right.mean():.3f} [{low:.3f}, {high:.3f}]"


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/orders"))
    parser.add_argument("--model", default="sora-mini")
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--only", nargs="+", choices=list(MODELS))
    parser.add_argument("--set", dest="settings", action="append", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
