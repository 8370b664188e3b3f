"""The ImageNet CNNs of `weights/` as readers of pictures: features and frames per second.

python benchmarks/imagenet.py [--weights DIR]
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from retrieval import squeezenet

BATCH = 16
SIZE = 224
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


def network(name, weights):
    """Return what turns pictures (N, 224, 224, 3) uint8 RGB into features (N, C) float16.

    The last feature map is averaged over the picture. The MobileNets are computed in bfloat16 where
    the processor can, as Soravec's own CNN.
    """
    if name == "squeezenet":
        embed = squeezenet(weights)
        return lambda pictures: embed(pictures).astype(np.float16)
    model = _tflite(weights / TFLITE[name])
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})

    def read(pictures):
        parts = []
        for start in range(0, len(pictures), BATCH):
            batch = pictures[start : start + BATCH]
            filled = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
            maps = compiled(filled)[0]
            parts.append(maps.mean(axis=(2, 3))[: len(batch)].astype(np.float16))
        return np.concatenate(parts)

    return read


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
