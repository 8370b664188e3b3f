"""Do words find video that nobody described? mAP of `soravec search WORD` by the model's tags.

The clips of `actions` are indexed under names without meaning; a clip is right for a word if its
label is the word's. Beside it: the teacher's own probabilities, averaged over the same frames.

    python benchmarks/tags.py --data DIR [--model NAME|DIR]
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

import soravec
from soravec.data.manifest import read_manifest
from soravec.training.pretraining.tags import FIRST_CLASS, class_names
from soravec.training.pretraining.teachers import MobileNet
from soravec.video import AtRate, VideoReader

WORDS = {
    "violin": ("PlayingViolin", "小提琴"),
    "piano": ("PlayingPiano", "钢琴"),
    "basketball": ("BasketballDunk", "篮球"),
    "bow": ("Archery", "弓"),
}
"""What is asked, of which label it is true, and its Chinese name."""
FPS = 2.0


def main():
    arguments = parse()
    clips = read_manifest(arguments.data / "actions" / "manifest.csv").clips
    encoder = soravec.load(arguments.model)
    probabilities = taught(clips, arguments.weights)
    names, words = class_names()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "clips"
        folder.mkdir()
        labels = {}
        for number, clip in enumerate(clips):
            shutil.copy(clip.path, folder / f"{number:04}{clip.path.suffix}")
            labels[number] = clip.labels[0]
        with soravec.Library(Path(temporary) / "library") as library:
            library.add(folder, encoder=encoder, progress=False)
            print(f"{len(clips)} clips, {FPS:g} frames/s, {encoder.name}; mAP of words")
            print(f"{'word':<14}{'search':<10}{'in Chinese':<14}{'teacher':<10}chance")
            for word, (label, chinese) in WORDS.items():
                truth = np.array([labels[number] == label for number in range(len(clips))])
                found = [
                    average_precision(ranking(library, asked, len(clips)), truth)
                    for asked in (word, chinese)
                ]
                classes = [
                    index
                    for index, (name, others) in enumerate(zip(names, words, strict=True))
                    if word in (name, *others)
                ]
                order = np.argsort(-probabilities[:, classes].sum(axis=1), kind="stable")
                own = average_precision(order.tolist(), truth)
                print(f"{word:<14}{found[0]:<10.3f}{found[1]:<14.3f}{own:<10.3f}{truth.mean():.3f}")


def ranking(library, word, num_clips):
    """Return the numbers of the clips that a word finds, best first, each once."""
    hits = library.search(word, k=4 * num_clips)
    return list(dict.fromkeys(int(Path(hit.path).stem) for hit in hits))


def average_precision(found, truth):
    """Return the mean over all right clips of the precision at each; one not found counts 0."""
    right = truth[np.array(found, np.int64)]
    precision = right.cumsum() / np.arange(1, len(found) + 1)
    return float((precision * right).sum() / truth.sum())


def taught(clips, weights):
    """Return the teacher's probabilities (N, K) of clips: the mean over their frames."""
    teacher = MobileNet(weights)
    rows = []
    for clip in clips:
        with VideoReader(clip.path) as video:
            frames = video.read(AtRate(FPS), size=(teacher.size, teacher.size))
            images = np.concatenate([part.images for part in frames])
        logits = teacher(images).logits[:, FIRST_CLASS:].astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows.append((powers / powers.sum(axis=1, keepdims=True)).mean(axis=0))
    return np.stack(rows)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument(
        "--weights", type=Path, help="folder of the teacher; DATA/weights by default"
    )
    parser.add_argument("--model", default="sora-mini")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    arguments.weights = arguments.weights or arguments.data / "weights"
    return arguments


if __name__ == "__main__":
    main()
