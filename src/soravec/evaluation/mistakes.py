"""The clips that a model has most wrong, and pictures of them."""

import base64
import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soravec.data.clips import Clip, Manifest, Task, portable
from soravec.errors import VideoError
from soravec.evaluation.measures import cross_entropies
from soravec.evaluation.metrics import THRESHOLD
from soravec.evaluation.results import Mistake
from soravec.evaluation.scored import ScoredClips
from soravec.video import Limits, Uniform, VideoReader

Float = NDArray[np.float64]

MOST_MISTAKES = 12
NUM_PICTURES = 3
PICTURE_HEIGHT = 108
MOST_WIDTH = 256
JPEG_QUALITY = 72

logger = logging.getLogger(__name__)


def worst_mistakes(
    test: ScoredClips, scores: Float, manifest: Manifest, classes: Sequence[str]
) -> list[tuple[Clip, Mistake]]:
    """Return the clips that are most wrong, the worst first.

    Of one class: those with the most probable wrong answer. Of labels: of those with a wrong one,
    the highest cross-entropy. Of a regression: the highest squared error.
    """
    task = manifest.task
    wrong, badness = _badness(scores, test.truth, task)
    order = [int(n) for n in np.argsort(-badness, kind="stable") if wrong[n]][:MOST_MISTAKES]
    found = []
    for number in order:
        clip, bounds = test.clips[number], test.features[number].shots.bounds
        mistake = Mistake(
            path=portable(clip.path, manifest.folder),
            row=clip.row,
            start_seconds=float(bounds[0, 0]),
            end_seconds=float(bounds[-1, 1]),
            truth=_in_words(test.truth[number], task, classes),
            answer=_in_words(_given(scores[number], task), task, classes),
            score=float(badness[number]),
        )
        found.append((clip, mistake))
    return found


def pictures_of(clip: Clip, *, limits: Limits) -> list[str]:
    """Return a few frames of a clip, spread over it, as base64 JPEG; none if it cannot be read."""
    import cv2

    try:
        with VideoReader(clip.path, limits=limits) as video:
            height = PICTURE_HEIGHT
            ratio = video.info.width / max(1, video.info.height)
            width = max(2, min(MOST_WIDTH, round(height * ratio)))
            stream = video.read(
                Uniform(NUM_PICTURES),
                size=(height, width),
                start_seconds=clip.start_seconds,
                end_seconds=clip.end_seconds,
            )
            images = [image for frames in stream for image in frames.images]
    except VideoError as error:
        logger.warning("no pictures: %s", error)
        return []
    coded = []
    for image in images:
        blue_first = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, content = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        coded.append(base64.b64encode(content.tobytes()).decode())
    return coded


def _badness(scores: Float, truth: Float, task: Task) -> tuple[NDArray[np.bool_], Float]:
    """Return which clips are wrong at all, and how badly, both (N,)."""
    if task == "regression":
        errors = ((scores - truth) ** 2).mean(axis=1)
        return errors > 0, errors
    if task == "multi_label":
        wrong = ((scores >= THRESHOLD) != (truth > 0)).any(axis=1)
        return wrong, cross_entropies(scores, truth, task)
    return scores.argmax(axis=1) != truth.argmax(axis=1), scores.max(axis=1)


def _given(scores: Float, task: Task) -> Float:
    if task == "regression":
        return scores
    if task == "multi_label":
        return (scores >= THRESHOLD).astype(np.float64)
    return np.asarray(np.eye(len(scores))[scores.argmax()])


def _in_words(values: Float, task: Task, classes: Sequence[str]) -> str:
    if task == "regression":
        return ", ".join(f"{value:.4g}" for value in values)
    return ", ".join(name for name, value in zip(classes, values, strict=True) if value) or "none"
