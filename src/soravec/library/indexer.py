"""Files into the library: what is new is decoded by supervised workers, the rest is recognised."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from soravec.channel import Message
from soravec.errors import (
    LibraryError,
    MissingVideo,
    NotAllowed,
    TooLarge,
    VideoError,
    WorkerError,
)
from soravec.library.catalogue import Catalogue
from soravec.library.features import FeatureFiles
from soravec.library.fetching import Fetcher
from soravec.library.identity import FileStamp, VideoPath, stamp, video_identity
from soravec.library.replies import Failed, read_made, read_said
from soravec.library.samples import sample_words
from soravec.library.transcript import WordKeeper
from soravec.library.vectors import VectorIndex
from soravec.library.worker import default_deadline, job_message, setup_message
from soravec.process import Outcome, Worker, supervise
from soravec.runtime.encoder import Encoder
from soravec.runtime.engine import available_cores
from soravec.runtime.sampling import Sampling
from soravec.sandbox import ChildLimits
from soravec.types import Embedding, FrameFeatures, VideoInfo
from soravec.video import LIMITS, AllowUrls, Limits
from soravec.video.metadata import without_metadata
from soravec.video.remote import shown_url
from soravec.video.text.sidecars import Sidecar
from soravec.video.text.subtitles import WARNING_PREFIX

Status = Literal["indexed", "unchanged", "moved", "updated", "removed", "failed"]

WORKER = "soravec.library.worker"
"""The module that a child runs."""

LOOK_SECONDS = 120.0
"""How long it may take to find out whether what lies behind a URL is known."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file."""

    path: str
    status: Status
    num_segments: int = 0
    """Segments written in this run."""
    video_seconds: float = 0.0
    """Length of what was decoded in this run."""
    error_type: str = ""
    message: str = ""
    """Why it failed; or, of a file that was indexed, what of it could not be read."""


@dataclass(slots=True)
class IndexReport:
    """What a run did. `unchanged` counts the files that were moved or updated too."""

    indexed: int = 0
    unchanged: int = 0
    moved: int = 0
    updated: int = 0
    """Files whose pictures were known, and whose words were read anew."""
    removed: int = 0
    failed: int = 0
    segments: int = 0
    """Segments written in this run."""
    video_seconds: float = 0.0
    """Length of what was decoded in this run."""
    failures: list[FileResult] = field(default_factory=list)
    """Files that were skipped, with their reasons."""

    def add(self, result: FileResult) -> None:
        """Count one file."""
        if result.status == "indexed":
            self.indexed += 1
        elif result.status in ("unchanged", "moved", "updated"):
            self.unchanged += 1
            self.moved += result.status == "moved"
            self.updated += result.status == "updated"
        elif result.status == "removed":
            self.removed += 1
        else:
            self.failed += 1
            self.failures.append(result)
        self.segments += result.num_segments
        self.video_seconds += result.video_seconds


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to index."""

    sampling: Sampling = "uniform"
    """`uniform`; `keyframes`: faster, cuts only approximate; or `auto`."""
    fast_decode: bool = False
    """Leave out the decoder's smoothing of blocks: faster, nearly the same vectors."""
    num_workers: int | None = None
    """Processes; None means one per core."""
    deadline_seconds: float | None = None
    """Longest time for one file; None means two minutes and twice its length."""
    verify: bool = False
    """Read files again that look unchanged, to see whether their content is."""
    retry_failed: bool = False
    """Try files again that failed before and have not changed since."""
    frame_folders: bool = False
    """Take every folder that holds pictures for a video."""
    fps: float | None = None
    """Frames per second of folders of frames; None for what they state, else 25."""
    allow_urls: AllowUrls = False
    """Open http and https URLs; "private": also of private networks."""
    metadata: bool = True
    """Store title, chapters, place and time of recording that the files state."""
    subtitles: bool = True
    """Store the subtitles in the files and beside them."""
    limits: Limits = LIMITS
    """What is refused."""
    trusted: bool = False
    """Decode in children that may do whatever this process may (else: `soravec.sandbox`)."""


@dataclass(frozen=True, slots=True)
class _Job:
    stamp: FileStamp
    video_id: str
    sidecars: tuple[Sidecar, ...] | None
    """The subtitle files beside it; None to read no subtitles."""
    status: Status = "indexed"
    """What to tell when it is done."""
    decode: bool = True
    """Whether to decode it, and not only to read its words."""
    num_segments: int = 0
    """Segments written already."""
    note: str = ""
    """Why its words are not to be read."""


NO_WORDS = f"{WARNING_PREFIX}not read"

_NO_URLS = "URLs are opened only when that is asked for"


class Indexer:
    """One run over some files and folders.

    Args:
        catalogue: Where it is recorded.
        files: Where features go.
        index: Where vectors go.
        encoder: The model.
        options: How.
        on_result: Called with what became of every file.
        on_progress: Called with a path and the seconds of it that are decoded.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        files: FeatureFiles,
        index: VectorIndex,
        encoder: Encoder,
        options: IndexOptions,
        *,
        on_result: Callable[[FileResult], None],
        on_progress: Callable[[str, float], None],
    ) -> None:
        self._catalogue = catalogue
        self._files = files
        self._index = index
        self._encoder = encoder
        self._options = options
        self._on_result = on_result
        self._on_progress = on_progress
        self._space_id = encoder.space_id
        self._report = IndexReport()
        self._twins: dict[str, list[FileStamp]] = {}
        self._fetcher = Fetcher(options.allow_urls)
        self._given: dict[str, str] = {}  # URLs with their passwords, by what is shown of them
        self._words = WordKeeper(
            catalogue, files, metadata=options.metadata, subtitles=options.subtitles
        )
        self._at_words: set[str] = set()  # videos whose worker has come to their words
        self._later: list[_Job] = []

    def run(self, roots: Sequence[VideoPath], paths: Sequence[VideoPath]) -> IndexReport:
        """Index files; an interrupt loses nothing that was reported.

        Args:
            roots: Absolute files and folders, and URLs, that were named: what the catalogue knows
                below them and is not among `paths` is gone.
            paths: Every video below them.
        """
        known = {path for root in roots for path in self._known_below(root)}
        try:
            for outcome in self._outcomes(self._jobs(paths), len(paths)):
                self._settle(outcome)
            while self._later:
                later, self._later = self._later, []
                for outcome in self._outcomes(iter(later), len(later)):
                    self._settle(outcome)
            for gone in sorted(known - {str(path) for path in paths}):
                self._remove(gone)
        except BaseException:
            if self._index.is_checked:  # else the catalogue knows what is missing
                self._index.flush()
            raise
        self._index.flush()
        self._index.remove_stale()
        self._index.optimise()
        return self._report

    def _known_below(self, root: VideoPath) -> list[str]:
        """Return the known paths that are gone if they are not found below `root` now.

        A whole folder that is not there is more likely a disk that is not mounted.
        """
        known = self._catalogue.paths_below(root)
        if isinstance(root, Path) and root.exists():
            return known
        return [path for path in known if path == str(root)]

    def _outcomes(self, jobs: Iterator[_Job], num_jobs: int) -> Iterator[Outcome[_Job]]:
        cores = available_cores()
        workers = max(1, min(self._options.num_workers or cores, num_jobs))
        threads = max(1, cores // workers)
        setup = setup_message(
            self._encoder,
            sampling=self._options.sampling,
            num_threads=threads,
            fps=self._options.fps,
            metadata=self._options.metadata,
            fast_decode=self._options.fast_decode,
            limits=self._options.limits,
        )
        memory = self._options.limits.memory
        return supervise(
            Worker(WORKER, setup, None if self._options.trusted else ChildLimits(memory)),
            jobs,
            encode=lambda job: job_message(
                str(job.stamp.path),
                sidecars=None if job.note else job.sidecars,
                decode=job.decode,
            ),
            deadline_seconds=self._deadline,
            num_workers=workers,
            answer=self._fetched,
            on_progress=self._note_progress,
        )

    def _fetched(self, job: _Job, header: Mapping[str, Any], go_on: Callable[[], bool]) -> Message:
        """Return what a child asks of the URL of its job."""
        return self._fetcher.answer(self._given.get(str(job.stamp.path), ""), header, go_on)

    def _note_progress(self, job: _Job, header: Mapping[str, Any]) -> None:
        if header.get("stage") == "words":
            self._at_words.add(job.video_id)
        self._index.check_when_open()
        self._on_progress(str(job.stamp.path), float(header.get("done_seconds", 0.0)))

    def _deadline(self, progress: Mapping[str, Any]) -> float:
        if self._options.deadline_seconds is not None:
            return self._options.deadline_seconds
        return default_deadline(progress, most_seconds=self._options.limits.seconds)

    def _jobs(self, paths: Iterable[VideoPath]) -> Iterator[_Job]:
        """Yield what must be decoded; settle everything else at once."""
        for path in paths:
            printable = str(path).encode("utf-8", "backslashreplace").decode()
            if printable != str(path):
                error = NotAllowed(printable, "its name is not valid UTF-8", "Rename it.")
                self._fail(FileStamp(Path(printable), 0, 0), type(error).__name__, str(error))
                continue
            shown = shown_url(path) if isinstance(path, str) else path
            if isinstance(path, str):
                self._given[str(shown)] = path
                if not self._options.allow_urls:
                    refused = NotAllowed(shown, _NO_URLS, "Allow it: --allow-urls, or download it.")
                    self._fail(FileStamp(shown, 0, 0), type(refused).__name__, str(refused))
                    continue
            try:
                urls = self._options.allow_urls
                job = self._recognise(stamp(path, allow_urls=urls, go_on=_for(LOOK_SECONDS)))
            except VideoError as error:
                self._fail(FileStamp(shown, 0, 0), type(error).__name__, str(error))
                continue
            except OSError as error:
                missing = MissingVideo(
                    shown, f"cannot be read ({error.strerror})", "Check the path."
                )
                self._fail(FileStamp(shown, 0, 0), type(missing).__name__, str(missing))
                continue
            if job is not None:
                yield job

    def _recognise(self, file: FileStamp) -> _Job | None:
        """Return a job for a file, or settle it without decoding and return None."""
        if not self._options.verify and self._unchanged(file):
            self._tell_known(file, "unchanged")
            return None
        failure = self._catalogue.known_failure(file)
        if failure is not None and not self._is_tried_again(failure[0]):
            self._fail(file, *failure)
            return None
        known = None if self._options.verify else self._catalogue.known_file(file)
        where = self._given.get(str(file.path), file.path)
        urls = self._options.allow_urls
        video_id = (
            video_identity(where, allow_urls=urls, go_on=_for(LOOK_SECONDS))
            if known is None
            else self._catalogue.video_id(known)
        )
        if video_id in self._twins:
            self._twins[video_id].append(file)
            return None
        if self._from_library(file, video_id):
            return None
        self._twins[video_id] = []
        return _Job(file, video_id, self._words.sidecars(file.path))

    def _is_tried_again(self, error_type: str) -> bool:
        """Return whether a file that failed in this way may succeed now, though unchanged."""
        is_limited = error_type in (TooLarge.__name__, "OutOfMemory")
        may_pass = is_limited and self._options.limits != LIMITS
        return self._options.retry_failed or may_pass or error_type == WorkerError.__name__

    def _unchanged(self, file: FileStamp) -> bool:
        key = self._catalogue.known_file(file)
        return key is not None and self._catalogue.has_embedding(key, self._space_id)

    def _from_library(self, file: FileStamp, video_id: str) -> bool:
        """Settle a file whose content the library holds; return whether it does."""
        key = self._catalogue.video_key(video_id)
        if key is None:
            return False
        if self._catalogue.has_embedding(key, self._space_id):
            before = self._catalogue.known_file(file)
            lost = not self._catalogue.path_of(key)
            with self._catalogue.transaction():
                self._put_path(file, key)
            if lost and self._index.rebuild([key]):  # its features are damaged
                with self._catalogue.transaction():
                    self._catalogue.drop_embedding(key, self._space_id)
                return False
            self._tell_known(file, "unchanged" if before == key else "moved")
            return True
        if not self._files.has(video_id, self._encoder.feature_id):
            return False
        try:
            features = self._files.read(video_id, self._encoder.feature_id)
        except LibraryError as error:
            logger.warning("%s", error)
            return False
        if not self._options.metadata:
            features = replace(features, info=without_metadata(features.info))
        self._commit(file, video_id, features, self._encoder.embed_features(features))
        self._tell_known(file, "indexed", num_segments=self._index.num_segments(key))
        return True

    def _tell_known(self, file: FileStamp, status: Status, *, num_segments: int = 0) -> None:
        """Tell of a file that needs no decoding, at once or when its words have been read."""
        sidecars = self._words.sidecars(file.path)
        if self._words.are_read(str(file.path), sidecars):
            self._tell(FileResult(str(file.path), status, num_segments))
            return
        key = self._catalogue.known_file(file)
        assert key is not None
        status = "updated" if status == "unchanged" else status
        video_id = self._catalogue.video_id(key)
        self._later.append(
            _Job(file, video_id, sidecars, status, decode=False, num_segments=num_segments)
        )

    def _settle(self, outcome: Outcome[_Job]) -> None:
        """Record what a worker made of a file, and of the files that are equal to it."""
        job, reply = outcome.job, outcome.reply
        if not job.decode:
            self._settle_words(job, reply)
            return
        if isinstance(reply, WorkerError) and job.video_id in self._at_words:
            self._at_words.remove(job.video_id)
            self._later.append(replace(job, note=f"{NO_WORDS} ({reply})"))
            return
        twins = self._twins.pop(job.video_id)
        made = read_made(str(job.stamp.path), reply, self._encoder)
        if isinstance(made, Failed):
            self._fail(job.stamp, made.error_type, made.message)
        else:
            features, embedding = made.features, made.embedding
            if job.note:
                info = replace(features.info, warnings=(*features.info.warnings, job.note))
                features = replace(features, info=info)
            self._files.write(job.video_id, features)
            words = partial(
                self._words.put,
                path=str(job.stamp.path),
                info=features.info,
                packed=made.words,
                sidecars=job.sidecars,
            )
            self._commit(job.stamp, job.video_id, features, embedding, words=words)
            length = sum(segment.duration_seconds for segment in embedding.segments)
            count = len(embedding.segments)
            odd = "; ".join(features.info.warnings)
            name = str(job.stamp.path)
            self._tell(FileResult(name, "indexed", count, length, message=odd))
        for twin in twins:
            if not self._from_library(twin, job.video_id):
                failure = self._report.failures[-1]
                message = failure.message.replace(str(job.stamp.path), str(twin.path))
                self._fail(twin, failure.error_type, message)

    def _settle_words(self, job: _Job, reply: Message | WorkerError) -> None:
        """Record the words of a file whose pictures are known."""
        path = str(job.stamp.path)
        said = read_said(path, reply)
        if isinstance(said, str):
            note = f"{NO_WORDS} ({said})"
        else:
            info, words = said
            recorded = _recorded(info, job.stamp)
            note = self._words.renew(
                job.video_id, path, info, words, job.sidecars, recorded=recorded
            )
        self._tell(FileResult(path, job.status, job.num_segments, message=note))

    def _commit(
        self,
        file: FileStamp,
        video_id: str,
        features: FrameFeatures,
        embedding: Embedding,
        *,
        words: Callable[[int], None] | None = None,
    ) -> None:
        """Make a video durable: from here on it is acknowledged."""
        recorded = _recorded(features.info, file)
        with self._catalogue.transaction():
            key = self._catalogue.put_video(video_id, features.info, recorded=recorded)
            self._put_path(file, key)
            self._index.put(key, embedding)
            if words is not None:
                words(key)
        self._index.flush_when_due()

    def _put_path(self, file: FileStamp, key: int) -> None:
        """Note where a video lies, and the words that lie beside it in a tar."""
        self._catalogue.put_path(file, key)
        words = sample_words(file.path) if isinstance(file.path, Path) else []
        self._catalogue.replace_texts(key, str(file.path), words)

    def _fail(self, file: FileStamp, kind: str, message: str) -> None:
        if file.size_bytes or file.mtime_ns:
            with self._catalogue.transaction():
                self._catalogue.put_failure(file, kind, message)
        self._tell(FileResult(str(file.path), "failed", error_type=kind, message=message))

    def _remove(self, path: str) -> None:
        """Note that a file is gone. Features stay, so that its return costs nothing."""
        with self._catalogue.transaction():
            self._catalogue.drop_path(path)
            self._catalogue.drop_failure(path)
        self._tell(FileResult(path, "removed"))

    def _tell(self, result: FileResult) -> None:
        self._report.add(result)
        self._on_result(result)


def _for(seconds: float) -> Callable[[], bool]:
    """Return what says yes for so long."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until


def _recorded(info: VideoInfo, file: FileStamp) -> float:
    """Return when a video was recorded: its metadata, else the file's modification time."""
    try:
        return datetime.fromisoformat(info.created or "").timestamp()
    except (ValueError, OverflowError, OSError):
        return file.mtime_ns / 1e9 if file.mtime_ns else time.time()
