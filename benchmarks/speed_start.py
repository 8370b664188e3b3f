"""How long a fresh process takes to say --help and to answer a first search.

Beside it, what it rests on: a process that starts LanceDB (one scan of the same vectors) and the
engine (the model's two graphs, read and compiled, the CNN run once) and does nothing else. They
take turns; medians.

    python benchmarks/speed_start.py [--rounds 7]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from speed import RESULTS, machine

import soravec
from soravec.data.generated import SCENES, render
from soravec.runtime.folder import find_model
from soravec.video import VideoWriter

PYTHON = """
import sys
sys.modules["openvino_telemetry"] = None
"""

LANCE = """
import lancedb
table = lancedb.connect(sys.argv[1]).open_table(lancedb.connect(sys.argv[1]).table_names()[0])
table.search(table.search().limit(1).to_arrow()["vector"].to_pylist()[0]).limit(10).to_arrow()
"""

ENGINE = """
import numpy as np
import openvino
core = openvino.Core()
for graph, rows in (("cnn.onnx", 16), ("temporal.onnx", None)):
    model = core.read_model(sys.argv[2] + "/" + graph)
    if rows:
        shape = [rows, *model.inputs[0].partial_shape.get_max_shape()[1:]]
        model.reshape({port: shape for port in model.inputs})
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    if rows:
        request = compiled.create_infer_request()
        request.infer({port: np.zeros(port.shape, np.uint8) for port in compiled.inputs})
"""

NUMPY = "import numpy\n"


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = drawn(folder / "video.mp4")
        library = soravec.Library(folder / "start.library")
        library.add(video, progress=False)
        library.close()
        there = [str(folder / "start.library/vectors"), str(find_model("sora-mini").path)]
        ours = [sys.executable, "-m", "soravec"]
        search = [*ours, "search", "--library", folder / "start.library"]
        alone = [sys.executable, "-c"]
        commands = {
            "python, numpy": [*alone, NUMPY],
            "soravec --help": [*ours, "--help"],
            "LanceDB alone": [*alone, PYTHON + LANCE, *there],
            "soravec search drawn": [*search, "drawn"],
            "LanceDB and engine alone": [*alone, PYTHON + LANCE + ENGINE, *there],
            "soravec search --video": [*search, "--video", video],
        }
        seconds = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name:<26}{median:7.2f} s")
    pairs = {
        "soravec search drawn": "LanceDB alone",
        "soravec search --video": "LanceDB and engine alone",
    }
    for name, beside in pairs.items():
        print(f"{name} / {beside}: {medians[name] / medians[beside]:.2f}")
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "seconds": seconds}
    (RESULTS / "start.json").write_text(json.dumps(facts, indent=1) + "\n")


def drawn(path):
    """Write a short video, for the library and for the query."""
    with VideoWriter(path, width=320, height=240, fps=25.0) as writer:
        for image in render(SCENES[0], 100, width=320, height=240, seed=0):
            writer.write(image)
    return path


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
