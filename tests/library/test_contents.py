"""All that a library holds at one instant."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import soravec
from soravec.channel import Message
from soravec.errors import LibraryError
from soravec.library.pictures import _checked, read_pictures
from soravec.process import Outcome
from tests.library.conftest import vectors_of


@pytest.fixture
def library(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "videos")
    with soravec.Library(tmp_path / "some.library") as library:
        library.add(tmp_path / "videos")
        yield library


def test_contents_are_every_segment_with_its_vector(library):
    contents = library.contents()
    known = vectors_of(library)
    assert len(contents) == len(known)
    for row in range(len(contents)):
        video_id, _, ordinal = contents.segment_id(row).rpartition(":")
        assert np.array_equal(contents.vectors[row], known[video_id, int(ordinal)])
    for key, video in contents.videos.items():
        bounds = contents.bounds[contents.segments_of(key)]
        assert (np.diff(bounds.ravel()) >= 0).all()
        assert bounds[-1, 1] == video.end_seconds
        assert len(library.features(video)) > 1


def test_a_filter_leaves_videos_out(library):
    names = {Path(v.path).name for v in library.contents(soravec.Filter("sub")).videos.values()}
    assert names == {"forest.webm", "meadow.mp4"}
    with pytest.raises(LibraryError, match="ask wider"):
        library.contents(soravec.Filter("nowhere"))


def test_what_has_no_file_any_more_is_not_there(library, tmp_path):
    (tmp_path / "videos/desert.mp4").unlink()
    library.add(tmp_path / "videos")
    assert "desert.mp4" not in {Path(v.path).name for v in library.contents().videos.values()}


def test_an_empty_library_holds_nothing(tmp_path):
    with soravec.Library(tmp_path / "empty.library") as library, pytest.raises(LibraryError):
        library.contents()


def test_pictures_are_those_on_show(corpus):
    path, broken = str(corpus / "desert.mp4"), str(corpus / "broken.mp4")
    found = read_pictures([(path, (5.5, 1.0, 1.0)), (broken, (0.0,))], height=60)
    assert set(found[path]) == {1.0, 5.5}
    assert found[path][1.0].shape == (60, 80, 3)
    assert np.abs(found[path][1.0].astype(int) - found[path][5.5]).mean() > 20
    assert found[broken] == {}


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"images": np.zeros((1, 60, 1, 3), np.uint8), "shown": np.zeros(2, np.int64)},
        {"images": np.zeros((3, 60, 80, 3), np.uint8), "shown": np.zeros(2, np.int64)},
        {"images": np.zeros((1, 60, 80, 3), np.float32), "shown": np.zeros(2, np.int64)},
        {"images": np.zeros((1, 60, 80, 3), np.uint8), "shown": np.array([0, 1])},
    ],
)
def test_pictures_of_a_child_that_lies_are_none(arrays):
    outcome = Outcome(("a.mp4", (0.0, 1.0)), Message({"kind": "pictures"}, arrays))
    assert not list(_checked(outcome, 60))
