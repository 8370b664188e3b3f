"""Lists of labelled clips: read, checked whole, written.

A manifest is a table (CSV, Parquet or JSON Lines) with one clip per row, or a folder per class.
Everything that is wrong with it is told at once, by row, before anything is decoded.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from soravec.data.cells import clip_of, split_named
from soravec.data.checks import (
    check_answers,
    check_classes,
    check_duplicates,
    check_labels,
    check_splits,
    manifest_error,
    shortened,
)
from soravec.data.clips import SPLITS, TASKS, Clip, Manifest, Split, Task, portable, units_of
from soravec.data.rows import COLUMNS, SUFFIXES, Row, read_table
from soravec.errors import ManifestError, VideoError
from soravec.library.identity import VIDEO_SUFFIXES, absolute, find_videos
from soravec.video import find_input, frame_files

__all__ = [
    "SPLITS",
    "TASKS",
    "Clip",
    "Manifest",
    "Split",
    "Task",
    "build_manifest",
    "read_manifest",
    "split_named",
    "units_of",
    "write_manifest",
]


def read_manifest(
    path: str | Path,
    *,
    task: Task | None = None,
    allow_rare: bool = False,
    allow_missing: bool = False,
    frame_folders: bool = False,
) -> Manifest:
    """Return the clips of a CSV, Parquet or JSON Lines file, or of a folder per class.

    Args:
        path: The file, or the folder above the classes (or above train, validation, test).
        task: What the clips are to teach; None means what they are labelled with: `label` for
            `single_label`, `labels` for `multi_label`, only `target` for `regression`.
        allow_rare: Whether a label that occurs once and resembles a frequent one is meant so.
        allow_missing: Whether rows whose video is not there are left out, and listed, instead of
            being an error.
        frame_folders: Whether, below a folder, a folder of pictures is a video.

    Raises:
        ManifestError: Something is wrong; every bad row is named.
    """
    if task is not None and task not in TASKS:
        raise ManifestError(path, [f"no task '{task}': choose {', '.join(TASKS)}"])
    where = absolute(path)
    if where.is_dir():
        return _read_folder(where, task=task, allow_rare=allow_rare, frame_folders=frame_folders)
    table = read_table(where)
    problems = list(table.problems)
    clips: list[Clip] = []
    absent: list[tuple[Clip, str]] = []
    causes: dict[Path, str | None] = {}
    for row in table.rows:
        clip, wrong = clip_of(row, where.parent)
        problems.extend(wrong)
        if clip is None:
            continue
        if clip.path not in causes:
            causes[clip.path] = _why_absent(clip.path)
        cause = causes[clip.path]
        if cause is None:
            clips.append(clip)
        else:
            absent.append((clip, cause))
    if not allow_missing:
        problems.extend(
            f"row {clip.row}, column 'path': {cause}: '{portable(clip.path, where.parent)}'"
            for clip, cause in absent
        )
        # The other checks look at the rows as they are meant.
        clips = sorted([*clips, *(clip for clip, _ in absent)], key=lambda clip: clip.row)
    several = any("labels" in row.values for row in table.rows)
    problems.extend(_without_labels(table.rows) if several else ())
    return build_manifest(
        where,
        clips,
        task=task or _task(clips, several=several),
        allow_rare=allow_rare,
        problems=problems,
        warnings=table.warnings,
        missing=[clip.path for clip, _ in absent],
    )


def build_manifest(
    path: Path,
    clips: Sequence[Clip],
    *,
    task: Task,
    allow_rare: bool = False,
    problems: Sequence[str] = (),
    warnings: Sequence[str] = (),
    missing: Sequence[Path] = (),
    published: bool = False,
) -> Manifest:
    """Return clips as a manifest, once everything that is wrong with them has been looked for.

    Args:
        path: Where they come from.
        clips: The clips.
        task: What they are to teach.
        allow_rare: Whether a label that occurs once and resembles a frequent one is meant so.
        problems: What has been found wrong already.
        warnings: What was odd.
        missing: Videos that were left out.
        published: Whether labels and splits are those of a public data set, which nobody can mend:
            what is odd in them is a warning then.

    Raises:
        ManifestError: Something is wrong.
    """
    named = _namer(path)
    repeated, repeats = check_duplicates(clips, named)
    torn = list(check_splits(clips, named))
    found = [*problems, *check_answers(clips, task, named)]
    if published:
        odd = [*repeats, *shortened([*repeated, *torn, *check_classes(clips, task)])]
    else:
        odd = repeats
        found.extend(repeated)
        found.extend(() if allow_rare else check_labels(clips, named))
        found.extend(torn)
    if not clips and not found:
        gone = f": all {len(missing)} videos are missing, such as {missing[0]}" if missing else ""
        found.append(f"no clip{gone}")
    if not found and not published:
        found.extend(check_classes(clips, task))
    if found:
        raise manifest_error(path, found)
    return Manifest(
        path,
        tuple(clips),
        _classes(clips, task),
        task,
        (*warnings, *odd),
        tuple(dict.fromkeys(missing)),
    )


def write_manifest(manifest: Manifest, path: str | Path | None = None) -> Path:
    """Write the clips, and return the file, which `read_manifest` reads back with equal `digest`.

    Paths below the folder of the new file become relative to it.

    Args:
        manifest: What to write.
        path: A CSV, Parquet or JSONL file; None means `NAME.split.csv` beside the manifest (or
            with its suffix, if that is another), for a folder beside the folder.

    Raises:
        ManifestError: The file is the one it was read from, or cannot hold the clips.
    """
    source = manifest.path
    suffix = source.suffix.lower() if source.suffix.lower() in SUFFIXES else ".csv"
    name = source.name if source.is_dir() else source.stem
    target = source.with_name(f"{name}.split{suffix}") if path is None else absolute(path)
    if target == source:
        raise ManifestError(target, ["the manifest itself is not overwritten; name another file"])
    if target.suffix.lower() not in SUFFIXES:
        raise ManifestError(target, [f"a manifest ends in one of {', '.join(SUFFIXES)}"])
    rows = [_row_of(clip, manifest.task, target.parent) for clip in manifest.clips]
    columns = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    encode = {".csv": _as_csv, ".jsonl": _as_jsonl, ".parquet": _as_parquet}[target.suffix.lower()]
    content = encode(target, columns, rows)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(target)
    return target


def _read_folder(
    folder: Path, *, task: Task | None, allow_rare: bool, frame_folders: bool
) -> Manifest:
    """Read `CLASS/clip.mp4` or `SPLIT/CLASS/clip.mp4`; videos without a folder are unlabelled."""
    problems: list[str] = []
    clips: list[Clip] = []
    below = _folders(folder)
    loose = VIDEO_SUFFIXES | {".tar"}
    stray = [path for path in find_videos(_files(folder, loose))]
    by_split = bool(below) and all(split_named(name.name) for name in below)
    for upper in below if by_split else [folder]:
        split = split_named(upper.name) if by_split else None
        if by_split:
            stray.extend(find_videos(_files(upper, loose)))
        for of_class in _folders(upper):
            videos = list(find_videos([of_class], frame_folders=frame_folders))
            if not videos:
                problems.append(f"class '{portable(of_class, folder)}' has no video in its folder")
            for path in videos:
                row = len(clips) + 1
                clips.append(Clip(Path(path), (of_class.name,), split, row=row))
    if clips or problems:
        problems.extend(
            f"'{portable(Path(path), folder)}' lies in no folder of a class" for path in stray
        )
    else:
        clips = [Clip(Path(path), row=number) for number, path in enumerate(stray, start=1)]
    warnings = [
        f"{path.name} in the folder was not read; name it to use it"
        for path in _files(folder, SUFFIXES)
    ]
    task = task or _task(clips, several=False)
    return build_manifest(
        folder, clips, task=task, allow_rare=allow_rare, problems=problems, warnings=warnings
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files that lie in the folder itself."""
    return sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() in suffixes and p.is_file())


def _why_absent(path: Path) -> str | None:
    """Return why a video is not there; None if it is."""
    if path.is_file():
        return None
    if path.is_dir():
        return None if frame_files(path) else "a folder without frames"
    try:
        find_input(path)
    except VideoError as error:
        return error.cause
    return None


def _without_labels(rows: Sequence[Row]) -> Iterator[str]:
    """Say which rows name no class, where others name several; `[]` says that there is none."""
    for row in rows:
        if "labels" not in row.values and "label" not in row.values:
            yield f"row {row.number}: no label, though others have one"


def _task(clips: Sequence[Clip], *, several: bool) -> Task:
    if several:
        return "multi_label"
    if any(clip.labels for clip in clips):
        return "single_label"
    return "regression" if any(clip.target for clip in clips) else "unlabelled"


def _classes(clips: Sequence[Clip], task: Task) -> tuple[str, ...]:
    if task == "regression":
        number = len(clips[0].target or ())
        return ("target",) if number == 1 else tuple(f"target {n + 1}" for n in range(number))
    if task == "unlabelled":
        return ()
    return tuple(sorted({label for clip in clips for label in clip.labels}))


def _namer(path: Path) -> Callable[[Clip], str]:
    if path.is_dir():
        return lambda clip: f"'{portable(clip.path, path)}'"
    return lambda clip: f"row {clip.row}"


def _row_of(clip: Clip, task: Task, folder: Path) -> dict[str, Any]:
    """Return a clip as cells; labels and targets as lists."""
    several = task == "multi_label" or len(clip.labels) > 1
    return {
        "path": portable(clip.path, folder),
        "label": clip.labels[0] if clip.labels and not several else None,
        "labels": list(clip.labels) if several else None,
        "split": clip.split,
        "group": clip.group,
        "start": clip.start_seconds,
        "end": clip.end_seconds,
        "caption": clip.caption,
        "target": None if clip.target is None else list(clip.target),
    }


def _as_csv(file: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        bad = [label for label in row["labels"] or () if set(label) & set(";|")]
        if bad or row["labels"] == []:
            what = f"the label '{bad[0]}' holds a separator" if bad else "a clip has no label"
            raise ManifestError(file, [f"{what}, which CSV cannot say; write .jsonl or .parquet"])
        writer.writerow([_as_cell(row[name]) for name in columns])
    return out.getvalue().encode()


def _as_cell(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(_as_cell(part) for part in value)
    return "" if value is None else str(value)


def _as_jsonl(_: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    kept = ({n: row[n] for n in columns if row[n] is not None} for row in rows)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept).encode()


def _as_parquet(_: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in columns}), sink)
    return bytes(sink.getvalue().to_pybytes())
