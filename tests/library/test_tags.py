"""Words find what the model itself calls it, in files that nobody described."""

import shutil

import numpy as np
import pytest

import soravec
from soravec.library.filters import Filter
from soravec.library.tags import LEAST_PROBABILITY, least_probability, tag_head
from soravec.runtime.folder import find_model
from soravec.runtime.heads import Head, HeadConfig, write_head

NAMES = (("sand dune", "dune", "沙丘"), ("ship", "boat", "船"), ("wood", "forest", "森林"))


@pytest.fixture(scope="module")
def tagged(corpus, tmp_path_factory):
    """A library of two videos, whose model calls one a ship and the other wood."""
    root = tmp_path_factory.mktemp("tagged")
    shutil.copytree(find_model("sora-mini").path, root / "model")
    shutil.rmtree(root / "model/heads", ignore_errors=True)
    encoder = soravec.load(root / "model")
    for name, source in {"a.mp4": "harbour.mp4", "b.webm": "sub/forest.webm"}.items():
        (root / "videos").mkdir(exist_ok=True)
        shutil.copy(corpus / source, root / "videos" / name)
    first, second = (encoder.embed(root / "videos" / n).vector for n in ("a.mp4", "b.webm"))
    weight = 20 * np.stack([np.zeros_like(first), first - second, second - first])
    config = HeadConfig(
        tuple(names[0] for names in NAMES),
        "softmax",
        encoder.space_id,
        words=tuple(names[1:] for names in NAMES),
    )
    write_head(root / "model", Head("tags", config, weight, np.zeros(3, np.float32)))
    with soravec.Library(root / "lib") as library:
        library.add(root / "videos", encoder=soravec.load(root / "model"), progress=False)
        yield library


def names_of(hits):
    return [hit.path.rsplit("/", 1)[-1] for hit in hits]


@pytest.mark.parametrize("text", ["ship", "BOAT", "船", '"boat"'])
def test_a_word_finds_what_is_called_so(tagged, text):
    hits = tagged.search(text)
    assert names_of(hits)[0] == "a.mp4"
    assert hits[0].text == "ship"
    assert hits[0].score > 0.5
    assert all(hit.score >= LEAST_PROBABILITY for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_all_words_must_be_true_of_a_segment(tagged):
    assert names_of(tagged.search("forest"))[0] == "b.webm"
    both = tagged.search("forest ship")
    assert all(hit.score < 0.5 for hit in both)
    assert tagged.search("forest violin") == []


@pytest.mark.parametrize(("lift", "num_found"), [(5, 2), (1, 0)])
def test_of_many_classes_one_well_above_chance_is_an_answer(corpus, tmp_path, lift, num_found):
    shutil.copytree(find_model("sora-mini").path, tmp_path / "model")
    encoder = soravec.load(tmp_path / "model")
    dim, count = encoder.config.temporal.appearance_dim + encoder.config.temporal.motion_dim, 1000
    bias = np.zeros(count, np.float32)
    bias[0] = np.log(lift)
    names = ("ship", *(f"thing{number}" for number in range(1, count)))
    config = HeadConfig(names, "softmax", encoder.space_id, words=((),) * count)
    write_head(tmp_path / "model", Head("tags", config, np.zeros((count, dim), np.float32), bias))
    videos = [corpus / "harbour.mp4", corpus / "sub/forest.webm"]
    with soravec.Library(tmp_path / "lib") as library:
        library.add(videos, encoder=soravec.load(tmp_path / "model"), progress=False)
        hits = library.search("ship")
        assert len({hit.path for hit in hits}) == num_found
        assert all(hit.score >= least_probability(count) for hit in hits)


def test_part_of_a_name_is_another_word(tagged):
    assert tagged.search("shi") == []
    assert names_of(tagged.search("sand dune")) == names_of(tagged.search("dune"))


def test_filters_hold_for_tags(tagged):
    assert names_of(tagged.search("ship", where=Filter(path="*.mp4"))) == ["a.mp4"]
    assert tagged.search("ship", where=Filter(path="*.avi")) == []


def test_what_was_said_of_a_file_comes_first_and_once(tagged, tmp_path):
    notes = tmp_path / "notes.csv"
    path = tagged.search("forest")[0].path
    notes.write_text(f"path,label\n{path},forest\n")
    tagged.annotate(notes)
    hits = [hit for hit in tagged.search("forest") if hit.path == path]
    assert hits[0].score == 1.0
    spans = {(hit.start_seconds, hit.end_seconds) for hit in hits}
    assert len(spans) == len(hits)


def test_the_tags_of_another_space_are_not_asked(tagged):
    space = tagged.space()
    assert tag_head(space) is not None
    path = tagged.encoder().folder.path / "heads/tags.json"
    before = path.read_text()
    path.write_text(before.replace(space.space_id, "0" * 16))
    try:
        assert tag_head(space) is None
        assert tagged.search("ship") == []
    finally:
        path.write_text(before)
