"""Heads: what a vector is called. Linear, in a model folder, run in NumPy.

A classifier, taught labels and a regression are all heads: `heads/NAME.safetensors` holds `weight`
(K, D) and `bias` (K,), `heads/NAME.json` the rest.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from soravec.errors import ModelError
from soravec.runtime.config import from_dict
from soravec.types import Classification, ClassifiedSegment, Embedding

HEADS_FOLDER = "heads"
TAGS_HEAD = "tags"
"""The head whose classes are tags, which words find; no one trained it on labels of their own."""
Activation = Literal["softmax", "sigmoid", "identity"]
Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """All of `heads/NAME.json`."""

    classes: tuple[str, ...]
    """Names of the K classes, or of the targets of a regression."""
    activation: Activation
    """`softmax`: one class is right; `sigmoid`: each for itself; `identity`: a regression."""
    space_id: str
    """The only space whose vectors it understands."""
    sample_fps: float = 0.0
    """Frames per second at which it was learned; 0 where unknown."""
    words: tuple[tuple[str, ...], ...] = ()
    """What else each class is called, in any language; empty, or K tuples."""
    least: float = 0.0
    """A class of a lower score is not worth showing; 0: all are."""
    running: bool = False
    """Whether it reads what an RNN has read by each frame, for events; else it reads segments."""
    delay_seconds: float = 0.0
    """What has been read by a frame tells what happened so much earlier."""
    window_seconds: float = 0.0
    """Length of the windows that it was learned from, for events; 0: from segments."""


@dataclass(frozen=True, slots=True)
class Head:
    """A linear classifier or regression on segment vectors."""

    name: str
    """What it is called."""
    config: HeadConfig
    """Its classes, and what its outputs mean."""
    weight: Float
    """(K, D) float32."""
    bias: Float
    """(K,) float32."""

    def __post_init__(self) -> None:
        shape = len(self.config.classes), self.weight.shape[-1]
        if self.weight.shape != shape or self.bias.shape != shape[:1]:
            raise ModelError(
                f"head {self.name}: {shape[0]} classes, but weights of {self.weight.shape} and"
                f" {self.bias.shape}. Train it again."
            )
        if len(self.config.words) not in (0, shape[0]):
            raise ModelError(f"head {self.name}: names for {len(self.config.words)} of its classes")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the K classes, or of the targets of a regression."""
        return self.config.classes

    @property
    def activation(self) -> Activation:
        """What its outputs mean."""
        return self.config.activation

    def scores(self, vectors: Float) -> Float:
        """Return scores (S, K) float32 of segment vectors (S, D).

        Probabilities, which sum to 1 with `softmax`; the targets themselves with `identity`.
        """
        logits = vectors @ self.weight.T + self.bias
        if self.activation == "identity":
            return np.asarray(logits, np.float32)
        if self.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)

    def called(self, name: str) -> tuple[int, ...]:
        """Return the classes that are called `name`, in any case and language."""
        wanted = " ".join(name.casefold().split())
        words = self.config.words or ((),) * len(self.classes)
        return tuple(
            index
            for index, (label, others) in enumerate(zip(self.classes, words, strict=True))
            if any(wanted == one.casefold() for one in (label, *others))
        )

    def classify(self, embedding: Embedding) -> Classification:
        """Return what a video is called: scores of every segment, and their mean over time.

        Raises:
            ModelError: The vectors are of another space.
        """
        if embedding.space_id != self.config.space_id:
            raise ModelError(
                f"{embedding.path}: vectors of space {embedding.space_id}, but the head"
                f" '{self.name}' reads {self.config.space_id}. Embed it with the head's model."
            )
        scores = self.scores(np.stack([segment.vector for segment in embedding.segments]))
        seconds = np.array([segment.duration_seconds for segment in embedding.segments])
        whole = (scores * (seconds / seconds.sum())[:, None]).sum(axis=0)
        return Classification(
            path=embedding.path,
            classes=self.classes,
            scores=whole.astype(np.float32),
            segments=tuple(
                ClassifiedSegment(segment.start_seconds, segment.end_seconds, row)
                for segment, row in zip(embedding.segments, scores, strict=True)
            ),
            least=self.config.least,
            ranked=self.config.activation != "identity",
        )


def head_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the heads in a model folder, sorted."""
    return tuple(sorted(path.stem for path in (folder / HEADS_FOLDER).glob("*.json")))


def read_head(folder: Path, name: str | None = None) -> Head:
    """Return a head of a model folder.

    Args:
        folder: The model's folder.
        name: Which; None means the only one beside the tags, or these where there is no other.

    Raises:
        ModelError: There is none of that name, there are several to choose from, or it is damaged.
    """
    names = head_names(folder)
    others = [one for one in names if one != TAGS_HEAD]
    if name is None and len(others) > 1:
        raise ModelError(f"{folder.name} has several heads: choose one of {', '.join(names)}")
    chosen = name or next(iter((*others, *names)), "")
    if chosen not in names:
        raise ModelError(_no_head(folder, names, chosen))
    path = folder / HEADS_FOLDER / f"{chosen}.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        arrays = load_file(path.with_suffix(".safetensors"))
        weight, bias = (arrays[part].astype(np.float32) for part in ("weight", "bias"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise ModelError(f"{path}: the head is damaged ({error}). Train it again.") from error
    return Head(chosen, from_dict(HeadConfig, raw, where=str(path)), weight, bias)


def write_head(folder: Path, head: Head) -> None:
    """Write a head into a model folder, durably, in place of one of the same name.

    Who reads that meanwhile finds no half of a file.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    path = folder / HEADS_FOLDER / f"{head.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"weight": np.ascontiguousarray(head.weight), "bias": head.bias}
    config = head.config
    facts = {
        "classes": list(config.classes),
        "activation": config.activation,
        "space_id": config.space_id,
        "sample_fps": config.sample_fps,
        "words": [list(names) for names in config.words],
        "least": config.least,
        "running": config.running,
        "delay_seconds": config.delay_seconds,
        "window_seconds": config.window_seconds,
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    _put(path.with_suffix(".safetensors"), save(arrays))
    _put(path, text.encode())


def remove_head(folder: Path, name: str) -> None:
    """Remove a head from a model folder, if it is there."""
    for suffix in (".json", ".safetensors"):
        (folder / HEADS_FOLDER / f"{name}{suffix}").unlink(missing_ok=True)


def _put(path: Path, content: bytes) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def top(classes: Sequence[str], scores: Float, k: int) -> list[tuple[str, float]]:
    """Return the `k` best classes with their scores, best first; equal ones in their order."""
    order = np.argsort(-scores, kind="stable")[:k]
    return [(classes[index], float(scores[index])) for index in order]


def _no_head(folder: Path, names: Sequence[str], chosen: str) -> str:
    if not names:
        return (
            f"{folder.name}: this model has no head, so it cannot classify."
            " Train one: soravec train CLIPS.csv"
        )
    return f"{folder.name}: no head '{chosen}'. It has: {', '.join(names)}"
