"""A model folder from an encoder, and an encoder from a model folder."""

import io
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from soravec import __version__
from soravec.errors import ModelError
from soravec.models.sora import SoraEncoder
from soravec.models.temporal import Reading, TemporalModel
from soravec.runtime.config import ModelConfig, write_config
from soravec.runtime.folder import (
    CARD_FILE,
    CNN_FILE,
    CONFIG_FILE,
    TEMPORAL_FILE,
    WEIGHTS_FILE,
    feature_identity,
    file_sha256,
    open_folder,
    space_identity,
)

_CNN = "cnn."
_TEMPORAL = "temporal."


def save_model(
    encoder: SoraEncoder,
    folder: Path,
    *,
    card: str,
    half: bool = True,
    cnn_from: Path | None = None,
) -> ModelConfig:
    """Write a complete model folder and return its `config.json`.

    Args:
        encoder: The model. Its weights are rounded to what is stored, so that PyTorch, `cnn.onnx`
            and `model.safetensors` agree exactly afterwards.
        folder: Where to write; made where absent, files of the same names are replaced.
        card: Markdown of the model card.
        half: Store matrices as float16; vectors (biases, norms) always stay float32.
        cnn_from: A model folder with the same CNN, whose `cnn.onnx` is copied; None exports it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder.eval()
    weights = round_weights(encoder, half=half)
    save_file(dict(weights), folder / WEIGHTS_FILE)
    (folder / WEIGHTS_FILE).chmod(0o644)  # it is written for its owner alone
    if cnn_from is None:
        export_cnn(encoder, folder / CNN_FILE)
    elif cnn_from.resolve() != folder.resolve():
        shutil.copyfile(cnn_from / CNN_FILE, folder / CNN_FILE)
    export_temporal(encoder.temporal, encoder.config.cnn.feature_dim, folder / TEMPORAL_FILE)
    feature_id = feature_identity(_under(weights, _CNN), encoder.config.cnn)
    space_id = space_identity(feature_id, _under(weights, _TEMPORAL), encoder.config.temporal)
    names = (WEIGHTS_FILE, CNN_FILE, TEMPORAL_FILE)
    files = {name: file_sha256(folder / name) or "" for name in names}
    config = replace(
        encoder.config,
        feature_id=feature_id,
        space_id=space_id,
        files=files,
        soravec_version=__version__,
    )
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    write_config(config, folder / CONFIG_FILE)
    return config


def load_encoder(folder: Path) -> SoraEncoder:
    """Return the encoder of a model folder, in evaluation mode.

    Raises:
        ModelError: The folder is damaged, or its weights do not fit its `config.json`.
    """
    checked = open_folder(folder)
    path = checked.path / WEIGHTS_FILE
    if not path.is_file():
        raise ModelError(f"{path}: missing. Only a folder with weights can be loaded for training.")
    encoder = SoraEncoder(checked.config)
    stored = {name: torch.from_numpy(array) for name, array in load_file(path).items()}
    try:
        missing, unknown = encoder.load_state_dict(stored, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{path}: a tensor has another shape than {CONFIG_FILE} says") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unknown:
        raise ModelError(f"{path}: does not fit {CONFIG_FILE}: lacks {missing}, knows no {unknown}")
    return encoder.eval()


@torch.no_grad()
def round_weights(encoder: SoraEncoder, *, half: bool) -> Mapping[str, NDArray[np.generic]]:
    """Round the encoder's tensors in place to what is stored, and return the stored arrays."""
    weights: dict[str, NDArray[np.generic]] = {}
    for name, tensor in encoder.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue  # of no use once trained
        stored = tensor.to(torch.float16) if half and tensor.ndim > 1 else tensor
        if not torch.isfinite(stored).all():
            raise ModelError(f"{name}: too large for float16. Save with half=False.")
        tensor.copy_(stored)
        weights[name] = stored.contiguous().cpu().numpy().copy()
    return weights


def export_cnn(encoder: SoraEncoder, path: Path) -> None:
    """Write `cnn.onnx`: `frames` uint8 (B, H, W, 3) to `features` float32 (B, C).

    A CNN that reads differences also takes `previous`, the pictures before them, of equal shape.
    """
    cnn = encoder.config.cnn
    frames = torch.zeros(2, cnn.height, cnn.width, 3, dtype=torch.uint8)
    inputs = {"frames": (frames, {0: "B"})}
    if cnn.motion != "none":
        inputs["previous"] = (frames.clone(), {0: "B"})
    _export(encoder.cnn, path, inputs, ["features"])


def export_temporal(temporal: TemporalModel, feature_dim: int, path: Path) -> None:
    """Write `temporal.onnx`; inputs and outputs are those of `TemporalModel.forward`.

    A model that is not streaming takes no `state`, and gives `appearance` and `motion` alone.
    """
    mask = torch.ones(2, 5)
    inputs = {
        "features": (torch.randn(2, 5, feature_dim), {0: "B", 1: "T"}),
        "elapsed_seconds": (mask * 0.5, {0: "B", 1: "T"}),
        "mask": (mask, {0: "B", 1: "T"}),
    }
    if not temporal.config.streaming:
        _export(_WholeSegments(temporal), path, inputs, ["appearance", "motion"])
        return
    inputs["state"] = (temporal.initial_state(2), {1: "B"})
    _export(temporal, path, inputs, ["appearance", "reading", "motion", "new_state"])


class _WholeSegments(nn.Module):
    """A temporal model without the outputs that only a stream needs."""

    def __init__(self, temporal: TemporalModel) -> None:
        super().__init__()
        self.temporal = temporal

    def forward(self, features: Tensor, elapsed: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        read: Reading = self.temporal(features, elapsed, mask)
        return read.appearance, read.motion


def _under(
    weights: Mapping[str, NDArray[np.generic]], prefix: str
) -> dict[str, NDArray[np.generic]]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _export(
    module: nn.Module,
    path: Path,
    inputs: Mapping[str, tuple[Tensor, dict[int, str]]],
    outputs: list[str],
) -> None:
    dims = {name: torch.export.Dim(name) for name in ("B", "T")}
    shapes = tuple({axis: dims[d] for axis, d in axes.items()} for _, axes in inputs.values())
    with torch.no_grad(), _quiet():
        torch.onnx.export(
            module,
            tuple(tensor for tensor, _ in inputs.values()),
            path,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _forget_origin(path)


def _forget_origin(path: Path) -> None:
    """Remove what the exporter notes beside a graph: source lines, with their paths here."""
    model = onnx.load(path)
    graphs = [model.graph, *model.functions]
    for part in [model, *graphs, *(node for graph in graphs for node in graph.node)]:
        del part.metadata_props[:]
        part.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    onnx.save(model, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporter says of its own inner workings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        for category in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
