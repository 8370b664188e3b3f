"""From generated clips to a model folder that indexes, searches and classifies."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import soravec
from soravec.data.features import FeatureCache
from soravec.data.manifest import read_manifest
from soravec.data.orders import write_orders
from soravec.errors import ManifestError, ModelError, QueryError, TrainingError
from soravec.models.build import build_model
from soravec.models.export import load_encoder
from soravec.runtime.heads import head_names
from soravec.training.compare import CANDIDATES, chosen, compare
from soravec.training.config import read_train_config
from soravec.training.estimate import _reading_seconds, estimate, sentences
from soravec.training.prepare import Places, base_encoder, prepare
from soravec.training.train import train

SETTINGS = ["data.fps=4", "data.duplicates=ignore", "loop.epochs=3", "data.num_workers=2"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two orders of five, 2 seconds each, one file damaged."""
    folder = tmp_path_factory.mktemp("clips")
    path = write_orders(folder, num_videos=40, num_frames=40)
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("approach", "retreat")]
    rows += [{"path": "videos/bad.mp4", "label": "approach", "split": "train"}]
    (folder / "videos" / "bad.mp4").write_bytes(b"no video at all")
    chosen_path = folder / "two.csv"
    with chosen_path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return chosen_path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Places(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    """A quick CNN with random weights."""
    folder = tmp_path_factory.mktemp("models") / "small"
    torch.manual_seed(0)
    build_model("timm/mobilenetv3_small_050", folder, pretrained=False)
    return folder


@pytest.fixture(scope="module")
def trained(clips, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    config = read_train_config(None, SETTINGS)
    said = []
    return train(read_manifest(clips), out, config, cache, say=said.append), said


def test_the_same_clip_in_two_splits_is_said_and_listed(clips, cache, small_model, tmp_path):
    videos = [clip.path for clip in read_manifest(clips).clips if clip.path.name != "bad.mp4"]
    again = shutil.copy(videos[0], tmp_path / "again.mp4")
    lines = ["path,label,split"]
    for number, path in enumerate(videos[:6]):
        lines.append(f"{path},{'ab'[number % 2]},train")
    lines += [f"{again},a,test", f"{videos[6]},b,test"]
    (tmp_path / "leaky.csv").write_text("\n".join(lines))
    settings = ["data.fps=4", "data.num_workers=2", f"model={small_model}"]
    said = []
    prepared = prepare(
        read_manifest(tmp_path / "leaky.csv"),
        read_train_config(None, settings),
        tmp_path,
        cache,
        say=said.append,
    )
    (warning,) = [text for text in said if "in different splits" in text]
    assert str(tmp_path / "duplicates.csv") in warning
    assert warning.startswith(prepared.manifest.warnings[-1])  # which stands in the report
    with (tmp_path / "duplicates.csv").open() as file:
        rows = list(csv.DictReader(file))
    copies = [{r["first"], r["second"]} for r in rows if r["kind"] == "copy"]
    assert {str(videos[0]), str(again)} in copies


def test_it_leaves_a_model_that_classifies_as_it_was_measured(trained, clips):
    result, said = trained
    encoder = soravec.load(result.model)
    assert encoder.config.sampling.fps == 4
    head = encoder.head()
    assert (head.classes, head.config.sample_fps) == (("approach", "retreat"), 4)
    prepared = result.prepared
    validation = [c for c in prepared.features.clips if c.split == "validation"]
    found = np.stack([encoder.classify(clip.path).scores for clip in validation])
    right = [
        head.classes[row.argmax()] == c.labels[0] for row, c in zip(found, validation, strict=True)
    ]
    assert np.mean(right) == pytest.approx(result.validation["accuracy"])
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert any("could not be read" in text for text in said)


def test_a_clip_that_cannot_be_read_is_listed(trained):
    result, _ = trained
    with (result.model.parent / "skipped.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["path"].endswith("bad.mp4")
    assert row["error"] == "UnreadableVideo"
    assert len(result.prepared.features.clips) == 8


def test_the_model_indexes_and_searches_at_once(trained, clips, tmp_path):
    result, _ = trained
    library = soravec.Library(tmp_path / "videos.library")
    encoder = soravec.load(result.model)
    report = library.add([clips.parent / "videos" / "00002.mp4"], encoder=encoder)
    assert report.indexed == 1
    (hit,) = library.search(video=clips.parent / "videos" / "00002.mp4", k=1)
    assert hit.score > 0.99


def test_the_cnn_is_the_base_models(trained):
    result, _ = trained
    assert soravec.load(result.model).feature_id == soravec.load().feature_id
    assert soravec.load(result.model).space_id != soravec.load().space_id


def test_features_are_read_once_and_from_a_library(trained, clips, cache, tmp_path, monkeypatch):
    config = read_train_config(None, [*SETTINGS, "data.fps=2"])
    with soravec.Library(tmp_path / "some.library") as library:
        library.add([clips.parent / "videos"], encoder=soravec.load())
    asked = []
    places = Places(tmp_path / "features", tmp_path / "some.library")
    prepared = prepare(
        read_manifest(clips), config, tmp_path / "out", places,
        on_progress=lambda done, total: asked.append(total),
    )  # fmt: skip
    assert asked == [1]  # the damaged one, which the library does not hold
    assert len(prepared.features.clips) == 8
    asked.clear()
    again = read_train_config(None, SETTINGS)
    prepare(
        read_manifest(clips), again, tmp_path / "again", cache,
        on_progress=lambda done, total: asked.append(total),
    )  # fmt: skip
    assert asked == [1]


def test_two_runs_with_one_seed_give_equal_figures(clips, cache, tmp_path):
    config = read_train_config(None, [*SETTINGS, "loop.deterministic=true"])
    facts = []
    for name in ("one", "two"):
        train(read_manifest(clips), tmp_path / name, config, cache)
        found = json.loads((tmp_path / name / "training.json").read_text())
        facts.append((found["history"], found["validation"]))
    torch.use_deterministic_algorithms(False)
    assert facts[0] == facts[1]


def test_an_interrupted_training_goes_on(trained, clips, cache, tmp_path):
    result, _ = trained
    whole = json.loads((result.model.parent / "training.json").read_text())
    config = read_train_config(None, [*SETTINGS, "loop.checkpoint_seconds=0"])

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.epoch == 1:
            raise Stop

    with pytest.raises(Stop):
        train(read_manifest(clips), tmp_path, config, cache, on_progress=stop)
    train(read_manifest(clips), tmp_path, config, cache, resume=True)
    again = json.loads((tmp_path / "training.json").read_text())
    assert again["history"] == whole["history"]


def test_a_resumed_training_keeps_its_settings_and_its_log(clips, cache, tmp_path):
    config = read_train_config(None, [*SETTINGS, "loop.checkpoint_seconds=0"])
    train(read_manifest(clips), tmp_path, config, cache)
    epochs = logged_epochs(tmp_path)
    assert epochs == list(range(1, len(epochs) + 1))
    other = replace(config, loop=replace(config.loop, seed=7))
    with pytest.raises(TrainingError, match="loop.seed was 0"):
        train(read_manifest(clips), tmp_path, other, cache, resume=True)
    oftener = replace(config, loop=replace(config.loop, checkpoint_seconds=1.0))
    train(read_manifest(clips), tmp_path, oftener, cache, resume=True)
    train(read_manifest(clips), tmp_path, replace(config, head="other"), cache)
    assert logged_epochs(tmp_path) == epochs
    assert soravec.load(tmp_path / "model").head().name == "other"  # the first one is gone


def labelled(clips):
    """The videos of a manifest with their labels."""
    with clips.open() as file:
        return [(clips.parent / row["path"], row["label"]) for row in csv.DictReader(file)]


def logged_epochs(out):
    return [json.loads(line)["epoch"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_clips_may_have_several_labels_or_none(clips, cache, tmp_path):
    path = tmp_path / "several.jsonl"
    lines = [
        {"path": str(video), "labels": [label, "any; all"] if number else []}
        for number, (video, label) in enumerate(labelled(clips))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = read_train_config(None, SETTINGS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "split.csv").write_text("path,label\n")  # of an earlier run
    result = train(read_manifest(path), tmp_path / "out", config, cache)
    head = soravec.load(result.model).head()
    assert (head.classes, head.config.activation) == (
        ("any; all", "approach", "retreat"),
        "sigmoid",
    )
    assert not (tmp_path / "out" / "split.csv").exists()
    again = read_manifest(tmp_path / "out" / "split.jsonl")
    assert [clip.labels for clip in again.clips] == [
        clip.labels for clip in result.prepared.manifest.clips
    ]


def test_targets_are_learned_in_their_own_unit(clips, cache, tmp_path):
    path = tmp_path / "targets.csv"
    targets = {"approach": 1000, "retreat": 1010}
    lines = [f"{video},{targets[label]}" for video, label in labelled(clips)]
    path.write_text("\n".join(["path,target", *lines]))
    config = read_train_config(None, SETTINGS)
    result = train(read_manifest(path), tmp_path / "out", config, cache)
    assert result.validation["mean_squared_error"] < 100
    found = soravec.load(result.model).classify(result.prepared.features.clips[0].path)
    assert not found.ranked
    assert 990 < found.scores[0] < 1020


def test_a_class_of_which_nothing_can_be_read_is_an_error(clips, cache, tmp_path):
    path = tmp_path / "third.csv"
    lines = [f"{video},{label}" for video, label in labelled(clips)]
    for number in range(3):
        (tmp_path / f"{number}.mp4").write_bytes(b"no video %d" % number)
        lines.append(f"{number}.mp4,third")
    path.write_text("\n".join(["path,label", *lines]))
    with pytest.raises(TrainingError, match="training clips of third can be read"):
        train(read_manifest(path), tmp_path / "out", read_train_config(None, SETTINGS), cache)


def test_a_head_alone_keeps_the_space(clips, cache, tmp_path):
    config = read_train_config(None, [*SETTINGS, "temporal.train=false", "head=course"])
    result = train(read_manifest(clips), tmp_path / "first", config, cache)
    encoder = soravec.load(result.model)
    assert encoder.space_id == soravec.load().space_id
    assert encoder.head("course").classes == ("approach", "retreat")
    settings = [*SETTINGS, f"model={result.model}", "temporal.train=false", "head=again"]
    second = train(
        read_manifest(clips), tmp_path / "second", read_train_config(None, settings), cache
    )
    both = soravec.load(second.model)
    assert {"again", "course"} <= set(head_names(both.folder.path))
    np.testing.assert_array_equal(both.head("course").weight, encoder.head("course").weight)
    settings = [*SETTINGS, f"model={result.model}", "head=third"]
    other = train(
        read_manifest(clips), tmp_path / "third", read_train_config(None, settings), cache
    )
    assert head_names(other.model) == ("third",)


def test_views_are_augmented_once_and_kept(clips, cache, tmp_path):
    config = read_train_config(None, [*SETTINGS, "data.views=2"])
    prepared = prepare(read_manifest(clips), config, tmp_path, cache)
    assert prepared.train
    for segment in prepared.train:
        plain, *views = segment.views
        assert len(views) == 2
        assert all(view.shape == plain.shape and not np.array_equal(view, plain) for view in views)
        assert not np.array_equal(*views)
    assert all(len(segment.views) == 1 for segment in prepared.validation)
    asked = []
    again = prepare(
        read_manifest(clips), config, tmp_path, cache,
        on_progress=lambda done, total: asked.append(total),
    )  # fmt: skip
    assert asked == [1]
    np.testing.assert_array_equal(again.train[0].views[2], prepared.train[0].views[2])


def test_what_is_too_large_is_left_out_unless_it_is_allowed(clips, small_model, tmp_path):
    settings = [f"model={small_model}", "data.limits.pixels=100"]
    with pytest.raises(TrainingError, match="none of its clips can be read.*the limit is 100"):
        prepare(
            read_manifest(clips), read_train_config(None, settings), tmp_path / "a",
            Places(tmp_path / "cache"),
        )  # fmt: skip
    with pytest.raises(QueryError, match="limit pixels is 0: give a number above 0"):
        read_train_config(None, ["data.limits.pixels=0"])


@pytest.mark.parametrize("in_library", [False, True])
def test_damaged_features_are_read_again(clips, small_model, tmp_path, in_library):
    chosen_clips = read_manifest(clips).clips[:2]
    encoder = soravec.load(small_model).sampled(fps=4.0)
    kept, library = tmp_path / "kept", tmp_path / "library"
    whole = FeatureCache(kept, encoder, num_workers=1).read(chosen_clips)
    damaged = sorted(kept.rglob("*.safetensors"))[0]
    if in_library:
        shutil.copytree(damaged.parents[1], library / "features")
    damaged.write_bytes(damaged.read_bytes()[:100])
    again = FeatureCache(kept, encoder, library=library, num_workers=1).read(chosen_clips)
    assert not again.skipped
    for (first,), (second,) in zip(whole.views, again.views, strict=True):
        np.testing.assert_array_equal(first.features, second.features)


def test_a_cnn_may_read_differences(clips, cache, tmp_path):
    settings = ["data.motion=difference", "data.layout=true", "temporal.reads=layout"]
    config = read_train_config(None, [*SETTINGS, *settings])
    result = train(read_manifest(clips), tmp_path, config, cache)
    encoder = soravec.load(result.model)
    assert encoder.reads_differences
    assert encoder.config.cnn.parts == (576, 576, 36)
    video = result.prepared.features.clips[0].path
    read = encoder.read(video)
    plain = soravec.load().sampled(fps=4.0).read(video)
    np.testing.assert_allclose(read.features[:, :576], plain.features[:, :576], atol=0.05)
    assert encoder.classify(video).scores.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("reads", "remedy"), [("motion", "data.motion=difference"), ("layout", "data.layout=true")]
)
def test_what_the_cnn_does_not_give_cannot_be_read(clips, cache, tmp_path, reads, remedy):
    settings = ["data.motion=none", f"temporal.reads={reads}"]
    config = read_train_config(None, [*SETTINGS, *settings])
    with pytest.raises(ModelError, match=remedy):
        train(read_manifest(clips), tmp_path, config, cache)


def test_a_comparison_keeps_the_best_by_validation(clips, cache, tmp_path):
    config = read_train_config(None, SETTINGS)
    few = {name: CANDIDATES[name] for name in ("mean", "gru", "transformer")}
    said = []
    manifest = read_manifest(clips)
    result, rows = compare(manifest, tmp_path, config, cache, candidates=few, say=said.append)
    assert [row.name for row in rows] == list(few)
    best = chosen(rows)
    assert best.accuracy == max(row.accuracy for row in rows)
    assert soravec.load(result.model).config.temporal.kind == few[best.name]["kind"]
    assert all(row.interval[0] <= row.accuracy <= row.interval[1] for row in rows)
    facts = json.loads((tmp_path / "comparison.json").read_text())
    assert facts["chosen"] == best.name
    assert len([text for text in said if "ms per segment" in text]) == 3


def test_an_estimate_reads_a_few_clips_and_keeps_nothing(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = estimate(read_manifest(clips), read_train_config(None, SETTINGS))
    assert found.num_videos == 8
    assert found.video_hours == pytest.approx(8 * 1.6 / 3600, rel=0.01)
    assert min(found.reading_seconds, found.step_seconds, found.peak_bytes) > 0
    assert found.num_steps == 3
    assert len(sentences(found)) == 4
    assert list(tmp_path.iterdir()) == []


def test_workers_start_once_however_much_there_is_to_read():
    moments = [100.0, 104.0, 104.5, 105.0]  # four seconds until the first file, then half a second
    assert _reading_seconds(moments, 1) == pytest.approx(5)
    assert _reading_seconds(moments, 10) == pytest.approx(4 + 0.5 * 29)
    assert _reading_seconds(moments[:2], 10) == pytest.approx(40)


@pytest.mark.slow
def test_the_cnn_learns_end_to_end(clips, cache, small_model, tmp_path):
    settings = [
        *SETTINGS,
        f"model={small_model}",
        "cnn.train_stages=2",
        "cnn.max_frames=4",
        "loop.batch_size=4",
        "loop.epochs=2",
        "loop.accumulate=2",
        "loop.precision=bf16-mixed",
        "optimizer.learning_rate=0.003",
        "data.num_workers=1",
    ]
    config = read_train_config(None, settings)
    result = train(read_manifest(clips), tmp_path, config, cache)
    encoder, base = soravec.load(result.model), soravec.load(small_model)
    assert encoder.feature_id != base.feature_id
    before, after = (
        load_encoder(folder).cnn.network.state_dict() for folder in (small_model, result.model)
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any(name.startswith(("conv_stem", "bn1", "blocks.0")) for name in changed)
    assert not any("running" in name for name in changed)
    video = result.prepared.features.clips[0].path
    assert encoder.classify(video).scores.shape == (2,)


def test_end_to_end_needs_stages_that_there_are(clips, cache, small_model, tmp_path):
    settings = [*SETTINGS, f"model={small_model}", "cnn.train_stages=99"]
    with pytest.raises(TrainingError, match="has 8"):
        train(read_manifest(clips), tmp_path, read_train_config(None, settings), cache)


def test_without_labels_something_else_must_be_asked(clips, cache, tmp_path):
    path = clips.parent / "unlabelled.csv"
    with clips.open() as source, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([row["path"]] for row in [{"path": "path"}, *csv.DictReader(source)])
    with pytest.raises(TrainingError, match="nothing to learn"):
        train(read_manifest(path), tmp_path, read_train_config(None, SETTINGS), cache)
    settings = [*SETTINGS, "objective.autoencoder=1", "objective.prediction=1"]
    result = train(read_manifest(path), tmp_path, read_train_config(None, settings), cache)
    assert {"autoencoder", "prediction_by_mean", "prediction_by_copy"} <= set(result.validation)
    with pytest.raises(soravec.SoravecError, match="no head"):
        soravec.load(result.model).head()


def test_nothing_readable_is_an_error(tmp_path, cache):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.mp4").write_bytes(f"no video {name}{number}".encode())
    with pytest.raises(TrainingError, match="none of its clips can be read"):
        train(read_manifest(tmp_path), tmp_path / "out", read_train_config(None, SETTINGS), cache)


def test_one_class_is_refused(tmp_path, clips, cache):
    (tmp_path / "only").mkdir()
    shutil.copy(clips.parent / "videos" / "00002.mp4", tmp_path / "only")
    with pytest.raises(ManifestError):
        read_manifest(tmp_path)


def test_the_base_is_the_model_where_nothing_is_asked(tmp_path):
    encoder = base_encoder(read_train_config(None, []), tmp_path)
    assert encoder.space_id == soravec.load().space_id
    assert list(tmp_path.iterdir()) == []


def test_a_base_is_made_for_what_is_asked_and_again_for_something_else(tmp_path):
    ask = {"data.layout=true": (576, 576, 36), "data.motion=none": (576, 0, 0)}
    for setting, parts in ask.items():
        encoder = base_encoder(read_train_config(None, [setting]), tmp_path)
        assert encoder.config.cnn.parts == parts
    made = encoder.folder.path
    whole = read_train_config(None, [f"model={made}", "data.motion=difference"])
    assert base_encoder(whole, tmp_path).config.cnn.parts == (576, 576, 0)
