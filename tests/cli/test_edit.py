import csv

import pytest
import typer

from soravec.cli.edit import seconds_of, size_of
from soravec.video import EveryFrame, VideoReader

from ..conftest import number_of, write_numbered
from .test_cli import json_lines, soravec


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp("edit") / "a.mp4", 75, keyframe_seconds=0.8)


def numbers_of(path):
    with VideoReader(path) as reader:
        return [number_of(i) for frames in reader.read(EveryFrame()) for i in frames.images]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("83.5", 83.5), ("1:23.5", 83.5), ("1:02:05.25", 3725.25), (".5", 0.5), ("0", 0.0)],
)
def test_times(text, seconds):
    assert seconds_of(text, "--start") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "1:2:3:4", "1e3", "nan", "1:"])
def test_what_is_no_time(text):
    with pytest.raises(typer.BadParameter, match="--start"):
        seconds_of(text, "--start")


def test_sizes():
    assert size_of("640x360") == (360, 640)
    with pytest.raises(typer.BadParameter):
        size_of("640")


def test_cut_and_its_json(video, tmp_path):
    out = tmp_path / "out.mp4"
    (line,) = json_lines(
        soravec("cut", video, "--start", "0:00.5", "--end", "2", "-o", out, "--json")
    )
    assert numbers_of(out) == list(range(12, 50))
    assert (line["path"], line["num_frames"], line["audio"]) == (str(out), 38, "none")
    assert line["num_copied"] + line["num_encoded"] == 38
    assert line["num_copied"] > 20


def test_what_is_there_is_kept_without_force(video, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    done = soravec("cut", video, "-o", out, code=1)
    assert "--force" in done.stderr
    assert out.read_bytes() == b"precious"
    assert "75 frames, 75 copied, 0 encoded" in soravec("cut", video, "-o", out, "--force").stdout


def test_exit_codes(video, tmp_path):
    soravec("cut", video, code=2)
    soravec("cut", video, "--start", "soon", "-o", tmp_path / "out.mp4", code=2)
    soravec("cut", video, "--size", "big", "-o", tmp_path / "out.mp4", code=2)
    soravec("cut", tmp_path / "none.mp4", "-o", tmp_path / "out.mp4", code=1)
    soravec("frames", video, "--format", "gif", "-o", tmp_path / "out", code=2)
    assert list(tmp_path.iterdir()) == []


def test_concat_with_spans(video, tmp_path):
    out = tmp_path / "out.mp4"
    soravec("concat", f"{video}@1-0:02", video, f"{video}@2.8-", "-o", out)
    assert numbers_of(out) == [*range(25, 50), *range(75), *range(70, 75)]


def test_frames_and_back(video, tmp_path):
    folder = tmp_path / "frames"
    done = soravec("frames", video, "--rate", 5, "--end", 2, "--format", "png", "-o", folder)
    assert "10 pictures, 160x96" in done.stdout
    with (folder / "frames.csv").open() as file:
        assert [float(row["seconds"]) for row in csv.DictReader(file)][:2] == [0.0, 0.2]
    soravec("frames-to-video", folder, "--fps", 10, "-o", tmp_path / "out.webm")
    assert numbers_of(tmp_path / "out.webm") == list(range(0, 50, 5))
