import numpy as np
import pytest

import soravec
from soravec.errors import ModelError
from soravec.models.build import build_model
from soravec.training.quantize import quantize_model
from soravec.video import VideoWriter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A small residual network of random weights, and its copy with an INT8 CNN."""
    folder = tmp_path_factory.mktemp("int8")
    build_model("timm/resnet10t.c3_in1k", folder / "plain", pretrained=False)
    cosine = quantize_model(folder / "plain", folder / "both")
    return folder, cosine


@pytest.fixture
def clip(tmp_path):
    noise = np.random.default_rng(0)
    with VideoWriter(tmp_path / "clip.mp4", width=160, height=120, fps=10) as writer:
        base = noise.integers(0, 256, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        for number in range(20):
            writer.write(np.roll(base, 3 * number, axis=1))
    return tmp_path / "clip.mp4"


def test_int8_is_near_the_original_and_smaller(quantized, clip):
    folder, cosine = quantized
    assert 0.99 <= cosine <= 1.0
    sizes = [(folder / "both" / name).stat().st_size for name in ("cnn.onnx", "cnn-int8.onnx")]
    assert sizes[1] < 0.6 * sizes[0]
    exact = soravec.load(folder / "both", precision="float32").embed(clip)
    rounded = soravec.load(folder / "both", precision="int8").embed(clip)
    assert rounded.recipe["precision"] == "int8"
    assert exact.space_id == rounded.space_id
    assert 0.98 < float(exact.vector @ rounded.vector) < 1.0 - 1e-7  # near, and not the same CNN


def test_int8_is_never_taken_by_itself(quantized, clip):
    folder, _ = quantized
    assert soravec.load(folder / "both").embed(clip).recipe["precision"] != "int8"


def test_a_model_without_int8_says_how_to_make_one(quantized):
    folder, _ = quantized
    with pytest.raises(ModelError, match="soravec models quantize"):
        soravec.load(folder / "plain", precision="int8")


def test_a_cnn_that_loses_more_than_is_allowed_is_refused(quantized, tmp_path, monkeypatch):
    folder, cosine = quantized
    monkeypatch.setattr("soravec.training.quantize.LEAST_COSINE", cosine + 1e-3)
    with pytest.raises(ModelError, match="does not bear eight bits"):
        quantize_model(folder / "plain", tmp_path / "both")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(quantized):
    folder, _ = quantized
    with pytest.raises(ModelError, match="exists already"):
        quantize_model("sora-mini", folder / "both")
