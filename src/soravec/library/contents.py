"""All that a library holds at one instant: for answers that look at everything."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.library.catalogue import Catalogue
from soravec.library.features import info_from_json
from soravec.library.filters import Filter, allowed_videos
from soravec.library.schema import Space
from soravec.library.store import VectorRows, VectorStore
from soravec.types import VideoInfo

_SEGMENTS = """
SELECT s.video_key, s.ordinal, s.start_seconds, s.end_seconds FROM segments s
JOIN embeddings e ON e.video_key = s.video_key AND e.space_id = s.space_id
WHERE s.space_id = ? AND e.indexed = 1
AND EXISTS (SELECT 1 FROM paths p WHERE p.video_key = s.video_key)
ORDER BY s.video_key, s.ordinal
"""
_VIDEOS = """
SELECT v.key, v.video_id, v.info, v.start_seconds FROM videos v
WHERE EXISTS (SELECT 1 FROM paths p WHERE p.video_key = v.key)
"""
_PATHS = "SELECT video_key, path FROM paths ORDER BY video_key, seen DESC, path"


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video of a library."""

    key: int
    """Its number in the catalogue."""
    video_id: str
    """Identity of its content."""
    paths: tuple[str, ...]
    """Where it lies, the path that was seen last first; several where files are the same."""
    info: VideoInfo
    """What its file says."""
    start_seconds: float
    """Where it begins."""
    end_seconds: float
    """Where its last segment ends."""

    @property
    def path(self) -> str:
        """The path that was seen last."""
        return self.paths[0]


@dataclass(frozen=True, slots=True)
class Contents:
    """The segments of a library that may answer, in order of video and time."""

    space: Space
    """The space of their vectors."""
    videos: Mapping[int, StoredVideo]
    """By key; those that have a segment."""
    keys: NDArray[np.int64]
    """(N,) key of the video of each segment, ascending."""
    ordinals: NDArray[np.int32]
    """(N,) its number within the video."""
    bounds: NDArray[np.float64]
    """(N, 2) seconds."""
    vectors: NDArray[np.float32]
    """(N, D), unit length."""

    def __len__(self) -> int:
        return len(self.keys)

    def segments_of(self, key: int) -> slice:
        """Return where the segments of a video stand."""
        first, end = np.searchsorted(self.keys, [key, key + 1])
        return slice(int(first), int(end))

    def segment_id(self, row: int) -> str:
        """Return what names a segment, `VIDEO_ID:ORDINAL`."""
        return f"{self.videos[int(self.keys[row])].video_id}:{self.ordinals[row]}"


def read_contents(
    catalogue: Catalogue, store: VectorStore, space: Space, where: Filter
) -> Contents:
    """Return what may answer; inside a snapshot of the catalogue, from vectors of that instant.

    Raises:
        QueryError: A date of the filter cannot be read.
    """
    rows = store.everything()
    spans = catalogue.rows(_SEGMENTS, (space.space_id,))
    known = np.array([row[:2] for row in spans], np.int64).reshape(-1, 2)
    bounds = np.array([row[2:] for row in spans], np.float64).reshape(-1, 2)
    if not where.is_empty:
        allowed = np.isin(known[:, 0], allowed_videos(catalogue, where))
        known, bounds = known[allowed], bounds[allowed]
    found, at = _matched(known, rows)
    known, bounds = known[found], bounds[found]
    ends = dict(zip(known[:, 0].tolist(), bounds[:, 1].tolist(), strict=True))
    paths = defaultdict(list)
    for key, path in catalogue.rows(_PATHS):
        paths[key].append(path)
    videos = {
        key: StoredVideo(
            key, video_id, tuple(paths[key]), info_from_json(json.loads(info)), start, ends[key]
        )
        for key, video_id, info, start in catalogue.rows(_VIDEOS)
        if key in ends
    }
    return Contents(
        space, videos, known[:, 0], known[:, 1].astype(np.int32), bounds, rows.vectors[at]
    )


def _matched(
    known: NDArray[np.int64], rows: VectorRows
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of the known (key, ordinal) have a vector, and at which row."""
    one = known[:, 0] << 32 | known[:, 1]
    other = rows.video_keys.astype(np.int64) << 32 | rows.ordinals.astype(np.int64)
    _, found, at = np.intersect1d(one, other, return_indices=True)
    return found, at
