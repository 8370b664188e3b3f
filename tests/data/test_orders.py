"""Videos that differ only in order: the same pictures in both classes of a pair, coded alike."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soravec.data.manifest import read_manifest
from soravec.data.orders import (
    CLASSES,
    PAIRS,
    STYLES,
    Style,
    draw_path,
    open_writer,
    rearranged,
    render_order,
    write_orders,
)
from soravec.data.scenes import paint
from soravec.video import EveryFrame, VideoReader

Worlds = list[NDArray[np.uint32]]


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    return [paint(scene) for scene in STYLES["first"].scenes[::4]]


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer scenes to paint, which takes longer than the videos."""
    for name, style in STYLES.items():
        monkeypatch.setitem(STYLES, name, replace(style, scenes=style.scenes[:4]))


def still(style: Style) -> Style:
    """The style without what changes in every picture."""
    return replace(style, look=replace(style.look, tremble=0.0, flicker=0.0, grain=(0.0, 0.0)))


def read_all(path: Path) -> NDArray[np.uint8]:
    with VideoReader(path) as video:
        return np.concatenate([frames.images for frames in video.read(EveryFrame())])


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("pair", PAIRS)
def test_both_orders_visit_the_same_positions_equally_often(pair: str, style: Style) -> None:
    for seed in range(20):
        path = draw_path(pair, 100, style, np.random.default_rng(seed))
        other = rearranged(pair, path)
        assert path.shape == (100, 2 if pair == "gap" else 1, 3)
        assert Counter(map(tuple, path.reshape(100, -1))) == Counter(
            map(tuple, other.reshape(100, -1))
        )
        # Nothing jumps where halves change places.
        steps = [np.abs(np.diff(way, axis=0)).max() for way in (path, other)]
        assert max(steps) < 0.12


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("pair", PAIRS)
def test_classes_are_named_after_what_they_do(pair: str, style: Style) -> None:
    for seed in range(20):
        path = draw_path(pair, 100, style, np.random.default_rng(seed))
        for way, sign in ((path, 1), (rearranged(pair, path), -1)):
            x, y, radius = way[:, 0].T
            if pair == "circle":  # y points down: x to y is clockwise.
                x, y = x - (x.min() + x.max()) / 2, y - (y.min() + y.max()) / 2
                assert sign * (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0
            elif pair == "distance":
                assert sign * np.log(radius[-1] / radius[0]) > 1
            elif pair == "height":
                assert sign * (y[[0, -1]].mean() - y[50]) > 0.3
            elif pair == "crossing":
                assert sign * (x[-1] - x[0]) > 0.7
            else:
                apart = np.hypot(*(way[:, 0, :2] - way[:, 1, :2]).T)
                assert sign * (apart[-1] - apart[0]) > 0.3


@pytest.mark.parametrize("pair", PAIRS)
def test_one_seed_gives_both_classes_the_same_pictures(pair: str, worlds: Worlds) -> None:
    style = still(STYLES["first"])
    first, second = (
        [image.tobytes() for image in render_order(name, 40, style, worlds, [1, 2, 3])]
        for name in PAIRS[pair]
    )
    assert first != second
    assert Counter(first) == Counter(second)
    assert len(set(first)) > 15


def test_coding_knows_neither_time_nor_neighbours(worlds: Worlds, tmp_path: Path) -> None:
    style = STYLES["first"]
    images = list(render_order("clockwise", 30, style, worlds, [5]))
    for name, order in (("forwards", images), ("backwards", images[::-1])):
        with open_writer(tmp_path / f"{name}.mp4", style.look) as writer:
            for image in order:
                writer.write(image)
    forwards, backwards = (read_all(tmp_path / f"{name}.mp4") for name in ("forwards", "backwards"))
    assert len(forwards) == 30
    assert np.array_equal(forwards, backwards[::-1])
    # It is a picture of the scene, not of nothing.
    assert np.abs(forwards.astype(int) - np.stack(images)).mean() < 8


def test_pictures_of_different_videos_differ(worlds: Worlds) -> None:
    a, b = (
        next(render_order("part", 20, STYLES["first"], worlds, [0, 0, number])).astype(int)
        for number in (0, 1)
    )
    assert np.abs(a - b).mean() > 10


@pytest.mark.usefixtures("few_scenes")
def test_a_set_is_written_with_its_manifest(tmp_path: Path) -> None:
    manifest = read_manifest(write_orders(tmp_path / "a", num_videos=40, num_frames=20))
    assert manifest.classes == tuple(sorted(CLASSES))
    assert Counter(clip.labels[0] for clip in manifest.clips) == dict.fromkeys(CLASSES, 4)
    # Of four of a class 2.8 round to three.
    by_class = Counter((clip.labels[0], clip.split) for clip in manifest.clips)
    assert all(by_class[name, "train"] == 3 for name in CLASSES)
    images = read_all(manifest.clips[0].path)
    assert images.shape == (20, 120, 160, 3)
    with VideoReader(manifest.clips[0].path) as video:
        assert video.info.codec == "h264"
        assert video.info.duration_seconds == pytest.approx(0.8)


@pytest.mark.usefixtures("few_scenes")
def test_one_seed_writes_the_same_files(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for folder, seed in zip(folders, (3, 3, 4), strict=True):
        write_orders(folder, num_videos=10, num_frames=20, seed=seed, style="second")
    a, b, c = ((folder / "videos" / "00007.mp4").read_bytes() for folder in folders)
    assert a == b
    assert a != c
    tables = [(folder / "manifest.csv").read_bytes() for folder in folders[:2]]
    assert tables[0] == tables[1]
    assert all(line.endswith(",test") for line in tables[0].decode().split()[1:])


def test_styles_share_neither_scenes_nor_shapes() -> None:
    first, second = STYLES["first"], STYLES["second"]
    assert not {scene.name for scene in first.scenes} & {scene.name for scene in second.scenes}
    assert not set(first.look.shapes) & set(second.look.shapes)


def test_too_few_videos_or_frames_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 10 videos of at least 20 frames"):
        write_orders(tmp_path, num_videos=9)
    with pytest.raises(ValueError, match="at least 10 videos of at least 20 frames"):
        write_orders(tmp_path, num_frames=10)


@pytest.mark.slow
def test_readings_blind_to_order_only_guess_within_a_pair(worlds: Worlds) -> None:
    num_frames, num_each = 24, 60
    blind, aware, labels = [], [], []
    for number in range(num_each * len(CLASSES)):
        name = CLASSES[number % len(CLASSES)]
        frames = list(render_order(name, num_frames, STYLES["first"], worlds, [0, 7, number]))
        # (T, 6 * 8) of brightness, its background taken away.
        grey = np.stack(frames).mean(axis=-1).reshape(num_frames, 6, 20, 8, 20).mean(axis=(2, 4))
        moved = np.abs(grey - np.median(grey, axis=0)).reshape(num_frames, -1)
        blind.append(np.concatenate([np.sort(moved, axis=0)[::6].ravel(), moved.mean(axis=0)]))
        aware.append(moved.reshape(6, 4, -1).mean(axis=1).ravel())
        labels.append(name)
    truth = np.array(labels)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    scores: dict[str, list[float]] = {"blind": [], "aware": []}
    for pair in PAIRS.values():
        rows = np.flatnonzero(np.isin(truth, pair))
        for kind, readings in (("blind", blind), ("aware", aware)):
            vectors = np.stack(readings)[rows]
            scores[kind].append(cross_val_score(probe, vectors, truth[rows], cv=5).mean())
    # 600 guesses have a standard deviation of 0.02.
    assert abs(np.mean(scores["blind"]) - 0.5) < 0.06
    assert np.mean(scores["aware"]) > 0.75
