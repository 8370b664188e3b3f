"""What a library holds."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import soravec
from soravec.cli import app
from soravec.errors import LibraryError
from soravec.library.filters import Filter
from soravec.library.maps import MAP_FILE, read_map
from soravec.tasks.describe import describe
from soravec.tasks.describe_page import describe_page, map_svg
from tests.library.conftest import write_scenes
from tests.tasks.conftest import drawn, slide, write_images

DESERT, OCEAN, CITY, STARS = 0, 4, 5, 10


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Four views of three places, one of another; what is black, blurred, still, short."""
    folder = tmp_path_factory.mktemp("describe")
    for number in range(4):
        for name, scene in (("desert", DESERT), ("ocean", OCEAN), ("city", CITY)):
            write_scenes(folder / f"videos/{name}-{number}.mp4", [(scene, 3.0)], seed=10 * number)
    write_images(folder / "videos/black.mp4", [np.zeros((120, 160, 3), np.uint8)] * 50)
    blurred = [cv2.GaussianBlur(image, (0, 0), 6) for image in drawn(CITY, 3.0, 77)]
    write_images(folder / "videos/blurred.mp4", blurred)
    write_images(folder / "videos/still.mp4", [slide()] * 75)
    write_scenes(folder / "videos/short.mp4", [(CITY, 0.6)], seed=99)
    with soravec.Library(folder / "some.library") as library:
        library.add(folder / "videos", progress=False)
    return folder


@pytest.fixture
def library(videos, tmp_path):
    shutil.copytree(videos / "some.library", tmp_path / "some.library")
    with soravec.Library(tmp_path / "some.library") as library:
        yield library


@pytest.fixture(scope="module")
def found(videos, tmp_path_factory):
    place = tmp_path_factory.mktemp("found") / "some.library"
    shutil.copytree(videos / "some.library", place)
    with soravec.Library(place) as library:
        return describe(library, num_clusters=6, duplicates=True)


def test_all_that_there_is_is_counted(found):
    assert (found.num_videos, found.num_segments) == (16, 16)
    assert sum(cluster.num_segments for cluster in found.clusters) == 16
    assert found.seconds == pytest.approx(sum(c.seconds for c in found.clusters))
    assert found.num_looked_at == 16
    assert found.notes == ()


def test_places_are_clusters_and_are_called_by_their_names(found):
    names = {cluster.name for cluster in found.clusters}
    assert {"desert", "ocean"} <= names
    (desert,) = (cluster for cluster in found.clusters if cluster.name == "desert")
    shown = [Path(moment.path).stem for moment in desert.moments]
    assert len(shown) >= 3
    assert all(name.startswith("desert-") for name in shown)


def test_moments_are_each_of_another_video(found):
    for cluster in found.clusters:
        videos = [moment.video_id for moment in cluster.moments]
        assert 1 <= len(videos) == len(set(videos))


def test_what_looks_bad_is_told(found):
    kinds = {(Path(one.path).stem, one.kind) for one in found.problems}
    assert {("black", "black"), ("blurred", "blurred"), ("still", "still")} <= kinds
    assert ("short", "short") in kinds
    assert not any(name.startswith(("desert", "ocean", "city")) for name, _ in kinds)


def test_the_oddest_is_like_nothing_else(found):
    scores = [outlier.score for outlier in found.outliers]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= outlier.usual < outlier.score <= 2 for outlier in found.outliers)


def test_duplicates_are_told_where_asked(library, found):
    assert found.duplicates is not None
    assert describe(library, where=Filter(path="desert")).duplicates is None


def test_labels_come_before_names(library):
    contents = library.contents()
    with library.writing(), library.catalogue.transaction():
        for video in contents.videos.values():
            if "desert" in video.path:
                library.catalogue.put_text(video.key, "label", "sand dunes")
    clusters = describe(library, num_clusters=6).clusters
    (dunes,) = (cluster for cluster in clusters if cluster.name == "sand dunes")
    assert all("desert" in moment.path for moment in dunes.moments)


def test_the_map_is_kept_and_read_back(library):
    found = describe(library, num_clusters=6)
    contents = library.contents()
    made = read_map(library.path)
    assert made.space_id == library.space().space_id
    assert made.vectors_version == library.space().vectors_version
    assert made.clusters == tuple(cluster.name for cluster in found.clusters)
    assert np.array_equal(made.keys, contents.keys)
    assert np.array_equal(made.ordinals, contents.ordinals)
    assert np.array_equal(made.places, found.points.places)
    assert np.array_equal(made.labels, found.points.labels)
    assert np.abs(made.places).max() <= 1
    assert library.verify() == []


def test_a_part_is_described_and_the_map_of_all_stays(library):
    describe(library)
    before = (library.path / MAP_FILE).read_bytes()
    found = describe(library, where=Filter(path="desert"))
    assert found.num_videos == 4
    assert (library.path / MAP_FILE).read_bytes() == before


def test_the_same_seed_gives_the_same(library):
    one, other = describe(library, seed=5), describe(library, seed=5)
    assert np.array_equal(one.points.places, other.points.places)
    assert one.clusters == other.clusters
    assert one.outliers == other.outliers


def test_the_map_goes_with_a_forgotten_video(library):
    describe(library)
    library.forget(next(iter(library.contents().videos.values())).video_id)
    assert not list(library.path.glob("map*"))
    assert read_map(library.path) is None
    assert describe(library).num_videos == 15
    assert len(read_map(library.path)) == 15


def test_a_damaged_map_is_found_and_taken_out(library):
    describe(library)
    (library.path / MAP_FILE).write_bytes(b"nothing")
    with pytest.raises(LibraryError, match="soravec describe"):
        read_map(library.path)
    assert any("map" in problem for problem in library.verify())
    library.repair()
    assert library.verify() == []
    assert read_map(library.path) is None


def test_while_somebody_writes_it_is_described_without_a_map(library):
    with library.writing():
        found = describe(library)
    assert any("not kept" in note for note in found.notes)
    assert read_map(library.path) is None


def test_an_older_library_says_what_it_does_not_know(library):
    for video in library.contents().videos.values():
        features = library.features(video)
        library.files.write(video.video_id, replace(features, sketches=None, sharpness=None))
    found = describe(library)
    assert found.num_looked_at == 0
    assert any("16 videos were indexed by an older Soravec" in note for note in found.notes)


def test_one_video_alone_is_described(library):
    found = describe(library, where=Filter(path="desert-0"))
    assert found.num_segments == len(found.clusters) == 1
    assert found.outliers == ()
    assert "<svg" in describe_page(found)


def test_the_command_and_the_page(library):
    run = CliRunner().invoke
    page = library.path.parent / "whole.html"
    asked = ["describe", "--library", str(library.path), "--page", str(page), "--clusters", "6"]
    done = run(app, asked)
    assert done.exit_code == 0, done.output
    assert "ocean: 4 segments of 4 videos" in done.stdout
    assert "still.mp4: stands still" in done.stdout
    assert "videos: 16, segments: 16, clusters: 6" in done.stderr
    text = page.read_text()
    assert text.count("<circle") == 16
    assert text.count("<title>") == 17
    assert "<img" in text
    lines = [json.loads(line) for line in run(app, [*asked, "--json"]).stdout.splitlines()]
    assert lines[-1]["num_videos"] == 16
    assert sum("cluster" in line for line in lines) == 6
    assert {"path", "video_id", "kind", "message"} == set(
        next(line["problem"] for line in lines if "problem" in line)
    )


def test_long_names_stay_on_the_map(found):
    named = replace(found.clusters[0], name="x" * 60)
    text = map_svg(found.points, (named, *found.clusters[1:]))
    across = int(re.search(r'<text x="(\d+)"[^>]*>x{60}<', text)[1])
    assert 420 <= across <= 580


def test_names_on_the_page_are_escaped(found):
    odd = replace(found, clusters=(replace(found.clusters[0], name="<b>"), *found.clusters[1:]))
    assert "<b>" not in describe_page(odd)
    assert "&lt;b&gt;" in describe_page(odd)
