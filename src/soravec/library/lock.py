"""The only right to write to a library, held by one process at a time."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soravec.errors import LibraryBusy, LibraryError


class WriterLock:
    """Held in a `with` statement, as often as the holder likes.

    SQLite's lock ends with the process, however it ends, on every platform.

    Args:
        folder: The library.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_held = False

    @property
    def is_held(self) -> bool:
        """Whether this process is the one that writes, by this lock."""
        return self._is_held

    @contextmanager
    def held(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        """Hold the lock.

        Args:
            wait_seconds: How long to wait for another process that holds it.

        Raises:
            LibraryBusy: Another process does.
            LibraryError: The folder cannot be written.
        """
        if self._is_held:
            yield
            return
        if not os.access(self._folder, os.W_OK):
            raise LibraryError(f"{self._folder}: cannot be written: it is read-only")
        path = self._folder / "writer.lock"
        lock = sqlite3.connect(path, isolation_level=None, timeout=wait_seconds)
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise LibraryError(f"{self._folder}: cannot be written ({error})") from error
                raise LibraryBusy(
                    f"{self._folder}: another process is writing to this library. Wait for it."
                ) from error
            self._is_held = True
            yield
        finally:
            self._is_held = False
            lock.close()
