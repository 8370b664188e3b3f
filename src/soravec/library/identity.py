"""Which video a file is: identity by content, and finding files."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from soravec.errors import VideoError
from soravec.video import AllowUrls, archive_of, find_input, frame_files, is_url, tar_members

WHOLE_BYTES = 4 * 2**20
"""A file smaller than this is hashed whole."""
NUM_BLOCKS = 16
BLOCK_BYTES = 64 * 2**10

_SUFFIXES = """
.3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .hevc .ivf .m1v .m2t .m2ts .m2v .m4v .mjpeg .mjpg
.mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .y4m
"""
VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""What counts as video inside a folder or a tar. A file that is named itself is always tried."""

VideoPath = Path | str
"""A file, `clips.tar/clip.mp4` or a folder of frames as an absolute path; a URL as a text."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file and what tells, without reading it, that it has not changed."""

    path: VideoPath
    """Where it is."""
    size_bytes: int
    """Its size; of a folder of frames that of all."""
    mtime_ns: int
    """Its modification time; of a clip in a tar that of the tar; of a URL a hash of its version."""


def find_videos(roots: Iterable[str | Path], *, frame_folders: bool = False) -> Iterator[VideoPath]:
    """Yield every video below `roots`, each once, in a stable order.

    Hidden files and folders are passed over; links to folders are not followed. A tar counts as a
    folder of its members. A URL stands for itself.

    Args:
        roots: Files, folders and URLs.
        frame_folders: Whether a folder of pictures is a video.
    """
    seen: set[VideoPath] = set()
    for root in roots:
        for path in _below(located(root), frame_folders=frame_folders):
            if path not in seen:
                seen.add(path)
                yield path


def located(path: str | Path) -> VideoPath:
    """Return a path made absolute, or a URL as it is."""
    return str(path) if is_url(path) else absolute(path)


def absolute(path: str | Path) -> Path:
    """Return `path` made absolute and normal, its links left as they are."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # resolve() follows links


def stamp(
    path: VideoPath,
    *,
    allow_urls: AllowUrls = False,
    go_on: Callable[[], bool] = lambda: True,
) -> FileStamp:
    """Return the stamp of a video.

    Raises:
        OSError: It cannot be read, or is not a regular file.
        VideoError: It is a URL or lies in a tar, and cannot be read.
    """
    if isinstance(path, str):
        remote = find_input(path, allow_urls=allow_urls, go_on=go_on)
        version = hashlib.blake2b(getattr(remote, "version", "").encode(), digest_size=7)
        return FileStamp(remote.name, remote.size_bytes, int.from_bytes(version.digest()))
    archive = archive_of(path)
    if archive is not None:
        return FileStamp(path, find_input(path).size_bytes, archive.stat().st_mtime_ns)
    status = path.stat()
    if S_ISDIR(status.st_mode):
        stats = [file.stat() for file in frame_files(path)]
        newest = max((s.st_mtime_ns for s in stats), default=0)
        return FileStamp(path, sum(s.st_size for s in stats), newest)
    if not S_ISREG(status.st_mode):  # a pipe or a device would never end
        raise OSError(EINVAL, "not a regular file")
    return FileStamp(path, status.st_size, status.st_mtime_ns)


def video_identity(
    path: VideoPath,
    *,
    allow_urls: AllowUrls = False,
    go_on: Callable[[], bool] = lambda: True,
) -> str:
    """Return the identity of a file's content: BLAKE2b over its size and 16 spread blocks.

    A file under 4 MiB is hashed whole. Two files that differ only between the blocks get the same
    identity, which for compressed video does not happen by accident. A folder of frames has the
    identity of its pictures' identities, in order.

    Raises:
        OSError: It cannot be read.
        VideoError: It is a URL or lies in a tar, and cannot be read.
    """
    if isinstance(path, Path) and path.is_dir():
        whole = hashlib.blake2b(b"frames", digest_size=16)
        for frame in frame_files(path):
            whole.update(video_identity(frame).encode())
        return whole.hexdigest()
    where = find_input(path, allow_urls=allow_urls, go_on=go_on)
    with where.open() as file:
        return _digest(file, where.size_bytes)


def _digest(file: BinaryIO, size_bytes: int) -> str:
    digest = hashlib.blake2b(str(size_bytes).encode(), digest_size=16)
    if size_bytes < WHOLE_BYTES:
        digest.update(file.read())
    else:
        for block in range(NUM_BLOCKS):
            file.seek(block * (size_bytes - BLOCK_BYTES) // (NUM_BLOCKS - 1))
            digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def _below(root: VideoPath, *, frame_folders: bool) -> Iterator[VideoPath]:
    if isinstance(root, str):
        yield root
    elif root.is_dir():
        yield from _in_folder(root, frame_folders=frame_folders)
    elif root.suffix.lower() == ".tar" and root.is_file():
        yield from _in_tar(root)
    else:
        yield root


def _in_folder(root: Path, *, frame_folders: bool) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if frame_folders and frame_files(Path(folder)):
            yield Path(folder)
        for name in sorted(files):
            path = Path(folder) / name
            if name.startswith("."):
                continue
            if path.suffix.lower() in VIDEO_SUFFIXES:
                yield path
            elif path.suffix.lower() == ".tar":
                yield from _in_tar(path)


def _in_tar(archive: Path) -> Iterator[Path]:
    """Yield the videos of a tar; a damaged tar itself, so that its reason is told."""
    try:
        members = tar_members(archive)
    except VideoError:
        yield archive
        return
    for name in members:
        if Path(name).suffix.lower() in VIDEO_SUFFIXES and not Path(name).name.startswith("."):
            yield archive / name
