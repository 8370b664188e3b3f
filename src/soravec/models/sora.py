"""Sora: a CNN and an RNN that turn a segment of video into one dense vector."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soravec.models.cnn import FrameCnn
from soravec.models.rnn import TemporalModel
from soravec.runtime.config import ModelConfig


class SoraEncoder(nn.Module):
    """Frames to a segment vector: CNN per frame, RNN over time.

    After LRCN (Donahue et al., "Long-term Recurrent Convolutional Networks for Visual Recognition
    and Description", 2015, https://arxiv.org/abs/1411.4389, section 3): a CNN applied to each
    frame, and a recurrent network over its features.

    Departures: the vector holds the mean of projected frame features (appearance) beside the RNN's
    reading (motion), so that an inner product splits into the two; a GRU by default, where LRCN has
    an LSTM; the RNN also sees the time between frames; it is trained without labels, while the CNN
    stands still; there is no classifier, and optical flow is not used.

    Args:
        config: What the model is.
        cnn: The CNN; None makes it with random weights.
    """

    def __init__(self, config: ModelConfig, cnn: FrameCnn | None = None) -> None:
        super().__init__()
        self.config = config
        self.cnn = cnn or FrameCnn(config.cnn)
        self.temporal = TemporalModel(config.temporal, config.cnn.feature_dim)

    def forward(self, frames: Tensor, elapsed_seconds: Tensor, mask: Tensor) -> Tensor:
        """Return one vector per segment.

        Args:
            frames: (B, T, H, W, 3) uint8 RGB.
            elapsed_seconds: (B, T) time since the previous frame, 0 for the first.
            mask: (B, T) 1 for a frame, 0 for padding, which stands only at the end.

        Returns:
            (B, D) float32 of unit length, appearance before motion.
        """
        batch, steps = mask.shape
        features = self.cnn(frames.flatten(0, 1)).view(batch, steps, -1)  # (B, T, C)
        state = self.temporal.initial_state(batch).to(features)
        appearance, reading, _ = self.temporal(features, elapsed_seconds, mask, state)
        return self.join(appearance, reading, mask)

    def join(self, appearance: Tensor, reading: Tensor, mask: Tensor) -> Tensor:
        """Return segment vectors (B, D) from what the temporal model gave for every frame.

        Args:
            appearance: (B, T, A), 0 at padding.
            reading: (B, T, M), 0 at padding.
            mask: (B, T).
        """
        weight = self.config.temporal.motion_weight
        pooled = F.normalize(appearance.sum(dim=1), dim=-1)  # (B, A); a mean has the same direction
        motion = pool_reading(reading, mask, self.config.temporal.pooling)  # (B, M)
        return torch.cat([(1 - weight) ** 0.5 * pooled, weight**0.5 * motion], dim=-1)  # (B, D)


def pool_reading(reading: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Return the unit-length motion (B, M) of readings (B, T, M): the last one, or their mean."""
    if pooling == "mean":
        return F.normalize(reading.sum(dim=1), dim=-1)  # 0 at padding, and scale does not matter
    last = (mask.sum(dim=1).to(torch.int64) - 1).clamp(min=0).view(-1, 1, 1)
    chosen = reading.gather(1, last.expand(-1, 1, reading.shape[2])).squeeze(1)  # (B, M)
    return F.normalize(chosen, dim=-1)
