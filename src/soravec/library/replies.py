"""What children answer, checked: one whose decoder was taken over may answer anything."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from soravec.channel import Message
from soravec.errors import WorkerError
from soravec.library.features import info_from_json, unpack
from soravec.runtime.encoder import Encoder
from soravec.runtime.vectors import mean_vector
from soravec.types import Embedding, FrameFeatures, Segment, VideoInfo

NONSENSE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading an answer that is none raises."""

UNIT_SLACK = 0.01
"""By how much the length of a vector may differ from 1."""

_PLAIN: Mapping[Any, Any] = {str: str, int: int, float: (int, float), bool: bool}


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is nothing of a file."""

    error_type: str
    message: str


class Made(NamedTuple):
    """What a child made of a file."""

    features: FrameFeatures
    embedding: Embedding
    words: Mapping[str, Any]
    """Its subtitles, as `transcript.pack_words` made them."""


def read_made(path: str, reply: Message | WorkerError, encoder: Encoder) -> Made | Failed:
    """Return what a child made of a file, or why there is nothing.

    Args:
        path: The file, as it is shown.
        reply: What came.
        encoder: The model that the child was to use.
    """
    if isinstance(reply, WorkerError):
        return Failed(WorkerError.__name__, f"{path}: {reply}")
    try:
        if reply.header["kind"] == "failed":
            return Failed(_text(reply.header["type"]), _text(reply.header["message"]))
        return _made(path, reply, encoder)
    except NONSENSE as error:
        return _nonsense(path, error)


def read_said(path: str, reply: Message | WorkerError) -> tuple[VideoInfo, Mapping[str, Any]] | str:
    """Return what a file says of itself and its words, or why they are not known."""
    if isinstance(reply, WorkerError):
        return str(reply)
    try:
        if reply.header["kind"] == "failed":
            return _text(reply.header["message"])
        info = replace(info_from_json(reply.header["info"]), path=path)
        _check_info(info)
        return info, _checked_words(reply.header["words"])
    except NONSENSE as error:
        return _nonsense(path, error).message


def _made(path: str, reply: Message, encoder: Encoder) -> Made:
    features = unpack(reply.header, reply.arrays)
    features = replace(features, info=replace(features.info, path=path))
    _check_info(features.info)
    bounds, vectors = reply.arrays["bounds"], reply.arrays["vectors"]
    if (features.feature_id, reply.header["space_id"]) != (encoder.feature_id, encoder.space_id):
        raise ValueError("of another model")
    if bounds.shape != (len(vectors), 2) or vectors.shape[1:] != (encoder.dim,):
        raise ValueError("vectors of another shape")
    if features.features.shape[1] != encoder.config.cnn.feature_dim or not len(features):
        raise ValueError("features of another shape")
    if features.sketches is None or features.sharpness is None or features.colours is None:
        raise ValueError("no sketches")
    read = (features.features, features.seconds, features.sharpness, features.shots.bounds)
    for numbers in (*read, bounds, vectors):
        if not np.isfinite(numbers).all():
            raise ValueError("a number that is not finite")
    if (np.diff(features.seconds) < 0).any():
        raise ValueError("times that go back")
    if not len(vectors) or abs(np.linalg.norm(vectors, axis=1) - 1).max() > UNIT_SLACK:
        raise ValueError("no vectors of unit length")
    segments = tuple(
        Segment(float(start), float(end), vector, features.shots.approximate)
        for (start, end), vector in zip(bounds, vectors, strict=True)
    )
    embedding = Embedding(
        path=path,
        vector=mean_vector(vectors, bounds[:, 1] - bounds[:, 0]),
        segments=segments,
        space_id=encoder.space_id,
        info=features.info,
        recipe={str(name): _plain(value) for name, value in features.recipe.items()},
    )
    return Made(features, embedding, _checked_words(reply.header["words"]))


def _check_info(info: VideoInfo) -> None:
    for field in fields(VideoInfo):
        value = getattr(info, field.name)
        if isinstance(value, str):
            _text(value)
        if not isinstance(value, _PLAIN.get(field.type, object)):
            raise TypeError(f"{field.name} is no {field.type}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{field.name} is not finite")

    _check_metadata(info)


def _check_metadata(info: VideoInfo) -> None:
    for text in (info.title, info.created):
        if text is not None:
            _text(text)
    for text in (*info.warnings, *(chapter.text for chapter in info.chapters)):
        _text(text)
    for seconds in (one for c in info.chapters for one in (c.start_seconds, c.end_seconds)):
        if not math.isfinite(seconds):
            raise ValueError("a chapter without a time")
    if info.location is not None:
        latitude, longitude = info.location
        if not (math.isfinite(latitude) and math.isfinite(longitude)):
            raise ValueError("a place that is none")


def _checked_words(packed: Mapping[str, Any]) -> Mapping[str, Any]:
    lines = []
    for source, text, start, end, language in packed["lines"]:
        spans = [None if value is None else float(value) for value in (start, end)]
        lines.append((bool(source), _text(text), *spans, _text(language)))
    return {"lines": lines, "warnings": [_text(warning) for warning in packed["warnings"]]}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("words that are no text")
    value.encode()  # half of a pair of surrogates cannot be stored
    return value


def _plain(value: Any) -> str | float | int:  # noqa: ANN401
    if not isinstance(value, str | float | int):
        raise TypeError("a recipe that is none")
    return value


def _nonsense(path: str, error: Exception) -> Failed:
    return Failed(WorkerError.__name__, f"{path}: its worker answered nonsense ({error})")
