"""How near to the processor's arithmetic the engine runs a large CNN, beside eager PyTorch.

A graph of ResNet-50 in float32, bfloat16 and INT8, one thread and one per core; what share of the
time is convolutions; the same CNN in eager PyTorch. Written to `benchmarks/results/cnn.json`.

    python benchmarks/speed_cnn.py MODEL-INT8
"""

import argparse
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from speed import RESULTS, machine

from soravec.runtime.engine import import_openvino
from soravec.runtime.frames import BATCH_FRAMES

REPEATS = 7


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a model folder with an INT8 CNN")
    model = parser.parse_args().model
    cores = len(os.sched_getaffinity(0))
    rows = []
    for threads in (1, cores):
        for way in ("float32", "bfloat16", "int8"):
            rows.append({"way": way, "threads": threads, **by_engine(model, way, threads)})
        rows.append({"way": "eager PyTorch", "threads": threads, **by_torch(model, threads)})
        for row in rows[-4:]:
            print(row, flush=True)
    facts = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "rows": rows}
    (RESULTS / "cnn.json").write_text(json.dumps(facts, indent=1) + "\n")


def by_engine(model, way, threads):
    """Return pictures per second, and the share of convolutions in the time."""
    core = import_openvino().Core()
    graph = core.read_model(model / ("cnn-int8.onnx" if way == "int8" else "cnn.onnx"))
    shape = [BATCH_FRAMES, *(int(d.get_length()) for d in list(graph.inputs[0].partial_shape)[1:])]
    graph.reshape({port: shape for port in graph.inputs})
    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if way == "float32" else "bf16",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
        "PERF_COUNT": True,
    }
    request = core.compile_model(graph, "CPU", settings).create_infer_request()
    batch = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seconds = best(lambda: request.infer([batch], share_inputs=True))
    nodes = [(one.node_type, one.real_time.total_seconds()) for one in request.profiling_info]
    convolutions = sum(time for kind, time in nodes if kind == "Convolution")
    return {
        "images_per_second": BATCH_FRAMES / seconds,
        "convolutions": convolutions / sum(time for _, time in nodes),
    }


def by_torch(model, threads):
    import torch

    from soravec.models.export import load_encoder

    torch.set_num_threads(threads)
    cnn = load_encoder(model).cnn.eval().to(memory_format=torch.channels_last)
    batch = torch.randint(0, 256, (BATCH_FRAMES, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        return {"images_per_second": BATCH_FRAMES / best(lambda: cnn(batch))}


def best(call):
    call()
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


if __name__ == "__main__":
    main()
