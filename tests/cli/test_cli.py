import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from soravec import Library
from tests.library.conftest import write_scenes


def soravec(*arguments, cwd=None, code=0, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "soravec", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", **environment},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def json_lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_scenes(folder / "a.mp4", [(0, 3.0), (4, 3.0)])
    write_scenes(folder / "b.webm", [(8, 3.0)], seed=5, codec="vp9")
    (folder / "bad.mp4").write_bytes(b"not a video at all" * 99)
    return folder


@pytest.fixture(scope="module")
def library(videos):
    path = videos / "l.library"
    done = soravec("index", videos, "--library", path, "--json")
    assert json_lines(done)[-1] == {"indexed": 2, "unchanged": 0, "failed": 1, "segments": 3}
    return path


def test_help_names_every_command_in_the_order_of_the_data_flow():
    text = soravec("--help").stdout
    names = ["demo", "doctor", "probe", "embed", "index", "search", "models", "library"]
    places = [text.index(f"│ {name} ") for name in names]
    assert places == sorted(places)


def test_version():
    assert soravec("--version").stdout.strip() == "0.1.0"


def test_index_json_lists_every_file_that_failed(videos, library):
    lines = json_lines(soravec("index", videos, "--library", library, "--json"))
    assert lines[-1] == {"indexed": 0, "unchanged": 2, "failed": 1, "segments": 0}
    (line,) = [line for line in lines if "error" in line]
    assert line["path"].endswith("bad.mp4")
    assert line["error"]["type"] == "UnreadableVideo"
    assert "bad.mp4" in line["error"]["message"]


def test_exit_codes_of_index(videos, library, tmp_path):
    soravec("index", videos, "--library", library, "--strict", code=1)
    soravec("index", videos / "bad.mp4", "--library", tmp_path / "x.library", code=1)
    soravec("index", tmp_path / "nowhere", "--library", tmp_path / "y.library", code=1)
    soravec("index", code=2)
    soravec("index", videos, "--sampling", "often", "--library", library, code=2)


def test_search_json_has_the_fields_of_the_contract(videos, library):
    hits = json_lines(
        soravec("search", "--video", videos / "a.mp4", "--library", library, "--json", "-k", 2)
    )
    assert len(hits) == 2
    assert hits[0]["path"] == str(videos / "a.mp4")
    fields = {"path", "start_seconds", "end_seconds", "score", "video_id", "segment_id"}
    assert fields <= hits[0].keys()
    assert hits[0]["start_seconds"] == 0
    assert hits[0]["end_seconds"] == pytest.approx(6, abs=0.1)
    assert hits[0]["score"] == pytest.approx(1, abs=1e-3)


def test_search_by_span_words_and_segment(videos, library):
    ask = ("search", "--library", library, "--json")
    span = json_lines(soravec(*ask, "--video", videos / "a.mp4", "--start", 3, "--end", 6, "-k", 1))
    assert span[0]["start_seconds"] == pytest.approx(3, abs=0.1)
    assert json_lines(soravec(*ask, "b.webm"))[0]["path"] == str(videos / "b.webm")
    like = json_lines(soravec(*ask, "--like", span[0]["segment_id"]))
    assert span[0]["segment_id"] not in [hit["segment_id"] for hit in like]
    plain = soravec("search", "b.webm", "--library", library).stdout
    assert str(videos / "b.webm") in plain
    assert soravec(*ask, "no-such-word").stdout == ""


def test_the_library_comes_from_the_environment(library):
    assert soravec("search", "a.mp4", SORAVEC_LIBRARY=str(library)).stdout


def test_wrong_usage_of_search(videos, library):
    soravec("search", "--library", library, code=2)
    soravec("search", "x", "--video", videos / "a.mp4", "--library", library, code=2)
    soravec("search", "x", "--start", 3, "--library", library, code=2)
    done = soravec("search", "x", cwd=videos, code=1)
    assert done.stderr.count("\n") == 1
    assert "soravec index VIDEOS" in done.stderr


def test_an_error_is_one_line_and_debug_shows_the_traceback(tmp_path):
    done = soravec("search", "x", "--library", tmp_path, code=1)
    assert len(done.stderr.splitlines()) == 1
    command = [sys.executable, "-m", "soravec", "--debug", "search", "x", "--library", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("per", ["video", "segment", "frame"])
def test_embed_writes_npz(videos, tmp_path, per):
    out = tmp_path / "v.npz"
    soravec("embed", videos / "a.mp4", videos / "b.webm", "-o", out, "--per", per)
    data = np.load(out)
    count = {"video": 2, "segment": 3, "frame": 18}[per]
    dim = 1152 if per == "frame" else 384
    assert data["vectors"].shape == (count, dim)
    assert data["vectors"].dtype == np.float32
    assert data["paths"].shape == data["start_seconds"].shape == data["end_seconds"].shape
    assert data["start_seconds"].dtype == np.float64
    assert set(data["paths"]) == {str(videos / "a.mp4"), str(videos / "b.webm")}
    assert (data["end_seconds"] > data["start_seconds"]).all()
    if per != "frame":
        np.testing.assert_allclose(np.linalg.norm(data["vectors"], axis=1), 1, atol=1e-5)


def test_embed_writes_parquet_and_json_lines_alike(videos, tmp_path):
    from pyarrow import parquet

    soravec("embed", videos / "a.mp4", "-o", tmp_path / "v.parquet")
    soravec("embed", videos / "a.mp4", "-o", tmp_path / "v.jsonl")
    table = parquet.read_table(tmp_path / "v.parquet")
    rows = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(
        np.stack(table["vector"].to_pylist()), [row["vector"] for row in rows], atol=1e-5
    )
    assert table.schema.metadata[b"space_id"]
    printed = json_lines(soravec("embed", videos / "a.mp4"))
    assert printed == rows


def test_embed_goes_on_after_a_bad_file(videos, tmp_path):
    paths = [videos / "bad.mp4", videos / "b.webm", tmp_path / "missing.mp4"]
    done = soravec("embed", *paths, "-o", tmp_path / "v.npz", "--json")
    kinds = {line["path"]: line["error"]["type"] for line in json_lines(done)}
    assert kinds == {str(paths[0]): "UnreadableVideo", str(paths[2]): "MissingVideo"}
    assert set(np.load(tmp_path / "v.npz")["paths"]) == {str(paths[1])}
    soravec("embed", *paths, "-o", tmp_path / "w.npz", "--strict", code=1)
    soravec("embed", videos / "bad.mp4", "-o", tmp_path / "x.npz", code=1)
    assert not (tmp_path / "x.npz").exists()
    soravec("embed", videos / "a.mp4", "-o", tmp_path / "v.csv", code=2)
    soravec("embed", videos / "a.mp4", "-o", tmp_path / "no" / "v.npz", code=2)
    soravec("embed", videos / "a.mp4", "--per", "pixel", code=2)


def test_probe(videos):
    done = soravec("probe", videos / "a.mp4", videos / "bad.mp4", "--json")
    good, bad = json_lines(done)
    assert (good["codec"], good["width"], good["height"]) == ("h264", 160, 120)
    assert good["duration_seconds"] == pytest.approx(6)
    assert bad["error"]["type"] == "UnreadableVideo"
    soravec("probe", videos / "bad.mp4", code=1)
    assert "160x120" in soravec("probe", videos / "a.mp4").stdout


def test_models(tmp_path):
    (line,) = json_lines(soravec("models", "list", "--json"))
    assert line["name"] == "sora-mini"
    assert soravec("models", "show", "sora-mini").stdout.startswith("#")
    config = json_lines(soravec("models", "show", "sora-mini", "--json"))[0]
    assert config["space_id"] == line["space_id"]
    soravec("models", "show", "sora-maxi", code=1)


def test_library_commands(videos, tmp_path):
    path = tmp_path / "k.library"
    table = tmp_path / "words.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "caption"), (videos / "a.mp4", "红色沙漠")])
    soravec("index", videos, "--library", path, "--annotations", table)
    assert json_lines(soravec("search", "沙漠", "--library", path, "--json"))
    info = json_lines(soravec("library", "info", "--library", path, "--json"))[0]
    assert (info["videos"], info["segments"], info["failures"]) == (2, 3, 1)
    assert "bad.mp4" in soravec("library", "failures", "--library", path).stdout
    soravec("library", "annotate", table, "--library", path)
    soravec("library", "verify", "--library", path)
    with Library(path) as library:
        next((library.path / "features").rglob("*.safetensors")).unlink()
    assert soravec("library", "verify", "--library", path, code=1).stdout
    soravec("library", "repair", "--library", path)
    soravec("index", videos, "--library", path)
    soravec("library", "verify", "--library", path)
    soravec("library", "forget", videos / "a.mp4", "--library", path)
    assert soravec("search", "a.mp4", "--library", path).stdout == ""


def test_doctor():
    states = {line["name"]: line["state"] for line in json_lines(soravec("doctor", "--json"))}
    assert states["decoder"] == states["engine"] == states["model"] == states["catalogue"] == "ok"


@pytest.mark.slow
def test_the_demo_finds_what_it_has_to(tmp_path):
    done = soravec("demo", "--keep", tmp_path)
    assert "all 3 searches found what they had to" in done.stdout
    assert "soravec index" in done.stdout
    assert "1 skipped" in done.stdout


def test_the_core_commands_need_no_torch(videos, tmp_path):
    code = (
        "import sys\n"
        "for name in ('torch', 'timm', 'onnx', 'sklearn', 'scipy'): sys.modules[name] = None\n"
        "from soravec.cli import main\n"
        f"sys.argv = ['soravec', 'index', {str(videos)!r}, '--library', {str(tmp_path)!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code = code.replace("'index'", "'models', 'build', '--cnn', 'timm/resnet18', '-o'", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_every_command_that_reads_video_can_be_limited(videos, library, tmp_path):
    file, out = videos / "a.mp4", tmp_path / "out.mp4"
    frames = tmp_path / "frames"
    soravec("frames", file, "-o", frames, "--rate", "1")
    for arguments in (
        ["probe", file],
        ["embed", file],
        ["index", file, "--library", tmp_path / "x.library"],
        ["search", "--video", file, "--library", library],
        ["search", "--image", next(frames.glob("*.jpg")), "--library", library],
        ["classify", file, "--model", "sora-mini"],
        ["cut", file, "-o", out],
        ["concat", file, file, "-o", out],
        ["frames", file, "-o", tmp_path / "more", "--rate", "1"],
        ["frames-to-video", frames, "-o", out],
    ):
        said = soravec(*arguments, "--limit", "pixels=100", code=1).stderr
        assert re.search("the limit is 100|more than 100 pixels", said), (arguments, said)
        assert "--limit pixels=NUMBER" in said, (arguments, said)
        assert not out.exists()
        soravec(*arguments, "--limit", "pixels=1e9", "--limit", "fps=30")
        out.unlink(missing_ok=True)
    assert "no limit 'size'" in soravec("probe", file, "--limit", "size=1", code=1).stderr
