"""Sora: a CNN and an RNN that turn a segment of video into one dense vector."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from soravec.models.cnn import FrameCnn
from soravec.models.temporal import Reading, TemporalModel
from soravec.runtime.config import ModelConfig, TemporalConfig


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
        self.temporal = TemporalModel(
            config.temporal,
            config.cnn.feature_dim,
            parts=config.cnn.parts,
        )

    def forward(
        self,
        frames: Tensor,
        elapsed_seconds: Tensor,
        mask: Tensor,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Return one vector per segment.

        Args:
            frames: (B, T, H, W, 3) uint8 RGB.
            elapsed_seconds: (B, T) time since the previous frame, 0 for the first.
            mask: (B, T) 1 for a frame, 0 for padding, which stands only at the end.
            previous: (B, T, H, W, 3) uint8 RGB, the picture before each frame at the video's own
                rate, for a CNN that reads differences.

        Returns:
            (B, D) float32 of unit length, appearance before motion.
        """
        batch, steps = mask.shape
        before = None if previous is None else previous.flatten(0, 1)
        features = self.cnn(frames.flatten(0, 1), before).view(batch, steps, -1)  # (B, T, C)
        return join(self.temporal(features, elapsed_seconds, mask), mask, self.config.temporal)


def join(reading: Reading, mask: Tensor, config: TemporalConfig) -> Tensor:
    """Return segment vectors (B, D): `concat(sqrt(1-w) * appearance, sqrt(w) * motion)`.

    As everywhere (`soravec.runtime.vectors.compose`) nothing moves in a single frame: its vector is
    the appearance alone, of unit length.
    """
    weight = config.motion_weight
    pooled = F.normalize(reading.appearance.sum(dim=1), dim=-1)  # (B, A), the direction of the mean
    moving = (mask.sum(dim=1, keepdim=True) > 1).to(pooled)  # (B, 1)
    parts = [(1 - weight) ** 0.5 * pooled, weight**0.5 * reading.motion * moving]
    return F.normalize(torch.cat(parts, dim=-1), dim=-1)  # (B, D)
