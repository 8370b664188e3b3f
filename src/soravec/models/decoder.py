"""A recurrent decoder: from one vector back to frame features."""

import torch
from torch import Tensor, nn

from soravec.models.rnn import encode_time


class SequenceDecoder(nn.Module):
    """Unroll a vector into features of frames at given times.

    The decoder LSTM of Srivastava, Mansimov and Salakhutdinov, "Unsupervised Learning of Video
    Representations using LSTMs", 2015, https://arxiv.org/abs/1502.04681, section 2.1. Departures:
    the vector stands beside every input, rather than being the initial state, and so does the time
    since the frame before; what is decoded is how far a frame lies between the last one that was
    seen and the average of those seen, and its change from there, so that learning begins at what
    is hard to beat; the decoder does not read its own outputs.

    Args:
        code_dim: Length M of the vector.
        feature_dim: Length C of a frame's features.
        hidden_dim: Width of the LSTM.
    """

    def __init__(self, code_dim: int, feature_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.from_last = nn.Linear(feature_dim, hidden_dim)
        self.cell = nn.LSTM(code_dim + hidden_dim + 2, hidden_dim, batch_first=True)
        self.blend = nn.Linear(hidden_dim, feature_dim)
        self.change = nn.Linear(hidden_dim, feature_dim)
        for layer in (self.blend, self.change):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, code: Tensor, last: Tensor, average: Tensor, elapsed_seconds: Tensor
    ) -> Tensor:
        """Return features (B, T, C).

        Args:
            code: (B, M).
            last: (B, C) features of the last frame that was seen.
            average: (B, C) mean of the features of the frames that were seen.
            elapsed_seconds: (B, T) from each frame to the one decoded before it.
        """
        steps = elapsed_seconds.shape[1]
        known = torch.cat([code, self.from_last(last)], dim=-1)  # (B, M + H)
        known = known.unsqueeze(1).expand(-1, steps, -1)  # (B, T, M + H)
        outputs, _ = self.cell(torch.cat([known, encode_time(elapsed_seconds)], dim=-1))
        share = self.blend(outputs).sigmoid()  # (B, T, C)
        between = torch.lerp(last.unsqueeze(1), average.unsqueeze(1), share)
        features: Tensor = between + self.change(outputs)
        return features
