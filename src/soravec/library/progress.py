"""How far an index run is: files, hours of video, times real time, what remains."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from soravec.errors import VideoError
from soravec.library.identity import VideoPath, stamp
from soravec.library.indexer import FileResult


class IndexProgress:
    """A bar on stderr, drawn only where somebody watches it."""

    def __init__(self, progress: Progress, paths: Sequence[VideoPath]) -> None:
        self._sizes = {str(path): _size(path) for path in paths}
        self._progress = progress
        self._task = progress.add_task(
            "index", total=sum(self._sizes.values()) or 1, done=0, files=len(paths), note=""
        )
        self._done_files = 0
        self._done_seconds = 0.0
        self._under_way: dict[str, float] = {}
        self._started = time.monotonic()

    def on_progress(self, path: str, seconds: float) -> None:
        """Note how many seconds of a file have been decoded."""
        self._under_way[path] = seconds
        self._show()

    def on_result(self, result: FileResult) -> None:
        """Note that a file is done; say so where it was skipped."""
        self._under_way.pop(result.path, None)
        self._done_seconds += result.video_seconds
        if result.message:
            bad = result.status == "failed"
            self._progress.console.print(
                f"skipped: {result.message}" if bad else f"{result.path}: {result.message}",
                style="yellow",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        if result.status != "removed":
            self._done_files += 1
            self._progress.advance(self._task, self._sizes.get(result.path, 0))
        self._show()

    def _show(self) -> None:
        video_seconds = self._done_seconds + sum(self._under_way.values())
        speed = video_seconds / max(time.monotonic() - self._started, 1e-3)
        note = f"{video_seconds / 3600:.2f} h of video, {speed:.0f}x real time"
        self._progress.update(self._task, done=self._done_files, note=note)


@contextmanager
def index_progress(paths: Sequence[VideoPath], *, visible: bool) -> Iterator[IndexProgress]:
    """Show a bar while the block runs, if `visible` and stderr is a terminal."""
    console = Console(stderr=True)
    progress = Progress(
        BarColumn(bar_width=24),
        TextColumn("{task.fields[done]}/{task.fields[files]} files, {task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not (visible and sys.stderr.isatty()),
        transient=True,
    )
    with progress:
        yield IndexProgress(progress, paths)


def _size(path: VideoPath) -> int:
    """Return the size of what lies on this machine; 0 of a URL."""
    try:
        return 0 if isinstance(path, str) else stamp(path).size_bytes
    except (OSError, VideoError):
        return 0
