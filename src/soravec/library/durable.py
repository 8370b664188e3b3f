"""What has been written is on the disk: files and folders, synced."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make what was made, renamed and removed in a folder durable, where the platform can."""
    if os.name == "posix":
        _sync(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably.

    Raises:
        OSError: It cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def remove_folder(folder: Path) -> None:
    """Take a folder away at once, then remove it, so that no reader meets half of it.

    Raises:
        OSError: It cannot be taken away.
    """
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def remove_rest(folder: Path) -> None:
    """Remove what `remove_folder` left of a folder when it was broken off.

    Raises:
        OSError: It cannot be removed.
    """
    old = folder.with_name(f"{folder.name}.old")
    if old.exists():
        shutil.rmtree(old)


def remove_others(parent: Path, names: re.Pattern[str], kept: str) -> None:
    """Remove the folders of such names but one.

    Raises:
        OSError: One cannot be taken away.
    """
    for one in parent.iterdir():
        if one.is_dir() and names.fullmatch(one.name) and one.name != kept:
            remove_folder(one)


def sync_new(root: Path, known: set[str]) -> None:
    """Make every file below a folder durable that is not known to be, and note it.

    Only for files that are never written to again once they have their name.

    Raises:
        OSError: The disk fails.
    """
    for folder, folders, files in os.walk(root):
        new = [name for name in files if f"{folder}/{name}" not in known]
        for name in new:
            with suppress(FileNotFoundError):  # cleaned away since
                _sync(Path(folder) / name)
        inner = {f"{folder}/{name}" for name in folders}
        if new or folder not in known or not inner <= known:
            sync_folder(Path(folder))
        known.update(f"{folder}/{name}" for name in new)
        known.add(folder)


def sync_folders(root: Path) -> None:
    """Make what was removed anywhere below a folder durably so.

    Raises:
        OSError: The disk fails.
    """
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))


def _sync(path: Path) -> None:
    # Windows syncs only what may be written.
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
