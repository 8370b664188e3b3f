"""Embed many files without a library, by the same supervised workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soravec.errors import WorkerError
from soravec.library.indexer import default_deadline
from soravec.library.worker import read_reply, setup_message
from soravec.process import Message, Outcome, supervise
from soravec.runtime.encoder import Encoder
from soravec.runtime.engine import available_cores
from soravec.runtime.sampling import Sampling
from soravec.types import Embedding, FrameFeatures


@dataclass(frozen=True, slots=True)
class Embedded:
    """What became of one file."""

    path: str
    """As the caller named it."""
    embedding: Embedding | None = None
    """Its vectors; None where it was skipped."""
    features: FrameFeatures | None = None
    """Its frame features; None where it was skipped."""
    error_type: str = ""
    message: str = ""


def embed_files(
    paths: Sequence[str | Path],
    encoder: Encoder,
    *,
    sampling: Sampling = "uniform",
    num_workers: int | None = None,
    fps: float | None = None,
    fast_decode: bool = False,
) -> Iterator[Embedded]:
    """Yield the vectors of files in their order; one bad file does not stop the others.

    Args:
        paths: Files, clips in tars, folders of frames, URLs.
        encoder: The model.
        sampling: `uniform`, `keyframes` or `auto`.
        num_workers: Processes; None means one per core.
        fps: Frames per second of folders of frames; None for what they state, else 25.
        fast_decode: Leave out the decoder's smoothing over the edges of blocks.
    """
    cores = available_cores()
    workers = max(1, min(num_workers or cores, len(paths)))
    outcomes = supervise(
        "soravec.library.worker",
        setup_message(
            encoder,
            sampling=sampling,
            num_threads=max(1, cores // workers),
            fps=fps,
            fast_decode=fast_decode,
        ),
        range(len(paths)),
        encode=lambda number: Message({"path": str(paths[number])}),
        deadline_seconds=default_deadline,
        num_workers=workers,
    )
    waiting: dict[int, Embedded] = {}
    turn = 0
    for outcome in outcomes:
        waiting[outcome.job] = _embedded(str(paths[outcome.job]), outcome)
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1


def _embedded(path: str, outcome: Outcome[int]) -> Embedded:
    reply = outcome.reply
    if isinstance(reply, WorkerError):
        return Embedded(path, error_type=WorkerError.__name__, message=f"{path}: {reply}")
    if reply.header["kind"] == "failed":
        return Embedded(path, error_type=reply.header["type"], message=reply.header["message"])
    features, embedding = read_reply(reply)
    return Embedded(path, embedding, features)
