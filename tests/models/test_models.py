"""The encoder's parts: sizes, padding, chunks, and what a folder keeps."""

import json
from pathlib import Path

import pytest
import torch

from soravec.errors import ModelError
from soravec.models import export
from soravec.models.build import build_model
from soravec.models.cnn import FrameCnn, cell_energies, create_network
from soravec.models.export import load_encoder, round_weights, save_model
from soravec.models.rnn import encode_time
from soravec.models.sora import SoraEncoder
from soravec.models.temporal import TemporalModel
from soravec.runtime.config import CnnConfig, ModelConfig, TemporalConfig
from soravec.runtime.folder import find_model

CNN = CnnConfig("timm/mobilenetv3_small_050", 288, height=48, width=64)

ROOT = Path(__file__).parents[2]


def tiny_config(**temporal):
    sizes = {"appearance_dim": 24, "motion_dim": 12, "hidden_dim": 20, **temporal}
    return ModelConfig("tiny", CNN, TemporalConfig(**sizes))


@pytest.fixture
def without_onnx(monkeypatch):
    """Write empty graphs: what a test of weights and identities needs not wait for."""
    for name in ("export_cnn", "export_temporal"):
        monkeypatch.setattr(export, name, lambda *args: args[-1].write_bytes(b""))


@pytest.fixture(scope="module", params=["gru", "lstm"])
def temporal(request):
    torch.manual_seed(0)
    config = TemporalConfig(8, 6, kind=request.param, hidden_dim=10, num_layers=2)
    return TemporalModel(config, 16).eval()


def series(batch, steps, dim=16):
    elapsed = torch.rand(batch, steps) + 0.1
    elapsed[:, 0] = 0
    return torch.randn(batch, steps, dim), elapsed, torch.ones(batch, steps)


def test_sora_mini_has_the_published_number_of_parameters():
    network = create_network("timm/mobilenetv3_small_100", pool="average")
    # timm's mobilenetv3_small_100 has 2,542,856; its head (576 x 1024 + 1024 x 1000, biases) goes
    head = 576 * 1024 + 1024 + 1024 * 1000 + 1000
    assert sum(p.numel() for p in network.parameters()) == 2_542_856 - head


def test_features_have_the_declared_shape_and_come_from_bytes():
    cnn = FrameCnn(CNN).eval()
    frames = torch.randint(0, 256, (3, 48, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        features = cnn(frames)
        images = (frames.permute(0, 3, 1, 2) / 255 - torch.tensor(CNN.mean).view(3, 1, 1)) / (
            torch.tensor(CNN.std).view(3, 1, 1)
        )
        assert torch.allclose(features, cnn.read(images), atol=1e-4)
    assert features.shape == (3, 288)


def test_unknown_network_names_the_nearest():
    with pytest.raises(ModelError, match="resnet18"):
        create_network("timm/resnet_18")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_network_that_is_no_cnn_is_refused(name, tmp_path):
    with pytest.raises(ModelError, match="not a CNN"):
        build_model(name, tmp_path, pretrained=False)


def test_time_is_a_logarithm_and_a_mark_for_the_first():
    encoded = encode_time(torch.tensor([[0.0, 0.5, 1.0, 1e-9]]))[0]
    expected = torch.tensor([[0.0, 1.0], [-0.6931, 0.0], [0.0, 0.0], [-6.9078, 0.0]])
    assert torch.allclose(encoded, expected, atol=1e-4)


@torch.no_grad()
def test_chunks_with_carried_state_equal_one_pass(temporal):
    features, elapsed, mask = series(3, 11)
    state = temporal.initial_state(3)
    whole = temporal(features, elapsed, mask, state)
    parts = []
    for part in (slice(0, 4), slice(4, 5), slice(5, 11)):
        read = temporal(features[:, part], elapsed[:, part], mask[:, part], state)
        state = read.new_state
        parts.append(read)
    for index in range(2):
        assert torch.allclose(torch.cat([p[index] for p in parts], 1), whole[index], atol=1e-6)
    assert torch.allclose(parts[-1].motion, whole.motion, atol=1e-6)
    assert torch.allclose(state, whole.new_state, atol=1e-6)


@torch.no_grad()
def test_padding_changes_nothing_and_reads_as_zero(temporal):
    features, elapsed, mask = series(3, 7)
    mask[0, 4:] = 0
    mask[2] = 0
    before = torch.randn_like(temporal.initial_state(3))
    appearance, reading, motion, after = temporal(features, elapsed, mask, before)
    alone = temporal(features[:1, :4], elapsed[:1, :4], mask[:1, :4], before[:, :1])
    assert torch.allclose(appearance[:1, :4], alone[0], atol=1e-6)
    assert torch.allclose(reading[:1, :4], alone[1], atol=1e-6)
    assert torch.allclose(motion[:1], alone.motion, atol=1e-6)
    assert torch.allclose(after[:, :1], alone.new_state, atol=1e-6)
    assert torch.allclose(after[:, 2], before[:, 2], atol=1e-6)
    assert not appearance[0, 4:].any()
    assert not reading[0, 4:].any()


@torch.no_grad()
def test_appearance_is_unit_length_and_identity_where_sizes_agree():
    model = TemporalModel(TemporalConfig(16, 6, hidden_dim=10), 16).eval()
    features, elapsed, mask = series(2, 3)
    appearance = model(features, elapsed, mask).appearance
    assert torch.allclose(appearance, torch.nn.functional.normalize(features, dim=-1), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_an_inner_product_splits_into_appearance_and_motion(pooling):
    torch.manual_seed(0)
    config = tiny_config(motion_weight=0.3, pooling=pooling)
    encoder = SoraEncoder(config).eval()
    _, elapsed, mask = series(2, 4)
    mask[1, 2:] = 0
    frames = torch.randint(0, 256, (2, 4, 48, 64, 3), dtype=torch.uint8)
    vectors = encoder(frames, elapsed, mask)
    assert vectors.shape == (2, config.dim)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.allclose(vectors[:, :24].square().sum(1), torch.full((2,), 0.7), atol=1e-5)
    short = encoder(frames[1:, :2], elapsed[1:, :2], mask[1:, :2])
    assert torch.allclose(short, vectors[1:], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("half", [True, False])
def test_a_folder_reloads_exactly(tmp_path, half, without_onnx):
    torch.manual_seed(0)
    encoder = SoraEncoder(tiny_config(motion_weight=0.1))
    written = save_model(encoder, tmp_path / "tiny", card="# tiny\n", half=half)
    loaded = load_encoder(tmp_path / "tiny")
    assert loaded.config.feature_id == written.feature_id != ""
    ours, theirs = encoder.state_dict(), loaded.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    again = save_model(loaded, tmp_path / "again", card="# tiny\n", half=half)
    assert (again.feature_id, again.space_id) == (written.feature_id, written.space_id)


def test_identities_change_with_what_they_name(tmp_path, without_onnx):
    torch.manual_seed(0)
    encoder = SoraEncoder(tiny_config())
    first = save_model(encoder, tmp_path, card="# a\n")
    with torch.no_grad():
        encoder.temporal.readout.weight += 0.5
    second = save_model(encoder, tmp_path, card="# b\n")
    assert second.feature_id == first.feature_id
    assert second.space_id != first.space_id
    with torch.no_grad():
        next(encoder.cnn.parameters())[0] += 0.5
    third = save_model(encoder, tmp_path, card="# c\n")
    assert third.feature_id != first.feature_id
    assert third.space_id != second.space_id


def test_weights_that_do_not_fit_are_refused(tmp_path, without_onnx):
    save_model(SoraEncoder(tiny_config()), tmp_path, card="# tiny\n")
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["temporal"]["hidden_dim"] = 21
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="another shape"):
        load_encoder(tmp_path)


def test_a_weight_beyond_float16_is_refused():
    encoder = SoraEncoder(tiny_config())
    with torch.no_grad():
        encoder.temporal.readout.weight[0, 0] = 1e6
    with pytest.raises(ModelError, match="float16"):
        round_weights(encoder, half=True)


def test_sora_mini_is_small_and_its_identities_are_those_of_its_weights(tmp_path, without_onnx):
    folder = find_model("sora-mini")
    assert folder.size_bytes <= 12_000_000
    again = save_model(load_encoder(folder.path), tmp_path, card="# again\n")
    assert again.feature_id == folder.config.feature_id
    assert again.space_id == folder.config.space_id


def test_sora_mini_names_no_path_of_the_machine_that_made_it():
    for path in filter(Path.is_file, find_model("sora-mini").path.rglob("*")):
        data = path.read_bytes()
        assert b"site-packages" not in data, path.name
        assert str(ROOT).encode() not in data, path.name
        assert b"/soravec/models/" not in data, path.name


def test_cell_energies_say_where_something_is():
    plain = torch.zeros(1, 8, 3, 4)
    maps = plain.repeat(2, 1, 1, 1)
    maps[1, :, 2, 1] = 2.0
    still, moved = cell_energies(maps, plain)
    assert torch.allclose(still, torch.full((12,), 0.02).log())
    assert moved.argmax() == 2 * 4 + 1
    assert moved.max() == pytest.approx(torch.tensor(2.02).log().item(), abs=1e-5)
