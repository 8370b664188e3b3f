import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_squared_error

from soravec.data.clips import Clip
from soravec.data.features import FeatureCache
from soravec.data.manifest import build_manifest
from soravec.errors import ManifestError, ModelError, TrainingError
from soravec.evaluation.evaluate import evaluate
from soravec.video import VideoWriter
from tests.conftest import FPS, HEIGHT, WIDTH, numbered_image
from tests.evaluation.making import labelled


class Page(HTMLParser):
    """Notes what a page refers to, and whether its tags are closed in order."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.counts, self.resources = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.resources += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def run(encoder, manifest, features, out, **options):
    options.setdefault("robustness", False)
    return evaluate(encoder, manifest, features=features, out=out, **options)


@pytest.fixture(scope="module")
def evaluated(with_head, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    manifest, features = labelled(with_head, folder, noise=8.0)
    return manifest, features, run(with_head, manifest, features, folder / "report")


def test_the_models_accuracy_is_that_of_its_answers(with_head, evaluated):
    manifest, features, found = evaluated
    head = with_head.head()
    truth, given = [], []
    for clip, views in zip(features.clips, features.views, strict=True):
        if clip.split == "test":
            truth.append(clip.labels[0])
            given.append(head.classify(with_head.embed_features(views[0])).label)
    row = found.results.rows[0]
    assert row.figures["accuracy"].value == pytest.approx(accuracy_score(truth, given))
    assert row.figures["accuracy"].num_clips == len(truth) == 11
    assert found.results.metrics.accuracy == row.figures["accuracy"].value
    assert np.sum(found.results.metrics.confusion) == 11


def test_every_table_has_baselines_and_chance(evaluated):
    results = evaluated[2].results
    assert [row.kind for row in results.rows] == [
        *("model", "model", "probe", "probe", "baseline", "baseline", "baseline", "chance")
    ]
    assert results.rows[-1].figures["accuracy"].value == pytest.approx(1 / 3)
    assert results.retrieval[-1].name == "chance"
    assert all(row.sample_fps == 2.0 for row in results.rows if row.dim)
    for row in results.rows[:-1]:
        for figure in row.figures.values():
            assert figure.low <= figure.value <= figure.high or figure.method.startswith("perc")
            assert "6 groups" in figure.method
    for one, figures in zip(results.metrics.classes, results.class_figures, strict=True):
        assert figures["f1"].value == pytest.approx(one.f1)
        assert figures["f1"].low <= one.f1 <= figures["f1"].high
        assert figures["chance"].value == one.num_clips / results.metrics.num_clips
    assert "<th>AP by chance</th>" in evaluated[2].page.read_text()
    differences = [row.difference for row in results.rows]
    assert differences[0] is None
    statistics = results.rows[4]
    assert statistics.name.startswith("temporal statistics")
    assert differences[4].value == pytest.approx(
        results.rows[0].figures["accuracy"].value - statistics.figures["accuracy"].value
    )


def test_an_unreadable_clip_is_counted_and_listed(evaluated):
    results, page = evaluated[2].results, evaluated[2].page.read_text()
    assert results.data.num_clips == {"train": 24, "validation": 0, "test": 11}
    assert results.data.num_skipped == {"train": 0, "validation": 0, "test": 1}
    assert [one.row for one in results.skipped] == [37]
    assert "&lt;damaged&gt;" in page
    assert "<damaged>" not in page


def test_two_runs_with_one_seed_write_the_same_json(with_head, evaluated, tmp_path):
    manifest, features, found = evaluated
    again = run(with_head, manifest, features, tmp_path)
    first = found.page.with_name("report.json").read_bytes()
    assert (tmp_path / "report.json").read_bytes() == first
    assert again.facts == found.facts == json.loads(first)
    other = run(with_head, manifest, features, tmp_path / "other", seed=1)
    assert (
        other.facts["rows"][0]["figures"]["accuracy"]["value"]
        == (found.facts["rows"][0]["figures"]["accuracy"]["value"])
    )
    assert other.facts["rows"] != found.facts["rows"]


def test_the_page_is_whole_and_needs_nothing_else(evaluated):
    text = evaluated[2].page.read_text()
    page = Page(text)
    assert page.open == []
    assert page.counts["svg"] == 4  # methods, reliability, order, rate
    assert page.resources == []  # no frames: the files are not there
    assert not re.search(r"url\(|@import|<script|<link", text)
    assert "prefers-color-scheme: dark" in text
    for heading in ("Confusion", "Does time matter?", "Worst mistakes", "Not scored"):
        assert heading in text


def test_every_figure_says_at_which_rate_frames_were_read(evaluated):
    rate = f"{evaluated[2].results.model.sample_fps:g} frames/s"
    _, *sections = evaluated[2].page.read_text().split("<h2>")
    said = {part.split("</h2>")[0]: rate in part or "<th>fps</th>" in part for part in sections}
    silent = {name for name, is_said in said.items() if not is_said}
    assert len(said) >= 7
    assert silent <= {"Worst mistakes", "Not scored"}


def test_lines_are_a_table_with_the_order_test_and_where_the_report_is(evaluated):
    lines = evaluated[2].lines
    assert "11 test clips (6 independent), 2 frames/s" in lines[0]
    assert "accuracy" in lines[1]
    assert lines[2].startswith("sora-mini, head abc")
    assert any(line.startswith("order of frames: accuracy as it is") for line in lines)
    assert lines[-1] == f"report: {evaluated[2].page}"


def test_mistakes_are_the_most_probable_wrong_answers(evaluated):
    results = evaluated[2].results
    wrong = round((1 - results.metrics.accuracy) * 11)
    assert len(results.mistakes) == wrong > 0
    scores = [mistake.score for mistake in results.mistakes]
    assert scores == sorted(scores, reverse=True)
    assert all(mistake.truth != mistake.answer for mistake in results.mistakes)
    assert all(mistake.path.startswith(mistake.truth) for mistake in results.mistakes)


def test_a_model_without_a_head_is_judged_by_a_probe(encoder, tmp_path):
    manifest, features = labelled(encoder, tmp_path)
    found = run(encoder, manifest, features, tmp_path / "report")
    assert found.results.model.head == ""
    assert found.results.rows[0].name == "linear probe of its vectors"
    assert found.results.metrics.accuracy == 1.0
    assert any("has no head for these classes" in note for note in found.results.notes)
    assert "None: every clip is right." in found.page.read_text()


def test_regression_beside_the_mean_of_the_training_targets(encoder, tmp_path):
    manifest, features = labelled(encoder, tmp_path, task="regression")
    found = run(encoder, manifest, features, tmp_path / "report")
    rows = {row.name: row for row in found.results.rows}
    constant = rows["mean of the training targets"].figures["mean_squared_error"].value
    train = [clip.target[0] for clip in features.clips if clip.split == "train"]
    test = [clip.target[0] for clip in features.clips if clip.split == "test"]
    assert constant == pytest.approx(mean_squared_error(test, [np.mean(train)] * len(test)))
    assert found.results.metrics.mean_squared_error < 0.5 * constant
    assert found.results.metrics.r_squared > 0.5
    (of_target,) = found.results.class_figures
    assert of_target["r_squared"].value == pytest.approx(found.results.metrics.r_squared)
    assert of_target["mean_squared_error"].low < found.results.metrics.mean_squared_error
    assert found.results.retrieval == ()
    assert Page(found.page.read_text()).open == []


def test_warnings_of_the_clips_stand_in_the_report(with_head, tmp_path):
    manifest, features = labelled(with_head, tmp_path)
    manifest = replace(manifest, warnings=("2 pairs <show> the same",))
    found = run(with_head, manifest, features, tmp_path / "report")
    assert found.results.notes[-1] == "2 pairs <show> the same"
    assert "2 pairs &lt;show&gt; the same" in found.page.read_text()
    manifest = replace(manifest, warnings=tuple(f"odd {n}" for n in range(23)))
    found = run(with_head, manifest, features, tmp_path / "many")
    assert found.results.notes[-2:] == ("odd 19", "3 more warnings of the clips.")


def test_several_labels(encoder, tmp_path):
    manifest, features = labelled(encoder, tmp_path, task="multi_label", per_class=18)
    found = run(encoder, manifest, features, tmp_path / "report")
    assert found.results.primary.key == "mean_average_precision"
    share = np.mean([len(clip.labels) for clip in features.clips if clip.split == "test"]) / 3
    assert found.results.rows[-1].figures["mean_average_precision"].value == pytest.approx(share)
    assert found.results.metrics.mean_average_precision > 0.9
    assert found.results.metrics.confusion == ()
    assert Page(found.page.read_text()).open == []


def test_without_training_clips_the_model_stands_alone(with_head, tmp_path):
    manifest, features = labelled(with_head, tmp_path)
    clips = tuple(replace(clip, split="test") for clip in manifest.clips)
    found = run(with_head, replace(manifest, clips=clips), features, tmp_path / "report")
    assert [row.kind for row in found.results.rows] == ["model", "model", "chance"]
    assert any("Without training clips" in note for note in found.results.notes)


def test_scored_clips_never_teach_what_they_judge(with_head, tmp_path):
    manifest, features = labelled(with_head, tmp_path)
    found = run(with_head, manifest, features, tmp_path / "report", split="train")
    assert [row.kind for row in found.results.rows] == ["model", "model", "chance"]
    assert any("has been fitted or chosen on them" in note for note in found.results.notes)


def test_what_cannot_be_evaluated_is_an_error(encoder, with_head, tmp_path):
    manifest, features = labelled(with_head, tmp_path)
    with pytest.raises(ManifestError, match="no clip of the split 'validation'"):
        run(with_head, manifest, features, tmp_path, split="validation")
    with pytest.raises(ManifestError, match="without labels"):
        run(with_head, replace(manifest, task="unlabelled"), features, tmp_path)
    with pytest.raises(ModelError, match="no head 'other'"):
        run(with_head, manifest, features, tmp_path, head="other")
    unknown, more = labelled(with_head, tmp_path, names="abd")
    with pytest.raises(ManifestError, match="'abc' does not know 'd'"):
        run(with_head, unknown, more, tmp_path)
    numbers, targets = labelled(with_head, tmp_path, task="regression")
    with pytest.raises(ManifestError, match="regression, but the head 'abc' is single_label"):
        run(with_head, numbers, targets, tmp_path)
    alone = tuple(clip for clip in manifest.clips if clip.split == "test")
    with pytest.raises(TrainingError, match="no head, and no probe can be fitted"):
        run(encoder, replace(manifest, clips=alone), features, tmp_path)
    assert not (tmp_path / "report.json").exists()


def test_real_files_from_decoding_to_pictures(encoder, tmp_path):
    """Clips that run forwards and backwards look alike: mistakes with frames, and curves."""
    clips = []
    for number in range(12):
        path = _moving(tmp_path / f"{number}.mp4", number, backwards=number % 2 == 0)
        label = "forwards" if number % 2 else "backwards"
        split = "test" if number >= 8 else "train"
        clips.append(Clip(path, (label,), split, row=number + 1))
    manifest = build_manifest(tmp_path / "clips.csv", clips, task="single_label")
    features = FeatureCache(tmp_path / "features", encoder, num_workers=1).read(manifest.clips)
    found = run(encoder, manifest, features, tmp_path / "report", robustness=True)
    kinds = [curve.kind for curve in found.results.curves]
    assert kinds == ["rate", "noise", "blur", "jpeg", "drop"]
    assert all(curve.clean.num_clips == 4 for curve in found.results.curves)
    assert all(len(curve.points) == 4 for curve in found.results.curves[1:])
    page = Page(found.page.read_text())
    assert page.counts["svg"] == 8
    assert page.counts.get("img", 0) == 3 * len(found.results.mistakes)
    assert all(one.startswith("data:image/jpeg;base64,") for one in page.resources)


def _moving(path, first, *, backwards):
    """Draw two seconds of numbered frames, in rising or falling order."""
    order = range(first + 49, first - 1, -1) if backwards else range(first, first + 50)
    with VideoWriter(path, width=WIDTH, height=HEIGHT, fps=FPS, codec="h264") as writer:
        for place, number in enumerate(order):
            writer.write(numbered_image(number), number=place)
    return path
