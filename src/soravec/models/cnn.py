"""The network that reads one frame: any CNN of timm, fed uint8 pictures."""

from difflib import get_close_matches
from typing import cast

import timm
import torch
from torch import Tensor, nn

from soravec.errors import ModelError
from soravec.runtime.config import CnnConfig

TIMM_PREFIX = "timm/"
GREY = 127.5
QUIET = 0.02
"""Added to an energy before its logarithm: below it, one cell is as still as another."""


class FrameCnn(nn.Module):
    """Turn pictures into feature vectors.

    Scaling, normalisation and the change of axes happen here and nowhere else, so that a caller
    hands over the bytes that it decoded.

    Args:
        config: Which network, how it is pooled, and the mean and deviation it expects.
        network: The network itself; None makes it with random weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: CnnConfig, network: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.network = network or create_network(config.architecture, pool=config.pool)
        # Where gradient explanations look: the last feature maps of frame and difference.
        self.looks_maps, self.moves_maps = nn.Identity(), nn.Identity()
        self.register_buffer(
            "mean", torch.tensor(config.mean).view(3, 1, 1) * 255, persistent=False
        )
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, frames: Tensor, previous: Tensor | None = None) -> Tensor:
        """Return one feature vector per picture.

        Args:
            frames: (B, H, W, 3) uint8 RGB, already of the size in `config`.
            previous: (B, H, W, 3) uint8 RGB, the pictures shown just before them; needed where
                `config.motion` is `difference`.

        Returns:
            (B, C) float32: of the frame; of its difference to the one before, if that is read; and
            of the layout, if that is.
        """
        images = frames.permute(0, 3, 1, 2).to(torch.float32)  # (B, 3, H, W)
        maps = self.looks_maps(self._maps((images - self.mean) / self.std))  # (B, M, h, w)
        parts = [self._pooled(maps)]
        if self.config.motion == "difference":
            assert previous is not None
            change = images - previous.permute(0, 3, 1, 2).to(torch.float32)  # (B, 3, H, W)
            grey = (GREY + self.config.motion_gain * change / 2).clamp(0, 255)
            maps = self.moves_maps(self._maps((grey - self.mean) / self.std))
            parts.append(self._pooled(maps))
        if self.config.num_layout:
            plain = torch.full_like(images[:1], GREY)
            parts.append(cell_energies(maps, self._maps((plain - self.mean) / self.std)))
        return torch.cat(parts, dim=-1)

    def read(self, images: Tensor) -> Tensor:
        """Return the features of the looks alone of normalised pictures (B, 3, H, W)."""
        return self._pooled(self._maps(images))

    def maps(self, frames: Tensor) -> Tensor:
        """Return the last feature map (B, M, h, w) of pictures (B, H, W, 3) uint8 RGB."""
        images = frames.permute(0, 3, 1, 2).to(torch.float32)  # (B, 3, H, W)
        return self._maps((images - self.mean) / self.std)

    def _maps(self, images: Tensor) -> Tensor:
        network = cast(timm.models.MobileNetV3, self.network)  # any network of timm has these two
        maps: Tensor = network.forward_features(images)
        return maps

    def _pooled(self, maps: Tensor) -> Tensor:
        if self.config.pool == "head":
            network = cast(timm.models.MobileNetV3, self.network)
            features: Tensor = network.forward_head(maps, pre_logits=True)
            return features
        return maps.mean(dim=(2, 3))


def cell_energies(maps: Tensor, plain: Tensor) -> Tensor:
    """Return how much there is in each cell of feature maps, (B, h w), row by row.

    The logarithm of the root mean square, over the channels, of how a map (B, M, h, w) differs from
    that of a plain grey picture (1, M, h, w). Whatever it is that is there, or moves there if the
    map is of a difference, tells by it where it is and how large.
    """
    energy = (maps - plain).square().mean(dim=1).sqrt()  # (B, h, w)
    return (energy + QUIET).log().flatten(1)


def create_network(
    architecture: str, *, pool: str = "average", pretrained: bool = False
) -> nn.Module:
    """Return a network of timm without its classifier.

    Args:
        architecture: `timm/NAME`, or a name of timm alone.
        pool: `average` also drops what timm keeps between feature map and classifier.
        pretrained: Fetch the published weights; needs a network or a filled cache.

    Raises:
        ModelError: timm knows no such network, or it does not end in a feature map.
    """
    name = architecture.removeprefix(TIMM_PREFIX)
    known = timm.list_models()
    if name.split(".")[0] not in known:
        near = get_close_matches(name.split(".")[0], known, n=3) or ["convnext_tiny", "resnet50"]
        raise ModelError(f"{architecture}: timm has no such network. Nearest: {', '.join(near)}")
    try:
        network: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except RuntimeError as error:
        if "tag" not in str(error):
            raise
        tags = [n for n in timm.list_pretrained(name.split(".")[0] + "*") if "." in n]
        near = get_close_matches(name, tags, n=3) or tags[:3]
        raise ModelError(
            f"{architecture}: timm has no weights of that tag. Nearest: {', '.join(near)}"
        ) from error
    if getattr(network, "output_fmt", "NCHW") != "NCHW" or not hasattr(network, "forward_head"):
        raise ModelError(f"{architecture}: not a CNN whose last layer is a (B, C, H, W) map")
    if pool == "average" and hasattr(network, "prune_intermediate_layers"):
        network.prune_intermediate_layers(  # type: ignore[operator]  # some of timm's have it
            1, prune_norm=False, prune_head=True
        )
    return network
