"""Run an ONNX graph without PyTorch: OpenVINO on CPUs, ONNX Runtime elsewhere and on GPUs.

The only module that imports an inference engine.
"""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from soravec.errors import MissingExtra, ModelError

EngineName = Literal["auto", "openvino", "onnxruntime"]
Precision = Literal["auto", "float32", "bfloat16", "int8"]

# ONNX Runtime writes down an identity of the machine and sends what it does to its makers, from its
# import on, unless it finds this in the environment; so does whatever imports it later.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

logger = logging.getLogger(__name__)


class Graph(Protocol):
    """A loaded graph."""

    engine: str
    """Which engine runs it, with its version and device."""
    precision: str
    """`float32`, `bfloat16` or `int8`: the arithmetic that it asks for."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Return every output by name.

        Args:
            inputs: Every input by name. A graph with a fixed batch takes just that.
        """


def open_graph(
    path: Path,
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    num_threads: int | None = None,
    fixed_shape: Sequence[int] | None = None,
) -> Graph:
    """Return the ONNX graph at `path`, ready to run.

    Args:
        path: An `.onnx` file.
        engine: `auto` is ONNX Runtime where it has CUDA, else OpenVINO where it is installed,
            else ONNX Runtime on the CPU.
        precision: `auto` is bfloat16 where the processor computes in it and the engine can; `int8`
            says of a graph that it is quantised already.
        num_threads: Threads of one run; None means every core this process may use.
        fixed_shape: Shape of every input. A fixed shape is faster than a dynamic one.

    Raises:
        ModelError: The graph cannot be loaded, or the engine lacks the precision.
        MissingExtra: The engine is not installed.
    """
    if precision not in get_args(Precision):
        wanted = ", ".join(get_args(Precision))
        raise ModelError(f"no precision '{precision}': choose one of {wanted}")
    chosen = choose_engine(engine)
    threads = num_threads or available_cores()
    try:
        if chosen == "openvino":
            return _OpenVinoGraph(path, precision, threads, fixed_shape)
        return _OnnxRuntimeGraph(path, precision, threads)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        raise ModelError(f"{path}: {chosen} cannot load it ({reason})") from error


def choose_engine(engine: EngineName = "auto") -> Literal["openvino", "onnxruntime"]:
    """Return the engine that `engine` stands for on this machine.

    Raises:
        MissingExtra: It is not installed.
        ModelError: There is no engine of that name.
    """
    if engine not in ("auto", "openvino", "onnxruntime"):
        raise ModelError(f"no engine '{engine}': choose auto, openvino or onnxruntime")
    installed = [name for name in ("openvino", "onnxruntime") if util.find_spec(name)]
    if engine == "auto" and installed:
        return "onnxruntime" if "openvino" not in installed or _has_cuda(installed) else "openvino"
    if engine in installed:
        return engine  # type: ignore[return-value]  # not "auto", which is never installed
    wanted = "openvino" if engine == "auto" else engine
    raise MissingExtra(f"the engine {wanted} is not installed. Install it: pip install {wanted}")


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def import_openvino() -> Any:  # noqa: ANN401  # a module without type information
    """Return the module `openvino`, imported so that it sends nothing.

    `import openvino` loads `openvino_telemetry`, which opens a socket; a None in `sys.modules`
    makes that import fail, and OpenVINO then goes on without it.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class _OpenVinoGraph:
    """A graph compiled for the CPU by OpenVINO."""

    def __init__(
        self, path: Path, precision: Precision, num_threads: int, fixed_shape: Sequence[int] | None
    ) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not has_bfloat16:
            raise ModelError("this processor does not compute in bfloat16: use auto or float32")
        arithmetic = "bfloat16" if has_bfloat16 and precision != "float32" else "float32"
        self.precision = "int8" if precision == "int8" else arithmetic
        self.engine = f"openvino {metadata.version('openvino')} CPU"
        model = core.read_model(path)
        if fixed_shape is not None:
            model.reshape({port: list(fixed_shape) for port in model.inputs})
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[arithmetic],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": num_threads,
                # Pinned threads of two workers would share one core.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._request = compiled.create_infer_request()
        # One output may go by several names; the graph's own is always among them.
        self._outputs = [port.get_names() for port in compiled.outputs]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        results = self._request.infer(dict(inputs), share_inputs=True)
        arrays = [np.array(results[i]) for i in range(len(self._outputs))]
        return {name: a for names, a in zip(self._outputs, arrays, strict=True) for name in names}


class _OnnxRuntimeGraph:
    """A graph run by ONNX Runtime, on CUDA where it has it, else on the CPU."""

    def __init__(self, path: Path, precision: Precision, num_threads: int) -> None:
        import onnxruntime

        if precision == "bfloat16":
            raise ModelError("ONNX Runtime runs these graphs in float32: use OpenVINO for bfloat16")
        self.precision = "int8" if precision == "int8" else "float32"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [p for p in wanted if p in onnxruntime.get_available_providers()]
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        except onnxruntime.capi.onnxruntime_pybind11_state.OrtException as error:
            raise ModelError(f"{path}: ONNX Runtime cannot load it ({error})") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        device = "CUDA" if self._session.get_providers()[0].startswith("CUDA") else "CPU"
        self.engine = f"onnxruntime {onnxruntime.__version__} {device}"
        if device == "CPU" and "CUDAExecutionProvider" in providers:
            logger.warning("ONNX Runtime has CUDA but could not start it; running on the CPU")

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))


def _has_cuda(installed: Sequence[str]) -> bool:
    if "onnxruntime" not in installed:
        return False
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
