"""Procedural video with known truth: scenes seen by a moving camera, with objects moving in them.

A scene is painted once as a square that wraps around (`scenes`), and each frame looks at it through
a turned and zoomed window, four samples to the pixel. All is decided by seeds.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soravec.data.scenes import SCENES, WORLD, Scene, paint
from soravec.video import EveryFrame, VideoReader, VideoWriter, read_image

__all__ = [
    "SCENES",
    "Motion",
    "SampleVideo",
    "Scene",
    "join_clips",
    "render",
    "write_sample_videos",
]

FPS = 25.0


@dataclass(frozen=True, slots=True)
class Motion:
    """How the camera and the objects move; speeds are per second, in pixels of the scene."""

    pan: tuple[float, float] = (40.0, 0.0)
    """Right and down."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Magnification at the beginning and at the end."""
    angle_degrees: float = 0.0
    """Roll at the beginning."""
    spin_degrees: float = 0.0
    """Change of roll."""
    shake: float = 0.0
    """Amplitude of a hand-held tremble, in pixels."""
    num_objects: int = 2
    """Solid things that cross the picture."""
    object_speed: float = 60.0
    """Their speed in pixels of the picture."""

    @classmethod
    def of_seed(cls, seed: int) -> "Motion":
        """Draw one: calm or lively, still or turning."""
        rng = np.random.default_rng(seed)
        direction, speed = rng.uniform(0, 2 * np.pi), rng.choice([15.0, 45.0, 90.0])
        zooms = [(1.0, 1.0), (0.8, 1.3), (1.4, 0.9)]
        return cls(
            pan=(float(speed * np.cos(direction)), float(0.6 * speed * np.sin(direction))),
            zoom=zooms[rng.integers(len(zooms))],
            angle_degrees=float(rng.uniform(-6, 6)),
            spin_degrees=float(rng.choice([0.0, 0.0, 4.0, -8.0])),
            shake=float(rng.choice([0.0, 0.0, 2.0])),
            num_objects=int(rng.integers(0, 4)),
            object_speed=float(rng.uniform(30, 120)),
        )


@dataclass(frozen=True, slots=True)
class SampleVideo:
    """One file of the sample corpus and what is known of it."""

    path: Path
    """The file."""
    role: Literal["video", "broken", "query", "still"]
    """`broken` cannot be read; `query` is a clip of a video encoded anew; `still` a picture."""
    shots: tuple[tuple[float, float, str], ...]
    """(start_seconds, end_seconds, scene name) of every shot, in the file's own time."""
    source_path: Path | None = None
    """The video that a query or a still was taken from."""
    source_seconds: tuple[float, float] | None = None
    """The span of it that was taken."""


def render(
    scene: Scene | NDArray[np.uint32],
    num_frames: int,
    *,
    width: int = 320,
    height: int = 240,
    fps: float = FPS,
    motion: Motion | None = None,
    seed: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of a scene.

    Args:
        scene: What is seen, or a world as `paint` returns it.
        num_frames: How many.
        width: Pixels across.
        height: Pixels down.
        fps: Frames per second, which the speeds refer to.
        motion: How things move; None draws one of the seed.
        seed: Decides where the camera begins, the objects, and the motion if it is not given.

    Yields:
        (height, width, 3) uint8 RGB.
    """
    world = paint(scene) if isinstance(scene, Scene) else scene
    motion = motion or Motion.of_seed(seed)
    rng = np.random.default_rng([seed, 1])
    start = rng.uniform(0, WORLD, 2)
    objects = [
        _Thing.of(rng, width, height, motion.object_speed) for _ in range(motion.num_objects)
    ]
    for number in range(num_frames):
        seconds = number / fps
        progress = number / max(num_frames - 1, 1)
        centre = start + np.array(motion.pan) * seconds
        centre = centre + motion.shake * np.sin(seconds * np.array([9.1, 11.7]))
        zoom = motion.zoom[0] * (motion.zoom[1] / motion.zoom[0]) ** progress
        angle = np.deg2rad(motion.angle_degrees + motion.spin_degrees * seconds)
        image = _window(world, centre, zoom * width / 320, angle, width, height)
        for thing in objects:
            thing.draw(image, seconds)
        yield image


def write_sample_videos(
    folder: str | Path, *, photos: str | Path | None = None
) -> list[SampleVideo]:
    """Write the sample corpus: videos, one broken file, a clip and a still to search with.

    Args:
        folder: Where the videos go; the queries go into its folder `queries`.
        photos: A folder of JPEG or PNG files, of which the first eight make one more video.

    Returns:
        Every file and its truth: the videos in order, then the broken file, the query, the still.
    """
    folder = Path(folder)
    (folder / "queries").mkdir(parents=True, exist_ok=True)
    plans = [(folder / name, plan) for name, plan in _PLANS.items()]
    worlds = {name: paint(scene) for name, scene in _by_name().items()}
    if photos is not None:
        worlds |= _photo_worlds(Path(photos))
        plans.append(
            (folder / "photographs.mp4", tuple((n, 5.0) for n in worlds if n not in _by_name()))
        )
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(_write_shots, path, plan, worlds, 100 * number)
            for number, (path, plan) in enumerate(plans)
        ]
        videos = [job.result() for job in jobs]
    return [*videos, _write_broken(folder, worlds), *_write_queries(folder, videos)]


def join_clips(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    width: int = 320,
    height: int = 240,
    fps: float = FPS,
    codec: str = "h264",
    crf: int | None = None,
) -> list[tuple[float, float]]:
    """Encode several clips into one video of fixed size and rate, one after the other.

    A frame is held where its clip has fewer frames per second, and left out where it has more.

    Returns:
        (start_seconds, end_seconds) of each clip in the new file.

    Raises:
        VideoError: A clip cannot be read.
    """
    spans = []
    written = 0
    with VideoWriter(out, width=width, height=height, fps=fps, codec=codec, crf=crf) as writer:
        for path in paths:
            first = written
            for image in _at_constant_rate(path, (height, width), fps):
                writer.write(image)
                written += 1
            spans.append((first / fps, written / fps))
    return spans


# Names and seconds of the shots of each video. Scenes recur across videos with other motion.
_PLANS: dict[str, tuple[tuple[str, float], ...]] = {
    "desert-journey.mp4": (
        ("red desert", 12.0),
        ("sunset clouds", 9.0),
        ("snowy mountains", 10.0),
        ("red desert", 8.0),
        ("starry sky", 9.0),
    ),
    "by-the-sea.webm": (
        ("blue ocean", 14.0),
        ("coral reef", 10.0),
        ("harbour at night", 12.0),
        ("blue ocean", 8.0),
    ),
    "city-walk.mp4": (
        ("city blocks", 11.0),
        ("striped market", 9.0),
        ("harbour at night", 10.0),
        ("city blocks", 7.0),
        ("autumn leaves", 10.0),
    ),
    "forest-and-meadow.mp4": (
        ("green forest", 13.0),
        ("flower meadow", 10.0),
        ("autumn leaves", 9.0),
        ("green forest", 8.0),
        ("snowy mountains", 9.0),
    ),
    "evening.webm": (
        ("sunset clouds", 11.0),
        ("starry sky", 12.0),
        ("harbour at night", 9.0),
        ("coral reef", 8.0),
    ),
    "garden.mp4": (("flower meadow", 20.0), ("striped market", 12.0), ("flower meadow", 9.0)),
}
_QUERY = ("by-the-sea.webm", 26.0, 33.0)
_STILL = ("city-walk.mp4", 4.0)


def _write_shots(
    path: Path, plan: Sequence[tuple[str, float]], worlds: dict[str, NDArray[np.uint32]], seed: int
) -> SampleVideo:
    """Render and encode one video after its plan."""
    shots = []
    written = 0
    codec = "vp9" if path.suffix == ".webm" else "h264"
    with VideoWriter(path, width=320, height=240, fps=FPS, codec=codec, crf=28) as writer:
        for number, (name, seconds) in enumerate(plan):
            num_frames = round(seconds * FPS)
            for image in render(worlds[name], num_frames, seed=seed + number):
                writer.write(image)
            shots.append((written / FPS, (written + num_frames) / FPS, name))
            written += num_frames
    return SampleVideo(path, "video", tuple(shots))


def _write_broken(folder: Path, worlds: dict[str, NDArray[np.uint32]]) -> SampleVideo:
    """Write an MP4 cut off before its index, as an interrupted copy leaves it."""
    whole = _write_shots(folder / "broken.mp4", [("red desert", 2.0)], worlds, 900)
    content = whole.path.read_bytes()
    whole.path.write_bytes(content[: len(content) * 6 // 10])
    return replace(whole, role="broken", shots=())


def _write_queries(folder: Path, videos: list[SampleVideo]) -> list[SampleVideo]:
    """Write a span of one video in another codec, size and quality, and a picture of another."""
    paths = {video.path.name: video.path for video in videos}
    scenes = {video.path.name: video.shots for video in videos}
    name, start, end = _QUERY
    clip = folder / "queries" / "clip.mp4"
    with (
        VideoReader(paths[name]) as reader,
        VideoWriter(clip, width=192, height=144, fps=FPS, codec="mpeg4") as writer,
    ):
        span = reader.read(EveryFrame(), size=(144, 192), start_seconds=start, end_seconds=end)
        for frames in span:
            for image in frames.images:
                writer.write(image)
    shot = (0.0, end - start, _scene_at(scenes[name], start))
    query = SampleVideo(clip, "query", (shot,), paths[name], (start, end))
    name, at = _STILL
    picture = folder / "queries" / "still.png"
    with VideoReader(paths[name]) as reader:
        frames = next(reader.read(EveryFrame(), start_seconds=at, end_seconds=at + 0.1))
    with VideoWriter(
        picture, width=320, height=240, fps=FPS, codec="png", pixel_format="rgb24"
    ) as writer:
        writer.write(frames.images[0])
    shot = (0.0, 0.0, _scene_at(scenes[name], at))
    return [query, SampleVideo(picture, "still", (shot,), paths[name], (at, at))]


def _scene_at(shots: Sequence[tuple[float, float, str]], seconds: float) -> str:
    return next(name for start, end, name in shots if start <= seconds < end)


def _photo_worlds(folder: Path) -> dict[str, NDArray[np.uint32]]:
    """Make worlds of photographs, mirrored so that they wrap around."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    half = WORLD // 2
    worlds = {}
    for path in paths[:8]:
        image = read_image(path, size=(half, half), fit="crop").images[0]
        image = np.concatenate([image, image[:, ::-1]], axis=1)
        image = np.concatenate([image, image[::-1]])
        alpha = np.zeros((WORLD, WORLD, 1), np.uint8)
        worlds[path.stem] = np.concatenate([image, alpha], axis=2).view(np.uint32)[..., 0]
    return worlds


def _by_name() -> dict[str, Scene]:
    return {scene.name: scene for scene in SCENES}


def _at_constant_rate(
    path: str | Path, size: tuple[int, int], fps: float
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frame on show at every tick."""
    ticks = 0
    first: float | None = None
    held: NDArray[np.uint8] | None = None
    with VideoReader(path) as reader:
        for frames in reader.read(EveryFrame(), size=size):
            for image, seconds in zip(frames.images, frames.seconds, strict=True):
                first = seconds if first is None else first
                # Half a tick of tolerance keeps a clip of this very rate free of repeats.
                while held is not None and ticks / fps < seconds - first - 0.5 / fps:
                    yield held
                    ticks += 1
                held = image
    if held is not None:
        yield held


def _window(
    world: NDArray[np.uint32],
    centre: NDArray[np.float64],
    zoom: float,
    angle: float,
    width: int,
    height: int,
) -> NDArray[np.uint8]:
    """Look at a world through a turned window: the mean of four samples per pixel."""
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    across = np.arange(width) - (width - 1) / 2
    down = np.arange(height) - (height - 1) / 2
    samples = []
    for dx, dy in ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375)):
        x = (cos * (across + dx) + centre[0])[None, :] - (sin * (down + dy))[:, None]
        y = (sin * (across + dx) + centre[1])[None, :] + (cos * (down + dy))[:, None]
        # The world wraps around, and its side is a power of two.
        flat = (y.astype(np.int32) & (WORLD - 1)) * WORLD + (x.astype(np.int32) & (WORLD - 1))
        samples.append(world.ravel().take(flat))
    mean = _mean(_mean(samples[0], samples[2]), _mean(samples[1], samples[3]))
    return np.ascontiguousarray(mean.view(np.uint8).reshape(height, width, 4)[..., :3])


def _mean(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Average four packed bytes at once, rounding down."""
    return (a & b) + (((a ^ b) & np.uint32(0xFEFEFEFE)) >> np.uint32(1))


@dataclass(frozen=True, slots=True)
class _Thing:
    """A shaded disc or box that crosses the picture and comes back on the other side."""

    sprite: NDArray[np.float32]
    alpha: NDArray[np.float32]
    start: NDArray[np.float64]
    velocity: NDArray[np.float64]

    @classmethod
    def of(cls, rng: np.random.Generator, width: int, height: int, speed: float) -> "_Thing":
        radius = int(rng.integers(height // 20, height // 8))
        y, x = np.mgrid[-1 : 1 : 2j * radius, -1 : 1 : 2j * radius]
        norm = np.hypot(x, y) if rng.random() < 0.6 else np.maximum(abs(x), abs(y)) + 0.04
        alpha = np.clip((1.0 - norm) * radius / 1.5, 0, 1)
        light = np.clip(1.05 - 0.55 * np.hypot(x + 0.35, y + 0.4), 0.25, 1.1)
        sprite = light[..., None] * rng.uniform(60, 250, 3)
        heading = rng.uniform(0, 2 * np.pi)
        velocity = speed * np.array([np.sin(heading), np.cos(heading)])
        start = rng.uniform(0, 1, 2) * (height, width)
        return cls(
            np.clip(sprite, 0, 255).astype(np.float32),
            alpha[..., None].astype(np.float32),
            start,
            velocity,
        )

    def draw(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Blend it into the picture where it is at this time."""
        height, width = image.shape[:2]
        side = len(self.sprite)
        place = (self.start + self.velocity * seconds) % (height + side, width + side) - side
        top, left = int(place[0]), int(place[1])
        rows = slice(max(0, -top), max(0, min(side, height - top)))
        cols = slice(max(0, -left), max(0, min(side, width - left)))
        patch = image[top + rows.start : top + rows.stop, left + cols.start : left + cols.stop]
        alpha = self.alpha[rows, cols]
        patch[:] = patch * (1 - alpha) + self.sprite[rows, cols] * alpha
