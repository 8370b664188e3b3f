"""Pictures of moments, for people to look at: decoded by confined children, like all else.

The child is this module: `python -m soravec.library.pictures`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from soravec.channel import Message
from soravec.errors import SoravecError, WorkerError
from soravec.process import Outcome, Parent, Worker, serve, supervise
from soravec.runtime.engine import available_cores
from soravec.sandbox import ChildLimits
from soravec.video import LIMITS, AtSeconds, Limits, VideoReader

Image = NDArray[np.uint8]

DEADLINE_SECONDS = 60.0
"""For the pictures of one video."""
WIDEST = 3.0
"""A wider picture is squeezed to so many times its height."""

logger = logging.getLogger(__name__)


def read_pictures(
    wanted: Iterable[tuple[str, tuple[float, ...]]],
    *,
    height: int = 108,
    limits: Limits = LIMITS,
    trusted: bool = False,
) -> dict[str, dict[float, Image]]:
    """Return the pictures on show at instants of videos, by path and instant.

    What cannot be read is not there, and is logged.

    Args:
        wanted: Paths of files, clips in tars, folders of frames, each once, and instants in
            seconds.
        height: Pixels down.
        limits: What is refused.
        trusted: Decode in children that are not confined (`soravec.sandbox`).

    Returns:
        (height, W, 3) uint8 RGB each.
    """
    setup = Message({"height": height, "limits": asdict(limits)})
    confined = None if trusted else ChildLimits(limits.memory)
    jobs = [(path, tuple(sorted(set(seconds)))) for path, seconds in wanted]
    outcomes = supervise(
        Worker("soravec.library.pictures", setup, confined),
        jobs,
        encode=lambda job: Message({"path": job[0]}, {"seconds": np.array(job[1], np.float64)}),
        deadline_seconds=lambda _: DEADLINE_SECONDS,
        num_workers=max(1, min(available_cores(), len(jobs))),
    )
    return {outcome.job[0]: dict(_checked(outcome, height)) for outcome in outcomes}


def _checked(
    outcome: Outcome[tuple[str, tuple[float, ...]]], height: int
) -> Iterator[tuple[float, Image]]:
    """Yield the pictures of a reply, whatever a child may have answered."""
    path, seconds = outcome.job
    reply = outcome.reply
    if isinstance(reply, WorkerError):
        logger.warning("no pictures of %s: %s", path, reply)
        return
    images, shown = reply.arrays.get("images"), reply.arrays.get("shown")
    is_sound = (
        images is not None
        and shown is not None
        and images.dtype == np.uint8
        and images.ndim == 4
        and images.shape[1] == height
        and len(images) <= len(seconds)
        and 2 <= images.shape[2] <= WIDEST * height
        and images.shape[3] == 3
        and shown.shape == (len(seconds),)
        and shown.dtype == np.int64
        and ((shown >= 0) & (shown < len(images))).all()
    )
    if images is None or shown is None or not is_sound:
        logger.warning("no pictures of %s: %s", path, reply.header.get("message", "nonsense"))
        return
    for instant, number in zip(seconds, shown.tolist(), strict=True):
        yield instant, images[number]


def open_session(setup: Message) -> Callable[[Message, Parent], Message]:
    """Return the function that answers a job."""
    height, limits = setup.header["height"], Limits(**setup.header["limits"])

    def work(job: Message, parent: Parent) -> Message:
        try:
            return _read(job.header["path"], job.arrays["seconds"], height, limits)
        except SoravecError as error:
            return Message({"message": str(error)})
        except Exception as error:  # noqa: BLE001  # top of the worker: one file, one record
            return Message({"message": f"{type(error).__name__}: {error}"})

    return work


def _read(path: str, seconds: NDArray[np.float64], height: int, limits: Limits) -> Message:
    with VideoReader(path, limits=limits) as video:
        shape = video.info.width / max(video.info.height, 1)
        width = 2 * max(1, round(height * min(shape, WIDEST) / 2))
        batches = list(video.read(AtSeconds(tuple(seconds.tolist())), size=(height, width)))
    images = np.concatenate([batch.images for batch in batches])
    times = np.concatenate([batch.seconds for batch in batches])
    shown = np.clip(np.searchsorted(times, seconds, side="right") - 1, 0, None)
    return Message({"kind": "pictures"}, {"images": images, "shown": shown.astype(np.int64)})


if __name__ == "__main__":
    serve(open_session)
