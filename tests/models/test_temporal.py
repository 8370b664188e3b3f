"""What the temporal model sees, and what it makes of it."""

import pytest
import torch

from soravec.errors import ModelError
from soravec.models.rnn import RecurrentLayer
from soravec.models.sora import join
from soravec.models.temporal import SegmentDropout, TemporalModel, pooled_dim
from soravec.runtime.config import TemporalConfig
from soravec.runtime.folder import space_identity

PARTS = 6, 6, 4


def layout_series(batch=3, steps=7):
    torch.manual_seed(0)
    mask = torch.ones(batch, steps)
    mask[1, 4:] = 0
    return torch.randn(batch, steps, sum(PARTS)), torch.full((batch, steps), 0.1), mask


@torch.no_grad()
@pytest.mark.parametrize("centred", [True, False])
def test_what_stays_in_a_segment_is_not_seen_if_centred(centred):
    torch.manual_seed(0)
    config = TemporalConfig(6, 5, hidden_dim=8, reads="layout", centred=centred)
    model = TemporalModel(config, sum(PARTS), parts=PARTS).eval()
    features, elapsed, mask = layout_series()
    restless = features.clone()
    restless[..., 12:] += torch.tensor([0.0, 3.0, -1.0, 2.0])
    before, after = (model(x, elapsed, mask).motion for x in (features, restless))
    assert torch.allclose(before, after, atol=1e-5) == centred


@torch.no_grad()
def test_changes_are_told_from_so_many_frames_before():
    config = TemporalConfig(1, 4, hidden_dim=4, differences=(1, 3))
    model = TemporalModel(config, 1).eval()
    series = torch.tensor([[[1.0], [3.0], [2.0], [7.0], [0.0]]])
    sizes, there = model.changes(series, torch.tensor([[1.0, 1, 1, 1, 0]]))
    assert there[0].T.tolist() == [[0, 1, 1, 1, 0], [0, 0, 0, 1, 0]]
    assert (sizes.squeeze(3) * there)[0].T.tolist() == [[0, 2, 1, 5, 0], [0, 0, 0, 6, 0]]


@torch.no_grad()
def test_an_rnn_reads_how_large_changes_are():
    torch.manual_seed(0)
    config = TemporalConfig(6, 5, hidden_dim=8, reads="layout", differences=(1, 4))
    model = TemporalModel(config, sum(PARTS), parts=PARTS).eval()
    features, elapsed, mask = layout_series()
    before = model(features, elapsed, mask).motion
    model.change_scale[1] = 0.0
    without = model(features, elapsed, mask).motion
    assert not torch.allclose(before[0], without[0], atol=1e-3)
    assert torch.allclose(before[1], without[1], atol=1e-6)  # its four frames have none so far back


@torch.no_grad()
def test_read_both_ways_the_last_states_are_those_at_either_end():
    torch.manual_seed(0)
    config = TemporalConfig(
        16, 16, hidden_dim=8, bidirectional=True, pooling="last", readout=False, reads="appearance"
    )
    model = TemporalModel(config, 16).eval()
    features, elapsed, mask = layout_series()
    before = model(features, elapsed, mask).motion[1]
    features[1, 1] += 1.0
    after = model(features, elapsed, mask).motion[1]
    for half in (slice(0, 8), slice(8, 16)):
        assert not torch.allclose(before[half], after[half], atol=1e-3)


@torch.no_grad()
def test_nothing_moves_in_a_single_frame():
    torch.manual_seed(0)
    config = TemporalConfig(6, 5, hidden_dim=8, motion_weight=0.8)
    model = TemporalModel(config, 6).eval()
    mask = torch.tensor([[1.0, 0], [1, 1]])
    vectors = join(model(torch.randn(2, 2, 6), torch.zeros(2, 2), mask), mask, config)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert (vectors[0, 6:] == 0).all()
    assert vectors[1, 6:].norm() == pytest.approx(0.8**0.5)


@pytest.mark.parametrize("back", [0, -1])
def test_a_frame_is_compared_with_earlier_ones_only(back):
    with pytest.raises(ModelError, match="1 or more"):
        TemporalConfig(6, 5, differences=(1, back))


def test_the_mean_of_centred_features_is_refused():
    with pytest.raises(ModelError, match="centred"):
        TemporalConfig(6, 5, kind="mean", centred=True)


POOLED = {
    (("kind", "mean"), ("reads", "motion")): 6,
    (("kind", "statistics"), ("reads", "layout")): 12,
    (("kind", "gru"), ("pooling", "last")): 8,
    (("kind", "lstm"), ("pooling", "mean_max"), ("bidirectional", True)): 32,
    (("kind", "gru"), ("pooling", "mean"), ("statistics", True), ("components", 5)): 8 + 15,
    (("kind", "transformer"), ("pooling", "attention")): 8,
}


@torch.no_grad()
@pytest.mark.parametrize(("options", "width"), POOLED.items(), ids=str)
def test_without_a_readout_the_reading_is_what_was_pooled(options, width):
    options = dict(options)
    if options["kind"] == "transformer":
        options["hidden_dim"] = width = 32
    config = TemporalConfig(6, width, **{"hidden_dim": 8, "readout": False, **options})
    assert pooled_dim(config, PARTS) == width
    model = TemporalModel(config, sum(PARTS), parts=PARTS).eval()
    motion = model(*layout_series()).motion
    assert motion.shape == (3, width)
    assert not any(name.startswith("readout") for name in model.state_dict())
    assert torch.allclose(motion.norm(dim=1), torch.ones(3))


def test_a_length_that_is_not_pooled_is_refused_without_a_readout():
    with pytest.raises(ModelError, match="8 are pooled"):
        TemporalModel(TemporalConfig(6, 7, hidden_dim=8, readout=False), 6)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_wide_inputs_leave_the_gates_of_an_untrained_cell_open(kind):
    torch.manual_seed(0)
    layer = RecurrentLayer(kind, 2048, 16)
    to_gates = layer.cell.all_weights[0][0]
    before_the_gates = torch.randn(64, 2048) @ to_gates.T
    assert 0.5 < before_the_gates.std() < 2  # PyTorch's own draw gives 6.5


def test_a_field_at_its_default_does_not_change_the_space():
    plain = TemporalConfig(6, 5)
    assert space_identity("f", {}, plain) == space_identity("f", {}, TemporalConfig(6, 5, "gru"))
    others = [TemporalConfig(6, 5, centred=True), TemporalConfig(6, 5, readout=False)]
    spaces = {space_identity("f", {}, config) for config in (plain, *others, TemporalConfig(6, 4))}
    assert len(spaces) == 4


def test_dropout_takes_the_same_features_of_a_segment_at_every_frame():
    torch.manual_seed(0)
    series = torch.ones(4, 9, 50)
    dropped = SegmentDropout(0.5)(series)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    assert torch.equal(SegmentDropout(0.5).eval()(series), series)
