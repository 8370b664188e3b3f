"""Fits the small network that weighs what `soravec.video.dissolves` measures."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soravec.video.alignment import align
from soravec.video.decode import PictureSource
from soravec.video.dissolves import TICK_SECONDS, contrasts, describe, windows_that_end
from soravec.video.signature import SIZE, SignatureReader

NEURONS = 8


def fit(folder: Path, target: Path) -> None:
    """Write weights fitted to the videos of a folder; those without a truth hold no transition."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".avi"))
    parts = [_examples(path) for path in paths]
    features = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    scale = StandardScaler().fit(features)
    network = MLPClassifier((NEURONS,), alpha=1e-2, max_iter=500, random_state=0)
    network.fit(scale.transform(features), labels)
    weights = network.coefs_[0].T / scale.scale_
    hidden = np.column_stack([weights, network.intercepts_[0] - weights @ scale.mean_])
    output = np.append(network.coefs_[1][:, 0], network.intercepts_[1])
    rounded = {
        "hidden": [[float(f"{weight:.4g}") for weight in row] for row in hidden],
        "output": [float(f"{weight:.4g}") for weight in output],
    }
    target.write_text(json.dumps(rounded) + "\n")
    print(f"{len(paths)} videos, {labels.sum()} windows of {len(labels)} are dissolves")


def _examples(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the features of a video's windows and whether each is a dissolve.

    A window that holds only part of a transition, or a cut, is left out: it is neither.
    """
    truth = path.with_suffix(".json")
    transitions = json.loads(truth.read_text()) if truth.exists() else []
    seconds, signatures = _ticks(path)
    centred = signatures - np.float32(128)
    squares = np.einsum("ns,ns->n", centred, centred)
    distances = (squares[:, None] + squares - 2 * centred @ centred.T) / SIZE
    windows, features = describe(
        distances, contrasts(centred), windows_that_end(np.arange(len(seconds)))
    )
    kept, labels = [], []
    for number, (start, end) in enumerate(zip(windows.start, windows.end, strict=True)):
        label = _label(float(seconds[start]), float(seconds[end]), transitions)
        if label is not None:
            features[number, -1] = align(signatures[start], signatures[end]).correlation
            kept.append(number)
            labels.append(label)
    return features[kept], np.array(labels, bool)


def _label(start: float, end: float, transitions: list[dict]) -> bool | None:
    label: bool | None = False
    for one in transitions:
        if one["kind"] == "cut" and start < one["start"] <= end:
            return None
        both = min(end, one["end"]) - max(start, one["start"])
        if both <= 0:
            continue
        share = both / (max(end, one["end"]) - min(start, one["start"]))
        apart = abs(start + end - one["start"] - one["end"]) / 2
        centred = apart < 0.15 * (one["end"] - one["start"]) + 0.06
        if one["kind"] != "dissolve" or share < 0.65 or not centred:
            return None
        label = True
    return label


def _ticks(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return the times and signatures of as many frames as the detector of dissolves looks at."""
    reader, seconds, signatures = SignatureReader(), [], []
    source = PictureSource(path)
    for picture in source:
        if seconds and picture.seconds - seconds[-1] < TICK_SECONDS:
            continue
        signature = np.empty((1, SIZE), np.uint8)
        reader.read([picture.frame], signature)
        seconds.append(picture.seconds)
        signatures.append(signature[0])
    source.close()
    return np.array(seconds), np.array(signatures)
