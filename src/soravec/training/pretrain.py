"""`python -m soravec.training.pretrain`: from photographs and teachers to a model folder.

Three stages, each resumable: the CNN is distilled, the projection is fitted, the RNN is trained on
generated camera motion.
"""

import argparse
import logging
from pathlib import Path

import torch

from soravec.models.cnn import FrameCnn
from soravec.runtime.config import CnnConfig
from soravec.training.distill import DistillConfig, distill
from soravec.training.patches import load_photos, split_photos
from soravec.training.teachers import MobileNets

logger = logging.getLogger(__name__)

ARCHITECTURE = "timm/mobilenetv3_small_100"
FEATURE_DIM = 576


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--teachers", type=Path, required=True, help="folder of TFLite networks")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--minutes", type=float, default=45.0, help="time for the CNN")
    parser.add_argument("--seed", type=int, default=0, help="of everything")
    parser.add_argument("--resume", action="store_true", help="go on where the last run stopped")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    prepare_cpu()
    photos = split_photos(load_photos(args.photos))
    torch.manual_seed(args.seed)
    cnn = FrameCnn(CnnConfig(ARCHITECTURE, FEATURE_DIM))
    config = DistillConfig(rounds=1000, minutes=args.minutes, seed=args.seed)
    distill(cnn, MobileNets(args.teachers), photos, args.out, config=config, resume=args.resume)


def prepare_cpu() -> None:
    """Let convolutions run in bfloat16 where the processor has it, and cut off denormal numbers."""
    torch.backends.mkldnn.conv.fp32_precision = "bf16"  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    torch.set_flush_denormal(True)


if __name__ == "__main__":
    main()
