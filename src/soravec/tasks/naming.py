"""What clusters are called: by what people and the model say of their videos, else a number.

Labels and tags that somebody gave come first, then the words of names of files and folders, then
the tags of the model. A name must be said of much of a cluster and of little else.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from soravec.library.contents import Contents
from soravec.library.library import Library
from soravec.library.tags import least_probability, tag_head
from soravec.tasks.clusters import sample_rows

LEAST_SHARE, LEAST_LIFT = 0.3, 1.5
"""Of a cluster a name must be said of so much, and so many times as much as of the library."""
HEAD_ROWS = 200
"""Segments of a cluster that the model's tags are asked of, at most."""
_WORD = re.compile(r"[^\W\d_]{3,}")


def name_clusters(
    library: Library, contents: Contents, labels: NDArray[np.int64]
) -> tuple[str, ...]:
    """Return a name for each cluster, all of them different.

    Args:
        library: What is said of its videos.
        contents: Its segments.
        labels: (N,) the cluster of each segment.
    """
    number = int(labels.max()) + 1
    shares = _shares(contents, labels)
    sources = (
        _said(shares, _texts(library, ("label", "tag")), number),
        _said(shares, _words(_texts(library, ("name",))), number),
        _tagged(contents, labels, number),
    )
    names: dict[int, str] = {}
    for source in sources:
        for cluster, found in sorted(source.items()):
            free = [name for name in found if name not in names.values()]
            if cluster not in names and free:
                names[cluster] = free[0]
    return tuple(names.get(cluster, f"group {cluster + 1}") for cluster in range(number))


def _shares(contents: Contents, labels: NDArray[np.int64]) -> dict[int, dict[int, float]]:
    """Return by video which share of its segments lies in each cluster."""
    shares: dict[int, dict[int, float]] = defaultdict(dict)
    pairs = np.stack([contents.keys, labels], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    totals = Counter(contents.keys.tolist())
    for (key, cluster), count in zip(found.tolist(), counts.tolist(), strict=True):
        shares[key][cluster] = count / totals[key]
    return shares


def _texts(library: Library, kinds: tuple[str, ...]) -> list[tuple[int, str]]:
    places = ", ".join("?" for _ in kinds)
    sql = f"SELECT DISTINCT video_key, text FROM texts WHERE kind IN ({places})"
    return library.catalogue.rows(sql, kinds)


def _words(texts: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    words = {(key, word) for key, text in texts for word in _WORD.findall(text)}
    return sorted(words)


def _said(
    shares: dict[int, dict[int, float]], said: Iterable[tuple[int, str]], number: int
) -> dict[int, list[str]]:
    """Return by cluster what is said of much of it and of little else, the most telling first."""
    weights: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(number))
    for key, text in said:
        for cluster, share in shares.get(key, {}).items():
            weights[text][cluster] += share
    totals = np.zeros(number)
    for parts in shares.values():
        for cluster, share in parts.items():
            totals[cluster] += share
    found: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for text, weight in weights.items():
        of_all = weight.sum() / totals.sum()
        for cluster in np.flatnonzero(weight).tolist():
            of_it = weight[cluster] / totals[cluster]
            if of_it >= LEAST_SHARE and (of_it >= LEAST_LIFT * of_all or number == 1):
                telling = of_it * np.log(of_it / of_all + 1e-9)
                found[cluster].append((-telling, text))
    return {cluster: [text for _, text in sorted(names)] for cluster, names in found.items()}


def _tagged(contents: Contents, labels: NDArray[np.int64], number: int) -> dict[int, list[str]]:
    """Return by cluster what the model calls it, if it calls it anything in particular."""
    head = tag_head(contents.space)
    if head is None:
        return {}
    means = []
    for cluster in range(number):
        rows = np.flatnonzero(labels == cluster)
        rows = rows[sample_rows(len(rows), HEAD_ROWS, 0)]
        means.append(head.scores(contents.vectors[rows]).mean(axis=0))
    usual = np.mean(means, axis=0)
    found = {}
    for cluster, mean in enumerate(means):
        best = int((mean - usual).argmax())
        is_so = mean[best] >= max(LEAST_SHARE, least_probability(len(head.classes)))
        if is_so and mean[best] >= LEAST_LIFT * usual[best]:
            found[cluster] = [head.classes[best]]
    return found
