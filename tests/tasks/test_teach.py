"""Teaching a label to a library."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import soravec
from soravec.cli import app
from soravec.errors import QueryError
from soravec.library.marks import labels_of, marks_of
from soravec.runtime.heads import head_names, read_head, write_head
from soravec.tasks.classify import classify_files
from soravec.tasks.teach import head_name, taught_head, teach
from soravec.video import Span
from tests.library.conftest import write_scenes

DESERT, OCEAN, CITY = 0, 1, 4


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three views of each of three places, of three seconds, in one video each; two to judge by."""
    folder = tmp_path_factory.mktemp("teach")
    for number in range(5):
        for name, scene in (("desert", DESERT), ("ocean", OCEAN), ("city", CITY)):
            place = "videos" if number < 3 else "others"
            write_scenes(folder / place / f"{name}-{number}.mp4", [(scene, 3.0)], seed=10 * number)
    with soravec.Library(folder / "some.library") as library:
        library.add(folder / "videos")
    return folder


@pytest.fixture
def library(videos, tmp_path):
    shutil.copytree(videos / "some.library", tmp_path / "some.library")
    with soravec.Library(tmp_path / "some.library") as library:
        yield library


def segment(library, name):
    """The id of the only segment of a video."""
    contents = library.contents()
    return next(
        contents.segment_id(row)
        for row in range(len(contents))
        if name in contents.videos[int(contents.keys[row])].path
    )


def test_a_taught_label_classifies_files_it_has_not_seen(library, videos):
    yes = [segment(library, f"desert-{n}") for n in range(2)]
    no = [segment(library, "ocean-0"), Span(videos / "videos/city-0.mp4", 0.5, 2.5)]
    found = teach(library, "sand dunes", yes=yes, no=no, author="ada")
    assert (found.num_yes, found.num_no) == (2, 2)
    assert found.accuracy == 1.0
    head = taught_head(library, "sand dunes")
    assert head.classes == ("sand dunes",)
    others = sorted((videos / "others").iterdir())
    results = classify_files(others, library.encoder(), head=head)
    scores = {Path(r.path).name: r.classification.probability for r in results}
    deserts = {name: score for name, score in scores.items() if name.startswith("desert")}
    assert len(deserts) == 2
    assert min(deserts.values()) > 0.5 > max(scores[name] for name in scores.keys() - deserts)


def test_suggestions_are_of_what_nobody_marked(library):
    yes, no = segment(library, "desert-0"), segment(library, "ocean-0")
    found = teach(library, "desert", yes=[yes], no=[no], num_suggestions=5)
    ids = [one.segment_id for one in found.suggestions]
    assert len(set(ids)) == 5
    assert not {yes, no} & set(ids)
    assert all(0 < one.score < 1 for one in found.suggestions)
    assert found.accuracy is None  # one of a kind cannot be left out


def test_marks_stay_with_who_and_when_and_are_learned_from_again(library, videos):
    teach(library, "desert", yes=[segment(library, "desert-0")], author="ada")
    found = teach(library, "desert", no=[segment(library, "city-1")], author="bob")
    assert (found.num_yes, found.num_no) == (1, 1)
    marks = marks_of(library.catalogue, "desert")
    assert {(mark.is_so, mark.author) for mark in marks} == {(True, "ada"), (False, "bob")}
    assert all(mark.marked > 1.6e9 for mark in marks)
    assert labels_of(library.catalogue) == [("desert", 1, 1)]
    hits = library.search("desert", where=soravec.Filter(label="desert"))
    assert {Path(hit.path).name for hit in hits} == {"desert-0.mp4"}


def test_who_changes_their_mind_is_believed(library):
    one = segment(library, "desert-0")
    teach(library, "desert", yes=[one, segment(library, "desert-1")])
    found = teach(library, "desert", no=[one])
    assert (found.num_yes, found.num_no) == (1, 1)
    hits = library.search("desert", where=soravec.Filter(label="desert"))
    assert {Path(hit.path).name for hit in hits} == {"desert-1.mp4"}


def test_where_nothing_shows_it_any_more_there_is_no_head(library):
    one = segment(library, "desert-0")
    teach(library, "desert", yes=[one])
    found = teach(library, "desert", no=[one])
    assert (found.num_yes, found.num_no, found.head, found.suggestions) == (0, 1, None, ())
    assert head_names(library.path) == ()
    with pytest.raises(QueryError, match="learned again"):
        taught_head(library, "desert")


def test_marks_and_heads_of_a_forgotten_video_are_gone(library):
    yes = [segment(library, f"desert-{n}") for n in range(2)]
    vector = library.contents().vectors[0]
    teach(library, "desert", yes=yes)
    library.forget(yes[0].partition(":")[0])
    assert labels_of(library.catalogue) == [("desert", 1, 0)]
    assert not list(library.path.glob("heads*"))
    with pytest.raises(QueryError, match="soravec teach 'desert'"):
        taught_head(library, "desert")
    teach(library, "desert")  # from what is left
    assert taught_head(library, "desert").scores(vector[None]).shape == (1, 1)


def test_a_head_of_another_model_has_to_be_learned_again(library):
    teach(library, "desert", yes=[segment(library, "desert-0")])
    name = head_name("desert")
    old = read_head(library.path, name)
    write_head(library.path, replace(old, config=replace(old.config, space_id="another")))
    with pytest.raises(QueryError, match="the model is another one"):
        taught_head(library, "desert")
    teach(library, "desert")
    assert taught_head(library, "desert").config.space_id == library.space().space_id


def test_a_damaged_head_is_found_and_taken_out(library):
    teach(library, "desert", yes=[segment(library, "desert-0")])
    (library.path / "heads" / f"{head_name('desert')}.safetensors").write_bytes(b"nothing")
    assert any("damaged" in problem for problem in library.verify())
    with pytest.raises(QueryError, match="learned again"):
        taught_head(library, "desert")
    library.repair()
    assert library.verify() == []
    assert teach(library, "desert").head == head_name("desert")


def test_to_ask_what_is_next_writes_nothing(library):
    teach(library, "desert", yes=[segment(library, "desert-0")])
    before = {path: path.stat().st_mtime_ns for path in library.path.rglob("*.json")}
    with library.writing():  # somebody else is
        assert teach(library, "desert").suggestions
    assert before == {path: path.stat().st_mtime_ns for path in library.path.rglob("*.json")}


@pytest.mark.parametrize(
    "asked",
    [
        {"yes": ["0" * 32 + ":0"]},
        {"yes": ["0" * 32 + ":" + "9" * 30]},
        {"yes": [Span("gone.mp4")]},
        {},
        {"yes": ["same"], "no": ["same"]},
    ],
)
def test_what_cannot_be_taught_says_why_and_changes_nothing(library, asked):
    one = segment(library, "desert-0")
    asked = {kind: [one if name == "same" else name for name in n] for kind, n in asked.items()}
    with pytest.raises(QueryError):
        teach(library, "desert", **asked)
    assert labels_of(library.catalogue) == []
    assert head_names(library.path) == ()


@pytest.mark.parametrize("label", ["", "  ", "x" * 201, "half \ud800", "bell \a"])
def test_what_is_no_label_is_refused_before_anything_is_noted(library, label):
    with pytest.raises(QueryError, match="200 characters"):
        teach(library, label, yes=[segment(library, "desert-0")])
    assert labels_of(library.catalogue) == []


def test_a_span_outside_the_video_is_refused(library, videos):
    with pytest.raises(QueryError, match="no span from 8"):
        teach(library, "desert", yes=[Span(videos / "videos/desert-0.mp4", 8.0, 9.0)])


@pytest.mark.parametrize("label", ["沙漠" * 100, "/ 50 % ../../up", "CON", "Goal", "goal"])
def test_a_label_may_have_any_name(library, label):
    teach(library, label, yes=[segment(library, "desert-0")])
    assert head_names(library.path) == (head_name(label),)
    assert taught_head(library, label).classes == (label,)
    assert sorted(path.suffix for path in (library.path / "heads").iterdir()) == [
        ".json",
        ".safetensors",
    ]


def test_the_commands(library, videos):
    run = CliRunner().invoke
    place = ["--library", str(library.path)]
    shows, not_so = segment(library, "desert-0"), f"{videos / 'videos/ocean-0.mp4'}@0-2"
    done = run(
        app, ["teach", "desert", "--yes", shows, "--no", not_so, "-k", "3", "--json", *place]
    )
    assert done.exit_code == 0, done.output
    line = json.loads(done.stdout)
    assert (line["label"], line["num_yes"], line["num_no"]) == ("desert", 1, 1)
    assert len(line["suggestions"]) == 3
    assert json.loads(run(app, ["teach", "--json", *place]).stdout)["num_no"] == 1
    assert "desert: 1 yes, 1 no" in run(app, ["teach", *place]).stdout
    page = library.path.parent / "next.html"
    shown = run(app, ["teach", "desert", "--page", str(page), *place])
    assert page.read_text().count("<img") == 7 * 6
    assert len(shown.stdout.splitlines()) == 7
    files = [str(videos / "others" / f"{name}-3.mp4") for name in ("desert", "ocean")]
    done = run(app, ["classify", *files, *place, "--json"])
    scores = [json.loads(line)["labels"][0] for line in done.stdout.splitlines()]
    assert [score["label"] for score in scores] == ["desert", "desert"]
    assert scores[0]["score"] > scores[1]["score"]
    assert run(app, ["classify", *files]).exit_code == 2
