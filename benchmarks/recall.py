"""recall@10 and latency of the vector index at several filter selectivities.

python benchmarks/recall.py [--segments 100000] [--queries 200]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from soravec.library.lance import LanceStore
from soravec.library.store import Allowed, VectorRows
from soravec.runtime.vectors import normalise

DIM = 384
PER_VIDEO = 8


def main():
    arguments = parse()
    rng = np.random.default_rng(0)
    vectors = clustered(rng, arguments.segments)
    keys = np.arange(arguments.segments, dtype=np.int64) // PER_VIDEO
    ordinals = (np.arange(arguments.segments) % PER_VIDEO).astype(np.int32)
    noise = 0.3 * rng.normal(size=(arguments.queries, DIM)) / np.sqrt(DIM)
    queries = vectors[rng.integers(len(vectors), size=arguments.queries)] + noise
    queries = normalise(queries.astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        store = LanceStore(Path(folder), "bench", DIM)
        started = time.perf_counter()
        for begin in range(0, len(vectors), 4096):
            part = slice(begin, begin + 4096)
            store.replace(VectorRows(keys[part], ordinals[part], vectors[part]))
        inserted = time.perf_counter()
        store.optimise()
        indexed = time.perf_counter()
        print(
            f"{arguments.segments} segments of {DIM}: inserted in {inserted - started:.1f} s,"
            f" compacted and indexed in {indexed - inserted:.1f} s"
        )
        for share in (1.0, 0.5, 0.1, 0.01):
            measure(store, vectors, keys, queries, share, rng)


def measure(store, vectors, keys, queries, share, rng):
    """Print recall@10 against exact search, and the latency, for one selectivity."""
    videos = np.unique(keys)
    allowed = None
    mask = np.ones(len(keys), bool)
    if share < 1:
        allowed = np.sort(rng.choice(videos, int(len(videos) * share), replace=False)).tolist()
        mask = np.isin(keys, allowed)
    found, seconds = [], []
    rows = np.flatnonzero(mask)
    for query in queries:
        exact = rows[np.argsort(-(vectors[rows] @ query))[:10]]
        started = time.perf_counter()
        answer = store.search(query, 10, allowed and Allowed(allowed, share))
        seconds.append(time.perf_counter() - started)
        got = set((answer.video_keys * PER_VIDEO + answer.ordinals).tolist())
        found.append(len(got & set(exact.tolist())) / 10)
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    print(
        f"{share:>6.0%} of videos: recall@10 {np.mean(found):.4f},"
        f" p50 {p50:.1f} ms, p95 {p95:.1f} ms"
    )


def clustered(rng, count):
    """Return vectors as segments lie: close to others of their kind."""
    centres = rng.normal(size=(count // 50, DIM))
    noise = 0.7 * rng.normal(size=(count, DIM))
    return normalise((centres[rng.integers(len(centres), size=count)] + noise).astype(np.float32))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segments", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    main()
