"""What a library holds: what belongs together, a map, what is like nothing else, what looks bad.

All from what is stored; nothing is decoded. Clusters and the map are made of a sample where there
is much, and the rest is put beside it (`clusters`).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from soravec.errors import LibraryError
from soravec.library.contents import Contents
from soravec.library.filters import Filter
from soravec.library.library import Library
from soravec.library.maps import LibraryMap, write_map
from soravec.tasks.clusters import MAP_ROWS, Clusters, find_clusters, lay_out, sample_rows
from soravec.tasks.diversity import choose_diverse
from soravec.tasks.duplicates import Duplicates, find_duplicates
from soravec.tasks.naming import name_clusters
from soravec.tasks.neighbours import find_neighbours
from soravec.tasks.quality import Problem, find_problems
from soravec.tasks.recommend import VideoMoment

Float = NDArray[np.float32]

NUM_MOMENTS = 6
"""That stand for a cluster, of as many videos."""
MOMENT_POOL = 100
"""The most central segments of a cluster, of which they are chosen."""
MOMENT_EAGERNESS = 3.0
NUM_NEIGHBOURS = 5
"""Of other videos: what is far from all of them is odd."""
NUM_OUTLIERS = 12
FAR = 3.0
"""Standard deviations beyond the median, by the median absolute deviation, from which on."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Segments that belong together."""

    name: str
    num_segments: int
    num_videos: int
    seconds: float
    moments: tuple[VideoMoment, ...]
    """That stand for it: central, unlike one another, each of another video."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A segment that is like nothing in other videos."""

    moment: VideoMoment
    score: float
    """One less its mean likeness to its five nearest of other videos, in [0, 2]."""
    usual: float
    """The median of that over the library."""


@dataclass(frozen=True, slots=True)
class Points:
    """A part of the map, to be drawn."""

    places: Float
    """(P, 2) within [-1, 1], right and up."""
    labels: NDArray[np.int64]
    """(P,) number of the cluster."""
    moments: tuple[VideoMoment, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What a library holds."""

    num_videos: int
    num_segments: int
    seconds: float
    silhouette: float
    """How far apart the clusters are, in [-1, 1]; 0 where there is one."""
    clusters: tuple[Cluster, ...]
    """The largest first."""
    outliers: tuple[Outlier, ...]
    """The oddest first, one of a video at most."""
    problems: tuple[Problem, ...]
    num_looked_at: int
    """Videos whose pictures were looked at for problems."""
    num_skipped: int
    """Files that could not be read when the library was indexed."""
    duplicates: Duplicates | None
    """What is there twice; None unless it was asked for."""
    points: Points
    notes: tuple[str, ...] = field(default=())
    """What could not be done."""


def describe(
    library: Library,
    *,
    where: Filter | None = None,
    num_clusters: int | None = None,
    duplicates: bool = False,
    seed: int = 0,
) -> Description:
    """Return what a library holds, and keep its map (`library.maps.read_map`).

    The map is kept where all of the library was described, and nobody else is writing to it.

    Args:
        library: The library.
        where: Which of its videos; None means all.
        num_clusters: How many clusters; None: as many as there seem to be.
        duplicates: Whether to look for copies too, which takes the most time.
        seed: Of every random choice.

    Raises:
        LibraryError: Nothing in it can be described.
    """
    contents = library.contents(where)
    clusters = find_clusters(contents.vectors, num_clusters=num_clusters, seed=seed)
    names = name_clusters(library, contents, clusters.labels)
    oddness = find_oddness(contents, seed=seed)
    places = lay_out(contents.vectors, seed=seed)
    problems, num_looked_at, notes = find_problems(library, contents, seed=seed)
    if where is None or where.is_empty:
        notes += _kept(library, contents, names, clusters, places, oddness)
    drawn = sample_rows(len(contents), MAP_ROWS, seed)
    seconds = np.diff(contents.bounds, axis=1)[:, 0]
    return Description(
        num_videos=len(contents.videos),
        num_segments=len(contents),
        seconds=float(seconds.sum()),
        silhouette=clusters.silhouette,
        clusters=tuple(
            _cluster(contents, clusters, number, name) for number, name in enumerate(names)
        ),
        outliers=_outliers(contents, oddness),
        problems=tuple(problems),
        num_looked_at=num_looked_at,
        num_skipped=len(library.failures()),
        duplicates=find_duplicates(library, where=where) if duplicates else None,
        points=Points(
            places[drawn],
            clusters.labels[drawn],
            tuple(_moment(contents, row) for row in drawn.tolist()),
        ),
        notes=tuple(notes),
    )


def find_oddness(contents: Contents, *, seed: int = 0) -> Float:
    """Return one less the mean likeness (N,) of segments to their nearest of other videos.

    The distance to the k nearest, as in Ramaswamy, Rastogi and Shim, "Efficient algorithms for
    mining outliers from large data sets", SIGMOD 2000, but the mean of all k; 0 where there is no
    other video.
    """
    near = find_neighbours(contents.vectors, contents.keys, NUM_NEIGHBOURS, seed=seed).likeness
    number = np.isfinite(near).sum(axis=1)
    alike = np.where(np.isfinite(near), near, 0).sum(axis=1) / np.maximum(number, 1)
    return np.where(number > 0, 1 - alike, 0).astype(np.float32)


def _outliers(contents: Contents, oddness: Float) -> tuple[Outlier, ...]:
    usual = float(np.median(oddness))
    spread = 1.4826 * float(np.median(np.abs(oddness - usual)))
    found: dict[int, Outlier] = {}
    for row in np.argsort(-oddness, kind="stable").tolist():
        if len(found) == NUM_OUTLIERS or oddness[row] <= usual + FAR * max(spread, 1e-3):
            break
        outlier = Outlier(_moment(contents, row), float(oddness[row]), usual)
        found.setdefault(int(contents.keys[row]), outlier)
    return tuple(found.values())


def _cluster(contents: Contents, clusters: Clusters, number: int, name: str) -> Cluster:
    rows = np.flatnonzero(clusters.labels == number)
    central = rows[np.argsort(-clusters.nearness[rows], kind="stable")[:MOMENT_POOL]]
    used: set[int] = set()

    def is_new(row: int) -> bool:
        key = int(contents.keys[central[row]])
        is_other = key not in used
        used.add(key)
        return is_other

    chosen = choose_diverse(
        clusters.nearness[central].astype(np.float64),
        contents.vectors[central],
        NUM_MOMENTS,
        eagerness=MOMENT_EAGERNESS,
        accept=is_new,
    )
    return Cluster(
        name,
        len(rows),
        len(np.unique(contents.keys[rows])),
        float(np.diff(contents.bounds[rows], axis=1).sum()),
        tuple(_moment(contents, int(central[row])) for row in chosen),
    )


def _moment(contents: Contents, row: int) -> VideoMoment:
    video = contents.videos[int(contents.keys[row])]
    return VideoMoment(video.path, video.video_id, *contents.bounds[row].tolist())


def _kept(  # noqa: PLR0913, PLR0917  # the parts of a map
    library: Library,
    contents: Contents,
    names: tuple[str, ...],
    clusters: Clusters,
    places: Float,
    oddness: Float,
) -> list[str]:
    """Keep the map; return why it could not be kept, if so."""
    space = contents.space
    made = LibraryMap(
        space.space_id,
        space.vectors_version,
        names,
        contents.keys,
        contents.ordinals,
        places,
        clusters.labels.astype(np.int32),
        oddness,
    )
    try:
        with library.writing():
            now = library.catalogue.now(space).vectors_version
            known = {key for (key,) in library.catalogue.rows("SELECT key FROM videos")}
            if now != space.vectors_version or not contents.videos.keys() <= known:
                return ["the map was not kept: the library changed meanwhile; run it again"]
            write_map(library.path, made)
    except LibraryError as error:  # somebody writes, or nobody can
        return [f"the map was not kept: {error}"]
    return []
