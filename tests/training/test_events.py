"""Learning when things happen: a place that is seen for a while in videos of several places."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import soravec
from soravec.data.manifest import read_manifest
from soravec.errors import TrainingError
from soravec.runtime.frames import running_inputs
from soravec.training.config import (
    EventTraining,
    LoopOptions,
    TimeAugmentation,
    TrainConfig,
    with_settings,
)
from soravec.training.event_batches import RunningSource, WindowSource
from soravec.training.events import read_videos, series_of, train_events, truth_at
from soravec.training.objectives import running
from soravec.training.prepare import Places, base_encoder
from tests.library.conftest import write_scenes

CONFIG = TrainConfig(
    loop=LoopOptions(epochs=25, batch_size=16, patience=0, accelerator="cpu"),
    events=EventTraining(stretch_seconds=8, batch_stretches=2),
)


@pytest.fixture(scope="module")
def spans(tmp_path_factory):
    """Six videos of three places; in each one of them, which is the event, from 4 to 8 s."""
    folder = tmp_path_factory.mktemp("spans")
    rows = []
    for number, split in enumerate(("train",) * 4 + ("validation", "test")):
        others = [(2 + number % 3, 4.0), (0, 4.0), (5 + number % 2, 4.0)]
        write_scenes(folder / f"{number}.mp4", others, seed=number)
        rows.append(f"{number}.mp4,place,{split},4,8")
    path = folder / "spans.csv"
    path.write_text("path,label,split,start,end\n" + "\n".join(rows) + "\n")
    return read_manifest(path, task="multi_label")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return Places(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def trained(spans, places, tmp_path_factory):
    return train_events(spans, tmp_path_factory.mktemp("run"), CONFIG, places)


def test_a_span_is_true_from_its_start_to_before_its_end(spans):
    clip = replace(spans.clips[0], start_seconds=1.0, end_seconds=2.0)
    truth = truth_at(np.array([0.0, 1.0, 1.5, 2.0]), [clip], ("other", "place"))
    assert truth[:, 1].tolist() == [0, 1, 1, 0]
    assert not truth[:, 0].any()
    whole = replace(clip, start_seconds=None, end_seconds=None)
    assert truth_at(np.arange(3.0), [whole], ("place",)).all()


def test_who_was_learned_from_can_be_read(trained, spans):
    out = trained.model.parent
    assert len(read_manifest(next(out.glob("split.*")), task="multi_label").clips) == 6
    assert (out / "skipped.csv").read_text().count("\n") == 1


def test_an_rnn_learns_at_every_frame_and_finds_the_place_in_a_new_video(trained, spans):
    encoder = soravec.load(trained.model)
    head = encoder.head()
    assert head.config.running
    assert head.activation == "sigmoid"
    assert encoder.config.temporal.streaming
    (test,) = spans.of_split("test")
    features = encoder.read(test.path)
    scores = head.scores(encoder.running_vectors(features))[:, 0]
    inside = (features.seconds >= 4) & (features.seconds < 8)
    assert scores[inside].mean() > 0.5 > scores[~inside].mean() + 0.2


def test_the_runtime_reads_what_was_taught(trained, spans, places):
    """PyTorch in training and the engine in use give one vector at every frame."""
    encoder = soravec.load(trained.model)
    from soravec.models.export import load_encoder

    temporal = load_encoder(trained.model).temporal.eval()
    features = encoder.read(spans.clips[0].path)
    values, elapsed = running_inputs(features, encoder.config.cnn.parts)
    assert (elapsed == 0).sum() == len(features.shots)
    with torch.no_grad():
        reading = temporal(
            torch.from_numpy(values.astype(np.float32))[None],
            torch.from_numpy(elapsed)[None],
            torch.ones(1, len(elapsed)),
        )
        expected = running(reading, temporal.config)[0].numpy()
    assert encoder.running_vectors(features) == pytest.approx(expected, abs=1e-4)


def test_models_that_keep_no_state_learn_from_windows(spans, places, tmp_path):
    settings = ["temporal.kind=mean", "events.window_seconds=2", "loop.epochs=6"]
    config = with_settings(CONFIG, settings)
    trained = train_events(spans, tmp_path, config, places)
    encoder = soravec.load(trained.model)
    head = encoder.head()
    assert not head.config.running
    assert head.config.window_seconds == 2
    facts = json.loads((tmp_path / "training.json").read_text())
    assert facts["history"][-1]["train_loss"] < facts["history"][0]["train_loss"]


def test_clips_alone_are_put_one_after_another(spans, places, tmp_path):
    """Whole clips, some of them nothing: stretches hold several, with their own truth."""
    rows = [
        {"path": str(clip.path), "labels": ["place"] if number % 2 else []}
        for number, clip in enumerate(spans.clips)
    ]
    path = tmp_path / "clips.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    manifest = read_manifest(path)
    manifest = replace(manifest, clips=tuple(replace(c, split="train") for c in manifest.clips))
    encoder = base_encoder(CONFIG, tmp_path)
    read = read_videos(manifest, encoder, places, CONFIG, None)
    series = series_of(read, manifest, "train")
    assert [float(one.truth.mean()) for one in series] == [0, 1, 0, 1, 0, 1]
    parts = encoder.config.cnn.parts
    still = TimeAugmentation(drop=0, speed=1, crop=1)
    options = {"parts": parts, "num_frames": 50, "batch_size": 2, "seed": 0}
    source = RunningSource(series, series, time=still, **options)
    total = sum(len(one.features) for one in series)
    batches = [batch for (batch,) in source.training(0, 0)]
    assert len(batches) == source.num_batches
    assert sum(int(batch.mask.sum()) for batch in batches) == total
    assert sum(float(batch.truth.sum()) for batch in batches) == sum(
        float(one.truth.sum()) for one in series
    )
    assert any(0 < float(row.mean()) < 1 for batch in batches for row in batch.truth)
    # What is taken up again goes on with the batches that were left, and no epoch is like another.
    (later,) = next(source.training(0, 1))
    assert torch.equal(later.features, batches[1].features)
    (other,) = next(source.training(1, 0))
    assert not torch.equal(other.features[0], batches[0].features[0])
    moving = RunningSource(series, series, time=TimeAugmentation(drop=0.4, speed=1.5), **options)
    (varied,) = next(moving.training(0, 0))
    assert varied.mask.sum() < batches[0].mask.sum()
    cuts = (batches[0].elapsed_seconds == 0) & (batches[0].mask > 0)
    assert (((varied.elapsed_seconds == 0) & (varied.mask > 0)).sum()) == cuts.sum()
    windows = WindowSource(series, series, parts=parts, window_seconds=2, batch_size=8, seed=0)
    (batch,) = next(windows.training(0, 0))
    assert batch.truth.shape == (8, 1)
    assert batch.mask.sum(dim=1).max() <= 2 * encoder.config.sampling.fps + 1


def test_what_cannot_be_learned_is_told(spans, places, tmp_path):
    for setting in ("temporal.train=false", "cnn.train_stages=1"):
        with pytest.raises(TrainingError, match="temporal model"):
            train_events(spans, tmp_path, with_settings(CONFIG, [setting]), places)
    late = [replace(clip, start_seconds=900.0, end_seconds=901.0) for clip in spans.clips]
    with pytest.raises(TrainingError, match="no frame of the training videos shows place"):
        train_events(replace(spans, clips=tuple(late)), tmp_path, CONFIG, places)
