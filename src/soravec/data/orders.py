"""Generated videos whose classes differ only in the order of motion: does a model read time?

Ten classes in five pairs. A video's path is drawn first, in one and the same way for both classes
of a pair; the second class then shows it in another order: backwards, or, where backwards would be
the same again (up and down), with its two halves exchanged. All else (textures, brightness, a
trembling camera, noise) is drawn independently of the class, by processes that look alike forwards
and backwards, and every picture is coded on its own at a constant quantiser, so that the decoded
picture follows from what is shown alone. A single frame, or any set of frames without their order,
is therefore equally likely in both classes of a pair: no reading that is blind to order can do
better than guess between the two.
"""

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soravec.data.scenes import SCENES, Scene, paint
from soravec.data.stage import Look, Stage
from soravec.runtime.engine import available_cores
from soravec.video import VideoWriter

PAIRS = {
    "circle": ("clockwise", "counterclockwise"),
    "distance": ("approach", "retreat"),
    "height": ("rise_then_fall", "fall_then_rise"),
    "crossing": ("left_to_right", "right_to_left"),
    "gap": ("part", "meet"),
}
"""What moves, and the two orders in which it is shown: as drawn, and rearranged."""

CLASSES = tuple(name for pair in PAIRS.values() for name in pair)
"""The ten classes; five pairs of neighbours."""

FPS = 25.0
SPLIT_SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}

StyleName = Literal["first", "second"]
Path3 = NDArray[np.float64]
"""(T, K, 3) of K things: x to the right and y down from the middle, and radius; in heights of the
picture."""
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Style:
    """What videos look like."""

    look: Look
    """Size, textures and what else does not move."""
    scenes: tuple[Scene, ...]
    """Where textures of grounds and things come from."""
    radius: Range
    """Of a thing, in heights of the picture."""
    moving: Range
    """Share of the time that a motion takes: the speed."""
    bend: Range
    """Exponent of progress: 1 moves evenly."""


STYLES: dict[StyleName, Style] = {
    "first": Style(
        Look(160, 120, ("disc", "box", "hexagon"), grain=(0.5, 3.0)),
        tuple(Scene(scene.name, scene.name_zh, seed) for scene in SCENES[::2] for seed in (21, 22)),
        radius=(0.12, 0.17),
        moving=(0.7, 1.0),
        bend=(0.8, 1.25),
    ),
    "second": Style(
        Look(
            192,
            144,
            ("star", "triangle", "drop"),
            ground_zoom=(1.0, 1.8),
            brightness=(0.8, 1.2),
            tremble=0.012,
            grain=(2.0, 6.0),
        ),
        tuple(
            Scene(scene.name, scene.name_zh, seed) for scene in SCENES[1::2] for seed in (31, 32)
        ),
        radius=(0.15, 0.21),
        moving=(0.45, 0.7),
        bend=(0.65, 1.5),
    ),
}
"""`second` shares nothing with `first` but the classes: it is for tests alone."""


def write_orders(
    folder: str | Path,
    *,
    num_videos: int = 1000,
    num_frames: int = 100,
    style: StyleName = "first",
    seed: int = 0,
    num_threads: int | None = None,
) -> Path:
    """Write videos and their manifest, and return the manifest.

    Classes take turns, so that they are equally frequent. Videos of the first style are divided
    into train, validation and test, class by class, 0.7 to 0.15 to 0.15; those of the second are
    all test.

    Args:
        folder: Where they go; `manifest.csv` beside them has the columns path, label and split.
        num_videos: How many, at least one of each class.
        num_frames: Of each, at 25 frames/s; at least 20.
        style: What they look like.
        seed: Every video follows from it, its number and the style.
        num_threads: Videos that are made at once; None for one per core.
    """
    if num_videos < len(CLASSES) or num_frames < 20:
        raise ValueError(f"at least {len(CLASSES)} videos of at least 20 frames")
    folder = Path(folder)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    chosen = STYLES[style]
    with ThreadPoolExecutor(num_threads or available_cores()) as pool:
        worlds = list(pool.map(paint, chosen.scenes))
        write = partial(_write, folder, chosen, worlds, num_frames)
        seeds = [(seed, list(STYLES).index(style), number) for number in range(num_videos)]
        names = list(pool.map(write, seeds))
    splits = _splits(num_videos, seed) if style == "first" else ["test"] * num_videos
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("path", "label", "split"))
        table.writerows(
            (name, CLASSES[number % len(CLASSES)], split)
            for number, (name, split) in enumerate(zip(names, splits, strict=True))
        )
    return manifest


def draw_path(pair: str, num_frames: int, style: Style, rng: np.random.Generator) -> Path3:
    """Draw how things move, (T, K, 3), in the order of the first class of a pair."""
    return _PATHS[pair](num_frames, style, rng)


def rearranged(pair: str, path: Path3) -> Path3:
    """Return the same positions in the order of the second class of a pair.

    Backwards; for `height`, whose way down is a way up backwards, the halves change places: up,
    then down, becomes down, then up. Heights 0 1 2 | 2 1 0 become 2 1 0 | 0 1 2.
    """
    if pair != "height":
        return path[::-1]
    # The way up ends in the middle of the rest at the top.
    y = path[:, 0, 1]
    resting = np.flatnonzero(y == y.min())
    return np.roll(path, -int(resting[len(resting) // 2]), axis=0)


def render_order(
    name: str, num_frames: int, style: Style, worlds: list[NDArray[np.uint32]], seed: list[int]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames (H, W, 3) uint8 RGB of a video of the class `name`."""
    pair, members = next((pair, both) for pair, both in PAIRS.items() if name in both)
    # Two streams: what is drawn for the path does not depend on the class, nor the rest on either.
    path = draw_path(pair, num_frames, style, np.random.default_rng([*seed, 0]))
    if name == members[1]:
        path = rearranged(pair, path)
    stage = Stage.draw(style.look, worlds, path.shape[1], np.random.default_rng([*seed, 1]))
    for number, places in enumerate(path):
        yield stage.picture(number / FPS, places)


def open_writer(path: Path, look: Look) -> VideoWriter:
    """Return a writer whose pictures do not know of one another: all keyframes, one quantiser."""
    return VideoWriter(
        path,
        width=look.width,
        height=look.height,
        fps=FPS,
        keyframe_seconds=1 / FPS,
        options={"qp": "26"},
    )


def _write(
    folder: Path,
    style: Style,
    worlds: list[NDArray[np.uint32]],
    num_frames: int,
    seed: tuple[int, int, int],
) -> str:
    """Write one video; return its path from the folder."""
    number = seed[-1]
    label = CLASSES[number % len(CLASSES)]
    name = f"videos/{number:05d}.mp4"
    with open_writer(folder / name, style.look) as writer:
        for image in render_order(label, num_frames, style, worlds, list(seed)):
            writer.write(image)
    return name


def _splits(num_videos: int, seed: int) -> list[str]:
    """Return the split of each video: every class is divided alike."""
    rng = np.random.default_rng([seed, 99])
    splits = [""] * num_videos
    for first in range(len(CLASSES)):
        members = rng.permutation(np.arange(first, num_videos, len(CLASSES)))
        train = round(len(members) * SPLIT_SHARES["train"])
        validation = round(len(members) * SPLIT_SHARES["validation"])
        for place, member in enumerate(members):
            late = "validation" if place < train + validation else "test"
            splits[member] = "train" if place < train else late
    return splits


def _circle(num_frames: int, style: Style, rng: np.random.Generator) -> Path3:
    """Around the middle: the angle grows, which is clockwise where y points down."""
    turns = rng.uniform(0.9, 1.7) * _progress(num_frames, style, rng)
    angle = 2 * np.pi * (rng.uniform() + turns)
    orbit, flat = rng.uniform(0.26, 0.32), rng.uniform(0.9, 1.4)
    middle = rng.uniform(-0.04, 0.04, 2)
    x, y = orbit * flat * np.cos(angle), orbit * np.sin(angle)
    return _thing(middle[0] + x, middle[1] + y, rng.uniform(*style.radius))


def _distance(num_frames: int, style: Style, rng: np.random.Generator) -> Path3:
    """Towards the camera: the thing grows four times as large."""
    radius = rng.uniform(*style.radius) * 0.55 * 4.0 ** _progress(num_frames, style, rng)
    middle = rng.uniform(-0.08, 0.08, 2)
    return _thing(np.full(num_frames, middle[0]), np.full(num_frames, middle[1]), radius)


def _height(num_frames: int, style: Style, rng: np.random.Generator) -> Path3:
    """Up, then down: both ways are drawn on their own, between the same two heights."""
    turn = round(num_frames * rng.uniform(0.42, 0.58))
    up = _progress(turn, style, rng)
    down = 1 - _progress(num_frames - turn, style, rng)
    reach = rng.uniform(0.26, 0.34)
    y = reach * (1 - 2 * np.concatenate([up, down]))
    return _thing(np.full(num_frames, rng.uniform(-0.3, 0.3)), y, rng.uniform(*style.radius))


def _crossing(num_frames: int, style: Style, rng: np.random.Generator) -> Path3:
    """From left to right."""
    reach = rng.uniform(0.4, 0.52)
    x = reach * (2 * _progress(num_frames, style, rng) - 1)
    slope = rng.uniform(-0.1, 0.1)
    return _thing(x, rng.uniform(-0.2, 0.2) + slope * x, rng.uniform(*style.radius))


def _gap(num_frames: int, style: Style, rng: np.random.Generator) -> Path3:
    """Two things, away from one another."""
    radii = rng.uniform(*style.radius, 2) * 0.85
    near, far = radii.mean(), rng.uniform(0.42, 0.5)
    half = near + (far - near) * _progress(num_frames, style, rng)
    angle = rng.uniform(-0.3, 0.3)
    x, y = half * np.cos(angle), half * np.sin(angle)
    middle = rng.uniform(-0.06, 0.06, 2)
    things = [
        _thing(middle[0] + side * x, middle[1] + side * y, radius)
        for side, radius in zip((-1, 1), radii, strict=True)
    ]
    return np.concatenate(things, axis=1)


_PATHS: dict[str, Callable[[int, Style, np.random.Generator], Path3]] = {
    "circle": _circle,
    "distance": _distance,
    "height": _height,
    "crossing": _crossing,
    "gap": _gap,
}


def _progress(num_frames: int, style: Style, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw how far a motion has come at each frame, from 0 to 1, at rest before and after it."""
    share = rng.uniform(*style.moving)
    begin = rng.uniform(0, 1 - share)
    time = np.linspace(0, 1, num_frames)
    bent: NDArray[np.float64] = np.clip((time - begin) / share, 0, 1) ** rng.uniform(*style.bend)
    # Half even, half with a soft start and end.
    return 0.5 * bent + 0.5 * bent * bent * (3 - 2 * bent)


def _thing(
    x: NDArray[np.float64], y: NDArray[np.float64], radius: float | NDArray[np.float64]
) -> Path3:
    return np.stack([x, y, np.broadcast_to(radius, x.shape)], axis=-1)[:, None]
