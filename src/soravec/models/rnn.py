"""Recurrent reading of a series, with cells that stand still at padding; how time is told."""

from typing import Literal

import torch
from torch import Tensor, nn

SHORTEST_SECONDS = 1e-3
LONGEST_SECONDS = 1e3
_HOLD = 100.0  # a gate this far open or shut is exactly 1 or 0 in float32


class RecurrentReader(nn.Module):
    """Layers of GRU or LSTM cells, one way or both.

    Read both ways, the two halves of each layer's output are joined, as in Graves and Schmidhuber,
    "Framewise Phoneme Classification with Bidirectional LSTM", 2005.

    Args:
        kind: The cell.
        input_dim: Width of what it reads.
        hidden_dim: Width H of each direction's state.
        num_layers: Layers L, each reading the one before.
        bidirectional: Whether to read backwards too.
    """

    def __init__(
        self,
        kind: Literal["gru", "lstm"],
        input_dim: int,
        hidden_dim: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.output_dim = hidden_dim * (2 if bidirectional else 1)
        widths = [input_dim, *[self.output_dim] * (num_layers - 1)]
        self.layers = nn.ModuleList(RecurrentLayer(kind, width, hidden_dim) for width in widths)
        self.backward_layers = nn.ModuleList(
            RecurrentLayer(kind, width, hidden_dim) for width in widths if bidirectional
        )
        self._state_shape = num_layers, hidden_dim * (2 if kind == "lstm" else 1)

    def initial_state(self, batch: int) -> Tensor:
        """Return the state before the first frame: zeros, (L, B, S)."""
        num_layers, state_dim = self._state_shape
        return torch.zeros(num_layers, batch, state_dim)

    def forward(self, series: Tensor, mask: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs (B, T, H or 2 H) and the forward state (L, B, S) after a series (B, T, I).

        Args:
            series: What is read.
            mask: (B, T) 1 for a frame, 0 for padding, which stands only at the end.
            state: (L, B, S) before the first frame; for an LSTM output and cell, concatenated.
        """
        after = []
        for number, layer in enumerate(self.layers):
            outputs, last = layer(series, mask, state[number])  # (B, T, H), (B, S)
            after.append(last)
            if self.backward_layers:
                # Padding comes first here, and leaves the initial state as it is.
                nothing = torch.zeros_like(state[number])
                back, _ = self.backward_layers[number](series.flip(1), mask.flip(1), nothing)
                outputs = torch.cat([outputs, back.flip(1)], dim=-1)  # (B, T, 2 H)
            series = outputs
        return series, torch.stack(after)


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
        _initialise(self.cell, hidden_dim)
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


def _initialise(cell: nn.GRU | nn.LSTM, hidden_dim: int) -> None:
    """Draw a cell's weights so that wide inputs do not shut its gates before it has learned.

    Inputs as in Glorot and Bengio 2010, states orthogonal as in Saxe et al. 2014, gate by gate;
    no bias but 1 on an LSTM's forget gate (Jozefowicz et al. 2015, section 2.2).
    """
    to_gates, between, *biases = cell.all_weights[0]
    for weight in torch.split(to_gates, hidden_dim):
        nn.init.xavier_uniform_(weight)
    for weight in torch.split(between, hidden_dim):
        nn.init.orthogonal_(weight)
    for bias in biases:
        nn.init.zeros_(bias)
    if isinstance(cell, nn.LSTM):
        nn.init.ones_(biases[0][hidden_dim : 2 * hidden_dim])
