"""The child that reads features of clips for training: `python -m soravec.data.worker`."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soravec.channel import Message
from soravec.data.augmentation import Augmentation, augment
from soravec.errors import SoravecError
from soravec.library.features import pack
from soravec.library.worker import MORE_MEMORY
from soravec.process import Parent, serve
from soravec.runtime.config import from_dict
from soravec.runtime.encoder import Encoder
from soravec.runtime.folder import find_model
from soravec.types import Frames, VideoInfo
from soravec.video import LIMITS, AtSeconds, Limits, VideoReader

CHUNK_FRAMES = 256
"""Frames that are augmented at once: the most that are held in memory."""


def setup_message(
    encoder: Encoder, *, num_threads: int, augments: bool = False, limits: Limits = LIMITS
) -> Message:
    """Return the first message to a worker; `augments` where views will be asked for."""
    return Message(
        {
            "model": str(encoder.folder.path),
            "engine": encoder.engine,
            "precision": encoder.precision,
            "num_threads": num_threads,
            "sampling": asdict(encoder.config.sampling),
            "augments": augments,
            "limits": asdict(limits),
        }
    )


def plain_job(path: str) -> Message:
    """Return the message that asks for the features of a whole video."""
    return Message({"path": path})


def view_job(
    path: str, seconds: NDArray[np.float64], augmentation: Augmentation, seed: int
) -> Message:
    """Return the message that asks for features of the frames at `seconds`, augmented.

    All the frames are changed in the same way, which follows from the seed.
    """
    header = {"path": path, "augmentation": asdict(augmentation), "seed": seed}
    return Message(header, {"seconds": seconds})


def open_session(setup: Message) -> Callable[[Message, Parent], Message]:
    """Return the function that answers a job."""
    header = setup.header
    encoder = Encoder(
        find_model(header["model"]),
        engine=header["engine"],
        precision=header["precision"],
        num_threads=header["num_threads"],
    ).sampled(**header["sampling"])

    encoder.open()  # an engine may need what the child gives up before its first job
    if header["augments"]:
        import torchvision.transforms.v2  # noqa: F401  # PyTorch makes a temporary file

    limits = Limits(**header["limits"])

    def work(job: Message, parent: Parent) -> Message:
        try:
            if "augmentation" in job.header:
                return _read_view(encoder, job, limits)
            return _read_plain(encoder, job.header["path"], limits, parent)
        except SoravecError as error:
            return _failure(type(error).__name__, str(error))
        except MemoryError:
            text = f"{job.header['path']}: not enough memory to read it. {MORE_MEMORY}"
            return _failure("OutOfMemory", text)
        except Exception as error:  # noqa: BLE001  # top of the worker: one file, one record
            text = f"{job.header['path']}: {type(error).__name__}: {error}"
            return _failure("InternalError", text)

    return work


def _read_plain(encoder: Encoder, path: str, limits: Limits, parent: Parent) -> Message:
    def on_progress(info: VideoInfo, seconds: float) -> None:
        done = {"done_seconds": max(0.0, seconds - info.start_seconds)}  # a start may lie
        parent.tell({**done, "duration_seconds": info.duration_seconds})

    features, arrays = pack(encoder.read(path, limits=limits, on_progress=on_progress))
    return Message({"kind": "read", **features}, arrays)


def _read_view(encoder: Encoder, job: Message, limits: Limits) -> Message:
    raw = job.header["augmentation"]
    augmentation = from_dict(Augmentation, raw, where="augmentation")
    parts = []
    for frames in _frames_at(encoder, job.header["path"], job.arrays["seconds"], limits):
        parts.append(encoder.features(augment(frames, augmentation, seed=job.header["seed"])))
    return Message({"kind": "view"}, {"features": np.concatenate(parts)})


def _frames_at(
    encoder: Encoder, path: str, seconds: NDArray[np.float64], limits: Limits
) -> Iterator[Frames]:
    cnn = encoder.config.cnn
    with VideoReader(path, limits=limits) as video:
        yield from video.read(
            AtSeconds(tuple(seconds.tolist())),
            size=(cnn.height, cnn.width),
            fit=cnn.fit,
            batch_size=CHUNK_FRAMES,
            with_previous=encoder.reads_differences,
        )


def _failure(kind: str, message: str) -> Message:
    header: dict[str, Any] = {"kind": "failed", "type": kind, "message": message}
    return Message(header)


if __name__ == "__main__":
    serve(open_session)
