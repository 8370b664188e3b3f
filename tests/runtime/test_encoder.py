import subprocess
import tarfile
from dataclasses import replace

import numpy as np
import pytest

import soravec
from soravec.data.generated import SCENES, Motion, render
from soravec.errors import MissingExtra, ModelError, QueryError
from soravec.runtime.encoder import Encoder
from soravec.runtime.engine import choose_engine
from soravec.runtime.frames import features_of_segment, frames_of_segment
from soravec.types import FrameFeatures
from soravec.video import VideoWriter

ENGINES = [("openvino", "auto"), ("openvino", "float32"), ("onnxruntime", "float32")]


def write_scenes(path, plan, *, width=320, height=240, codec="h264"):
    """Write (scene number, seconds) one after the other, 25 frames/s."""
    with VideoWriter(path, width=width, height=height, fps=25.0, codec=codec) as writer:
        for number, (scene, seconds) in enumerate(plan):
            for image in render(
                SCENES[scene], round(25 * seconds), width=width, height=height, seed=number
            ):
                writer.write(image)
    return path


@pytest.fixture(scope="module")
def two_shots(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "two.mp4"
    return write_scenes(path, [(0, 10.0), (4, 5.0)])


@pytest.fixture(scope="module")
def encoder():
    return soravec.load()


def test_an_embedding_has_the_promised_shape(encoder, two_shots):
    result = encoder.embed(two_shots)
    assert result.vector.shape == (encoder.dim,)
    assert np.linalg.norm(result.vector) == pytest.approx(1, abs=1e-5)
    assert result.space_id == encoder.space_id
    spans = [(s.start_seconds, s.end_seconds) for s in result.segments]
    np.testing.assert_allclose(spans, [(0, 5), (5, 10), (10, 15)], atol=0.05)
    for segment in result.segments:
        assert segment.vector.dtype == np.float32
        assert np.linalg.norm(segment.vector) == pytest.approx(1, abs=1e-5)


def test_segments_of_one_shot_are_alike_and_others_are_not(encoder, two_shots):
    first, second, other = (s.vector for s in encoder.embed(two_shots).segments)
    assert first @ second > first @ other


def test_the_engines_agree(two_shots):
    vectors = {}
    for engine, precision in ENGINES:
        encoder = soravec.load(engine=engine, precision=precision)
        result = encoder.embed(two_shots)
        assert result.recipe["engine"].startswith(engine)
        vectors[engine, precision] = np.stack([s.vector for s in result.segments])
    reference = vectors["onnxruntime", "float32"]
    for found in vectors.values():
        assert (found * reference).sum(axis=1).min() >= 0.999


def test_a_clip_cut_out_has_the_vector_that_its_span_has(encoder, two_shots):
    whole = encoder.embed(two_shots).segments[1].vector
    span = encoder.embed(two_shots, start_seconds=5.0, end_seconds=10.0)
    assert len(span.segments) == 1
    assert whole @ span.vector > 0.999


def test_features_alone_give_the_same_vectors(encoder, two_shots):
    features = encoder.read(two_shots)
    assert features.features.dtype == np.float16
    assert features.features.shape == (30, encoder.config.cnn.feature_dim)
    again = encoder.embed_features(features)
    np.testing.assert_array_equal(again.vector, encoder.embed_features(features).vector)


def test_features_of_another_cnn_are_refused(encoder, two_shots):
    features = encoder.read(two_shots)
    other = FrameFeatures(
        features.features, features.seconds, features.shots, features.info, "0" * 16
    )
    with pytest.raises(ModelError, match="Index it again with this model"):
        encoder.embed_features(other)


def test_keyframes_have_motion_from_the_pictures_after_them(encoder, tmp_path):
    frames = render(SCENES[0], 8 * 25, width=160, height=120, seed=0)
    path = tmp_path / "moving.mp4"
    with VideoWriter(path, width=160, height=120, fps=25, keyframe_seconds=1) as writer:
        for image in frames:
            writer.write(image)
    result, full = (encoder.embed(path, sampling=way) for way in ("keyframes", "uniform"))
    assert result.recipe["motion"] == "keyframes and a picture after each"
    assert all(segment.approximate for segment in result.segments)
    appearance_dim = encoder.config.temporal.appearance_dim
    looks, motion = np.split(result.vector, [appearance_dim])
    full_looks, full_motion = np.split(full.vector, [appearance_dim])
    assert looks @ full_looks > 0.9 * (full_looks @ full_looks)
    assert motion @ full_motion > 0.5 * (full_motion @ full_motion) > 0


def test_a_segment_of_one_keyframe_has_motion_and_one_without_has_none(encoder, tmp_path):
    path = tmp_path / "far.mp4"
    with VideoWriter(path, width=160, height=120, fps=5, keyframe_seconds=20) as writer:
        for image in render(SCENES[0], 5 * 16, width=160, height=120, seed=0):
            writer.write(image)
    result = encoder.embed(path, sampling="keyframes")
    appearance_dim = encoder.config.temporal.appearance_dim
    with_one, *without = (segment.vector[appearance_dim:].any() for segment in result.segments)
    assert with_one
    assert without
    assert not any(without)


def test_where_every_picture_is_a_keyframe_they_have_no_motion(encoder, tmp_path):
    path = tmp_path / "intra.mp4"
    with VideoWriter(path, width=160, height=120, fps=5, keyframe_seconds=0.2) as writer:
        for image in render(SCENES[0], 20, width=160, height=120, seed=0):
            writer.write(image)
    result = encoder.embed(path, sampling="keyframes")
    appearance_dim = encoder.config.temporal.appearance_dim
    assert "motion" not in result.recipe
    assert not np.stack([s.vector for s in result.segments])[:, appearance_dim:].any()


def test_decoding_fast_gives_nearly_the_same_vectors_and_says_so(encoder, two_shots):
    exact, fast = encoder.embed(two_shots), encoder.embed(two_shots, fast_decode=True)
    assert fast.recipe["decode"] == "fast"
    assert "decode" not in exact.recipe
    for one, other in zip(exact.segments, fast.segments, strict=True):
        assert one.vector @ other.vector > 0.995
    assert not np.array_equal(exact.vector, fast.vector)  # H.264 is smoothed


def test_a_segment_without_a_sample_gets_its_middle_frame(encoder, two_shots):
    """At 0.1 frames/s only 0 s and 10 s are sampled; the piece [5, 10) has neither."""
    sparse = Encoder(encoder.folder)
    sparse.config = replace(encoder.config, sampling=replace(encoder.config.sampling, fps=0.1))
    features = sparse.read(two_shots)
    result = sparse.embed_features(features)
    assert len(result.segments) >= 2
    for segment in result.segments:
        inside = features.seconds[
            (features.seconds >= segment.start_seconds) & (features.seconds < segment.end_seconds)
        ]
        assert len(inside) >= 1
    assert len(features) == len(result.segments)


def test_a_picture_is_a_query_without_motion(encoder, tmp_path):
    path = tmp_path / "still.png"
    image = next(render(SCENES[3], 1, motion=Motion()))
    with VideoWriter(
        path, width=320, height=240, fps=25.0, codec="png", pixel_format="rgb24"
    ) as writer:
        writer.write(image)
    result = encoder.embed_image(path)
    assert len(result.segments) == 1
    assert not result.vector[encoder.config.temporal.appearance_dim :].any()


def test_chunks_with_carried_state_equal_one_pass(encoder):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 12, encoder.config.cnn.feature_dim)).astype(np.float32)
    elapsed = rng.uniform(0.1, 1, (3, 12)).astype(np.float32)
    elapsed[:, 0] = 0
    mask = np.ones((3, 12), np.float32)
    for engine in ("openvino", "onnxruntime"):
        model = soravec.load(engine=engine)
        whole = model.run_temporal(features, elapsed, mask)
        state, readings = None, []
        for part in (slice(0, 1), slice(1, 6), slice(6, 12)):
            out = model.run_temporal(features[:, part], elapsed[:, part], mask[:, part], state)
            state = out["new_state"]
            readings.append(out["reading"])
        np.testing.assert_allclose(np.concatenate(readings, 1), whole["reading"], atol=1e-5)
        np.testing.assert_allclose(state, whole["new_state"], atol=1e-5)


def test_padding_changes_nothing(encoder):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(1, 5, encoder.config.cnn.feature_dim)).astype(np.float32)
    elapsed = np.full((1, 5), 0.5, np.float32)
    short = encoder.run_temporal(features, elapsed, np.ones((1, 5), np.float32))
    padded = encoder.run_temporal(
        np.concatenate([features, 9 * np.ones_like(features)], axis=1),
        np.concatenate([elapsed, elapsed], axis=1),
        np.array([[1.0] * 5 + [0.0] * 5], np.float32),
    )
    np.testing.assert_allclose(padded["reading"][:, :5], short["reading"], atol=1e-5)
    np.testing.assert_allclose(padded["new_state"], short["new_state"], atol=1e-5)


def test_a_span_outside_the_video_is_an_error(encoder, two_shots):
    with pytest.raises(QueryError, match="two.mp4"):
        encoder.embed(two_shots, start_seconds=100.0, end_seconds=110.0)


def test_an_unknown_sampling_or_engine_is_an_error(encoder, two_shots):
    with pytest.raises(QueryError, match="choose auto, uniform or keyframes"):
        encoder.embed(two_shots, sampling="sometimes")
    with pytest.raises(ModelError, match="choose auto, openvino or onnxruntime"):
        choose_engine("tensorrt")


def test_a_missing_engine_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("soravec.runtime.engine.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install onnxruntime"):
        choose_engine("onnxruntime")


def test_onnx_runtime_does_not_pretend_to_bfloat16(two_shots):
    encoder = soravec.load(engine="onnxruntime", precision="bfloat16")
    with pytest.raises(ModelError, match="use OpenVINO for bfloat16"):
        encoder.embed(two_shots)


def test_frames_of_segment():
    seconds = np.array([0.0, 0.5, 1.0, 4.0])
    assert frames_of_segment(seconds, 0.5, 1.1).tolist() == [1, 2]
    assert frames_of_segment(seconds, 2.0, 3.0).tolist() == [2]
    assert frames_of_segment(seconds, 8.0, 9.0).tolist() == [3]


@pytest.mark.parametrize(
    ("parts", "first"),
    [((2, 1, 0), [1, 2, 30]), ((1, 1, 1), [1, 20, 30]), ((2, 0, 1), [1, 2, 3])],
)
def test_a_segment_reads_no_difference_to_what_lies_before_it(parts, first):
    features = np.array([[7, 7, 7], [1, 2, 3], [10, 20, 30]], np.float16)
    read = features_of_segment(features, np.array([1, 2]), parts)
    assert read.tolist() == [first, [10, 20, 30]]
    assert features_of_segment(features, np.array([1]), parts).tolist() == [[1, 2, 3]]
    assert features[1].tolist() == [1, 2, 3]


def test_a_video_has_one_vector_whatever_it_is_read_from(encoder, two_shots, tmp_path):
    wanted = encoder.embed(two_shots).vector
    with tarfile.open(tmp_path / "clips.tar", "w") as tar:
        tar.add(two_shots, "two.mp4")
    assert np.array_equal(encoder.embed(tmp_path / "clips.tar/two.mp4").vector, wanted)
    assert np.array_equal(encoder.embed(two_shots.read_bytes()).vector, wanted)
    sending = subprocess.Popen(["cat", two_shots], stdout=subprocess.PIPE)  # noqa: S607
    with sending:
        assert np.array_equal(encoder.embed(sending.stdout).vector, wanted)
