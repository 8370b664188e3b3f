"""Precision@1 and mAP by label on labelled clips, beside frozen ImageNet CNNs.

The data is a folder with `manifest.csv` (path, label, group), as a UCF101 subset has. A clip is
right for a query if it has the same label; clips of the query's own group (cut from the same source
video) are left out. All methods see the same frames: 2 per second, the whole picture.

    python benchmarks/retrieval.py --data DIR [--weights DIR] [--model NAME|DIR]
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np

import soravec
from soravec.runtime.engine import import_openvino
from soravec.runtime.vectors import normalise
from soravec.video import AtRate, VideoReader

FPS = 2.0


def main():
    arguments = parse()
    with (arguments.data / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    paths = [arguments.data / row["path"] for row in rows]
    labels = np.array([row["label"] for row in rows])
    groups = np.array([f"{row['label']} {row['group']}" for row in rows])
    encoder = soravec.load(arguments.model)
    print(
        f"{len(rows)} clips, {len(set(labels))} labels, {len(set(groups))} groups; {FPS} frames/s"
    )
    print(f"{'method':<44}{'dim':>6}   precision@1 [95 %]     mAP [95 %]")
    methods = {f"{encoder.name} (video vector)": sora(encoder, paths)}
    dim = encoder.config.temporal.appearance_dim
    vectors = methods[f"{encoder.name} (video vector)"]
    methods[f"{encoder.name}, appearance only"] = normalise(vectors[:, :dim])
    methods[f"{encoder.name}, mean of CNN features"] = mean_features(encoder, paths)
    if arguments.weights is not None:
        mobile = mobilenet_v1(arguments.weights)
        methods["MobileNetV1 1.0/224, ImageNet, mean"] = averaged(paths, mobile, 224)
        methods["SqueezeNet 1.1, ImageNet, mean"] = averaged(
            paths, squeezenet(arguments.weights), 227
        )
    rng = np.random.default_rng(0)
    methods["chance (random vectors)"] = normalise(rng.normal(size=(len(rows), 64)))
    for name, vectors in methods.items():
        hits, precisions = score(vectors, labels, groups)
        print(
            f"{name:<44}{vectors.shape[1]:>6}   {hits.mean():.3f} {interval(hits, groups)}"
            f"   {precisions.mean():.3f} {interval(precisions, groups)}",
            flush=True,
        )


def score(vectors, labels, groups):
    """Return per query whether the nearest clip is right, and the average precision."""
    vectors = normalise(np.asarray(vectors, np.float64))
    likeness = vectors @ vectors.T
    hits, precisions = [], []
    for query in range(len(vectors)):
        gallery = np.flatnonzero(groups != groups[query])
        order = gallery[np.argsort(-likeness[query, gallery], kind="stable")]
        right = labels[order] == labels[query]
        hits.append(float(right[0]))
        ranks = np.flatnonzero(right) + 1
        precisions.append(float((np.arange(1, len(ranks) + 1) / ranks).mean()))
    return np.array(hits), np.array(precisions)


def interval(values, groups, repeats=2000):
    """Return the 95 % bootstrap interval over groups, whose clips are not independent."""
    rng = np.random.default_rng(0)
    means = [values[groups == group] for group in sorted(set(groups))]
    sums = np.array([part.sum() for part in means])
    sizes = np.array([len(part) for part in means])
    draws = rng.integers(len(means), size=(repeats, len(means)))
    low, high = np.percentile(sums[draws].sum(1) / sizes[draws].sum(1), [2.5, 97.5])
    return f"[{low:.3f}, {high:.3f}]"


def sora(encoder, paths):
    return np.stack([encoder.embed(path).vector for path in paths])


def mean_features(encoder, paths):
    means = []
    for path in paths:
        features = encoder.read(path).features.astype(np.float32)
        means.append(normalise(features).mean(axis=0))
    return normalise(np.stack(means))


def averaged(paths, network, side):
    """Return the mean over frames of a network's features, (N, D)."""
    means = []
    for path in paths:
        with VideoReader(path) as video:
            frames = [f.images for f in video.read(AtRate(FPS), size=(side, side))]
        means.append(network(np.concatenate(frames)).mean(axis=0))
    return normalise(np.stack(means))


def mobilenet_v1(weights):
    """MobileNetV1's embedding from its 8-bit TFLite file, by OpenVINO."""
    openvino = import_openvino()
    model = openvino.Core().read_model(
        weights / "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
    )
    model.reshape([1, 224, 224, 3])
    request = openvino.Core().compile_model(model, "CPU").create_infer_request()

    def embed(images):
        outputs = [np.array(request.infer([image[None]])[0]).ravel() for image in images]
        return np.stack(outputs).astype(np.float32)

    return embed


def squeezenet(weights):
    """SqueezeNet 1.1 without classifier from its Keras HDF5 file, as PyTorch; (T, 512) averages."""
    import h5py
    import torch
    from torchvision.models import squeezenet1_1

    torch.set_num_threads(len(os.sched_getaffinity(0)))
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
    with h5py.File(weights / "squeezenet_v1.1_imagenet_notop.h5") as file:
        file.visititems(
            lambda name, item: (
                stored.__setitem__(name, np.array(item)) if isinstance(item, h5py.Dataset) else None
            )
        )
    for name, convolution in convolutions.items():
        matching = [
            array for key, array in stored.items() if key.startswith((f"{name}/", f"{name}_"))
        ]
        kernel = next(array for array in matching if array.ndim == 4)
        bias = next(array for array in matching if array.ndim == 1)
        convolution.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        convolution.bias.data = torch.from_numpy(bias.copy())
    mean = torch.tensor([104.0, 117.0, 123.0])

    def embed(images):
        bgr = torch.from_numpy(images[..., ::-1].copy()).float() - mean
        with torch.inference_mode():
            maps = [network(part.permute(0, 3, 1, 2)) for part in bgr.split(16)]
        return torch.cat(maps).mean(dim=(2, 3)).numpy()

    return embed


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) / "actions" if root else None)
    parser.add_argument("--weights", type=Path, default=Path(root) / "weights" if root else None)
    parser.add_argument("--model", default="sora-mini")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    return arguments


if __name__ == "__main__":
    main()
