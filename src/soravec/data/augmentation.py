"""Variation of decoded frames: for training, and at a given strength to see what a model bears.

What is drawn is drawn once for all frames of a clip, so that time stays consistent: only a sensor's
noise is another in each frame. The pictures are changed by torchvision and OpenCV, which
`soravec[train]` has. How frames are varied in time is `soravec.training.config.TimeAugmentation`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soravec.errors import TrainingError
from soravec.types import Frames

if TYPE_CHECKING:
    from torch import Tensor

Picture: TypeAlias = NDArray[np.uint8]
Change: TypeAlias = "Callable[[Tensor], Tensor]"
"""Pictures (N, 3, H, W) uint8 to others like them."""

Perturbation = Literal["noise", "blur", "jpeg", "drop"]

PERTURBATION_LEVELS: dict[Perturbation, tuple[float, ...]] = {
    "noise": (0.02, 0.05, 0.1, 0.2),
    "blur": (1.0, 2.0, 4.0, 8.0),
    "jpeg": (50.0, 25.0, 10.0, 5.0),
    "drop": (0.25, 0.5, 0.75, 0.9),
}
"""From mild to strong, for curves; their units are those of `perturb`."""

LEAST_FRAMES = 2
"""Frames that are left of any clip that had them: one picture has no order."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How the pictures of a training clip are varied: each is drawn once for the whole clip.

    They happen in the order in which a camera would do them: view, lens, sensor, compression.
    """

    crop: float = 0.7
    """Least share of the picture's area that is kept, then enlarged to its size; 1 keeps all."""
    flip: float = 0.5
    """Probability of left and right changing places; 0 where they are what the label says."""
    rotation_degrees: float = 5.0
    """Most degrees of roll, to either side; 0 for none."""
    brightness: float = 0.25
    """Most change of brightness, as a share; 0 for none."""
    contrast: float = 0.25
    """Most change of contrast, as a share; 0 for none."""
    saturation: float = 0.25
    """Most change of saturation, as a share; 0 for none."""
    hue: float = 0.03
    """Most shift of hue, in turns of the colour circle, up to 0.5; 0 for none."""
    blur: float = 0.2
    """Probability of blur."""
    blur_sigma: float = 2.0
    """Most blur: standard deviation of a Gaussian in pixels, above 0.1."""
    noise: float = 0.2
    """Probability of noise."""
    noise_sigma: float = 0.06
    """Most noise: standard deviation, where black is 0 and white is 1."""
    jpeg: float = 0.2
    """Probability of the artefacts of JPEG."""
    jpeg_quality: int = 30
    """Worst quality of JPEG, from 1 to 100."""

    def __post_init__(self) -> None:
        shares = ("flip", "brightness", "contrast", "saturation", "blur", "noise", "jpeg")
        for name in (*shares, "noise_sigma"):
            _check(name, getattr(self, name), 0, 1)
        _check("hue", self.hue, 0, 0.5)
        _check("rotation_degrees", self.rotation_degrees, 0, 180)
        _check("crop", self.crop, 0.01, 1)
        _check("blur_sigma", self.blur_sigma, 0.1, 100)
        _check("jpeg_quality", self.jpeg_quality, 1, 100)

    @classmethod
    def none(cls) -> "Augmentation":
        """Return the one that changes nothing."""
        return cls(
            crop=1.0,
            flip=0.0,
            rotation_degrees=0.0,
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            hue=0.0,
            blur=0.0,
            noise=0.0,
            jpeg=0.0,
        )


def augment(frames: Frames, config: Augmentation, *, seed: int) -> Frames:
    """Return the frames of a clip, all varied in the same way, at the same times.

    Args:
        frames: (T, H, W, 3) uint8; their `previous` is varied alike.
        config: What may be varied, and how much.
        seed: What is drawn follows from it and from the pictures' size, not from their number:
            parts of one clip that are given one after the other are varied alike.
    """
    height, width = frames.images.shape[1:3]
    rng = np.random.default_rng(seed)
    return _changed(frames, _transforms(config, height, width, rng), seed)


def perturb(frames: Frames, kind: Perturbation, level: float, *, seed: int = 0) -> Frames:
    """Return the frames of a clip, made worse to a given level.

    Args:
        frames: (T, H, W, 3) uint8.
        kind: `noise`, of standard deviation `level` where white is 1; `blur`, a Gaussian of
            `level` pixels; `jpeg`, at quality `level` from 1 to 100, of which 100 is the best;
            `drop`, the share `level` in [0, 1) of the frames is lost, never all but one.
        level: How much; 0 changes nothing, of `jpeg` too.
        seed: Of the noise, and of the choice of frames.

    Raises:
        TrainingError: There is no such kind, or the level is out of its range.
    """
    most = {"noise": 1.0, "blur": 100.0, "jpeg": 100.0, "drop": 1.0}
    if kind not in most:
        raise TrainingError(f"no perturbation '{kind}': choose {', '.join(most)}")
    _check(f"level of {kind}", level, 0, most[kind])
    if level == 0 or len(frames) == 0:
        return frames
    if kind == "drop":
        kept = _kept(len(frames), level, seed)
        previous = None if frames.previous is None else frames.previous[kept]
        return Frames(frames.images[kept], frames.seconds[kept], previous)
    if kind == "jpeg":
        return _changed(frames, [_Jpeg(max(1, round(level)))], seed)
    if kind == "blur":
        return _changed(frames, [_Blur(level)], seed)
    from torchvision.transforms import v2

    return _changed(frames, [v2.GaussianNoise(sigma=level)], seed)


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise TrainingError(f"{name} must lie from {least:g} to {most:g}, not {value}")


def _kept(num_frames: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return which frames stay: 10 frames and share 0.25 keep 8; 3 frames and 0.9 keep 2."""
    count = max(min(LEAST_FRAMES, num_frames), round(num_frames * (1 - share)))
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(num_frames, count, replace=False))


def _transforms(
    config: Augmentation, height: int, width: int, rng: np.random.Generator
) -> list[Change]:
    """Return the transforms, those that are off or not drawn left out.

    Only the noise draws as many numbers as there are pictures, and nothing is drawn after it:
    whether and how strongly it, blur and JPEG come is drawn here.
    """
    from torchvision.transforms import v2

    blurred, noisy, compressed = rng.random(3) < (config.blur, config.noise, config.jpeg)
    sigma = rng.uniform(0.1, config.blur_sigma)
    noise = rng.uniform(0, config.noise_sigma)
    quality = int(rng.integers(config.jpeg_quality, 101))
    chain: list[Change] = []
    if config.rotation_degrees:
        # Mirrored borders leave no black corners.
        margin = _margin(config.rotation_degrees, height, width)
        chain.append(v2.Pad(margin, padding_mode="reflect"))
        chain.append(v2.RandomRotation(config.rotation_degrees, v2.InterpolationMode.BILINEAR))
        chain.append(v2.CenterCrop((height, width)))
    if config.crop < 1:
        ratio = (width / height * 3 / 4, width / height * 4 / 3)
        chain.append(v2.RandomResizedCrop((height, width), (config.crop, 1.0), ratio))
    if config.flip:
        chain.append(v2.RandomHorizontalFlip(config.flip))
    if blurred:
        chain.append(_Blur(sigma))
    strengths = (config.brightness, config.contrast, config.saturation, config.hue)
    if any(strengths):
        chain.append(v2.ColorJitter(*strengths))
    if noisy:
        chain.append(v2.GaussianNoise(sigma=noise))
    if compressed:
        chain.append(_Jpeg(quality))
    return chain


def _margin(degrees: float, height: int, width: int) -> list[int]:
    """Return how far a turned picture looks over its border, left and right, above and below."""
    margins = []
    for side, other in ((width, height), (height, width)):
        turn = min(math.radians(degrees), math.atan2(other, side))  # The most is at the diagonal.
        over = side * math.cos(turn) + other * math.sin(turn) - side
        margins.append(min(side - 1, math.ceil(over / 2)))
    return margins


def _changed(frames: Frames, chain: Sequence[Change], seed: int) -> Frames:
    """Return frames and the pictures before them after a chain of transforms."""
    if not chain or len(frames) == 0:
        return frames
    pictures = [frames.images] if frames.previous is None else [frames.images, frames.previous]
    count = len(frames)
    changed = _run(np.concatenate(pictures), chain, seed)
    if frames.previous is None:
        return replace(frames, images=changed)
    images, previous = changed[:count], changed[count:]
    # The first frame of a video is its own predecessor: it stays so, noise or not.
    same = (frames.images == frames.previous).all(axis=(1, 2, 3))
    previous[same] = images[same]
    return replace(frames, images=images, previous=previous)


def _run(images: NDArray[np.uint8], chain: Sequence[Change], seed: int) -> NDArray[np.uint8]:
    """Return pictures (N, H, W, 3) after a chain of transforms, as one tensor."""
    import torch

    tensor = torch.from_numpy(images.transpose(0, 3, 1, 2))  # (N, 3, H, W)
    # Torchvision draws from torch's own generator, which goes on afterwards where it stood.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for transform in chain:
            tensor = transform(tensor)
    return np.ascontiguousarray(tensor.permute(0, 2, 3, 1).numpy())


@dataclass(frozen=True, slots=True)
class _Blur:
    """Blur every picture with a Gaussian, one axis at a time: ten times as fast as torchvision."""

    sigma: float

    def __call__(self, images: "Tensor") -> "Tensor":
        import cv2

        def blurred(image: Picture) -> Picture:
            return np.asarray(cv2.GaussianBlur(image, (0, 0), self.sigma), np.uint8)

        return _each(images, blurred)


@dataclass(frozen=True, slots=True)
class _Jpeg:
    """Compress every picture and decode it again, as torchvision's deprecated JPEG does."""

    quality: int

    def __call__(self, images: "Tensor") -> "Tensor":
        import cv2

        def coded(image: Picture) -> Picture:
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
            decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
            assert decoded is not None
            return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)

        return _each(images, coded)


def _each(images: "Tensor", change: Callable[[Picture], Picture]) -> "Tensor":
    """Return pictures (N, 3, H, W) after a change of one picture (H, W, 3) at a time."""
    import torch

    pictures = images.permute(0, 2, 3, 1).numpy()
    changed = np.stack([change(np.ascontiguousarray(picture)) for picture in pictures])
    return torch.from_numpy(changed).permute(0, 3, 1, 2)  # (N, 3, H, W)
