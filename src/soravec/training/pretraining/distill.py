"""Teach a small CNN what ImageNet CNNs say of pictures, without ImageNet.

Function matching (Beyer et al., "Knowledge distillation: A good teacher is patient and consistent",
2022, https://arxiv.org/abs/2106.05237): student and teachers see the same strongly varied and mixed
view. Departures: the views come from few photographs (see `patches` beside this), an embedding
is matched beside the classes, and a view with its answers is used several times.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from soravec.models.cnn import FrameCnn
from soravec.training.losses import distillation_loss, embedding_loss
from soravec.training.pretraining.patches import Pyramid, resize_views, sample_patches
from soravec.training.pretraining.teachers import Teacher

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """How the CNN learns."""

    rounds: int = 60
    """Rounds; each makes new views and trains on the bank of recent ones."""
    minutes: float | None = None
    """Ends sooner where so many minutes have been spent, the learning rate falling accordingly."""
    chunk: int = 4096
    """New views per round."""
    bank_chunks: int = 8
    """Rounds for which a view stays in the bank."""
    reuse: int = 4
    """Views trained on per new view."""
    batch: int = 128
    """Views per step."""
    bank_size: int = 160
    """Pixels down and across of the student's views in the bank."""
    sizes: tuple[tuple[float, int], ...] = ((0.45, 96), (0.8, 128), (1.0, 160))
    """Up to which share of the training the student sees which size."""
    learning_rate: float = 2e-3
    """Peak, after a warm-up of 2 % and before a cosine to zero."""
    weight_decay: float = 0.05
    """Of AdamW, on matrices only."""
    temperature: float = 2.0
    """Softens the classes."""
    embedding_weight: float = 2.0
    """Weight of the embedding's loss beside that of the classes."""
    average: float = 0.998
    """Decay of the moving average of weights, which is what is kept."""
    seed: int = 0
    """Of everything."""


@dataclass(slots=True)
class Bank:
    """Views and what the teachers say of them."""

    views: Tensor
    """(N, S, S, 3) uint8."""
    embeddings: Tensor
    """(N, E) float16."""
    logits: Tensor
    """(N, K) float16."""


class Student(nn.Module):
    """The CNN with one linear head per teacher.

    Args:
        cnn: What is trained and kept.
        teacher: Gives the sizes of the heads, which are dropped afterwards.
    """

    embedding_mean: Tensor
    embedding_std: Tensor

    def __init__(self, cnn: FrameCnn, teacher: Teacher) -> None:
        super().__init__()
        self.cnn = cnn
        self.embed = nn.Linear(cnn.config.feature_dim, teacher.embedding_dim)
        self.classify = nn.Linear(cnn.config.feature_dim, teacher.num_classes)
        self.register_buffer("embedding_mean", torch.zeros(teacher.embedding_dim))
        self.register_buffer("embedding_std", torch.ones(teacher.embedding_dim))

    def standardise(self, embeddings: Tensor) -> None:
        """Take mean and deviation of the teacher's embeddings (N, E) from a sample."""
        self.embedding_mean.copy_(embeddings.float().mean(0))
        self.embedding_std.copy_(embeddings.float().std(0).clamp(min=0.05))

    def forward(
        self, views: Tensor, embeddings: Tensor, logits: Tensor, config: DistillConfig
    ) -> dict[str, Tensor]:
        """Return the losses, `loss` being their weighted sum, of views (B, S, S, 3) uint8."""
        features = self.cnn(views)  # (B, C)
        target = (embeddings.float() - self.embedding_mean) / self.embedding_std
        embed = embedding_loss(self.embed(features), target)
        classes = distillation_loss(self.classify(features), logits.float(), config.temperature)
        total = classes + config.embedding_weight * embed
        return {"loss": total, "embedding": embed, "classes": classes}


def distill(  # noqa: PLR0915  # the loop is meant to be read in one piece
    cnn: FrameCnn,
    teacher: Teacher,
    photos: tuple[Sequence[Pyramid], Sequence[Pyramid]],
    out: Path,
    *,
    config: DistillConfig,
    resume: bool = False,
) -> FrameCnn:
    """Train `cnn` and return it with the averaged weights, in evaluation mode.

    Args:
        cnn: The student.
        teacher: What it learns to say.
        photos: Photographs to train on, and held-out ones to measure on.
        out: Folder of `distill.jsonl` (one line per round) and `distill.pt` (to resume from).
        config: How.
        resume: Go on from `distill.pt` where there is one.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    student = Student(cnn, teacher)
    average = Student(FrameCnn(cnn.config), teacher)
    optimizer = _optimizer(student, config)
    number, step, spent = 0, 0, 0.0
    checkpoint = out / "distill.pt"
    if resume and checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(state["student"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        number, step, spent = state["round"], state["step"], state["spent"]
    budget = 60 * config.minutes if config.minutes else float("inf")
    if number >= config.rounds or spent >= budget:
        cnn.load_state_dict(average.cnn.state_dict())
        return cnn.eval()
    held_out = make_chunk(photos[1], teacher, config, round_number=-1)
    recent = range(max(0, number - config.bank_chunks + 1), number)
    bank = [make_chunk(photos[0], teacher, config, round_number=i) for i in recent]
    while number < config.rounds and spent < budget:
        began = time.monotonic()
        new = make_chunk(photos[0], teacher, config, round_number=number)
        if number == 0:
            student.standardise(new.embeddings)
            average.load_state_dict(student.state_dict())
        bank = [*bank, new][-config.bank_chunks :]
        random = torch.Generator().manual_seed(config.seed * 100_003 + number)
        num_steps = max(1, config.chunk * config.reuse // config.batch)
        student.train()
        sums: dict[str, float] = {}
        for i in range(num_steps):
            done = spent + time.monotonic() - began
            progress = min(1.0, max((number + i / num_steps) / config.rounds, done / budget))
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * schedule(progress)
            views, embeddings, logits = draw(bank, config, progress, random)
            losses = student(views, embeddings, logits, config)
            optimizer.zero_grad()
            losses["loss"].backward()
            nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimizer.step()
            step += 1
            _average(average, student, min(config.average, step / (step + 10)))
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / num_steps
        number += 1
        spent += time.monotonic() - began
        line = {"round": number, "step": step, "minutes": round(spent / 60, 2), **sums}
        line |= {f"held_out_{k}": v for k, v in measure(average, held_out, config).items()}
        log_line(line, out / "distill.jsonl")
        state = {
            "student": student.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "round": number,
            "step": step,
            "spent": spent,
        }
        torch.save(state, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)
    cnn.load_state_dict(average.cnn.state_dict())
    return cnn.eval()


def make_chunk(
    photos: Sequence[Pyramid], teacher: Teacher, config: DistillConfig, *, round_number: int
) -> Bank:
    """Return new views with the teachers' answers; the same ones for the same seed and round.

    Round -1 is for measuring: unmixed views, at most 768.
    """
    rng = np.random.default_rng([config.seed, round_number + 1])
    num = config.chunk if round_number >= 0 else min(config.chunk, 768)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, num, 256):
        count = min(256, num - start)
        views = sample_patches(photos, count, teacher.size, rng, mix=round_number >= 0)
        embeddings, logits = teacher(views)
        small = torch.from_numpy(resize_views(views, config.bank_size))
        parts.append((small, torch.from_numpy(embeddings), torch.from_numpy(logits)))
    return Bank(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def draw(
    bank: Sequence[Bank], config: DistillConfig, progress: float, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch of views (B, S, S, 3) uint8, mirrored at random, embeddings and logits."""
    count = len(bank[0].views)
    picked = torch.randint(len(bank) * count, (config.batch,), generator=random)
    chunk, row = (picked // count).tolist(), (picked % count).tolist()
    pairs = list(zip(chunk, row, strict=True))
    views = torch.stack([bank[c].views[r] for c, r in pairs])
    mirror = torch.rand(config.batch, generator=random) < 0.5
    views[mirror] = views[mirror].flip(2)
    size = next(size for share, size in config.sizes if progress <= share)
    small = torch.from_numpy(resize_views(views.numpy(), size))
    embeddings = torch.stack([bank[c].embeddings[r] for c, r in pairs])
    return small, embeddings, torch.stack([bank[c].logits[r] for c, r in pairs])


@torch.no_grad()
def measure(student: Student, held_out: Bank, config: DistillConfig) -> dict[str, float]:
    """Return losses, and agreement with the teacher's first class, over held-out views."""
    student.eval()
    sums: dict[str, float] = {}
    total = len(held_out.views)
    for start in range(0, total, config.batch):
        part = slice(start, start + config.batch)
        views, logits = held_out.views[part], held_out.logits[part]
        losses = student(views, held_out.embeddings[part], logits, config)
        guess = student.classify(student.cnn(views)).argmax(1)
        losses["agreement"] = (guess == logits.argmax(1)).float().mean()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(views) / total
    return sums


def schedule(progress: float) -> float:
    """Return the share of the peak learning rate: a warm-up of 2 %, then a cosine to 0.

    Example: at 0.01 it is 0.5, at 0.02 it is 1, at 0.51 it is 0.5.
    """
    if progress < 0.02:
        return max(progress, 1e-4) / 0.02
    return 0.5 * (1 + float(np.cos(np.pi * (progress - 0.02) / 0.98)))


def _optimizer(student: Student, config: DistillConfig) -> torch.optim.AdamW:
    matrices = [p for p in student.parameters() if p.ndim > 1]
    vectors = [p for p in student.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


@torch.no_grad()
def _average(average: nn.Module, model: nn.Module, decay: float) -> None:
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)


def log_line(line: Mapping[str, Any], path: Path) -> None:
    """Log a line, and append it to a file of JSON lines."""
    rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in line.items()}
    logger.info("%s", rounded)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(rounded) + "\n")


def describe(config: DistillConfig) -> str:
    """Return the configuration as one line of JSON."""
    return json.dumps(asdict(config))
