"""The vectors of a library's spaces, kept open from one question to the next."""

import logging
import time
from pathlib import Path

from soravec.errors import LibraryBusy, LibraryError
from soravec.library.catalogue import Catalogue
from soravec.library.lance import LanceStore
from soravec.library.lock import WriterLock
from soravec.library.schema import Space

RETRY_SECONDS = 0.3
"""After which an index that could not be opened is tried again, before it is made anew."""

logger = logging.getLogger(__name__)


class Stores:
    """Opens the vectors of spaces.

    Args:
        path: The library.
        catalogue: Says where they lie.
        lock: Held by those who write.

    Attributes:
        makes_anew: Whether what is lost or damaged is made anew, empty; its use mends it.
    """

    def __init__(self, path: Path, catalogue: Catalogue, lock: WriterLock) -> None:
        self.makes_anew = True
        self._path = path
        self._catalogue = catalogue
        self._lock = lock
        self._open: dict[tuple[str, str], LanceStore] = {}

    def close(self) -> None:
        """Let go of all of them."""
        self._open.clear()

    def open(self, space: Space) -> LanceStore:
        """Return the vectors of a space as they are now; what was read of an index is kept.

        Raises:
            LibraryError: They are lost or damaged, and another process is writing, maybe just that.
        """
        store = self._open.get(space.place)
        if store is not None and store.refresh():
            return store
        folder, is_writing = self._path / space.vectors_folder, self._lock.is_held
        try:
            store = LanceStore(folder, space.space_id, space.dim, create=is_writing)
        except LibraryError as error:
            store = self._made_anew(space, error)
        self._open[space.place] = store
        return store

    def _made_anew(self, space: Space, error: LibraryError) -> LanceStore:
        if not self.makes_anew:
            raise error
        was_writing = self._lock.is_held
        try:
            with self._lock.held():
                if not was_writing and self._catalogue.now(space) != space:  # somebody was faster
                    raise error
                logger.warning("%s", error)
                time.sleep(RETRY_SECONDS)  # a disk may have its moments
                folder = self._path / space.vectors_folder
                return LanceStore(folder, space.space_id, space.dim, anew=True)
        except LibraryBusy:
            raise error from None
