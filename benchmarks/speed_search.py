"""How fast a library of many segments is searched, beside bare LanceDB and bare FAISS.

A library of drawn vectors, eight segments a video, is searched for moments, with everything a user
gets: exact scores in two parts, paths, times, and a filter by length. Beside it, for the ten
nearest rows of the same vectors and nothing else: LanceDB, its index of the same kind and as many
partitions, and FAISS, an exact scan and an inverted index of eight bits (IVF, SQ8, refined). Both
look into as few partitions as find what Soravec finds (recall@10, on queries of their own, for
every share of the videos that may answer), and no less than WANTED_RECALL; LanceDB scans the
allowed rows where that is quicker. Queries take turns.

    python benchmarks/speed_search.py [--segments 100000 1000000] [--queries 100]
"""

import argparse
import json
import os
import tempfile
import time
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from lancedb.index import BTree, IvfSq
from recall import DIM, PER_VIDEO, clustered
from speed import RESULTS, machine

from soravec.library import lance
from soravec.library.catalogue import Catalogue
from soravec.library.filters import Filter
from soravec.library.identity import FileStamp
from soravec.library.schema import SegmentRow, Space
from soravec.library.search import VectorQuery, search_vectors
from soravec.library.store import VectorRows
from soravec.runtime.vectors import compose, normalise
from soravec.types import VideoInfo

K = 10
WANTED_RECALL = 0.95
SEGMENT_SECONDS = 8.0
SHARES = (1.0, 0.1, 0.01)
"""Of the videos that may answer."""
SPACE = Space("0" * 16, "0" * 16, "drawn", "", 256, DIM, 0.2)


def main():
    arguments = parse()
    rows = []
    for count in arguments.segments:
        rng = np.random.default_rng(0)
        vectors = composed(clustered(rng, count))
        with tempfile.TemporaryDirectory() as folder:
            rows += measured(Path(folder), vectors, arguments.queries, rng)
    RESULTS.mkdir(exist_ok=True)
    facts = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "rows": rows}
    (RESULTS / "search.json").write_text(json.dumps(facts, indent=1) + "\n")


def measured(folder, vectors, num_queries, rng):
    """Return a row for every share of the videos and way of searching."""
    import faiss  # of `make bench` alone

    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    began = time.perf_counter()
    catalogue, store = library(folder, vectors)
    built = time.perf_counter() - began
    print(f"\n{len(vectors)} segments of {DIM}: library made in {built:.0f} s", flush=True)
    tuning, queries = (queries_near(vectors, num_queries, rng) for _ in range(2))
    ours = partial(moments, catalogue, store)
    bare, partitions = lance_ways(folder, vectors)
    faiss_ivf, lists = faiss_ways(vectors)
    scan = faiss_exact(vectors)
    videos = len(vectors) // PER_VIDEO
    found = []
    for share in SHARES:
        mask = extra_seconds(videos) < int(share * videos)
        allowed = np.flatnonzero(mask)
        keys = None if share == 1 else allowed
        truth = exact(vectors, tuning, np.repeat(mask, PER_VIDEO))
        asked = max(WANTED_RECALL, recall([ours(query, keys) for query in tuning], truth))
        probed = tuned(bare, partitions, tuning, keys, truth, asked)
        ways = {
            "soravec": ours,
            "lancedb": quicker(probed, partial(bare, None), tuning, keys),
            "faiss": tuned(faiss_ivf, lists, tuning, keys, truth, asked),
            "faiss, exact": scan,
        }
        answers = {name: [] for name in ways}
        seconds = {name: [] for name in ways}
        for query in queries:
            for name, way in ways.items():
                began = time.perf_counter()
                answer = way(query, keys)
                seconds[name].append(time.perf_counter() - began)
                answers[name].append(answer)
        truth = exact(vectors, queries, np.repeat(mask, PER_VIDEO))
        found += [
            row(len(vectors), share, name, seconds[name], recall(answers[name], truth))
            for name in ways
        ]
    catalogue.close()
    return found


def row(count, share, name, seconds, recalled):
    """Print and return the figures of one way."""
    p50, p99 = (np.percentile(seconds, [50, 99]) * 1000).tolist()
    print(
        f"{share:>5.0%} of videos, {name:<14} p50 {p50:8.1f} ms  p99 {p99:8.1f} ms"
        f"  recall@{K} {recalled:.3f}",
        flush=True,
    )
    facts = {"segments": count, "share": share, "way": name}
    return facts | {"p50_ms": p50, "p99_ms": p99, "recall": recalled}


def exact(vectors, queries, mask):
    """Return the rows of the largest inner products among those that are allowed."""
    rows = np.flatnonzero(mask)
    part = vectors if len(rows) == len(vectors) else vectors[rows]
    return [set(rows[np.argpartition(-(part @ query), K)[:K]].tolist()) for query in queries]


def recall(answers, truth):
    return float(np.mean([len(set(a) & t) / K for a, t in zip(answers, truth, strict=True)]))


def queries_near(vectors, count, rng):
    """Return queries that lie near some of the vectors."""
    noise = 0.3 * rng.normal(size=(count, DIM)) / np.sqrt(DIM)
    return composed(vectors[rng.integers(len(vectors), size=count)] + noise)


def composed(vectors):
    """Return vectors that are looks and motion, as those of a library are."""
    looks, motion = np.split(vectors.astype(np.float32), [SPACE.appearance_dim], axis=1)
    return compose(normalise(looks), normalise(motion), SPACE.motion_weight)


def tuned(way, most, tuning, keys, truth, asked):
    """Return the way with the fewest probes that find as much as is asked."""

    def recalled(probes):
        return recall([way(probes, query, keys) for query in tuning], truth)

    numbers = range(1, most + 1)
    probes = numbers[min(bisect_left(numbers, asked, key=recalled), most - 1)]
    print(f"{way.__name__}: {probes} of {most} partitions for a recall of {asked:.3f}", flush=True)
    return partial(way, probes)


def quicker(one, other, tuning, keys):
    """Return the quicker of two ways."""
    seconds = {one: 0.0, other: 0.0}
    for query in tuning[:20]:
        for way in seconds:
            began = time.perf_counter()
            way(query, keys)
            seconds[way] += time.perf_counter() - began
    return min(seconds, key=seconds.get)


# Soravec


def library(folder, vectors):
    """Return the catalogue and the vector store of a library of drawn vectors."""
    catalogue = Catalogue(folder / "catalogue.db", create=True)
    store = lance.LanceStore(folder / "vectors", SPACE.space_id, DIM)
    videos = len(vectors) // PER_VIDEO
    extra = extra_seconds(videos)
    with catalogue.transaction():
        catalogue.put_space(SPACE)
    for begin in range(0, videos, 1000):
        with catalogue.transaction():
            numbers = range(begin, min(begin + 1000, videos))
            keys = [put_video(catalogue, n, float(extra[n])) for n in numbers]
        part = vectors[begin * PER_VIDEO : (begin + len(keys)) * PER_VIDEO]
        ordinals = np.tile(np.arange(PER_VIDEO, dtype=np.int32), len(keys))
        store.replace(VectorRows(np.repeat(np.array(keys, np.int64), PER_VIDEO), ordinals, part))
    store.optimise()
    return catalogue, store


def extra_seconds(videos):
    """Return by how much each video is longer than its segments: what is filtered by."""
    return np.random.default_rng(1).permutation(videos)


def put_video(catalogue, number, extra):
    info = VideoInfo(
        path=f"/videos/{number}.mp4",
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=480,
        height=360,
        rotation_degrees=0,
        start_seconds=0.0,
        duration_seconds=PER_VIDEO * SEGMENT_SECONDS + extra,
        native_fps=25.0,
        size_bytes=1,
        has_audio=False,
        num_video_streams=1,
    )
    key = catalogue.put_video(f"{number:032x}", info, recorded=0.0)
    catalogue.put_path(FileStamp(Path(info.path), 1, 1), key)
    segments = [
        SegmentRow(key, n, n * SEGMENT_SECONDS, (n + 1) * SEGMENT_SECONDS, False)
        for n in range(PER_VIDEO)
    ]
    catalogue.put_embedding(SPACE.space_id, {}, segments)
    return key


def moments(catalogue, store, vector, videos):
    """Search as `Library.search` does; the allowed videos are the shortest ones."""
    query = VectorQuery(
        vectors=vector[None],
        start_seconds=np.zeros(1),
        seconds=np.full(1, SEGMENT_SECONDS),
        space_id=SPACE.space_id,
    )
    where = Filter()
    if videos is not None:
        where = Filter(max_seconds=PER_VIDEO * SEGMENT_SECONDS + len(videos) - 0.5)
    hits = search_vectors(catalogue, store, SPACE, query, k=K, where=where)
    return [row_of(*hit.segment_id.split(":")) for hit in hits]


def row_of(video_id, ordinal):
    return int(video_id, 16) * PER_VIDEO + int(ordinal)


# Peers


def lance_ways(folder, vectors):
    """Return a function of probes, query and allowed videos over a table of LanceDB.

    Without probes it looks at every row that is allowed. With the function, how many partitions
    there are: as many as in Soravec's store.
    """
    table = lance.import_lancedb().connect(folder / "bare").create_table("bare", schema=schema())
    for begin in range(0, len(vectors), 100_000):
        part = vectors[begin : begin + 100_000]
        flat = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), DIM)
        numbers = pa.array(np.arange(begin, begin + len(part)))
        video = pa.array(np.arange(begin, begin + len(part)) // PER_VIDEO)
        table.add(pa.Table.from_arrays([numbers, video, flat], schema=schema()))
    table.create_index("video", config=BTree())
    size = round(np.sqrt(len(vectors)))  # rows of a partition
    config = IvfSq(
        distance_type="dot",
        target_partition_size=size,
        sample_rate=lance.SAMPLE_RATE,
        max_iterations=lance.MAX_ITERATIONS,
    )
    table.create_index("vector", config=config)
    table.optimize(cleanup_older_than=timedelta(minutes=10))

    def lancedb_ivf_sq(probes, query, videos):
        builder = table.search(query).distance_type("dot").limit(K).select(["number", "_distance"])
        if videos is not None:
            listed = ",".join(map(str, videos.tolist()))
            builder = builder.where(f"video IN ({listed})", prefilter=True)
        if probes is None:
            builder = builder.bypass_vector_index()
        else:
            builder = builder.nprobes(probes).refine_factor(lance.REFINE_FACTOR)
        return builder.to_arrow()["number"].to_pylist()

    return lancedb_ivf_sq, len(vectors) // size


def schema():
    number, vector = pa.int64(), pa.list_(pa.float32(), DIM)
    return pa.schema([("number", number), ("video", number), ("vector", vector)])


def faiss_ways(vectors):
    """Return a function of probes, query and allowed videos over an index of FAISS; its lists."""
    import faiss

    lists = round(4 * np.sqrt(len(vectors)))
    ivf = faiss.index_factory(DIM, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    sample = np.random.default_rng(0).permutation(len(vectors))[: 40 * lists]
    ivf.train(vectors[np.sort(sample)])
    index = faiss.IndexRefine(ivf, faiss.IndexFlatIP(DIM))
    index.add(vectors)

    def faiss_ivf_sq8(probes, query, videos):
        options = {"nprobe": probes}
        if videos is not None:
            options["sel"] = faiss.IDSelectorBatch(rows_of(videos))
        params = faiss.IndexRefineSearchParameters(
            k_factor=lance.REFINE_FACTOR,
            base_index_params=faiss.SearchParametersIVF(**options),
        )
        return index.search(query[None], K, params=params)[1][0].tolist()

    return faiss_ivf_sq8, lists


def faiss_exact(vectors):
    """Return an exact scan by FAISS."""
    import faiss

    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)

    def scan(query, videos):
        options = {} if videos is None else {"sel": faiss.IDSelectorBatch(rows_of(videos))}
        params = faiss.SearchParameters(**options)
        return index.search(query[None], K, params=params)[1][0].tolist()

    return scan


def rows_of(videos):
    return (videos[:, None] * PER_VIDEO + np.arange(PER_VIDEO)).ravel()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segments", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=100)
    return parser.parse_args()


if __name__ == "__main__":
    main()
