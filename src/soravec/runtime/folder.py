"""A model is a folder: find it by name, check it, know its identity.

Nothing here needs PyTorch or an inference engine. No pickle is ever read.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soravec.errors import MissingExtra, ModelError
from soravec.runtime.config import CnnConfig, ModelConfig, TemporalConfig, read_config
from soravec.runtime.external import check_external

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CNN_FILE = "cnn.onnx"
INT8_FILE = "cnn-int8.onnx"
TEMPORAL_FILE = "temporal.onnx"
CARD_FILE = "README.md"

Weights = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A checked model folder."""

    path: Path
    """Where it lies."""
    config: ModelConfig
    """What its `config.json` says."""

    @property
    def cnn_path(self) -> Path:
        """The CNN as ONNX."""
        return self.path / CNN_FILE

    @property
    def int8_path(self) -> Path:
        """The CNN in eight bits.

        Raises:
            ModelError: The folder has none.
        """
        if INT8_FILE not in self.config.files:
            raise ModelError(
                f"{self.path}: no INT8 CNN in it. Make one: soravec models quantize {self.path}"
                " -o FOLDER"
            )
        return self.path / INT8_FILE

    @property
    def temporal_path(self) -> Path:
        """Projection and RNN as ONNX."""
        return self.path / TEMPORAL_FILE

    @property
    def size_bytes(self) -> int:
        """Size of all files in the folder."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def find_model(name: str | Path) -> ModelFolder:
    """Return the checked folder of a model.

    Args:
        name: The name of a bundled model, a folder, or a hub id `owner/name` (extra `hub`).

    Raises:
        ModelError: There is no such model, or its folder is damaged.
        MissingExtra: A hub id was given and the extra `hub` is not installed.
    """
    text = str(name)
    bundled = bundled_models()
    if text in bundled:
        return open_folder(bundled[text])
    folder = Path(name)
    if folder.is_dir():
        if not (folder / CONFIG_FILE).exists():
            within = [str(path.parent) for path in sorted(folder.glob(f"*/{CONFIG_FILE}"))]
            meant = f" Did you mean {' or '.join(within)}?" if within else ""
            raise ModelError(f"{text}: no model, there is no {CONFIG_FILE} in it.{meant}")
        return open_folder(folder)
    if isinstance(name, str) and text.count("/") == 1 and not text.startswith(("/", ".", "~")):
        return open_folder(_fetch_from_hub(text))
    raise ModelError(
        f"{text}: no such model. Bundled: {', '.join(bundled)}; or give a folder with"
        f" a {CONFIG_FILE}, or a hub id 'owner/name'."
    )


def bundled_models() -> dict[str, Path]:
    """Return the models that come inside the package, by name."""
    root = Path(str(resources.files("soravec") / "bundled"))
    return {p.parent.name: p.parent for p in sorted(root.glob(f"*/{CONFIG_FILE}"))}


def open_folder(path: Path) -> ModelFolder:
    """Return the model folder at `path` after checking every file that it lists.

    Raises:
        ModelError: A file is missing or differs from what `config.json` says of it.
    """
    config = read_config(path / CONFIG_FILE)
    for name in (CNN_FILE, TEMPORAL_FILE):
        if name not in config.files:
            raise ModelError(f"{path / CONFIG_FILE}: lists no '{name}'. Export the model again.")
    for name, expected in config.files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelError(f"{path / CONFIG_FILE}: '{name}' lies outside the folder. Refused.")
        if file_sha256(path / name) != expected:
            raise ModelError(
                f"{path / name}: missing, damaged or edited (its SHA-256 is not the one in"
                f" {CONFIG_FILE}). Fetch or export the model again."
            )
        if name.endswith(".onnx"):
            check_external(path / name, frozenset(config.files))
    return ModelFolder(path.resolve(), config)


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file as hex, or None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def feature_identity(weights: Weights, cnn: CnnConfig) -> str:
    """Return the `feature_id`: a hash of the CNN's weights and preprocessing.

    Args:
        weights: Every tensor of the CNN by name.
        cnn: Its configuration.
    """
    config = asdict(cnn)
    if not cnn.num_looks:  # models from before these existed stay the same
        for later in ("motion", "motion_gain", "num_looks", "num_layout"):
            del config[later]
    return _identity([json.dumps(config, sort_keys=True).encode(), *_tensor_bytes(weights)])


def space_identity(feature_id: str, weights: Weights, temporal: TemporalConfig) -> str:
    """Return the `space_id`: a hash of `feature_id`, projection and RNN.

    Args:
        feature_id: Identity of the CNN.
        weights: Every tensor of projection and RNN by name.
        temporal: Their configuration, the weight of motion included.
    """
    # What is at its default is left out: a field that a later version adds changes no identity.
    given = {
        field.name: getattr(temporal, field.name)
        for field in fields(temporal)
        if getattr(temporal, field.name) != field.default
    }
    config = json.dumps(given, sort_keys=True)
    return _identity([feature_id.encode(), config.encode(), *_tensor_bytes(weights)])


def _tensor_bytes(weights: Weights) -> Iterable[bytes]:
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        yield f"{name} {array.dtype} {array.shape}".encode()
        yield array.tobytes()


def _identity(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _fetch_from_hub(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(
            f"{hub_id}: no such folder, and a hub id needs the extra 'hub'."
            ' Install it: pip install "soravec[hub]"'
        ) from error
    try:
        return Path(
            snapshot_download(hub_id, allow_patterns=["*.json", "*.onnx", "*.safetensors", "*.md"])
        )
    except (OSError, ValueError) as error:
        first_line = (
            str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        )
        raise ModelError(f"{hub_id}: cannot be fetched from the hub ({first_line})") from error
