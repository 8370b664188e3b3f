from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import soravec
from soravec.data.duplicates import (
    DuplicatePair,
    drop_duplicates,
    near_duplicates,
    same_group,
)
from soravec.data.generated import SCENES, Motion, render
from soravec.data.likeness import agreement, on_grid
from soravec.data.manifest import Clip, Manifest, read_manifest
from soravec.data.scenes import paint
from soravec.data.splits import split_clips
from soravec.errors import ManifestError, SpaceMismatch
from soravec.types import FrameFeatures, Shots
from soravec.video import VideoWriter

FPS = 12.5
ROOT = Path("/videos")


def write(path, images, *, crf=None):
    height, width = (side - side % 2 for side in images[0].shape[:2])
    with VideoWriter(path, width=width, height=height, fps=FPS, crf=crf) as writer:
        for image in images:
            writer.write(np.ascontiguousarray(image[:height, :width]))
    return path


COPIES = {
    "encoded": lambda images: (images, 30),
    "smaller": lambda images: (images[:, ::2, ::2], None),
    "cropped": lambda images: (images[:, 9:-3, 3:-13], None),
    "brighter": lambda images: (np.clip(images * 1.15 + 12, 0, 255).astype(np.uint8), None),
    "later": lambda images: (images[round(FPS) :], None),
    "odd": lambda images: (images[round(1.12 * FPS) :], None),  # not on the grid of instants
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Three places, three moves in each; the first of each place has copies. And their looks."""
    folder = tmp_path_factory.mktemp("copies")
    encoder = soravec.load("sora-mini").sampled(fps=4)
    paths = []
    for place, scene in enumerate(SCENES[:3]):
        world = paint(scene)
        for move in range(3):
            motion = Motion.of_seed(move)
            images = np.stack(list(render(world, 69, fps=FPS, motion=motion, seed=7 + 1000 * move)))
            paths.append(write(folder / f"{place}-{move}-as it is.mp4", images))
            if move == 0:
                for name, change in COPIES.items():
                    copy, crf = change(images)
                    paths.append(write(folder / f"{place}-{move}-{name}.mp4", copy, crf=crf))
    looks = encoder.config.cnn.parts[0]
    features = [encoder.read(path) for path in paths]
    features = [replace(one, features=one.features[:, :looks]) for one in features]
    return [Clip(path) for path in paths], features


def test_looks_alone_can_be_compared(drawn):
    clips, features = drawn
    rng = np.random.default_rng(0)
    more = [
        replace(one, features=np.concatenate([one.features, noise], axis=1))
        for one in features
        for noise in [rng.normal(0, 10, one.features.shape).astype(np.float16)]
    ]
    looks = features[0].features.shape[1]
    assert near_duplicates(clips, more, num_looks=looks) == near_duplicates(clips, features)
    assert near_duplicates(clips, more) != near_duplicates(clips, features)


def facts(clip):
    place, move, change = clip.path.stem.split("-")
    return place, move, change


def test_copies_are_found_and_other_moves_in_one_place_are_not(drawn):
    pairs = near_duplicates(*drawn)
    found = {}
    for pair in pairs:
        assert facts(pair.first)[0] == facts(pair.second)[0], "another place"
        if pair.kind == "copy":
            assert facts(pair.first)[:2] == facts(pair.second)[:2], "another move"
        else:
            assert pair.likeness >= 0.9
        found[facts(pair.first), facts(pair.second)] = pair.kind
    kinds = {change: [] for change in COPIES}
    for place in "012":
        for change, of_change in kinds.items():
            of_change.append(found.get(((place, "0", "as it is"), (place, "0", change))))
    for change in ("encoded", "smaller", "brighter", "later"):
        assert kinds[change] == ["copy"] * 3, change
    for change, sure in (("cropped", 1), ("odd", 2)):  # others may be no more than one place
        assert None not in kinds[change]
        assert kinds[change].count("copy") >= sure, change
    scores = [pair.score for pair in pairs if pair.kind == "copy"]
    assert scores == sorted(scores, reverse=True)


def test_the_offset_of_a_copy_is_found(drawn):
    offsets = {"later": round(FPS) / FPS, "odd": round(1.12 * FPS) / FPS, "encoded": 0.0}
    seen = 0
    for pair in near_duplicates(*drawn):
        if facts(pair.first)[2] == "as it is" and facts(pair.second)[2] in offsets:
            wanted = offsets[facts(pair.second)[2]]
            if pair.kind == "copy":
                assert abs(pair.offset_seconds - wanted) <= 0.13, pair
                assert pair.overlap_seconds >= 2.0
                seen += 1
    assert seen >= 8


def test_the_order_of_clips_does_not_matter(drawn):
    clips, features = drawn
    forth = near_duplicates(clips, features)
    back = near_duplicates(clips[::-1], features[::-1])

    def said(pairs):
        return {(frozenset((p.first, p.second)), p.kind, round(p.likeness, 4)) for p in pairs}

    assert said(forth) == said(back)


def test_what_cannot_be_compared(drawn):
    clips, features = drawn
    assert near_duplicates(clips[:1], features[:1]) == []
    with pytest.raises(ValueError, match="2 clips, but features of 1"):
        near_duplicates(clips[:2], features[:1])
    other = replace(features[1], feature_id="another")
    with pytest.raises(SpaceMismatch, match="several CNNs"):
        near_duplicates(clips[:2], [features[0], other])


def still(value, num_frames=1):
    rng = np.random.default_rng(value)
    frames = np.repeat(rng.normal(size=(1, 32)), num_frames, axis=0)
    return FrameFeatures(
        frames.astype(np.float16),
        np.arange(num_frames) / 4,
        Shots(np.array([[0.0, num_frames / 4]])),
        drawn_info(),
        "cnn",
    )


def drawn_info():
    return soravec.types.VideoInfo(
        "x", "mp4", "h264", "yuv420p", 8, 8, 0, 0.0, 1.0, 4.0, 1, False, 1
    )


def test_within_a_group_a_copy_has_to_be_surer(drawn):
    clips, features = drawn
    alone = {(p.first.path, p.second.path): p for p in near_duplicates(clips, features)}
    grouped = [replace(clip, group=facts(clip)[0]) for clip in clips]
    together = {(p.first.path, p.second.path): p for p in near_duplicates(grouped, features)}
    sure = {key for key, pair in alone.items() if pair.score >= 0.6}
    assert together.keys() == sure
    assert {pair.kind for pair in together.values()} == {"copy"}
    assert 0 < len(sure) < len(alone)


@pytest.mark.parametrize("num_frames", [1, 8])
def test_what_stands_still_is_no_copy(num_frames):
    """Two pictures of one place may be of one moment or not: nothing in them can tell."""
    clips = [Clip(ROOT / f"{n}.mp4") for n in range(4)]
    features = [still(value, num_frames) for value in (1, 1, 2, 3)]
    pairs = near_duplicates(clips, features)
    assert [(p.first, p.second, p.kind) for p in pairs] == [(clips[0], clips[1], "same_place")]
    together = [replace(clip, group="g") for clip in clips]
    assert near_duplicates(together, features) == []


def test_agreement_finds_the_overlap():
    rng = np.random.default_rng(0)
    source = rng.normal(size=(60, 16))
    found = agreement(source[:40], source[23:], 4.0)
    assert (found.offset_steps, found.overlap_steps) == (23, 17)
    assert found.score == pytest.approx(16 / 17)
    back = agreement(source[23:], source[:40], 4.0)
    assert (back.offset_steps, back.overlap_steps) == (-23, 17)
    inside = agreement(source, source[10:18] * 3 + 5, 4.0)
    assert (inside.offset_steps, inside.overlap_steps) == (10, 8)
    assert inside.score == pytest.approx(7 / 8)


def test_agreement_is_that_of_numpy():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(9, 5)), rng.normal(size=(7, 5))
    found = agreement(first, second, 2.0)
    scores = {}
    for offset in range(4 - 7, 9 - 4 + 1):  # half of the shorter one, at least
        x = first[max(0, offset) : min(9, offset + 7)]
        y = second[max(0, -offset) : min(7, 9 - offset)]
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        scores[offset] = np.corrcoef(x.ravel(), y.ravel())[0, 1] * (len(x) - 1) / len(x)
    assert found.offset_steps == max(scores, key=scores.get)
    assert found.score == pytest.approx(max(scores.values()))


def test_the_grid():
    frames = np.array([[0.0], [2.0], [4.0]])
    seconds = np.array([10.0, 10.5, 11.0])
    assert on_grid(frames, seconds, 4.0).ravel().tolist() == [0, 1, 2, 3, 4]
    assert on_grid(frames, seconds, 4.0, shift_steps=0.5).ravel().tolist() == [0.5, 1.5, 2.5, 3.5]
    assert on_grid(frames[:1], seconds[:1], 4.0).tolist() == [[0.0]]


def pair_of(first, second, kind="copy"):
    return DuplicatePair(first, second, kind, 0.99, 0.9, 0.0, 2.0)


def five(**kwargs):
    clips = [Clip(ROOT / f"{n}.mp4", ("x" if n < 3 else "y",), row=n + 2) for n in range(5)]
    for name, values in kwargs.items():
        clips = [replace(c, **{name: v}) for c, v in zip(clips, values, strict=True)]
    return Manifest(ROOT / "clips.csv", tuple(clips), ("x", "y"), "single_label")


def test_one_of_each_set_of_copies_is_kept():
    manifest = five()
    c = manifest.clips
    pairs = [pair_of(c[0], c[2]), pair_of(c[2], c[4]), pair_of(c[1], c[3], "same_place")]
    done = drop_duplicates(manifest, pairs)
    assert done.clips == (c[0], c[1], c[3])
    assert done.warnings == (
        "'2.mp4' was left out: a copy of '0.mp4'",
        "'4.mp4' was left out: a copy of '0.mp4', but labelled y, not x",
    )


def test_the_test_split_stays():
    manifest = five(split=("train", "train", "test", "validation", "train"))
    c = manifest.clips
    done = drop_duplicates(manifest, [pair_of(c[0], c[2]), pair_of(c[3], c[1])])
    assert done.clips == (c[2], c[3], c[4])


def test_pairs_become_groups():
    manifest = five(group=("g", None, "g", "h", None))
    c = manifest.clips
    done = same_group(manifest, [pair_of(c[1], c[2]), pair_of(c[4], c[1], "same_place")])
    assert [clip.group for clip in done.clips] == ["g", "g", "g", "h", "g"]
    named = same_group(five(), [pair_of(*five().clips[3:])])
    assert [clip.group for clip in named.clips] == [None, None, None, "3.mp4", "3.mp4"]
    with pytest.raises(ManifestError, match=r"'9.mp4' of a pair is not in it"):
        same_group(five(), [pair_of(c[0], Clip(ROOT / "9.mp4"))])


def test_pairs_that_are_torn_apart_already():
    manifest = five(split=("train", "train", "test", "train", "test"))
    c = manifest.clips
    pair = pair_of(c[0], c[2])
    assert pair.across_splits
    with pytest.raises(
        ManifestError, match=r"'0.mp4' \(train\) and '2.mp4' \(test\) show the same in"
    ):
        same_group(manifest, [pair])


def test_grouped_pairs_are_split_together(drawn):
    clips, features = drawn
    labelled = [Clip(c.path, (facts(c)[2][0],), row=n) for n, c in enumerate(clips)]
    labels = tuple(sorted({c.labels[0] for c in labelled}))
    manifest = Manifest(clips[0].path.parent / "clips.csv", tuple(labelled), labels, "single_label")
    pairs = near_duplicates(manifest.clips, features)
    done = split_clips(same_group(manifest, pairs), (0.5, 0.0, 0.5))
    split = {clip.path: clip.split for clip in done.clips}
    assert len(set(split.values())) == 2
    assert all(split[p.first.path] == split[p.second.path] for p in pairs)


@pytest.mark.real
@pytest.mark.slow
def test_the_published_split_of_ucf101_leaks(data_dir):
    """Two dunks of group 1 (test) are two dunks of group 10 (train), from the same broadcast."""
    encoder = soravec.load("sora-mini").sampled(fps=4)
    manifest = read_manifest(data_dir / "actions" / "manifest.csv")
    features = [encoder.read(clip.path) for clip in manifest.clips]
    pairs = near_duplicates(manifest.clips, features, num_looks=encoder.config.cnn.parts[0])
    copies = [pair for pair in pairs if pair.kind == "copy"]
    across = {(p.first.path.stem, p.second.path.stem) for p in copies if p.across_splits}
    assert across == {
        ("v_BasketballDunk_g01_c01", "v_BasketballDunk_g10_c01"),
        ("v_BasketballDunk_g01_c02", "v_BasketballDunk_g10_c02"),
    }
    within = [(p.first.path.stem, p.second.path.stem) for p in copies if not p.across_splits]
    assert within == [("v_PlayingViolin_g02_c01", "v_PlayingViolin_g02_c02")]
    left = drop_duplicates(manifest, copies)
    assert (len(left.of_split("train")), len(left.of_split("test"))) == (142, 55)
