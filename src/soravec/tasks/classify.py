"""What videos are called: every segment by a head of the model, files by supervised workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from soravec.library.batch import embed_files
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import Head
from soravec.types import Classification
from soravec.video import LIMITS, AllowUrls, Limits


@dataclass(frozen=True, slots=True)
class Classified:
    """What became of one file."""

    path: str
    """As the caller named it."""
    classification: Classification | None = None
    """What it is called; None where it was skipped."""
    error_type: str = ""
    """Kind of the error; empty where there was none."""
    message: str = ""
    """What, where and what to do."""


def classify_files(
    paths: Sequence[str | Path],
    encoder: Encoder,
    *,
    head: str | Head | None = None,
    num_workers: int | None = None,
    fps: float | None = None,
    allow_urls: AllowUrls = False,
    limits: Limits = LIMITS,
    trusted: bool = False,
) -> Iterator[Classified]:
    """Yield what files are called, in their order; one bad file does not stop the others.

    Args:
        paths: Files, clips in tars, folders of frames, URLs.
        encoder: A model with a head, such as `soravec train` makes.
        head: The name of the head, or one of its own such as a taught label's; None means the
            only one of the model beside the tags.
        num_workers: Processes; None means one per core.
        fps: Frames per second of folders of frames; None for what they state, else 25.
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.
        limits: What is refused.
        trusted: Decode in children that are not confined (`soravec.sandbox`).

    Raises:
        ModelError: The model has no such head.
    """
    chosen = head if isinstance(head, Head) else encoder.head(head)
    embedded = embed_files(
        paths,
        encoder,
        num_workers=num_workers,
        fps=fps,
        allow_urls=allow_urls,
        limits=limits,
        trusted=trusted,
    )
    for done in embedded:
        if done.embedding is None:
            yield Classified(done.path, error_type=done.error_type, message=done.message)
        else:
            yield Classified(done.path, chosen.classify(done.embedding))
