"""An ImageNet CNN that teaches: what it says of every part of a picture is what is learned."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from soravec.errors import ModelError
from soravec.runtime.engine import import_openvino

TEACHER_FILE = "mobilenet_v2_1.0_224_quant.tflite"
TEACHER_SIZE = 192
"""Pixels down and across: fewer than it was trained with, so that it has as many cells as the
student."""
INNER = ((32, 8), (96, 16))
"""Channels of its maps that are also told, and how many pixels one of their cells is across: where
its linear bottlenecks of that width end (Sandler et al., "MobileNetV2: Inverted Residuals and
Linear Bottlenecks", 2018, https://arxiv.org/abs/1801.04381, table 2)."""
BATCH = 32


class Answers(NamedTuple):
    """What a teacher says of N pictures."""

    maps: NDArray[np.float32]
    """Its last feature map (N, E, h, w)."""
    logits: NDArray[np.float32]
    """(N, K)."""
    inner: tuple[NDArray[np.float32], ...]
    """Its maps (N, C, h, w) on the way: at an eighth of the picture's size, and a sixteenth."""


class Teacher(Protocol):
    """Whatever says of pictures what a student should learn to say."""

    size: int
    """Pixels down and across of the pictures that it reads."""

    def __call__(self, images: NDArray[np.uint8]) -> Answers:
        """Return what is said of (N, size, size, 3) uint8 RGB."""


class MobileNet:
    """MobileNetV2 from an 8-bit TFLite file, run by OpenVINO.

    Inside the file every layer is followed by a quantisation. It is replaced here by its clamp and
    its scale, so that the network runs in bfloat16, which is several times faster and agrees with
    the quantised outputs.

    Args:
        folder: Where `TEACHER_FILE` lies.
        num_threads: Of the engine; None for all cores.
    """

    size = TEACHER_SIZE

    def __init__(self, folder: Path, num_threads: int | None = None) -> None:
        self._network = _compile(folder / TEACHER_FILE, num_threads)

    def __call__(self, images: NDArray[np.uint8]) -> Answers:
        """Return maps (N, 1280, 6, 6), logits (N, 1001), and inner maps of 24 and 12 cells."""
        parts = []
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            filled = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
            outputs = self._network(filled)
            parts.append([outputs[i][: len(batch)].copy() for i in range(len(outputs))])
        maps, logits, *inner = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Answers(maps, logits.reshape(len(images), -1), tuple(inner))


def _compile(path: Path, num_threads: int | None) -> Any:
    """Return the compiled network; it gives its last feature map, logits and inner maps."""
    ov = import_openvino()
    from openvino import opset13 as ops

    core = ov.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise ModelError(f"{path}: not a TFLite network that OpenVINO reads") from error
    maps = real = None
    inner: dict[int, Any] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("AvgPool", "ReduceMean"):
            maps = node.input_value(0)
            mean = ops.reduce_mean(maps, np.array([2, 3]), keep_dims=True)  # of whatever size
            _replace(node, mean)
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
        _replace(node, replaced)
        if source.get_node().get_type_name() == "Add":  # linear: no activation before it
            channels = source.get_partial_shape()[1].get_length()
            inner[channels] = replaced.output(0)  # the last of that width is where the stage ends
    if maps is None or real is None or not all(channels in inner for channels, _ in INNER):
        raise ModelError(f"{path}: not the 8-bit MobileNetV2 with its classes")
    outputs = [maps, real.output(0), *(inner[channels] for channels, _ in INNER)]
    cut = ov.Model(outputs, model.get_parameters(), path.stem)
    cut.reshape([BATCH, TEACHER_SIZE, TEACHER_SIZE, 3])
    settings = {"INFERENCE_PRECISION_HINT": "bf16"}
    if num_threads is not None:
        settings["INFERENCE_NUM_THREADS"] = str(num_threads)
    return core.compile_model(cut, "CPU", settings)


def _replace(node: Any, by: Any) -> None:
    """Let whatever reads the output of `node` read that of `by`."""
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(by.output(0))
