"""Twelve painted scenes that a person tells apart at a glance, each a square that wraps around."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORLD = 1024
"""Side of a scene in pixels."""

Field = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scene:
    """What can be seen.

    Attributes:
        name: English, such as `red desert`: names the painter too.
        name_zh: The same in Chinese.
        seed: Another seed gives another place of the same kind.
    """

    name: str
    name_zh: str
    seed: int = 0


SCENES = (
    Scene("red desert", "红色沙漠", 1),
    Scene("harbour at night", "夜晚的港口", 2),
    Scene("green forest", "绿色森林", 3),
    Scene("snowy mountains", "雪山", 4),
    Scene("blue ocean", "蓝色海洋", 5),
    Scene("city blocks", "城市街区", 6),
    Scene("flower meadow", "花田", 7),
    Scene("sunset clouds", "日落云彩", 8),
    Scene("coral reef", "珊瑚礁", 9),
    Scene("autumn leaves", "秋叶", 10),
    Scene("starry sky", "星空", 11),
    Scene("striped market", "条纹集市", 12),
)


def paint(scene: Scene) -> NDArray[np.uint32]:
    """Paint a scene.

    Returns:
        (WORLD, WORLD) uint32: the bytes red, green, blue and one unused of every pixel.
    """
    rng = np.random.default_rng([scene.seed, 7])
    image = _PAINTERS[scene.name](rng)
    packed = np.zeros((WORLD, WORLD, 4), np.uint8)
    packed[..., :3] = np.clip(image, 0, 255)
    return packed.view(np.uint32)[..., 0]


def _red_desert(rng: np.random.Generator) -> Field:
    x, y = _grid()
    warp = _noise(rng, 2.6) * 2.2
    ridge = np.sin(2 * np.pi * (3 * y + 1 * x) + warp * 1.6)
    dune = 0.5 + 0.5 * np.sign(ridge) * np.abs(ridge) ** 0.7
    ripple = 0.5 + 0.5 * np.sin(2 * np.pi * (48 * y + 9 * x) + 6 * warp)
    light = 0.72 * dune + 0.12 * ripple + 0.06 * _noise(rng, 0.6)
    return _ramp(light, ((78, 22, 18), (176, 62, 30), (232, 124, 58), (250, 190, 120)))


def _harbour_at_night(rng: np.random.Generator) -> Field:
    _, y = _grid()
    wave = _noise(rng, 1.8, stretch=(1, 7))
    image = _ramp(
        0.3 + 0.12 * wave + 0.1 * np.cos(2 * np.pi * y), ((3, 5, 16), (10, 20, 48), (34, 52, 90))
    )
    colours = np.array([(255, 214, 130), (255, 170, 70), (255, 90, 60), (160, 220, 255)], float)
    for _ in range(110):
        # Only the neighbourhood of a lamp is touched: the glow above it and the trail below.
        at = rng.integers(0, WORLD, 2)
        rows, cols = np.arange(-48, 240) + at[0], np.arange(-64, 65) + at[1]
        down, across = np.arange(-48, 240)[:, None], np.arange(-64, 65)[None, :]
        area = np.ix_(rows % WORLD, cols % WORLD)
        distance = np.hypot(across, down)
        lamp = np.exp(-(distance**2) / 40) + 0.35 * np.exp(-distance / 16)
        trail = np.exp(-np.abs(across + 5 * wave[area]) / 6 - down / 70.0) * (down > 0)
        glow = lamp + 0.5 * trail * (0.7 + 0.5 * wave[area])
        fade = np.clip((240 - down) / 60, 0, 1) * np.clip((64 - np.abs(across)) / 20, 0, 1)
        image[area] += (glow * fade)[..., None] * colours[rng.integers(4)]
    return image


def _green_forest(rng: np.random.Generator) -> Field:
    greens = ((14, 44, 18), (30, 84, 30), (54, 120, 40), (92, 156, 56), (140, 186, 78))
    return _leaves(rng, greens, count=2600, sizes=(9, 34)) * _shade(rng)


def _snowy_mountains(rng: np.random.Generator) -> Field:
    x, y = _grid()
    image = _ramp(
        0.5 - 0.5 * np.cos(2 * np.pi * y), ((188, 214, 240), (110, 160, 215), (224, 236, 250))
    )
    rock = _noise(rng, 1.5)
    for layer in range(5):
        crest = _noise(rng, 2.0)[layer * 150] * 0.045
        depth = (y - (0.1 + layer * 0.2) - crest) % 1.0
        body = (depth < 0.24)[..., None]
        snow = np.clip(1.3 - depth / 0.10 + 0.9 * rock, 0, 1)[..., None]
        face = _ramp(0.5 + 0.25 * rock, ((40, 50, 70), (84, 96, 120), (140, 150, 170)))
        image = np.where(body, snow * (244, 248, 255) + (1 - snow) * face, image)
    return image


def _blue_ocean(rng: np.random.Generator) -> Field:
    swell = _noise(rng, 2.0, stretch=(1, 4))
    chop = _noise(rng, 1.1, stretch=(1, 3))
    image = _ramp(
        0.45 + 0.16 * swell + 0.07 * chop,
        ((4, 38, 84), (12, 92, 150), (40, 160, 196), (150, 226, 232)),
    )
    foam = np.clip((swell + 0.6 * chop - 1.7) * 2.5, 0, 1)[..., None]
    return image * (1 - foam) + foam * 245.0


def _city_blocks(rng: np.random.Generator) -> Field:
    image = np.empty((WORLD, WORLD, 3))
    image[:] = (66, 66, 70)
    facades = np.array(
        [(196, 178, 150), (150, 150, 156), (178, 110, 86), (214, 208, 196), (110, 124, 140)]
    )
    for top in range(0, WORLD, 128):
        for left in range(0, WORLD, 128):
            h, w = rng.integers(92, 118, 2)
            facade = facades[rng.integers(5)] * rng.uniform(0.8, 1.1)
            image[top + 6 : top + h, left + 6 : left + w] = facade
            for row in range(top + 14, top + h - 12, 18):
                for col in range(left + 14, left + w - 10, 16):
                    lit = rng.random() < 0.25
                    image[row : row + 10, col : col + 8] = (250, 226, 150) if lit else (44, 56, 76)
    return image * (1 + 0.05 * _noise(rng, 0.8))[..., None]


def _flower_meadow(rng: np.random.Generator) -> Field:
    greens = ((40, 110, 36), (70, 150, 48), (110, 180, 66))
    image = _leaves(rng, greens, count=1500, sizes=(5, 16))
    petals = np.array(
        [(236, 60, 110), (250, 210, 50), (245, 245, 250), (150, 90, 220), (255, 130, 40)]
    )
    for _ in range(420):
        radius = rng.integers(7, 17)
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        lobes = radius * (0.72 + 0.28 * np.cos(rng.integers(5, 8) * np.arctan2(y, x)))
        colour = petals[rng.integers(5)] * rng.uniform(0.85, 1.05)
        at = rng.integers(0, WORLD, 2)
        _stamp(image, at, np.hypot(x, y) <= lobes, colour)
        _stamp(image, at, np.hypot(x, y) <= radius * 0.3, np.array((250, 190, 40)))
    return image


def _sunset_clouds(rng: np.random.Generator) -> Field:
    _, y = _grid()
    height = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * y)
    image = _ramp(height, ((255, 196, 92), (250, 120, 70), (176, 66, 110), (70, 44, 110)))
    clouds = np.clip(0.5 + 0.55 * _noise(rng, 2.1, stretch=(1, 3)), 0, 1)[..., None]
    tint = _ramp(height, ((255, 232, 180), (255, 170, 140), (150, 80, 140), (90, 66, 140)))
    return image * (1 - 0.85 * clouds) + tint * 0.85 * clouds


def _coral_reef(rng: np.random.Generator) -> Field:
    field = _noise(rng, 2.3)
    bands = 0.5 + 0.5 * np.sin(9 * field)
    coral = _ramp(bands, ((150, 20, 90), (246, 92, 130), (255, 168, 130), (255, 226, 170)))
    water = _ramp(0.5 + 0.3 * _noise(rng, 1.6), ((0, 90, 110), (20, 160, 170), (120, 224, 210)))
    mask = (_noise(rng, 2.4) > 0.1)[..., None]
    dots = (np.sin(40 * field) > 0.85)[..., None]
    return np.where(mask, np.where(dots, coral * 0.7, coral), water)


def _autumn_leaves(rng: np.random.Generator) -> Field:
    browns = ((120, 44, 16), (190, 84, 20), (226, 140, 30), (240, 190, 60), (150, 30, 26))
    return _leaves(rng, browns, count=1900, sizes=(14, 40)) * _shade(rng)


def _starry_sky(rng: np.random.Generator) -> Field:
    cloud = np.clip(0.35 * _noise(rng, 2.4) + 0.2, 0, 1)
    image = _ramp(cloud, ((4, 4, 14), (34, 20, 70), (110, 50, 130), (200, 120, 170)))
    for _ in range(900):
        radius = 1 + int(rng.exponential(0.9))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        shine = rng.uniform(150, 255) * np.array([1.0, 1.0, rng.uniform(0.8, 1.1)])
        _stamp(image, rng.integers(0, WORLD, 2), np.hypot(x, y) <= radius * 0.8, shine)
    return image


def _striped_market(rng: np.random.Generator) -> Field:
    x, _ = _grid()
    image = np.empty((WORLD, WORLD, 3))
    colours = np.array(
        [(214, 40, 50), (30, 110, 190), (250, 190, 40), (20, 150, 110), (240, 110, 40)]
    )
    for row in range(8):
        for col in range(4):
            stripes = np.sin(2 * np.pi * 32 * x[:, :256] + row) > 0
            colour = colours[rng.integers(5)]
            awning = np.where(stripes[..., None], colour, (250, 246, 236))[:88]
            image[row * 128 : row * 128 + 88, col * 256 : col * 256 + 256] = awning
            goods = _ramp(
                rng.random((5, 32)).repeat(8, 0).repeat(8, 1),
                ((90, 50, 20), (230, 160, 60), (120, 190, 70)),
            )
            image[row * 128 + 88 : row * 128 + 128, col * 256 : col * 256 + 256] = goods
    return image * (1 + 0.06 * _noise(rng, 1.2))[..., None]


_PAINTERS: dict[str, Callable[[np.random.Generator], Field]] = {
    "red desert": _red_desert,
    "harbour at night": _harbour_at_night,
    "green forest": _green_forest,
    "snowy mountains": _snowy_mountains,
    "blue ocean": _blue_ocean,
    "city blocks": _city_blocks,
    "flower meadow": _flower_meadow,
    "sunset clouds": _sunset_clouds,
    "coral reef": _coral_reef,
    "autumn leaves": _autumn_leaves,
    "starry sky": _starry_sky,
    "striped market": _striped_market,
}


def _grid() -> tuple[Field, Field]:
    """Return x and y of every pixel, in [0, 1)."""
    y, x = np.mgrid[0:WORLD, 0:WORLD] / WORLD
    return x, y


def _noise(
    rng: np.random.Generator, roughness: float, *, stretch: tuple[int, int] = (1, 1)
) -> Field:
    """Return periodic noise of mean 0 and deviation 1, whose amplitude falls as f**-roughness."""
    spectrum = np.fft.rfft2(rng.standard_normal((WORLD, WORLD)))
    fy = np.fft.fftfreq(WORLD)[:, None] * WORLD * stretch[0] / stretch[1]
    fx = np.fft.rfftfreq(WORLD)[None, :] * WORLD
    frequency = np.maximum(np.hypot(fx, fy), 2.0)
    spectrum *= frequency**-roughness
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (WORLD, WORLD))
    return np.asarray(field / field.std())


def _ramp(level: Field, colours: tuple[tuple[int, int, int], ...]) -> Field:
    """Map [0, 1] onto a row of colours, (..., 3)."""
    stops = np.linspace(0, 1, len(colours))
    palette = np.array(colours, float)
    return np.stack([np.interp(level, stops, palette[:, c]) for c in range(3)], axis=-1)


def _shade(rng: np.random.Generator) -> Field:
    return (1 + 0.16 * _noise(rng, 1.9))[..., None]


def _leaves(
    rng: np.random.Generator,
    colours: tuple[tuple[int, int, int], ...],
    *,
    count: int,
    sizes: tuple[int, int],
) -> Field:
    """Cover the ground with ellipses in random order: the dead-leaves model of natural images."""
    image = np.empty((WORLD, WORLD, 3))
    image[:] = np.array(colours[0]) * 0.6
    for _ in range(count):
        radius = int(rng.integers(*sizes))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
        angle = rng.uniform(0, np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        aside = y * np.cos(angle) - x * np.sin(angle)
        mask = (along**2 + (aside / rng.uniform(0.35, 0.8)) ** 2) <= 1
        colour = np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.8, 1.15)
        vein = 1 - 0.25 * (np.abs(aside) < 0.07)
        _stamp(image, rng.integers(0, WORLD, 2), mask, colour * vein[mask][:, None])
    return image


def _stamp(
    image: Field, at: NDArray[np.int64], mask: NDArray[np.bool_], colour: Field | NDArray[np.int64]
) -> None:
    """Colour the pixels of a small mask around a place, wrapping around."""
    rows, cols = np.nonzero(mask)
    image[
        (rows + at[0] - mask.shape[0] // 2) % WORLD, (cols + at[1] - mask.shape[1] // 2) % WORLD
    ] = colour
