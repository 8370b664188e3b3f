"""What a library holds twice."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import soravec
from soravec.cli import app
from soravec.errors import SoravecError
from soravec.library.filters import Filter
from soravec.tasks.duplicates import LEAST_SCORE, find_duplicates
from soravec.tasks.duplicates_page import duplicates_page
from tests.tasks.conftest import images_of, write_images


@pytest.fixture(scope="module")
def found(copied):
    return find_duplicates(copied)


def spans_of(found, one, other):
    """The spans of two videos, those of `one` first."""
    spans = []
    for copy in found.copies:
        sides = {Path(side.path).name: side for side in (copy.first, copy.second)}
        if set(sides) == {one, other}:
            spans.append((sides[one], sides[other], copy))
    return spans


def test_a_copy_of_the_whole_is_found_from_beginning_to_end(found):
    ((one, other, copy),) = spans_of(found, "source.mp4", "mirrored.mp4")
    assert copy.mirrored
    assert copy.score >= LEAST_SCORE
    assert copy.speed == pytest.approx(1.0, abs=0.03)
    for side in (one, other):
        assert side.start_seconds == pytest.approx(0.0, abs=0.6)
        assert side.end_seconds == pytest.approx(18.0, abs=0.6)


def test_a_span_is_found_where_it_is_in_both(found):
    ((one, other, copy),) = spans_of(found, "source.mp4", "part.mp4")
    assert not copy.mirrored
    assert (one.start_seconds, one.end_seconds) == pytest.approx((4.0, 12.0), abs=0.8)
    assert (other.start_seconds, other.end_seconds) == pytest.approx((5.0, 13.0), abs=0.8)


def test_a_span_is_found_in_the_copy_too(found):
    ((one, other, copy),) = spans_of(found, "mirrored.mp4", "part.mp4")
    assert copy.mirrored
    assert (one.start_seconds, one.end_seconds) == pytest.approx((4.0, 12.0), abs=0.8)
    assert (other.start_seconds, other.end_seconds) == pytest.approx((5.0, 13.0), abs=0.8)


def test_nothing_else_is_a_copy(found):
    """Neither other shots of the same places, nor what is black or stands still."""
    names = [{Path(s.path).name for s in (c.first, c.second)} for c in found.copies]
    assert len(names) == 3
    assert all(pair <= {"source.mp4", "mirrored.mp4", "part.mp4"} for pair in names)


def test_the_best_of_a_group_is_the_one_with_most_pixels(found):
    (group,) = found.groups
    assert Path(group.best).name == "source.mp4"
    assert [Path(path).name for path in group.others] == ["mirrored.mp4"]


def test_a_filter_leaves_videos_out(copied):
    assert not find_duplicates(copied, where=Filter(path="news")).copies


def test_progress_ends_at_the_number_of_pairs(copied):
    told = []
    find_duplicates(copied, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == len(told) > 3


def test_what_an_older_version_indexed_is_told_of(copied, tmp_path):
    with soravec.Library(tmp_path / "old.library") as library:
        library.add(Path(copied.path).parent / "videos")
        feature_id = library.space().feature_id
        for video in library.contents().videos.values():
            if video.path.endswith(("source.mp4", "part.mp4")):
                old = replace(library.features(video), sketches=None, sharpness=None)
                library.files.write(video.video_id, old)
        broken = next(v for v in library.contents().videos.values() if "mirror" in v.path)
        library.files.path(broken.video_id, feature_id).write_bytes(b"nothing")
        found = find_duplicates(library)
    assert not found.copies
    assert len(found.skipped) == 3
    assert sum("older Soravec" in text for text in found.skipped) == 2


def test_without_colours_copies_are_told_by_brightness_alone(copied, found, tmp_path):
    """As of one video that was indexed before they were kept, the other one after."""
    folder = tmp_path / "videos"
    shutil.copytree(Path(copied.path).parent / "videos", folder)
    with soravec.Library(tmp_path / "old.library") as library:
        library.add(folder)
        for video in library.contents().videos.values():
            if video.path.endswith(("source.mp4", "same-places.mp4")):
                older = replace(library.features(video), colours=None)
                library.files.write(video.video_id, older)
                assert library.features(video).colours is None
        older = find_duplicates(library)
    assert not older.skipped
    assert spans_of(older, "source.mp4", "mirrored.mp4")
    pairs = [{Path(s.path).name for s in (c.first, c.second)} for c in older.copies]
    assert all(pair <= {"source.mp4", "mirrored.mp4", "part.mp4"} for pair in pairs)


def test_files_that_are_the_same_are_a_group(copied, tmp_path):
    source = Path(copied.path).parent / "videos/part.mp4"
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(source, tmp_path / name)
    shutil.copy(source.with_name("news-1.mp4"), tmp_path / "news.mp4")
    with soravec.Library(tmp_path / "same.library") as library:
        library.add(tmp_path)
        found = find_duplicates(library)
    assert not found.copies
    (group,) = found.groups
    assert {Path(path).name for path in (group.best, *group.others)} == {"a.mp4", "b.mp4", "c.mp4"}


def test_a_clip_of_three_seconds_is_found(copied, tmp_path):
    source = Path(copied.path).parent / "videos/source.mp4"
    write_images(tmp_path / "clip.mp4", images_of(source, 1.0, 4.0))
    shutil.copy(source, tmp_path / "source.mp4")
    with soravec.Library(tmp_path / "clip.library") as library:
        library.add(tmp_path)
        (copy,) = find_duplicates(library).copies
    sides = {Path(side.path).name: side for side in (copy.first, copy.second)}
    assert sides["source.mp4"].start_seconds == pytest.approx(1.0, abs=0.5)
    assert sides["source.mp4"].end_seconds == pytest.approx(4.0, abs=0.5)


def test_a_page_that_cannot_be_written_says_so_after_what_was_found(copied, tmp_path):
    for page in (tmp_path, tmp_path / "nowhere/page.html"):
        given = ["duplicates", "--library", str(copied.path), "--json", "--page", str(page)]
        done = CliRunner().invoke(app, given)
        assert isinstance(done.exception, SoravecError)
        assert len(done.stdout.splitlines()) == 4


def test_the_page_shows_both_sides(found):
    page = duplicates_page(found)
    assert page.count("<img") == 3 * 2 * 8
    assert "keep <code>" in page
    assert "mirrored" in page
    assert "http" not in page


def test_the_command_prints_copies_then_groups(copied, tmp_path):
    page = tmp_path / "copies.html"
    given = ["duplicates", "--library", str(copied.path), "--json", "--page", str(page)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(line) for line in lines[:3]] == [
        {"first", "second", "score", "speed", "mirrored"}
    ] * 3
    assert set(lines[3]) == {"best", "others"}
    assert page.read_text().count("<img") == 48


def test_the_command_speaks_to_a_person(copied):
    done = CliRunner().invoke(app, ["duplicates", "--library", str(copied.path)])
    assert "(mirrored)" in done.stdout
    assert "source.mp4, the best of 2 copies:" in done.stdout
