from dataclasses import replace

import numpy as np
import pytest

import soravec
from soravec.errors import ModelError, QueryError
from soravec.runtime.heads import Head, HeadConfig
from soravec.tasks.events import (
    EventOptions,
    events_of_files,
    events_of_library,
    find_events,
    frame_scores,
    ranked_spans,
    smoothed,
    snapped,
    spans_of,
)
from soravec.tasks.events_page import events_page
from soravec.tasks.teach import taught_head, teach
from soravec.types import Event
from soravec.video import Span
from tests.library.conftest import write_scenes

PLAIN = EventOptions(
    threshold=0.5, smooth_seconds=0, gap_seconds=0, least_seconds=0, snap_seconds=0
)


def found(scores, **changes):
    scores = np.array(scores, np.float32)
    bounds = np.arange(len(scores) + 1, dtype=np.float64)
    return [span for span, _ in spans_of(scores, bounds, replace(PLAIN, **changes))]


def test_an_event_goes_on_below_the_threshold_but_does_not_begin_there():
    assert found([0, 0.3, 0.6, 0.3, 0, 0.3, 0]) == [(1, 4)]
    assert found([0, 0.3, 0.6, 0.3, 0], going_on=1.0) == [(2, 3)]
    assert found([0.9, 0.2, 0.9]) == [(0, 1), (2, 3)]
    assert found([0.2, 0.1]) == []
    assert found([1, 1]) == [(0, 2)]


def test_near_events_are_one_and_short_ones_none():
    scores = [0.9, 0, 0.9, 0, 0, 0, 0.9]
    assert found(scores, gap_seconds=1.5) == [(0, 3), (6, 7)]
    assert found(scores, gap_seconds=1.5, least_seconds=2) == [(0, 3)]
    assert found(scores, gap_seconds=10) == [(0, 7)]


def test_ends_move_to_a_cut_that_is_near():
    scores, bounds = np.array([0, 0, 1, 1, 1, 0, 0], np.float32), np.arange(8.0)
    options = replace(PLAIN, snap_seconds=1)
    cuts = np.array([0, 1, 6])
    assert [span for span, _ in spans_of(scores, bounds, options, cuts)] == [(1, 6)]
    far = replace(PLAIN, snap_seconds=0.5)
    assert [span for span, _ in spans_of(scores, bounds, far, cuts)] == [(2, 5)]
    # Both ends at one cut would leave nothing.
    assert snapped(3, 4, bounds, np.array([0, 3]), 1.0) == (3, 4)
    assert snapped(4, 6, bounds, np.array([0]), 2.0) == (4, 7)


def test_the_score_is_the_mean_within():
    ((span, score),) = spans_of(np.array([0, 0.4, 0.8], np.float32), np.arange(4.0), PLAIN)
    assert span == (1, 3)
    assert score == pytest.approx(0.6)


def test_smoothing_weighs_by_time_not_by_frames():
    # A frame that speaks for three seconds counts for three.
    scores = np.array([0, 1, 0], np.float32)
    assert smoothed(scores, np.array([0.0, 1, 4, 5]), 5.0)[1] == pytest.approx(3 / 5)
    even = smoothed(np.array([0, 3, 0, 0], np.float32), np.arange(5.0), 3.0)
    assert even == pytest.approx([3 / 2, 1, 1, 0])
    constant = smoothed(
        np.full(50, 0.7, np.float32), np.sort(np.random.default_rng(0).random(51)), 2
    )
    assert constant == pytest.approx(0.7)


def test_ranked_spans_are_unlike_and_surest_first():
    rng = np.random.default_rng(3)
    scores = np.clip(rng.random(200) * 0.2, 0, 1).astype(np.float32)
    scores[50:70] = 0.9
    scores[120:140] = 0.6
    ranked = ranked_spans(scores, np.arange(201.0), replace(PLAIN, smooth_seconds=3))
    (first, sure), (second, less), *_ = ranked
    assert abs(first[0] - 50) <= 2
    assert abs(first[1] - 70) <= 2
    assert abs(second[0] - 120) <= 2
    assert sure > less
    for (a, b), _ in ranked:
        for (c, d), _ in ranked:
            shared = max(min(b, d) - max(a, c), 0)
            assert (a, b) == (c, d) or shared / (b - a + d - c - shared) <= 0.5


def test_options_that_make_no_sense():
    for wrong in ({"threshold": 0}, {"going_on": 1.1}, {"gap_seconds": -1}, {"window_seconds": 0}):
        with pytest.raises(QueryError):
            EventOptions(**wrong)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Two videos in which one place is seen for a while, and one in which it is not."""
    folder = tmp_path_factory.mktemp("events")
    write_scenes(folder / "videos/a.mp4", [(2, 5.0), (0, 5.0), (4, 5.0)], seed=1)
    write_scenes(folder / "videos/b.mp4", [(0, 5.0), (5, 6.0), (3, 5.0)], seed=2)
    write_scenes(folder / "videos/c.mp4", [(2, 5.0), (3, 5.0)], seed=3)
    with soravec.Library(folder / "events.library") as library:
        library.add(folder / "videos")
        videos = folder / "videos"
        yes = [Span(videos / "a.mp4", 5, 10)]
        no = [Span(videos / "a.mp4", 0, 5), Span(videos / "a.mp4", 10, 15)]
        no.append(Span(videos / "c.mp4", 0, 10))
        teach(library, "the place", yes=yes, no=no)
        yield library, videos


def test_a_taught_label_is_found_where_it_was_not_taught(library):
    library, videos = library
    head = taught_head(library, "the place")
    encoder = library.encoder()
    options = EventOptions(window_seconds=2.0)
    kept = list(events_of_library(library, encoder, head, options))
    seen = {one.path: one.events for one in kept}
    assert list(seen) == [str(videos / f"{name}.mp4") for name in "abc"]
    assert seen[str(videos / "c.mp4")] == ()
    for name, start, end in (("a", 5, 10), ("b", 0, 5)):
        (event,) = seen[str(videos / f"{name}.mp4")]
        assert event.label == "the place"
        assert abs(event.start_seconds - start) <= 2  # a window
        assert abs(event.end_seconds - end) <= 2
    decoded = events_of_files([videos / "b.mp4", videos / "no.mp4"], encoder, head, options)
    good, bad = decoded
    assert good.events == seen[str(videos / "b.mp4")]
    assert bad.events is None
    assert bad.error_type == "MissingVideo"
    (stored,) = (one for one in kept if one.path == good.path)
    assert stored.seconds == good.seconds == (0.0, 16.0)
    for one in (good, stored):
        page = events_page([one])
        assert page.count("<img") == 8
        assert page.count("<rect") == 2


def test_windows_are_read_as_segments_are(library):
    library, videos = library
    encoder, head = library.encoder(), taught_head(library, "the place")
    features = encoder.read(videos / "a.mp4")
    scores = frame_scores(features, encoder, head, window_seconds=3.0)
    middle = features.seconds[12]
    (vector,) = encoder.span_vectors(features, np.array([[middle - 1.5, middle + 1.5]]))
    assert scores.shape == (len(features), 1)
    assert scores[12] == pytest.approx(head.scores(vector[None])[0], abs=1e-5)


def test_segments_are_read_unless_a_window_is_asked_for(library):
    library, videos = library
    encoder, head = library.encoder(), taught_head(library, "the place")
    features = encoder.read(videos / "b.mp4")
    scores = frame_scores(features, encoder, head)[:, 0]
    whole = head.classify(encoder.embed_features(features))
    for segment in whole.segments:
        inside = (features.seconds >= segment.start_seconds) & (
            features.seconds < segment.end_seconds
        )
        assert inside.any()
        assert scores[inside] == pytest.approx(segment.scores[0], abs=1e-6)
    (event,) = find_events(features, encoder, head)
    assert event.start_seconds == 0
    assert abs(event.end_seconds - 5) < 0.1


def test_a_running_head_reads_the_state(library):
    library, videos = library
    encoder = library.encoder()
    features = encoder.read(videos / "a.mp4")
    vectors = encoder.running_vectors(features)
    assert vectors.shape == (len(features), encoder.dim)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    weight = np.random.default_rng(0).normal(size=(2, encoder.dim)).astype(np.float32)
    config = HeadConfig(("x", "y"), "sigmoid", encoder.space_id, running=True)
    head = Head("running", config, weight, np.zeros(2, np.float32))
    assert np.array_equal(frame_scores(features, encoder, head), head.scores(vectors))
    events = find_events(features, encoder, head, EventOptions(threshold=0.01, least_seconds=0))
    assert {event.label for event in events} == {"x", "y"}
    assert list(events) == sorted(events, key=lambda e: (e.start_seconds, e.end_seconds))


def test_a_running_head_wants_the_rate_that_it_was_learned_at(library):
    library, _ = library
    encoder = library.encoder()
    weight, bias = np.zeros((1, encoder.dim), np.float32), np.zeros(1, np.float32)
    told = {"activation": "sigmoid", "space_id": encoder.space_id, "running": True}
    for rate, is_read in ((encoder.config.sampling.fps, True), (8.0, False)):
        head = Head("h", HeadConfig(("x",), sample_fps=rate, **told), weight, bias)
        for one in events_of_library(library, encoder, head):
            assert (one.events is not None) == is_read
            assert is_read or "learned at 8" in one.message


def test_state_is_carried_over_chunks(library, monkeypatch):
    library, videos = library
    encoder = library.encoder()
    features = encoder.read(videos / "a.mp4")
    whole = encoder.running_vectors(features)
    monkeypatch.setattr("soravec.runtime.temporal.BATCH_LOOKS", 7)
    assert encoder.running_vectors(features) == pytest.approx(whole, abs=1e-5)


def test_heads_that_do_not_fit_are_refused(library):
    library, _ = library
    encoder = library.encoder()
    weight, bias = np.zeros((1, encoder.dim), np.float32), np.zeros(1, np.float32)
    other = Head("h", HeadConfig(("x",), "sigmoid", "another"), weight, bias)
    numbers = Head("h", HeadConfig(("x",), "identity", encoder.space_id), weight, bias)
    for head in (other, numbers):
        with pytest.raises(ModelError):
            list(events_of_library(library, encoder, head))


def test_an_event_ends_after_its_start():
    with pytest.raises(ValueError, match="not after"):
        Event("a.mp4", 2.0, 2.0, "x", 0.5)
