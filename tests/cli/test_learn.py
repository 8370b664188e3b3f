"""`train`, `evaluate`, `classify` as a user types them."""

import csv
import json
import shutil

import pytest

from soravec.data.orders import write_orders
from soravec.runtime.folder import find_model

from .test_cli import json_lines, soravec

FAST = ("--set", "data.fps=4", "--set", "loop.epochs=2", "--cache", "features")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with labelled clips of two classes, each with a split."""
    folder = tmp_path_factory.mktemp("learn")
    with write_orders(folder, num_videos=40, num_frames=40).open() as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("part", "meet")]
    for number, row in enumerate(rows):
        row["split"] = ("train", "train", "validation", "test")[number // 2]
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "split"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def run(place):
    return soravec("train", "clips.csv", "-o", "run", *FAST, "--json", cwd=place)


def test_train_prints_its_figures_and_leaves_a_report(run, place):
    (facts,) = json_lines(run)
    assert facts["skipped"] == 0
    assert 0 <= facts["validation"]["accuracy"] <= 1
    report = json.loads((place / "run" / "report" / "report.json").read_text())
    assert report == facts["test"]
    page = (place / "run" / "report" / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'src="http' not in page


def test_evaluate_says_the_same_as_the_report(run, place):
    (facts,) = json_lines(run)
    done = soravec(
        "evaluate", "run/model", "clips.csv", "-o", "again", "--cache", "features", "--json",
        cwd=place,
    )  # fmt: skip
    (again,) = json_lines(done)
    assert again["rows"] == facts["test"]["rows"]


def test_classify_prints_labels_per_video_and_segment(run, place):
    videos = sorted(place.glob("videos/*.mp4"))[:2]
    (place / "bad.mp4").write_bytes(b"no")
    done = soravec(
        "classify", *videos, "bad.mp4", "--model", "run/model", "--json", "--per", "segment",
        cwd=place,
    )  # fmt: skip
    *good, bad = json_lines(done)
    assert {line["path"] for line in good} == set(map(str, videos))
    for line in good:
        assert line["label"] == line["labels"][0]["label"]
        assert sum(one["score"] for one in line["labels"]) == pytest.approx(1, abs=1e-4)
    assert bad["error"]["type"] == "UnreadableVideo"
    text = soravec("classify", videos[0], "--model", "run/model", "-k", "1", cwd=place).stdout
    assert text.count("\n") == 1
    soravec("classify", "bad.mp4", "--model", "run/model", cwd=place, code=1)
    soravec("classify", videos[0], "bad.mp4", "--model", "run/model", "--strict", cwd=place, code=1)


def test_a_model_without_a_head_says_what_to_do(place, tmp_path):
    shutil.copytree(find_model("sora-mini").path, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare/heads")
    done = soravec("classify", "videos/00000.mp4", "--model", tmp_path / "bare", cwd=place, code=1)
    assert "soravec train" in done.stderr


def test_an_estimate_stops_before_anything_starts(place):
    done = soravec("train", "clips.csv", "-o", "none", *FAST, "--estimate", "--json", cwd=place)
    (facts,) = json_lines(done)
    assert facts["num_videos"] == 8
    assert not (place / "none").exists()


def test_what_learns_without_labels_is_measured_with_them(place):
    settings = ("--set", "objective.supervised=0", "--set", "objective.contrast=1")
    done = soravec("train", "clips.csv", "-o", "blind", *FAST, *settings, "--json", cwd=place)
    (facts,) = json_lines(done)
    assert facts["test"]["rows"]


@pytest.mark.slow
def test_a_comparison_prints_a_table(place):
    done = soravec(
        "train", "clips.csv", "-o", "compared", *FAST, "--compare", "--no-robustness", cwd=place
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "2 validation clips, 4 frames/s"
    assert lines[2].split() == ["chance", "0.500"]
    assert len([line for line in lines if line.startswith("* ")]) == 1
    for name in ("mean", "statistics", "gru", "transformer"):
        assert any(line[2:].startswith(name) for line in lines)
    soravec("train", "clips.csv", "-o", "x", "--compare", "--resume", cwd=place, code=2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("clips.csv", "--set", "loop.epoch=3"), "did you mean 'epochs'"),
        (("none.csv",), "none.csv"),
        (("clips.csv", "--format", "ucf10"), "choose"),
        (("clips.csv", "--format", "ucf101"), "--videos"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_line(place, arguments, reason):
    done = soravec("train", *arguments, "-o", "no", cwd=place, code=1)
    assert reason in done.stderr
    assert done.stderr.count("\n") <= 2


def test_evaluate_leaves_out_what_is_too_large(run, place):
    done = soravec(
        "evaluate", "run/model", "clips.csv", "-o", "small", "--cache", "other",
        "--limit", "pixels=100", cwd=place, code=1,
    )  # fmt: skip
    assert "no clip of the split 'test' can be read" in done.stderr
