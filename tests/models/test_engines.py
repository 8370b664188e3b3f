"""What a model folder computes, in both engines, beside PyTorch."""

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from soravec.errors import ModelError
from soravec.models.build import build_model
from soravec.models.cnn import create_network
from soravec.models.export import export_cnn, export_temporal, load_encoder
from soravec.models.sora import SoraEncoder
from soravec.models.temporal import TemporalModel
from soravec.runtime.config import CnnConfig, ModelConfig, TemporalConfig
from soravec.runtime.engine import import_openvino
from soravec.runtime.folder import find_model

INPUTS = ("features", "elapsed_seconds", "mask", "state")


def onnx_runtime(path, inputs, precision="f32"):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def openvino(path, inputs, precision="f32"):
    core = import_openvino().Core()
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    results = compiled(inputs)
    return [results[port] for port in compiled.outputs]


ENGINES = {"onnxruntime": onnx_runtime, "openvino": openvino}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def pictures(count, config, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 8, 3))
    tall = np.repeat(coarse, config.height // 6 + 1, axis=1)[:, : config.height]
    return np.repeat(tall, config.width // 8 + 1, axis=2)[:, :, : config.width].astype(np.uint8)


def moments(count, config):
    """Return pictures, and those before them: the same a little aside."""
    frames = pictures(count, config)
    return {"frames": frames, "previous": np.roll(frames, (3, 5), axis=(1, 2))}


def cosines(first, second):
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(1) / lengths


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 3])
def test_sora_mini_cnn_agrees_with_pytorch(engine, batch):
    folder = find_model("sora-mini")
    encoder = load_encoder(folder.path)
    shown = moments(batch, folder.config.cnn)
    expected = encoder.cnn(*map(torch.from_numpy, shown.values())).numpy()
    (features,) = engine(folder.cnn_path, shown)
    assert features.shape == (batch, folder.config.cnn.feature_dim)
    np.testing.assert_allclose(features, expected, atol=2e-4 * np.abs(expected).max())


@torch.no_grad()
def test_sora_mini_cnn_in_bfloat16_points_the_same_way():
    folder = find_model("sora-mini")
    shown = moments(4, folder.config.cnn)
    expected = load_encoder(folder.path).cnn(*map(torch.from_numpy, shown.values())).numpy()
    (features,) = openvino(folder.cnn_path, shown, "bf16")
    for part in np.split(np.arange(features.shape[1]), np.cumsum(folder.config.cnn.parts)[:-1]):
        if len(part):
            assert cosines(features[:, part], expected[:, part]).min() >= 0.999


def padded_series(dim):
    """Return features, elapsed seconds and mask of three segments, one cut short, one empty."""
    mask = torch.ones(3, 7)
    mask[1, 5:] = 0
    mask[2] = 0
    elapsed = torch.rand(3, 7)
    elapsed[:, 0] = 0
    return torch.randn(3, 7, dim), elapsed, mask


@torch.no_grad()
@pytest.mark.parametrize(("kind", "layers"), [("gru", 1), ("gru", 2), ("lstm", 1), ("lstm", 2)])
def test_a_stream_agrees_with_pytorch_padded_and_carried(tmp_path, engine, kind, layers):
    torch.manual_seed(0)
    model = TemporalModel(TemporalConfig(24, 12, kind=kind, hidden_dim=20, num_layers=layers), 28)
    export_temporal(model.eval(), 28, tmp_path / "temporal.onnx")
    state = torch.randn_like(model.initial_state(3))
    tensors = (*padded_series(28), state)
    expected = model(*tensors)
    inputs = dict(zip(INPUTS, (t.numpy() for t in tensors), strict=True))
    for got, wanted in zip(engine(tmp_path / "temporal.onnx", inputs), expected, strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-5)
    carried, readings = state.numpy(), []
    for part in (slice(0, 1), slice(1, 7)):
        chunk = {name: inputs[name][:, part] for name in INPUTS[:3]} | {"state": carried}
        _, reading, motion, carried = engine(tmp_path / "temporal.onnx", chunk)
        readings.append(reading)
    np.testing.assert_allclose(np.concatenate(readings, 1), expected.reading, atol=1e-5)
    np.testing.assert_allclose(motion[:1], expected.motion[:1], atol=1e-5)
    np.testing.assert_allclose(carried, expected.new_state.numpy(), atol=1e-5)


WHOLE = [
    {"kind": "mean"},
    {"kind": "statistics"},
    {"kind": "gru", "bidirectional": True, "pooling": "mean", "num_layers": 2},
    {"kind": "lstm", "bidirectional": True, "pooling": "attention"},
    {"kind": "gru", "statistics": True, "differences": (1, 4), "pooling": "last"},
    {"kind": "transformer", "hidden_dim": 64, "num_layers": 2, "pooling": "attention"},
    {"kind": "transformer", "hidden_dim": 32, "pooling": "mean", "statistics": True},
    {"kind": "gru", "pooling": "mean_max", "components": 6, "reads": "motion"},
    {"kind": "gru", "pooling": "mean_max", "centred": True, "readout": False, "motion_dim": 40},
]


@torch.no_grad()
@pytest.mark.parametrize("options", WHOLE, ids=lambda options: "-".join(map(str, options.values())))
def test_a_reader_of_whole_segments_agrees_with_pytorch(tmp_path, engine, options):
    torch.manual_seed(0)
    config = TemporalConfig(24, **{"motion_dim": 12, "hidden_dim": 20, **options})
    assert not config.streaming
    model = TemporalModel(config, 28, parts=(20, 6, 2)).eval()
    export_temporal(model, 28, tmp_path / "temporal.onnx")
    features, elapsed, mask = padded_series(28)
    expected = model(features, elapsed, mask)
    inputs = {"features": features, "elapsed_seconds": elapsed, "mask": mask}
    appearance, motion = engine(
        tmp_path / "temporal.onnx", {name: tensor.numpy() for name, tensor in inputs.items()}
    )
    np.testing.assert_allclose(appearance, expected.appearance, atol=1e-5)
    np.testing.assert_allclose(motion[:2], expected.motion[:2], atol=1e-5)
    assert np.isfinite(motion).all()  # the empty one, which only pads a batch
    alone = model(features[1:2, :5], elapsed[1:2, :5], mask[1:2, :5])
    np.testing.assert_allclose(expected.motion[1:2], alone.motion, atol=1e-5)


@torch.no_grad()
def test_a_cnn_reads_differences_in_both_engines(tmp_path, engine):
    torch.manual_seed(0)
    size = {"height": 64, "width": 64, "num_looks": 288, "num_layout": 4}
    cnn = CnnConfig("timm/mobilenetv3_small_050", 2 * 288 + 4, motion="difference", **size)
    encoder = SoraEncoder(ModelConfig("tiny", cnn, TemporalConfig(24, 12))).eval()
    export_cnn(encoder, tmp_path / "cnn.onnx")
    frames, previous = pictures(3, cnn), pictures(3, cnn, seed=1)
    previous[0] = frames[0]
    (features,) = engine(tmp_path / "cnn.onnx", {"frames": frames, "previous": previous})
    expected = encoder.cnn(torch.from_numpy(frames), torch.from_numpy(previous)).numpy()
    np.testing.assert_allclose(features, expected, atol=2e-4 * np.abs(expected).max())
    still, moving = features[:2, 288:576]
    assert not np.allclose(still, moving)


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "convnext_atto"])
def test_any_cnn_of_timm_becomes_a_folder(tmp_path, name):
    config = build_model(f"timm/{name}", tmp_path, pretrained=False)
    assert config.temporal.motion_weight == 0
    assert config.temporal.appearance_dim == config.cnn.feature_dim
    assert "RANDOM" in (tmp_path / "README.md").read_text()
    encoder = load_encoder(tmp_path)
    frames = pictures(2, config.cnn)
    expected = encoder.cnn(torch.from_numpy(frames)).numpy()
    for run in ENGINES.values():
        (features,) = run(tmp_path / "cnn.onnx", {"frames": frames})
        assert cosines(features, expected).min() >= 0.999


def test_local_weights_are_used(tmp_path):
    torch.manual_seed(1)
    network = create_network("timm/resnet18", pool="head")
    save_file(network.state_dict(), tmp_path / "resnet18.safetensors")
    build_model("resnet18", tmp_path / "model", weights=tmp_path / "resnet18.safetensors")
    built = load_encoder(tmp_path / "model").cnn.network.state_dict()
    half = network.state_dict()["conv1.weight"].to(torch.float16).float()
    assert torch.equal(built["conv1.weight"], half)


def test_weights_of_another_network_are_refused(tmp_path):
    network = create_network("timm/resnet18", pool="head")
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"lacks|another network"):
        build_model("convnext_atto", tmp_path / "model", weights=tmp_path / "w.safetensors")


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("timm.create_model", fail)
    with pytest.raises(ModelError, match="--weights"):
        build_model("resnet18.a1_in1k", tmp_path / "model")


def test_a_dynamic_batch_is_declared(tmp_path):
    config = ModelConfig(
        "tiny",
        CnnConfig("timm/mobilenetv3_small_050", 288, height=32, width=32),
        TemporalConfig(24, 12, hidden_dim=20),
    )
    export_cnn(SoraEncoder(config).eval(), tmp_path / "cnn.onnx")
    for batch in (1, 5):
        frames = pictures(batch, config.cnn)
        assert onnx_runtime(tmp_path / "cnn.onnx", {"frames": frames})[0].shape == (batch, 288)
