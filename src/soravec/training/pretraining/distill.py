"""Teach a small CNN what an ImageNet CNN says of pictures, without ImageNet.

Function matching (Beyer et al., "Knowledge distillation: A good teacher is patient and consistent",
2022, https://arxiv.org/abs/2106.05237): student and teacher see the same strongly varied and mixed
view. Departures: the views come from few photographs (see `patches` beside this), the teacher's
last feature map is matched beside the classes, cell by cell (FitNets, Romero et al., 2015,
https://arxiv.org/abs/1412.6550), a view with its answers is used several times, and the parts of
the student learn by themselves before they learn together (see `grafting`).
"""

import itertools
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

from soravec.errors import ModelError
from soravec.models.cnn import FrameCnn
from soravec.training.losses import distillation_loss, embedding_loss, map_loss
from soravec.training.pretraining.bank import BankConfig, Chunk
from soravec.training.pretraining.grafting import Grafts
from soravec.training.pretraining.optimizer import MatrixOptimizer
from soravec.training.pretraining.patches import resize_views

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """How the CNN learns."""

    rounds: int = 54
    """Rounds; in each it learns from the bank of recent views."""
    grafted_rounds: int = BankConfig().rounds_with_inner
    """How many of them, the first ones, its parts learn by themselves."""
    steps: int = 192
    """Updates per round."""
    batch: int = 64
    """Views per update."""
    sizes: tuple[tuple[float, int], ...] = ((0.55, 128), (0.87, 160), (1.0, 192))
    """Up to which share of the rounds together the student sees which size, in pixels."""
    learning_rate: float = 8e-3
    """Peak, after a warm-up of 2 % and before a cosine to zero; so for the parts, then together."""
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
    average: float = 0.998
    """Decay of the moving average of weights, which is what is kept."""
    compile: bool = False
    """Fuse operations, by a C++ compiler: a third faster, after a minute's wait per size."""
    device: str = "cpu"
    """Where the student learns, such as `cuda`."""
    seed: int = 0
    """Of weights and order."""

    def __post_init__(self) -> None:
        if not 0 <= self.grafted_rounds < self.rounds:
            raise ModelError(
                f"{self.rounds} rounds: more than the {self.grafted_rounds} that the parts take"
            )


class Views(Protocol):
    """Where views come from: a `Bank`."""

    def held_out(self) -> Chunk:
        """Return the views to measure on."""

    def rounds(self, first: int, last: int) -> Iterator[list[Chunk]]:
        """Yield the recent chunks of every round from `first` up to, not including, `last`."""


class Student(nn.Module):
    """The CNN with a linear head for the teacher's last map, and one for the classes.

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
        return self.answer(self.cnn.maps(views))

    def answer(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the heads say of the CNN's maps (B, C, h, w)."""
        return self.embed(maps), self.classify(maps.mean(dim=(2, 3)))

    def losses(self, batch: "Batch", config: DistillConfig) -> dict[str, Tensor]:
        """Return the losses of a batch, `loss` being their weighted sum, and the agreement."""
        return answer_losses(self(batch.views), batch, config)


class GraftedStudent(nn.Module):
    """A student whose parts learn by themselves.

    Args:
        student: What is trained.
        num_channels: Of the teacher's inner maps.
    """

    def __init__(self, student: Student, num_channels: Sequence[int]) -> None:
        super().__init__()
        self.student = student
        self.grafts = Grafts(student.cnn, num_channels)

    def forward(
        self, crops: Tensor, finer: Tensor, coarser: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return what the first two parts say of crops, and the heads of the last part's map."""
        *said, last = self.grafts(crops, finer, coarser)
        return (said[0], said[1]), self.student.answer(last)

    def losses(self, batch: "Batch", config: DistillConfig) -> dict[str, Tensor]:
        """Return the losses of a batch, `loss` being their weighted sum, and the agreement."""
        views, crops = crop_together(batch.views, batch.inner, batch.corner)
        said, answer = self(views, crops[0], batch.inner[-1])
        parts = [F.mse_loss(one, crop) for one, crop in zip(said, crops, strict=True)]
        losses = answer_losses(answer, batch, config)
        losses["loss"] = losses["loss"] + parts[0] + parts[1]
        return losses | {"first_part": parts[0], "second_part": parts[1]}


def answer_losses(
    answer: tuple[Tensor, Tensor], batch: "Batch", config: DistillConfig
) -> dict[str, Tensor]:
    """Return the losses of maps (B, P, h, w) and logits (B, K), and the agreement.

    The agreement is how often the likeliest class is the teacher's.
    """
    said, logits = answer
    target = F.adaptive_avg_pool2d(batch.maps, (said.shape[2], said.shape[3]))
    cells = map_loss(said, target)
    embed = embedding_loss(said.mean(dim=(2, 3)), batch.maps.mean(dim=(2, 3)))
    classes = distillation_loss(logits, batch.logits, config.temperature)
    total = (
        config.map_weight * cells + config.embedding_weight * embed + config.class_weight * classes
    )
    agreement = (logits.argmax(1) == batch.logits.argmax(1)).float().mean()
    return {
        "loss": total,
        "cells": cells,
        "embedding": embed,
        "classes": classes,
        "agreement": agreement,
    }


@dataclass(frozen=True, slots=True)
class Batch:
    """Views and answers as tensors."""

    views: Tensor
    """(B, S, S, 3) uint8."""
    maps: Tensor
    """(B, P, cells, cells) float32."""
    logits: Tensor
    """(B, K) float32."""
    inner: tuple[Tensor, ...] = ()
    """(B, C, h, w) float32, the finer first; only where the parts learn by themselves."""
    corner: tuple[float, float] = (0.5, 0.5)
    """Where, from 0 to 1 down and across, the crops lie that the first two parts see."""

    def to(self, device: str) -> "Batch":
        """Return it on a device."""
        inner = tuple(maps.to(device) for maps in self.inner)
        tensors = (self.views.to(device), self.maps.to(device), self.logits.to(device))
        return Batch(*tensors, inner, self.corner)


def crop_together(
    views: Tensor, inner: Sequence[Tensor], corner: tuple[float, float]
) -> tuple[Tensor, list[Tensor]]:
    """Return the same half of views (B, S, S, 3) and of maps (B, C, h, w), cut along whole cells.

    Args:
        views: All of them are cut alike.
        inner: Maps of these views; the last has the largest cells.
        corner: From 0 to 1, down and across.
    """
    cells = inner[-1].shape[-1]
    half = max(1, cells // 2)
    top, left = (round(share * (cells - half)) for share in corner)
    crops = []
    for maps in inner:
        unit = maps.shape[-1] // cells
        rows, columns = (slice(unit * at, unit * (at + half)) for at in (top, left))
        crops.append(maps[:, :, rows, columns])
    unit = views.shape[1] // cells
    rows, columns = (slice(unit * at, unit * (at + half)) for at in (top, left))
    return views[:, rows, columns], crops


def distill(
    student: Student, views: Views, out: Path, *, config: DistillConfig, resume: bool = False
) -> Student:
    """Train a student and return it with the averaged weights, in evaluation mode.

    Args:
        student: The CNN and its heads.
        views: What it learns from.
        out: Folder of `graft` and `distill`, each a `.jsonl` of one line per round and a `.pt` to
            resume from.
        config: How.
        resume: Go on from where the files in `out` say.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        for name, kind in itertools.product(("graft", "distill"), (".pt", ".jsonl")):
            (out / name).with_suffix(kind).unlink(missing_ok=True)
    student.to(memory_format=torch.channels_last)
    held_out = views.held_out()
    if config.grafted_rounds:
        parts = GraftedStudent(student, [maps.shape[1] for maps in held_out.inner])
        learn(parts, views, out / "graft", (0, config.grafted_rounds), config, resume=resume)
        parts.grafts.join()
    whole = (config.grafted_rounds, config.rounds)
    learn(student, views, out / "distill", whole, config, resume=resume)
    return student.cpu().eval()


Learner = Student | GraftedStudent


def learn(
    model: Learner,
    views: Views,
    path: Path,
    rounds: tuple[int, int],
    config: DistillConfig,
    *,
    resume: bool,
) -> None:
    """Train for some rounds, from the first up to, not including, the last; keep the average."""
    first, last = rounds
    model.to(config.device)
    cnn = model.cnn if isinstance(model, Student) else model.student.cnn
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=_averaging(config.average), use_buffers=True
    )
    optimizer = MatrixOptimizer(
        model, cnn, learning_rate=config.learning_rate, weight_decay=config.weight_decay
    )
    if config.compile:
        model.compile(dynamic=False)
    done, spent = first, 0.0
    checkpoint = path.with_suffix(".pt")
    if resume and checkpoint.is_file():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model.load_state_dict(state["student"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        done, spent = state["rounds"], state["spent"]
    held_out = views.held_out() if done < last else None
    began = time.monotonic()
    for number, chunks in enumerate(views.rounds(done, last), done):
        waited = time.monotonic() - began
        random = np.random.default_rng([config.seed, number])
        model.train()
        sums: dict[str, float] = {}
        for step in range(config.steps):
            progress = (number - first + step / config.steps) / (last - first)
            optimizer.set_learning_rate(config.learning_rate * schedule(progress))
            batch = draw(chunks, config, size_of(model, progress, config), random)
            losses = model.losses(batch.to(config.device), config)
            optimizer.zero_grad()
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(model)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / config.steps
        spent += time.monotonic() - began
        line = {"round": number + 1, "minutes": spent / 60, "waited": waited, **sums}
        assert held_out is not None
        size = size_of(model, progress, config)
        measured = measure(cast(Learner, average.module), held_out, config, size)
        log_line(
            line | {f"held_out_{k}": v for k, v in measured.items()}, path.with_suffix(".jsonl")
        )
        state = {
            "student": model.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rounds": number + 1,
            "spent": spent,
        }
        torch.save(state, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)
        began = time.monotonic()
    model.load_state_dict(average.module.state_dict())


def draw(
    chunks: Sequence[Chunk], config: DistillConfig, size: int | None, random: np.random.Generator
) -> Batch:
    """Return a batch of that size; at its own, with inner maps, if None."""
    count = len(chunks[0].views)
    picked = random.integers(len(chunks) * count, size=config.batch)
    rows = [(chunks[pick // count], pick % count) for pick in picked]
    views = np.stack([chunk.views[row] for chunk, row in rows])
    maps, logits = (
        torch.from_numpy(np.stack([getattr(chunk, name)[row] for chunk, row in rows])).float()
        for name in ("maps", "logits")
    )
    if size is not None:
        return Batch(torch.from_numpy(resize_views(views, size)), maps, logits)
    inner = tuple(
        torch.from_numpy(np.stack([chunk.inner[i][row] for chunk, row in rows])).float()
        for i in range(len(chunks[0].inner))
    )
    top, left = random.random(2)
    return Batch(torch.from_numpy(views), maps, logits, inner, (float(top), float(left)))


@torch.no_grad()
def measure(
    model: Learner, held_out: Chunk, config: DistillConfig, size: int | None
) -> dict[str, float]:
    """Return losses, and agreement with the teacher's first class, over held-out views.

    They are seen at that size; at their own, with inner maps, if it is None.
    """
    model.eval()
    sums: dict[str, float] = {}
    total = len(held_out.views)
    for start in range(0, total, config.batch):
        part = slice(start, start + config.batch)
        inner = () if size else held_out.inner
        views = resize_views(held_out.views[part], size) if size else held_out.views[part]
        batch = Batch(
            torch.from_numpy(views),
            torch.from_numpy(held_out.maps[part].astype(np.float32)),
            torch.from_numpy(held_out.logits[part].astype(np.float32)),
            tuple(torch.from_numpy(maps[part].astype(np.float32)) for maps in inner),
        ).to(config.device)
        for name, value in model.losses(batch, config).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(views) / total
    return sums


def size_of(model: Learner, progress: float, config: DistillConfig) -> int | None:
    """Return how many pixels down and across are seen at that share of the training.

    None, all that there are, where the parts learn by themselves: the teacher's maps are of these.
    """
    if isinstance(model, GraftedStudent):
        return None
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
