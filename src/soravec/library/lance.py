"""Segment vectors in LanceDB: the only module that imports it."""

import logging
import os
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from math import ceil, inf, sqrt
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from soravec.errors import LibraryError
from soravec.library.durable import remove_folder, remove_rest, sync_folder, sync_folders, sync_new
from soravec.library.filters import as_ranges
from soravec.library.store import Allowed, VectorRows

ANN_MIN_ROWS = 50_000
"""Below this an exact scan answers in under a tenth of a second, and is exact."""
MOST_GROWTH = 4
"""The index is built anew where rows are so many times more or fewer than it was built for."""
PROBED_SHARE = 0.15
"""Of the partitions, those nearest to a query are looked into."""
MIN_PROBES = 20
"""Partitions that are looked into at least."""
ALL_PROBES = 1_000_000
"""More than there are partitions."""
SAMPLE_RATE, MAX_ITERATIONS = 64, 20
"""Of the k-means that makes partitions: samples for each, and rounds; fewer than LanceDB's own."""
REFINE_FACTOR = 2
"""Candidates per wanted row whose exact score is computed: eight bits tell nearly all apart."""
WIDE_FILTER_SHARE = 0.3
"""A filter that leaves this share of the rows or more is applied to what is found without it."""
MORE_THAN_EXPECTED, MOST_FETCHED = 2, 5_000
"""How many times the rows of which `k` should be left are fetched then, and how many at most."""
SCAN_MAX_ROWS = 5_000
"""A narrower filter that leaves fewer rows is answered by an exact scan of them."""

KEPT = timedelta(minutes=10)
"""For so long a version stays that is no longer the latest, for those who still read it."""
MAX_RANGES = 50
"""More runs of keys are given as a list: a long chain of ORs is parsed by deep recursion."""

_INDEX = "vector_ivf"
"""The name of the index begins so, and ends with the rows of a partition."""
_MADE = "made"
_COLUMNS = ["video_key", "ordinal", "vector", "_distance"]

logger = logging.getLogger(__name__)


class LanceStore:
    """The vectors of one space, in a table of the folder `vectors/`.

    Args:
        folder: The folder; made where absent.
        space_id: Names the table.
        dim: Length D of a vector.
        create: Whether to make the table where it is absent; for those who write.
        anew: Whether to make it anew where it cannot be opened; for those who write.

    Raises:
        LibraryError: It is absent or damaged.
    """

    def __init__(
        self, folder: Path, space_id: str, dim: int, *, create: bool = True, anew: bool = False
    ) -> None:
        import pyarrow as pa

        self._schema = pa.schema(
            [
                pa.field("video_key", pa.int64()),
                pa.field("ordinal", pa.int32()),
                pa.field("vector", pa.list_(pa.float32(), dim)),
            ]
        )
        self._dim = dim
        self._folder = folder
        self._place = folder / f"space_{space_id}.lance"
        if not create and not self._place.is_dir():
            raise LibraryError(f"{self._place}: no vectors here. Rebuild: soravec library repair")
        try:
            self._open(create=create)
        except LibraryError:
            if not anew:
                raise
            self.reset()
        if self._table.schema.field("vector").type.list_size != dim:
            raise LibraryError(f"{folder}: vectors of another length. Run: soravec library repair")

    def _open(self, *, create: bool) -> None:
        self._index: tuple[int, int] | None = None  # at a version, the rows of a partition
        self._durable: set[str] = set()
        folder = self._folder
        try:
            tables, name = import_lancedb().connect(folder), self._place.stem
            self._table: Any = (
                tables.create_table(name, schema=self._schema, exist_ok=True)
                if create
                else tables.open_table(name)
            )
            self._made = _when_made(folder)
        except (OSError, RuntimeError, ValueError) as error:
            raise LibraryError(
                f"{folder}: the vector index cannot be opened ({_first_line(error)})."
                " Rebuild it: soravec library repair"
            ) from error

    def refresh(self) -> bool:
        """See what others have written since; return whether the table is still the same one."""
        try:
            self._table.checkout_latest()
            # Made anew, its versions count from 1 again, and LanceDB remembers the old ones.
            return (self._folder / _MADE).read_bytes() == self._made
        except (OSError, RuntimeError, ValueError):
            return False

    def checkout(self, version: int) -> None:
        """Read the table as it was at a version, until `refresh`; it cannot be written meanwhile.

        Raises:
            LibraryError: That version is no longer there.
        """
        if version != self.version():
            self._guard(self._table.checkout, version)

    def replace(self, rows: VectorRows) -> None:
        """Put the rows of some videos in the place of whatever the store holds of them."""
        self.remove([int(key) for key in np.unique(rows.video_keys)])
        import pyarrow as pa

        flat = pa.array(np.ascontiguousarray(rows.vectors, np.float32).ravel())
        columns = [
            pa.array(rows.video_keys.astype(np.int64)),
            pa.array(rows.ordinals.astype(np.int32)),
            pa.FixedSizeListArray.from_arrays(flat, self._dim),
        ]
        self._guard(self._table.add, pa.Table.from_arrays(columns, schema=self._schema))

    def remove(self, video_keys: Sequence[int]) -> None:
        """Remove every row of some videos."""
        if len(video_keys) and self._num_rows():
            self._guard(self._table.delete, _is_one_of(sorted(video_keys)))

    def search(
        self,
        query: NDArray[np.float32],
        k: int,
        allowed: Allowed | None = None,
        *,
        everywhere: bool = False,
    ) -> VectorRows:
        """Return the `k` rows of the largest inner product with `query` (D,), best first."""
        if k < 1 or (allowed is not None and not allowed.keys):
            return self._rows(None)
        if not self._partition_rows():
            return self._nearest(query, k, 0.0, _condition(allowed))
        if allowed is None:
            rows = self._nearest(query, k, 1.0 if everywhere else PROBED_SHARE)
            return rows if len(rows) == k else self._nearest(query, k, 1.0)
        many = ceil(MORE_THAN_EXPECTED * k / allowed.share)
        if allowed.share >= WIDE_FILTER_SHARE and many <= MOST_FETCHED:
            # The rarer the rows that pass, the farther from the query lie the best of them.
            probed = 1.0 if everywhere else PROBED_SHARE / allowed.share
            rows = _only_of(allowed.keys, self._nearest(query, many, probed), k)
            if len(rows) == k:
                return rows
        condition = _condition(allowed)
        is_few = self._num_rows(condition) < SCAN_MAX_ROWS
        return self._nearest(query, k, 0.0 if is_few else 1.0, condition)

    def _nearest(
        self, query: NDArray[np.float32], k: int, probed_share: float, condition: str = ""
    ) -> VectorRows:
        """Return the `k` best of the rows that meet a condition.

        `probed_share` of the partitions are looked into, those nearest to the query; with 0 every
        row is, without the index.
        """
        builder = (
            self._table.search(query.astype(np.float32), vector_column_name="vector")
            .distance_type("dot")
            .limit(k)
            .select(_COLUMNS)
        )
        if condition:
            builder = builder.where(condition, prefilter=True)
        if probed_share == 0:
            builder = builder.bypass_vector_index()
        else:
            num_partitions = self._num_rows() / self._partition_rows()
            probes = max(MIN_PROBES, ceil(probed_share * num_partitions))
            # Rows that are gone leave more partitions than the others would have.
            probes = probes if probed_share < 1 else ALL_PROBES
            builder = builder.nprobes(probes).refine_factor(REFINE_FACTOR)
        return self._rows(self._guard(builder.to_arrow))

    def rows_of(self, video_key: int) -> VectorRows:
        """Return the rows of one video in order of their ordinals."""
        builder = self._table.search().where(f"video_key = {int(video_key)}").select(_COLUMNS[:3])
        rows = self._rows(self._guard(builder.to_arrow))
        order = np.argsort(rows.ordinals, kind="stable")
        return VectorRows(rows.video_keys[order], rows.ordinals[order], rows.vectors[order])

    def everything(self) -> VectorRows:
        """Return every row, in any order."""
        return self._rows(self._guard(self._table.search().select(_COLUMNS[:3]).to_arrow))

    def counts(self) -> dict[int, int]:
        """Return how many rows every video has."""
        table = self._guard(self._table.search().select(["video_key"]).to_arrow)
        keys, counts = np.unique(table["video_key"].to_numpy(), return_counts=True)
        return dict(zip(keys.tolist(), counts.tolist(), strict=True))

    def version(self) -> int:
        """Return a number that changes with every change to the store."""
        return int(self._table.version)

    def sync(self) -> None:
        """Make every file of the table durable; LanceDB syncs none, and writes none twice."""
        try:
            sync_new(self._place, self._durable)
            sync_folder(self._folder)
            sync_folder(self._folder.parent)
        except OSError as error:
            raise LibraryError(
                f"{self._place}: cannot be written ({error.strerror}). Nothing acknowledged is lost"
            ) from error

    def reset(self) -> None:
        """Begin anew, empty; readers that have the old table open learn it by `refresh`."""
        try:
            remove_folder(self._place)
            (self._folder / _MADE).unlink(missing_ok=True)
        except OSError as error:
            raise LibraryError(f"{self._place}: cannot be removed ({error.strerror})") from error
        self._open(create=True)

    def optimise(self, *, rewrite: bool = False) -> None:
        """Compact, and build or extend the approximate index where it pays."""
        from lancedb.index import BTree, IvfSq

        num_rows = self._num_rows()
        if not num_rows:
            return
        if rewrite:  # what is deleted stays in a file of which it is a small part
            self._guard(self._table.update, values_sql={"ordinal": "ordinal"})
        indices = {index.name: index.columns for index in self._guard(self._table.list_indices)}
        if "video_key_idx" not in indices:
            self._guard(self._table.create_index, "video_key", config=BTree())
        wanted = round(sqrt(num_rows))
        growth = (wanted / (self._partition_rows() or inf)) ** 2
        fits = 1 / MOST_GROWTH < growth < MOST_GROWTH
        if num_rows >= ANN_MIN_ROWS and not fits:
            for name, columns in indices.items():
                if columns == ["vector"]:
                    self._guard(self._table.drop_index, name)
            logger.info("building an index over %d vectors", num_rows)
            config = IvfSq(
                distance_type="dot",
                target_partition_size=wanted,
                sample_rate=SAMPLE_RATE,
                max_iterations=MAX_ITERATIONS,
            )
            name = f"{_INDEX}{wanted}"
            self._guard(self._table.create_index, "vector", config=config, name=name)
        # Readers read the version that the catalogue names, however old: it goes by `prune`.
        kept = timedelta(days=36_500) if rewrite else KEPT
        self._guard(self._table.optimize, cleanup_older_than=kept)

    def prune(self) -> None:
        """Leave the latest version alone on the disk, whoever reads an older one."""
        if not self._num_rows():  # nothing is left that a version could be kept for
            self.reset()
        try:
            remove_rest(self._place)
        except OSError as error:
            raise LibraryError(f"{self._folder}: cannot be removed ({error.strerror})") from error
        with warnings.catch_warnings():  # of readers that must look again; `Library` does
            warnings.simplefilter("ignore", UserWarning)
            kept = {"cleanup_older_than": timedelta(0), "delete_unverified": True}
            self._guard(self._table.optimize, **kept)
        self.sync()
        sync_folders(self._place)

    def _num_rows(self, condition: str | None = None) -> int:
        return int(self._guard(self._table.count_rows, condition))

    def _partition_rows(self) -> int:
        """Return for how many rows a partition of the index was made, 0 without an index."""
        version = self.version()
        if self._index is None or self._index[0] != version:
            names = (index.name for index in self._guard(self._table.list_indices))
            sizes = [int(name.removeprefix(_INDEX)) for name in names if name.startswith(_INDEX)]
            self._index = version, max(sizes, default=0)
        return self._index[1]

    def _rows(self, table: Any) -> VectorRows:  # noqa: ANN401  # an Arrow table
        if table is None:
            return VectorRows(
                np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros((0, self._dim), np.float32)
            )
        vectors = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return VectorRows(
            table["video_key"].to_numpy(),
            table["ordinal"].to_numpy(),
            vectors.reshape(-1, self._dim).astype(np.float32, copy=False),
        )

    def _guard(self, call: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            return call(*args, **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise LibraryError(
                f"the vector index failed ({_first_line(error)}). Nothing acknowledged is lost;"
                " rebuild it: soravec library repair"
            ) from error


def import_lancedb() -> Any:  # noqa: ANN401  # a module without type information
    """Return the module `lancedb`, imported without opening a socket, in half the time.

    It imports urllib3, which tries a socket of its own to see whether there is IPv6; and a client
    of a web service, whose hundreds of calls take a second to describe and are never made.
    """
    os.environ.setdefault("LANCEDB_LOG", "error")  # joining partitions it warns of each, needlessly
    has_ipv6, socket.has_ipv6 = socket.has_ipv6, False
    # A new list each time: another thread may be going through the old one.
    sys.meta_path = [_NeverCalled, *sys.meta_path]
    try:
        import lancedb
    finally:
        socket.has_ipv6 = has_ipv6
        sys.meta_path = [finder for finder in sys.meta_path if finder is not _NeverCalled]
    return lancedb


class _NeverCalled(MetaPathFinder, Loader):
    """Finds the calls of that client empty: each class there is a plain `object`."""

    PREFIX = "lance_namespace_urllib3_client.api."

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, cls()) if fullname.startswith(cls.PREFIX) else None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = _no_call  # type: ignore[method-assign]


def _no_call(name: str) -> type:
    """Stand in for a class of calls, and for nothing else that a module may be asked for."""
    if not name.endswith("Api"):
        raise AttributeError(name)
    return object


def _when_made(folder: Path) -> bytes:
    """Return what tells a folder of vectors from one that was made in its place."""
    made = folder / _MADE
    with suppress(OSError), made.open("xb") as file:  # where it is not there yet
        file.write(uuid4().bytes)
    return made.read_bytes() if made.is_file() else b""


def _only_of(video_keys: Sequence[int], rows: VectorRows, k: int) -> VectorRows:
    """Return the first `k` of the rows that belong to some videos."""
    kept = np.flatnonzero(np.isin(rows.video_keys, video_keys))[:k]
    return VectorRows(rows.video_keys[kept], rows.ordinals[kept], rows.vectors[kept])


def _condition(allowed: Allowed | None) -> str:
    """Return an SQL condition for some videos, empty for all."""
    return "" if allowed is None else _is_one_of(allowed.keys)


def _is_one_of(video_keys: Sequence[int]) -> str:
    """Return an SQL condition for ascending keys: a few runs as ranges, else one flat list."""
    runs = as_ranges(list(video_keys))
    if len(runs) > MAX_RANGES:
        return f"video_key IN ({','.join(map(str, video_keys))})"
    return " OR ".join(f"video_key BETWEEN {first} AND {last}" for first, last in runs)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
