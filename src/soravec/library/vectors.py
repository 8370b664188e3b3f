"""The vector index of one space, kept true to the catalogue.

The catalogue is written first, the index in batches after it. What the index lacks or holds too
much, after a kill or a power loss, is mended from the feature files.
"""

import logging
import time
from collections.abc import Container, Iterable, Sequence
from concurrent.futures import Future

import numpy as np

from soravec.errors import LibraryError
from soravec.library.catalogue import Catalogue
from soravec.library.features import FeatureFiles
from soravec.library.schema import SegmentRow
from soravec.library.store import VectorRows, VectorStore
from soravec.runtime.encoder import Encoder
from soravec.types import Embedding

FLUSH_ROWS = 4096
FLUSH_SECONDS = 15.0
"""One insert is one version of the table, so inserts are batched."""

logger = logging.getLogger(__name__)


class VectorIndex:
    """The vectors of one space.

    Args:
        catalogue: The truth.
        files: What vectors are rebuilt from.
        opening: Gives the index, when it is open.
        encoder: The model of the space; used only to rebuild.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        files: FeatureFiles,
        opening: "Future[VectorStore]",
        encoder: Encoder,
    ) -> None:
        self._catalogue = catalogue
        self._files = files
        self._opening = opening
        self._encoder = encoder
        self._space_id = encoder.space_id
        self._pending: dict[int, VectorRows] = {}
        self._flushed = time.monotonic()
        self._changed = False
        self._is_checked = self._is_mending = False

    @property
    def _store(self) -> VectorStore:
        return self._opening.result()

    def put(self, key: int, embedding: Embedding) -> None:
        """Record the segments of a video; inside a transaction of the catalogue."""
        segments = _segments(key, embedding)
        self._catalogue.put_embedding(self._space_id, embedding.recipe, segments)
        self._pending[key] = _rows(key, embedding)

    def num_segments(self, key: int) -> int:
        """Return how many segments a video has."""
        return self._catalogue.num_segments(key, self._space_id)

    def flush_when_due(self) -> None:
        """Flush when enough has gathered."""
        self.check_when_open()
        rows = sum(len(rows) for rows in self._pending.values())
        if rows >= FLUSH_ROWS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Bring everything that was put into the index, and what was missing from before."""
        self._check()
        if self._pending:
            self._store.replace(_joined(list(self._pending.values())))
            self._mark(self._pending)
            self._pending = {}
            self._changed = True
        self._flushed = time.monotonic()

    def remove_stale(self) -> None:
        """Take out the videos of which no file is left; the catalogue keeps their segments.

        They answer nothing, and would crowd out others.
        """
        self._check()
        stale = self._catalogue.stale(self._space_id)
        if not stale:
            return
        self._store.remove(stale)
        self._store.sync()
        with self._catalogue.transaction():
            self._catalogue.mark_pending(self._space_id, stale)
            self._catalogue.mark_indexed(self._space_id, [], self._store.version())
        self._changed = True

    def rebuild(self, keys: Sequence[int]) -> list[int]:
        """Compute the vectors of some videos from their features and put them in the index.

        Returns:
            The keys of those whose features are missing or damaged.
        """
        lost = []
        for key in keys:
            try:
                embedding = self._embedding(key)
            except LibraryError as error:
                logger.warning("no vectors: %s", error)
                lost.append(key)
                continue
            with self._catalogue.transaction():
                self.put(key, embedding)
            self.flush_when_due()
        self.flush()
        return lost

    def _embedding(self, key: int) -> Embedding:
        video_id = self._catalogue.video_id(key)
        return self._encoder.embed_features(self._files.read(video_id, self._encoder.feature_id))

    def is_true(self) -> bool:
        """Return whether the index is at the version that the catalogue knows, and whole."""
        sql = "SELECT vectors_version FROM spaces WHERE space_id = ?"
        rows = self._catalogue.rows(sql, (self._space_id,))
        missing = set(self._catalogue.pending(self._space_id)) - self._pending.keys()
        return [(self._store.version(),)] == rows and not missing

    def check_when_open(self) -> None:
        """Mend what an earlier run left behind, if the index is open and that is not done yet.

        Raises:
            LibraryError: The index cannot be opened, or not be mended.
        """
        if self._opening.done():
            self._check()

    @property
    def is_checked(self) -> bool:
        """Whether it is known to hold what earlier runs acknowledged."""
        return self._is_checked

    def _check(self) -> None:
        if self._is_checked or self._is_mending:
            return
        if not self.is_true() or self._catalogue.stale(self._space_id):
            self.mend()
        self._is_checked = True

    def mend(self) -> int:
        """Bring the index back to what the catalogue says; return how many videos it changed.

        What it has not come to when it is interrupted, the catalogue knows to be missing; so it
        does videos whose features are damaged.
        """
        try:
            counts = self._store.counts()
        except LibraryError as error:
            logger.warning("%s", error)
            self._store.reset()
            counts = {}
        expected = self._expected()
        extra = [key for key in counts if key not in expected]
        wrong = {key for key, count in expected.items() if counts.get(key) != count}
        wrong.update(self._catalogue.pending(self._space_id))
        wrong -= self._pending.keys()  # on their way
        with self._catalogue.transaction():
            self._catalogue.mark_pending(self._space_id, wrong.union(extra))
        self._is_mending = True
        try:
            if extra:
                self._store.remove(extra)
            if wrong:
                logger.info("mending the index: %d videos", len(wrong))
                self.rebuild(sorted(wrong))
        finally:
            self._is_mending = False
        self._mark([])
        self._is_checked = True
        return len(extra) + len(wrong)

    def build(self, *, without: Container[int]) -> list[int]:
        """Fill an empty index with the vectors of every video that has a file; return their keys.

        The catalogue knows nothing of it, and goes on with the index that it has.

        Args:
            without: The keys of videos that are left out.

        Raises:
            LibraryError: The features of a video are missing or damaged.
        """
        keys: list[int] = []
        batch: list[VectorRows] = []
        for key, count in sorted(self._expected().items()):
            if key in without:
                continue
            embedding = self._embedding(key)
            if len(embedding.segments) != count:  # the catalogue is wrong
                with self._catalogue.transaction():
                    self._catalogue.put_embedding(
                        self._space_id, embedding.recipe, _segments(key, embedding)
                    )
            keys.append(key)
            batch.append(_rows(key, embedding))
            if sum(map(len, batch)) >= FLUSH_ROWS:
                self._store.replace(_joined(batch))
                batch = []
        if batch:
            self._store.replace(_joined(batch))
        self._store.optimise()
        self._store.sync()
        return keys

    def optimise(self) -> None:
        """Compact the store, and index it where that pays, if it was changed."""
        if self._changed:
            self._store.optimise()
            self._mark([])
            self._changed = False

    def _mark(self, keys: Iterable[int]) -> None:
        self._store.sync()  # before the catalogue says that it is there
        with self._catalogue.transaction():
            self._catalogue.mark_indexed(self._space_id, keys, self._store.version())

    def _expected(self) -> dict[int, int]:
        """Return how many rows every video that has a file must have."""
        sql = (
            "SELECT video_key, count(*) FROM segments WHERE space_id = ?"
            " AND video_key IN (SELECT video_key FROM paths) GROUP BY video_key"
        )
        return dict(self._catalogue.rows(sql, (self._space_id,)))


def _segments(key: int, embedding: Embedding) -> list[SegmentRow]:
    return [
        SegmentRow(key, ordinal, s.start_seconds, s.end_seconds, s.approximate)
        for ordinal, s in enumerate(embedding.segments)
    ]


def _joined(parts: Sequence[VectorRows]) -> VectorRows:
    return VectorRows(
        np.concatenate([p.video_keys for p in parts]),
        np.concatenate([p.ordinals for p in parts]),
        np.concatenate([p.vectors for p in parts]),
    )


def _rows(key: int, embedding: Embedding) -> VectorRows:
    count = len(embedding.segments)
    return VectorRows(
        np.full(count, key, np.int64),
        np.arange(count, dtype=np.int32),
        np.stack([segment.vector for segment in embedding.segments]),
    )
