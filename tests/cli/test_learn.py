"""`train`, `evaluate`, `classify` as a user types them."""

import csv
import json
import shutil

import pytest

from soravec.data.orders import write_orders
from soravec.runtime.folder import find_model
from tests.library.conftest import write_scenes

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


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Videos in which one place is seen for a while, and a model that learned when."""
    folder = tmp_path_factory.mktemp("watch")
    rows = ["path,label,split,start,end"]
    for number, split in enumerate(("train", "train", "train", "validation", "test")):
        scenes = [(2 + number % 2, 3.0), (0, 3.0), (5, 3.0)]
        write_scenes(folder / f"{number}.mp4", scenes, seed=number)
        rows.append(f"{number}.mp4,place,{split},3,6")
    (folder / "spans.csv").write_text("\n".join(rows) + "\n")
    fast = ("--set", "loop.epochs=25", "--set", "events.stretch_seconds=9")
    fast += ("--set", "events.batch_stretches=1", "--cache", "features")
    run = soravec("train", "spans.csv", "--events", "-o", "run", *fast, "--json", cwd=folder)
    return folder, json_lines(run)[0]


def test_train_events_reports_temporal_map(watched):
    folder, facts = watched
    assert set(facts["test"]["temporal_map"]) == {"0.3", "0.5", "0.7"}
    assert facts["test"]["events"] == {"place": 1}
    assert facts["test"]["running"]
    done = soravec(
        "evaluate", "run/model", "spans.csv", "--events", "-o", "again", "--cache", "features",
        "--json", cwd=folder,
    )  # fmt: skip
    (again,) = json_lines(done)
    assert again["temporal_map"] == facts["test"]["temporal_map"]
    assert json.loads((folder / "again/report.json").read_text()) == again
    page = (folder / "again/report.html").read_text()
    assert page.count("<svg") == 1
    assert "temporal mAP" in page


def test_events_of_files_and_of_a_library(watched):
    folder, _ = watched
    (folder / "bad.mp4").write_bytes(b"no")
    done = soravec(
        "events", "4.mp4", "bad.mp4", "--model", "run/model", "--threshold", "0.3", "--json",
        "--page", "events.html", cwd=folder,
    )  # fmt: skip
    *found, bad = json_lines(done)
    assert bad["error"]["type"] == "UnreadableVideo"
    assert found
    best = max(found, key=lambda event: event["score"])
    assert set(best) == {"path", "start_seconds", "end_seconds", "label", "score"}
    assert best["label"] == "place"
    assert min(best["end_seconds"], 6) - max(best["start_seconds"], 3) > 1.5
    assert "<img" in (folder / "events.html").read_text()
    soravec("events", "bad.mp4", "--model", "run/model", cwd=folder, code=1)
    soravec("index", "4.mp4", "3.mp4", "--library", "l.library", cwd=folder)
    again = soravec("events", "--model", "run/model", "--library", "l.library", cwd=folder).stdout
    assert "place" in again
    soravec("teach", "place", "--yes", "3.mp4@3-6", "--library", "l.library", cwd=folder)
    text = soravec("events", "--library", "l.library", "--window", "2", cwd=folder).stdout
    assert "place" in text
    soravec("events", "--model", "run/model", cwd=folder, code=2)
    soravec("events", "4.mp4", cwd=folder, code=2)
