"""The child that decodes and embeds whole files: `python -m soravec.library.worker`.

It never imports LanceDB and writes nothing; the parent alone does.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from soravec.errors import SoravecError
from soravec.library.features import pack, unpack
from soravec.process import Message, Tell, serve
from soravec.runtime.encoder import Encoder
from soravec.runtime.folder import find_model
from soravec.runtime.vectors import mean_vector
from soravec.types import Embedding, FrameFeatures, Segment, VideoInfo


def setup_message(
    encoder: Encoder, *, sampling: str, num_threads: int, fps: float | None = None
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
        }
    )


def read_reply(message: Message) -> tuple[FrameFeatures, Embedding]:
    """Return what a worker made of a file, from its message of kind `embedded`."""
    features = unpack(message.header, message.arrays)
    bounds, vectors = message.arrays["bounds"], message.arrays["vectors"]
    segments = tuple(
        Segment(float(start), float(end), vector, features.shots.approximate)
        for (start, end), vector in zip(bounds, vectors, strict=True)
    )
    embedding = Embedding(
        path=features.info.path,
        vector=mean_vector(vectors, bounds[:, 1] - bounds[:, 0]),
        segments=segments,
        space_id=message.header["space_id"],
        info=features.info,
        recipe=features.recipe,
    )
    return features, embedding


def open_session(setup: Message) -> Callable[[Message, Tell], Message]:
    """Return the function that turns the path in a message into features and vectors."""
    header = setup.header
    encoder = Encoder(
        find_model(header["model"]),
        engine=header["engine"],
        precision=header["precision"],
        num_threads=header["num_threads"],
    )

    def work(job: Message, tell: Tell) -> Message:
        try:
            return _embed(encoder, job.header["path"], header, tell)
        except SoravecError as error:
            return _failure(type(error).__name__, str(error))
        except MemoryError:
            return _failure("OutOfMemory", f"{job.header['path']}: not enough memory to read it")
        except Exception as error:  # noqa: BLE001  # top of the worker: one file, one record
            text = (
                f"{job.header['path']}: {type(error).__name__}: {error}. This is a bug; report it."
            )
            return _failure("InternalError", text)

    return work


def _embed(encoder: Encoder, path: str, setup: Mapping[str, Any], tell: Tell) -> Message:
    def on_progress(info: VideoInfo, seconds: float) -> None:
        done = seconds - info.start_seconds
        tell({"done_seconds": done, "duration_seconds": info.duration_seconds})

    features = encoder.read(
        path,
        sampling=setup["sampling"],
        allow_urls=True,  # the parent has passed on none that is not allowed
        fps=setup["fps"] if Path(path).is_dir() else None,
        on_progress=on_progress,
    )
    embedding = encoder.embed_features(features)
    header, arrays = pack(features)
    bounds = np.array([(s.start_seconds, s.end_seconds) for s in embedding.segments])
    vectors = np.stack([s.vector for s in embedding.segments])
    full: Mapping[str, Any] = {"kind": "embedded", "space_id": embedding.space_id, **header}
    return Message(full, {**arrays, "bounds": bounds, "vectors": vectors})


def _failure(kind: str, message: str) -> Message:
    return Message({"kind": "failed", "type": kind, "message": message})


if __name__ == "__main__":
    serve(open_session)
