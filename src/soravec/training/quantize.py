"""INT8 beside the float16 CNN of a model folder, calibrated on generated video.

Static quantisation after training by NNCF: activations and weights of convolutions to eight bits,
scales from what generated frames make of them. Whether a CNN bears it is measured, not believed.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from soravec.data.generated import SCENES, render
from soravec.data.scenes import paint
from soravec.errors import MissingExtra, ModelError
from soravec.runtime.config import CnnConfig, write_config
from soravec.runtime.encoder import Encoder
from soravec.runtime.engine import import_openvino
from soravec.runtime.folder import (
    CNN_FILE,
    CONFIG_FILE,
    INT8_FILE,
    file_sha256,
    find_model,
    open_folder,
)
from soravec.runtime.frames import BATCH_FRAMES
from soravec.types import Frames

CALIBRATION_CLIPS, CHECK_CLIPS = 20, 6
"""Of BATCH_FRAMES frames each, of different scenes and movements."""
LEAST_COSINE = 0.99
"""Of the features of a frame before and after, median; what loses more is refused."""


def quantize_model(name: str | Path, out: Path) -> float:
    """Write a copy of a model folder that has an INT8 CNN beside its own.

    Args:
        name: A bundled model, a model folder, or a hub id.
        out: The new folder; it must not exist.

    Returns:
        The median cosine of features by INT8 with those in float32, on other generated frames.

    Raises:
        ModelError: `out` exists, or the CNN does not bear eight bits: nothing is written.
        MissingExtra: NNCF is not installed.
    """
    _nncf()  # before anything else is done
    folder = find_model(name)
    if out.exists():
        raise ModelError(f"{out}: exists already. Name a new folder.")
    cnn = folder.config.cnn
    clips = list(generated_clips(cnn.width, cnn.height, CALIBRATION_CLIPS + CHECK_CLIPS))
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        made = Path(shutil.copytree(folder.path, Path(temporary) / out.name))
        inputs = [_inputs(clip, cnn) for clip in clips[:CALIBRATION_CLIPS]]
        onnx.save(quantized(onnx.load(made / CNN_FILE), inputs), made / INT8_FILE)
        files = {**folder.config.files, INT8_FILE: file_sha256(made / INT8_FILE) or ""}
        write_config(replace(folder.config, files=files), made / CONFIG_FILE)
        cosine = _agreement(made, clips[CALIBRATION_CLIPS:])
        if cosine < LEAST_COSINE:
            raise ModelError(
                f"{name}: its CNN does not bear eight bits: the cosine of its features with those"
                f" in float32 is {cosine:.3f}, and {LEAST_COSINE} is asked. Nothing was written."
            )
        made.rename(out)
    return cosine


def quantized(graph: Any, inputs: Sequence[Any]) -> Any:  # noqa: ANN401  # NNCF knows their kinds
    """Return a graph of ONNX or OpenVINO with its convolutions in eight bits.

    Args:
        graph: The graph.
        inputs: What it takes, one per call: scales come from what it makes of these.

    Raises:
        MissingExtra: NNCF is not installed.
    """
    nncf = _nncf()
    return nncf.quantize(
        graph,
        nncf.Dataset(inputs),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
    )


def generated_clips(width: int, height: int, count: int) -> Iterator[Frames]:
    """Yield clips of BATCH_FRAMES generated frames, each frame with the one before it."""
    worlds = [paint(scene) for scene in SCENES]
    for seed in range(count):
        frames = render(
            worlds[seed % len(worlds)],
            BATCH_FRAMES + 1,
            width=width,
            height=height,
            seed=seed,
        )
        images = np.stack(list(frames))
        yield Frames(images[1:], np.arange(BATCH_FRAMES) / 2, images[:-1])


def _nncf() -> Any:  # noqa: ANN401  # a module without type information
    import_openvino()  # first: NNCF would load its telemetry
    try:
        import nncf
    except ImportError as error:
        raise MissingExtra(
            "INT8 needs the extra 'train'. Install it: pip install \"soravec[train]\""
        ) from error
    return nncf


def _inputs(clip: Frames, cnn: CnnConfig) -> dict[str, NDArray[np.uint8]]:
    inputs = {"frames": clip.images}
    if cnn.motion != "none" and clip.previous is not None:
        inputs["previous"] = clip.previous
    return inputs


def _agreement(folder: Path, clips: list[Frames]) -> float:
    """Return the median cosine of features in INT8 with those in float32, of the worst part."""
    checked = open_folder(folder)
    exact, rounded = (Encoder(checked, precision=p) for p in ("float32", "int8"))
    ends = np.cumsum(checked.config.cnn.parts)
    parts = [
        slice(end - size, end)
        for size, end in zip(checked.config.cnn.parts, ends, strict=True)
        if size
    ]
    cosines = []
    for clip in clips:
        pair = [encoder.features(clip).astype(np.float32) for encoder in (exact, rounded)]
        cosines.append([_cosine(pair[0][:, part], pair[1][:, part]) for part in parts])
    return float(np.median(np.concatenate(cosines, axis=1), axis=1).min())


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    product = (one * other).sum(axis=1)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray(product / np.maximum(lengths, 1e-12), np.float32)
