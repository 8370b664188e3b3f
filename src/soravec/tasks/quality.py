"""What is wrong with how a video looks, from sketches and sharpness of its frames: not decoded."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from soravec.errors import LibraryError
from soravec.library.contents import Contents, StoredVideo
from soravec.library.library import Library
from soravec.tasks.clusters import sample_rows
from soravec.types import FrameFeatures

BLACK_LEVEL, BLACK_CONTRAST = 16.0, 8.0
"""Mean and standard deviation of a sketch, of 255, below which it is black."""
DARK_LEVEL = 20.0
BLUR_SHARPNESS = 0.8
"""Median sharpness, of 255; of the clips of `actions` that were looked at the least sharp has 0.97,
and most that were blurred by two pixels of 320 less than 0.8."""
STILL_CHANGE = 0.1
"""Mean difference of two sketches in a row, of 255, below which nothing moves."""
BLACK_SHARE, STILL_SHARE = 0.5, 0.75
"""Of the frames, from which on a video is said to be black, or to stand still."""
SHORT_SECONDS = 1.0
MOST_VIDEOS = 1000
"""Of more, as many are looked at, drawn evenly: each costs the reading of its features."""

Kind = Literal["black", "dark", "blurred", "still", "short", "file"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a video."""

    path: str
    video_id: str
    kind: Kind
    message: str
    """In words, with figures."""


def find_problems(
    library: Library, contents: Contents, *, seed: int = 0
) -> tuple[list[Problem], int, list[str]]:
    """Return what is wrong, how many videos were looked at, and why others could not be.

    What files say of themselves is told of all; pictures are looked at of `MOST_VIDEOS` at most.
    """
    videos = sorted(contents.videos.values(), key=lambda video: video.path)
    found = [problem for video in videos for problem in _stated(video)]
    untold: list[str] = []
    num_older = 0
    looked_at = sample_rows(len(videos), MOST_VIDEOS, seed).tolist()
    for number in looked_at:
        video = videos[number]
        try:
            features = library.features(video)
        except LibraryError as error:
            untold.append(str(error))
            continue
        if features.sketches is None or features.sharpness is None:
            num_older += 1
            continue
        found += [Problem(video.path, video.video_id, *one) for one in _seen(features)]
    num_looked_at = len(looked_at) - len(untold) - num_older
    if num_older:
        untold.append(
            f"{num_older} videos were indexed by an older Soravec; how they look is unknown"
        )
    return found, num_looked_at, untold


def _stated(video: StoredVideo) -> list[Problem]:
    """Return what is wrong by the file's own account."""
    seconds = video.end_seconds - video.start_seconds
    found = [Problem(video.path, video.video_id, "file", text) for text in video.info.warnings]
    if seconds < SHORT_SECONDS:
        found.append(Problem(video.path, video.video_id, "short", f"only {seconds:.2f} s long"))
    return found


def _seen(features: FrameFeatures) -> list[tuple[Kind, str]]:
    """Return what is wrong with the pictures."""
    sketches, sharpness = features.sketches, features.sharpness
    assert sketches is not None
    assert sharpness is not None
    found: list[tuple[Kind, str]] = []
    values = sketches.reshape(len(sketches), -1)
    levels, contrast = values.mean(axis=1), values.std(axis=1)
    is_black = (levels < BLACK_LEVEL) & (contrast < BLACK_CONTRAST)
    if is_black.mean() >= BLACK_SHARE:
        found.append(("black", f"black for {is_black.mean():.0%} of it"))
    if is_black.all():
        return found
    level, sharp = float(levels[~is_black].mean()), float(np.median(sharpness[~is_black]))
    if level < DARK_LEVEL:
        found.append(("dark", f"dark: mean brightness {level:.0f} of 255"))
    if sharp < BLUR_SHARPNESS:
        found.append(("blurred", f"blurred: sharpness {sharp:.2f}, below {BLUR_SHARPNESS}"))
    if len(sketches) > 2:
        steps = np.abs(np.diff(values.astype(np.int16), axis=0)).mean(axis=1)
        still = float((steps < STILL_CHANGE).mean())
        if still >= STILL_SHARE:
            found.append(("still", f"stands still for {still:.0%} of it"))
    return found
