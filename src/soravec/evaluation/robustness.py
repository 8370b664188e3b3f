"""The same clips in worse pictures: decoded again, made worse by a known amount, read anew."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soravec.data.augmentation import PERTURBATION_LEVELS, Perturbation, perturb
from soravec.data.clips import Clip
from soravec.errors import UnreadableVideo, VideoError
from soravec.evaluation.stress import Score
from soravec.runtime.encoder import Encoder
from soravec.runtime.sketches import without_sketches
from soravec.types import FrameFeatures, Frames
from soravec.video import LIMITS, AtSeconds, Limits, VideoReader

CHUNK_FRAMES = 64
"""Decoded frames that are held, and made worse, at once."""
MOST_CLIPS = 100
"""Clips that are decoded again; of more, a seeded choice with every class in its share."""

Condition = tuple[Perturbation, float]
UNITS: Mapping[Perturbation, str] = {
    "noise": "standard deviation of Gaussian noise (white is 1)",
    "blur": "standard deviation of a Gaussian blur, in pixels of the CNN's input",
    "jpeg": "JPEG quality at the size of the CNN's input",
    "drop": "share of the sampled frames that is lost",
}


@dataclass(frozen=True, slots=True)
class Unread:
    """A clip that could not be decoded again."""

    clip: Clip
    """Which."""
    message: str
    """Why."""


def conditions() -> list[Condition]:
    """Return every kind of damage at every level, from mild to strong."""
    return [(kind, level) for kind, levels in PERTURBATION_LEVELS.items() for level in levels]


def choose_clips(
    truth: NDArray[np.float64], *, most: int = MOST_CLIPS, seed: int = 0
) -> NDArray[np.int64]:
    """Return which clips are decoded again, ascending: all, or `most` with every class in turn.

    Args:
        truth: (N, K); clips are spread over the classes of their highest value.
        most: How many at most.
        seed: Of the choice.
    """
    if len(truth) <= most:
        return np.arange(len(truth))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(truth))
    classes = truth.argmax(axis=1)[order]
    # The n-th clip of a class of m comes at n / m of the way, so that every prefix is in shares.
    place = np.empty(len(order))
    for one in np.unique(classes):
        rows = np.flatnonzero(classes == one)
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.sort(order[np.argsort(place, kind="stable")[:most]])


def damaged_features(
    encoder: Encoder,
    clip: Clip,
    features: FrameFeatures,
    *,
    seed: int = 0,
    limits: Limits = LIMITS,
) -> dict[Condition, FrameFeatures]:
    """Return the features of one clip under every condition.

    The frames are those that `features` were read from. Noise, blur and JPEG are done to frames as
    they enter the CNN; lost frames are those of the sampling.

    Args:
        encoder: The model.
        clip: Where the frames are.
        features: What the CNN made of them as they are.
        seed: Of noise, and of which frames are lost.
        limits: What is refused.

    Raises:
        VideoError: The clip can no longer be read.
    """
    features = without_sketches(features)
    pictures = [one for one in conditions() if one[0] != "drop"]
    parts: dict[Condition, list[NDArray[np.float16]]] = {one: [] for one in pictures}
    number = 0
    for at, frames in enumerate(_decoded(encoder, clip, features.seconds, limits)):
        number += len(frames)
        for (kind, level), found in parts.items():
            worse = perturb(frames, kind, level, seed=seed + at)
            found.append(encoder.features(worse))
    if number != len(features):
        cause = f"it has {number} of the {len(features)} frames that were read before"
        raise UnreadableVideo(clip.path, cause, "Empty the folder of features.")
    result = {one: replace(features, features=np.concatenate(part)) for one, part in parts.items()}
    for level in PERTURBATION_LEVELS["drop"]:
        result["drop", level] = _dropped(features, level, seed)
    return result


def damaged_scores(
    encoder: Encoder,
    clips: Sequence[tuple[Clip, FrameFeatures]],
    score: Score,
    *,
    seed: int = 0,
    limits: Limits = LIMITS,
) -> tuple[dict[Condition, NDArray[np.float64]], NDArray[np.int64], list[Unread]]:
    """Return scores (M, K) under every condition, which clips they are of, and those unread.

    Args:
        encoder: The model.
        clips: Clips and what the CNN made of them as they are.
        score: Gives the scores of a clip from its features.
        seed: Of noise, and of which frames are lost.
        limits: What is refused.
    """
    found: dict[Condition, list[NDArray[np.float64]]] = {one: [] for one in conditions()}
    kept: list[int] = []
    unread: list[Unread] = []
    for number, (clip, features) in enumerate(clips):
        try:
            seed_of_clip = seed + 1000 * number
            worse = damaged_features(encoder, clip, features, seed=seed_of_clip, limits=limits)
        except VideoError as error:
            unread.append(Unread(clip, str(error)))
            continue
        kept.append(number)
        for one, values in worse.items():
            found[one].append(score(values))
    return {one: np.array(rows) for one, rows in found.items()}, np.array(kept, np.int64), unread


def _dropped(features: FrameFeatures, share: float, seed: int) -> FrameFeatures:
    """Lose frames by the rule of `perturb`, for which their pictures do not matter."""
    blank = Frames(np.zeros((len(features), 1, 1, 3), np.uint8), features.seconds)
    kept = np.isin(features.seconds, perturb(blank, "drop", share, seed=seed).seconds)
    return replace(features, features=features.features[kept], seconds=features.seconds[kept])


def _decoded(
    encoder: Encoder, clip: Clip, seconds: NDArray[np.float64], limits: Limits
) -> Iterator[Frames]:
    cnn = encoder.config.cnn
    with VideoReader(clip.path, limits=limits) as video:
        yield from video.read(
            AtSeconds(tuple(seconds.tolist())),
            size=(cnn.height, cnn.width),
            fit=cnn.fit,
            batch_size=CHUNK_FRAMES,
            with_previous=encoder.reads_differences,
        )
