import json
import shutil

import pytest

from soravec.errors import ModelError
from soravec.runtime.config import ModelConfig, from_dict, read_config, write_config
from soravec.runtime.folder import bundled_models, find_model, open_folder


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(bundled_models()["sora-mini"], tmp_path / "model")


def edit(folder, **changes):
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, **changes}))


def test_the_bundled_model_is_found_by_name_and_is_small():
    folder = find_model("sora-mini")
    assert folder.config.name == "sora-mini"
    assert folder.size_bytes <= 12e6
    assert folder.config.feature_id
    assert folder.config.space_id


def test_a_config_survives_being_written(tmp_path):
    config = find_model("sora-mini").config
    write_config(config, tmp_path / "config.json")
    assert read_config(tmp_path / "config.json") == config


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(ModelError, match=r"no-such-model: no such model. Bundled: sora-mini"):
        find_model("no-such-model")


def test_a_folder_around_a_model_says_where_the_model_is(copy):
    with pytest.raises(ModelError, match=f"Did you mean {copy}?"):
        find_model(copy.parent)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"there is no config.json in it.$"):
        find_model(tmp_path)


def test_an_unknown_key_names_the_nearest(copy):
    edit(copy, sampllng={"fps": 3})
    with pytest.raises(ModelError, match="unknown key 'sampllng'; did you mean 'sampling'"):
        open_folder(copy)


def test_a_nested_unknown_key_is_found_too():
    with pytest.raises(ModelError, match=r"here: sampling: unknown key 'pfs'; did you mean 'fps'"):
        from_dict(ModelConfig, {"name": "x", "sampling": {"pfs": 3}}, where="here")


def test_a_missing_key_is_named():
    with pytest.raises(ModelError, match="cnn"):
        from_dict(ModelConfig, {"name": "x"}, where="here")


def test_another_format_version_is_refused(copy):
    edit(copy, format_version=99)
    with pytest.raises(ModelError, match="format version 99, but this Soravec reads 1"):
        open_folder(copy)


@pytest.mark.parametrize("name", ["cnn.onnx", "temporal.onnx", "model.safetensors"])
def test_a_damaged_file_is_noticed(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(ModelError, match=rf"{name}: missing, damaged or edited"):
        open_folder(copy)


def test_a_file_outside_the_folder_is_refused(copy):
    files = json.loads((copy / "config.json").read_text())["files"]
    edit(copy, files={**files, "../secret": "0" * 64})
    with pytest.raises(ModelError, match="outside the folder"):
        open_folder(copy)


def test_a_hub_id_is_read_from_the_hubs_own_cache(copy, tmp_path, monkeypatch):
    """The folder layout of the hub's cache, filled by hand: no network is touched."""
    hub = pytest.importorskip("huggingface_hub")
    repo = tmp_path / "hub" / "models--someone--sora-copy"
    shutil.copytree(copy, repo / "snapshots" / "abc123")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc123")
    real = hub.snapshot_download

    def from_this_cache(repo_id, **options):
        return real(repo_id, cache_dir=tmp_path / "hub", local_files_only=True, **options)

    monkeypatch.setattr(hub, "snapshot_download", from_this_cache)
    assert find_model("someone/sora-copy").config.name == "sora-mini"
    with pytest.raises(ModelError, match="someone/other: cannot be fetched from the hub"):
        find_model("someone/other")
