"""What a video may be read from: a file, a clip in a tar, bytes, a file object, a URL when allowed.

Each becomes an `Input`, which can be opened as often as reading needs: every opening has a position
of its own, so that a file can be looked at from two places at once.
"""

import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import BinaryIO, Literal, Protocol, runtime_checkable
from weakref import finalize

from soravec.errors import MissingVideo, NotAllowed, UnreadableVideo

AllowUrls = bool | Literal["private"]
"""Whether http and https URLs are opened, and whether also those of private networks."""

VideoSource = str | Path | bytes | BinaryIO
"""A path (also `clips.tar/clip.mp4`), the bytes of a file, a binary file object, or a URL."""


@runtime_checkable
class Input(Protocol):
    """Somewhere that a video lies."""

    @property
    def name(self) -> str:
        """What to call it: the path or URL as given, or `<bytes>`."""

    @property
    def size_bytes(self) -> int:
        """Its size; 0 where unknown."""

    def open(self) -> BinaryIO:
        """Return a new seekable file at its beginning; raises OSError."""

    def for_ffmpeg(self) -> str | BinaryIO:
        """Return what FFmpeg is to open: a name with its protocol, or a new seekable file."""

    def head(self, num_bytes: int) -> bytes:
        """Return its first bytes; raises OSError."""


def find_input(
    source: "VideoSource | Input",
    *,
    allow_urls: AllowUrls = False,
    go_on: Callable[[], bool] = lambda: True,
) -> Input:
    """Return where a video lies.

    Args:
        source: A path, `ARCHIVE.tar/MEMBER`, bytes, a binary file object (read from its beginning;
            one that cannot seek is copied to a temporary file first) or a URL.
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.
        go_on: Asked while a server that knows no ranges is copied whether it is still wanted.

    Raises:
        MissingVideo: No such file or member.
        NotAllowed: A URL that is not allowed, or a compressed tar.
        UnreadableVideo: The archive is damaged.
    """
    if isinstance(source, bytes):
        return _Memory(source)
    if isinstance(source, str | Path):
        if is_url(source):
            return _remote(str(source), allow_urls=allow_urls, go_on=go_on)
        return _local(source)
    if not isinstance(source, Input):
        return _Stream(source)
    return source


def is_url(source: str | Path) -> bool:
    """Whether a text names something by a protocol, such as `https://host/clip.mp4`."""
    return isinstance(source, str) and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", source) is not None


def tar_members(archive: Path) -> tuple[str, ...]:
    """Return the names of the regular files in a tar, in its order.

    Raises:
        UnreadableVideo: It is not a tar, or damaged.
        NotAllowed: It is compressed.
    """
    return tuple(_members(archive))


def archive_of(path: Path) -> Path | None:
    """Return the tar that a path leads into, such as `clips.tar` for `clips.tar/a/clip.mp4`."""
    if path.exists():
        return None
    for parent in path.parents:
        if parent.is_file():
            return parent if tarfile.is_tarfile(parent) else None
        if parent.exists():
            return None
    return None


class _Read:
    """What all but a plain file have in common: FFmpeg reads them through Python."""

    def open(self) -> BinaryIO:
        raise NotImplementedError

    def for_ffmpeg(self) -> str | BinaryIO:
        return self.open()

    def head(self, num_bytes: int) -> bytes:
        with self.open() as file:
            return file.read(num_bytes)


class _LocalFile(_Read):
    def __init__(self, given: str | Path, path: Path) -> None:
        self.name = str(given)
        self.path = path

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        return self.path.open("rb")

    def for_ffmpeg(self) -> str:
        # The prefix keeps FFmpeg from reading a protocol into a file's name.
        return f"file:{self.path}"


class _Member(_Read):
    """A file in an uncompressed tar, read where it lies."""

    def __init__(self, given: str | Path, archive: Path, offset: int, size_bytes: int) -> None:
        self.name = str(given)
        self.size_bytes = size_bytes
        self._archive = archive
        self._offset = offset

    def open(self) -> BinaryIO:
        return io.BufferedReader(
            _Part(self._archive, self._offset, self.size_bytes, Path(self.name).name)
        )


class _Memory(_Read):
    name = "<bytes>"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size_bytes = len(data)

    def open(self) -> BinaryIO:
        return io.BytesIO(self._data)


class _Stream(_Read):
    """A file object of the caller's, who keeps it open and closes it."""

    def __init__(self, file: BinaryIO) -> None:
        name = getattr(file, "name", None)
        self.name = name if isinstance(name, str) else "<file object>"
        self._lock = Lock()
        self._file = file if file.seekable() else self._copied(file)
        self.size_bytes = self._file.seek(0, os.SEEK_END)

    def open(self) -> BinaryIO:
        return io.BufferedReader(_View(self._file, self._lock, self.size_bytes))

    def _copied(self, file: BinaryIO) -> BinaryIO:
        """Return all that a pipe gives: an MP4's index may lie at its end."""
        copy = TemporaryFile()  # noqa: SIM115  # open as long as this object lives
        try:
            shutil.copyfileobj(file, copy)
        except (OSError, ValueError) as error:
            copy.close()
            remedy = "Give the path of a file, or free space for temporary files."
            raise UnreadableVideo(self.name, f"it cannot be copied ({error})", remedy) from error
        finalize(self, copy.close)
        return copy


class Span(io.RawIOBase):
    """A read-only file of known size with a position of its own."""

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, and return it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into a buffer, and return how many bytes; 0 at the end."""
        wanted = min(len(buffer), self._size - self._position)
        data = self._at(self._position, wanted) if wanted > 0 else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _at(self, position: int, num_bytes: int) -> bytes:
        """Return at most `num_bytes`, at least one, from a position."""
        raise NotImplementedError


class _Part(Span):
    """Some bytes of a file on disk."""

    def __init__(self, path: Path, offset: int, size_bytes: int, name: str) -> None:
        super().__init__(size_bytes)
        self.name = name
        self._offset = offset
        self._file = path.open("rb", buffering=0)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _at(self, position: int, num_bytes: int) -> bytes:
        self._file.seek(self._offset + position)
        return self._file.read(num_bytes) or b""


class _View(Span):
    """A file object of somebody else's, left open when this is closed."""

    def __init__(self, file: BinaryIO, lock: Lock, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self._file = file
        self._lock = lock

    def _at(self, position: int, num_bytes: int) -> bytes:
        with self._lock:
            self._file.seek(position)
            return self._file.read(num_bytes) or b""


def _local(given: str | Path) -> Input:
    try:
        path = Path(given).absolute()
        if path.is_file():
            return _LocalFile(given, path)
        exists = path.exists()
        archive = archive_of(path)
    except (ValueError, OSError) as error:  # a NUL byte, a name that is too long
        raise MissingVideo(given, f"not a usable file name ({error})", _CHECK_THE_PATH) from error
    if archive is not None:
        return _member(given, archive, path.relative_to(archive).as_posix())
    if exists:
        remedy = "Give the path of one video file."
        raise MissingVideo(given, "it is a folder or a device, not a regular file", remedy)
    raise MissingVideo(given, "no such file", _CHECK_THE_PATH)


_CHECK_THE_PATH = "Check the path."


def _member(given: str | Path, archive: Path, name: str) -> Input:
    member = _members(archive).get(name)
    if member is None:
        remedy = f"List them: tar tf {archive}"
        raise MissingVideo(given, f"no such file in {archive.name}", remedy)
    return _Member(given, archive, *member)


def _members(archive: Path) -> Mapping[str, tuple[int, int]]:
    """Return (offset, size) of the regular files in a tar, by name."""
    try:
        status = archive.stat()
        return _scanned(archive, status.st_size, status.st_mtime_ns)
    except tarfile.ReadError as error:
        with suppress(tarfile.TarError, OSError, EOFError), tarfile.open(archive):
            remedy = f"Unpack the compression first: a clip is read where it lies in {archive.stem}"
            raise NotAllowed(archive, "it is a compressed tar", f"{remedy}.") from error
        raise _damaged(archive, error) from error
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _damaged(archive, error) from error


@lru_cache(maxsize=4)
def _scanned(archive: Path, size_bytes: int, _mtime_ns: int) -> Mapping[str, tuple[int, int]]:
    found = {}
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            if member.isreg() and not member.issparse():
                # The last of equal names counts, as it does in unpacking.
                name = _within(member.name)
                found[name] = (member.offset_data, member.size)
                if member.offset_data + member.size > size_bytes:
                    break  # truncated inside: what is there is read
    return found


def _within(name: str) -> str:
    """Return the name of a member as a path that stays below the archive, whatever it says."""
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def _damaged(archive: Path, error: BaseException) -> UnreadableVideo:
    return UnreadableVideo(archive, f"not a readable tar ({error})", "Copy or download it again.")


def _remote(url: str, *, allow_urls: AllowUrls, go_on: Callable[[], bool]) -> Input:
    from soravec.video.remote import RemoteFile, shown_url

    if allow_urls and url.lower().startswith(("http://", "https://")):
        return RemoteFile(url, allow_private=allow_urls == "private", go_on=go_on)
    name = shown_url(url)
    if allow_urls:
        raise NotAllowed(name, "only http and https URLs are opened", "Download it first.")
    remedy = "Download it first, or allow it: allow_urls=True, --allow-urls."
    raise NotAllowed(name, "URLs are opened only when that is asked for", remedy)
