"""A library: a folder of videos' vectors, and what is known of them."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from soravec.errors import LibraryBusy, LibraryError, ModelError, QueryError
from soravec.library.annotations import annotations_by_key
from soravec.library.catalogue import Catalogue
from soravec.library.contents import Contents, StoredVideo, read_contents
from soravec.library.features import FeatureFiles
from soravec.library.filters import Filter
from soravec.library.identity import absolute, find_videos, located
from soravec.library.indexer import FileResult, Indexer, IndexOptions, IndexReport
from soravec.library.lance import LanceStore
from soravec.library.lock import WriterLock
from soravec.library.progress import index_progress
from soravec.library.schema import Space
from soravec.library.search import (
    VectorQuery,
    search_vectors,
    search_words,
    segment_query,
    without_repeats,
)
from soravec.library.store import VectorStore
from soravec.library.stores import Stores
from soravec.library.summary import LibrarySummary, summarised
from soravec.library.tags import classes_asked, search_tags, tag_head
from soravec.library.upkeep import Upkeep
from soravec.library.vectors import VectorIndex
from soravec.runtime.encoder import Encoder, load
from soravec.runtime.folder import bundled_models
from soravec.types import FrameFeatures, Hit
from soravec.video import LIMITS, AllowUrls, Limits

DEFAULT_MODEL = "sora-mini"

NUM_ATTEMPTS = 6
"""How often vectors are asked, over 1.5 s, while writers take away what is being read."""

WAIT_SECONDS = 2.0
"""For so long a writer waits for a reader that mends what another left behind."""

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


class Library:
    """A folder with the vectors of many videos; use it in a `with` statement, or `close` it.

    One process writes at a time; any number read meanwhile.

    Args:
        path: The folder.
        create: Whether to make it where it is absent.

    Raises:
        LibraryError: It is missing, damaged, or of another format.
    """

    def __init__(self, path: str | Path = "soravec.library", *, create: bool = True) -> None:
        self.path = absolute(path)
        if create:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LibraryError(f"{path}: cannot be made ({error.strerror})") from error
        self.catalogue = Catalogue(self.path / "catalogue.db", create=create)
        self.files = FeatureFiles(self.path / "features")
        self._encoder: Encoder | None = None
        self._lock = WriterLock(self.path)
        self.stores = Stores(self.path, self.catalogue, self._lock)
        self._upkeep = Upkeep(self.path, self.catalogue, self.files, self.stores, self._encoder_of)
        self._mends = True

    def __enter__(self) -> "Library":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the catalogue and the vectors."""
        self.stores.close()
        self.catalogue.close()

    def add(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        encoder: Encoder | None = None,
        options: IndexOptions | None = None,
        on_result: Callable[[FileResult], None] | None = None,
        progress: bool = True,
    ) -> IndexReport:
        """Index files and folders, and return what was done.

        What is unchanged is passed over, what was moved is recognised, what is gone is no longer
        found, what cannot be read is skipped and listed with its reason. It can be interrupted at
        any time, and taken up again.

        Args:
            paths: Files, tars of clips, folders, and URLs where the options allow them.
            encoder: The model; None is the one that the library was made with, at first
                `sora-mini`. Another model on the same CNN is applied without decoding.
            options: How; None for the defaults.
            on_result: Called with what became of every file.
            progress: Whether to show a bar on stderr, where that is a terminal.

        Raises:
            LibraryBusy: Another process is writing to this library.
            LibraryError: The disk is full, or the library is damaged.
        """
        named = [paths] if isinstance(paths, str | Path) else list(paths)
        roots = [located(path) for path in named]
        options = options or IndexOptions()
        videos = list(find_videos(roots, frame_folders=options.frame_folders))
        encoder = encoder or self.encoder()
        with self.writing(), ThreadPoolExecutor(max_workers=1) as aside:
            space = self._adopted(encoder)
            self.files.sweep()
            self._finish_forgetting()
            self._upkeep.keep_vectors()
            # LanceDB takes a second to start: the workers start meanwhile.
            opening: Future[VectorStore] = aside.submit(self.stores.open, space)
            index = VectorIndex(self.catalogue, self.files, opening, encoder)
            with index_progress(videos, visible=progress) as bar:

                def tell(result: FileResult) -> None:
                    bar.on_result(result)
                    if on_result is not None:
                        on_result(result)

                indexer = Indexer(
                    self.catalogue,
                    self.files,
                    index,
                    encoder,
                    options,
                    on_result=tell,
                    on_progress=bar.on_progress,
                )
                report = indexer.run(roots, videos)
            with self.catalogue.transaction():
                self.catalogue.use_space(space.space_id)
            return report

    def search(  # noqa: PLR0913  # four ways to ask, one answer
        self,
        text: str | None = None,
        *,
        video: str | Path | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        image: str | Path | None = None,
        like: str | None = None,
        k: int = 10,
        where: Filter | None = None,
        motion_weight: float | None = None,
        allow_urls: AllowUrls = False,
        limits: Limits = LIMITS,
    ) -> list[Hit]:
        """Return the `k` moments that answer best, best first.

        Ask in one of four ways: by words, by a video or a span of it, by an image, or by a stored
        segment.

        Args:
            text: Words of subtitles, chapters, titles, names, labels, captions and tags; all must
                be found in one video, and those in double quotes in a row.
            video: A file that need not be in the library.
            start_seconds: Where the span of `video` begins; None means the beginning.
            end_seconds: Where it ends; None means the end.
            image: A picture.
            like: The `segment_id` of a hit.
            k: Moments at most.
            where: Which videos may answer; None means all.
            motion_weight: Share of motion in the score, in [0, 1]; None is the model's own.
            allow_urls: Whether `video` may be an http or https URL; "private": also of private
                networks.
            limits: What is refused of `video` and `image`.

        Raises:
            QueryError: Nothing or more than one thing was asked for.
            VideoError: The file asked with cannot be used.
            LibraryError: The library is empty.
        """
        asked = [value for value in (text, video, image, like) if value is not None]
        if len(asked) != 1:
            raise QueryError("give exactly one of: a text, a video, an image, a segment")
        if k < 1:
            raise QueryError(f"k must be at least 1, not {k}")
        space = self.space()
        where = where or Filter()
        if text is not None:
            return self._search_text(space, text, k=k, where=where)
        query = None
        if image is not None:
            query = VectorQuery.of_embedding(self.encoder().embed_image(image, limits=limits))
        elif video is not None:
            embedding = self.encoder().embed(
                video,
                start_seconds=start_seconds,
                end_seconds=end_seconds,
                allow_urls=allow_urls,
                limits=limits,
            )
            query = VectorQuery.of_embedding(embedding)

        def ask(space: Space, store: LanceStore) -> list[Hit]:
            asked = query or segment_query(self.catalogue, store, space, str(like))
            return search_vectors(
                self.catalogue, store, space, asked, k=k, where=where, motion_weight=motion_weight
            )

        return self._asked(space, ask) or []

    def contents(self, where: Filter | None = None) -> Contents:
        """Return all that may answer, as it is at one instant: every vector is read.

        Raises:
            LibraryError: Nothing in it can answer.
            QueryError: A date of the filter cannot be read.
        """
        read = partial(read_contents, self.catalogue, where=where or Filter())
        found = self._asked(self.space(), lambda space, store: read(store=store, space=space))
        if found is None or not len(found):
            raise LibraryError(f"{self.path}: no video of it can answer. Index some, or ask wider.")
        return found

    def features(self, video: StoredVideo) -> FrameFeatures:
        """Return the frame features of a video, in the CNN of the space that is searched.

        Raises:
            LibraryError: They are missing or damaged.
        """
        return self.files.read(video.video_id, self.space().feature_id)

    def _asked(self, space: Space, ask: Callable[[Space, LanceStore], Found]) -> Found | None:
        """Ask the catalogue and the vectors as they were at one instant; None: there are none yet.

        A writer may take away the vectors of that instant: then both are asked anew, and at last
        the latest vectors, of which those count that the catalogue vouches for.
        """
        for attempt in range(NUM_ATTEMPTS):
            try:
                store = self.stores.open(space)
                if self._lock.is_held:  # nobody else changes anything
                    return ask(space, store)
                self._mend_if_free(space)
                with self.catalogue.snapshot():
                    now = self.catalogue.now(space)
                    if not now.vectors_version:  # the first of them are on their way
                        return None
                    if attempt < NUM_ATTEMPTS - 1:
                        store.checkout(now.vectors_version)
                    return ask(now, store)
            except LibraryError as error:
                space = self.catalogue.space(space.space_id)
                if not space.vectors_version:
                    return None
                if attempt == NUM_ATTEMPTS - 1:
                    raise
                logger.info("asked again: %s", error)
                time.sleep(0.05 * 2**attempt)
                self.stores.close()
        raise AssertionError("unreachable")

    def _search_text(self, space: Space, text: str, *, k: int, where: Filter) -> list[Hit]:
        """Return what is called so by anyone: words of the videos, and tags of the model."""
        with self.catalogue.snapshot():
            hits = search_words(self.catalogue, space, text, k=k, where=where)
        head = tag_head(space)
        if head is not None and classes_asked(head, text):
            tags = partial(search_tags, self.catalogue, head=head, text=text, k=k, where=where)
            found = self._asked(space, lambda space, store: tags(space=space, store=store))
            hits += found or []
        return without_repeats(hits)[:k]

    def annotate(self, file: str | Path) -> int:
        """Take over labels, captions and tags from a CSV or JSON Lines file; return how many.

        Raises:
            QueryError: A row is wrong, or names a video that is not in the library.
        """
        annotations = annotations_by_key(self.catalogue, Path(file))
        with self._lock.held(), self.catalogue.transaction():
            for key, a in annotations:
                start, end = a.start_seconds, a.end_seconds
                self.catalogue.put_text(key, a.kind, a.text, start_seconds=start, end_seconds=end)
        return len(annotations)

    def failures(self) -> list[tuple[str, str, str]]:
        """Return (path, type, message) of every file that was skipped."""
        return self.catalogue.rows("SELECT path, type, message FROM failures ORDER BY path")

    def summary(self) -> LibrarySummary:
        """Return what the library holds."""
        return summarised(self.catalogue, self.space(), self.path)

    def verify(self) -> list[str]:
        """Return what is wrong with the library, in sentences; an empty list where nothing is."""
        self.stores.makes_anew = False
        try:
            return self._upkeep.problems()
        finally:
            self.stores.makes_anew = True

    def repair(self) -> int:
        """Rebuild every vector index from the features; return how many videos have vectors again.

        A video whose features are damaged is taken out, and the next index run decodes it again.

        Raises:
            LibraryBusy: Another process is writing to this library.
            LibraryError: The disk is full; nothing has changed.
        """
        with self.writing():
            return self._upkeep.repair()

    def forget(self, video: str | Path) -> str:
        """Remove a video for good: vectors, features, words. Its files are left alone.

        The vectors of all others are written anew, which takes its time in a large library.

        Args:
            video: A path, or a video's identity.

        Returns:
            The identity of the video that was forgotten.

        Raises:
            QueryError: It is not in the library.
            LibraryBusy: Another process is writing to this library.
        """
        rows = self.catalogue.rows(
            "SELECT DISTINCT v.key, v.video_id FROM videos v LEFT JOIN paths p"
            " ON p.video_key = v.key WHERE v.video_id = ? OR p.path = ?",
            (str(video), str(located(video))),
        )
        if not rows and self.catalogue.is_forgetting():  # maybe this one
            with self.writing():
                self._upkeep.finish_forgetting()
        if not rows:
            raise QueryError(f"{video}: not in this library")
        ((key, video_id),) = rows
        with self.writing():
            self._upkeep.forget(key)
        return str(video_id)

    def space(self) -> Space:
        """Return the space that is searched: that of the model which was used last.

        Raises:
            LibraryError: Nothing was indexed yet.
        """
        spaces = self.catalogue.spaces()
        if not spaces:
            raise LibraryError(
                f"{self.path}: nothing is indexed yet. Run: soravec index VIDEOS --library"
                f" {self.path}"
            )
        return spaces[0]

    def encoder(self) -> Encoder:
        """Return the library's model, loaded once; at first the default one."""
        spaces = self.catalogue.spaces()
        if self._encoder is None or (spaces and self._encoder.space_id != spaces[0].space_id):
            self._encoder = self._encoder_of(spaces[0]) if spaces else load(DEFAULT_MODEL)
        return self._encoder

    def _encoder_of(self, space: Space) -> Encoder:
        encoder = load(space.model_path)
        if encoder.space_id != space.space_id:
            raise ModelError(
                f"{space.model_path}: is now another model (space {encoder.space_id}) than the one"
                f" that this library was made with ({space.space_id}). Bring the old one back, or"
                " index again with the new one: soravec index VIDEOS --model ..."
            )
        return encoder

    def _adopted(self, encoder: Encoder) -> Space:
        """Return the encoder's space; it is the one that is searched once it is filled."""
        bundled = bundled_models().get(encoder.name)
        is_bundled = bundled is not None and bundled.resolve() == encoder.folder.path
        config = encoder.config
        with self.catalogue.transaction():
            self.catalogue.put_space(
                Space(
                    space_id=encoder.space_id,
                    feature_id=encoder.feature_id,
                    model_name=encoder.name,
                    model_path=encoder.name if is_bundled else str(encoder.folder.path),
                    appearance_dim=config.temporal.appearance_dim,
                    dim=config.dim,
                    motion_weight=config.temporal.motion_weight,
                )
            )
        self._encoder = encoder
        return self.catalogue.space(encoder.space_id)

    def _mend_if_free(self, space: Space) -> None:
        """Repair what a killed writer left behind, unless a writer is at it right now.

        What cannot be mended is found by `verify`; the rest answers without it.
        """
        if not self._mends or self._lock.is_held or self._is_true(space):
            return
        try:
            with self._lock.held():
                now = self.catalogue.space(space.space_id)  # somebody may have written since
                if not self._is_true(now):
                    self._upkeep.index(now, self.stores.open(now)).mend()
                    self._mends = self._is_true(now)  # else it cannot, and need not try again
        except LibraryBusy:
            return
        except (LibraryError, ModelError) as error:
            self._mends = False
            logger.warning("the index cannot be mended: %s", error)

    def _is_true(self, space: Space) -> bool:
        version = self.stores.open(space).version()
        is_known = version == self.catalogue.now(space).vectors_version
        return is_known and not self.catalogue.pending(space.space_id)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the only right to write.

        Raises:
            LibraryBusy: Another process does, or a run of this very library is not over.
        """
        if self._lock.is_held:
            raise LibraryBusy(f"{self.path}: it is being written to. Wait until that is done.")
        self._mends = True
        with self._lock.held(wait_seconds=WAIT_SECONDS):
            yield

    def _finish_forgetting(self) -> None:
        """Finish what was begun; where it cannot be, videos are added all the same."""
        try:
            self._upkeep.finish_forgetting()
        except LibraryError as error:
            logger.warning("%s", error)
