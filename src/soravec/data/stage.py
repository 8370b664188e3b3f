"""Textured things in front of a textured ground, seen by a camera that is not quite still."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soravec.data.scenes import WORLD

Shape = Literal["disc", "box", "hexagon", "star", "triangle", "drop"]
Float = NDArray[np.float32]
Wave = NDArray[np.float64]
"""(3, W) amplitudes, radians per second and phases of W sines."""

SPRITE_SIDES = (128, 64, 32, 16)
"""Sides of the texture of a thing, for every size in which it is seen."""


@dataclass(frozen=True, slots=True)
class Look:
    """What pictures look like."""

    width: int
    """Pixels across."""
    height: int
    """Pixels down."""
    shapes: tuple[Shape, ...]
    """Outlines of things."""
    ground_zoom: tuple[float, float] = (0.5, 1.0)
    """Magnification of the ground, at a height of 240 pixels."""
    brightness: tuple[float, float] = (0.9, 1.1)
    """Factor for the whole video."""
    tremble: float = 0.006
    """How far the camera trembles, in heights of the picture."""
    flicker: float = 0.03
    """Most change of brightness within a video, as a share."""
    grain: tuple[float, float] = (1.0, 3.0)
    """Standard deviation of the sensor's noise, of 255."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything of one video but where its things are.

    What changes in time are sums of sines with random phases, and noise that is new in every
    picture: backwards they are as likely as forwards.
    """

    look: Look
    ground: Float
    """(H + 2 M, W + 2 M, 3): the ground with a margin of M pixels for the tremble."""
    things: "tuple[_Thing, ...]"
    tremble: tuple[Wave, Wave, Wave]
    """Right and down of the camera, and its brightness."""
    brightness: float
    grain: float
    rng: np.random.Generator

    @classmethod
    def draw(
        cls,
        look: Look,
        worlds: list[NDArray[np.uint32]],
        num_things: int,
        rng: np.random.Generator,
    ) -> "Stage":
        """Draw a ground and things whose textures come from other worlds.

        Args:
            look: What is drawn.
            worlds: As `soravec.data.scenes.paint` returns them; more than `num_things`.
            num_things: How many things there are.
            rng: Of what is drawn now, and of the noise later on.
        """
        margin = _margin(look)
        ground, *others = rng.permutation(len(worlds))[: num_things + 1]
        zoom = rng.uniform(*look.ground_zoom) * look.height / 240
        size = look.height + 2 * margin, look.width + 2 * margin
        picture = _cut(worlds[ground], size, zoom, rng)
        things = tuple(
            _Thing.draw(worlds[other], look.shapes[rng.integers(len(look.shapes))], picture, rng)
            for other in others
        )
        waves = [_wave(look.tremble * look.height, rng) for _ in range(2)] + [
            _wave(look.flicker, rng)
        ]
        return cls(
            look,
            picture,
            things,
            (waves[0], waves[1], waves[2]),
            float(rng.uniform(*look.brightness)),
            float(rng.uniform(*look.grain)),
            rng,
        )

    def picture(self, seconds: float, places: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the picture (H, W, 3) uint8 RGB at a time, with things at `places` (K, 3)."""
        look = self.look
        across, down, light = (_sway(wave, seconds) for wave in self.tremble)
        image = _shifted(self.ground, _margin(look), down, across, look.height, look.width)
        middle = np.array([(look.width - 1) / 2, (look.height - 1) / 2])
        for thing, (x, y, radius) in zip(self.things, places, strict=True):
            # The camera trembles for things as for the ground.
            at = middle + look.height * np.array([x, y]) - (across, down)
            thing.paint(image, at[0], at[1], radius * look.height)
        image *= self.brightness * (1 + light)
        image += self.grain * self.rng.standard_normal(image.shape, np.float32)
        return np.clip(image, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Thing:
    """A textured outline with a dark rim, lit from above."""

    shape: Shape
    textures: tuple[Float, ...]
    """(S, S, 3) for every side of `SPRITE_SIDES`."""
    angle: float
    """By which its outline is turned."""

    @classmethod
    def draw(
        cls,
        world: NDArray[np.uint32],
        shape: Shape,
        ground: Float,
        rng: np.random.Generator,
    ) -> "_Thing":
        side = SPRITE_SIDES[0]
        texture = _cut(world, (side, side), rng.uniform(0.5, 1.0), rng)
        # A thing that looks like its ground is lit or shaded until it stands out.
        mean, around = texture.mean(axis=(0, 1)), ground.mean(axis=(0, 1))
        if np.abs(mean - around).sum() < 150:
            texture = texture * 0.4 if mean.sum() < around.sum() else 110 + 0.6 * texture
        textures = [texture]
        for smaller in SPRITE_SIDES[1:]:
            textures.append(textures[-1].reshape(smaller, 2, smaller, 2, 3).mean(axis=(1, 3)))
        return cls(shape, tuple(textures), float(rng.uniform(0, 2 * np.pi)))

    def paint(self, image: Float, x: float, y: float, radius: float) -> None:
        """Blend it into a picture (H, W, 3), `radius` pixels large around (x, y)."""
        height, width = image.shape[:2]
        rows = slice(max(0, int(y - radius)), min(height, int(y + radius) + 2))
        cols = slice(max(0, int(x - radius)), min(width, int(x + radius) + 2))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        down = ((np.arange(rows.start, rows.stop) - y) / radius).astype(np.float32)[:, None]
        across = ((np.arange(cols.start, cols.stop) - x) / radius).astype(np.float32)[None]
        depth = _depth(self.shape, across, down, self.angle)
        alpha = np.clip(depth * radius + 0.5, 0, 1)[..., None]
        rim = np.clip(depth * 7, 0.25, 1) * (1.05 - 0.25 * (down + across))
        colour = self._texture(across, down, radius) * rim[..., None]
        patch = image[rows, cols]
        patch += alpha * (colour - patch)

    def _texture(self, across: Float, down: Float, radius: float) -> Float:
        """Return the colours at places of the unit square, from the texture of the right size."""
        number = min(max(0, round(np.log2(SPRITE_SIDES[0] / (2 * radius)))), len(SPRITE_SIDES) - 1)
        texture = self.textures[number]
        last = len(texture) - 1
        x, y = ((np.clip(v.ravel(), -1, 1) + 1) / 2 * last for v in (across, down))
        left, top = (np.minimum(v.astype(np.intp), last - 1) for v in (x, y))
        dx = (x - left).astype(np.float32)[None, :, None]
        dy = (y - top).astype(np.float32)[:, None, None]
        upper = _mix(texture[np.ix_(top, left)], texture[np.ix_(top, left + 1)], dx)
        lower = _mix(texture[np.ix_(top + 1, left)], texture[np.ix_(top + 1, left + 1)], dx)
        return _mix(upper, lower, dy)


def _depth(shape: Shape, x: Float, y: Float, angle: float) -> Float:
    """Return how far inside an outline of radius 1 places lie, below 0 outside."""
    if shape in ("disc", "drop"):
        squeeze = 1.0 if shape == "disc" else 0.62
        u, v = _turned(x, y, angle)
        inside: Float = (1 - np.hypot(u, v / np.float32(squeeze))) * np.float32(squeeze)
        return inside
    corners = {"box": 4, "hexagon": 6, "triangle": 3, "star": 5}[shape]
    around = np.arctan2(y, x) + np.float32(angle)
    distance = np.hypot(x, y)
    sector = np.float32(2 * np.pi / corners)
    away = around - sector * np.round(around / sector)
    if shape == "star":
        edge = 0.55 + 0.45 * (1 - 2 * np.abs(away) / sector) ** 2
        return edge.astype(np.float32) - distance
    # A corner lies at distance 1; `away` is measured from the middle of a side.
    return np.float32(np.cos(np.pi / corners)) - distance * np.cos(away)


def _turned(x: Float, y: Float, angle: float) -> tuple[Float, Float]:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def _mix(a: Float, b: Float, share: Float) -> Float:
    return a + (b - a) * share


def _cut(
    world: NDArray[np.uint32], size: tuple[int, int], zoom: float, rng: np.random.Generator
) -> Float:
    """Return a piece (h, w, 3) of a world from anywhere, turned anyhow: four samples a pixel."""
    start, angle = rng.uniform(0, WORLD, 2), rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    total = np.zeros((*size, 3), np.float32)
    for dx, dy in ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375)):
        down, across = np.arange(size[0])[:, None] + dy, np.arange(size[1])[None] + dx
        x = (cos * across - sin * down + start[0]).astype(np.int32) & (WORLD - 1)
        y = (sin * across + cos * down + start[1]).astype(np.int32) & (WORLD - 1)
        packed = np.ascontiguousarray(world[y, x])
        total += packed.view(np.uint8).reshape(*size, 4)[..., :3]
    return total / np.float32(4)


def _shifted(
    ground: Float, margin: int, down: float, across: float, height: int, width: int
) -> Float:
    """Return the picture of a ground as seen from a fraction of a pixel aside."""
    top, left = int(np.floor(margin + down)), int(np.floor(margin + across))
    dy, dx = np.float32(margin + down - top), np.float32(margin + across - left)
    piece = ground[top : top + height + 1, left : left + width + 1]
    rows = piece[:-1] + (piece[1:] - piece[:-1]) * dy
    image: Float = rows[:, :-1] + (rows[:, 1:] - rows[:, :-1]) * dx
    return image


def _margin(look: Look) -> int:
    return int(np.ceil(look.tremble * look.height)) + 2


def _wave(amplitude: float, rng: np.random.Generator) -> Wave:
    """Draw three sines whose sum stays within an amplitude."""
    return np.stack(
        [
            np.full(3, amplitude / 3),
            2 * np.pi * np.exp(rng.uniform(np.log(0.3), np.log(4.0), 3)),
            rng.uniform(0, 2 * np.pi, 3),
        ]
    )


def _sway(wave: Wave, seconds: float) -> float:
    amplitude, pace, phase = wave
    return float((amplitude * np.sin(pace * seconds + phase)).sum())
