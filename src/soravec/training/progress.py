"""How far a training is, drawn on stderr where somebody watches."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from soravec.training.loop import Progress as Step


class TrainingProgress:
    """Bars for reading videos and for learning, with throughput and where the time goes."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress = progress
        self._epochs = epochs
        self._videos = progress.add_task("read", total=None, visible=False, note="")
        self._learning = progress.add_task("learn", total=None, visible=False, note="")

    def on_videos(self, done: int, total: int) -> None:
        """Note how many videos have been read."""
        self._progress.update(
            self._videos,
            completed=done,
            total=total,
            visible=True,
            note=f"{done} of {total} videos",
        )

    def on_step(self, step: Step) -> None:
        """Note how far learning is."""
        best = f", best {step.best_loss:.4f}" if isfinite(step.best_loss) else ""
        note = (
            f"epoch {step.epoch + 1} of {self._epochs}, loss {step.loss:.4f}{best},"
            f" {step.per_second:.0f} segments/s, {step.waiting:.0%} waiting for data"
        )
        self._progress.update(
            self._learning,
            completed=step.epoch * step.num_batches + step.batch,
            total=self._epochs * step.num_batches,
            visible=True,
            note=note,
        )


@contextmanager
def training_progress(epochs: int) -> Iterator[TrainingProgress]:
    """Show bars while the block runs; nothing is drawn where stderr is no terminal."""
    columns = (
        TextColumn("{task.description:<5}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        yield TrainingProgress(progress, epochs)
