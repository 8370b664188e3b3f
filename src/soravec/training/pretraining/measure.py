"""What the RNN is worth, on generated clips over photographs that nothing was trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from soravec.models.temporal import TemporalModel
from soravec.training.pretraining.motion import MotionClips
from soravec.training.pretraining.projection import mean_average_precision
from soravec.training.pretraining.temporal import collate, disturbed, sample_view

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)

Vectors = NDArray[np.float32]


def measure_motion(model: TemporalModel, clips: MotionClips, *, seed: int = 0) -> dict[str, float]:
    """Return how well motion tells moves apart, beside what needs no RNN.

    - `told_from_*`: how often a view is nearer to another view of its move than to that one
      backwards (or shuffled, or standing still); 0.5 is chance.
    - `same_move_*`: mean of 1 / rank of finding, among views over *other* photographs, the one of
      the same move; by motion, by the mean of the features, and by their statistics over time
      (mean, standard deviation, mean absolute difference).
    """
    rng = np.random.default_rng(seed)
    moving = np.flatnonzero(clips.kind != 0)
    views = [[_view(clips, row, view, rng) for row in moving] for view in range(3)]
    first, second, other = (read(model, view)[0] for view in views)
    figures = {}
    fakes = [disturbed(values, seconds, rng) for values, seconds in views[1]]
    for number, name in enumerate(("backwards", "shuffled", "still")):
        fake = read(model, [three[number] for three in fakes])[0]
        right = (first * second).sum(1) > (first * fake).sum(1)
        figures[f"told_from_{name}"] = float(right.mean())
    figures["same_move_by_motion"] = _pair_precision(first, other)
    mean = [values.astype(np.float32).mean(0) for values, _ in views[0]]
    figures["same_move_by_mean"] = _pair_precision(
        np.stack(mean), np.stack([v.astype(np.float32).mean(0) for v, _ in views[2]])
    )
    figures["same_move_by_statistics"] = _pair_precision(
        np.stack([_statistics(v) for v, _ in views[0]]),
        np.stack([_statistics(v) for v, _ in views[2]]),
    )
    return figures


def choose_weight(
    model: TemporalModel, clips: MotionClips, *, seed: int = 0
) -> tuple[float, dict[str, float]]:
    """Return the weight of motion that serves two questions equally well, and all figures.

    The questions, on clips of held-out photographs: which clips show the same *move* over the same
    photograph, and which show the same *photograph*, however it moves. Each is a mean average
    precision; their mean decides.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(clips.kind))
    looks, motions = [], []
    for view in range(2):
        motion, appearance = read(model, [_view(clips, row, view, rng) for row in rows])
        looks.append(appearance)
        motions.append(motion)
    appearance, motion = np.concatenate(looks), np.concatenate(motions)
    clip_labels = np.concatenate([rows, rows])
    photo_labels = np.concatenate([clips.photo, clips.photo])
    figures = {}
    for weight in WEIGHTS:
        parts = np.sqrt(1 - weight) * appearance, np.sqrt(weight) * motion
        vectors = np.concatenate(parts, axis=1)
        same_clip = mean_average_precision(vectors, clip_labels)
        same_photo = mean_average_precision(vectors, photo_labels)
        figures[f"clip_map_w{weight}"] = same_clip
        figures[f"photo_map_w{weight}"] = same_photo
        figures[f"mean_map_w{weight}"] = (same_clip + same_photo) / 2
    best = max(WEIGHTS, key=lambda weight: figures[f"mean_map_w{weight}"])
    return best, figures


@torch.no_grad()
def read(
    model: TemporalModel, views: Sequence[tuple[NDArray[np.float16], NDArray[np.float32]]]
) -> tuple[Vectors, Vectors]:
    """Return motion (N, M) and appearance (N, A) of views, unit length."""
    motions, looks = [], []
    for begin in range(0, len(views), 128):
        appearance, _, motion, _ = model(*collate(list(views[begin : begin + 128])))
        motions.append(motion.numpy())
        looks.append(torch.nn.functional.normalize(appearance.sum(dim=1), dim=-1).numpy())
    return np.concatenate(motions), np.concatenate(looks)


def _view(
    clips: MotionClips, row: int | np.signedinteger[Any], view: int, rng: np.random.Generator
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    return sample_view(clips.features[row, view], clips.seconds[row, view], rng, drop=0.1)


def _statistics(values: NDArray[np.float16]) -> Vectors:
    """Return mean, standard deviation and mean absolute difference over time, each unit length."""
    series = values.astype(np.float32)
    parts = series.mean(0), series.std(0), np.abs(np.diff(series, axis=0)).mean(0)
    return np.concatenate([part / max(float(np.linalg.norm(part)), 1e-9) for part in parts])


def _pair_precision(queries: Vectors, gallery: Vectors) -> float:
    """Return the mean of 1 / rank of gallery row i for query i: one right answer each."""
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True).clip(1e-9)
    gallery = gallery / np.linalg.norm(gallery, axis=1, keepdims=True).clip(1e-9)
    cosines = queries @ gallery.T
    ranks = (cosines > cosines.diagonal()[:, None]).sum(1) + 1
    return float((1 / ranks).mean())
