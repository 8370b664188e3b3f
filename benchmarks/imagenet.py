"""The ImageNet CNNs of `weights/` as readers of pictures: features and frames per second.

python benchmarks/imagenet.py [--weights DIR]
"""

import argparse
import os
import time
from pathlib import Path

import h5py
import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from torchvision.models import squeezenet1_1

from soravec.training.quantize import quantized

BATCH = 16
SIZE = 224
SQUEEZENET = "squeezenet_v1.1_imagenet_notop.h5"
TFLITE = {
    "mobilenet-v1": "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
    "mobilenet-v2": "mobilenet_v2_1.0_224_quant.tflite",
}
NETWORKS = ("squeezenet", *TFLITE)


def main():
    arguments = parse()
    pictures = np.random.default_rng(0).integers(0, 256, (64, SIZE, SIZE, 3), np.uint8)
    for name in NETWORKS:
        read = network(name, arguments.weights)
        read(pictures[:BATCH])
        began = time.perf_counter()
        features = read(pictures)
        rate = len(pictures) / (time.perf_counter() - began)
        print(f"{name:<14} {features.shape[1]:>5} features  {rate:6.0f} pictures/s")


def network(name, weights, *, num_threads=None, calibration=None):
    """Return what turns pictures (N, 224, 224, 3) uint8 RGB into features (N, C) float16.

    The last feature map is averaged over the picture, all computed in bfloat16 where the processor
    can, as Soravec's own CNN; or in INT8, calibrated on batches of pictures.
    """
    if name == "squeezenet":
        model = _squeezenet(weights / SQUEEZENET)
    else:
        model = _tflite(weights / TFLITE[name])
    if calibration is not None:
        model = quantized(model, calibration)
    settings = {"INFERENCE_PRECISION_HINT": "bf16"}
    if num_threads is not None:
        settings["INFERENCE_NUM_THREADS"] = num_threads
    compiled = ov.Core().compile_model(model, "CPU", settings)

    def read(pictures):
        parts = []
        for start in range(0, len(pictures), BATCH):
            batch = pictures[start : start + BATCH]
            filled = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
            maps = compiled(filled)[0]
            parts.append(maps.mean(axis=(2, 3))[: len(batch)].astype(np.float16))
        return np.concatenate(parts)

    return read


class _Bgr(torch.nn.Module):
    """A network of Keras's habits: it reads (N, H, W, 3) RGB as BGR less the mean of ImageNet."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor([104.0, 117.0, 123.0]))

    def forward(self, pictures):
        return self.network((pictures.float().flip(-1) - self.mean).permute(0, 3, 1, 2))


def _squeezenet(path):
    """Return SqueezeNet 1.1 up to its last feature map, from its Keras HDF5 file."""
    network = squeezenet1_1(weights=None).features.eval()
    for module in network:
        if isinstance(module, torch.nn.MaxPool2d):
            module.ceil_mode = False  # Keras pools only whole windows
    convolutions = {"conv1": network[0]}
    fires = [m for m in network if type(m).__name__ == "Fire"]
    for number, fire in enumerate(fires, start=2):
        convolutions[f"fire{number}/squeeze1x1"] = fire.squeeze
        convolutions[f"fire{number}/expand1x1"] = fire.expand1x1
        convolutions[f"fire{number}/expand3x3"] = fire.expand3x3
    stored = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            stored[name] = np.array(item)

    with h5py.File(path) as file:
        file.visititems(keep)
    for name, convolution in convolutions.items():
        matching = [
            array for key, array in stored.items() if key.startswith((f"{name}/", f"{name}_"))
        ]
        kernel = next(array for array in matching if array.ndim == 4)
        bias = next(array for array in matching if array.ndim == 1)
        convolution.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        convolution.bias.data = torch.from_numpy(bias.copy())
    pictures = torch.zeros(BATCH, SIZE, SIZE, 3, dtype=torch.uint8)
    return ov.convert_model(torch.export.export(_Bgr(network).eval(), (pictures,)))


def _tflite(path):
    """Return the network up to its last feature map, each 8-bit step replaced by clamp and scale.

    So it runs in bfloat16, several times faster than the steps, and agrees with them.
    """
    model = ov.Core().read_model(path)
    last = None
    for node in model.get_ordered_ops():
        source = node.input_value(0) if node.get_type_name() == "FakeQuantize" else None
        if source is None or source.get_node().get_type_name() == "Constant":
            continue
        if source.get_node().get_type_name() in ("AvgPool", "ReduceMean"):
            break  # behind the last map
        low, high, out_low, out_high = (
            np.squeeze(node.input_value(i).get_node().data) for i in range(1, 5)
        )
        gain = np.float32((out_high - out_low) / (high - low))
        last = ops.clamp(source, float(low), float(high))
        scaled = ops.multiply(last, np.float32(gain))
        replaced = ops.add(scaled, np.float32(out_low - low * gain))
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(replaced.output(0))
    cut = ov.Model([last.output(0)], model.get_parameters(), path.stem)
    cut.reshape([BATCH, SIZE, SIZE, 3])
    return cut


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--weights", type=Path, default=Path(root) / "weights" if root else None)
    arguments = parser.parse_args()
    if arguments.weights is None:
        parser.error("give --weights DIR, or set SORAVEC_DATA")
    return arguments


if __name__ == "__main__":
    main()
