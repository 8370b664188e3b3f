"""The RNN that reads frame features in time, and the projection of appearance."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soravec.runtime.config import TemporalConfig

SHORTEST_SECONDS = 1e-3
LONGEST_SECONDS = 1e3
_HOLD = 100.0  # a gate this far open or shut is exactly 1 or 0 in float32


class TemporalModel(nn.Module):
    """Project every frame's features, and read them in order.

    Both parts see features of unit length. The RNN sees them standardised, with two numbers about
    time: the logarithm of the seconds since the previous frame, and 1 for the first frame of a
    segment (one whose elapsed time is 0), for which the logarithm is given as 0.

    The recurrent part of LRCN (Donahue et al., "Long-term Recurrent Convolutional Networks for
    Visual Recognition and Description", 2015, https://arxiv.org/abs/1411.4389); departures are
    listed at `soravec.models.sora.SoraEncoder`.

    Args:
        config: Sizes and kind of the cell.
        feature_dim: Length C of a frame's feature vector.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, config: TemporalConfig, feature_dim: int) -> None:
        super().__init__()
        self.config = config
        same = config.appearance_dim == feature_dim
        self.projection: nn.Module = (
            nn.Identity() if same else nn.Linear(feature_dim, config.appearance_dim)
        )
        self.register_buffer("feature_mean", torch.zeros(feature_dim))
        self.register_buffer("feature_scale", torch.full((feature_dim,), feature_dim**0.5))
        widths = [feature_dim + 2, *[config.hidden_dim] * (config.num_layers - 1)]
        self.layers = nn.ModuleList(
            RecurrentLayer(config.rnn, width, config.hidden_dim) for width in widths
        )
        self.readout = nn.Linear(config.hidden_dim, config.motion_dim)

    @property
    def state_dim(self) -> int:
        """Length S of one layer's state."""
        return self.config.hidden_dim * (2 if self.config.rnn == "lstm" else 1)

    def initial_state(self, batch: int) -> Tensor:
        """Return the state before the first frame: zeros, (L, B, S)."""
        return torch.zeros(self.config.num_layers, batch, self.state_dim)

    def forward(
        self, features: Tensor, elapsed_seconds: Tensor, mask: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return appearance and reading of every frame, and the state after the last one.

        Args:
            features: (B, T, C) float32, as the CNN gave them.
            elapsed_seconds: (B, T) time since the previous frame, 0 for the first of a segment.
            mask: (B, T) 1 for a frame, 0 for padding, which stands only at the end.
            state: (L, B, S) before the first frame; for an LSTM output and cell, concatenated.

        Returns:
            `appearance` (B, T, A), unit length, and `reading` (B, T, M), both 0 at padding;
            `new_state` (L, B, S) after the last frame, which is `state` where there is none.
        """
        unit = F.normalize(features, dim=-1)  # (B, T, C)
        present = mask.unsqueeze(-1)  # (B, T, 1)
        appearance = F.normalize(self.projection(unit), dim=-1) * present  # (B, T, A)
        standard = (unit - self.feature_mean) * self.feature_scale
        series = torch.cat([standard, encode_time(elapsed_seconds)], dim=-1)  # (B, T, C + 2)
        states = []
        for layer, before in zip(self.layers, state.unbind(0), strict=True):
            series, after = layer(series, mask, before)  # (B, T, H), (B, S)
            states.append(after)
        reading = self.readout(series) * present  # (B, T, M)
        return appearance, reading, torch.stack(states)


class RecurrentLayer(nn.Module):
    """One recurrent layer whose state stands still at padding.

    Padding enters as one more input with a fixed weight that shuts the gates, so that the state
    after the last step is that of the last frame in every engine, with no loop in the graph.

    Args:
        kind: The cell.
        input_dim: Width of what it reads.
        hidden_dim: Width H of its output.
    """

    hold: Tensor

    def __init__(self, kind: Literal["gru", "lstm"], input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.kind = kind
        cell = nn.LSTM if kind == "lstm" else nn.GRU
        self.cell = cell(input_dim, hidden_dim, batch_first=True)
        gates = torch.zeros((4 if kind == "lstm" else 3) * hidden_dim, 1)
        gates[hidden_dim : 2 * hidden_dim] = _HOLD  # GRU: update gate; LSTM: forget gate
        if kind == "lstm":
            gates[:hidden_dim] = -_HOLD  # input gate
        self.register_buffer("hold", gates, persistent=False)

    def forward(self, series: Tensor, mask: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs (B, T, H) and the new state (B, S) for a series (B, T, I)."""
        padding = 1 - mask.unsqueeze(-1)  # (B, T, 1)
        series = torch.cat([series, padding], dim=-1)  # (B, T, I + 1)
        to_gates, *others = self.cell.all_weights[0]
        weights = [torch.cat([to_gates, self.hold], dim=1), *others]
        options = (True, 1, 0.0, self.training, False, True)  # biases, layers, ..., batch first
        if self.kind == "gru":
            outputs, last = torch.gru(series, state.unsqueeze(0), weights, *options)
            return outputs, last.squeeze(0)  # (B, T, H), (B, H)
        output, memory = state.unsqueeze(0).chunk(2, dim=-1)  # (1, B, H) each
        pair = [output.contiguous(), memory.contiguous()]
        outputs, _, last_memory = torch.lstm(series, pair, weights, *options)
        # The cell is held at padding but the output gate is not: take the output of the last frame.
        history = torch.cat([output.transpose(0, 1), outputs], dim=1)  # (B, T + 1, H)
        index = mask.sum(dim=1).to(torch.int64).view(-1, 1, 1)
        last_output = history.gather(1, index.expand(-1, 1, history.shape[2])).squeeze(1)  # (B, H)
        return outputs, torch.cat([last_output, last_memory.squeeze(0)], dim=-1)  # (B, 2 H)


def encode_time(elapsed_seconds: Tensor) -> Tensor:
    """Return (B, T, 2): the logarithm of the elapsed time, and 1 where there is none.

    Times are limited to [0.001, 1000] s. Example: 0, 0.5 and 1 give (0, 1), (-0.693, 0), (0, 0).
    """
    limited = elapsed_seconds.clamp(SHORTEST_SECONDS, LONGEST_SECONDS)
    first = (elapsed_seconds <= 0).to(elapsed_seconds.dtype)  # (B, T)
    return torch.stack([limited.log() * (1 - first), first], dim=-1)
