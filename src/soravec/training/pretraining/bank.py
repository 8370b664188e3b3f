"""The views that are learned from, and what the teacher says of them, made ahead in processes."""

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from soravec.training.pretraining.paintings import paint_pictures
from soravec.training.pretraining.patches import (
    Image,
    Pyramid,
    load_photos,
    resize_views,
    sample_patches,
    split_photos,
    whole_views,
)
from soravec.training.pretraining.teachers import TEACHER_SIZE, MobileNet, Teacher

TARGETS_FILE = "targets.npz"
FIT_VIEWS = 2048
"""Views that the targets' components are fitted to."""
PART = 256
"""Views that are made and answered at a time."""
HELD_OUT, PLAIN, WHOLE = -1, -2, -3
"""In place of the number of a round: views to measure on, views that are not mixed, and pictures
nearly whole, of the photographs held out, as video shows them."""


@dataclass(frozen=True, slots=True)
class BankConfig:
    """Which views are made, and how long they are used."""

    chunk: int = 6144
    """Views per round."""
    paintings: int = 64
    """Paintings per round, drawn anew, that are cut up as the photographs are."""
    size: int = TEACHER_SIZE
    """Pixels down and across of the student's views."""
    cells: int = 6
    """Cells down and across of the targets."""
    components: int = 256
    """Principal components that are kept of the teacher's last feature map."""
    rounds_with_inner: int = 8
    """Rounds, the first ones, whose views come with the teacher's inner maps."""
    rounds_kept: int = 6
    """Rounds for which views stay in the bank."""
    num_held_out: int = 768
    """Views of photographs held out, to measure on."""
    seed: int = 0
    """Of the views."""


@dataclass(frozen=True, slots=True)
class Targets:
    """From a teacher's feature map to what is learned: standardised, principal components."""

    mean: NDArray[np.float32]
    """(E,)."""
    matrix: NDArray[np.float32]
    """(E, P) on features less their mean."""

    def __call__(self, maps: NDArray[np.float32], cells: int) -> NDArray[np.float16]:
        """Return targets (N, P, cells, cells) of feature maps (N, E, h, w)."""
        flat = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1])
        found = np.asarray((flat - self.mean) @ self.matrix, np.float32)
        found = found.reshape(len(maps), *maps.shape[2:], -1)
        return pool_cells(found, cells).transpose(0, 3, 1, 2).astype(np.float16)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Views and what is to be said of them."""

    views: Image
    """(N, S, S, 3) RGB."""
    maps: NDArray[np.float16]
    """(N, P, cells, cells)."""
    logits: NDArray[np.float16]
    """(N, K)."""
    inner: tuple[NDArray[np.float16], ...]
    """The teacher's inner maps (N, C, h, w), less their mean, of a mean variance of 1; or none."""

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            arrays = {f"inner{i}": maps for i, maps in enumerate(self.inner)}
            np.savez(file, views=self.views, maps=self.maps, logits=self.logits, **arrays)  # type: ignore[arg-type]  # of its stubs
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Chunk":
        """Return what `save` wrote."""
        with np.load(path) as stored:
            inner = tuple(stored[f"inner{i}"] for i in range(len(stored) - 3))
            return cls(stored["views"], stored["maps"], stored["logits"], inner)


def fit_targets(maps: NDArray[np.float32], components: int) -> Targets:
    """Return the principal components of the standardised features of all cells.

    They are scaled to a mean variance of 1: what varies more counts more.

    Args:
        maps: (N, E, h, w).
        components: How many.
    """
    flat = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1])
    mean, std = flat.mean(axis=0), flat.std(axis=0).clip(min=0.05)
    variance, vectors = np.linalg.eigh(np.cov((flat - mean) / std, rowvar=False))
    kept = vectors[:, ::-1][:, :components] / np.sqrt(variance[::-1][:components].mean())
    return Targets(mean, (kept / std[:, None]).astype(np.float32))


def fit_scale(maps: NDArray[np.float32]) -> Targets:
    """Return features of maps (N, C, h, w) as they are, but of mean 0 and a mean variance of 1."""
    flat = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1])
    scale = np.sqrt(flat.var(axis=0).mean())
    return Targets(flat.mean(axis=0), (np.eye(maps.shape[1]) / scale).astype(np.float32))


def pool_cells(maps: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """Return maps (N, h, w, C) as (N, cells, cells, C): means over the cells' overlapping windows.

    Cell i of 4 over a map of 7 covers rows floor(7 i / 4) to ceil(7 (i + 1) / 4).
    """
    height, width = maps.shape[1:3]
    if (height, width) == (cells, cells):
        return maps
    across = np.einsum("jw,nhwc->nhjc", _windows(width, cells), maps, optimize=True)
    pooled = np.einsum("ih,nhjc->nijc", _windows(height, cells), across, optimize=True)
    return np.asarray(pooled, np.float32)


def _windows(length: int, cells: int) -> NDArray[np.float32]:
    """Return the weights (cells, length) of the mean over each cell's window."""
    weights = np.zeros((cells, length), np.float32)
    for cell in range(cells):
        weights[cell, cell * length // cells : -(-(cell + 1) * length // cells)] = 1
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


class Maker:
    """Makes chunks: views of photographs with the answers of the teacher."""

    def __init__(
        self,
        photos: tuple[Sequence[Pyramid], Sequence[Pyramid]],
        teacher: Teacher,
        config: BankConfig,
    ) -> None:
        self.photos = photos
        self.teacher = teacher
        self.config = config
        self.targets: tuple[Targets, ...] = ()

    def fit(self, path: Path) -> None:
        """Fit the targets to unmixed views, or take those that lie at `path`."""
        if not path.is_file():
            rng = np.random.default_rng([self.config.seed, 0])
            views = sample_patches(self.photos[0], FIT_VIEWS, self.teacher.size, rng, mix=False)
            answers = self.teacher(views)
            fitted = [fit_targets(answers.maps, self.config.components)]
            fitted += [fit_scale(maps) for maps in answers.inner]
            arrays = {f"mean{i}": one.mean for i, one in enumerate(fitted)}
            arrays |= {f"matrix{i}": one.matrix for i, one in enumerate(fitted)}
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # of its stubs
            partial.replace(path)
        with np.load(path) as stored:
            self.targets = tuple(
                Targets(stored[f"mean{i}"], stored[f"matrix{i}"]) for i in range(len(stored) // 2)
            )

    def chunk(self, number: int) -> Chunk:
        """Return the views of a round, the same ones for the same seed.

        `HELD_OUT` are views of photographs held out, `PLAIN` of the others; both are not mixed.
        `WHOLE` are the photographs held out, nearly whole.
        """
        config = self.config
        rng = np.random.default_rng([config.seed, (number + 2) % 2**32])
        photos = self.photos[1] if number in (HELD_OUT, WHOLE) else self.photos[0]
        paintings = paint_pictures(config.paintings, rng) if number >= 0 else []
        total = config.num_held_out if number in (HELD_OUT, WHOLE) else config.chunk
        parts = []
        for start in range(0, total, PART):
            count = min(PART, total - start)
            if number == WHOLE:
                views = whole_views(photos, count, self.teacher.size, rng)
            else:
                views = sample_patches(
                    photos, count, self.teacher.size, rng, paintings=paintings, mix=number >= 0
                )
            with_inner = number == HELD_OUT or 0 <= number < config.rounds_with_inner
            parts.append(self._answered(views, with_inner=with_inner))
        views, maps, logits, *inner = (np.concatenate(all_) for all_ in zip(*parts, strict=True))
        return Chunk(views, maps, logits, tuple(inner))

    def _answered(self, views: Image, *, with_inner: bool) -> list[NDArray[Any]]:
        """Return views, targets, logits and, if asked for, the scaled inner maps."""
        config, answers = self.config, self.teacher(views)
        last, *scales = self.targets
        maps, logits = last(answers.maps, config.cells), answers.logits.astype(np.float16)
        found: list[NDArray[Any]] = [resize_views(views, config.size), maps, logits]
        if with_inner:
            pairs = zip(scales, answers.inner, strict=True)
            found += [scale(one, one.shape[-1]) for scale, one in pairs]
        return found


class Bank:
    """Chunks on disk, made ahead by other processes, each kept for some rounds.

    Args:
        photos: Folder of photographs.
        teachers: Folder of the teacher's network.
        folder: Where chunks lie; those of earlier rounds are removed.
        config: Which views.
        num_makers: Processes that make them, one core each.
    """

    def __init__(
        self, photos: Path, teachers: Path, folder: Path, config: BankConfig, num_makers: int
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = config
        self._num_makers = num_makers
        self._pool = ProcessPoolExecutor(
            num_makers,
            mp_context=get_context("spawn"),
            initializer=_start,
            initargs=(photos, teachers, folder, config),
        )
        self._made: dict[int, Future[None]] = {}
        self._recent: list[Chunk] = []

    def __enter__(self) -> "Bank":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def held_out(self) -> Chunk:
        """Return the views to measure on."""
        return self._wait(HELD_OUT)

    def plain(self) -> Chunk:
        """Return views of the photographs to train on that are not mixed."""
        return self._wait(PLAIN)

    def whole(self) -> Chunk:
        """Return the photographs held out, nearly whole."""
        return self._wait(WHOLE)

    def rounds(self, first: int, last: int) -> Iterator[list[Chunk]]:
        """Yield, for each round from `first` up to, not including, `last`, the recent chunks."""
        self._recent = []
        if first >= last:
            return
        oldest = max(0, first - self.config.rounds_kept + 1)
        for number in range(oldest, last):
            for ahead in range(number, min(number + self._num_makers + 1, last)):
                self._ask(ahead)
            self._recent = [*self._recent, self._wait(number)][-self.config.rounds_kept :]
            if number >= self.config.rounds_kept:
                self._path(number - self.config.rounds_kept).unlink(missing_ok=True)
            if number >= first:
                yield self._recent

    def _path(self, number: int) -> Path:
        names = {HELD_OUT: "held-out", PLAIN: "plain", WHOLE: "whole"}
        return self.folder / f"{names.get(number, f'{number:05d}')}.npz"

    def _ask(self, number: int) -> None:
        if number not in self._made and not self._path(number).is_file():
            self._made[number] = self._pool.submit(_make, number, self._path(number))

    def _wait(self, number: int) -> Chunk:
        self._ask(number)
        future = self._made.pop(number, None)
        if future is not None:
            future.result()
        return Chunk.load(self._path(number))


_makers: list[Maker] = []
"""In a process that makes chunks, what makes them."""


def _start(photos: Path, teachers: Path, folder: Path, config: BankConfig) -> None:
    """Prepare a process that makes chunks."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    os.nice(5)
    cv2.setNumThreads(1)
    maker = Maker(split_photos(load_photos(photos)), MobileNet(teachers, 1), config)
    maker.fit(folder / TARGETS_FILE)
    _makers.append(maker)


def _leave_with_parent() -> None:
    """End this process when the one that trains is gone, killed even."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(number: int, path: Path) -> None:
    _makers[0].chunk(number).save(path)
