"""ImageNet CNNs that teach: what they say of every part of a picture, as targets for a student."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from soravec.errors import ModelError
from soravec.runtime.engine import import_openvino

EMBEDDER_FILE = "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
CLASSIFIER_FILE = "mobilenet_v2_1.0_224_quant.tflite"
TEACHER_SIZE = 224
BATCH = 32


class Answers(NamedTuple):
    """What teachers say of N pictures."""

    maps: tuple[NDArray[np.float32], ...]
    """Of each teacher its last feature map (N, E, h, w)."""
    logits: NDArray[np.float32]
    """(N, K) of the one that names classes."""


class Teacher(Protocol):
    """Whatever says of pictures what a student should learn to say."""

    size: int
    """Pixels down and across of the pictures that it reads."""

    def __call__(self, images: NDArray[np.uint8]) -> Answers:
        """Return what is said of (N, size, size, 3) uint8 RGB."""


class MobileNets:
    """MobileNetV1 and MobileNetV2 from 8-bit TFLite files, run by OpenVINO.

    Inside the files every layer is followed by a quantisation. It is replaced here by its clamp and
    its scale, so that the networks run in bfloat16, which is several times faster and agrees with
    the quantised outputs.

    Args:
        folder: Where `EMBEDDER_FILE` and `CLASSIFIER_FILE` lie.
        num_threads: Of the engine; None for all cores.
    """

    size = TEACHER_SIZE

    def __init__(self, folder: Path, num_threads: int | None = None) -> None:
        self._embed = _compile(folder / EMBEDDER_FILE, num_threads, with_logits=False)
        self._classify = _compile(folder / CLASSIFIER_FILE, num_threads, with_logits=True)

    def __call__(self, images: NDArray[np.uint8]) -> Answers:
        """Return maps (N, 1024, 7, 7) and (N, 1280, 7, 7), and logits (N, 1001)."""
        (first,) = _run(self._embed, images)
        second, logits = _run(self._classify, images)
        return Answers((first, second), logits.reshape(len(images), -1))


def _run(network: Any, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    parts = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        filled = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
        outputs = network(filled)
        parts.append([outputs[i][: len(batch)].copy() for i in range(len(outputs))])
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _compile(path: Path, num_threads: int | None, *, with_logits: bool) -> Any:
    """Return the compiled network; it gives its last feature map, and the logits if asked for."""
    ov = import_openvino()
    from openvino import opset13 as ops

    core = ov.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise ModelError(f"{path}: not a TFLite network that OpenVINO reads") from error
    maps = real = None
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("AvgPool", "ReduceMean"):
            maps = node.input_value(0)
        source = node.input_value(0) if node.get_type_name() == "FakeQuantize" else None
        if source is None or source.get_node().get_type_name() == "Constant":
            continue
        if source.get_partial_shape().rank.get_length() != 4:
            break  # what follows the logits
        low, high, out_low, out_high = (
            np.squeeze(node.input_value(i).get_node().data) for i in range(1, 5)
        )
        gain = np.float32((out_high - out_low) / (high - low))
        real = ops.clamp(source, float(low), float(high))
        scaled = ops.multiply(real, np.float32(gain))
        replaced = ops.add(scaled, np.float32(out_low - low * gain))
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(replaced.output(0))
    if maps is None or real is None:
        raise ModelError(f"{path}: not an 8-bit network with pooling before its classes")
    outputs = [maps, real.output(0)] if with_logits else [maps]
    cut = ov.Model(outputs, model.get_parameters(), path.stem)
    cut.reshape([BATCH, TEACHER_SIZE, TEACHER_SIZE, 3])
    settings = {"INFERENCE_PRECISION_HINT": "bf16"}
    if num_threads is not None:
        settings["INFERENCE_NUM_THREADS"] = str(num_threads)
    return core.compile_model(cut, "CPU", settings)
