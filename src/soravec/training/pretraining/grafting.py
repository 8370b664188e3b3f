"""The parts of a CNN learn by themselves, each from what the teacher says in place of those before.

A part is small, and what it reads is right from the first step, so that it learns from few views
what takes the whole many; then the parts are joined and learn together. After Shen et al.,
"Progressive Network Grafting for Few-Shot Knowledge Distillation", AAAI 2021,
https://arxiv.org/abs/2012.04915, and Li et al., "Blockwisely Supervised Neural Architecture Search
with Knowledge Distillation", CVPR 2020, https://arxiv.org/abs/1911.13053. Departures: the second
part reads, in half of a batch, what the first says already; all parts learn at once.
"""

from collections.abc import Sequence
from typing import cast

import timm
import torch
from torch import Tensor, nn

from soravec.models.cnn import FrameCnn


class Grafts(nn.Module):
    """The three parts of a MobileNetV3, with the linear layers that join them to a teacher.

    The first two end where pictures have shrunk to an eighth and a sixteenth. `inward` turns the
    teacher's maps into what the next part reads, `outward` what a part says into the teacher's.

    Args:
        cnn: A MobileNetV3 of timm, whose parts end in linear bottlenecks.
        num_channels: Of the teacher's maps at an eighth and at a sixteenth.
    """

    def __init__(self, cnn: FrameCnn, num_channels: Sequence[int]) -> None:
        super().__init__()
        self.cnn = cnn
        widths = [conv.in_channels for conv, _ in self._entries()]
        pairs = list(zip(widths, num_channels, strict=True))
        self.inward = nn.ModuleList(nn.Conv2d(of, own, 1, bias=False) for own, of in pairs)
        self.outward = nn.ModuleList(nn.Conv2d(own, of, 1) for own, of in pairs)

    def forward(self, crops: Tensor, finer: Tensor, coarser: Tensor) -> list[Tensor]:
        """Return what each part says.

        Args:
            crops: (B, s, s, 3) uint8, of views.
            finer: (B, C, s / 8, s / 8), the teacher's maps of the same crops at an eighth.
            coarser: (B, D, h, w), the teacher's maps at a sixteenth, of the whole views.

        Returns:
            What the first two parts take the teacher's maps of the crops for, (B, C, s / 8, s / 8)
            and (B, D, s / 16, s / 16), and the CNN's last map (B, M, h / 2, w / 2).
        """
        network = self._network()
        images = crops.permute(0, 3, 1, 2).to(torch.float32)  # (B, 3, s, s)
        stem = network.bn1(network.conv_stem((images - self.cnn.mean) / self.cnn.std))
        first = self.outward[0](network.blocks[1](network.blocks[0](stem)))  # (B, C, s / 8, s / 8)
        half = len(crops) // 2
        read = self.inward[0](torch.cat([first[:half].detach(), finer[half:]]))
        second = self.outward[1](network.blocks[3](network.blocks[2](read)))
        last = network.blocks[5](network.blocks[4](self.inward[1](coarser)))
        return [first, second, last]

    @torch.no_grad()
    def join(self) -> None:
        """Let each part read what the one before says: both linear layers go into its first one."""
        for (conv, norm), *linear in zip(self._entries(), self.inward, self.outward, strict=True):
            inward, outward = (cast(nn.Conv2d, layer) for layer in linear)
            into = conv.weight.flatten(1) @ inward.weight.flatten(1)
            conv.weight.copy_((into @ outward.weight.flatten(1)).view_as(conv.weight))
            cast(Tensor, norm.running_mean).sub_(into @ cast(Tensor, outward.bias))

    def _network(self) -> timm.models.MobileNetV3:
        return cast(timm.models.MobileNetV3, self.cnn.network)

    def _entries(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Return the first convolution of the second and third parts, and what follows it."""
        blocks = (cast(nn.Sequential, self._network().blocks[i])[0] for i in (2, 4))
        return [(cast(nn.Conv2d, b.conv_pw), cast(nn.BatchNorm2d, b.bn1)) for b in blocks]
