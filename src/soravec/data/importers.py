"""Manifests of public data sets, from the annotation files as they are published.

Videos are found by the stem of their name anywhere below a folder, whatever their suffix, because
copies of these sets are sorted into folders and re-encoded as their owners please. No copy is
complete: what is named but not there is listed in `Manifest.missing`, and the rest goes on. What is
odd in published labels and splits is a warning, not an error.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from soravec.data.cells import split_named
from soravec.data.checks import manifest_error
from soravec.data.clips import Clip, Manifest, Split
from soravec.data.manifest import build_manifest
from soravec.errors import ManifestError
from soravec.library.identity import absolute, find_videos


class Importer(Protocol):
    """Turns annotation files into a manifest."""

    def __call__(self, annotations: Path, videos: Path, *, fold: int = 1) -> Manifest:
        """Return the clips that are there.

        Args:
            annotations: The published file, or the folder that holds several.
            videos: The folder below which the videos lie.
            fold: Which of the published splits, where there are several.

        Raises:
            ManifestError: The annotations cannot be read, or no video of theirs is there.
        """


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the annotations say of one clip."""

    name: str
    """Where the original set has the video, relative to its folder."""
    label: str
    split: Split
    group: str | None
    other_stems: tuple[str, ...] = ()
    """What the video is called in other copies."""
    start_seconds: float | None = None
    end_seconds: float | None = None
    caption: str | None = None


def import_ucf101(annotations: Path, videos: Path, *, fold: int = 1) -> Manifest:
    """Return UCF101 after `trainlist01.txt` and `testlist01.txt`; clips of one source are a group.

    A line is `Archery/v_Archery_g08_c01.avi 3` in a train list, without the number in a test list.
    The groups count anew in every class, so a group is called `Archery_g08`.
    """
    _check_fold(annotations, fold, 3)
    entries, problems = [], []
    lists: tuple[tuple[Split, str], ...] = (("train", "trainlist"), ("test", "testlist"))
    for split, kind in lists:
        file = _inside(annotations, f"{kind}{fold:02d}.txt")
        for number, line in _lines(file):
            name = line.split()[0]
            match = re.fullmatch(r"([^/]+)/v_\w+_(g\d+)_c\d+\.\w+", name)
            if match is None:
                problems.append(
                    f"{file.name}, line {number}: '{line}' is not CLASS/v_X_gNN_cNN.avi"
                )
                continue
            label, group = match.groups()
            entries.append(_Entry(name, label, split, f"{label}_{group}"))
    return _manifest(videos, entries, problems)


def import_hmdb51(annotations: Path, videos: Path, *, fold: int = 1) -> Manifest:
    """Return HMDB51 after its 51 files `CLASS_test_split1.txt`.

    A line is `April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1`: 1 is train, 2 is test, 0 is neither and
    left out. What stands before the class in the name is the source, and with the class the group.
    """
    _check_fold(annotations, fold, 3)
    ending = f"_test_split{fold}.txt"
    files = sorted(annotations.glob(f"*{ending}"))
    if not files:
        raise ManifestError(annotations, [f"no file CLASS{ending} in it"])
    entries, problems, unused = [], [], 0
    splits: dict[str, Split] = {"1": "train", "2": "test"}
    for file in files:
        label = file.name.removesuffix(ending)
        for number, line in _lines(file):
            name, _, mark = line.rpartition(" ")
            if mark == "0":
                unused += 1
            elif mark in splits and name:
                source, found, _ = Path(name).stem.rpartition(f"_{label}_")
                group = f"{label}/{source}" if found else None
                entries.append(_Entry(f"{label}/{name.strip()}", label, splits[mark], group))
            else:
                problems.append(f"{file.name}, line {number}: '{line}' is not NAME.avi 0, 1 or 2")
    notes = [f"{unused} clips belong to neither train nor test of split {fold}: left out"]
    return _manifest(videos, entries, problems, notes if unused else [])


def import_kinetics(annotations: Path, videos: Path, *, fold: int = 1) -> Manifest:
    """Return Kinetics-400, 600 or 700 after its CSV file, or the folder of its CSV files.

    Columns `label,youtube_id,time_start,time_end,split`; a clip is called `ID_000084_000094.mp4`,
    after its seconds. Clips of one YouTube video are a group.
    """
    _check_fold(annotations, fold, 1)
    files = [annotations] if annotations.is_file() else sorted(annotations.glob("*.csv"))
    entries, problems, unlabelled, num_tables = [], [], 0, 0
    for file in files:
        rows = csv.DictReader(_text(file).splitlines())
        if not {"youtube_id", "time_start", "time_end", "split"} <= set(rows.fieldnames or ()):
            continue
        num_tables += 1
        for number, row in enumerate(rows, start=2):
            split = split_named(row["split"] or "")
            try:
                span = f"{int(float(row['time_start'])):06d}_{int(float(row['time_end'])):06d}"
            except (TypeError, ValueError):
                split = None
            if split is None:
                problems.append(f"{file.name}, row {number}: no split, or no times")
            elif not row.get("label"):
                unlabelled += 1
            else:
                name = f"{row['youtube_id']}_{span}.mp4"
                entries.append(_Entry(name, row["label"], split, row["youtube_id"]))
    if not num_tables:
        what = "no CSV file with the columns label, youtube_id, time_start, time_end, split"
        raise ManifestError(annotations, [what])
    return _manifest(videos, entries, problems, _unlabelled(unlabelled))


def import_something_something(annotations: Path, videos: Path, *, fold: int = 1) -> Manifest:
    """Return Something-Something v2 after the folder of its `train.json` and `validation.json`.

    The files may also be called `something-something-v2-train.json`. The template is the class, as
    in `labels.json` (`Holding something next to something`), the sentence the caption. The test
    clips are there if `test-answers.csv` (`ID;CLASS`) is. The set names no groups.
    """
    _check_fold(annotations, fold, 1)
    classes = _json(_of_something(annotations, "labels"))
    entries, problems = [], []
    parts: tuple[Split, ...] = ("train", "validation")
    for split in parts:
        file = _of_something(annotations, split)
        for number, row in enumerate(_json(file), start=1):
            label = str(row.get("template", "")).replace("[", "").replace("]", "")
            if label not in classes or "id" not in row:
                problems.append(
                    f"{file.name}, entry {number}: class '{label}' is not in labels.json"
                )
                continue
            name = f"{row['id']}.webm"
            entries.append(_Entry(name, label, split, None, caption=row.get("label")))
    answers = annotations / "test-answers.csv"
    if answers.is_file():
        for number, line in _lines(answers):
            name, _, label = line.partition(";")
            if label not in classes:
                problems.append(f"{answers.name}, line {number}: '{label}' is not in labels.json")
                continue
            entries.append(_Entry(f"{name}.webm", label, "test", None))
    return _manifest(videos, entries, problems)


def import_activitynet(annotations: Path, videos: Path, *, fold: int = 1) -> Manifest:
    """Return ActivityNet after `activity_net.v1-3.min.json`: a row per annotated span.

    A video is called `v_ID.mp4`, in other copies `ID.mp4`, and is the group of its spans. Videos of
    the test set have no spans, and are left out.
    """
    _check_fold(annotations, fold, 1)
    database = _json(annotations)
    if not isinstance(database, dict) or not isinstance(database.get("database"), dict):
        raise ManifestError(annotations, ["no object with a 'database' of videos"])
    entries, problems, unlabelled, backward = [], [], 0, 0
    for name, video in database["database"].items():
        split = split_named(str(video.get("subset", "")))
        if split is None:
            problems.append(f"video '{name}': subset '{video.get('subset')}' is no split")
            continue
        unlabelled += not video.get("annotations")
        for span in video.get("annotations") or ():
            try:
                start, end = (max(0.0, float(seconds)) for seconds in span["segment"])
                label = str(span["label"])
            except (KeyError, TypeError, ValueError):
                problems.append(f"video '{name}': {span} is no span with a segment and a label")
                continue
            if end <= start:
                backward += 1
                continue
            file, stems = f"v_{name}.mp4", (str(name),)
            entries.append(_Entry(file, label, split, name, stems, start, end))
    notes = _unlabelled(unlabelled)
    if backward:
        notes.append(f"{backward} spans do not end after their start: left out")
    return _manifest(videos, entries, problems, notes)


IMPORTERS: dict[str, Importer] = {
    "activitynet": import_activitynet,
    "hmdb51": import_hmdb51,
    "kinetics": import_kinetics,
    "something-something": import_something_something,
    "ucf101": import_ucf101,
}


def _manifest(
    videos: Path, entries: Iterable[_Entry], problems: list[str], notes: Iterable[str] = ()
) -> Manifest:
    """Find the videos, and say how many are not there."""
    folder = absolute(videos)
    if not folder.is_dir():
        raise ManifestError(folder, ["no such folder of videos"])
    if problems:
        raise manifest_error(folder, problems)
    found: dict[str, Path] = {}
    for video in find_videos([folder]):
        found.setdefault(Path(video).stem, Path(video))
    clips: list[Clip] = []
    missing: list[Path] = []
    for entry in entries:
        stems = (Path(entry.name).stem, *entry.other_stems)
        path = next((found[stem] for stem in stems if stem in found), None)
        if path is None:
            missing.append(folder / entry.name)
            continue
        span = entry.start_seconds, entry.end_seconds
        row = len(clips) + 1
        clips.append(
            Clip(path, (entry.label,), entry.split, entry.group, *span, entry.caption, row=row)
        )
    warnings = list(notes)
    gone = len(dict.fromkeys(missing))
    if gone:
        warnings.append(f"{gone} videos are missing, such as '{missing[0].name}': left out")
    return build_manifest(
        folder, clips, task="single_label", warnings=warnings, missing=missing, published=True
    )


def _check_fold(annotations: Path, fold: int, num_folds: int) -> None:
    if not 1 <= fold <= num_folds:
        allowed = "the only one is 1" if num_folds == 1 else f"choose 1 to {num_folds}"
        raise ManifestError(annotations, [f"no split {fold} was published: {allowed}"])


def _unlabelled(number: int) -> list[str]:
    return [f"{number} clips have no label, as in a test set: left out"] if number else []


def _inside(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise ManifestError(folder, [f"no file {name} in it"])
    return folder / name


def _of_something(folder: Path, part: str) -> Path:
    plain, long = folder / f"{part}.json", folder / f"something-something-v2-{part}.json"
    return long if long.is_file() else _inside(folder, plain.name)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, with their numbers."""
    for number, line in enumerate(_text(file).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def _json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise ManifestError(file, [f"not JSON ({error})"]) from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(file, [f"cannot be read as UTF-8 text ({error})"]) from error
