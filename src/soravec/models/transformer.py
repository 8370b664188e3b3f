"""A small Transformer over frame features, after "Attention Is All You Need".

Vaswani et al., 2017, https://arxiv.org/abs/1706.03762. Departures: normalisation before each part
(Xiong et al. 2020, https://arxiv.org/abs/2002.04745), and positions are seconds, not numbers of
frames, so that a rate that varies does not confuse it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_DIM = 32
LONGEST_PERIOD_SECONDS = 256.0
SHORTEST_PERIOD_SECONDS = 0.125


class TemporalTransformer(nn.Module):
    """Frames of a segment look at one another.

    Args:
        input_dim: Width I of what it reads.
        width: H; there is a head for about every 32 of it.
        num_layers: Blocks.
        dropout: Share of what each part adds that is dropped in training.
    """

    def __init__(self, input_dim: int, width: int, *, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.output_dim = width
        self.embed = nn.Linear(input_dim, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, series: Tensor, elapsed_seconds: Tensor, mask: Tensor) -> Tensor:
        """Return states (B, T, H) of a series (B, T, I).

        Args:
            series: What is read.
            elapsed_seconds: (B, T) time since the previous frame, 0 for the first.
            mask: (B, T) 1 for a frame, 0 for padding.
        """
        states = self.embed(series)  # (B, T, H)
        states = states + encode_seconds(elapsed_seconds.cumsum(dim=1), states.shape[2])
        seen = (mask > 0.5)[:, None, None, :]  # (B, 1, 1, T)
        for block in self.blocks:
            states = block(states, seen)
        read: Tensor = self.norm(states)
        return read


class Block(nn.Module):
    """Self-attention and a two-layer network, each added to what it reads.

    Args:
        width: H.
        dropout: Share of what each part adds that is dropped in training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        most = max(1, width // HEAD_DIM)
        self.num_heads = max(number for number in range(1, most + 1) if width % number == 0)
        self.attention_norm = nn.LayerNorm(width)
        self.to_queries_keys_values = nn.Linear(width, 3 * width)
        self.to_states = nn.Linear(width, width)
        self.network_norm = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, seen: Tensor) -> Tensor:
        """Return states (B, T, H); `seen` (B, 1, 1, T) says which frames there are."""
        states = states + self.dropout(self._attend(self.attention_norm(states), seen))
        read: Tensor = states + self.dropout(self.network(self.network_norm(states)))
        return read

    def _attend(self, states: Tensor, seen: Tensor) -> Tensor:
        batch, steps, width = states.shape
        heads = self.to_queries_keys_values(states).view(batch, steps, 3, self.num_heads, -1)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, T, H / heads)
        # A row with no frame at all would be a softmax over nothing: it sees everything instead.
        blind = ~seen.any(dim=-1, keepdim=True)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=seen | blind)
        read: Tensor = self.to_states(mixed.transpose(1, 2).reshape(batch, steps, width))
        return read


def encode_seconds(seconds: Tensor, width: int) -> Tensor:
    """Return sines and cosines (B, T, width) of times (B, T), with periods of 1/8 to 256 s."""
    shortest, longest = math.log(SHORTEST_PERIOD_SECONDS), math.log(LONGEST_PERIOD_SECONDS)
    periods = torch.linspace(shortest, longest, (width + 1) // 2).exp().to(seconds)
    angles = seconds.unsqueeze(-1) * (2 * torch.pi / periods)  # (B, T, width / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :width]
