"""Heads: linear, stored in the model folder, run without PyTorch."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import soravec
from soravec.errors import ModelError
from soravec.runtime.folder import find_model
from soravec.runtime.heads import Head, HeadConfig, head_names, read_head, top, write_head
from soravec.types import Embedding, Segment, VideoInfo

INFO = VideoInfo("a.mp4", "mp4", "h264", "yuv420p", 4, 4, 0, 0.0, 4.0, 25.0, 10, False, 1)


def head(activation="softmax", name="kinds", space="s"):
    config = HeadConfig(("cat", "dog", "eel"), activation, space, 8.0)
    weight = np.array([[2, 0], [0, 2], [-1, -1]], np.float32)
    return Head(name, config, weight, np.array([0, 0.5, 0], np.float32))


def embedding(space="s"):
    spans = [(0.0, 1.0, [1.0, 0.0]), (1.0, 4.0, [0.0, 1.0])]
    segments = tuple(Segment(a, b, np.array(v, np.float32)) for a, b, v in spans)
    return Embedding("a.mp4", segments[0].vector, segments, space, INFO)


def test_a_video_is_called_after_the_mean_of_its_segments_weighted_by_duration():
    result = head("identity").classify(embedding())
    np.testing.assert_allclose(result.segments[0].scores, [2, 0.5, -1])
    np.testing.assert_allclose(result.segments[1].scores, [0, 2.5, -1])
    np.testing.assert_allclose(result.scores, [0.5, 2.0, -1])
    assert (result.label, result.probability) == ("dog", 2.0)


def test_probabilities_are_those_of_softmax_and_sigmoid():
    vectors = np.array([[1, 0], [300, -300]], np.float32)
    soft, each = head().scores(vectors), head("sigmoid").scores(vectors[:1])
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(soft[0], np.exp([2, 0.5, -1]) / np.exp([2, 0.5, -1]).sum(), 1e-5)
    np.testing.assert_allclose(each, 1 / (1 + np.exp(-np.array([[2, 0.5, -1]]))), 1e-5)
    assert list(top(("cat", "dog", "eel"), soft[0], 2)) == [
        ("cat", pytest.approx(soft[0, 0])),
        ("dog", pytest.approx(soft[0, 1])),
    ]


def test_a_head_is_kept_in_the_folder(tmp_path):
    write_head(tmp_path, head())
    again = read_head(tmp_path)
    assert again.config == head().config
    np.testing.assert_array_equal(again.weight, head().weight)
    write_head(tmp_path, head(name="other"))
    assert head_names(tmp_path) == ("kinds", "other")
    with pytest.raises(ModelError, match="choose one of kinds, other"):
        read_head(tmp_path)
    assert read_head(tmp_path, "other").name == "other"


def test_tags_answer_where_there_is_no_other_head(tmp_path):
    write_head(tmp_path, head(name="tags"))
    assert read_head(tmp_path).name == "tags"
    write_head(tmp_path, head(name="zoo"))
    assert read_head(tmp_path).name == "zoo"
    write_head(tmp_path, head(name="other"))
    with pytest.raises(ModelError, match="choose one of other, tags, zoo"):
        read_head(tmp_path)


def test_a_class_answers_to_all_its_names(tmp_path):
    words = (("kitten", "猫"), (), ("fish", "猫"))
    named = replace(head(), config=replace(head().config, words=words, least=0.25))
    write_head(tmp_path, named)
    again = read_head(tmp_path)
    assert again.config == named.config
    assert again.called("CAT") == again.called("kitten ") == (0,)
    assert again.called("猫") == (0, 2)
    assert again.called("dog") == (1,)
    assert again.classify(embedding()).least == 0.25
    assert again.called("do") == ()
    with pytest.raises(ModelError, match="names for 1 of its classes"):
        replace(head(), config=replace(head().config, words=(("kitten",),)))


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ModelError, match="soravec train"):
        read_head(tmp_path)
    write_head(tmp_path, head())
    with pytest.raises(ModelError, match="It has: kinds"):
        read_head(tmp_path, "sorts")
    with pytest.raises(ModelError, match="of space t"):
        head().classify(embedding("t"))
    path = tmp_path / "heads" / "kinds.json"
    raw = json.loads(path.read_text())
    for change, reason in [
        ({"classes": ["cat"]}, "1 classes, but weights"),
        ({"activation": "relu"}, "must be one of softmax"),
        ({"clases": []}, "did you mean 'classes'"),
    ]:
        path.write_text(json.dumps(raw | change))
        with pytest.raises(ModelError, match=reason):
            read_head(tmp_path)
    path.with_suffix(".safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="damaged"):
        read_head(tmp_path)


def test_an_encoder_classifies_with_the_head_of_its_folder(tmp_path, numbered_video):
    shutil.copytree(find_model("sora-mini").path, tmp_path / "model")
    encoder = soravec.load(tmp_path / "model")
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, encoder.dim)).astype(np.float32)
    config = replace(head().config, space_id=encoder.space_id)
    write_head(tmp_path / "model", Head("kinds", config, weight, np.zeros(3, np.float32)))
    result = encoder.classify(numbered_video)
    expected = encoder.head().classify(encoder.embed(numbered_video))
    np.testing.assert_array_equal(result.scores, expected.scores)
    assert result.scores.sum() == pytest.approx(1, abs=1e-5)
    shutil.rmtree(tmp_path / "model/heads")
    with pytest.raises(ModelError, match="no head"):
        soravec.load(tmp_path / "model").classify(numbered_video)


def test_another_rate_keeps_the_space():
    encoder = soravec.load()
    faster = encoder.sampled(fps=8.0)
    assert faster.config.sampling.fps == 8.0
    assert faster.config.sampling.segment_seconds == encoder.config.sampling.segment_seconds
    assert faster.space_id == encoder.space_id
