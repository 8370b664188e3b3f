"""Generated clips: a camera moves over a photograph, and things move in front of it.

A `Move` says what happens without saying over which photograph, so that the same move can be seen
over two of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from soravec.training.pretraining.patches import LUMA, Image, Pyramid, code, warp

Extractor = Callable[[Image, Image], NDArray[np.float32]]
"""Takes frames (T, H, W, 3) and those just before them, gives features (T, C)."""

KINDS = ("still", "pan", "zoom_in", "zoom_out", "turn", "shake", "objects", "mixed")
STEPS = 32
FRAME_SECONDS = (1 / 60, 1 / 10)
"""How long before a frame the picture is shown that it is compared with: what lies between two
pictures of a video, which goes with the file and not with what it shows."""
POOR_SHARE = 0.4
"""How many recordings are blurred; how many noisy; how many much compressed."""


@dataclass(frozen=True, slots=True)
class Move:
    """What happens in a clip, as functions of time with fixed numbers."""

    kind: str
    """One of `KINDS`."""
    seconds: float
    """Length of the clip."""
    velocity: tuple[float, float]
    """Of the camera, in view widths per second."""
    zoom: float
    """Growth of what is seen, as a natural logarithm per second."""
    spin: float
    """Radians per second."""
    shake: float
    """Deviation of the camera's tremor, in view widths."""
    objects: tuple[tuple[float, ...], ...]
    """Per object: x, y, velocity in x and y, size, all in view widths; swing and its pace."""
    pace: float
    """Exponent of the course of time: 1 is steady, 2 speeds up, 0.5 slows down."""
    seed: int
    """Of the tremor."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a camera and its codec do to all pictures of a clip."""

    frame_seconds: float
    """Between two pictures."""
    blur: float
    """Deviation in pixels; 0: none."""
    noise: float
    """Deviation, of 255; 0: none."""
    detail: float
    """Share of the pixels down and across that is kept."""
    quality: int
    """Of JPEG; 0: not compressed."""

    def __call__(self, picture: Image, rng: np.random.Generator) -> Image:
        """Return a picture (S, S, 3) as it is left."""
        if self.blur:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur), np.uint8)
        if self.noise:
            grains = rng.standard_normal((*picture.shape[:2], 1), np.float32) * self.noise
            picture = np.asarray(np.clip(picture + grains, 0, 255), np.uint8)
        return code(picture, self.detail, self.quality) if self.quality else picture


@dataclass(frozen=True, slots=True)
class MotionClips:
    """Frame features of generated clips: N moves, each seen V times, at T instants."""

    features: NDArray[np.float16]
    """(N, V, T, C) of frames and of their differences: views 0 and 1 are over the same photograph,
    view 2 is over another."""
    seconds: NDArray[np.float32]
    """(N, V, T)."""
    kind: NDArray[np.int64]
    """(N,) index into `KINDS`."""
    photo: NDArray[np.int64]
    """(N,) photograph of views 0 and 1."""

    def first(self, num: int) -> "MotionClips":
        """Return the first `num` moves."""
        return MotionClips(
            self.features[:num], self.seconds[:num], self.kind[:num], self.photo[:num]
        )


def make_move(rng: np.random.Generator, kind: str) -> Move:
    """Return a random move of a kind."""
    mixed = kind == "mixed"
    angle, speed = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(0.08), np.log(0.8)))
    pans = kind == "pan" or (mixed and rng.random() < 0.6)
    zoom = np.exp(rng.uniform(np.log(0.08), np.log(0.5)))
    signs = {"zoom_in": -1.0, "zoom_out": 1.0, "mixed": rng.choice([-1.0, 0.0, 1.0])}
    turns = kind == "turn" or (mixed and rng.random() < 0.4)
    shakes = kind == "shake" or (mixed and rng.random() < 0.4)
    num_objects = rng.integers(1, 4) if kind == "objects" or (mixed and rng.random() < 0.5) else 0
    return Move(
        kind=kind,
        seconds=float(np.exp(rng.uniform(np.log(1.5), np.log(8.0)))),
        velocity=(speed * np.cos(angle), speed * np.sin(angle)) if pans else (0.0, 0.0),
        zoom=float(zoom * signs.get(kind, 0.0)),
        spin=float(rng.choice([-1, 1]) * rng.uniform(0.15, 1.0)) if turns else 0.0,
        shake=float(rng.uniform(0.02, 0.12)) if shakes else 0.0,
        objects=tuple(_object(rng) for _ in range(num_objects)),
        pace=float(np.exp(rng.uniform(-0.6, 0.6))),
        seed=int(rng.integers(2**31)),
    )


def draw_recording(rng: np.random.Generator) -> Recording:
    """Return a random recording: some are perfect but for their rate."""
    blurred, noisy, compressed = rng.random(3) < POOR_SHARE
    return Recording(
        frame_seconds=float(np.exp(rng.uniform(*np.log(FRAME_SECONDS)))),
        blur=rng.uniform(0.4, 2.5) if blurred else 0.0,
        noise=float(np.exp(rng.uniform(np.log(1.5), np.log(10)))) if noisy else 0.0,
        detail=rng.uniform(0.4, 1.0),
        quality=int(np.exp(rng.uniform(np.log(10), np.log(70)))) if compressed else 0,
    )


def render(
    move: Move,
    photos: tuple[Pyramid, Pyramid],
    size: int,
    recording: Recording,
    rng: np.random.Generator,
) -> tuple[Image, Image, NDArray[np.float32]]:
    """Return frames (STEPS, size, size, 3) uint8, those just before them, and seconds (STEPS,).

    Args:
        move: What happens.
        photos: What the camera sees, and what the objects are cut from.
        size: Pixels down and across.
        recording: How pictures are left.
        rng: Of what is not part of the move: start, colours, irregular times, noise.
    """
    steps = np.arange(STEPS) + rng.uniform(-0.35, 0.35, STEPS)
    seconds = np.sort(steps.clip(0) / STEPS * move.seconds).astype(np.float32)
    height, width = photos[0][0].shape[:2]
    scene = _Scene(
        move=move,
        photos=photos,
        size=size,
        view=min(height, width) * rng.uniform(0.35, 0.55) * np.exp(-move.zoom * move.seconds / 2),
        middle=np.array([width, height]) * rng.uniform(0.4, 0.6, 2),
        colour=_colour(rng),
    )
    earlier = np.maximum(seconds - recording.frame_seconds, 0)
    frames, before = (
        np.stack([recording(scene.at(second), rng) for second in instants])
        for instants in (seconds, earlier)
    )
    return frames, before, seconds


@dataclass(frozen=True, slots=True)
class _Scene:
    """A move over a photograph: a picture for every instant."""

    move: Move
    photos: tuple[Pyramid, Pyramid]
    size: int
    view: float
    """Pixels of the photograph across the picture, before any zoom."""
    middle: NDArray[np.float64]
    """x and y in the photograph about which the camera moves."""
    colour: NDArray[np.float64]

    def at(self, second: float) -> Image:
        """Return the picture (size, size, 3) of an instant."""
        move, size = self.move, self.size
        moment = move.seconds * (second / move.seconds) ** move.pace
        rng = np.random.default_rng(move.seed)
        phases, rates = rng.uniform(0, 6.28, (2, 3)), rng.uniform(6, 25, (2, 3))
        tremor = move.shake * np.sin(rates * second + phases).mean(axis=-1)  # (2,)
        offset = np.array(move.velocity) * (moment - move.seconds / 2) + tremor
        span = self.view * np.exp(move.zoom * moment)
        centre = self.middle + offset * self.view
        place = (centre[0], centre[1]), (span / size, span / size), move.spin * moment
        picture = warp(self.photos[0], *place, (size, size))
        for thing in move.objects:
            _paste(picture, self.photos[1], thing, moment)
        return np.asarray(cv2.transform(picture, self.colour), np.uint8)


def make_clips(
    photos: Sequence[Pyramid], num: int, extract: Extractor, size: int, *, seed: int
) -> MotionClips:
    """Return features of `num` moves, each seen twice over one photograph and once over another.

    Args:
        photos: What the camera moves over.
        num: Moves; kinds in turn, photographs in turn.
        extract: Frames to features.
        size: Pixels down and across.
        seed: Of all choices.
    """
    rng = np.random.default_rng(seed)
    features, times, kinds, shown = [], [], [], []
    for i in range(num):
        kind = i % len(KINDS)
        first = (i // len(KINDS)) % len(photos)
        other = int(rng.integers(len(photos)))
        move = make_move(rng, KINDS[kind])
        views = []
        for photo in (first, first, other):
            pair = (photos[photo], photos[int(rng.integers(len(photos)))])
            frames, earlier, seconds = render(move, pair, size, draw_recording(rng), rng)
            views.append((extract(frames, earlier).astype(np.float16), seconds))
        features.append(np.stack([view for view, _ in views]))
        times.append(np.stack([seconds for _, seconds in views]))
        kinds.append(kind)
        shown.append(first)
    return MotionClips(np.stack(features), np.stack(times), np.array(kinds), np.array(shown))


def _object(rng: np.random.Generator) -> tuple[float, ...]:
    angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.8)
    start = rng.uniform(0.2, 0.8, 2) - np.array([np.cos(angle), np.sin(angle)]) * 0.3
    swing = rng.uniform(0.1, 0.4) if rng.random() < 0.4 else 0.0
    motion = (speed * np.cos(angle), speed * np.sin(angle))
    return (*start, *motion, rng.uniform(0.15, 0.45), swing, rng.uniform(2, 12))


def _paste(frame: Image, photo: Pyramid, thing: tuple[float, ...], moment: float) -> None:
    """Draw an oval cut from `photo` where the object is, wrapped around at the edges."""
    x, y, right, down, extent, swing, pace = thing
    size = frame.shape[0]
    radius = max(2, int(extent * size / 2))
    x = (x + right * moment + swing * np.sin(pace * moment)) % 1.4 - 0.2
    y = (y + down * moment) % 1.4 - 0.2
    left, top = int(x * size) - radius, int(y * size) - radius
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(size, left + 2 * radius), min(size, top + 2 * radius)
    if x0 >= x1 or y0 >= y1:
        return
    cut = cv2.resize(photo[-1], (2 * radius, 2 * radius))
    part = cut[y0 - top : y1 - top, x0 - left : x1 - left]
    rows, columns = np.mgrid[y0 - top : y1 - top, x0 - left : x1 - left]
    inside = (rows - radius) ** 2 + (columns - radius) ** 2 < radius**2
    frame[y0:y1, x0:x1][inside] = part[inside]


def _colour(rng: np.random.Generator) -> NDArray[np.float64]:
    saturation, gain = rng.uniform(0.6, 1.3), rng.uniform(0.8, 1.2)
    tint = rng.uniform(0.9, 1.1, (3, 1))
    matrix = gain * tint * (saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1)))
    return np.hstack([matrix, np.full((3, 1), rng.uniform(-15, 15))])
