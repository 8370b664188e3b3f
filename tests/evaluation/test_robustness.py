import numpy as np
import pytest

from soravec.data.augmentation import PERTURBATION_LEVELS
from soravec.data.clips import Clip
from soravec.data.features import clip_features
from soravec.errors import UnreadableVideo
from soravec.evaluation.robustness import choose_clips, conditions, damaged_features, damaged_scores
from soravec.runtime.vectors import normalise
from tests.conftest import write_numbered


@pytest.fixture(scope="module")
def clip(video_dir):
    return Clip(write_numbered(video_dir / "robust.mp4", 75), row=1)


def likeness(first, second):
    pair = normalise(first.astype(np.float32)), normalise(second.astype(np.float32))
    return float((pair[0] * pair[1]).sum(axis=1).mean())


def test_features_move_away_with_the_damage(encoder, clip):
    clean = encoder.read(clip.path)
    found = damaged_features(encoder, clip, clean)
    assert sorted(found) == sorted(conditions())
    for kind in ("noise", "blur", "jpeg"):
        worse = [found[kind, level] for level in PERTURBATION_LEVELS[kind]]
        near = [likeness(one.features, clean.features) for one in worse]
        assert near[-1] < near[0] < 0.9999, kind
        assert near[0] > 0.5, kind
        assert all((one.seconds == clean.seconds).all() for one in worse)
    for level in PERTURBATION_LEVELS["drop"]:
        kept = found["drop", level]
        assert len(kept) == max(2, round(len(clean) * (1 - level)))
        rows = np.searchsorted(clean.seconds, kept.seconds)
        assert (kept.features == clean.features[rows]).all()


def test_a_span_is_decoded_where_it_lies_and_the_seed_decides(encoder, clip):
    span = Clip(clip.path, start_seconds=1.0, end_seconds=2.0, row=2)
    features = clip_features(encoder.read(clip.path), span)
    first, again, other = (
        damaged_features(encoder, span, features, seed=seed) for seed in (0, 0, 1)
    )
    key = "noise", PERTURBATION_LEVELS["noise"][-1]
    assert len(first[key]) == len(features) == 2
    assert (first[key].features == again[key].features).all()
    assert (first[key].features != other[key].features).any()


def test_a_clip_that_is_gone_is_left_out_and_told(encoder, clip, tmp_path):
    features = encoder.read(clip.path)
    gone = Clip(tmp_path / "gone.mp4", row=9)
    scores, kept, unread = damaged_scores(
        encoder, [(gone, features), (clip, features)], lambda f: np.array([float(len(f))])
    )
    assert kept.tolist() == [1]
    assert all(values.shape == (1, 1) for values in scores.values())
    assert unread[0].clip is gone
    assert "gone.mp4" in unread[0].message


def test_a_clip_that_has_changed_is_an_error(encoder, clip, video_dir):
    features = encoder.read(clip.path)
    short = Clip(write_numbered(video_dir / "shorter.mp4", 20), row=3)
    with pytest.raises(UnreadableVideo, match="frames that were read before"):
        damaged_features(encoder, short, features)


def test_the_chosen_clips_hold_every_class_in_its_share():
    truth = np.eye(3)[[0] * 60 + [1] * 30 + [2] * 10]
    rows = choose_clips(truth, most=20, seed=3)
    assert len(rows) == 20
    assert truth[rows].sum(axis=0).tolist() == [12, 6, 2]
    assert (np.diff(rows) > 0).all()
    assert (choose_clips(truth, most=20, seed=3) == rows).all()
    assert (choose_clips(truth, most=20, seed=4) != rows).any()
    assert choose_clips(truth, most=100).tolist() == list(range(100))
