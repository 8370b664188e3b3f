"""Teach the RNN to read motion from generated clips, without labels.

Two views of one move must read alike, unlike other moves over the same photograph and unlike the
same frames backwards, shuffled or standing still. So the reading has to tell the order of frames.
From it the next change must be told. And it must lie where the statistics over time lie, their
principal components: so readings are alike where statistics are, which say what moves and how much.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soravec.models.pooling import temporal_statistics
from soravec.models.rnn import LONGEST_SECONDS, SHORTEST_SECONDS
from soravec.models.temporal import Reading, TemporalModel
from soravec.training.losses import contrast_loss, embedding_loss, prediction_loss
from soravec.training.pretraining.distill import log_line, schedule
from soravec.training.pretraining.motion import KINDS, MotionClips

Series = tuple[Tensor, Tensor, Tensor]
"""Features (B, T, C), elapsed seconds (B, T) and mask (B, T)."""
View = tuple[NDArray[np.float16], NDArray[np.float32]]
"""Features (T, C) and seconds (T,)."""


@dataclass(frozen=True, slots=True)
class TemporalTraining:
    """How the RNN learns."""

    steps: int = 1600
    """Updates."""
    groups: int = 6
    """Photographs per batch, each with one move of every kind."""
    learning_rate: float = 2e-3
    """Peak, after a warm-up of 2 % and before a cosine to zero."""
    weight_decay: float = 0.01
    """Of AdamW."""
    temperature: float = 0.1
    """Of the contrast."""
    other_photo: float = 0.6
    """Share of batches whose second view is over another photograph."""
    prediction_weight: float = 0.2
    """Weight of predicting the next frame's features beside the contrast."""
    statistics_weight: float = 2.0
    """Weight of lying where the statistics over time lie."""
    drop: float = 0.1
    """Share of frames that are lost."""
    dropout: float = 0.5
    """Share of the features that the RNN does not see, the same ones all through a clip: it shall
    not learn the photographs by heart."""
    log_every: int = 50
    """Updates between lines of the log and checkpoints."""
    seed: int = 0
    """Of everything."""


class MotionObjective(nn.Module):
    """The temporal model with what is needed only to train it.

    Args:
        model: Its RNN and readout are trained; its projection stands still.
        config: Weights of the losses.
    """

    components: Tensor
    components_mean: Tensor

    def __init__(self, model: TemporalModel, config: TemporalTraining) -> None:
        super().__init__()
        self.model = model
        self.config = config
        dim, kept = model.num_read, model.config.motion_dim
        self.predict = nn.Linear(kept + 1, dim)
        self.register_buffer("components", torch.zeros(3 * dim, kept))
        self.register_buffer("components_mean", torch.zeros(3 * dim))

    @torch.no_grad()
    def fit_statistics(self, series: Series) -> None:
        """Set the principal components of the statistics over time of clips.

        Every number is standardised first. The mean of the looks, which appearance tells already,
        is left out.
        """
        features, _, mask = series
        seen = temporal_statistics(self.model.standardise(features, mask), mask).double()
        mean, std = seen.mean(dim=0), seen.std(dim=0).clamp(min=1e-4)
        std[: self.model.parts[0]] = torch.inf
        _, _, rows = torch.linalg.svd((seen - mean) / std, full_matrices=False)
        kept = rows[: self.components.shape[1]].T / std[:, None]
        self.components[:, : kept.shape[1]] = kept.float()
        self.components_mean.copy_(mean)

    def forward(self, series: Series, moving: Tensor) -> dict[str, Tensor]:
        """Return the losses of five views of B clips.

        Args:
            series: Of batch 5 B: a view of every clip, another one, and the first one backwards,
                shuffled and still.
            moving: (B,) 1 where the clip has an order at all.
        """
        read: Reading = self.model(*series)
        reading = read.reading  # (5 B, T, M)
        first, second, *wrong = read.motion.view(5, len(moving), -1)
        negatives = torch.stack(wrong, dim=1) * moving[:, None, None]  # (B, 3, M)
        contrast = contrast_loss(first, second, negatives, self.config.temperature)
        true = 2 * len(moving)  # only the two true views are predicted
        features, elapsed, mask = (tensor[:true] for tensor in series)
        seen = self.model.standardise(features, mask)  # (2 B, T, R)
        error = self.prediction_error(reading[:true], seen, elapsed, mask)
        wanted = (temporal_statistics(seen, mask) - self.components_mean) @ self.components
        statistics = embedding_loss(read.motion[:true], wanted)
        total = (
            contrast
            + self.config.prediction_weight * error
            + self.config.statistics_weight * statistics
        )
        losses = {"loss": total, "contrast": contrast}
        return {**losses, "prediction": error, "statistics": statistics}

    def prediction_error(
        self, reading: Tensor, seen: Tensor, elapsed: Tensor, mask: Tensor
    ) -> Tensor:
        """Return the error of predicting each change from the reading and how far off it is."""
        when = elapsed[:, 1:].clamp(SHORTEST_SECONDS, LONGEST_SECONDS).log().unsqueeze(-1)
        predicted = self.predict(torch.cat([reading[:, :-1], when], dim=-1))  # (B, T - 1, R)
        return prediction_loss(predicted, seen.diff(dim=1), mask[:, 1:])


def train_temporal(
    model: TemporalModel,
    clips: MotionClips,
    out: Path,
    *,
    config: TemporalTraining,
    resume: bool = False,
) -> list[float]:
    """Train the RNN in place and return the loss of every update.

    Args:
        model: Its projection, mean and scale are already set.
        clips: Features of generated clips, kinds in turn over each photograph.
        out: Folder of `temporal.jsonl` and `temporal.pt`.
        config: How.
        resume: Go on from `temporal.pt` where there is one.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model.dropout.share = config.dropout
    objective = MotionObjective(model, config).train()
    objective.fit_statistics(_whole(clips))
    trained = [p for n, p in objective.named_parameters() if "projection" not in n]
    optimizer = torch.optim.AdamW(trained, config.learning_rate, weight_decay=config.weight_decay)
    history: list[float] = []
    checkpoint = out / "temporal.pt"
    if resume and checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
    began = time.monotonic()
    while len(history) < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(len(history) / config.steps)
        rng = np.random.default_rng([config.seed, len(history)])
        views = draw_views(clips, config, rng)
        torch.manual_seed(int(rng.integers(2**63)))  # of dropout, wherever training goes on
        losses = objective(*views)
        optimizer.zero_grad()
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        history.append(float(losses["loss"].detach()))
        if len(history) % config.log_every == 0 or len(history) == config.steps:
            minutes = (time.monotonic() - began) / 60
            line = {name: float(value.detach()) for name, value in losses.items()}
            log_line({"step": len(history), "minutes": minutes, **line}, out / "temporal.jsonl")
            state = {"objective": objective.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({**state, "history": history}, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
    model.eval()
    return history


def _whole(clips: MotionClips) -> Series:
    """Return every clip's first view, all of its frames."""
    seconds = torch.from_numpy(clips.seconds[:, 0])
    elapsed = torch.diff(seconds, dim=1, prepend=seconds[:, :1])
    features = torch.from_numpy(clips.features[:, 0]).float()
    return features, elapsed, torch.ones_like(seconds)


def draw_views(
    clips: MotionClips, config: TemporalTraining, rng: np.random.Generator
) -> tuple[Series, Tensor]:
    """Return the five views of `MotionObjective.forward`, and which clips move."""
    num_blocks = len(clips.kind) // len(KINDS)
    blocks = rng.choice(num_blocks, min(config.groups, num_blocks), replace=False)
    rows = (blocks[:, None] * len(KINDS) + np.arange(len(KINDS))).ravel()
    other = 2 if rng.random() < config.other_photo else 1
    first, second = (
        [
            sample_view(clips.features[row, view], clips.seconds[row, view], rng, drop=config.drop)
            for row in rows
        ]
        for view in (0, other)
    )
    wrong = zip(*(disturbed(values, seconds, rng) for values, seconds in first), strict=True)
    views = [*first, *second, *(view for views in wrong for view in views)]
    moving = torch.from_numpy((clips.kind[rows] != KINDS.index("still")).astype(np.float32))
    return collate(views), moving


def sample_view(
    features: NDArray[np.float16],
    seconds: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    drop: float,
) -> View:
    """Return features (T, C) and seconds (T,) of a clip read at 1 to 10 frames/s, some lost.

    At least four frames remain, however short the clip.
    """
    fps = float(np.exp(rng.uniform(0, np.log(10))))
    wanted = np.arange(seconds[0] + rng.uniform(0, 1 / fps), seconds[-1], 1 / fps)
    wanted = wanted[rng.random(len(wanted)) >= drop]
    index = np.unique(np.abs(seconds[:, None] - wanted).argmin(0)) if len(wanted) else wanted
    if len(index) < 4:
        index = np.linspace(0, len(seconds) - 1, 4).astype(int)
    return features[index], seconds[index]


def disturbed(
    features: NDArray[np.float16], seconds: NDArray[np.float32], rng: np.random.Generator
) -> tuple[View, View, View]:
    """Return a view backwards, shuffled, and with one frame in place of all.

    Times run backwards too: 0, 1 and 4 seconds become 0, 3 and 4.
    """
    mirrored = (seconds[0] + seconds[-1] - seconds)[::-1].astype(np.float32)
    count = len(features)
    shuffled = features[rng.permutation(count)]
    still = features[np.full(count, rng.integers(count))]
    return (features[::-1], mirrored), (shuffled, seconds), (still, seconds)


def collate(views: Sequence[View]) -> Series:
    """Return views as one padded series; the first frame of each has no elapsed time."""
    longest = max(len(features) for features, _ in views)
    features = np.zeros((len(views), longest, views[0][0].shape[1]), np.float32)
    elapsed, mask = np.zeros((2, len(views), longest), np.float32)
    for row, (values, seconds) in enumerate(views):
        features[row, : len(values)] = values
        elapsed[row, 1 : len(values)] = np.maximum(np.diff(seconds), SHORTEST_SECONDS)
        mask[row, : len(values)] = 1
    return torch.from_numpy(features), torch.from_numpy(elapsed), torch.from_numpy(mask)
