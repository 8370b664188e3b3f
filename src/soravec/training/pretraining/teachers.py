"""ImageNet CNNs that teach: what they say of a picture, as targets for a student."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soravec.errors import ModelError
from soravec.runtime.engine import import_openvino

EMBEDDER_FILE = "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
CLASSIFIER_FILE = "mobilenet_v2_1.0_224_quant.tflite"
TEACHER_SIZE = 224
BATCH = 32


class Teacher(Protocol):
    """Whatever says of pictures what a student should learn to say."""

    embedding_dim: int
    """Length of an embedding."""
    num_classes: int
    """Number of logits."""
    size: int
    """Pixels down and across of the pictures that it reads."""

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return embeddings (N, E) and logits (N, K), float16, of (N, size, size, 3) uint8 RGB."""


class MobileNets:
    """MobileNetV1's embedding and MobileNetV2's logits, from 8-bit TFLite files, run by OpenVINO.

    Inside the files every layer is followed by a quantisation. It is replaced here by its clamp and
    its scale, so that the networks run in bfloat16, which is several times faster and agrees with
    the quantised outputs.

    Args:
        folder: Where `EMBEDDER_FILE` and `CLASSIFIER_FILE` lie.
    """

    embedding_dim = 1024
    num_classes = 1001
    size = TEACHER_SIZE

    def __init__(self, folder: Path) -> None:
        self._embed = _compile(folder / EMBEDDER_FILE)
        self._classify = _compile(folder / CLASSIFIER_FILE)

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return embeddings (N, 1024) and logits (N, 1001), float16, of (N, 224, 224, 3) uint8."""
        return _run(self._embed, images), _run(self._classify, images)


def _run(network: Any, images: NDArray[np.uint8]) -> NDArray[Any]:
    parts = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        filled = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
        parts.append(network(filled)[0].reshape(BATCH, -1)[: len(batch)].astype(np.float16))
    return np.concatenate(parts)


def _compile(path: Path) -> Any:
    ov = import_openvino()
    from openvino import opset13 as ops

    core = ov.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise ModelError(f"{path}: not a TFLite network that OpenVINO reads") from error
    last = None
    for node in model.get_ordered_ops():
        source = node.input_value(0) if node.get_type_name() == "FakeQuantize" else None
        if source is None or source.get_node().get_type_name() == "Constant":
            continue
        if source.get_partial_shape().rank.get_length() != 4:
            break  # what follows the logits
        low, high, out_low, out_high = (
            np.squeeze(node.input_value(i).get_node().data) for i in range(1, 5)
        )
        gain = np.float32((out_high - out_low) / (high - low))
        clamped = ops.clamp(source, float(low), float(high))
        scaled = ops.multiply(clamped, np.float32(gain))
        last = ops.add(scaled, np.float32(out_low - low * gain))
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(last.output(0))
    if last is None:
        raise ModelError(f"{path}: not an 8-bit network")
    # In units of the real values: undo the last scale, which maps onto 0..255.
    real = ops.clamp(source_of(last), float(low), float(high))
    cut = ov.Model([real.output(0)], model.get_parameters(), path.stem)
    cut.reshape([BATCH, TEACHER_SIZE, TEACHER_SIZE, 3])
    return core.compile_model(cut, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})


def source_of(affine: Any) -> Any:
    """Return the value that the scale of a replaced quantisation reads."""
    return affine.input_value(0).get_node().input_value(0)
