from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from soravec.data.manifest import Clip, Manifest, read_manifest, units_of, write_manifest
from soravec.data.splits import folds, split_clips
from soravec.errors import ManifestError

ROOT = Path("/videos")
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def manifest_of(clips, task="single_label"):
    classes = tuple(sorted({label for clip in clips for label in clip.labels}))
    return Manifest(ROOT / "clips.csv", tuple(clips), classes, task)


def grouped(per_class, clips_per_group=2):
    """`per_class[name]` groups of each class."""
    return manifest_of(
        [
            Clip(ROOT / name / f"{group}-{number}.mp4", (name,), group=f"{name}{group}")
            for name, num_groups in per_class.items()
            for group in range(num_groups)
            for number in range(clips_per_group)
        ]
    )


@st.composite
def manifests(draw):
    """Clips of 1 to 4 classes in few or many groups, some of them spans of one video."""
    num_classes = draw(st.integers(1, 4))
    clips = []
    for number in range(draw(st.integers(3, 60))):
        video = draw(st.integers(0, number))
        group = draw(st.none() | st.integers(0, 25))
        clips.append(
            Clip(
                ROOT / f"{video}.mp4",
                (f"class {draw(st.integers(0, num_classes - 1))}",),
                group=None if group is None else f"g{group}",
                start_seconds=float(number),
                row=number + 2,
            )
        )
    manifest = manifest_of(clips)
    assume(max(units_of(clips)) >= 2)
    return manifest


def splits_of(manifest):
    return {clip.key(manifest.folder): clip.split for clip in manifest.clips}


@QUICK
@given(manifests(), st.integers(0, 5))
def test_no_unit_is_torn_and_every_class_is_learned(manifest, seed):
    done = split_clips(manifest, seed=seed)
    splits = defaultdict(set)
    for unit, clip in zip(units_of(done.clips), done.clips, strict=True):
        splits[unit].add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {clip.split for clip in done.clips} <= {"train", "validation", "test"}
    assert {label for clip in done.of_split("train") for label in clip.labels} == set(done.classes)
    unchanged = [replace(clip, split=None) for clip in done.clips]
    assert unchanged == list(manifest.clips)


@QUICK
@given(manifests(), st.randoms(use_true_random=False))
def test_neither_order_nor_place_matters(manifest, random):
    shuffled = list(manifest.clips)
    random.shuffle(shuffled)
    moved = [replace(clip, path=Path("/else") / clip.path.name) for clip in shuffled]
    other = replace(manifest, path=Path("/else/clips.csv"), clips=tuple(moved))
    assert splits_of(split_clips(manifest, seed=3)) == splits_of(split_clips(other, seed=3))
    units = Counter(units_of(manifest.clips))
    assume(len(units) == len(manifest.clips) or len(units) > 8)
    try:
        numbers = folds(manifest, 2, seed=1)
    except ManifestError:
        assume(False)
    by_key = dict(zip((c.key(manifest.folder) for c in manifest.clips), numbers, strict=True))
    other_numbers = folds(other, 2, seed=1)
    others = dict(zip((c.key(other.folder) for c in other.clips), other_numbers, strict=True))
    assert by_key == others


@pytest.mark.parametrize("per_group", [1, 2])
@pytest.mark.parametrize("fractions", [(0.7, 0.15, 0.15), (0.8, 0.1, 0.1), (0.5, 0.25, 0.25)])
def test_the_fractions_come_close_in_every_class(fractions, per_group):
    manifest = grouped({"run": 40, "jump": 80, "sit": 20}, per_group)
    done = split_clips(manifest, fractions)
    assert done.warnings == ()
    for name, number in Counter(c.labels[0] for c in done.clips).items():
        parts = Counter(c.split for c in done.clips if c.labels[0] == name)
        for split, share in zip(("train", "validation", "test"), fractions, strict=True):
            assert abs(parts[split] - share * number) <= 2 * per_group, (name, parts)


def test_the_seed_decides():
    manifest = grouped({"run": 20, "jump": 20})
    assert split_clips(manifest, seed=1) == split_clips(manifest, seed=1)
    assert split_clips(manifest, seed=1) != split_clips(manifest, seed=2)
    assert np.array_equal(folds(manifest, seed=1), folds(manifest, seed=1))
    assert not np.array_equal(folds(manifest, seed=1), folds(manifest, seed=2))


def test_given_splits_stay():
    clips = grouped({"run": 3, "jump": 3}, 1).clips
    names = ["train", "validation", "test"] * 2
    given = manifest_of([replace(c, split=s) for c, s in zip(clips, names, strict=True)])
    assert split_clips(given) == given
    for_test = manifest_of([replace(c, split="test") for c in clips])
    assert split_clips(for_test) == for_test


def test_validation_is_taken_out_of_train_and_never_of_test():
    manifest = grouped({"run": 20, "jump": 20})
    given = manifest_of(
        [replace(c, split="test" if int(c.group[-1]) < 3 else "train") for c in manifest.clips]
    )
    done = split_clips(given, (0.6, 0.2, 0.2))
    for before, after in zip(given.clips, done.clips, strict=True):
        assert (after.split == "test") == (before.split == "test")
    train, validation = len(done.of_split("train")), len(done.of_split("validation"))
    assert validation / (train + validation) == pytest.approx(0.25, abs=0.08)
    groups = {c.group for c in done.of_split("validation")}
    assert not groups & {c.group for c in done.of_split("train")}
    only_train = manifest_of([replace(c, split="train") for c in manifest.clips])
    assert Counter(c.split for c in split_clips(only_train).clips).keys() == {"train", "validation"}


def test_a_class_of_one_group_is_learned_and_told_of():
    done = split_clips(grouped({"run": 20, "jump": 20, "once": 1}))
    assert {c.split for c in done.clips if c.labels == ("once",)} == {"train"}
    assert done.warnings == (
        "class 'once' has no clip in validation: too few groups",
        "class 'once' has no clip in test: too few groups",
    )


def test_a_class_of_few_groups_is_in_every_split():
    done = split_clips(grouped({f"class {n}": 3 + n % 4 for n in range(40)}, 1))
    assert done.warnings == ()
    held = {(c.labels[0], c.split) for c in done.clips}
    assert len(held) == 40 * 3


def test_several_labels_and_targets():
    rng = np.random.default_rng(0)
    clips = [
        Clip(ROOT / f"{n}.mp4", ("common", "rare") if n % 10 == 0 else ("common",))
        for n in range(200)
    ]
    done = split_clips(manifest_of(clips, "multi_label"))
    rare = Counter(c.split for c in done.clips if "rare" in c.labels)
    assert rare == {"train": 14, "validation": 3, "test": 3}
    values = rng.normal(size=200)
    clips = [Clip(ROOT / f"{n}.mp4", target=(float(v),)) for n, v in enumerate(values)]
    done = split_clips(manifest_of(clips, "regression"))
    for split in ("train", "validation", "test"):
        mean = np.mean([c.target[0] for c in done.of_split(split)])
        assert abs(mean - values.mean()) < 0.1  # of standard deviation 1
    plain = manifest_of([Clip(ROOT / f"{n}.mp4") for n in range(20)], "unlabelled")
    assert Counter(c.split for c in split_clips(plain).clips) == {
        "train": 14,
        "validation": 3,
        "test": 3,
    }


@pytest.mark.parametrize("per_group", [1, 3])
def test_folds_are_stratified_and_tear_no_group(per_group):
    manifest = grouped({"run": 15, "jump": 25}, per_group)
    numbers = folds(manifest, 5)
    for fold in range(5):
        held = [c for c, n in zip(manifest.clips, numbers, strict=True) if n == fold]
        counts = Counter(c.labels[0] for c in held)
        assert counts == {"run": 3 * per_group, "jump": 5 * per_group}
        others = [c for c, n in zip(manifest.clips, numbers, strict=True) if n != fold]
        assert not {c.group for c in held} & {c.group for c in others}


def test_what_cannot_be_split():
    with pytest.raises(ManifestError, match="2 groups cannot become 3 splits"):
        split_clips(grouped({"run": 1, "jump": 1}, 5))
    for fractions in [
        (0.5, 0.5, 0.5),
        (0.0, 0.5, 0.5),
        (1.2, -0.1, -0.1),
        (float("nan"), 0.5, 0.5),
    ]:
        with pytest.raises(ManifestError, match="three numbers of sum 1"):
            split_clips(grouped({"run": 9, "jump": 9}), fractions)
    clips = grouped({"run": 3, "jump": 3}).clips
    some = manifest_of([replace(clips[0], split="train", row=2), *clips[1:]])
    with pytest.raises(ManifestError, match="no split"):
        split_clips(some)
    with pytest.raises(ManifestError, match="class 'jump': 3 groups, 5 folds"):
        folds(grouped({"run": 9, "jump": 3}))
    with pytest.raises(ManifestError, match="1 folds: at least 2"):
        folds(grouped({"run": 9, "jump": 3}), 1)


def test_no_test_split_is_wanted():
    done = split_clips(grouped({"run": 10, "jump": 10}), (0.8, 0.2, 0.0))
    assert Counter(c.split for c in done.clips) == {"train": 32, "validation": 8}


def test_splits_are_written_beside_the_manifest(tmp_path):
    rows = [f"{name}{n}.mp4,{name},{name}{n // 2}" for name in ("run", "sit") for n in range(20)]
    for row in rows:
        (tmp_path / row.split(",")[0]).write_bytes(b"video")
    source = tmp_path / "clips.csv"
    source.write_text("\n".join(["path,label,group", *rows]))
    done = split_clips(read_manifest(source))
    again = read_manifest(write_manifest(done))
    assert again.path == tmp_path / "clips.split.csv"
    assert [c.split for c in again.clips] == [c.split for c in done.clips]
    assert split_clips(again) == again


@pytest.mark.real
def test_the_real_clips_are_split_as_published(data_dir):
    manifest = read_manifest(data_dir / "actions" / "manifest.csv")
    done = split_clips(manifest)
    counts = Counter((*c.labels, c.split) for c in done.clips)
    for name in done.classes:
        assert counts[name, "test"] == 14
        assert counts[name, "validation"] == 6  # 3 of 18 groups: 0.17 of those that are not test
    assert done.of_split("test") == manifest.of_split("test")
