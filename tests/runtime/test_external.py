"""An ONNX file that would have other files read is refused, however that is written."""

import pytest

from soravec.errors import ModelError
from soravec.runtime.external import check_external
from soravec.runtime.folder import bundled_models


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, body, *, tag=None):
    return varint(number << 3 | 2 if tag is None else tag) + varint(len(body)) + body


def entry(key, value):
    return field(1, key) + field(2, value)


def model(tensor, way):
    """Put a tensor where a model may hold one."""
    attribute = {"t": field(5, tensor), "tensors": field(10, tensor)}
    node = field(5, attribute.get(way, b""))
    graph = {
        "initializer": field(5, tensor),
        "sparse": field(15, field(1, tensor)),
        "subgraph": field(1, field(5, field(6, field(5, tensor)))),
    }.get(way, field(1, node))
    if way == "function":
        return field(25, field(7, field(5, field(5, tensor))))
    if way == "training":
        return field(20, field(1, field(5, tensor)))
    return field(7, graph)


NAMES = ("weights.bin", "../x", "/etc/passwd", "C:\\x", "*/_ORT_MEM_ADDR_/*")
WAYS = ("initializer", "sparse", "subgraph", "t", "tensors", "function", "training")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_listed_is_not_read(tmp_path, way, name):
    path = tmp_path / "x.onnx"
    path.write_bytes(model(field(13, entry(b"location", name.encode())), way))
    with pytest.raises(ModelError, match="Refused"):
        check_external(path, frozenset(["cnn.onnx", "*/_ORT_MEM_ADDR_/*"]))


def test_a_file_that_is_listed_may_be_read(tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(model(field(13, entry(b"location", b"weights.bin")), "initializer"))
    check_external(path, frozenset(["weights.bin"]))


def test_the_order_of_key_and_value_makes_no_difference(tmp_path):
    path = tmp_path / "x.onnx"
    swapped = field(2, b"weights.bin") + field(1, b"location")
    path.write_bytes(model(field(13, swapped), "initializer"))
    with pytest.raises(ModelError, match="Refused"):
        check_external(path, frozenset())


@pytest.mark.parametrize("tag", [13 << 3 | 2 | 1 << 32, 2, 13 << 3 | 2 | 1 << 62])
def test_a_tag_that_others_would_cut_short_is_refused(tmp_path, tag):
    path = tmp_path / "x.onnx"
    tensor = field(13, entry(b"location", b"weights.bin"), tag=tag)
    path.write_bytes(model(tensor, "initializer"))
    with pytest.raises(ModelError, match="no ONNX file"):
        check_external(path, frozenset())


def test_models_without_other_files_are_read():
    for path in bundled_models()["sora-mini"].glob("*.onnx"):
        check_external(path, frozenset())
