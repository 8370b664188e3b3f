"""Pictures that are drawn by chance: what no photograph at hand shows.

A few photographs hold few things. A student that shall agree with its teacher on what neither has
seen must meet pictures from everywhere in between, and programs draw them without end: pattern
networks (Stanley, "Compositional pattern producing networks", 2007,
https://doi.org/10.1007/s10710-007-9028-8), noise with a spectrum of power law and dead leaves
(Baradad et al., "Learning to See by Looking at Noise", 2021, https://arxiv.org/abs/2106.05963),
fractals (Kataoka et al., "Pre-training without Natural Images", 2020,
https://arxiv.org/abs/2101.08515), stripes, cells, and writing; and things of such stuff, lit, with
shadows, one before the other.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from soravec.training.pretraining.patches import Image, Pyramid, pyramid

SIDE = 384
"""Pixels down and across of a painting."""

Plane = NDArray[np.float32]
"""(S, S) or (S, S, 3), mostly from 0 to 1 where it is a picture."""


def paint_pictures(num: int, rng: np.random.Generator) -> list[Pyramid]:
    """Return paintings, each at full, half, quarter and eighth size."""
    return [pyramid(paint(SIDE, rng)) for _ in range(num)]


def paint(side: int, rng: np.random.Generator) -> Image:
    """Return a painting (side, side, 3) uint8 RGB: things before a ground, or a ground alone."""
    picture = texture(side, rng)
    if rng.random() < 0.4:
        picture = lit(picture, _waves(side, rng), rng)
    for _ in range(int(rng.integers(0, 14)) if rng.random() < 0.8 else 0):
        _put_thing(picture, rng)
    if rng.random() < 0.3:
        picture *= 1 + 0.5 * _ramp(side, rng)[..., None]
    return np.asarray(np.clip(picture * 255, 0, 255), np.uint8)


def texture(side: int, rng: np.random.Generator) -> Plane:
    """Return a stuff (side, side, 3) that paintings are made of, mostly between 0 and 1."""
    kinds: tuple[Callable[[int, np.random.Generator], Plane], ...] = (
        pattern_network,
        pattern_network,
        power_noise,
        stripes,
        cells,
        fractal,
        leaves,
        writing,
        plain,
    )
    return kinds[int(rng.integers(len(kinds)))](side, rng)


def pattern_network(side: int, rng: np.random.Generator) -> Plane:
    """Return what a random network with mixed activations says of every place."""
    x, y = _places(side, rng)
    seen = np.stack([x, y, np.hypot(x, y), np.ones_like(x)], axis=-1).reshape(-1, 4)
    for _ in range(int(rng.integers(2, 5))):
        width = 9
        matrix = rng.normal(0, 1.2 / seen.shape[1] ** 0.5, (seen.shape[1], width))
        sums = seen @ matrix.astype(np.float32) * np.float32(rng.uniform(1, 3))
        third = width // 3
        parts = (
            np.sin(sums[:, :third] * np.float32(rng.uniform(1, 4))),
            np.tanh(sums[:, third : 2 * third]),
            _bumps(sums[:, 2 * third :], rng),
        )
        seen = np.concatenate(parts, axis=1)
    return _coloured(seen.reshape(side, side, -1), rng)


def power_noise(side: int, rng: np.random.Generator) -> Plane:
    """Return noise whose spectrum falls with the frequency, coloured, or as a map's lines."""
    planes = np.stack([_noise(side, rng.uniform(0.8, 2.2), rng) for _ in range(3)], axis=-1)
    if rng.random() < 0.4:
        planes = np.sin(planes * np.float32(np.exp(rng.uniform(0.5, 2.5))))
    return _coloured(planes, rng)


def stripes(side: int, rng: np.random.Generator) -> Plane:
    """Return bent stripes or checks of two or three colours."""
    x, y = _places(side, rng)
    bend = rng.uniform(0, 1.5)
    x, y = x + bend * _waves(side, rng), y + bend * _waves(side, rng)
    pitch = np.exp(rng.uniform(0.7, 3.5, 2))
    waves = np.sin(x * pitch[0]), np.sin(y * pitch[1])
    kind = int(rng.integers(4))
    wave = (waves[0], waves[0] * waves[1], np.maximum(*waves), waves[0] + waves[1])[kind]
    if rng.random() < 0.6:
        wave = np.sign(wave - rng.uniform(-0.5, 0.5))
    low, high = _colour(rng), _colour(rng)
    return np.asarray(low + (high - low) * (0.5 + 0.5 * wave[..., None]), np.float32)


def cells(side: int, rng: np.random.Generator) -> Plane:
    """Return cells about random points, each of its colour, shaded by the distance."""
    count = int(np.exp(rng.uniform(np.log(8), np.log(900))))
    points = np.full((side, side), 255, np.uint8)
    points[tuple(rng.integers(0, side, (2, count)))] = 0
    far, label = cv2.distanceTransformWithLabels(
        points, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    palette = _palette(int(label.max()) + 1, rng)
    shade = far * count**0.5 / side
    picture = palette[label] * (1 - rng.uniform(-0.6, 0.9) * shade[..., None])
    return np.asarray(picture, np.float32)


def fractal(side: int, rng: np.random.Generator) -> Plane:
    """Return the set that random contractions leave in place, by the density of visits."""
    maps = rng.uniform(-1, 1, (int(rng.integers(2, 6)), 2, 3)).astype(np.float32)
    for one in maps:
        one[:, :2] *= rng.uniform(0.4, 0.95) / max(float(np.linalg.norm(one[:, :2], 2)), 1e-3)
    points = rng.uniform(-1, 1, (3000, 2)).astype(np.float32)
    visited = []
    for turn in range(40):
        picked = maps[rng.integers(len(maps), size=len(points))]
        points = np.einsum("nij,nj->ni", picked[:, :, :2], points) + picked[:, :, 2]
        if turn >= 8:
            visited.append(points)
    every = np.concatenate(visited)
    low, high = np.percentile(every, [1, 99], axis=0)
    pixels = ((every - low) / np.maximum(high - low, 1e-3) * (side - 1)).astype(np.int32)
    inside = ((pixels >= 0) & (pixels < side)).all(axis=1)
    counts = np.bincount(pixels[inside] @ [side, 1], minlength=side * side)
    density = np.log1p(counts.reshape(side, side).astype(np.float32))
    density = cv2.GaussianBlur(density, (0, 0), rng.uniform(0.6, 2)) / max(density.max(), 1e-3)
    ground, near, far = _colour(rng), _colour(rng), _colour(rng)
    share = np.clip(1.6 * density, 0, 1)[..., None]
    return np.asarray(
        ground + share * (near + density[..., None] * (far - near) - ground), np.float32
    )


def leaves(side: int, rng: np.random.Generator) -> Plane:
    """Return dead leaves: shapes of single colours that cover one another."""
    picture = np.empty((side, side, 3), np.float32)
    picture[:] = _colour(rng)
    palette = _palette(24, rng)
    for size in np.exp(rng.uniform(np.log(0.01), np.log(0.3), int(rng.integers(40, 250)))):
        colour = tuple(float(value) for value in palette[rng.integers(len(palette))])
        centre = rng.uniform(0, side, 2)
        outline = _outline(size * side, rng) + centre
        cv2.fillPoly(picture, [outline.astype(np.int32)], colour, lineType=cv2.LINE_AA)
    return picture


def writing(side: int, rng: np.random.Generator) -> Plane:
    """Return lines, strokes and letters on one colour."""
    picture = np.empty((side, side, 3), np.uint8)
    picture[:] = 255 * _colour(rng)
    for _ in range(int(rng.integers(5, 60))):
        colour = tuple(float(value) for value in 255 * _colour(rng))
        thick = int(rng.integers(1, 7))
        start = rng.integers(0, side, 2)
        if rng.random() < 0.3:
            letters = "".join(map(chr, rng.integers(33, 127, int(rng.integers(1, 12)))))
            style = int(rng.integers(0, 8)), rng.uniform(0.4, 4)
            cv2.putText(picture, letters, tuple(map(int, start)), *style, colour, thick)
        else:
            steps = rng.normal(0, side * rng.uniform(0.02, 0.3), (int(rng.integers(1, 9)), 2))
            line = np.vstack([start, start + np.cumsum(steps, axis=0)]).astype(np.int32)
            closed = rng.random() < 0.3
            cv2.polylines(picture, [line], closed, colour, thick, lineType=cv2.LINE_AA)
    return np.asarray(picture / 255, np.float32)


def plain(side: int, rng: np.random.Generator) -> Plane:
    """Return one colour that fades into another."""
    share = 0.5 + 0.5 * _ramp(side, rng)[..., None]
    return np.asarray(_colour(rng) * share + _colour(rng) * (1 - share), np.float32)


def lit(picture: Plane, height: Plane, rng: np.random.Generator) -> Plane:
    """Return a picture as the stuff of a surface of that height, with light from one side."""
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    steep = np.float32(rng.uniform(0.5, 2) / (np.hypot(across, down).std() + 1e-4))
    normal = np.stack([-across * steep, -down * steep, np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.array([*rng.normal(0, 1, 2), rng.uniform(0.4, 1.5)], np.float32)
    bright = np.clip(normal @ (light / np.linalg.norm(light)), 0, 1)
    gloss = np.float32(rng.uniform(0, 0.6)) * bright ** np.float32(rng.uniform(8, 40))
    shade = np.float32(rng.uniform(0.2, 0.5))
    return np.asarray(picture * (shade + bright[..., None]) + gloss[..., None], np.float32)


def _put_thing(picture: Plane, rng: np.random.Generator) -> None:
    """Put a thing into a picture, in place: an outline filled with stuff, perhaps round, lit."""
    side = len(picture)
    size = int(np.exp(rng.uniform(np.log(0.08), np.log(0.7))) * side)
    outline = _outline(0.5 * size, rng) + size / 2
    mask = np.zeros((size, size), np.float32)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 1.0, lineType=cv2.LINE_AA)
    stuff = texture(size, rng) if rng.random() < 0.6 else plain(size, rng)
    if rng.random() < 0.6:
        depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        height = np.asarray(cv2.GaussianBlur(np.sqrt(depth), (0, 0), 1.5), np.float32)
        stuff = lit(stuff, height, rng)
    x, y = rng.integers(-size // 3, side - size // 2, 2)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(side, x + size), min(side, y + size)
    if rng.random() < 0.5:
        blur = cv2.GaussianBlur(mask, (0, 0), max(1.0, size * rng.uniform(0.01, 0.08)))
        shift = rng.normal(0, 0.05 * size, 2)
        moved = cv2.warpAffine(blur, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (size, size))
        picture[y0:y1, x0:x1] *= 1 - 0.6 * moved[y0 - y : y1 - y, x0 - x : x1 - x, None]
    part = mask[y0 - y : y1 - y, x0 - x : x1 - x, None]
    picture[y0:y1, x0:x1] *= 1 - part
    picture[y0:y1, x0:x1] += part * stuff[y0 - y : y1 - y, x0 - x : x1 - x]


def _places(side: int, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Return x and y of every pixel, turned, moved and scaled."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    angle, scale = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(-0.5, 1.8))
    cos, sin = np.float32(scale * np.cos(angle)), np.float32(scale * np.sin(angle))
    move = rng.normal(0, 1, 2).astype(np.float32)
    return cos * x - sin * y + move[0], sin * x + cos * y + move[1]


def _noise(side: int, fall: float, rng: np.random.Generator) -> Plane:
    """Return noise (side, side) of deviation 1 whose amplitude falls as the frequency to `fall`."""
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency = np.maximum(np.hypot(down, across * rng.uniform(0.5, 2)), 1 / side)
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * frequency**-fall
    noise = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray(noise / noise.std(), np.float32)


def _waves(side: int, rng: np.random.Generator) -> Plane:
    """Return smooth noise (side, side) of deviation about 1."""
    coarse = rng.normal(0, 1.3, (int(rng.integers(3, 16)),) * 2).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _ramp(side: int, rng: np.random.Generator) -> Plane:
    """Return a plane that rises from about -1 to 1 in some direction."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    return np.asarray(np.cos(angle) * axis[:, None] + np.sin(angle) * axis, np.float32) / 1.4


def _bumps(values: Plane, rng: np.random.Generator) -> Plane:
    kind = int(rng.integers(4))
    if kind == 0:
        return np.asarray(np.exp(-2 * values**2), np.float32)
    if kind == 1:
        return np.abs(values)
    if kind == 2:
        return np.sign(values)
    return np.mod(values, np.float32(1))


def _outline(radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the corners (N, 2) of a shape about 0: round, waved, or with few corners."""
    corners = int(rng.integers(3, 9)) if rng.random() < 0.4 else 48
    turn = np.sort(rng.uniform(0, 2 * np.pi, corners)) if corners < 48 else None
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False) if turn is None else turn
    reach = np.ones(corners)
    for wave in range(1, int(rng.integers(1, 7))):
        reach += rng.normal(0, 0.4 / wave) * np.cos(wave * turn + rng.uniform(0, 6.3))
    reach = np.clip(reach, 0.15, None)
    reach *= radius / reach.max()
    stretch, angle = np.exp(rng.uniform(-1.2, 0)), rng.uniform(0, np.pi)
    shape = np.stack([reach * np.cos(turn), stretch * reach * np.sin(turn)], axis=1)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(shape @ np.array([[cos, sin], [-sin, cos]]))


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a colour; greyish ones are likelier than pure ones."""
    grey = rng.uniform(0, 1)
    return np.asarray(np.clip(grey + rng.normal(0, 0.22, 3), 0, 1), np.float32)


def _palette(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return colours (count, 3) that vary about a few."""
    few = np.stack([_colour(rng) for _ in range(int(rng.integers(1, 6)))])
    picked = few[rng.integers(len(few), size=count)]
    varied = picked + rng.normal(0, rng.uniform(0.02, 0.2), (count, 3))
    return np.asarray(np.clip(varied, 0, 1), np.float32)


def _coloured(planes: Plane, rng: np.random.Generator) -> Plane:
    """Return planes (S, S, K) as a picture: a random mixture, stretched to its full range."""
    matrix = rng.normal(0, 1, (planes.shape[-1], 3)) + rng.normal(0, 1.5, (planes.shape[-1], 1))
    mixed = planes @ matrix.astype(np.float32)
    low, high = np.percentile(mixed[::7, ::7], [2, 98], axis=(0, 1))
    spread = np.maximum(high - low, 1e-3)
    if rng.random() < 0.7:
        spread = spread.max()
    floor = _colour(rng) * 0.4
    return np.asarray(floor + (1 - floor) * np.clip((mixed - low) / spread, 0, 1), np.float32)
