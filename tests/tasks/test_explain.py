"""Why two spans match, and why a span has a label."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import soravec
from soravec.cli import app
from soravec.errors import QueryError
from soravec.runtime.encoder import load
from soravec.runtime.heads import Head, HeadConfig
from soravec.tasks.explain_label import LabelExplanation, explain_label, log_odds
from soravec.tasks.explain_match import explain_match
from soravec.tasks.heat_picture import heat_strip, laid_over, matrix_picture, signed
from soravec.tasks.occlusion import Faithfulness, faithfulness, judge, read_again, reading_of
from soravec.tasks.overlay import BAR_PIXELS, write_overlay
from soravec.tasks.spans import cut_features, read_span
from soravec.tasks.teach import taught_head, teach
from soravec.types import FrameFeatures, Shots, VideoInfo
from soravec.video import EveryFrame, Span, VideoReader
from tests.library.conftest import write_scenes

DESERT, CITY = 0, 4


@pytest.fixture(scope="module")
def encoder():
    return load("sora-mini", num_threads=1)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A desert and then a city, another city, and a forest of two seconds."""
    folder = tmp_path_factory.mktemp("explain")
    write_scenes(folder / "videos/trip.mp4", [(DESERT, 3.0), (CITY, 3.0)], seed=1)
    write_scenes(folder / "videos/city.mp4", [(CITY, 3.0)], seed=30)
    write_scenes(folder / "videos/forest.mp4", [(2, 2.0)], seed=50)
    write_scenes(folder / "city-too.mp4", [(CITY, 3.0)], seed=60)
    with soravec.Library(folder / "some.library") as library:
        library.add(folder / "videos", progress=False)
        teach(library, "city", yes=[Span(folder / "videos/city.mp4")])
        yield library


def place(library, name):
    return library.path.parent / name


def made_up(encoder, rows, *, cuts=(), seed=0):
    """Features of frames at 2 per second, each a mixture of two looks: (T,) shares of the first."""
    rng = np.random.default_rng(7)
    width = encoder.config.cnn.feature_dim
    looks = rng.random((2, width)) ** 4
    shares = np.asarray(rows, np.float64)[:, None]
    noise = np.random.default_rng(seed).random((len(rows), width))
    values = shares * looks[0] + (1 - shares) * looks[1] + 0.05 * noise
    end = len(rows) / 2
    edges = [0.0, *cuts, end]
    info = VideoInfo("a.mp4", "mp4", "h264", "yuv420p", 160, 96, 0, 0.0, end, 25.0, 1, False, 1)
    return FrameFeatures(
        features=values.astype(np.float16),
        seconds=np.arange(len(rows)) / 2,
        shots=Shots(np.stack([edges[:-1], edges[1:]], axis=1)),
        info=info,
        feature_id=encoder.feature_id,
        recipe={"sampling": "uniform"},
    )


def head_of(encoder, activation="sigmoid", num_classes=2):
    """A head that tells the first of the looks of `made_up` from the second."""
    pure = [
        encoder.embed_features(made_up(encoder, [share] * 4)).vector for share in (1.0, 0.0, 0.5)
    ]
    weight = np.stack([pure[0] - pure[1], pure[1] - pure[0], pure[2]])[:num_classes]
    names = ("first", "second", "mixed")[:num_classes]
    config = HeadConfig(names, activation, encoder.space_id)
    return Head("looks", config, (8 * weight).astype(np.float32), np.zeros(len(names), np.float32))


@pytest.mark.parametrize("weight", [None, 0.0, 0.6, 1.0])
def test_what_pairs_of_moments_contribute_adds_up_to_the_score(encoder, weight):
    first = made_up(encoder, [1, 0.8, 0.2, 0, 0.5, 1, 0.3], cuts=(1.5,))
    second = made_up(encoder, [0, 0.4, 1, 0.7], seed=5)
    found = explain_match(first, second, encoder, motion_weight=weight)
    assert found.similarity.shape == found.contributions.shape == (7, 4)
    assert np.isclose(found.contributions.sum(), (1 - found.motion_weight) * found.appearance)
    motion = found.motion_weight * found.motion
    assert np.isclose(found.contributions.sum() + motion, found.score, atol=1e-5)
    best = found.moments[0]
    assert best.contribution == found.contributions.max()
    assert len({moment.first_seconds for moment in found.moments}) == len(found.moments)


def test_where_nothing_moves_motion_has_no_share(encoder):
    one = made_up(encoder, [1])
    found = explain_match(one, made_up(encoder, [1, 0.5, 0]), encoder)
    assert (found.motion, found.motion_weight) == (None, 0.0)
    assert np.isclose(found.contributions.sum(), found.score, atol=1e-5)
    assert not found.second.motion.any()


def test_motion_says_what_is_lost_without_a_frame(encoder):
    first, second = made_up(encoder, [1, 0, 1, 0.3]), made_up(encoder, [0, 1, 0.6, 0.2], seed=3)
    found = explain_match(first, second, encoder)
    kept = np.array([0, 2, 3])
    without = replace(first, features=first.features[kept], seconds=first.seconds[kept])
    again = explain_match(without, second, encoder)
    lost = found.motion_weight * (found.motion - again.motion)
    assert found.first.motion[1] == pytest.approx(lost, abs=1e-6)


def test_the_score_is_that_of_search(library):
    contents = library.contents()
    names = [contents.segment_id(row) for row in range(len(contents))]
    hits = {hit.segment_id: hit for hit in library.search(like=names[0], k=10)}
    encoder = library.encoder()
    first = read_span(names[0], encoder, library=library)
    for name in names[1:]:
        found = explain_match(first, read_span(name, encoder, library=library), encoder)
        hit = hits.get(name)
        if hit is not None:  # hits on one run are merged
            assert found.score == pytest.approx(hit.score, abs=1e-4)
            assert found.appearance == pytest.approx(hit.appearance, abs=1e-4)
            assert found.motion == pytest.approx(hit.motion, abs=1e-4)
    assert len(hits) >= 3


def test_the_pair_that_contributes_most_shows_the_same_place(library):
    encoder = library.encoder()
    trip, city = (
        read_span(Span(place(library, f"videos/{name}.mp4")), encoder, library=library)
        for name in ("trip", "city")
    )
    found = explain_match(trip, city, encoder)
    assert found.moments[0].first_seconds >= 3.0
    late = trip.seconds >= 3.0
    assert found.similarity[late].min() > found.similarity[~late].max()


def test_a_span_is_found_in_the_library_or_read(library, encoder):
    trip = read_span(Span(place(library, "videos/trip.mp4"), 1.0, 4.0), encoder, library=library)
    assert trip.shots.bounds.tolist() == [[1.0, 3.0], [3.0, 4.0]]
    assert (trip.seconds[0], trip.seconds[-1]) == (1.0, 3.48)
    read = read_span(Span(place(library, "city-too.mp4"), 1.0), encoder, library=library)
    assert read.shots.bounds.tolist() == [[1.0, 3.0]]
    assert read.feature_id == trip.feature_id
    with pytest.raises(QueryError, match="--library"):
        read_span("0" * 32 + ":0", encoder)
    with pytest.raises(QueryError, match="no segment"):
        read_span("0" * 32 + ":0", encoder, library=library)
    with pytest.raises(soravec.errors.SoravecError, match="gone"):
        read_span(Span("gone.mp4"), encoder, library=library)
    with pytest.raises(QueryError, match="no span"):
        read_span(Span(place(library, "videos/city.mp4"), 8.0), encoder, library=library)


def test_a_piece_without_a_frame_joins_its_neighbour(encoder):
    features = made_up(encoder, [1, 1, 1, 1], cuts=(0.9,))
    assert cut_features(features, 0.6, None).shots.bounds.tolist() == [[0.6, 2.0]]
    assert cut_features(features, 0.5, 2.0).shots.bounds.tolist() == [[0.5, 0.9], [0.9, 2.0]]
    assert cut_features(features, 1.2, 1.4).seconds.tolist() == [1.0]  # the one on show


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_all_frames_together_are_worth_what_classify_says(encoder, activation):
    features = made_up(encoder, [1, 0.8, 0, 0.2, 0.9, 1], cuts=(1.0,))
    head = head_of(encoder, activation, 3)
    reading = reading_of(encoder, features)
    kept = np.ones((1, 6), bool)
    for chosen in range(3):
        worth = judge(reading, kept, lambda vectors, k=chosen: head.scores(vectors)[:, k])
        whole = head.classify(encoder.embed_features(features)).scores[chosen]
        assert worth[0] == pytest.approx(whole, abs=1e-5)
        odds = log_odds(head, chosen)(encoder.embed_features(features).vector[None])[0]
        score = head.scores(encoder.embed_features(features).vector[None])[0, chosen]
        assert odds == pytest.approx(np.log(score / (1 - score)), abs=1e-4)


def test_what_is_left_is_read_as_if_it_were_all(encoder):
    features = made_up(encoder, [1, 0.8, 0, 0.2, 0.9])
    kept = np.array([0, 2, 4])
    (vector,) = read_again(reading_of(encoder, features), [kept])
    less = replace(features, features=features.features[kept], seconds=features.seconds[kept])
    assert np.allclose(vector, encoder.embed_features(less).vector, atol=1e-5)


def test_a_part_without_frames_does_not_count(encoder):
    features = made_up(encoder, [1, 1, 0, 0], cuts=(1.0,))
    reading = reading_of(encoder, features)
    worth = log_odds(head_of(encoder), 0)
    kept = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], bool)
    values = judge(reading, kept, worth)
    assert values[0] > 1 > -1 > values[1]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2)


@pytest.mark.parametrize("cuts", [(), (2.0, 4.0)])
def test_the_seconds_that_show_it_speak_for_it(encoder, cuts):
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0])
    features, head = made_up(encoder, truth, cuts=cuts), head_of(encoder)
    found = explain_label(features, encoder, head, label="first")
    assert set(found.order[:4].tolist()) == {4, 5, 6, 7}
    assert found.bounds[4].tolist() == [2.0, 2.5]
    against = explain_label(features, encoder, head, label="SECOND")
    assert set(against.order[-4:].tolist()) == {4, 5, 6, 7}
    for one in (found, against):
        areas = one.faithfulness
        assert areas.deletion < areas.random_deletion < areas.insertion
        assert areas.random_insertion < areas.insertion


def test_deletion_and_insertion_of_three_parts():
    worth = np.array([0.25, 0.0, 0.75])

    def score(kept):
        return kept @ worth

    found = faithfulness(worth, score, num_random=200)
    # deletion 1, 1/4, 0 and insertion 3/4, 1, 1 at 0, 1/2 and 1
    assert (found.deletion, found.insertion) == (pytest.approx(0.375), pytest.approx(0.9375))
    assert found.random_deletion == pytest.approx(2 / 3, abs=0.05)  # 1, 2/3, 1/3 on average
    assert found.random_insertion == pytest.approx(2 / 3, abs=0.05)  # 1/3, 2/3, 1
    assert faithfulness(np.ones(1), score) is None
    wrong = faithfulness(-worth, score)
    assert wrong.deletion > wrong.random_deletion
    assert wrong.insertion < wrong.random_insertion


def test_one_frame_has_a_label_but_no_order(encoder):
    found = explain_label(made_up(encoder, [1]), encoder, head_of(encoder))
    assert (found.label, found.heat.tolist(), found.faithfulness) == ("first", [0.0], None)


def test_what_cannot_be_explained_says_why(encoder):
    with pytest.raises(QueryError, match="Nearest: first"):
        explain_label(made_up(encoder, [1, 0]), encoder, head_of(encoder), label="frist")
    long = made_up(encoder, np.zeros(1001))
    with pytest.raises(QueryError, match="FILE@START-END"):
        explain_label(long, encoder, head_of(encoder))
    with pytest.raises(QueryError, match="FILE@START-END"):
        explain_match(made_up(encoder, [1]), long, encoder)


def test_pictures_of_heat():
    picture = matrix_picture(np.array([[0.0, 1.0], [0.5, 0.0]]))
    assert picture.shape == (480, 480, 3)
    assert picture[0, 0].tolist() == [68, 1, 84]
    assert picture[0, -1].tolist() == [253, 231, 37]
    assert max(matrix_picture(np.random.default_rng(0).random((700, 3))).shape) <= 2000
    frames = [np.full((20, 31, 3), 128, np.uint8)] * 2
    strip = heat_strip(frames, np.array([1.0, -0.5]))
    assert strip.shape == (20 + 96, 62, 3)
    red, blue = signed(np.array([1.0, -1.0]))
    assert (strip[20 + 2, 15] == red).all()
    assert (strip[20 + 94, 46] != blue).any()  # a bar of half the length ends before
    assert (strip[20 + 60, 46] == blue).all()
    image = np.random.default_rng(0).integers(0, 256, (12, 18, 3)).astype(np.uint8)
    assert (laid_over(image, np.zeros((3, 4))) == image).all()
    hot = laid_over(image, np.array([[1.0, 0.0], [0.0, 0.0]])).astype(int)
    assert hot[0, 0, 0] - hot[0, 0, 2] > 60
    assert (hot[-1, -1] == image[-1, -1]).all()


def test_an_overlay_shows_the_span_its_heat_and_where_it_is(library, tmp_path):
    path = place(library, "videos/trip.mp4")
    bounds = np.array([[1.0, 2.0], [2.0, 3.0]])
    areas = Faithfulness(0.1, 0.2, 0.3, 0.2)
    found = LabelExplanation(str(path), 1.0, 3.0, "city", 0.5, bounds, np.array([1.0, -1.0]), areas)
    out = tmp_path / "heat.mp4"
    assert write_overlay(found, out, maps=np.zeros((2, 3, 3))) == 50
    with VideoReader(out) as reader:
        images = np.concatenate([batch.images for batch in reader.read(EveryFrame())])
    assert images.shape == (50, 120 + BAR_PIXELS, 160, 3)
    bar = images[25, 120 + BAR_PIXELS // 2].astype(int)
    assert bar[30, 0] > bar[30, 2] + 60
    assert bar[130, 2] > bar[130, 0] + 60
    assert bar[80].sum() < 150  # half of it is over
    with pytest.raises(QueryError, match="--force"):
        write_overlay(found, out)
    with pytest.raises(QueryError, match="suffix"):
        write_overlay(found, tmp_path / "heat.gif")
    before = path.read_bytes()
    with pytest.raises(QueryError, match="video to read"):
        write_overlay(found, path, overwrite=True)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [out]


def test_the_commands(library, tmp_path):
    run = CliRunner().invoke
    where = ["--library", str(library.path)]
    trip, city = (str(place(library, f"videos/{name}.mp4")) for name in ("trip", "city"))
    page, picture = tmp_path / "why.html", tmp_path / "why.jpg"
    done = run(app, ["explain", trip, city, *where, "--page", str(page), "--picture", str(picture)])
    assert done.exit_code == 0, done.output
    assert "looks" in done.stdout
    assert page.read_text().count("<img") >= 1 + 2 * 3 + 2
    assert picture.read_bytes()[:2] == b"\xff\xd8"
    done = run(app, ["explain", f"{trip}@3-6", city, "--model", "sora-mini", "--json"])
    line = json.loads(done.stdout)
    weight = line["motion_weight"]
    assert line["score"] == pytest.approx(
        (1 - weight) * line["appearance"] + weight * line["motion"], abs=1e-6
    )
    video = tmp_path / "why.mp4"
    done = run(app, ["explain", trip, *where, "--json", "--page", str(page), "--video", str(video)])
    assert done.exit_code == 0, done.output
    line = json.loads(done.stdout)
    heat = [frame["heat"] for frame in line["frames"]]
    assert line["label"] == taught_head(library, "city").classes[0]
    assert line["frames"][int(np.argmax(heat))]["start_seconds"] >= 3.0
    assert line["seconds"]["deletion"] < line["seconds"]["insertion"]
    assert "Why city" in page.read_text()
    assert video.stat().st_size > 1000
    done = run(app, ["explain", trip, *where, "--head", "tags", "--class", "no such thing"])
    assert isinstance(done.exception, QueryError)
    for option in ("--page", "--picture", "--video"):
        done = run(app, ["explain", trip, *where, option, trip, "--force"])
        assert "one of the videos" in str(done.exception)
    assert run(app, ["explain", trip, city, *where, "--class", "city"]).exit_code == 2
    assert run(app, ["explain", trip, *where, "--motion-weight", "0.5"]).exit_code == 2


def test_without_a_library_files_are_read_by_the_usual_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_scenes(tmp_path / "a.mp4", [(CITY, 1.0)])
    done = CliRunner().invoke(app, ["explain", "a.mp4", "--json"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["frames"]) == 2
    assert not (tmp_path / "soravec.library").exists()
    done = CliRunner().invoke(app, ["explain", "0" * 32 + ":0"])
    assert "--library" in str(done.exception)


def test_regions_say_which_extra_is_missing(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "soravec.evaluation.regions", None)
    trip = str(place(library, "videos/trip.mp4"))
    done = CliRunner().invoke(app, ["explain", trip, "--library", str(library.path), "--regions"])
    assert isinstance(done.exception, soravec.errors.MissingExtra)
    assert "soravec[train]" in str(done.exception)
