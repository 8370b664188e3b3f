"""What of a video is worth watching."""

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import soravec
from soravec.cli import app
from soravec.cli.summarize import length_of
from soravec.errors import QueryError, SoravecError, UnreadableVideo
from soravec.tasks.pieces import find_pieces
from soravec.tasks.stored import read_features
from soravec.tasks.summary import summarize
from soravec.tasks.summary_files import (
    chapters,
    contact_sheet,
    summary_page,
    write_summary_video,
)
from soravec.types import Shots
from soravec.video import probe, read_image
from tests.library.conftest import write_scenes
from tests.tasks.conftest import drawn, images_of, slide, write_images

BLACK = np.zeros((120, 160, 3), np.uint8)
DESERT, BLACKNESS, CITY, AGAIN, SLIDE, FOREST = ((4 * k, 4 * k + 4) for k in range(6))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library of a video of six shots: three scenes, one of them twice, two dull."""
    folder = tmp_path_factory.mktemp("summary")
    desert = drawn(0, 4.0, 1)
    again = [np.clip(image[6:, 8:] * 1.15, 0, 255).astype(np.uint8) for image in desert]
    again = [cv2.resize(image, (160, 120)) for image in again]
    images = [*desert, *[BLACK] * 100, *drawn(4, 4.0, 2), *again, *[slide()] * 100]
    write_images(folder / "joined.mp4", [*images, *drawn(2, 4.0, 3)], crf=20)
    with soravec.Library(folder / "some.library") as library:
        library.add(folder / "joined.mp4", progress=False)
        yield library


@pytest.fixture(scope="module")
def video(library):
    return library.path.parent / "joined.mp4"


@pytest.fixture(scope="module")
def read(library, video):
    return read_features(video, library)


@pytest.fixture(scope="module")
def found(read):
    return summarize(read.features, read.encoder, seconds=6.0)


def shown(found, span):
    """How many seconds of a span are shown."""
    return sum(
        max(0.0, min(span[1], one.end_seconds) - max(span[0], one.start_seconds))
        for one in found.spans
    )


def test_every_scene_is_shown_once_and_nothing_dull(read, found):
    assert read.is_stored
    assert found.seconds == pytest.approx(6.0, abs=1e-6)
    assert min(shown(found, CITY), shown(found, FOREST)) >= 1.5
    assert sorted([shown(found, DESERT), shown(found, AGAIN)]) == [0.0, pytest.approx(2.0, abs=0.1)]
    assert shown(found, BLACKNESS) == shown(found, SLIDE) == 0
    assert [s.start_seconds for s in found.spans] == sorted(s.start_seconds for s in found.spans)
    assert all(s.quality > 0.3 and 0 <= s.novelty <= 1 for s in found.spans)
    desert = max(found.spans, key=lambda span: span.representative)
    assert desert.start_seconds < 4 or 12 <= desert.start_seconds < 16  # it is on twice as long
    assert "stands for 8 s" in desert.why
    assert found.dull_seconds == pytest.approx(8, abs=1.1)


def test_a_length_beyond_the_video_shows_all_but_repeats_and_what_is_dull(read):
    found = summarize(read.features, read.encoder, seconds=1000.0)
    assert 10.5 <= found.seconds <= 12.1
    assert min(shown(found, DESERT), shown(found, AGAIN)) == 0
    assert shown(found, BLACKNESS) == shown(found, SLIDE) == 0
    assert "all there is to show" in found.notes[-1]


@pytest.mark.parametrize("seconds", [0.04, 0.7, 1.0, 2.0, 3.1])
def test_a_summary_is_never_longer_than_asked(read, seconds):
    found = summarize(read.features, read.encoder, seconds=seconds)
    assert found.seconds == pytest.approx(seconds, abs=1e-6)
    assert len(found.spans) == max(1, int(seconds / 1.5))


def test_fewer_and_longer_spans_can_be_asked_for(read):
    found = summarize(read.features, read.encoder, seconds=6.0, least_seconds=3.0)
    assert [span.seconds for span in found.spans] == pytest.approx([3.0, 3.0])


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_length_that_is_none_is_refused(read, seconds):
    with pytest.raises(QueryError, match="longer than 0"):
        summarize(read.features, read.encoder, seconds=seconds)


@pytest.mark.parametrize(
    ("images", "least", "most"),
    [
        ([BLACK] * 50, 0.1, 2.01),
        (drawn(4, 0.04, 1), 0.03, 0.05),
        (drawn(4, 0.4, 1), 0.3, 0.41),
        (drawn(2, 9.0, 1), 8.9, 9.01),
        ([slide()] * 50, 0.1, 2.01),
    ],
    ids=["black", "one frame", "short", "one shot", "still"],
)
def test_any_video_has_a_summary(read, tmp_path, images, least, most):
    features = read.encoder.read(write_images(tmp_path / "a.mp4", images))
    found = summarize(features, read.encoder, seconds=600.0)
    assert least <= found.seconds <= most
    assert summarize(features, read.encoder).spans


def test_a_night_is_no_reason_to_show_nothing(read, tmp_path):
    dark = [(image * 0.12).astype(np.uint8) for image in [*drawn(0, 4.0, 1), *drawn(4, 4.0, 2)]]
    night = read.encoder.read(write_images(tmp_path / "night.mp4", dark, crf=16))
    found = summarize(night, read.encoder, seconds=3.0)
    assert min(shown(found, (0, 4)), shown(found, (4, 8))) >= 1.4
    assert "most of the video is dark" in found.notes[0]


def test_short_shots_are_shown_where_there_is_little_else():
    """Shots of four frames, five per second, and one of eight."""

    def shown_of(num_short):
        shots = np.append(np.repeat(np.arange(num_short), 4), [num_short] * 8)
        edges = np.arange(len(shots) + 1) / 5
        cuts, quality = np.zeros(len(shots) - 1, bool), np.ones(len(shots), np.float32)
        spans = np.stack([edges[:-1], edges[1:]], axis=1)
        return find_pieces(spans, shots, cuts, quality, ())

    assert [piece.seconds for piece in shown_of(1)] == pytest.approx([1.6])
    assert [piece.seconds for piece in shown_of(9)] == pytest.approx([0.8] * 9 + [1.6])


def test_features_without_sketches_are_summarised_and_said_to_be_old(read):
    old = replace(read.features, sketches=None, sharpness=None)
    found = summarize(old, read.encoder, seconds=6.0)
    assert found.seconds == pytest.approx(6.0, abs=1e-6)
    assert min(shown(found, DESERT), shown(found, AGAIN)) == 0
    assert "older Soravec" in found.notes[0]
    assert summarize(old, read.encoder, seconds=1000.0).seconds < 24


def test_cuts_that_were_missed_are_seen(read):
    bounds = read.features.shots.bounds
    blind = replace(read.features, shots=Shots(np.array([[bounds[0, 0], bounds[-1, 1]]])))
    found = summarize(blind, read.encoder, seconds=6.0)
    assert min(shown(found, CITY), shown(found, FOREST)) >= 1.4
    assert min(shown(found, DESERT), shown(found, AGAIN)) == 0


def test_a_file_that_changed_since_is_read_anew(library, tmp_path):
    copy = write_scenes(tmp_path / "copy.mp4", [(0, 1.0)])
    with soravec.Library(tmp_path / "other.library") as other:
        other.add(copy, progress=False)
        assert read_features(copy, other).is_stored
        write_scenes(copy, [(1, 2.0)])
        read = read_features(copy, other)
    assert not read.is_stored
    assert read.features.info.duration_seconds == pytest.approx(2.0)
    with pytest.raises(SoravecError, match="no such file"):
        read_features(tmp_path / "gone.mp4", library)


def test_the_sheet_shows_the_middles_row_by_row(found, video, tmp_path):
    (tmp_path / "sheet.png").write_bytes(contact_sheet(found))
    sheet = read_image(tmp_path / "sheet.png", size=(8 + 2 * 157, 8 + 2 * 188)).images[0]
    facts = probe(tmp_path / "sheet.png")
    assert (facts.height, facts.width) == (8 + 2 * 157, 8 + 2 * 188)
    for number, span in enumerate(found.spans):
        middle = (span.start_seconds + span.end_seconds) / 2
        (image, *_) = images_of(video, middle, middle + 0.1)
        row, column = divmod(number, 2)
        cell = sheet[8 + 157 * row :, 8 + 188 * column :][:135, :180]
        meant = cv2.resize(image, (180, 135), interpolation=cv2.INTER_LINEAR)
        assert np.abs(cell.astype(int) - meant).mean() < 4
    bar = sheet[8 + 135 + 5, 8 : 8 + 180]
    lit = np.flatnonzero((bar == (255, 190, 60)).all(axis=1)) / 180 * 24
    assert lit[0] == pytest.approx(found.spans[0].start_seconds, abs=0.2)


def test_chapters_are_read_by_ffmpeg_as_they_are_meant(found, tmp_path):
    (tmp_path / "chapters.vtt").write_text(chapters(found))
    with av.open(str(tmp_path / "chapters.vtt")) as file:
        assert file.format.name == "webvtt"
        packets = [p for p in file.demux() if p.dts is not None]
        times = [(float(p.pts * p.time_base), float(p.duration * p.time_base)) for p in packets]
    meant = [(span.start_seconds, span.seconds) for span in found.spans]
    assert np.abs(np.array(times) - meant).max() < 0.002
    assert b"stands for" in bytes(packets[0])


def test_the_video_holds_the_frames_of_the_spans(found, video, tmp_path):
    result = write_summary_video(found, tmp_path / "short.mp4")
    assert result.duration_seconds == pytest.approx(6.0, abs=0.1)
    images = images_of(tmp_path / "short.mp4")
    meant = [
        image for s in found.spans for image in images_of(video, s.start_seconds, s.end_seconds)
    ]
    assert abs(len(images) - len(meant)) <= len(found.spans)
    assert np.abs(images[0].astype(int) - meant[0]).mean() < 4
    with pytest.raises(QueryError):
        write_summary_video(found, video)


def test_the_page_shows_every_span_and_what_cannot_be_shown_says_so(found, tmp_path):
    page = summary_page(found)
    assert page.count("<img") == 6 * len(found.spans)
    assert "stands for" in page
    assert "http" not in page
    gone = replace(found, path=str(tmp_path / "gone.mp4"))
    for write in (contact_sheet, summary_page):
        with pytest.raises(UnreadableVideo, match="none of its pictures"):
            write(gone)


def test_the_command(library, video, tmp_path):
    files = {"--sheet": "a.png", "--page": "a.html", "--chapters": "a.vtt", "--video": "a.mp4"}
    given = [part for name, file in files.items() for part in (name, str(tmp_path / file))]
    place = ["--library", str(library.path)]
    run = CliRunner().invoke
    done = run(app, ["summarize", str(video), "--length", "6s", "--json", *given, *place])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 3
    assert sum(line["end_seconds"] - line["start_seconds"] for line in lines) == pytest.approx(6)
    keys = {"path", "start_seconds", "end_seconds", "representative", "novelty", "quality", "why"}
    assert set(lines[0]) == keys
    assert lines[0]["path"] == str(video)
    assert all((tmp_path / file).stat().st_size for file in files.values())
    assert probe(tmp_path / "a.mp4").duration_seconds == pytest.approx(6, abs=0.1)
    done = run(app, ["summarize", str(video), "--length", "25%", *place])
    assert len(done.stdout.splitlines()) == 3
    assert "6.0 of 24.0 s" in done.stderr
    for length in ("soon", "-5", ""):
        assert run(app, ["summarize", str(video), "--length", length, *place]).exit_code == 2
    assert isinstance(run(app, ["summarize", "gone.mp4", *place]).exception, SoravecError)
    missing = run(app, ["summarize", str(video), "--library", str(tmp_path / "no.library")])
    assert isinstance(missing.exception, SoravecError)


@pytest.mark.parametrize("option", ["--sheet", "--page", "--chapters", "--video"])
def test_the_video_itself_is_never_written_over(tmp_path, option):
    video = write_scenes(tmp_path / "a.mp4", [(0, 0.2)])
    before = video.read_bytes()
    done = CliRunner().invoke(app, ["summarize", str(video), option, str(video), "--force"])
    assert isinstance(done.exception, QueryError)
    assert "one of the videos" in str(done.exception)
    assert video.read_bytes() == before
    assert done.stdout == ""


def test_a_video_that_is_there_is_not_replaced_and_nothing_is_read_for_it(tmp_path):
    (tmp_path / "short.mp4").write_bytes(b"mine")
    out = ["--video", str(tmp_path / "short.mp4")]
    done = CliRunner().invoke(app, ["summarize", str(tmp_path / "gone.mp4"), *out])
    assert "--force" in str(done.exception)
    assert (tmp_path / "short.mp4").read_bytes() == b"mine"


def test_without_a_library_a_file_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_scenes(Path("a.mp4"), [(0, 3.0), (4, 3.0)])
    done = CliRunner().invoke(app, ["summarize", "a.mp4", "--length", "0:03"])
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 2
    assert not Path("soravec.library").exists()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("60s", (60.0, 0.15)),
        ("1m", (60.0, 0.15)),
        ("1:30", (90.0, 0.15)),
        ("1.5h", (5400.0, 0.15)),
        ("45", (45.0, 0.15)),
        ("7.5 %", (None, 0.075)),
    ],
)
def test_lengths_are_read(text, meant):
    assert length_of(text) == meant
