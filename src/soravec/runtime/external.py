"""Which other files an ONNX file would have read: found without loading it.

An engine that loads a graph opens whatever file its tensors name. The wire format is that of
Protocol Buffers; the numbers of the fields are those of `onnx.proto` (ONNX IR version 10).
"""

from collections.abc import Iterator
from pathlib import Path

from soravec.errors import ModelError

_HOLDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {13: "external"},
}
"""Which fields of which message hold a message that leads to a tensor."""

_MAX_DEPTH = 64


def check_external(path: Path, listed: frozenset[str]) -> None:
    """Refuse an ONNX file that names a file which its model's config does not list.

    Args:
        path: The file.
        listed: The names that were checked.

    Raises:
        ModelError: It names another one, or is damaged.
    """
    try:
        named = set(_named(memoryview(path.read_bytes()), "model", 0))
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(f"{path}: no ONNX file ({error}). Export the model again.") from error
    for name in sorted(named):
        if name not in listed or any(part in name for part in ("/", "\\", ":", "*", "..")):
            raise ModelError(
                f"{path}: would read the file '{name}', which the model does not list. Refused."
            )


def _named(data: memoryview, kind: str, depth: int) -> Iterator[str]:
    """Yield the files that a message names."""
    if depth > _MAX_DEPTH:
        raise ValueError("messages within messages without end")
    for number, value in _fields(data):
        inner = _HOLDS[kind].get(number)
        if inner is None or isinstance(value, int):
            continue
        if inner != "external":
            yield from _named(value, inner, depth + 1)
            continue
        entry = {n: bytes(v) for n, v in _fields(value) if not isinstance(v, int)}
        if entry.get(1) == b"location":
            yield entry.get(2, b"").decode("utf-8", "replace")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of every field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if not 8 <= key < 2**32:  # others read the lower bits alone
            raise ValueError("an impossible tag")
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
            if at > len(data):
                raise ValueError("a field is longer than the file")
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field is longer than the file")
            yield key >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError("an unknown kind of field")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without end")
