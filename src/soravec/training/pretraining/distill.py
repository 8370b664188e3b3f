"""Teach a small CNN what ImageNet CNNs say of pictures, without ImageNet.

Function matching (Beyer et al., "Knowledge distillation: A good teacher is patient and consistent",
2022, https://arxiv.org/abs/2106.05237): student and teachers see the same strongly varied and mixed
view. Departures: the views come from few photographs (see `patches` beside this), the teachers'
last feature maps are matched beside the classes, cell by cell (FitNets, Romero et al., 2015,
https://arxiv.org/abs/1412.6550), and a view with its answers is used several times.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soravec.models.cnn import FrameCnn
from soravec.training.losses import distillation_loss, embedding_loss, map_loss
from soravec.training.pretraining.bank import Chunk
from soravec.training.pretraining.optimizer import MatrixOptimizer
from soravec.training.pretraining.patches import resize_views

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """How the CNN learns."""

    rounds: int = 125
    """Rounds; in each it learns from the bank of recent views."""
    steps: int = 192
    """Updates per round."""
    batch: int = 64
    """Views per update."""
    sizes: tuple[tuple[float, int], ...] = ((0.55, 96), (0.9, 128), (1.0, 160))
    """Up to which share of the training the student sees which size, in pixels."""
    learning_rate: float = 3e-3
    """Peak, after a warm-up of 2 % and before a cosine to zero."""
    weight_decay: float = 0.02
    """On matrices only."""
    temperature: float = 2.0
    """Softens the classes."""
    map_weight: float = 3.0
    """Weight of the cells' loss."""
    embedding_weight: float = 2.0
    """Weight of the loss of their mean."""
    class_weight: float = 0.3
    """Weight of the classes' loss."""
    average: float = 0.999
    """Decay of the moving average of weights, which is what is kept."""
    compile: bool = False
    """Fuse operations, by a C++ compiler: a third faster, after a minute's wait per size."""
    device: str = "cpu"
    """Where the student learns, such as `cuda`."""
    seed: int = 0
    """Of weights and order."""


class Views(Protocol):
    """Where views come from: a `Bank`."""

    def held_out(self) -> Chunk:
        """Return the views to measure on."""

    def rounds(self, first: int, last: int) -> Iterator[list[Chunk]]:
        """Yield the recent chunks of every round from `first` up to, not including, `last`."""


class Student(nn.Module):
    """The CNN with a linear head for the teachers' maps, and one for the classes.

    Both are linear, so that the mean over the cells of what is said of them is what is said of the
    mean.

    Args:
        cnn: What is trained and kept.
        num_targets: Length of the targets of a cell.
        num_classes: Number of logits.
    """

    def __init__(self, cnn: FrameCnn, num_targets: int, num_classes: int) -> None:
        super().__init__()
        self.cnn = cnn
        self.embed = nn.Conv2d(cnn.config.feature_dim, num_targets, 1)
        self.classify = nn.Linear(cnn.config.feature_dim, num_classes)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps (B, P, h, w) and logits (B, K) of views (B, S, S, 3) uint8."""
        maps = self.cnn.maps(views)  # (B, C, h, w)
        return self.embed(maps), self.classify(maps.mean(dim=(2, 3)))

    def losses(self, batch: "Batch", config: DistillConfig) -> dict[str, Tensor]:
        """Return the losses of a batch, `loss` being their weighted sum."""
        said, logits = self(batch.views)
        target = F.adaptive_avg_pool2d(batch.maps, (said.shape[2], said.shape[3]))
        cells = map_loss(said, target)
        embed = embedding_loss(said.mean(dim=(2, 3)), batch.maps.mean(dim=(2, 3)))
        classes = distillation_loss(logits, batch.logits, config.temperature)
        total = (
            config.map_weight * cells
            + config.embedding_weight * embed
            + config.class_weight * classes
        )
        return {"loss": total, "cells": cells, "embedding": embed, "classes": classes}


@dataclass(frozen=True, slots=True)
class Batch:
    """Views and answers as tensors."""

    views: Tensor
    """(B, S, S, 3) uint8."""
    maps: Tensor
    """(B, P, cells, cells) float32."""
    logits: Tensor
    """(B, K) float32."""

    def to(self, device: str) -> "Batch":
        """Return it on a device."""
        return Batch(self.views.to(device), self.maps.to(device), self.logits.to(device))


def distill(
    student: Student, views: Views, out: Path, *, config: DistillConfig, resume: bool = False
) -> Student:
    """Train a student and return it with the averaged weights, in evaluation mode.

    Args:
        student: The CNN and its heads.
        views: What it learns from.
        out: Folder of `distill.jsonl` (one line per round) and `distill.pt` (to resume from).
        config: How.
        resume: Go on from `distill.pt` where there is one.
    """
    out.mkdir(parents=True, exist_ok=True)
    student.to(config.device).to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        student, multi_avg_fn=_averaging(config.average), use_buffers=True
    )
    optimizer = MatrixOptimizer(
        student, student.cnn, learning_rate=config.learning_rate, weight_decay=config.weight_decay
    )
    if config.compile:
        student.compile(dynamic=False)
    done, spent = 0, 0.0
    checkpoint = out / "distill.pt"
    if resume and checkpoint.is_file():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        student.load_state_dict(state["student"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        done, spent = state["rounds"], state["spent"]
    held_out = views.held_out() if done < config.rounds else None
    began = time.monotonic()
    for number, chunks in enumerate(views.rounds(done, config.rounds), done):
        waited = time.monotonic() - began
        random = np.random.default_rng([config.seed, number])
        student.train()
        sums: dict[str, float] = {}
        for step in range(config.steps):
            progress = (number + step / config.steps) / config.rounds
            optimizer.set_learning_rate(config.learning_rate * schedule(progress))
            batch = draw(chunks, config, progress, random).to(config.device)
            losses = student.losses(batch, config)
            optimizer.zero_grad()
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(student)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / config.steps
        spent += time.monotonic() - began
        line = {"round": number + 1, "minutes": spent / 60, "waited": waited, **sums}
        assert held_out is not None
        measured = measure(cast(Student, average.module), held_out, config, progress)
        log_line(line | {f"held_out_{k}": v for k, v in measured.items()}, out / "distill.jsonl")
        state = {
            "student": student.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rounds": number + 1,
            "spent": spent,
        }
        torch.save(state, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)
        began = time.monotonic()
    student.load_state_dict(average.module.state_dict())
    return student.cpu().eval()


def draw(
    chunks: Sequence[Chunk], config: DistillConfig, progress: float, random: np.random.Generator
) -> Batch:
    """Return a batch, half of it mirrored, of the size of that time of the training."""
    count = len(chunks[0].views)
    picked = random.integers(len(chunks) * count, size=config.batch)
    size = size_at(progress, config)
    rows = [(chunks[pick // count], pick % count) for pick in picked]
    views = resize_views(np.stack([chunk.views[row] for chunk, row in rows]), size)
    maps = np.stack([chunk.maps[row] for chunk, row in rows]).astype(np.float32)
    logits = np.stack([chunk.logits[row] for chunk, row in rows]).astype(np.float32)
    mirror = random.random(config.batch) < 0.5
    views[mirror] = views[mirror][:, :, ::-1]
    maps[mirror] = maps[mirror][..., ::-1]
    return Batch(torch.from_numpy(views), torch.from_numpy(maps), torch.from_numpy(logits))


@torch.no_grad()
def measure(
    student: Student, held_out: Chunk, config: DistillConfig, progress: float = 1.0
) -> dict[str, float]:
    """Return losses, and agreement with the teacher's first class, over held-out views.

    They are seen at the size of that time of the training.
    """
    student.eval()
    size = size_at(progress, config)
    sums: dict[str, float] = {}
    total = len(held_out.views)
    for start in range(0, total, config.batch):
        part = slice(start, start + config.batch)
        views = resize_views(held_out.views[part], size)
        batch = Batch(
            torch.from_numpy(views),
            torch.from_numpy(held_out.maps[part].astype(np.float32)),
            torch.from_numpy(held_out.logits[part].astype(np.float32)),
        ).to(config.device)
        losses = student.losses(batch, config)
        guess = student(batch.views)[1].argmax(1)
        losses["agreement"] = (guess == batch.logits.argmax(1)).float().mean()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(views) / total
    return sums


def size_at(progress: float, config: DistillConfig) -> int:
    """Return how many pixels down and across the student sees at that share of its training."""
    return next(size for share, size in config.sizes if progress <= share)


def schedule(progress: float) -> float:
    """Return the share of the peak learning rate: a warm-up of 2 %, then a cosine to 0.

    Example: at 0.01 it is 0.5, at 0.02 it is 1, at 0.51 it is 0.5.
    """
    if progress < 0.02:
        return max(progress, 1e-4) / 0.02
    return 0.5 * (1 + float(np.cos(np.pi * (progress - 0.02) / 0.98)))


def _averaging(decay: float) -> Any:
    """Return an average that follows quickly at first: after n updates it is n / (n + 10)."""

    def update(averages: Any, values: Any, num_averaged: Any) -> None:
        weight = 1 - min(decay, float(num_averaged) / (float(num_averaged) + 10))
        for mean, value in zip(averages, values, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)

    return update


def log_line(line: Mapping[str, Any], path: Path) -> None:
    """Log a line, and append it to a file of JSON lines."""
    rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in line.items()}
    logger.info("%s", rounded)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(rounded) + "\n")
