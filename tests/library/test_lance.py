"""The vector index: what it finds of what an exact scan finds, with and without a filter."""

from pathlib import Path

import numpy as np
import pytest

from soravec.library import lance
from soravec.library.lance import LanceStore
from soravec.library.store import Allowed, VectorRows

DIM = 32
PER_VIDEO = 10
K = 10


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Rows in 600 groups, a video in one group."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(600, DIM)), 100, axis=0)
    rows = centres + 0.4 * rng.normal(size=(len(centres), DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def store(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> LanceStore:
    store = LanceStore(tmp_path_factory.mktemp("vectors"), "0" * 16, DIM)
    store.replace(rows_of(vectors, 0, len(vectors)))
    store.optimise()
    return store


def rows_of(vectors: np.ndarray, begin: int, end: int) -> VectorRows:
    numbers = np.arange(begin, end)
    ordinals = (numbers % PER_VIDEO).astype(np.int32)
    return VectorRows(numbers // PER_VIDEO, ordinals, vectors[begin:end])


def recall(
    store: LanceStore,
    vectors: np.ndarray,
    allowed: list[int] | None = None,
    *,
    k: int = K,
    first: int = 0,
) -> float:
    """Return what is found of what a scan finds; rows before `first` are gone."""
    rng = np.random.default_rng(1)
    rows = np.arange(first, len(vectors))
    if allowed is not None:
        rows = rows[np.isin(rows // PER_VIDEO, allowed)]
    videos = None
    if allowed is not None:
        videos = Allowed(allowed, len(allowed) * PER_VIDEO / len(vectors))
    shares = []
    for number in rng.integers(first, len(vectors), size=50):
        query = vectors[number] + 0.05 * rng.normal(size=DIM).astype(np.float32)
        wanted = set(rows[np.argsort(-(vectors[rows] @ query))[:k]].tolist())
        found = store.search(query, k, videos)
        got = (found.video_keys * PER_VIDEO + found.ordinals).tolist()
        assert len(got) == len(set(got)) == k
        shares.append(len(wanted & set(got)) / k)
    return float(np.mean(shares))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Of every question to LanceDB, how many rows it asked for, and whether it had a filter."""
    found: list[tuple[int, bool]] = []
    nearest = LanceStore._nearest

    def noting(
        store: LanceStore, query: np.ndarray, k: int, share: float, condition: str = ""
    ) -> VectorRows:
        found.append((k, bool(condition)))
        return nearest(store, query, k, share, condition)

    monkeypatch.setattr(LanceStore, "_nearest", noting)
    return found


def test_an_index_finds_what_a_scan_finds(store: LanceStore, vectors: np.ndarray) -> None:
    assert store._partition_rows() == round(len(vectors) ** 0.5)
    assert recall(store, vectors) >= 0.97
    assert recall(store, vectors, k=500) >= 0.8


def test_a_wide_filter_is_applied_to_what_is_found_without(
    store: LanceStore, vectors: np.ndarray, asked: list[tuple[int, bool]]
) -> None:
    allowed = sorted(np.random.default_rng(2).choice(6000, 3000, replace=False).tolist())
    assert recall(store, vectors, allowed) >= 0.97
    assert (4 * K, False) in asked
    assert sum(filtered for _, filtered in asked) < len(asked) / 10


def test_a_filter_of_a_tenth_loses_nothing(
    store: LanceStore, vectors: np.ndarray, asked: list[tuple[int, bool]]
) -> None:
    allowed = sorted(np.random.default_rng(4).choice(6000, 700, replace=False).tolist())
    assert recall(store, vectors, allowed) >= 0.99
    assert set(asked) == {(K, True)}


def test_a_narrow_filter_is_answered_by_a_scan(
    store: LanceStore, vectors: np.ndarray, asked: list[tuple[int, bool]]
) -> None:
    allowed = list(range(7, 6000, 60))
    assert recall(store, vectors, allowed) == 1
    assert set(asked) == {(K, True)}


def test_where_only_far_rows_are_allowed_they_are_found(
    store: LanceStore, vectors: np.ndarray, asked: list[tuple[int, bool]]
) -> None:
    # The half of the groups that are least like the query: none of the nearest partitions.
    query = vectors[0]
    likeness = vectors.reshape(600, 100, DIM).mean(axis=1) @ query
    groups = np.sort(np.argsort(likeness)[:300])
    allowed = (groups[:, None] * 10 + np.arange(10)).ravel().tolist()
    rows = np.arange(len(vectors))
    rows = rows[np.isin(rows // PER_VIDEO, allowed)]
    found = store.search(query, K, Allowed(allowed, 0.5))
    best = np.sort(vectors[rows] @ query)[-K:]
    assert np.sort(found.vectors @ query) == pytest.approx(best, abs=1e-6)
    assert asked == [(4 * K, False), (K, True)]


def test_an_index_is_built_anew_where_rows_are_many_more(
    vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "ANN_MIN_ROWS", 5_000)
    store = LanceStore(tmp_path, "0" * 16, DIM)

    def grown(begin: int, end: int) -> int:
        store.replace(rows_of(vectors, begin, end))
        store.optimise()
        return store._partition_rows()

    assert grown(0, 4_000) == 0
    assert grown(4_000, 10_000) == 100
    assert grown(10_000, 30_000) == 100
    assert recall(store, vectors[:30_000]) >= 0.97
    assert grown(30_000, 60_000) == 245
    assert recall(store, vectors) >= 0.97
    store.remove(list(range(3_000)))
    few = list(range(3_000, 6_000, 2))
    for _ in range(2):  # before and after the index is told
        assert recall(store, vectors, first=30_000) >= 0.97
        assert recall(store, vectors, few, first=30_000) >= 0.97
        store.optimise()
    store.remove(list(range(3_000, 5_400)))
    store.optimise()
    assert store._partition_rows() == 77  # of 6,000 rows


def test_a_query_unlike_what_is_stored_is_asked_everywhere(
    store: LanceStore, vectors: np.ndarray
) -> None:
    """Its best rows lie scattered over the partitions: as at another weight of motion."""
    rng = np.random.default_rng(3)
    found = {True: 0.0, False: 0.0}
    for _ in range(20):
        query = np.zeros(DIM, np.float32)
        query[rng.choice(DIM, 2, replace=False)] = 1
        wanted = set(np.argsort(-(vectors @ query))[:K].tolist())
        for everywhere in found:
            rows = store.search(query, K, everywhere=everywhere)
            got = (rows.video_keys * PER_VIDEO + rows.ordinals).tolist()
            found[everywhere] += len(wanted & set(got)) / K / 20
    assert found[True] >= 0.99 > found[False]


@pytest.mark.parametrize("is_approximate", [False, True])
def test_nothing_of_what_was_removed_is_left_after_pruning(tmp_path, monkeypatch, is_approximate):
    monkeypatch.setattr(lance, "ANN_MIN_ROWS", 300 if is_approximate else 10_000)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 64)).astype(np.float32)
    keys, ordinals = np.divmod(np.arange(2000), 10)
    store = LanceStore(tmp_path / "vectors", "x", 64)
    store.replace(VectorRows(keys, ordinals.astype(np.int32), vectors))
    store.optimise()
    removed = vectors[55]
    low, high = vectors.min(), vectors.max()
    code = np.round((removed - low) / (high - low) * 255).astype(np.int16)  # as the index holds it

    def holding():
        found = set()
        for path in tmp_path.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            data = np.frombuffer(content, np.uint8).astype(np.int16)
            windows = np.lib.stride_tricks.sliding_window_view(data, 64) if len(data) >= 64 else ()
            alike = len(windows) and (np.abs(windows - code).max(axis=1) <= 3).any()
            found |= {"vector"} if removed.tobytes() in content else set()
            found |= {"code"} if alike else set()
        return found

    assert holding() == ({"vector", "code"} if is_approximate else {"vector"})
    store.remove([5])
    store.optimise(rewrite=True)
    reader = LanceStore(tmp_path / "vectors", "x", 64, create=False)
    version = store.version()
    store.prune()
    assert holding() == set()
    assert store.version() == version
    assert len(reader.search(vectors[100], 5)) == len(store.search(vectors[100], 5)) == 5
    assert store.search(vectors[100], 1).video_keys.tolist() == [10]
    store.remove(list(range(200)))
    store.optimise(rewrite=True)
    store.prune()
    assert store.counts() == {}
    assert vectors[100].tobytes() not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )
