"""What to watch next."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import soravec
from soravec.cli import app
from soravec.errors import QueryError
from soravec.library.filters import Filter
from soravec.tasks.recommend import recommend
from soravec.tasks.recommend_page import recommend_page
from soravec.video import Span
from tests.library.conftest import write_scenes
from tests.tasks.conftest import images_of, slide, write_images

DESERT, OCEAN, CITY = 0, 1, 4


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Four views of three places each, a mirrored copy, one begun later, black, a slide twice."""
    folder = tmp_path_factory.mktemp("recommend")
    for number in range(4):
        for name, scene in (("desert", DESERT), ("ocean", OCEAN), ("city", CITY)):
            write_scenes(folder / f"videos/{name}-{number}.mp4", [(scene, 4.0)], seed=10 * number)
    source = images_of(folder / "videos/desert-0.mp4")
    copy = [cv2.resize(image[:, ::-1], (128, 96)) for image in source]
    write_images(folder / "videos/desert-copy.mp4", copy, crf=32)
    both = [np.zeros((120, 160, 3), np.uint8)] * 75 + images_of(folder / "videos/ocean-3.mp4")
    write_images(folder / "videos/ocean-later.mp4", both)
    write_images(folder / "videos/black.mp4", [np.zeros((120, 160, 3), np.uint8)] * 100)
    for number in range(2):
        write_images(folder / f"videos/slide-{number}.mp4", [slide()] * (90 + 20 * number))
    with soravec.Library(folder / "some.library") as library:
        library.add(folder / "videos", progress=False)
    return folder


@pytest.fixture(scope="module")
def library(videos):
    with soravec.Library(videos / "some.library") as library:
        yield library


def named(videos, *names):
    return [Span(videos / "videos" / f"{name}.mp4") for name in names]


def names_of(found):
    return [Path(one.path).stem for one in found.videos]


def left_out_of(found):
    return {Path(one.path).stem: one.original and Path(one.original).stem for one in found.left_out}


def test_it_is_like_what_was_liked_and_was_not_seen(library, videos):
    found = recommend(library, liked=named(videos, "city-0"), watched=named(videos, "city-1"), k=2)
    assert set(names_of(found)) == {"city-2", "city-3"}
    assert -1 <= found.videos[1].score <= found.videos[0].score <= 1
    assert found.untold == ()


def test_the_reason_names_both_moments_and_adds_up(library, videos):
    liked = Span(videos / "videos/ocean-later.mp4")
    found = recommend(library, liked=[liked], watched=named(videos, "ocean-3"), k=1)
    why = found.videos[0].reason
    assert Path(why.liked.path).stem == "ocean-later"
    assert why.liked.start_seconds >= 2.5  # not the three seconds of black
    assert why.moment.path == found.videos[0].path
    assert why.moment.end_seconds > why.moment.start_seconds
    weight = library.space().motion_weight
    assert why.score == pytest.approx((1 - weight) * why.appearance + weight * why.motion, abs=1e-4)


def test_copies_of_what_was_seen_are_left_out(library, videos):
    found = recommend(library, liked=named(videos, "desert-0"), k=20)
    assert not {"desert-0", "desert-copy"} & set(names_of(found))
    assert left_out_of(found)["desert-copy"] == "desert-0"


def test_nothing_is_recommended_twice_nor_what_shows_nothing(library, videos):
    found = recommend(library, liked=named(videos, "city-0"), k=20)
    names = names_of(found)
    assert len(set(names)) == len(names)
    assert len({"desert-0", "desert-copy"} & set(names)) == 1
    assert len({"ocean-3", "ocean-later"} & set(names)) == 1
    assert len({"slide-0", "slide-1"} & set(names)) == 1
    assert left_out_of(found)["black"] is None
    assert "black" not in names


def test_of_two_that_are_liked_both_count(library, videos):
    found = recommend(library, liked=named(videos, "city-0", "ocean-0"), k=4)
    kinds = [name.partition("-")[0] for name in names_of(found)]
    assert set(kinds) == {"city", "ocean"}
    for one in found.videos:
        kind = Path(one.path).stem.partition("-")[0]
        assert Path(one.reason.liked.path).stem == f"{kind}-0"


def test_diversity_can_be_had_and_done_without(library, videos):
    liked = named(videos, "city-0")
    near = recommend(library, liked=liked, k=3, eagerness=1000.0)
    assert {name.partition("-")[0] for name in names_of(near)} == {"city"}
    far = recommend(library, liked=liked, k=3, eagerness=0.1)
    assert len({name.partition("-")[0] for name in names_of(far)}) == 3


def test_videos_are_named_by_identity_segment_and_span(library, videos):
    contents = library.contents()
    row = next(
        row
        for row in range(len(contents))
        if "city-0" in contents.videos[int(contents.keys[row])].path
    )
    video_id = contents.videos[int(contents.keys[row])].video_id
    span = Span(videos / "videos/city-0.mp4", 0.5, 3.0)
    lists = [
        names_of(recommend(library, liked=[name], k=3))
        for name in (video_id, contents.segment_id(row), span)
    ]
    assert lists[0] == lists[1] == lists[2]


def test_a_filter_says_what_may_be_recommended(library, videos):
    found = recommend(library, liked=named(videos, "city-0"), where=Filter(path="ocean-"), k=3)
    assert all("ocean" in name for name in names_of(found))
    with pytest.raises(QueryError, match="do not pass the filter"):
        recommend(library, liked=named(videos, "city-0"), where=Filter(path="city-0"))


@pytest.mark.parametrize("name", ["0" * 32, "0" * 32 + ":0", Span("gone.mp4")])
def test_what_is_not_there_is_an_error(library, videos, name):
    with pytest.raises(QueryError, match="in this library"):
        recommend(library, liked=[name])
    with pytest.raises(QueryError, match="in this library"):
        recommend(library, liked=named(videos, "city-0"), watched=[name])
    with pytest.raises(QueryError, match="liked"):
        recommend(library, liked=[])


def test_an_older_library_says_what_it_could_not_compare(videos, tmp_path):
    shutil.copytree(videos / "some.library", tmp_path / "old.library")
    with soravec.Library(tmp_path / "old.library") as library:
        for video in library.contents().videos.values():
            features = library.features(video)
            old = replace(features, sketches=None, sharpness=None)
            library.files.write(video.video_id, old)
        found = recommend(library, liked=named(videos, "city-0"), k=3)
    assert len(found.videos) == 3
    assert any("older Soravec" in text for text in found.untold)


def test_the_command_and_the_page(library, videos):
    run = CliRunner().invoke
    place = ["--library", str(library.path)]
    liked = str(videos / "videos/desert-0.mp4")
    page = videos / "next.html"
    done = run(app, ["recommend", "--liked", liked, "-k", "6", "--page", str(page), *place])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("desert-0.mp4") == len(done.stdout.splitlines()) == 6
    assert "desert-copy.mp4: shows the same as" in done.stderr
    text = page.read_text()
    assert text.count("<section>") == 6
    assert text.count("<img") == 96
    assert "left out" in text
    lines = run(app, ["recommend", "--liked", liked, "-k", "2", "--json", *place]).stdout
    lines = [json.loads(line) for line in lines.splitlines()]
    assert [set(line) for line in lines] == [{"path", "video_id", "score", "reason"}] * 2
    assert lines[0]["reason"]["by"] in ("appearance", "motion", "both")
    assert run(app, ["recommend", *place]).exit_code == 2


def test_names_on_the_page_are_escaped(library, videos):
    found = recommend(library, liked=named(videos, "city-0"), k=1)
    one = replace(found.videos[0], path="<b>.mp4")
    assert "<b>.mp4" not in recommend_page(replace(found, videos=(one,)))
