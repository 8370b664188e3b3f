"""Which video a file is: identity by content, and finding files."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path
from stat import S_ISREG

WHOLE_BYTES = 4 * 2**20
"""A file smaller than this is hashed whole."""
NUM_BLOCKS = 16
BLOCK_BYTES = 64 * 2**10

_SUFFIXES = """
.3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .hevc .ivf .m1v .m2t .m2ts .m2v .m4v .mjpeg .mjpg
.mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .y4m
"""
VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""What counts as video inside a folder. A file that is named itself is always tried."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file and what tells, without reading it, that it has not changed."""

    path: Path
    """Absolute."""
    size_bytes: int
    """Its size."""
    mtime_ns: int
    """Its modification time."""


def find_videos(roots: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the absolute path of every video below `roots`, each once, in a stable order.

    Hidden files and folders are passed over; links to folders are not followed.
    """
    seen: set[Path] = set()
    for root in roots:
        for path in _below(absolute(root)):
            if path not in seen:
                seen.add(path)
                yield path


def absolute(path: str | Path) -> Path:
    """Return `path` made absolute and normal, its links left as they are."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # resolve() follows links


def stamp(path: Path) -> FileStamp:
    """Return the stamp of a file.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    status = path.stat()
    if not S_ISREG(status.st_mode):  # a pipe or a device would never end
        raise OSError(EINVAL, "not a regular file")
    return FileStamp(path, status.st_size, status.st_mtime_ns)


def video_identity(path: Path) -> str:
    """Return the identity of a file's content: BLAKE2b over its size and 16 spread blocks.

    A file under 4 MiB is hashed whole. Two files that differ only between the blocks get the same
    identity, which for compressed video does not happen by accident.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.blake2b(str(size).encode(), digest_size=16)
        if size < WHOLE_BYTES:
            digest.update(file.read())
        else:
            for block in range(NUM_BLOCKS):
                file.seek(block * (size - BLOCK_BYTES) // (NUM_BLOCKS - 1))
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def _below(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(folder) / name
