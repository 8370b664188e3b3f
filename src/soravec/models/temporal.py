"""Frame features in, one reading of a segment out: every temporal model behind one interface."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soravec.errors import ModelError
from soravec.models.pooling import (
    AttentionPooling,
    pool_last,
    pool_mean,
    pool_mean_max,
    temporal_statistics,
)
from soravec.models.rnn import RecurrentReader, encode_time
from soravec.models.transformer import TemporalTransformer
from soravec.runtime.config import Reads, TemporalConfig


class Reading(NamedTuple):
    """What a temporal model makes of a batch of segments."""

    appearance: Tensor
    """(B, T, A) every frame's projected features, unit length, 0 at padding."""
    reading: Tensor
    """(B, T, M) the reading up to every frame, 0 at padding; (B, 0, M) where it cannot be told."""
    motion: Tensor
    """(B, M) the reading of the segment, unit length."""
    new_state: Tensor
    """(L, B, S) after the last frame; L is 0 where the model keeps none."""


class TemporalModel(nn.Module):
    """Project every frame's features, and read them in order.

    Both parts see features of unit length; those of the frame and those of its difference to the
    one before each have it. The reader sees them standardised, if asked less their mean over the
    segment or with the size of their change since so many frames before, and with two numbers about
    time: the logarithm of the seconds since the previous frame, and 1 for the first frame of a
    segment (one whose elapsed time is 0), for which the logarithm is given as 0. Statistics over
    time, if asked for, stand beside what the reader's states were pooled to; a linear layer may
    read both out.

    The recurrent part is that of LRCN (Donahue et al., "Long-term Recurrent Convolutional Networks
    for Visual Recognition and Description", 2015, https://arxiv.org/abs/1411.4389); departures are
    listed at `soravec.models.sora.SoraEncoder`.

    Args:
        config: Kind and sizes.
        feature_dim: Length C of a frame's feature vector.
        parts: How many of them are of the frame's looks, of its difference to the frame before, and
            of the layout; None for looks alone.
        dropout: Share of the reader's input features that is dropped in training, the same ones
            from a segment's first frame to its last (Gal and Ghahramani, "A Theoretically Grounded
            Application of Dropout in Recurrent Neural Networks", 2016,
            https://arxiv.org/abs/1512.05287, section 4).

    Raises:
        ModelError: It shall read what the CNN does not give, or without a readout be of another
            length than `pooled_dim`.
    """

    feature_mean: Tensor
    feature_scale: Tensor
    components: Tensor | None
    change_mean: Tensor
    change_scale: Tensor
    statistics_mean: Tensor
    statistics_scale: Tensor

    def __init__(
        self,
        config: TemporalConfig,
        feature_dim: int,
        *,
        parts: tuple[int, int, int] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = config
        self.parts = parts or (feature_dim, 0, 0)
        looks = self.parts[0]
        self.projection: nn.Module = (
            nn.Identity()
            if config.appearance_dim == looks
            else nn.Linear(looks, config.appearance_dim)
        )
        self.register_buffer("feature_mean", torch.zeros(feature_dim))
        self.register_buffer("feature_scale", torch.full((feature_dim,), feature_dim**0.5))
        self.dropout = SegmentDropout(dropout)
        self._read_features = _chosen(config.reads, self.parts)
        num_chosen = self._read_features.stop - self._read_features.start
        first = torch.eye(num_chosen, config.components) if config.components else None
        self.register_buffer("components", first)
        self.num_read = config.components or num_chosen
        num_changes = len(config.differences) * self.num_read
        if num_changes:
            shape = len(config.differences), self.num_read
            self.register_buffer("change_mean", torch.zeros(shape))
            self.register_buffer("change_scale", torch.ones(shape))
        self.reader = _reader(config, self.num_read + num_changes + 2, dropout)
        self.has_statistics = config.statistics or config.kind == "statistics"
        if self.has_statistics:
            self.register_buffer("statistics_mean", torch.zeros(3 * self.num_read))
            self.register_buffer("statistics_scale", torch.ones(3 * self.num_read))
        self.attention = (
            AttentionPooling(self.reader.output_dim)
            if self.reader is not None and config.pooling == "attention"
            else None
        )
        width = pooled_dim(config, self.parts)
        if not config.readout and width != config.motion_dim:
            raise ModelError(f"temporal.motion_dim is {config.motion_dim}, but {width} are pooled")
        self.readout: nn.Module = (
            nn.Linear(width, config.motion_dim) if config.readout else nn.Identity()
        )

    def initial_state(self, batch: int) -> Tensor:
        """Return the state before the first frame: zeros (L, B, S), L = 0 without an RNN."""
        if isinstance(self.reader, RecurrentReader):
            return self.reader.initial_state(batch)
        return torch.zeros(0, batch, 0)

    def forward(
        self, features: Tensor, elapsed_seconds: Tensor, mask: Tensor, state: Tensor | None = None
    ) -> Reading:
        """Return what is read of a batch of segments.

        Args:
            features: (B, T, C) float32, as the CNN gave them.
            elapsed_seconds: (B, T) time since the previous frame, 0 for the first of a segment.
            mask: (B, T) 1 for a frame, 0 for padding, which stands only at the end.
            state: (L, B, S) before the first frame; for an LSTM output and cell, concatenated.
                None starts from zero. Where there is no frame at all the new state is the old one.
        """
        present = mask.unsqueeze(-1)  # (B, T, 1)
        looks = F.normalize(features[..., : self.parts[0]], dim=-1)
        appearance = F.normalize(self.projection(looks), dim=-1) * present  # (B, T, A)
        series = self.standardise(features, mask)  # (B, T, R)
        states, new_state = self._read(series, elapsed_seconds, mask, state)  # (B, T, H)
        pooled = [] if states is None else [self._pool(states, mask)]
        if self.has_statistics:
            statistics = temporal_statistics(series, mask)
            pooled.append((statistics - self.statistics_mean) * self.statistics_scale)
        motion = F.normalize(self.readout(torch.cat(pooled, dim=-1)), dim=-1)
        if self.config.streaming:
            reading = self.readout(cast(Tensor, states)) * present  # (B, T, M)
        else:
            reading = features.new_zeros(mask.shape[0], 0, self.config.motion_dim)
        return Reading(appearance, reading, motion, new_state)

    def normalise(self, features: Tensor) -> Tensor:
        """Return features (..., C): looks and difference each of unit length, layout as it is."""
        looks, moves, layout = torch.split(features, list(self.parts), dim=-1)
        unit = F.normalize(looks, dim=-1), F.normalize(moves, dim=-1)
        return torch.cat([*unit, layout], dim=-1)

    def standardise(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return what is read (B, T, R), of mean 0 and deviation 1 over the training set.

        Where features are centred, their mean over each segment is taken away then.
        """
        series = self.chosen(features)
        if self.components is not None:
            series = series @ self.components  # (B, T, P)
        if self.config.centred:
            series = series - pool_mean(series, mask).unsqueeze(1)
        return series * mask.unsqueeze(-1)

    def chosen(self, features: Tensor) -> Tensor:
        """Return those of the features (..., C) that are read, normalised and standardised."""
        read = self._read_features
        if self.config.reads == "all":
            unit = self.normalise(features)
        elif self.config.reads == "layout":
            unit = features[..., read]
        else:
            unit = F.normalize(features[..., read], dim=-1)
        return (unit - self.feature_mean[read]) * self.feature_scale[read]

    def changes(self, series: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far features are from those so many frames before, and 1 where these exist.

        For `differences` of 1 and 4 the second to fourth frames have the first, the rest have both.
        An RNN can keep a frame's features and subtract them, but not take the sizes of hundreds of
        differences, which are what statistics over time are made of.

        Args:
            series: (B, T, R) standardised features.
            mask: (B, T).

        Returns:
            Absolute differences (B, T, N, R) and 0 or 1 (B, T, N), for N `differences`.
        """
        length = mask.shape[1]
        sizes, there = [], []
        for back in self.config.differences:
            earlier = F.pad(series, (0, 0, back, 0))[:, :length]  # (B, T, R)
            sizes.append((series - earlier).abs())
            there.append(mask * F.pad(mask, (back, 0))[:, :length])
        return torch.stack(sizes, dim=2), torch.stack(there, dim=2)

    def _read(
        self, series: Tensor, elapsed_seconds: Tensor, mask: Tensor, state: Tensor | None
    ) -> tuple[Tensor | None, Tensor]:
        """Return the states (B, T, H) that are pooled, None where there is nothing to pool."""
        if state is None:
            state = self.initial_state(mask.shape[0]).to(series)
        if self.config.kind == "statistics":
            return None, state
        if self.reader is None:
            return series, state
        parts = [self.dropout(series)]
        if self.config.differences:
            sizes, there = self.changes(series, mask)
            scale = self.change_scale
            standard = torch.addcmul(-self.change_mean * scale, sizes, scale) * there.unsqueeze(-1)
            parts.append(self.dropout(standard.flatten(2)))  # (B, T, N R)
        read = torch.cat([*parts, encode_time(elapsed_seconds)], dim=-1)  # (B, T, I)
        if isinstance(self.reader, RecurrentReader):
            states, new_state = self.reader(read, mask, state)
            return states, new_state
        return self.reader(read, elapsed_seconds, mask), state

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.attention is not None:
            pooled: Tensor = self.attention(states, mask)
            return pooled
        if self.reader is None or self.config.pooling == "mean":
            return pool_mean(states, mask)
        if self.config.pooling == "mean_max":
            return pool_mean_max(states, mask)
        if self.config.bidirectional:  # read backwards, the first frame is the last
            forward, backward = states.chunk(2, dim=-1)
            return torch.cat([pool_last(forward, mask), backward[:, 0]], dim=-1)  # (B, 2 H)
        return pool_last(states, mask)


class SegmentDropout(nn.Module):
    """Drop the same features (B, T, C) of a segment at every frame, in training.

    Args:
        share: Of the features that is dropped.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, features: Tensor) -> Tensor:
        """Return the features (B, T, C), those that remain scaled up; in evaluation as they are."""
        if not self.training:
            return features
        # One mask per segment: nn.Dropout1d does the same over copies with time at the end.
        return features * F.dropout(torch.ones_like(features[:, :1]), self.share)


def pooled_dim(config: TemporalConfig, parts: tuple[int, int, int]) -> int:
    """Return how many numbers a segment is pooled to, before any readout.

    Args:
        config: Kind and sizes; `motion_dim` does not matter.
        parts: How many features are of looks, difference and layout.

    Raises:
        ModelError: The CNN does not give what shall be read.
    """
    chosen = _chosen(config.reads, parts)
    num_read = config.components or chosen.stop - chosen.start
    if config.kind == "statistics":
        return 3 * num_read
    width = num_read
    if config.kind != "mean":
        width = config.hidden_dim * (1 + config.bidirectional)
        width *= 1 + (config.pooling == "mean_max")
    return width + 3 * num_read * config.statistics


def _chosen(reads: Reads, parts: tuple[int, int, int]) -> slice:
    """Return which features are read, and refuse to read what the CNN does not give."""
    looks, moves, layout = parts
    chosen = {
        "all": (0, looks + moves + layout),
        "appearance": (0, looks),
        "motion": (looks, looks + moves),
        "layout": (looks + moves, looks + moves + layout),
    }[reads]
    if chosen[0] == chosen[1]:
        needed = "data.motion=difference" if reads == "motion" else "data.layout=true"
        raise ModelError(f"temporal.reads is {reads}, which the CNN does not give: set {needed}")
    return slice(*chosen)


def _reader(
    config: TemporalConfig, input_dim: int, dropout: float
) -> RecurrentReader | TemporalTransformer | None:
    if config.kind in ("gru", "lstm"):
        return RecurrentReader(
            config.kind,
            input_dim,
            config.hidden_dim,
            num_layers=config.num_layers,
            bidirectional=config.bidirectional,
        )
    if config.kind == "transformer":
        return TemporalTransformer(
            input_dim, config.hidden_dim, num_layers=config.num_layers, dropout=dropout
        )
    return None
