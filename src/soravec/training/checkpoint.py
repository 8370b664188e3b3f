"""State of a training on disk: safetensors for tensors, JSON for the rest; no pickle."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from soravec.errors import TrainingError

_TENSOR = "tensor"


def write_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write nested dicts and lists of tensors and plain values; an older file stays until then."""
    tensors: dict[str, Tensor] = {}
    plain = _without_tensors(state, "", tensors)
    aside = path.with_suffix(".tmp")
    save_file(tensors, aside, metadata={"state": json.dumps(plain)})
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `write_checkpoint` wrote.

    Raises:
        TrainingError: The file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            plain = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state: dict[str, Any] = _with_tensors(plain, tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path}: the checkpoint is damaged ({error}). Remove it and train anew."
        ) from error
    return state


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        pairs = [
            [key, _without_tensors(inner, f"{name}/{key}", tensors)] for key, inner in value.items()
        ]
        return {"pairs": pairs}  # keys may be numbers, which JSON would turn into texts
    if isinstance(value, list | tuple):
        return [_without_tensors(one, f"{name}/{i}", tensors) for i, one in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_with_tensors(inner, tensors) for inner in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    return {key: _with_tensors(inner, tensors) for key, inner in value["pairs"]}


def random_state() -> dict[str, Any]:
    """Return the state of torch's generators."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Set torch's generators to what `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
