"""Video with known cuts, dissolves and fades, and with much that only looks like them.

Shots are seen by a moving camera over drawn scenes or photographs, or are real clips. All is
decided by seeds. Even seeds are for tuning and odd ones for testing; they share neither scenes nor
photographs nor clips. The truth of a video is what its file holds, after frames were left out.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from soravec.data.scenes import SCENES, WORLD, paint
from soravec.video import EveryFrame, VideoReader, VideoWriter

Image = NDArray[np.uint8]
Pixels = NDArray[np.float32]
Rng = np.random.Generator

SIZES = ((320, 240), (320, 240), (480, 270), (240, 320), (640, 360))
CODECS = (("h264", 20), ("h264", 26), ("h264", 36), ("hevc", 30), ("vp9", 40), ("mpeg4", None))
KINDS = ("cut", "dissolve", "black", "white")


@dataclass(frozen=True)
class Truth:
    """One transition in seconds. A cut has `start == end`: its first new frame."""

    kind: str
    start: float
    end: float
    scored: bool = True
    """False for a fade at the beginning or end of the file: there is no other shot."""


@dataclass(frozen=True)
class Style:
    """What holds for all shots of one video."""

    size: tuple[int, int]
    fps: float
    codec: str
    crf: int | None
    repeat: tuple[int, ...]
    """How often frames are shown in turn: (2,) is 12.5 in 25, (1, 1, 1, 2) is 24 in 30."""
    drop: float
    """Share of the frames that are left out while all keep their times: a variable rate."""
    bars: float
    """Share of the height that is black, above and below."""
    gain: float
    """Brightness: 0.3 is a night."""
    noise: float
    """Grain: its standard deviation, of 255."""

    @property
    def rate(self) -> float:
        """Different frames per second."""
        return self.fps * len(self.repeat) / sum(self.repeat)

    @classmethod
    def of(cls, rng: Rng) -> "Style":
        """Draw one."""
        codec, crf = CODECS[rng.integers(len(CODECS))]
        odd = rng.random()
        return cls(
            size=SIZES[rng.integers(len(SIZES))],
            fps=float(rng.choice([25.0, 25.0, 24.0, 30.0, 50.0, 15.0])),
            codec=codec,
            crf=crf,
            repeat=(2,) if odd < 0.1 else (1, 1, 1, 2) if odd < 0.2 else (1,),
            drop=0.25 if 0.2 <= odd < 0.3 else 0.0,
            bars=0.12 if rng.random() < 0.15 else 0.0,
            gain=float(rng.choice([1.0, 1.0, 1.0, 0.6, 0.3])),
            noise=float(rng.choice([0.0, 0.0, 3.0, 10.0])),
        )


class Sources:
    """Where shots come from; `half` is 0 for tuning and 1 for testing."""

    def __init__(self, half: int, photos: Path | None, data: Path | None) -> None:
        scenes = [replace(scene, seed=scene.seed + 100 * half) for scene in SCENES]
        self._drawn = [
            paint(scene).view(np.uint8).reshape(WORLD, WORLD, 4)[..., :3].copy() for scene in scenes
        ]
        pictures = sorted([*photos.rglob("*.jpg"), *photos.rglob("*.png")]) if photos else []
        clips = sorted([*data.rglob("*.avi"), *data.rglob("*.mp4")]) if data else []
        # Whole groups of clips from one recording go to one half: their names begin alike.
        self._clips = [c for c in clips if sum(c.stem.split("_c")[0].encode()) % 2 == half]
        self._photos = pictures[half::2]

    def shot(self, rng: Rng, style: Style, num_frames: int) -> Iterator[Pixels]:
        """Yield at least one frame and at most as many as asked for."""
        kind = rng.random()
        if self._clips and kind < 0.35:
            return _clip(self._clips[rng.integers(len(self._clips))], style, num_frames)
        if self._photos and kind < 0.8:
            path = self._photos[rng.integers(len(self._photos))]
            world = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
            return _camera(world, cv2.BORDER_REFLECT, rng, style, num_frames)
        world = self._drawn[rng.integers(len(self._drawn))]
        return _camera(world, cv2.BORDER_WRAP, rng, style, num_frames)


def _clip(path: Path, style: Style, num_frames: int) -> Iterator[Pixels]:
    width, height = style.size
    with VideoReader(path) as reader:
        frames = chain.from_iterable(
            batch.images for batch in reader.read(EveryFrame(), size=(height, width), fit="crop")
        )
        for image in islice(frames, num_frames):
            yield image.astype(np.float32)


def _camera(world: Image, border: int, rng: Rng, style: Style, num_frames: int) -> Iterator[Pixels]:
    """Look at a picture through a window that moves in one of eight ways, with things in front."""
    path = _path(rng, style, num_frames)
    width, height = style.size
    cover = 1.3 * max(width / world.shape[1], height / world.shape[0])
    cover *= float(rng.uniform(1.0, 1.8))
    centre = rng.uniform(0.3, 0.7, 2) * world.shape[1::-1]
    things = [_Thing(rng, style) for _ in range(rng.integers(0, 4))]
    for number in range(num_frames):
        blurred = np.zeros((height, width, 3), np.float32)
        x, y, zoom, angle = path[number]
        ahead = path[min(number + 1, num_frames - 1)]
        # The shutter is open for half the time between two frames.
        travel = float(np.hypot(ahead[0] - x, ahead[1] - y)) * 0.5 * width
        num_samples = int(np.clip(travel / 3, 1, 8))
        for sample in range(num_samples):
            part = 0.5 * sample / num_samples
            dx, dy = x + part * (ahead[0] - x), y + part * (ahead[1] - y)
            scale = 1 / (cover * zoom)
            cos, sin = scale * np.cos(angle), scale * np.sin(angle)
            left = centre[0] + dx * width / cover - cos * width / 2 + sin * height / 2
            top = centre[1] + dy * width / cover - sin * width / 2 - cos * height / 2
            matrix = np.array([[cos, -sin, left], [sin, cos, top]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            blurred += cv2.warpAffine(
                world, matrix, (width, height), flags=flags, borderMode=border
            )
        blurred /= num_samples
        for thing in things:
            thing.draw(blurred, number / style.rate)
        yield blurred


def _path(rng: Rng, style: Style, num_frames: int) -> NDArray[np.float64]:
    """Return x and y in widths of the picture, magnification and roll: (num_frames + 1, 4)."""
    t = np.arange(num_frames + 1) / style.rate
    path = np.zeros((num_frames + 1, 4))
    path[:, 2] = 1.0
    kind = rng.choice(["still", "slow", "medium", "fast", "whip", "zoom", "shake", "walk"])
    direction = rng.uniform(0, 2 * np.pi)
    ahead = np.array([np.cos(direction), 0.5 * np.sin(direction)])
    if kind in ("slow", "medium", "fast", "walk"):
        low, high = {"slow": (0.05, 0.2), "medium": (0.2, 0.6), "fast": (0.6, 1.6)}.get(
            kind, (0.05, 0.3)
        )
        path[:, :2] += rng.uniform(low, high) * t[:, None] * ahead
    if kind == "whip":
        begin, length = rng.uniform(0.2, 0.8) * t[-1], rng.uniform(0.2, 0.5)
        swing = np.clip((t - begin) / length, 0, 1)
        path[:, :2] += rng.uniform(0.6, 1.6) * (swing * swing * (3 - 2 * swing))[:, None] * ahead
    if kind in ("zoom", "walk"):
        path[:, 2] *= np.exp(rng.uniform(-0.5, 0.9) * np.clip(t / rng.uniform(0.5, 4), 0, 1))
    if kind in ("shake", "walk"):
        strength = rng.uniform(0.005, 0.06 if kind == "shake" else 0.015)
        path[:, :2] += strength * _tremble(rng, t)
        path[:, 3] += 0.5 * strength * _tremble(rng, t)[:, 0]
    if kind == "zoom":
        path[:, 3] += rng.uniform(-0.3, 0.3) * t
    return path


def _tremble(rng: Rng, t: NDArray[np.float64]) -> NDArray[np.float64]:
    waves = rng.uniform(2, 11, (3, 2)), rng.uniform(0, 2 * np.pi, (3, 2))
    return np.asarray(np.sin(2 * np.pi * t[:, None, None] * waves[0] + waves[1]).mean(axis=1))


class _Thing:
    """Something with a pattern on it that crosses the picture: small, or close to the lens."""

    def __init__(self, rng: Rng, style: Style) -> None:
        width, height = style.size
        share = rng.uniform(0.05, 0.3) if rng.random() < 0.8 else rng.uniform(0.4, 0.8)
        self._half = max(3, int(share * min(width, height) / 2))
        direction = rng.uniform(0, 2 * np.pi)
        self._speed = (
            rng.uniform(0.1, 2.0) * width * np.array([np.cos(direction), np.sin(direction)])
        )
        self._begin = rng.uniform((0, 0), (width, height)) - self._speed * rng.uniform(0, 3)
        side = 2 * self._half
        coarse = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        self._pattern = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
        y, x = np.mgrid[-self._half : self._half, -self._half : self._half]
        self._mask = (x**2 + y**2 < self._half**2) | (rng.random() < 0.4)

    def draw(self, image: Pixels, seconds: float) -> None:
        x, y = (self._begin + self._speed * seconds).astype(int) - self._half
        height, width = image.shape[:2]
        top, left, bottom, right = max(y, 0), max(x, 0), y + 2 * self._half, x + 2 * self._half
        if top >= min(bottom, height) or left >= min(right, width):
            return
        mask = self._mask[top - y : height - y, left - x : width - x]
        pattern = self._pattern[top - y : height - y, left - x : width - x]
        image[top:bottom, left:right][mask] = pattern[mask]


def disturbed(shot: Iterator[Pixels], rng: Rng, style: Style, num_frames: int) -> Iterator[Image]:
    """Add flashes, dropouts, graphics, lights and exposure to a shot: nothing of it is a cut."""
    kinds = ["flash", "dropout", "graphics", "lights", "exposure", "blank"]
    kind = rng.choice([*kinds, *["none"] * 5, "flash", "graphics"])
    at = int(rng.uniform(0.15, 0.85) * num_frames)
    length = int(rng.integers(1, 6))
    gain, lift = rng.uniform(1.5, 4.0), rng.uniform(20, 220)
    banner = _Banner(rng, style)
    gone = at + (num_frames if rng.random() < 0.5 else int(style.rate * rng.uniform(0.8, 3)))
    swing, rate = rng.uniform(0.1, 0.35), rng.uniform(0.2, 1.0)
    light = rng.choice([0.5, 0.65, 1.5])
    for number, image in enumerate(shot):
        during = at <= number < at + length
        if kind == "flash" and during:
            image = image * gain + lift  # noqa: PLW2901
        elif kind == "dropout" and at <= number < at + min(length, 2):
            image = image * 0.0 + 16  # noqa: PLW2901
        elif kind == "graphics" and at <= number < gone:
            banner.draw(image)
        elif kind == "lights" and number >= at:
            image = image * light  # noqa: PLW2901
        elif kind == "exposure":
            wave = np.sin(2 * np.pi * rate * number / style.rate)
            image = image * (1 + swing * wave)  # noqa: PLW2901
        yield np.clip(image, 0, 255).astype(np.uint8)


class _Banner:
    """A lower third, a panel or a full-width caption with bars of text on it."""

    def __init__(self, rng: Rng, style: Style) -> None:
        width, height = style.size
        share = rng.choice([(0.15, 0.9), (0.25, 1.0), (0.3, 0.4), (0.9, 0.35), (0.45, 0.6)])
        rows, cols = int(share[0] * height), int(share[1] * width)
        self._top = int(rng.uniform(0, height - rows))
        self._left = int(rng.uniform(0, width - cols))
        self._image = np.empty((rows, cols, 3), np.float32)
        self._image[:] = rng.integers(0, 256, 3)
        for line in range(4, rows - 8, 14):
            self._image[line : line + 6, 6 : int(cols * rng.uniform(0.4, 0.95))] = (
                rng.integers(0, 256, 3) if rng.random() < 0.3 else 240
            )

    def draw(self, image: Pixels) -> None:
        rows, cols = self._image.shape[:2]
        image[self._top : self._top + rows, self._left : self._left + cols] = self._image


def write_video(path: Path, seed: int, sources: Sources, num_shots: int) -> list[Truth]:
    """Write one video of a seed, and its truth as JSON beside it."""
    rng = np.random.default_rng([seed, 3])
    style = Style.of(rng)
    timeline = _Timeline(path, style, np.random.default_rng([seed, 4]))
    with timeline.writer:
        held: list[Image] = []  # frames at the end of the last shot, for the next transition
        for number in range(num_shots):
            kind = str(rng.choice(KINDS, p=[0.55, 0.28, 0.12, 0.05])) if number else "start"
            length = int(style.rate * rng.uniform(0.3, 2.0))
            tail = int(style.rate * rng.uniform(0.3, 2.0))
            body = int(style.rate * rng.uniform(1.2, 5.0))
            frames = disturbed(
                sources.shot(rng, style, length + body + tail), rng, style, length + body + tail
            )
            frames = _at_least(frames, max(length, len(held)) + tail + int(style.rate))
            held = timeline.join(kind, held, frames, length, rng)
        timeline.finish(held, fade=rng.random() < 0.3)
    path.with_suffix(".json").write_text(json.dumps([asdict(t) for t in timeline.truths]))
    return timeline.truths


def _at_least(frames: Iterator[Image], num_frames: int) -> list[Image]:
    """Return the frames of a shot, played forth and back where a clip is short."""
    shot = list(frames)
    forth = shot
    while len(shot) < num_frames:
        forth = forth[::-1]
        shot = shot + forth
    return shot


class _Timeline:
    """Writes frames and keeps the truth."""

    def __init__(self, path: Path, style: Style, rng: Rng) -> None:
        width, height = style.size
        self.truths: list[Truth] = []
        self.writer = VideoWriter(
            path, width=width, height=height, fps=style.fps, codec=style.codec, crf=style.crf
        )
        self._style = style
        self._rng = rng
        self._grain = rng.normal(0, max(style.noise, 1e-6), (height + 64, width + 64, 3)).astype(
            np.float32
        )
        self._bar = round(style.bars * height)
        self._slot = 0  # of the frame rate
        self._given = 0  # frames handed in, before any was repeated

    def join(
        self, kind: str, held: list[Image], shot: list[Image], length: int, rng: Rng
    ) -> list[Image]:
        """Write a transition and the body of the new shot; return what is left for the next."""
        seam = length
        if kind == "dissolve":
            seam = len(held)
            weights = (np.arange(seam) + 1) / (seam + 1)
            blend = zip(held, shot[:seam], weights, strict=True)
            self._gradual(kind, (a * (1 - w) + b * w for a, b, w in blend))
        elif kind in ("black", "white"):
            self._gradual("fade", _through(kind, held, shot[:length], rng))
        else:
            for image in held:
                self._write(image)
            if kind == "cut":
                self.truths.append(Truth("cut", self.seconds, self.seconds))
                seam = 0
            elif rng.random() < 0.3:
                fade = [
                    image * w for image, w in zip(shot, np.linspace(0, 1, length), strict=False)
                ]
                self._gradual("fade", fade, scored=False)
            else:
                seam = 0
        keep = max(2, int(self._style.rate * rng.uniform(0.3, 2.0)))
        body = shot[seam:]
        keep = min(keep, len(body) // 2)
        for image in body[:-keep]:
            self._write(image)
        return body[-keep:]

    def finish(self, held: list[Image], *, fade: bool) -> None:
        """Write what is left."""
        if fade:
            weights = np.linspace(1, 0, len(held))
            self._gradual("fade", [i * w for i, w in zip(held, weights, strict=True)], scored=False)
            return
        for image in held:
            self._write(image)

    @property
    def seconds(self) -> float:
        """When the next frame will be shown."""
        return self._slot / self._style.fps

    def _gradual(self, kind: str, images: Iterable[Pixels], *, scored: bool = True) -> None:
        start = self.seconds
        for image in images:
            self._write(image)
        self.truths.append(Truth(kind, start, self.seconds, scored))

    def _write(self, image: Image | Pixels) -> None:
        style = self._style
        pixels = image * np.float32(style.gain)
        if style.noise:
            y, x = self._rng.integers(0, 64, 2)
            pixels += self._grain[y : y + image.shape[0], x : x + image.shape[1]]
        shown = np.clip(pixels, 0, 255).astype(np.uint8)
        if self._bar:
            shown[: self._bar] = shown[-self._bar :] = 0
        repeat = style.repeat[self._given % len(style.repeat)]
        self._given += 1
        first = not self._slot or (self.truths and self.truths[-1].end == self.seconds)
        for turn in range(repeat):
            if turn or first or self._rng.random() >= style.drop:
                self.writer.write(shown, number=self._slot)
            self._slot += 1


def _through(kind: str, held: list[Image], shot: list[Image], rng: Rng) -> Iterator[Pixels]:
    """Fade out to a colour, hold it, and fade in."""
    colour = np.float32(0 if kind == "black" else 255)
    hold = int(rng.integers(0, 12))
    for image, weight in zip(held, np.linspace(1, 0, len(held) + 1)[1:], strict=True):
        yield colour + (image - colour) * np.float32(weight)
    for _ in range(hold):
        yield np.full_like(shot[0], colour, np.float32)
    for image, weight in zip(shot, np.linspace(0, 1, len(shot) + 1)[:-1], strict=True):
        yield colour + (image - colour) * np.float32(weight)
