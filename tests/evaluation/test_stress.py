import numpy as np
import pytest

from soravec.evaluation.pooling import pooled_mean, pooled_statistics
from soravec.evaluation.stress import (
    NUM_SHUFFLES,
    order_scores,
    rates_below,
    reordered,
    thinned,
    view_scores,
    views_of,
)
from tests.evaluation.making import features_of


def ramp(length=8, cuts=()):
    return features_of(np.arange(length)[:, None], cuts=cuts)


def frames(features):
    return features.features[:, 0].tolist()


def test_frames_change_places_only_within_their_segment():
    clip = ramp(12, cuts=(3.0,))
    reverse = reordered(clip, "reversed", 8.0, np.random.default_rng(0))
    assert frames(reverse) == [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6]
    shuffled = frames(reordered(clip, "shuffled", 8.0, np.random.default_rng(0)))
    assert sorted(shuffled[:6]) == list(range(6))
    assert shuffled[:6] != list(range(6))
    assert sorted(shuffled[6:]) == list(range(6, 12))
    still = reordered(clip, "still", 8.0, np.random.default_rng(0))
    assert frames(still) == [3] * 6 + [9] * 6


def test_reversed_frames_keep_their_distances():
    clip = ramp(3)
    clip.seconds[:] = [0.0, 0.25, 1.0]
    reverse = reordered(clip, "reversed", 8.0, np.random.default_rng(0))
    assert reverse.seconds.tolist() == [0.0, 0.75, 1.0]
    assert frames(reverse) == [2, 1, 0]
    assert clip.seconds.tolist() == [0.0, 0.25, 1.0]


def test_a_score_that_reads_order_tells_and_a_mean_does_not():
    clips = [ramp(8) for _ in range(20)]
    rises = order_scores(
        lambda f: np.array([float(f.features[-1, 0] > f.features[0, 0])]), clips, segment_seconds=8
    )
    assert len(rises["shuffled"]) == NUM_SHUFFLES
    assert 0.2 < np.mean(rises["shuffled"]) < 0.8
    assert (rises["reversed"][0] == 0).all()
    means = order_scores(
        lambda f: f.features.mean(0, np.float64, keepdims=True)[0], clips, segment_seconds=8
    )
    assert np.ptp([*means["shuffled"], *means["reversed"]]) == 0


def test_shuffles_follow_from_the_seed():
    def found(seed):
        scores = order_scores(
            lambda f: f.features[:, 0].astype(float), [ramp(8)], segment_seconds=8, seed=seed
        )
        return np.array(scores["shuffled"])

    assert (found(0) == found(0)).all()
    assert (found(0) != found(1)).any()
    assert (found(0)[0] != found(0)[1]).any()


def test_thinning_keeps_what_a_lower_rate_would_have_met():
    assert frames(thinned(ramp(8), 1.0)) == [0, 2, 4, 6]
    assert frames(thinned(ramp(8), 0.5)) == [0, 4]
    assert frames(thinned(ramp(8), 2.0)) == list(range(8))
    assert thinned(ramp(8), 1.0).shots is not None


def test_rates_halve_down_to_about_one_frame():
    assert rates_below(2.0, [ramp(8)]) == [1.0, 0.5, 0.25]
    assert rates_below(2.0, [ramp(1)]) == [1.0]


def test_views_are_the_clip_and_spans_spread_over_it():
    clip = ramp(16)
    views = list(views_of(clip, num_views=5, share=0.75))
    assert views[0] is clip
    bounds = [view.shots.bounds[[0, -1], [0, 1]].tolist() for view in views[1:]]
    assert bounds == pytest.approx(np.array([[0, 6], [2 / 3, 20 / 3], [4 / 3, 22 / 3], [2, 8]]))
    assert frames(views[1]) == list(range(12))
    assert frames(views[4]) == list(range(4, 16))


def test_views_keep_cuts():
    views = list(views_of(ramp(16, cuts=(3.0,)), num_views=2, share=0.5))
    assert views[1].shots.bounds.tolist() == [[0.0, 3.0], [3.0, 4.0]]


def test_view_scores_are_means_over_views():
    scores = view_scores(lambda f: np.array([float(len(f))]), [ramp(16)])
    assert scores == pytest.approx(np.array([[(16 + 4 * 12) / 5]]), abs=0.5)


def test_a_single_frame_bears_everything():
    clip = ramp(1)
    for order in ("shuffled", "reversed", "still"):
        assert frames(reordered(clip, order, 8.0, np.random.default_rng(0))) == [0]
    assert [len(view) for view in views_of(clip)] == [1] * 5
    assert frames(thinned(clip, 0.1)) == [0]


def test_statistics_take_no_change_across_a_cut():
    values = np.array([[1.0, 0]] * 4 + [[0, 1.0]] * 4)
    whole = pooled_statistics(features_of(values), segment_seconds=8, parts=(2, 0, 0))
    cut = pooled_statistics(features_of(values, cuts=(2.0,)), segment_seconds=8, parts=(2, 0, 0))
    assert whole == pytest.approx([0.5, 0.5, 0.5, 0.5, 1 / 7, 1 / 7])
    assert cut == pytest.approx([0.5, 0.5, 0, 0, 0, 0])
    mean = pooled_mean(features_of(values), segment_seconds=8, parts=(2, 0, 0))
    assert mean == pytest.approx([0.5, 0.5])


def test_looks_and_difference_are_scaled_to_unit_length_but_not_the_layout():
    values = np.array([[3.0, 4, 0, 5, 7]])
    found = pooled_mean(features_of(values), segment_seconds=8, parts=(2, 2, 1))
    assert found == pytest.approx([0.6, 0.8, 0, 1, 7])


def test_statistics_weigh_segments_by_duration():
    clip = features_of([[1.0, 0]] * 6 + [[0, 1.0]] * 2, cuts=(3.0,))
    found = pooled_mean(clip, segment_seconds=8, parts=(2, 0, 0))
    assert found == pytest.approx([0.75, 0.25])
