"""Soravec turns video into dense vectors, and vectors into answers.

The names below are loaded when they are first used, so that `import soravec` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soravec.errors import SoravecError, VideoError
    from soravec.library.filters import Filter
    from soravec.library.indexer import IndexOptions
    from soravec.library.library import Library
    from soravec.runtime.encoder import Encoder, load
    from soravec.types import Embedding, Frames, Hit, Segment, VideoInfo
    from soravec.video import VideoReader, probe

__version__ = "0.1.0"

__all__ = [
    "Embedding",
    "Encoder",
    "Filter",
    "Frames",
    "Hit",
    "IndexOptions",
    "Library",
    "Segment",
    "SoravecError",
    "VideoError",
    "VideoInfo",
    "VideoReader",
    "load",
    "probe",
]

_HOMES = {
    "Embedding": "soravec.types",
    "Encoder": "soravec.runtime.encoder",
    "Filter": "soravec.library.filters",
    "Frames": "soravec.types",
    "Hit": "soravec.types",
    "IndexOptions": "soravec.library.indexer",
    "Library": "soravec.library.library",
    "Segment": "soravec.types",
    "SoravecError": "soravec.errors",
    "VideoError": "soravec.errors",
    "VideoInfo": "soravec.types",
    "VideoReader": "soravec.video",
    "load": "soravec.runtime.encoder",
    "probe": "soravec.video",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the name stands for
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'soravec' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
