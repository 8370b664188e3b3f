"""From the states of a segment's frames to one: all over (B, T, H) and a mask (B, T)."""

import torch
from torch import Tensor, nn


def pool_last(states: Tensor, mask: Tensor) -> Tensor:
    """Return the states (B, H) of the last frames."""
    last = (mask.sum(dim=1).to(torch.int64) - 1).clamp(min=0).view(-1, 1, 1)
    return states.gather(1, last.expand(-1, 1, states.shape[2])).squeeze(1)


def pool_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean states (B, H)."""
    return (states * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def pool_mean_max(states: Tensor, mask: Tensor) -> Tensor:
    """Return mean and maximum of the states side by side, (B, 2 H)."""
    highest = states.masked_fill(mask.unsqueeze(-1) < 0.5, -1e4).amax(dim=1)
    return torch.cat([pool_mean(states, mask), highest], dim=-1)


class AttentionPooling(nn.Module):
    """A mean weighted by what the states themselves say.

    Additive attention with a learned query: Yang et al., "Hierarchical Attention Networks for
    Document Classification", 2016, equations 5 to 7.

    Args:
        width: H.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.query = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return (B, H)."""
        scores = self.query(torch.tanh(self.hidden(states))).squeeze(-1)  # (B, T)
        scores = scores.masked_fill(mask < 0.5, -1e4)
        weights = scores.softmax(dim=1).unsqueeze(-1)  # (B, T, 1)
        pooled: Tensor = (states * weights).sum(dim=1)
        return pooled


def temporal_statistics(series: Tensor, mask: Tensor) -> Tensor:
    """Return mean, standard deviation and mean absolute difference over time, (B, 3 C).

    Blind to order but for neighbours: the baseline that a temporal model has to beat.

    Args:
        series: (B, T, C).
        mask: (B, T), 1 for a frame, 0 for padding, which stands only at the end.
    """
    mean = pool_mean(series, mask)  # (B, C)
    variance = pool_mean((series - mean.unsqueeze(1)).square(), mask)
    change = (series[:, 1:] - series[:, :-1]).abs()  # (B, T - 1, C)
    return torch.cat([mean, (variance + 1e-8).sqrt(), pool_mean(change, mask[:, 1:])], dim=-1)
