"""Features of labelled clips: decoded and read by the CNN once, then kept.

They lie in a folder like a library's `features/`, one per rate; a library's own are used where they
were read at the same rate. A clip that cannot be read is listed with its reason.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from soravec.channel import Message
from soravec.data.augmentation import Augmentation
from soravec.data.manifest import Clip
from soravec.data.worker import plain_job, setup_message, view_job
from soravec.errors import LibraryError, VideoError, WorkerError
from soravec.library.features import FeatureFiles, unpack
from soravec.library.identity import video_identity
from soravec.library.worker import default_deadline
from soravec.process import Worker, supervise
from soravec.runtime.encoder import Encoder
from soravec.runtime.engine import available_cores
from soravec.runtime.frames import frames_of_segment
from soravec.runtime.sketches import without_sketches
from soravec.sandbox import ChildLimits
from soravec.types import FrameFeatures, Shots
from soravec.video import LIMITS, Limits

WORKER = "soravec.data.worker"

J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A clip that could not be read."""

    clip: Clip
    """Which."""
    error_type: str
    """Kind of the error."""
    message: str
    """What, where and what to do."""


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Clips and their features."""

    clips: tuple[Clip, ...]
    """Those that could be read, in the manifest's order."""
    views: tuple[tuple[FrameFeatures, ...], ...]
    """Per clip: as it is, then augmented, frame by frame at the same times."""
    skipped: tuple[Skipped, ...]
    """Those that could not."""


OnProgress = Callable[[int, int], None]
"""Called with videos done and videos in all."""


class FeatureCache:
    """Reads features of clips, and keeps them.

    Args:
        folder: Where they are kept.
        encoder: The model, at the rate that is wanted.
        library: A library whose own features are used where they fit; None for none.
        num_workers: Processes that decode; None for one per core.
        limits: What is refused.
    """

    def __init__(
        self,
        folder: Path,
        encoder: Encoder,
        *,
        library: Path | None = None,
        num_workers: int | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self._limits = limits
        self._encoder = encoder
        rate = f"{encoder.config.sampling.fps:g}fps"
        self._files = FeatureFiles(folder / rate)
        self._view_files = FeatureFiles(folder / f"{rate}-views")
        self._library = None if library is None else FeatureFiles(library / "features")
        self._num_workers = num_workers
        self._identities: dict[str, str] = {}

    def read(self, clips: Sequence[Clip], *, on_progress: OnProgress | None = None) -> FeatureSet:
        """Return the features of clips, each as it is."""
        failures = self._fill({str(clip.path) for clip in clips}, on_progress)
        kept, views, skipped = [], [], []
        whole: dict[str, FrameFeatures] = {}
        for clip in clips:
            path = str(clip.path)
            if path not in failures and path not in whole:
                whole[path] = self._stored(path)
            span = None if path in failures else clip_features(whole[path], clip)
            if span is not None:
                kept.append(clip)
                views.append((span,))
                continue
            kind, message = failures.get(path) or ("QueryError", _empty_span(clip))
            skipped.append(Skipped(clip, kind, message))
        return FeatureSet(tuple(kept), tuple(views), tuple(skipped))

    def augmented(
        self,
        features: FeatureSet,
        augmentation: Augmentation,
        *,
        num_views: int,
        seed: int = 0,
        on_progress: OnProgress | None = None,
    ) -> FeatureSet:
        """Return the clips with augmented views beside them, each drawn once per clip and view."""
        jobs = [(clip, view) for clip in range(len(features.clips)) for view in range(num_views)]
        names = {job: self._view_name(features, job, augmentation, seed) for job in jobs}
        feature_id = self._encoder.feature_id
        missing = [job for job in jobs if not self._view_files.has(names[job], feature_id)]

        def encode(job: tuple[int, int]) -> Message:
            path, view = str(features.clips[job[0]].path), features.views[job[0]][0]
            return view_job(path, view.seconds, augmentation, _view_seed(names[job], seed))

        failures: dict[int, Skipped] = {}
        for done, (job, reply) in enumerate(self._run(missing, encode, augments=True), 1):
            clip, view = features.clips[job[0]], features.views[job[0]][0]
            if isinstance(reply, tuple):
                failures[job[0]] = Skipped(clip, *reply)
            else:
                changed = replace(view, features=reply.arrays["features"])
                self._view_files.write(names[job], changed)
            if on_progress is not None:
                on_progress(done, len(missing))
        kept = [index for index in range(len(features.clips)) if index not in failures]
        return FeatureSet(
            clips=tuple(features.clips[index] for index in kept),
            views=tuple(
                (
                    features.views[index][0],
                    *(
                        self._view_files.read(names[index, view], feature_id)
                        for view in range(num_views)
                    ),
                )
                for index in kept
            ),
            skipped=(*features.skipped, *failures.values()),
        )

    def _fill(self, paths: set[str], on_progress: OnProgress | None) -> dict[str, tuple[str, str]]:
        """Read what is not kept yet, and return why it could not be read, by path."""
        failures = self._identify(paths)
        missing = {  # of equal content, one is read
            self._identities[path]: path
            for path in sorted(paths, reverse=True)
            if path not in failures and self._place(self._identities[path]) is None
        }
        jobs = sorted(missing.values())
        unread: dict[str, tuple[str, str]] = {}
        for done, (path, reply) in enumerate(self._run(jobs, plain_job), 1):
            if isinstance(reply, tuple):
                unread[self._identities[path]] = reply
            else:
                read = without_sketches(unpack(reply.header, reply.arrays))
                self._files.write(self._identities[path], read)
            if on_progress is not None:
                on_progress(done, len(jobs))
        same = {p: unread[i] for p, i in self._identities.items() if p in paths and i in unread}
        return failures | same

    def _identify(self, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Note the identities of files, and return why some have none."""
        failures: dict[str, tuple[str, str]] = {}
        for path in paths:
            try:
                self._identities.setdefault(path, video_identity(Path(path)))
            except VideoError as error:
                failures[path] = type(error).__name__, str(error)
            except OSError as error:
                failures[path] = "MissingVideo", f"{path}: {error.strerror}"
        return failures

    def _place(self, identity: str) -> FeatureFiles | None:
        """Return where a video's features are kept at the wanted rate, or None."""
        feature_id = self._encoder.feature_id
        if self._files.has(identity, feature_id):
            return self._files
        if self._library is None or not self._library.has(identity, feature_id):
            return None
        try:
            recipe = self._library.read(identity, feature_id).recipe
        except LibraryError:
            return None
        fits = recipe.get("fps") == self._encoder.config.sampling.fps
        return self._library if fits and recipe.get("sampling") == "uniform" else None

    def _stored(self, path: str) -> FrameFeatures:
        """Return what is kept of a video; where that is damaged, the video is read again."""
        identity, feature_id = self._identities[path], self._encoder.feature_id
        files = self._place(identity) or self._files
        try:
            return files.read(identity, feature_id)
        except LibraryError:
            if files is not self._files:
                raise
            files.path(identity, feature_id).unlink()
            if self._fill({path}, None):
                raise
            return (self._place(identity) or self._files).read(identity, feature_id)

    def _run(
        self, jobs: Sequence[J], encode: Callable[[J], Message], *, augments: bool = False
    ) -> Iterator[tuple[J, Message | tuple[str, str]]]:
        """Yield every job with its reply, or with kind and message of its failure."""
        if not jobs:
            return
        cores = available_cores()
        workers = max(1, min(self._num_workers or cores, len(jobs)))
        num_threads = max(1, cores // workers)
        setup = setup_message(
            self._encoder, num_threads=num_threads, augments=augments, limits=self._limits
        )
        outcomes = supervise(
            Worker(WORKER, setup, ChildLimits(self._limits.memory)),
            range(len(jobs)),
            encode=lambda number: encode(jobs[number]),
            deadline_seconds=default_deadline,
            num_workers=workers,
        )
        for outcome in outcomes:
            reply = outcome.reply
            if isinstance(reply, WorkerError):
                yield jobs[outcome.job], (WorkerError.__name__, str(reply))
            elif reply.header["kind"] == "failed":
                yield jobs[outcome.job], (reply.header["type"], reply.header["message"])
            else:
                yield jobs[outcome.job], reply

    def _view_name(
        self, features: FeatureSet, job: tuple[int, int], augmentation: Augmentation, seed: int
    ) -> str:
        """Return a name that tells apart views of other clips, spans, augmentations and seeds."""
        clip, view = job
        seconds = features.views[clip][0].seconds
        identity = self._identities[str(features.clips[clip].path)]
        facts = [asdict(augmentation), identity, seconds.tolist(), seed, view]
        return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def clip_features(features: FrameFeatures, clip: Clip) -> FrameFeatures | None:
    """Return the part of a video's features that lies in a clip's span; None where none does."""
    features = without_sketches(features)
    if clip.start_seconds is None and clip.end_seconds is None:
        return features
    bounds = features.shots.bounds
    start = bounds[0, 0] if clip.start_seconds is None else clip.start_seconds
    end = bounds[-1, 1] if clip.end_seconds is None else clip.end_seconds
    start, end = max(start, bounds[0, 0]), min(end, bounds[-1, 1])
    if not start < end:
        return None
    inside = np.clip(bounds, start, end)
    inside = inside[inside[:, 1] > inside[:, 0]]
    frames = frames_of_segment(features.seconds, start, end)
    return replace(
        features,
        features=features.features[frames],
        seconds=features.seconds[frames],
        shots=Shots(inside, features.shots.approximate),
    )


def _empty_span(clip: Clip) -> str:
    return (
        f"{clip.path}: nothing is shown from {clip.start_seconds} s to {clip.end_seconds} s."
        f" Its length: 'soravec probe {clip.path}'."
    )


def _view_seed(name: str, seed: int) -> int:
    return (int(name[:8], 16) + seed) % 2**31


def skipped_rows(skipped: Iterable[Skipped]) -> list[Mapping[str, str | int]]:
    """Return skipped clips as rows of a table."""
    return [
        {"row": s.clip.row, "path": str(s.clip.path), "error": s.error_type, "message": s.message}
        for s in skipped
    ]
