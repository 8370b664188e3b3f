"""The units that H.264 and HEVC streams are made of: which picture is what, and parameter sets.

A unit begins with its type (ITU-T H.264, table 7-1; H.265, table 7-1). In MP4 and Matroska each is
preceded by its length, elsewhere by a start code (annex B).
"""

import re
from collections.abc import Iterator
from typing import Final

H264_IDR = 5
HEVC_IRAP = range(16, 22)
"""Types of HEVC pictures at which decoding may begin."""
HEVC_IDR: Final = frozenset({19, 20})
HEVC_END_OF_SEQUENCE = b"\0\0\0\1\x48\x01"

_H264_SETS = {7, 8}
_HEVC_SETS = {32, 33, 34}
_BETWEEN_UNITS = re.compile(rb"\x00*\x00\x00\x01")
_START_CODE = b"\0\0\0\1"


def first_picture_type(codec: str, data: bytes, extradata: bytes) -> int:
    """Return the type of the first unit of a packet that holds a part of a picture; -1 for none."""
    for unit in units(data, length_size(codec, extradata)):
        kind = unit_type(codec, unit)
        if (1 <= kind <= 5) if codec == "h264" else kind < 32:
            return kind
    return -1


def has_sets(codec: str, data: bytes, extradata: bytes) -> bool:
    """Whether a packet brings parameter sets of its own."""
    sets = _H264_SETS if codec == "h264" else _HEVC_SETS
    size = length_size(codec, extradata)
    return any(unit_type(codec, unit) in sets for unit in units(data, size))


def unit_type(codec: str, unit: bytes) -> int:
    """Return the type of a unit."""
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def length_size(codec: str, extradata: bytes) -> int:
    """Return how many bytes state the length of a unit; 0 where start codes divide them."""
    if len(extradata) < 7 or extradata[:3] == b"\0\0\1" or extradata[:4] == _START_CODE:
        return 0
    return (
        extradata[4] if codec == "h264" else extradata[21] if len(extradata) > 21 else 3
    ) % 4 + 1


def units(data: bytes, size_of_length: int) -> Iterator[bytes]:
    """Yield the units of a packet, none of them empty.

    Example: 00 00 00 02 67 42, with lengths of 4 bytes, is the unit 67 42.
    """
    if not size_of_length:
        yield from (unit for unit in _BETWEEN_UNITS.split(data) if unit)
        return
    at = 0
    while at + size_of_length < len(data):
        begin = at + size_of_length
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin < at:
            yield data[begin:at]


def parameter_sets(codec: str, extradata: bytes) -> list[bytes]:
    """Return the parameter sets that stand in the header of a container, in its order."""
    if not length_size(codec, extradata):
        sets = _H264_SETS if codec == "h264" else _HEVC_SETS
        return [u for u in units(extradata, 0) if unit_type(codec, u) in sets]
    return list(_of_avcc(extradata) if codec == "h264" else _of_hvcc(extradata))


def as_annex_b(sets: list[bytes]) -> bytes:
    """Return units one after the other, each after a start code."""
    return b"".join(_START_CODE + unit for unit in sets)


def free_id(sets: list[bytes]) -> int | None:
    """Return a number that no parameter set of H.264 bears, of 1 to 31; None if all are taken."""
    taken = {_id_of(unit) for unit in sets}
    return next((number for number in range(31, 0, -1) if number not in taken), None)


def _of_avcc(extradata: bytes) -> Iterator[bytes]:
    """Read ISO/IEC 14496-15, 5.3.3.1: counted sequence sets, counted picture sets."""
    at = 5
    for mask in (0x1F, 0xFF):
        if at >= len(extradata):
            return
        count, at = extradata[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield extradata[at + 2 : at + 2 + size]
            at += 2 + size


def _of_hvcc(extradata: bytes) -> Iterator[bytes]:
    """Read ISO/IEC 14496-15, 8.3.3.1: arrays of units."""
    at = 23
    for _ in range(extradata[22]):
        count, at = int.from_bytes(extradata[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield extradata[at + 2 : at + 2 + size]
            at += 2 + size


def _id_of(unit: bytes) -> int:
    """Read the number of a sequence or picture parameter set of H.264: an Exp-Golomb code."""
    bits = int.from_bytes((unit[4:10] if unit[0] & 0x1F == 7 else unit[1:7]).ljust(6, b"\0"), "big")
    code = f"{bits:048b}"
    zeros = code.index("1") if "1" in code else 0
    return int(code[zeros : 2 * zeros + 1], 2) - 1
