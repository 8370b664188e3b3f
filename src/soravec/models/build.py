"""Any CNN of timm as a model folder: `soravec models build`."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.data.config import resolve_data_config
from torch import nn

from soravec.errors import ModelError
from soravec.models.cnn import TIMM_PREFIX, FrameCnn, create_network
from soravec.models.export import save_model
from soravec.models.sora import SoraEncoder
from soravec.runtime.config import CnnConfig, ModelConfig, TemporalConfig

MOTION_DIM = 32
HIDDEN_DIM = 64


def build_model(
    cnn: str, out: Path, *, pretrained: bool = True, weights: Path | None = None
) -> ModelConfig:
    """Write a model folder around a CNN of timm and return its `config.json`.

    Appearance is the CNN's own embedding, unprojected (A = C). The RNN is untrained, so the weight
    of motion is 0.

    Args:
        cnn: `timm/NAME`, such as `timm/convnext_tiny.in12k_ft_in1k`.
        out: Folder to write.
        pretrained: Fetch the published weights, which needs a network or timm's cache.
        weights: A safetensors file with the network's weights, used instead of a download; what it
            holds of a classifier is passed over.

    Raises:
        ModelError: timm knows no such network, its weights cannot be had, or they do not fit.
    """
    network = _network(cnn, pretrained=pretrained and weights is None)
    if weights is not None:
        _load(network, weights)
    network.eval()
    given = resolve_data_config({}, model=network)  # type: ignore[no-untyped-call]
    _, height, width = given["input_size"]
    config = CnnConfig(
        architecture=TIMM_PREFIX + cnn.removeprefix(TIMM_PREFIX),
        feature_dim=_feature_dim(cnn, network, height, width),
        height=height,
        width=width,
        fit="crop",
        pool="head",
        mean=tuple(given["mean"]),
        std=tuple(given["std"]),
    )
    origin = _origin(cnn, pretrained=pretrained, weights=weights)
    torch.manual_seed(0)
    encoder = SoraEncoder(
        ModelConfig(
            name=cnn.removeprefix(TIMM_PREFIX),
            cnn=config,
            temporal=TemporalConfig(
                appearance_dim=config.feature_dim,
                motion_dim=MOTION_DIM,
                hidden_dim=HIDDEN_DIM,
            ),
            description=f"{cnn}, {origin}; appearance only",
            licence=str(getattr(network, "pretrained_cfg", {}).get("license") or "unknown"),
        ),
        FrameCnn(config, network),
    )
    return save_model(encoder, out, card=_card(cnn, origin, config))


def _network(cnn: str, *, pretrained: bool) -> nn.Module:
    try:
        return create_network(cnn, pool="head", pretrained=pretrained)
    except ModelError:
        raise
    except Exception as error:  # timm and the hub raise a dozen kinds  # noqa: BLE001
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{cnn}: its weights cannot be fetched ({reason}). Without a network, give the file:"
            " --weights FILE.safetensors; or --random to try things out."
        ) from error


def _load(network: nn.Module, path: Path) -> None:
    try:
        stored = load_file(path)
        missing, _ = network.load_state_dict(stored, strict=False)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors ({error})") from error
    except RuntimeError as error:
        raise ModelError(f"{path}: holds the weights of another network") from error
    if missing:
        raise ModelError(f"{path}: lacks {len(missing)} tensors, such as {missing[0]}")


@torch.no_grad()
def _feature_dim(cnn: str, network: nn.Module, height: int, width: int) -> int:
    maps = network.forward_features(torch.zeros(1, 3, height, width))  # type: ignore[operator]
    if maps.ndim != 4:
        raise ModelError(f"{cnn}: not a CNN, whose last layer is a (B, C, H, W) map")
    features = network.forward_head(maps, pre_logits=True)  # type: ignore[operator]
    return int(features.shape[1])


def _origin(cnn: str, *, pretrained: bool, weights: Path | None) -> str:
    if weights is not None:
        return f"weights from {weights.name}"
    return "weights as published by timm" if pretrained else "RANDOM weights, for trying things out"


def _card(cnn: str, origin: str, config: CnnConfig) -> str:
    return f"""# {cnn.removeprefix(TIMM_PREFIX)}

Made by `soravec models build --cnn {cnn}`: {origin}.

- Frames enter at {config.height}x{config.width}, the middle of the picture, normalised as timm
  says.
- Appearance is the network's own embedding, {config.feature_dim} numbers, unprojected.
- The RNN is untrained, so motion has no weight (`motion_weight` is 0).
- Nothing was measured: `benchmarks/representation.py --model DIR` compares it with others.
- Licence and training data are those of the network's weights: see its page in timm.
"""
