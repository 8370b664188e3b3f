"""The tag head: the teacher's classes, said of a segment's vector, with names in two languages."""

import csv
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from soravec.runtime.config import TemporalConfig
from soravec.runtime.heads import Head, HeadConfig
from soravec.training.losses import distillation_loss

NAMES_FILE = "imagenet.csv"
"""English and Chinese names of the teacher's classes, in its order, separated by |."""
FIRST_CLASS = 1
"""The teacher's class 0 is the background, which is no tag."""
STEPS = 1500
BATCH = 1024
LEARNING_RATE = 0.01
WEIGHT_DECAY = 1e-4
SCALE = 16.0
"""Of unit vectors before the head, so that a few hundred steps reach any sharpness."""
TEMPERATURES = tuple(np.geomspace(0.25, 4, 25).tolist())
TEACHER_BEST = 3
"""A tag is right if it is among so many best ones of the teacher."""
PRECISION = 0.8
"""The least probability that is shown is such that this share of the tags above it is right."""

Float = NDArray[np.float32]


def class_names() -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return what each class but the background is called first, and what else, in any language."""
    text = (resources.files(__package__ or "") / NAMES_FILE).read_text(encoding="utf-8")
    names = [
        tuple(filter(None, f"{row['english']}|{row['chinese']}".split("|")))
        for row in csv.DictReader(text.splitlines())
    ][FIRST_CLASS:]
    return tuple(first for first, *_ in names), tuple(tuple(others) for _, *others in names)


def fit_tags(
    learn: tuple[Float, Float],
    held_out: tuple[Float, Float],
    *,
    space_id: str,
    temporal: TemporalConfig,
    steps: int = STEPS,
    seed: int = 0,
) -> tuple[Head, dict[str, float]]:
    """Return the head that says the teacher's classes of vectors, and what it scores.

    Args:
        learn: Appearance (N, A) of views, unit length, and the teacher's logits (N, K).
        held_out: The same of views of photographs held out: they set its confidence.
        space_id: Of the vectors.
        temporal: How the vectors are put together.
        steps: Updates.
        seed: Of the order.
    """
    weight, bias = _learned(learn[0], learn[1][:, FIRST_CLASS:], steps, seed)
    said = held_out[0] @ weight.T + bias
    logits = held_out[1][:, FIRST_CLASS:]
    taught = torch.from_numpy(logits).float().softmax(dim=1)
    losses = [_divergence(said, taught, temperature) for temperature in TEMPERATURES]
    temperature = TEMPERATURES[int(np.argmin(losses))]
    weight, bias, said = weight / temperature, bias / temperature, said / temperature
    right = _among_best(said, logits)
    sure = torch.from_numpy(said).softmax(dim=1).max(dim=1).values.numpy()
    least = least_for(PRECISION, sure, right)
    names, words = class_names()
    whole = np.zeros((len(names), temporal.appearance_dim + temporal.motion_dim), np.float32)
    whole[:, : temporal.appearance_dim] = weight / np.sqrt(1 - temporal.motion_weight)
    config = HeadConfig(names, "softmax", space_id, words=words, least=least)
    figures = {
        "temperature": float(temperature),
        "divergence": float(min(losses)),
        "among_best": float(right.mean()),
        "least": least,
        "shown": float((sure >= least).mean()),
    }
    return Head("tags", config, whole, bias.astype(np.float32)), figures


def least_for(precision: float, sure: Float, right: NDArray[np.bool_]) -> float:
    """Return the least confidence above which that share is right; 1 where there is none.

    >>> round(least_for(0.6, np.array([0.9, 0.5, 0.2, 0.1]), np.array([1, 0, 1, 0]) > 0), 3)
    0.2
    """
    order = np.argsort(-sure, kind="stable")
    share = right[order].cumsum() / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= precision)
    return float(sure[order][good[-1]]) if len(good) else 1.0


def _learned(vectors: Float, logits: Float, steps: int, seed: int) -> tuple[Float, Float]:
    """Return weight (K, A) and bias (K,) of the head on unit vectors."""
    random = torch.Generator().manual_seed(seed)
    inputs, taught = SCALE * torch.from_numpy(vectors).float(), torch.from_numpy(logits).float()
    weight = torch.zeros(logits.shape[1], vectors.shape[1], requires_grad=True)
    bias = torch.zeros(logits.shape[1], requires_grad=True)
    optimizer = torch.optim.AdamW([weight, bias], LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(inputs), (BATCH,), generator=random)
        loss = distillation_loss(F.linear(inputs[rows], weight, bias), taught[rows], 1.0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return (SCALE * weight).detach().numpy(), bias.detach().numpy()


def _divergence(said: Float, taught: torch.Tensor, temperature: float) -> float:
    """Return the mean cross-entropy of the teacher's classes with what is said of them."""
    log = torch.from_numpy(said / temperature).log_softmax(dim=1)
    return float(-(taught * log).sum(dim=1).mean())


def _among_best(said: Float, logits: Float) -> NDArray[np.bool_]:
    """Return (N,) whether the likeliest class is among the teacher's best."""
    best = np.argsort(-logits, axis=1)[:, :TEACHER_BEST]
    return np.asarray((best == said.argmax(axis=1)[:, None]).any(axis=1))
