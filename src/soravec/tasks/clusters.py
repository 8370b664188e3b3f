"""What belongs together, and a map of it: scikit-learn on vectors, of many on a sample.

Vectors are reduced to their principal components. k-means divides the sample (where it is large by
small batches: Sculley, "Web-scale k-means clustering", 2010); the number of clusters is the least
whose mean silhouette (Rousseeuw, "Silhouettes", 1987) is nearly the best. The map is t-SNE (van der
Maaten and Hinton, "Visualizing data using t-SNE", 2008), begun at the first two components. What is
not in the sample joins the nearest centre, and on the map lies amid its nearest in the sample.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.runtime.vectors import normalise

Float = NDArray[np.float32]
Int = NDArray[np.int64]

SAMPLE_ROWS, MAP_ROWS, JUDGED_ROWS = 5000, 2000, 1500
"""So many clusters are made of, laid out, and judged by, at most."""
NUM_COMPONENTS = 16
"""That clusters are made in; two clusters differ in few."""
MAP_COMPONENTS = 32
MOST_CLUSTERS = 30
NEARLY = 0.1
"""By so much less than the best silhouette: a few large clusters are worth more to a reader than
many small ones that are hardly further apart."""
LEAST_SILHOUETTE = 0.1
"""Below it nothing is divided."""
PERPLEXITY = 20.0
PLACED_BY = 3
"""Of the sample, the nearest that place another on the map."""
_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Clusters:
    """What belongs together."""

    labels: Int
    """(N,) cluster of each vector, the largest cluster first."""
    nearness: Float
    """(N,) inner product of each with the centre of its cluster, in the components."""
    silhouette: float
    """Of the sample, in [-1, 1]; 0 where there is one cluster."""


def sample_rows(number: int, size: int, seed: int) -> Int:
    """Return ascending rows, at most `size` of `number`, drawn evenly."""
    if number <= size:
        return np.arange(number)
    return np.sort(np.random.default_rng(seed).choice(number, size, replace=False))


def find_clusters(vectors: Float, *, num_clusters: int | None = None, seed: int = 0) -> Clusters:
    """Return what belongs together.

    Args:
        vectors: (N, D) unit length.
        num_clusters: How many; None: as many as the silhouette says.
        seed: Of the sample and of where k-means begins.
    """
    rows = sample_rows(len(vectors), SAMPLE_ROWS, seed)
    reduce = _Components(vectors[rows], NUM_COMPONENTS, seed)
    sample = normalise(reduce.of(vectors[rows]))
    most = len(np.unique(sample.round(4), axis=0))
    if num_clusters is not None:
        centres = _divided(sample, min(num_clusters, most), seed)
        silhouette = _silhouette(sample, centres, seed)
    else:
        centres, silhouette = _best_divided(sample, min(MOST_CLUSTERS, most - 1), seed)
    labels = np.empty(len(vectors), np.int64)
    nearness = np.empty(len(vectors), np.float32)
    for begin in range(0, len(vectors), _BLOCK):
        block = normalise(reduce.of(vectors[begin : begin + _BLOCK]))
        found = block @ centres.T
        labels[begin : begin + _BLOCK] = found.argmax(axis=1)
        nearness[begin : begin + _BLOCK] = found.max(axis=1)
    names = np.argsort(-np.bincount(labels, minlength=len(centres)), kind="stable")
    return Clusters(np.argsort(names)[labels], nearness, silhouette)


def lay_out(vectors: Float, *, seed: int = 0) -> Float:
    """Return where vectors (N, D) lie on a map, (N, 2) within [-1, 1]."""
    rows = sample_rows(len(vectors), MAP_ROWS, seed)
    reduce = _Components(vectors[rows], MAP_COMPONENTS, seed)
    sample = reduce.of(vectors[rows])
    placed = _embedded(sample, seed)
    low, high = placed.min(axis=0), placed.max(axis=0)
    placed = (2 * placed - low - high) / np.float32(max(float((high - low).max()), 1e-9))
    if len(rows) == len(vectors):
        return np.asarray(placed, np.float32)
    unit = normalise(sample)
    found = np.empty((len(vectors), 2), np.float32)
    for begin in range(0, len(vectors), _BLOCK):
        alike = normalise(reduce.of(vectors[begin : begin + _BLOCK])) @ unit.T
        near = np.argpartition(-alike, PLACED_BY - 1, axis=1)[:, :PLACED_BY]
        weights = np.exp(20 * (np.take_along_axis(alike, near, axis=1) - 1))
        weights /= weights.sum(axis=1, keepdims=True)
        found[begin : begin + _BLOCK] = (placed[near] * weights[..., None]).sum(axis=1)
    found[rows] = placed
    return found


class _Components:
    """The principal components of a sample."""

    def __init__(self, sample: Float, number: int, seed: int) -> None:
        from sklearn.decomposition import PCA

        number = max(1, min(number, sample.shape[1], len(sample) - 1))
        with warnings.catch_warnings():  # of vectors that are all the same nothing varies
            warnings.simplefilter("ignore", RuntimeWarning)
            self._pca = PCA(number, random_state=seed).fit(sample)

    def of(self, vectors: Float) -> Float:
        return np.asarray(self._pca.transform(vectors), np.float32)


def _best_divided(sample: Float, most: int, seed: int) -> tuple[Float, float]:
    """Return the centres of the fewest clusters that are nearly as apart as can be."""
    whole = normalise(sample.mean(axis=0, keepdims=True))
    tried = [_divided(sample, number, seed) for number in _numbers(most)]
    scores = [_silhouette(sample, centres, seed) for centres in tried]
    if not scores or max(scores) < LEAST_SILHOUETTE:
        return whole, 0.0
    first = next(n for n, score in enumerate(scores) if score >= max(scores) - NEARLY)
    return tried[first], scores[first]


def _numbers(most: int) -> list[int]:
    """Return the numbers of clusters that are tried: all up to 12, then every third."""
    return [number for number in range(2, most + 1) if number <= 12 or number % 3 == 0]


def _divided(sample: Float, number: int, seed: int) -> Float:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    method = KMeans if len(sample) <= JUDGED_ROWS else MiniBatchKMeans
    found = method(number, n_init=4, random_state=seed).fit(sample)
    return np.asarray(normalise(found.cluster_centers_), np.float32)


def _silhouette(sample: Float, centres: Float, seed: int) -> float:
    from sklearn.metrics import silhouette_score

    some = sample[sample_rows(len(sample), JUDGED_ROWS, seed)]
    labels = (some @ centres.T).argmax(axis=1)
    if not 1 < len(np.unique(labels)) < len(some):
        return 0.0
    return float(silhouette_score(some, labels))


def _embedded(sample: Float, seed: int) -> Float:
    """Return the sample in two dimensions: by t-SNE, or where there are few by components."""
    from sklearn.manifold import TSNE

    if len(sample) < 8:
        return np.pad(sample, ((0, 0), (0, 2)))[:, :2]
    perplexity = min(PERPLEXITY, (len(sample) - 1) / 3)
    first = sample[:, :2] / max(float(sample[:, 0].std()), 1e-9) * 1e-4
    first = np.pad(first, ((0, 0), (0, 2)))[:, :2]
    method = TSNE(2, perplexity=perplexity, metric="cosine", init=first, random_state=seed)
    return np.asarray(method.fit_transform(sample), np.float32)
