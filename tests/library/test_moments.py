import pytest

from soravec.library.moments import Match, find_moments


def match(query, video, start, end, score, *, length=4.0, ordinal=0, motion=float("nan")):
    return Match(query, query * length, length, video, ordinal, start, end, score, score, motion)


def test_the_docstrings_example():
    moments = find_moments([match(0, 1, 10, 14, 0.9), match(1, 1, 14, 18, 0.7)], 8.0)
    assert (moments[0].start_seconds, moments[0].end_seconds) == (10, 18)
    assert moments[0].score == pytest.approx(0.8)


def test_a_run_beats_two_strong_matches_out_of_order():
    aligned = [match(0, 1, 10, 14, 0.8), match(1, 1, 14, 18, 0.8)]
    crossed = [match(0, 2, 50, 54, 0.9), match(1, 2, 10, 14, 0.9)]
    first, second = find_moments([*crossed, *aligned], 8.0)[:2]
    assert first.video_key == 1
    assert first.score == pytest.approx(0.8)
    assert second.score == pytest.approx(0.45)


def test_overlaps_are_suppressed_but_neighbours_stay():
    matches = [
        match(0, 1, 0, 4, 0.9),
        match(0, 1, 1, 5, 0.8),
        match(0, 1, 4, 8, 0.7),
        match(0, 2, 1, 5, 0.6),
    ]
    found = [(m.video_key, m.start_seconds) for m in find_moments(matches, 4.0)]
    assert found == [(1, 0), (1, 4), (2, 1)]


def test_motion_is_the_mean_where_there_is_any():
    moments = find_moments([match(0, 1, 0, 4, 0.9, motion=0.5), match(1, 1, 4, 8, 0.9)], 8.0)
    assert moments[0].motion == pytest.approx(0.5)


def test_nothing_gives_nothing():
    assert find_moments([], 4.0) == []
