"""Embed many files without a library, by the same supervised workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from soravec.channel import Message
from soravec.library.fetching import Fetcher
from soravec.library.indexer import WORKER
from soravec.library.replies import Failed, read_made
from soravec.library.worker import default_deadline, setup_message
from soravec.process import Outcome, Worker, supervise
from soravec.runtime.encoder import Encoder
from soravec.runtime.engine import available_cores
from soravec.runtime.sampling import Sampling
from soravec.sandbox import ChildLimits
from soravec.types import Embedding, FrameFeatures
from soravec.video import LIMITS, AllowUrls, Limits, is_url
from soravec.video.remote import shown_url


@dataclass(frozen=True, slots=True)
class Embedded:
    """What became of one file."""

    path: str
    """As the caller named it, without a password."""
    embedding: Embedding | None = None
    """Its vectors; None where it was skipped."""
    features: FrameFeatures | None = None
    """Its frame features; None where it was skipped."""
    error_type: str = ""
    message: str = ""


def embed_files(  # noqa: PLR0913  # one for each thing that reading leaves open
    paths: Sequence[str | Path],
    encoder: Encoder,
    *,
    sampling: Sampling = "uniform",
    num_workers: int | None = None,
    fps: float | None = None,
    allow_urls: AllowUrls = False,
    fast_decode: bool = False,
    limits: Limits = LIMITS,
    trusted: bool = False,
) -> Iterator[Embedded]:
    """Yield the vectors of files in their order; one bad file does not stop the others.

    Args:
        paths: Files, clips in tars, folders of frames, URLs.
        encoder: The model.
        sampling: `uniform`, `keyframes` or `auto`.
        num_workers: Processes; None means one per core.
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.
        fps: Frames per second of folders of frames; None for what they state, else 25.
        fast_decode: Leave out the decoder's smoothing over the edges of blocks.
        limits: What is refused.
        trusted: Decode in children that are not confined (`soravec.sandbox`).
    """
    shown = [shown_url(path) if is_url(path) else str(path) for path in map(str, paths)]
    cores = available_cores()
    workers = max(1, min(num_workers or cores, len(paths)))
    setup = setup_message(
        encoder,
        sampling=sampling,
        num_threads=max(1, cores // workers),
        fps=fps,
        fast_decode=fast_decode,
        limits=limits,
    )
    fetcher = Fetcher(allow_urls)
    outcomes = supervise(
        Worker(WORKER, setup, None if trusted else ChildLimits(limits.memory)),
        range(len(paths)),
        encode=lambda number: Message({"path": shown[number]}),
        deadline_seconds=partial(default_deadline, most_seconds=limits.seconds),
        num_workers=workers,
        answer=lambda number, header, go_on: fetcher.answer(str(paths[number]), header, go_on),
    )
    waiting: dict[int, Embedded] = {}
    turn = 0
    for outcome in outcomes:
        waiting[outcome.job] = _embedded(shown[outcome.job], outcome, encoder)
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1


def _embedded(path: str, outcome: Outcome[int], encoder: Encoder) -> Embedded:
    made = read_made(path, outcome.reply, encoder)
    if isinstance(made, Failed):
        return Embedded(path, error_type=made.error_type, message=made.message)
    return Embedded(path, made.embedding, made.features)
