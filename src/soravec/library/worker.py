"""The child that decodes and embeds whole files: `python -m soravec.library.worker`.

It never imports LanceDB and writes nothing; the parent alone does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from soravec.channel import Message
from soravec.errors import SoravecError
from soravec.library.features import pack
from soravec.library.fetching import Fetched
from soravec.library.transcript import pack_sidecars, pack_words, read_words, unpack_sidecars
from soravec.process import Parent, serve
from soravec.runtime.encoder import Encoder
from soravec.runtime.folder import find_model
from soravec.types import VideoInfo
from soravec.video import LIMITS, Limits, is_url, probe
from soravec.video.metadata import without_metadata
from soravec.video.text.sidecars import Sidecar
from soravec.video.text.subtitles import Subtitles

DEADLINE_SECONDS = 120.0
DEADLINE_PER_VIDEO_SECOND = 2.0
"""By default a file may take two minutes, and twice the time that it lasts."""


MORE_MEMORY = "If you trust it, give it more: --limit memory=BYTES, Limits(memory=...)."


def default_deadline(progress: Mapping[str, Any], *, most_seconds: float = LIMITS.seconds) -> float:
    """Return the seconds that a file may take, from the header of its last progress message.

    A file that states to last longer than `most_seconds` gains nothing by it.
    """
    length = min(float(progress.get("duration_seconds", 0.0)), most_seconds)
    return DEADLINE_SECONDS + DEADLINE_PER_VIDEO_SECOND * length


def setup_message(
    encoder: Encoder,
    *,
    sampling: str,
    num_threads: int,
    fps: float | None = None,
    metadata: bool = True,
    fast_decode: bool = False,
    limits: Limits = LIMITS,
) -> Message:
    """Return the first message to a worker."""
    return Message(
        {
            "model": str(encoder.folder.path),
            "engine": encoder.engine,
            "precision": encoder.precision,
            "num_threads": num_threads,
            "sampling": sampling,
            "fps": fps,
            "metadata": metadata,
            "fast_decode": fast_decode,
            "limits": asdict(limits),
        }
    )


def job_message(path: str, *, sidecars: Sequence[Sidecar] | None, decode: bool = True) -> Message:
    """Return the message for one file.

    Args:
        path: The video.
        sidecars: The subtitle files beside it; None to read no subtitles at all.
        decode: Whether to make features and vectors, and not only to read its words.
    """
    packed = None if sidecars is None else pack_sidecars(sidecars)
    return Message({"path": path, "sidecars": packed, "decode": decode})


def open_session(setup: Message) -> Callable[[Message, Parent], Message]:
    """Return the function that turns the path in a message into features and vectors."""
    header = setup.header
    encoder = Encoder(
        find_model(header["model"]),
        engine=header["engine"],
        precision=header["precision"],
        num_threads=header["num_threads"],
    )

    encoder.open()  # an engine may need what the child gives up before its first job

    def work(job: Message, parent: Parent) -> Message:
        try:
            if not job.header.get("decode", True):
                return _listen(job.header, header, parent)
            return _embed(encoder, job.header, header, parent)
        except SoravecError as error:
            return _failure(type(error).__name__, str(error))
        except MemoryError:
            text = f"{job.header['path']}: not enough memory to read it. {MORE_MEMORY}"
            return _failure("OutOfMemory", text)
        except Exception as error:  # noqa: BLE001  # top of the worker: one file, one record
            text = (
                f"{job.header['path']}: {type(error).__name__}: {error}. This is a bug; report it."
            )
            return _failure("InternalError", text)

    return work


def _embed(
    encoder: Encoder, job: Mapping[str, Any], setup: Mapping[str, Any], parent: Parent
) -> Message:
    source = _source(job["path"], parent)
    done = {"done_seconds": 0.0, "duration_seconds": 0.0}

    def on_progress(info: VideoInfo, seconds: float) -> None:
        done["done_seconds"] = max(0.0, seconds - info.start_seconds)  # a start may lie
        done["duration_seconds"] = info.duration_seconds
        parent.tell(done)

    features = encoder.read(
        source,
        sampling=setup["sampling"],
        fps=setup["fps"] if Path(job["path"]).is_dir() else None,
        fast_decode=setup["fast_decode"],
        limits=Limits(**setup["limits"]),
        on_progress=on_progress,
    )
    embedding = encoder.embed_features(features)
    parent.tell({**done, "stage": "words"})
    info, words = _words(job, source, features.info, setup)
    header, arrays = pack(replace(features, info=info))
    bounds = np.array([(s.start_seconds, s.end_seconds) for s in embedding.segments])
    vectors = np.stack([s.vector for s in embedding.segments])
    full = {"kind": "embedded", "space_id": embedding.space_id, "words": words, **header}
    return Message(full, {**arrays, "bounds": bounds, "vectors": vectors})


def _listen(job: Mapping[str, Any], setup: Mapping[str, Any], parent: Parent) -> Message:
    """Read the words of a file, and what it says of itself."""
    source = _source(job["path"], parent)
    fps = setup["fps"] if Path(job["path"]).is_dir() else None
    facts = probe(source, limits=Limits(**setup["limits"]), fps=fps)
    parent.tell({"duration_seconds": facts.duration_seconds, "done_seconds": 0.0, "stage": "words"})
    info, words = _words(job, source, facts, setup)
    return Message({"kind": "words", "info": asdict(info), "words": words})


def _source(path: str, parent: Parent) -> str | Fetched:
    return Fetched(parent.ask) if is_url(path) else path


def _words(
    job: Mapping[str, Any], source: str | Fetched, info: VideoInfo, setup: Mapping[str, Any]
) -> tuple[VideoInfo, dict[str, Any]]:
    """Return the facts of a file, as far as they are wanted and with their warnings, and words."""
    if not setup["metadata"]:
        info = without_metadata(info)
    if job.get("sidecars") is None:
        return info, pack_words(Subtitles((), (), ()))
    found = read_words(source, info, unpack_sidecars(job["sidecars"]))
    return replace(info, warnings=(*info.warnings, *found.warnings)), pack_words(found)


def _failure(kind: str, message: str) -> Message:
    return Message({"kind": "failed", "type": kind, "message": message})


if __name__ == "__main__":
    serve(open_session)
