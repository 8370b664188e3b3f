"""Vectors as rows of a table, and the files that `embed` writes."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soravec.errors import SoravecError
from soravec.types import Embedding, FrameFeatures

SUFFIXES = (".npz", ".parquet", ".jsonl")
PER = ("video", "segment", "frame")
SAMPLINGS = ("auto", "uniform", "keyframes")


@dataclass(frozen=True, slots=True)
class Row:
    """One vector and the span that it stands for."""

    path: str
    start_seconds: float
    end_seconds: float
    vector: NDArray[np.float32]


def check_request(out: Path | None, per: str, sampling: str) -> str:
    """Return what is wrong with the options, or an empty text."""
    if out is not None and out.suffix not in SUFFIXES:
        return f"{out}: the suffix must be one of {', '.join(SUFFIXES)}"
    if out is not None and not out.absolute().parent.is_dir():
        return f"{out}: there is no folder {out.absolute().parent}"
    if per not in PER:
        return f"--per is '{per}', not one of {', '.join(PER)}"
    if sampling not in SAMPLINGS:
        return f"--sampling is '{sampling}', not one of {', '.join(SAMPLINGS)}"
    return ""


def rows_of(path: str, embedding: Embedding, features: FrameFeatures, *, per: str) -> list[Row]:
    """Return the rows of one file: one, one per segment, or one per frame."""
    start, end = embedding.segments[0].start_seconds, embedding.segments[-1].end_seconds
    if per == "video":
        return [Row(path, start, end, embedding.vector)]
    if per == "segment":
        return [Row(path, s.start_seconds, s.end_seconds, s.vector) for s in embedding.segments]
    ends = [*features.seconds[1:].tolist(), max(end, float(features.seconds[-1]))]
    return [
        Row(path, float(begin), float(until), vector.astype(np.float32))
        for begin, until, vector in zip(features.seconds, ends, features.features, strict=True)
    ]


def write_rows(rows: Sequence[Row], out: Path | None, *, space_id: str) -> None:
    """Write rows to a file, whole or not at all; as JSON lines to stdout where `out` is None.

    Raises:
        SoravecError: The file cannot be written.
    """
    if out is None:
        for row in rows:
            sys.stdout.write(_json(row) + "\n")
        return
    aside = out.with_name(f".{out.name}.{os.getpid()}{out.suffix}")
    try:
        if out.suffix == ".npz":
            _write_npz(rows, aside, space_id)
        elif out.suffix == ".parquet":
            _write_parquet(rows, aside, space_id)
        else:
            aside.write_text("".join(_json(row) + "\n" for row in rows), encoding="utf-8")
        aside.replace(out)
    except OSError as error:
        raise SoravecError(f"{out}: cannot be written ({error.strerror})") from error
    finally:
        aside.unlink(missing_ok=True)


def _write_npz(rows: Sequence[Row], path: Path, space_id: str) -> None:
    np.savez(
        path,
        paths=np.array([row.path for row in rows]),
        vectors=np.stack([row.vector for row in rows]),
        start_seconds=np.array([row.start_seconds for row in rows], np.float64),
        end_seconds=np.array([row.end_seconds for row in rows], np.float64),
        space_id=np.array(space_id),
    )


def _write_parquet(rows: Sequence[Row], path: Path, space_id: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    dim = len(rows[0].vector)
    flat = pa.array(np.concatenate([row.vector for row in rows]))
    table = pa.table(
        {
            "path": [row.path for row in rows],
            "start_seconds": [row.start_seconds for row in rows],
            "end_seconds": [row.end_seconds for row in rows],
            "vector": pa.FixedSizeListArray.from_arrays(flat, dim),
        }
    )
    parquet.write_table(table.replace_schema_metadata({"space_id": space_id}), path)


def _json(row: Row) -> str:
    values = {
        "path": row.path,
        "start_seconds": row.start_seconds,
        "end_seconds": row.end_seconds,
        "vector": [round(float(x), 6) for x in row.vector],
    }
    return json.dumps(values, ensure_ascii=False)
