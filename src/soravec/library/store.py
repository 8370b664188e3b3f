"""What the library asks of a vector store; `lance` is the one that comes with it."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Vectors and what they belong to."""

    video_keys: NDArray[np.int64]
    """(N,) key of the video in the catalogue."""
    ordinals: NDArray[np.int32]
    """(N,) number of the segment within its video."""
    vectors: NDArray[np.float32]
    """(N, D)."""

    def __len__(self) -> int:
        return len(self.video_keys)


class Allowed(NamedTuple):
    """The videos that may answer."""

    keys: list[int]
    """Ascending."""
    share: float
    """Of all videos, in [0, 1]."""


class VectorStore(Protocol):
    """Segment vectors of one space: an index, never the truth."""

    def replace(self, rows: VectorRows) -> None:
        """Put the rows of some videos in the place of whatever the store holds of them."""

    def remove(self, video_keys: Sequence[int]) -> None:
        """Remove every row of some videos."""

    def search(
        self,
        query: NDArray[np.float32],
        k: int,
        allowed: Allowed | None = None,
        *,
        everywhere: bool = False,
    ) -> VectorRows:
        """Return the `k` rows of the largest inner product with `query` (D,), best first.

        Args:
            query: What is looked for.
            k: How many rows.
            allowed: The videos that may answer; None admits all.
            everywhere: Whether to look into all of an approximate index: for a query that is not
                like what is stored, whose best rows lie scattered.
        """

    def rows_of(self, video_key: int) -> VectorRows:
        """Return the rows of one video in order of their ordinals."""

    def everything(self) -> VectorRows:
        """Return every row, in any order."""

    def counts(self) -> dict[int, int]:
        """Return how many rows every video has."""

    def version(self) -> int:
        """Return a number that changes with every change to the store."""

    def sync(self) -> None:
        """Make what was written durable: once this returns it survives power loss."""

    def reset(self) -> None:
        """Begin anew, empty: whatever is there is damaged."""

    def optimise(self, *, rewrite: bool = False) -> None:
        """Compact, and build or extend the index where it pays.

        Args:
            rewrite: Whether all rows are written anew, so that the new version shares no file with
                older ones, which may still hold what was removed.
        """

    def prune(self) -> None:
        """Leave the latest version alone on the disk, durably, whoever reads an older one."""


def opened(store: VectorStore) -> "Future[VectorStore]":
    """Return a store that is open already, for those who would wait for it."""
    opening: Future[VectorStore] = Future()
    opening.set_result(store)
    return opening
