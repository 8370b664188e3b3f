"""Messages over two byte streams: a length, a JSON header, and the bytes of the arrays it lists."""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_HEADER_BYTES = 64 * 2**20
MAX_ARRAY_BYTES = 2 * 2**30
"""What the arrays of one message may take together: features of five days at 2 frames a second."""


@dataclass(frozen=True, slots=True)
class Message:
    """What crosses the pipe."""

    header: Mapping[str, Any]
    """JSON."""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays by name; owned by the receiver."""


class Channel:
    """Framed messages over two byte streams."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink

    def send(self, message: Message) -> None:
        """Send a message; raises OSError where the other side is gone."""
        arrays = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
        listing = [(name, a.dtype.str, a.shape) for name, a in arrays.items()]
        header = json.dumps({"header": dict(message.header), "arrays": listing}).encode()
        self._sink.write(struct.pack(">I", len(header)))
        self._sink.write(header)
        for array in arrays.values():
            self._sink.write(array.reshape(-1).view(np.uint8).data)
        self._sink.flush()

    def receive(self) -> Message | None:
        """Return the next message, or None where the other side is gone."""
        try:
            (length,) = struct.unpack(">I", self._read(4))
            if length > MAX_HEADER_BYTES:
                return None
            frame = json.loads(self._read(length))
            arrays, room = {}, MAX_ARRAY_BYTES
            for name, dtype, shape in frame["arrays"]:
                size = math.prod(shape) * np.dtype(dtype).itemsize
                if min(shape, default=0) < 0 or size > room:
                    return None
                room -= size
                arrays[name] = np.frombuffer(self._read(size), dtype).reshape(shape)
            return Message({**frame["header"]}, arrays)
        except Exception:  # noqa: BLE001  # whatever it is, nothing that follows can be understood
            return None

    def _read(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise EOFError
        return data
