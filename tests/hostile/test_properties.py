"""Whatever a manifest, a config, a model folder or a query says: an answer or an error of ours."""

import json
import shutil
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soravec import Filter, Library
from soravec.data.manifest import read_manifest
from soravec.errors import ManifestError, ModelError, SoravecError
from soravec.runtime.config import read_config
from soravec.runtime.external import check_external
from soravec.runtime.folder import bundled_models, file_sha256, open_folder
from soravec.runtime.heads import read_head
from soravec.training.config import read_train_config

from .conftest import IS_LONG

EXAMPLES = 20_000 if IS_LONG else 200
"""Of each of the five: 10^5 together, 10^3 in the short form."""

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=20,
)
CELL = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["clip.mp4", "../x", "", "a;b", "train", "test", "nan", "-1", "1e999", "0"]),
    st.integers().map(str),
)
COLUMNS = ("path", "label", "labels", "target", "split", "group", "start_seconds", "end_seconds")


def tables():
    """Manifests, nearly right and not at all, in each of the formats of text."""
    rows = st.lists(st.dictionaries(st.sampled_from([*COLUMNS, "more"]), CELL | JSON), max_size=8)
    lines = rows.map(lambda found: "\n".join(json.dumps(row) for row in found).encode())
    separated = st.lists(st.lists(CELL, max_size=8), max_size=8).map(
        lambda found: "\n".join([",".join(COLUMNS), *map(",".join, found)]).encode(
            "utf-8", "surrogatepass"
        )
    )
    name, word = st.sampled_from(["clip.mp4", "./clip.mp4", "none.mp4"]), st.text("ab;\u4e2d")
    sound = st.lists(st.tuples(name, word), min_size=1, max_size=8).map(
        lambda found: "\n".join(["path,label", *map(",".join, found)]).encode()
    )
    return st.tuples(
        st.sampled_from([".csv", ".jsonl", ".parquet"]), st.binary() | lines | separated | sound
    )


@pytest.mark.hostile("properties: manifests")
def test_any_manifest_is_read_or_refused(tmp_path, figures):
    (tmp_path / "clip.mp4").touch()

    @many
    @given(tables())
    def holds(table):
        suffix, content = table
        path = tmp_path / f"manifest{suffix}"
        path.write_bytes(content)
        try:
            read_manifest(path, allow_missing=True)
            figures.note("read")
        except ManifestError:
            figures.note("refused")
        figures.count()

    holds()
    assert len(figures.facts) == 2, "all are read, or all refused: too little is tried"


@pytest.mark.hostile("properties: configs")
def test_any_config_is_read_or_refused(tmp_path, figures):
    sound = json.loads((bundled_models()["sora-mini"] / "config.json").read_text())
    places = [(key,) for key in sound] + [
        (key, inner) for key in sound if isinstance(sound[key], dict) for inner in sound[key]
    ]

    def changed(change):
        place, value = change
        config = json.loads(json.dumps(sound))
        target = config
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = value
        return json.dumps(config).encode()

    texts = (
        st.binary()
        | JSON.map(lambda value: json.dumps(value).encode())
        | st.tuples(st.sampled_from(places), JSON).map(changed)
        | st.sampled_from([b"[" * 40_000, b'{"a":' * 9_000, b"- " * 9_000, b"&a [*a]"])
    )

    @many
    @given(texts, st.booleans())
    def holds(text, is_model):
        path = tmp_path / ("config.json" if is_model else "config.yaml")
        path.write_bytes(text)
        try:
            read_config(path) if is_model else read_train_config(path)
            figures.note("read")
        except SoravecError:
            figures.note("refused")
        figures.count()

    holds()
    assert len(figures.facts) == 2, "all are read, or all refused: too little is tried"


@pytest.mark.hostile("properties: model folders")
def test_any_model_folder_is_opened_or_refused(tmp_path, figures):
    folder = tmp_path / "model"
    shutil.copytree(bundled_models()["sora-mini"], folder)
    config = json.loads((folder / "config.json").read_text())
    names = sorted(config["files"])
    sound = {name: (folder / name).read_bytes() for name in names}

    @many
    @given(st.sampled_from(names), st.lists(st.tuples(st.integers(0), st.binary(max_size=16))))
    def holds(name, changes):
        """Its sums agree, so that nothing but what is read tells."""
        data = bytearray(sound[name])
        for place, content in changes:
            at = place % min(len(data), 4096)
            data[at : at + len(content)] = content
        (folder / name).write_bytes(data)
        config["files"][name] = file_sha256(folder / name)
        (folder / "config.json").write_text(json.dumps(config))
        try:
            open_folder(folder)
            if name.startswith("heads/"):
                read_head(folder, None)
            figures.note("opened")
        except (ModelError, SoravecError):
            figures.note("refused")
        finally:
            (folder / name).write_bytes(sound[name])
        figures.count()

    holds()
    assert len(figures.facts) == 2, "all are read, or all refused: too little is tried"


@pytest.mark.hostile("properties: ONNX and safetensors")
def test_no_weights_allocate_what_they_do_not_hold(tmp_path, figures):
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    @many
    @given(st.integers(0, 2**64 - 1), st.binary(max_size=200), JSON, st.booleans())
    def holds(size, tail, header, is_onnx):
        path = tmp_path / ("x.onnx" if is_onnx else "x.safetensors")
        text = json.dumps({"a": header}).encode()
        path.write_bytes(tail if is_onnx else struct.pack("<Q", size % 2**32) + text + tail)
        try:
            check_external(path, frozenset()) if is_onnx else load_file(path)
            figures.note("read")
        except (ModelError, SafetensorError):
            figures.note("refused")
        figures.count()

    holds()
    assert len(figures.facts) == 2, "all are read, or all refused: too little is tried"
    lie = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    text = json.dumps(lie).encode()
    (tmp_path / "lie.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    with pytest.raises(SafetensorError):
        load_file(tmp_path / "lie.safetensors")


@pytest.mark.hostile("properties: queries")
def test_any_query_is_answered_or_refused(tmp_path, videos, figures):
    with Library(tmp_path / "x.library") as library:
        library.add([videos / "0.mp4", videos / "1.mp4"], progress=False)
        filters = st.builds(
            Filter,
            path=st.none() | st.text(max_size=20),
            label=st.none() | st.text(max_size=20),
            min_seconds=st.none() | st.floats(),
            max_seconds=st.none() | st.floats(),
            after=st.none() | st.text(max_size=12) | st.dates().map(str),
            before=st.none() | st.text(max_size=12) | st.dates().map(str),
        )

        @many
        @given(
            st.text(max_size=60) | st.text("\"*-+^():% \\'ANDORNOT", max_size=20),
            filters,
            st.integers(-1, 50),
            st.sampled_from(["text", "like"]),
        )
        def holds(text, where, k, way):
            try:
                hits = library.search(**{way: text}, where=where, k=k)
                assert len(hits) <= k
                assert all(np.isfinite(hit.score) for hit in hits)
                figures.note("answered")
            except SoravecError:
                figures.note("refused")
            figures.count()

        holds()
        assert len(figures.facts) == 2, "all are answered, or all refused: too little is tried"
        assert library.verify() == []
