"""What a trained objective says of clips, and how it says so with the right confidence."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from soravec.runtime.heads import Activation
from soravec.training.batches import Segment, plain_batches
from soravec.training.objectives import Objective

BATCH_SEGMENTS = 64


@torch.no_grad()
def clip_outputs(
    objective: Objective, segments: Sequence[Segment]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return outputs (N, K) and truth (N, K) of clips, as `Head.classify` would give them.

    Probabilities of segments, or their targets, are averaged with their durations as weights.
    """
    objective.eval()
    clips = sorted({segment.clip for segment in segments})
    place = {clip: row for row, clip in enumerate(clips)}
    width = len(segments[0].truth)
    sums, truth = np.zeros((len(clips), width)), np.zeros((len(clips), width))
    seconds = np.zeros(len(clips))
    number = 0
    for batch in plain_batches(segments, BATCH_SEGMENTS):
        scores = _activate(objective.outputs(batch), objective.activation).double().numpy()
        for row in scores:
            segment = segments[number]
            sums[place[segment.clip]] += row * segment.duration_seconds
            truth[place[segment.clip]] = segment.truth
            seconds[place[segment.clip]] += segment.duration_seconds
            number += 1
    return sums / seconds[:, None], truth


def clip_loss(
    scores: NDArray[np.float64], truth: NDArray[np.float64], activation: Activation
) -> float:
    """Return what is lost on clips: (binary) cross-entropy in nats, or mean squared error.

    Args:
        scores: (N, K) from `clip_outputs`.
        truth: (N, K).
        activation: What the scores mean.
    """
    if activation == "identity":
        return float(((scores - truth) ** 2).mean())
    likely = scores.clip(1e-12, 1 - 1e-12)
    if activation == "softmax":
        return float(-np.log((likely * truth).sum(axis=1)).mean())
    return float(-(truth * np.log(likely) + (1 - truth) * np.log(1 - likely)).mean())


@torch.no_grad()
def calibrate(objective: Objective, segments: Sequence[Segment]) -> float:
    """Divide the head's outputs by the temperature that suits segments not learned from.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017,
    https://arxiv.org/abs/1706.04599, section 4.2. Of N segments of K classes the truth is held for
    N / (N + K) sure (Platt, "Probabilistic Outputs for Support Vector Machines", 1999, section
    2.2), so that a few segments that are all right do not make every answer certain. Returns the
    temperature; 1 where there is nothing to calibrate or no segment to do it on.
    """
    if objective.head is None or objective.activation == "identity" or not segments:
        return 1.0
    objective.eval()
    batches = list(plain_batches(segments, BATCH_SEGMENTS))
    outputs = torch.cat([objective.outputs(batch) for batch in batches])
    truth = torch.cat([batch.truth for batch in batches])

    count = len(truth)
    num_answers = truth.shape[1] if objective.activation == "softmax" else 2
    sure = (truth * count + 1) / (count + num_answers)  # (N, K)
    lost = (
        F.cross_entropy if objective.activation == "softmax" else F.binary_cross_entropy_with_logits
    )

    def loss(logarithm: float) -> float:
        return float(lost(outputs / float(np.exp(logarithm)), sure))

    found = minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded")
    temperature = float(np.exp(found.x))
    objective.head.weight.div_(temperature)
    objective.head.bias.div_(temperature)
    return temperature


@torch.no_grad()
def measure(
    objective: Objective, train: Sequence[Segment], segments: Sequence[Segment]
) -> dict[str, float]:
    """Return what the validation clips come to: accuracy, losses, and what they are compared with.

    For a sequence autoencoder the errors of predicting the training mean, of copying the last frame
    and of repeating the average of those read stand beside its own.
    """
    if not segments:
        return {}
    measured: dict[str, float] = {}
    if objective.head is not None:
        scores, truth = clip_outputs(objective, segments)
        if objective.activation == "softmax":
            measured["accuracy"] = float((scores.argmax(1) == truth.argmax(1)).mean())
            measured["chance"] = 1 / scores.shape[1]
        elif objective.activation == "identity":
            measured["mean_squared_error"] = float(((scores - truth) ** 2).mean())
            mean = np.mean([segment.truth for segment in train], axis=0)
            measured["mean_squared_error_of_the_mean"] = float(((mean - truth) ** 2).mean())
        else:
            measured["accuracy_per_class"] = float(((scores > 0.5) == (truth > 0.5)).mean())
    sums: dict[str, float] = {}
    for batch in plain_batches(segments, BATCH_SEGMENTS):
        for name, errors in objective.sequence_errors(batch).items():
            for kind, error in zip(errors._fields, errors, strict=True):
                label = name if kind == "model" else f"{name}_by_{kind}"
                sums[label] = sums.get(label, 0.0) + float(error) * len(batch)
    return measured | {name: value / len(segments) for name, value in sums.items()}


def _activate(outputs: Tensor, activation: Activation) -> Tensor:
    if activation == "softmax":
        return outputs.softmax(dim=1)
    return outputs.sigmoid() if activation == "sigmoid" else outputs
