"""Strongly varied views of few photographs: the material of distillation.

One photograph, cut and bent in enough ways, teaches the early and middle layers of a network nearly
as much as many do (Asano, Saeed, "The Augmented Image Prior", 2023,
https://arxiv.org/abs/2112.00725).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from soravec.errors import ModelError

Image = NDArray[np.uint8]
Pyramid = Sequence[Image]

LUMA = np.array([0.299, 0.587, 0.114])
MIXED_SHARE = 0.25
COLLAGE_SHARE = 0.35
DIFFERENCE_SHARE = 0.125
"""How many views show what moved between two pictures, as a CNN with `motion: difference` sees."""
PAINTED_SHARE = 0.4
"""How many cuts are of paintings, where there are any."""
BENT_SHARE = 0.15
"""How many cuts are bent as rubber is."""
DIFFERENCE_GAIN = 4.0
GREY = 127.5


def load_photos(folder: Path) -> dict[str, Pyramid]:
    """Return every JPEG and PNG of `folder` by name, each at full, half, quarter and eighth size.

    Raises:
        ModelError: There is none.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        raise ModelError(f"{folder}: no photographs. Give a folder of .jpg or .png files.")
    return {path.name: pyramid(_read(path)) for path in paths}


def split_photos(
    photos: dict[str, Pyramid], every: int = 10
) -> tuple[list[Pyramid], list[Pyramid]]:
    """Return photographs to train on, and every tenth one (by name) to hold out."""
    names = sorted(photos)
    held = [photos[name] for i, name in enumerate(names) if i % every == every // 2]
    kept = [photos[name] for i, name in enumerate(names) if i % every != every // 2]
    return kept, held


def sample_patches(
    photos: Sequence[Pyramid],
    num: int,
    size: int,
    rng: np.random.Generator,
    *,
    paintings: Sequence[Pyramid] = (),
    mix: bool = True,
) -> Image:
    """Return `num` views (num, size, size, 3) uint8 RGB of random photographs.

    Args:
        photos: What to cut from.
        num: How many views.
        size: Pixels down and across.
        rng: Source of all choices.
        paintings: Where there are any, `PAINTED_SHARE` of the pictures are cut from these.
        mix: Blend some views with others, paste shapes of others into them, and show of some only
            what moved.
    """
    views = np.empty((num, size, size, 3), np.uint8)
    for i in range(num):
        photo = _pick(photos, paintings, rng)
        if mix and rng.random() < DIFFERENCE_SHARE:
            other = _pick(photos, paintings, rng)
            views[i] = difference_view(photo, other, size, rng)
        else:
            views[i] = cut_view(photo, size, rng)
    if not mix:
        return views
    partners = rng.permutation(num)
    mixed = views.copy()
    for i, kind in enumerate(rng.random(num)):
        other = views[partners[i]]
        if kind < MIXED_SHARE:
            share = rng.uniform(0.2, 0.8)
            mixed[i] = cv2.addWeighted(views[i], share, other, 1 - share, 0)
        elif kind < MIXED_SHARE + COLLAGE_SHARE:
            mask = _shape_mask(size, rng)
            mixed[i] = np.where(mask[..., None] > 0, other, views[i])
    return mixed


def _pick(
    photos: Sequence[Pyramid], paintings: Sequence[Pyramid], rng: np.random.Generator
) -> Pyramid:
    pictures = paintings if paintings and rng.random() < PAINTED_SHARE else photos
    return pictures[int(rng.integers(len(pictures)))]


def resize_views(views: Image, size: int) -> Image:
    """Return views (N, H, W, 3) at (N, size, size, 3), averaging over what is left out."""
    if views.shape[1:3] == (size, size):
        return views
    out = np.empty((len(views), size, size, 3), np.uint8)
    for view, small in zip(views, out, strict=True):
        cv2.resize(view, (size, size), dst=small, interpolation=cv2.INTER_AREA)
    return out


def cut_view(photo: Pyramid, size: int, rng: np.random.Generator) -> Image:
    """Return one view (size, size, 3): a turned, stretched, recoloured cut of a photograph.

    It looks as if filmed and compressed: blurred, dark, noisy, with blocks.
    """
    view = warp(photo, *_draw_cut(photo, size, rng), (size, size))
    if rng.random() < BENT_SHARE:
        view = bend(view, rng)
    return compress(add_noise(recolour(soften(view, rng), rng), rng), rng)


def whole_views(photos: Sequence[Pyramid], num: int, size: int, rng: np.random.Generator) -> Image:
    """Return `num` pictures (num, size, size, 3): photographs but for at most 30 % of each side.

    They are drawn to a square, as a model that sees the whole picture does, and sometimes look
    compressed, but are not varied beyond that.
    """
    views = np.empty((num, size, size, 3), np.uint8)
    for i in range(num):
        photo = photos[int(rng.integers(len(photos)))]
        height, width = photo[0].shape[:2]
        down, across = rng.uniform(0.7, 1.0, 2) * (height, width)
        x = rng.uniform(across / 2, width - across / 2)
        y = rng.uniform(down / 2, height - down / 2)
        view = warp(photo, (x, y), (across / size, down / size), 0.0, (size, size))
        views[i] = compress(view, rng)
    return views


def changed_copies(
    photos: Sequence[Pyramid], num: int, size: int, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Return cuts (num, size, size, 3) of photographs, in turn, and copies (6, num, size, size, 3).

    Copies are cropped, mirrored, brightened or darkened, blurred, letterboxed, and compressed.
    """
    cuts = np.empty((num, size, size, 3), np.uint8)
    copies = np.empty((6, num, size, size, 3), np.uint8)
    for i in range(num):
        photo = photos[i % len(photos)]
        height, width = photo[0].shape[:2]
        side = np.exp(rng.uniform(np.log(0.15), 0)) ** 0.5
        down, across = side * height, side * width
        x = rng.uniform(across / 2, width - across / 2)
        y = rng.uniform(down / 2, height - down / 2)
        cut = cuts[i] = warp(photo, (x, y), (across / size, down / size), 0.0, (size, size))
        kept = int(size * rng.uniform(0.75, 0.9))
        top, left = rng.integers(0, size - kept + 1, 2)
        bar = int(size * rng.uniform(0.05, 0.15))
        changed = (
            cut[top : top + kept, left : left + kept],
            cut[:, ::-1],
            cv2.convertScaleAbs(cut, alpha=rng.uniform(0.6, 1.4), beta=rng.uniform(0, 25)),
            cv2.GaussianBlur(cut, (0, 0), size * rng.uniform(0.003, 0.012)),
            np.pad(cut, ((bar, bar), (0, 0), (0, 0))),
            code(cut, rng.uniform(0.4, 1.0), int(rng.uniform(10, 50))),
        )
        for kind, view in enumerate(changed):
            copies[kind, i] = cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA)
    return cuts, copies


def difference_view(photo: Pyramid, other: Pyramid, size: int, rng: np.random.Generator) -> Image:
    """Return how two pictures (size, size, 3) differ that were taken one after the other.

    The camera moves over one photograph, or stands still; one or two things that look like the
    other photograph move before it. The difference is stretched about grey, as `FrameCnn` does it.
    """
    centre, scale, angle = _draw_cut(photo, size, rng)
    pace = np.exp(rng.uniform(np.log(0.002), np.log(0.06))) if rng.random() < 0.5 else 0.0
    step = rng.normal(0, pace, 2) * size * np.abs(scale)
    zoom, turn = np.exp(rng.normal(0, 0.3 * pace)), rng.normal(0, 0.3 * pace)
    later = (centre[0] + step[0], centre[1] + step[1]), (scale[0] * zoom, scale[1] * zoom)
    pictures = [
        warp(photo, centre, scale, angle, (size, size)),
        warp(photo, *later, angle + turn, (size, size)),
    ]
    for _ in range(rng.integers(0 if pace else 1, 3)):
        thing = warp(other, *_draw_cut(other, size, rng), (size, size))
        mask = _shape_mask(size, rng)[..., None]
        jump = np.round(rng.normal(0, 0.04, 2) * size).astype(int)
        pictures[0] = np.where(mask > 0, thing, pictures[0])
        moved = np.roll(mask, tuple(jump), axis=(0, 1)), np.roll(thing, tuple(jump), axis=(0, 1))
        pictures[1] = np.where(moved[0] > 0, moved[1], pictures[1])
    change = pictures[1].astype(np.float32) - pictures[0]
    change += rng.normal(0, rng.uniform(0, 3), (size, size, 1)).astype(np.float32)
    return np.clip(GREY + DIFFERENCE_GAIN * change / 2, 0, 255).astype(np.uint8)


def _draw_cut(
    photo: Pyramid, size: int, rng: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return centre, scale and angle, as `warp` takes them, of a random cut of a photograph."""
    height, width = photo[0].shape[:2]
    area = np.exp(rng.uniform(np.log(0.03), 0.0)) * height * width
    aspect = np.exp(rng.uniform(-0.45, 0.6))
    cut_w, cut_h = min((area * aspect) ** 0.5, width), min((area / aspect) ** 0.5, height)
    x = rng.uniform(cut_w / 2, width - cut_w / 2)
    y = rng.uniform(cut_h / 2, height - cut_h / 2)
    angle = np.deg2rad(rng.normal(0, 12)) if rng.random() < 0.7 else 0.0
    flip = -1 if rng.random() < 0.5 else 1
    return (x, y), (flip * cut_w / size, cut_h / size), angle


def warp(
    photo: Pyramid,
    centre: tuple[float, float],
    scale: tuple[float, float],
    angle: float,
    size: tuple[int, int],
) -> Image:
    """Return a view of (height, width) `size`, read from the level of the pyramid that fits.

    Args:
        photo: The levels, each half as large as the one before.
        centre: x and y in the full photograph that come to lie in the middle.
        scale: Photograph pixels per view pixel, across and down; negative mirrors.
        angle: Radians by which the view is turned.
        size: Pixels down and across.
    """
    level = int(
        np.clip(np.floor(np.log2(max(min(abs(scale[0]), abs(scale[1])), 1e-6)) + 0.3), 0, 3)
    )
    shrink = 2.0**-level
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = (
        np.array([[cos * scale[0], -sin * scale[1]], [sin * scale[0], cos * scale[1]]]) * shrink
    )
    middle = np.array([size[1] / 2, size[0] / 2])
    offset = np.array(centre) * shrink - matrix @ middle
    affine = np.hstack([matrix, offset[:, None]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REFLECT_101
    out = cv2.warpAffine(photo[level], affine, (size[1], size[0]), flags=flags, borderMode=border)
    return np.asarray(out, np.uint8)


def bend(view: Image, rng: np.random.Generator) -> Image:
    """Return the view with every place moved a little, near ones alike."""
    size = view.shape[0]
    coarse = rng.normal(0, rng.uniform(0.01, 0.06) * size, (int(rng.integers(3, 7)),) * 2 + (2,))
    moved = cv2.resize(coarse.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    axis = np.arange(size, dtype=np.float32)
    x, y = moved[..., 0] + axis, moved[..., 1] + axis[:, None]
    out = cv2.remap(view, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(out, np.uint8)


def recolour(view: Image, rng: np.random.Generator) -> Image:
    """Return the view with brightness, contrast, saturation and tint changed, or turned grey.

    Some have their colours exchanged, or are negatives.
    """
    if rng.random() < 0.2:
        return view
    saturation = 0.0 if rng.random() < 0.1 else rng.uniform(0.5, 1.5)
    tint = rng.uniform(0.85, 1.15, size=3)
    gain, lift = np.exp(rng.uniform(np.log(0.45), np.log(1.4))), rng.uniform(-25, 25)
    grey = np.tile(LUMA, (3, 1))
    matrix = gain * tint[:, None] * (saturation * np.eye(3) + (1 - saturation) * grey)
    if rng.random() < 0.1:
        matrix = matrix[rng.permutation(3)]
    if rng.random() < 0.03:
        matrix, lift = -matrix, 255 - lift
    return np.asarray(cv2.transform(view, np.hstack([matrix, np.full((3, 1), lift)])), np.uint8)


def soften(view: Image, rng: np.random.Generator) -> Image:
    """Return the view, sometimes coarse or blurred."""
    size = view.shape[0]
    kind = rng.random()
    if kind < 0.15:
        small = int(size * rng.uniform(0.3, 0.8))
        coarse = cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(coarse, (size, size)), np.uint8)
    if kind < 0.25:
        return np.asarray(cv2.GaussianBlur(view, (0, 0), rng.uniform(0.5, 2.5)), np.uint8)
    return view


def add_noise(view: Image, rng: np.random.Generator) -> Image:
    """Return the view, sometimes noisy: in fine or coarse grains, grey or coloured."""
    if rng.random() >= 0.2:
        return view
    size = view.shape[0]
    grains, channels = size // int(rng.integers(1, 4)), int(rng.choice([1, 3]))
    noise = rng.standard_normal((grains, grains, channels), np.float32)
    noise *= np.exp(rng.uniform(np.log(2), np.log(24)))
    full = cv2.resize(noise, (size, size)).reshape(size, size, channels)
    return np.asarray(np.clip(view + full, 0, 255), np.uint8)


def compress(view: Image, rng: np.random.Generator) -> Image:
    """Return the view, sometimes with the blocks and lost colours of much compressed video."""
    if rng.random() >= 0.35:
        return view
    detail = rng.uniform(0.4, 1.0)
    return code(view, detail, int(np.exp(rng.uniform(np.log(8), np.log(60)))))


def code(view: Image, detail: float, quality: int) -> Image:
    """Return the view (S, S, 3) as JPEG leaves it at `detail` S pixels down and across."""
    size = view.shape[0]
    small = max(1, int(size * detail))
    picture = cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.asarray(cv2.resize(decoded, (size, size)), np.uint8)


def _shape_mask(size: int, rng: np.random.Generator) -> Image:
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(1, 4)):
        centre = tuple(int(v) for v in rng.uniform(0, size, 2))
        if rng.random() < 0.5:
            axes = tuple(int(v) for v in rng.uniform(0.1, 0.45, 2) * size)
            cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 255, -1)
        else:
            corners = centre + rng.uniform(-0.45, 0.45, (4, 2)) * size
            hull = cv2.convexHull(corners.astype(np.int32))
            cv2.fillConvexPoly(mask, hull, 255)
    return mask


def pyramid(picture: Image) -> Pyramid:
    """Return a picture (H, W, 3) at full, half, quarter and eighth size."""
    levels = [picture]
    for _ in range(3):
        height, width = levels[-1].shape[:2]
        half = (max(1, width // 2), max(1, height // 2))
        levels.append(
            np.asarray(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA), np.uint8)
        )
    return levels


def _read(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ModelError(f"{path}: not a picture. Remove it from the folder of photographs.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
