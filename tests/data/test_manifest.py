import json
import math
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soravec.data.clips import Clip, units_of
from soravec.data.manifest import build_manifest, read_manifest, write_manifest
from soravec.errors import ManifestError

NAMES = [f"{name}{number}.mp4" for name in "abc" for number in range(4)]


@pytest.fixture
def folder(tmp_path):
    """Twelve files that stand for videos: a manifest is checked without decoding them."""
    for name in NAMES:
        (tmp_path / name).write_bytes(b"video")
    return tmp_path


def write(folder, text, name="clips.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder, text, name="clips.csv", **kwargs):
    with pytest.raises(ManifestError) as caught:
        read_manifest(write(folder, text, name), **kwargs)
    assert str(folder / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    return list(caught.value.problems)


GOOD = """path,label,split,group,start,end,caption,target
a0.mp4,run,train,g1,,,somebody runs,
a1.mp4,run,val,g2,0.5,2,"left, then right",0.25;-3
a2.mp4,jump,training,g3,,1.5,,
a3.mp4,jump,TEST,g4,1,,,
"""


def test_a_table_is_read(folder):
    manifest = read_manifest(write(folder, GOOD))
    assert manifest.task == "single_label"
    assert manifest.classes == ("jump", "run")
    assert manifest.warnings == manifest.missing == ()
    assert [clip.split for clip in manifest.clips] == ["train", "validation", "train", "test"]
    assert manifest.of_split("validation") == (
        Clip(
            folder / "a1.mp4",
            ("run",),
            "validation",
            "g2",
            0.5,
            2.0,
            "left, then right",
            (0.25, -3.0),
            row=3,
        ),
    )


def test_every_format_says_the_same(folder):
    csv = read_manifest(write(folder, GOOD))
    rows = [
        {"path": "a0.mp4", "label": "run", "split": "train", "group": "g1", "start_seconds": None},
        {"path": "a1.mp4", "label": "run", "split": "validation", "group": "g2"},
        {"path": "a2.mp4", "label": "jump", "split": "train", "group": "g3", "end_seconds": 1.5},
        {"path": "a3.mp4", "label": "jump", "split": "test", "group": "g4", "start_seconds": 1},
    ]
    rows[0] |= {"caption": "somebody runs"}
    rows[1] |= {"caption": "left, then right", "target": [0.25, -3]}
    rows[1] |= {"start_seconds": 0.5, "end_seconds": 2}
    lines = "".join(json.dumps(row) + "\n\n" for row in reversed(rows))
    assert read_manifest(write(folder, lines, "clips.jsonl")).digest == csv.digest
    columns = sorted({name for row in rows for name in row})
    table = pa.table({name: [row.get(name) for row in rows] for name in columns})
    pq.write_table(table, folder / "clips.parquet")
    assert read_manifest(folder / "clips.parquet").digest == csv.digest
    tabs = GOOD.replace("left, then", "left then").replace(",", "\t")
    same = read_manifest(write(folder, GOOD.replace("left, then", "left then")))
    assert read_manifest(write(folder, tabs, "tabs.csv")).digest == same.digest != csv.digest


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_what_is_written_is_read_back(folder, suffix):
    several = "path\tlabels\tgroup\nb0.mp4\trun|jump\tg1\nb1.mp4\tjump;\t\nb2.mp4\tsit\tg1\n"
    numbers = "path,target\nc0.mp4,0.1\nc1.mp4,1e-9\nc2.mp4,-7\n"
    for text in (GOOD, several, numbers):
        manifest = read_manifest(write(folder, text))
        again = read_manifest(write_manifest(manifest, folder / f"out{suffix}"))
        assert again.digest == manifest.digest
        assert (again.task, again.classes) == (manifest.task, manifest.classes)


def test_the_file_of_the_user_is_not_overwritten(folder):
    source = write(folder, GOOD)
    manifest = read_manifest(source)
    assert write_manifest(manifest) == folder / "clips.split.csv"
    with pytest.raises(ManifestError, match="not overwritten"):
        write_manifest(manifest, source)
    assert source.read_text() == GOOD
    with pytest.raises(ManifestError, match=r"ends in one of \.csv"):
        write_manifest(manifest, folder / "clips.xlsx")


def test_csv_refuses_labels_that_it_would_tear(folder):
    lines = [{"path": "a0.mp4", "labels": ["a;b"]}, {"path": "a1.mp4", "labels": []}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    manifest = read_manifest(write(folder, text, "clips.jsonl"))
    assert [clip.labels for clip in manifest.clips] == [("a;b",), ()]
    with pytest.raises(ManifestError, match="separator, which CSV cannot say"):
        write_manifest(manifest, folder / "out.csv")
    assert read_manifest(write_manifest(manifest)).digest == manifest.digest


def test_the_digest_follows_the_content_only(folder, tmp_path_factory):
    manifest = read_manifest(write(folder, GOOD))
    header, *rows = GOOD.splitlines()
    turned = write(folder, "\n".join([header, *reversed(rows)]), "turned.csv")
    assert read_manifest(turned).digest == manifest.digest
    other = write(folder, GOOD.replace("a1.mp4,run", "a1.mp4,jump"), "other.csv")
    assert read_manifest(other).digest != manifest.digest
    moved = tmp_path_factory.mktemp("moved")
    for name in NAMES:
        (moved / name).write_bytes(b"video")
    assert read_manifest(write(moved, GOOD)).digest == manifest.digest


def test_tasks(folder):
    def task(text, **kwargs):
        return read_manifest(write(folder, text), **kwargs)

    assert task("path\na0.mp4\na1.mp4\n").task == "unlabelled"
    assert task("path,caption\na0.mp4,a dog\n").task == "unlabelled"
    numbers = task("path,target\na0.mp4,1\na1.mp4,2\n")
    assert (numbers.task, numbers.classes) == ("regression", ("target",))
    assert task("path,target\na0.mp4,1;5\na1.mp4,2;3\n").classes == ("target 1", "target 2")
    several = task("path,labels\na0.mp4,run|jump\na1.mp4,run\n")
    assert (several.task, several.classes) == ("multi_label", ("jump", "run"))
    assert several.clips[0].labels == ("jump", "run")
    both = "path,label,target\na0.mp4,run,1\na1.mp4,jump,2\n"
    assert task(both).task == "single_label"
    assert task(both, task="regression").classes == ("target",)
    with pytest.raises(ManifestError, match="no task 'guess': choose single_label"):
        task(both, task="guess")


# Bad input: (text, a part of every problem, in order)
BAD_ROWS = {
    "missing file": ("path,label\na0.mp4,x\nno.mp4,y\n", ["row 3, column 'path': no such file"]),
    "empty path": ("path,label\n,x\na0.mp4,y\n", ["row 2, column 'path': it is empty"]),
    "url": ("path,label\nhttp://h/a.mp4,x\na0.mp4,y\n", ["row 2, column 'path': .* is a URL"]),
    "split": (
        "path,label,split\na0.mp4,x,trian\na1.mp4,y,test\n",
        ["row 2, column 'split': 'trian' is no split: choose train, validation, test"],
    ),
    "some without split": (
        "path,label,split\na0.mp4,x,train\na1.mp4,y,\n",
        ["row 3: no split, though others have one"],
    ),
    "NaN": ("path,target\na0.mp4,nan\na1.mp4,1\n", ["row 2, column 'target': nan is not finite"]),
    "infinite": ("path,target\na0.mp4,1;inf\na1.mp4,1;2\n", ["row 2, .*inf is not finite"]),
    "no number": ("path,target\na0.mp4,big\na1.mp4,1\n", ["row 2, .*'big' is not a number"]),
    "some targets": ("path,target\na0.mp4,\na1.mp4,1\n", ["row 2: no target, though"]),
    "numbers of targets": (
        "path,target\na0.mp4,1;2\na1.mp4,1\na2.mp4,3;4\n",
        ["row 3: 1 targets, but 2 in other rows"],
    ),
    "end before start": (
        "path,label,start,end\na0.mp4,x,3,3\na1.mp4,y,,0\n",
        ["row 2, column 'end': 3.0 is not after 3.0", "row 3, column 'end': 0.0 is not after 0.0"],
    ),
    "negative": (
        "path,label,start\na0.mp4,x,-1\na1.mp4,y,soon\n",
        ["row 2, column 'start': -1 is negative", "row 3, column 'start': 'soon' is not a number"],
    ),
    "label and labels": (
        "path,label,labels\na0.mp4,x,x|y\na1.mp4,y,\n",
        ["row 2: both 'label' and 'labels'"],
    ),
    "no label": ("path,label\na0.mp4,x\na1.mp4,y\na2.mp4,\n", ["row 4: no label, though others"]),
    "no labels": ("path,labels\na0.mp4,x|y\na1.mp4,\n", ["row 3: no label, though others"]),
    "label twice": ("path,labels\na0.mp4,x|x\na1.mp4,y\n", ["row 2, .*'x' stands there twice"]),
    "typo": (
        "path,label\na0.mp4,Archery\na1.mp4,Archery\na2.mp4,Archery\na3.mp4,Archrey\nb0.mp4,Run\n",
        ["row 5: label 'Archrey' occurs once; did you mean 'Archery'?"],
    ),
    "case": (
        "path,label\na0.mp4,run fast\na1.mp4,Run_fast\na2.mp4,run fast\na3.mp4,x\n",
        ["row 3: label 'Run_fast' differs from 'run fast' only in case, spaces or signs"],
    ),
    "twice": (
        "path,label\na0.mp4,x\na1.mp4,y\na0.mp4,y\n",
        ["row 4: the same clip as row 2 with another label"],
    ),
    "group torn": (
        "path,label,split,group\na0.mp4,x,train,g\na1.mp4,y,train,h\na2.mp4,y,test,g\n",
        [r"group 'g' is in 2 splits: train \(row 2\), test \(row 4\)"],
    ),
    "video torn": (
        "path,label,split,start,end\na0.mp4,x,train,0,1\na0.mp4,y,test,1,2\na1.mp4,y,train,,\n",
        [r"video '.*a0.mp4' is in 2 splits: train \(row 2\), test \(row 3\)"],
    ),
    "not in train": (
        "path,label,split\na0.mp4,x,train\na1.mp4,y,test\n",
        ["class 'y' has no clip in train, only in test"],
    ),
    "one class": ("path,label\na0.mp4,x\na1.mp4,x\n", ["only one class, 'x'"]),
    "empty": ("path,label\n", ["no clip"]),
    "nothing": ("", ["no clip"]),
    "no path": ("label,length\nx,3\n", [r"no column 'path' \(found: label, length\)"]),
    "path mistyped": ("pth,label\na0.mp4,x\n", ["unknown column 'pth'; did you mean 'path'?"]),
    "filename": ("filename,label\na0.mp4,x\n", ["unknown column 'filename'; did you mean 'path'?"]),
    "label mistyped": ("path,lable\na0.mp4,x\n", ["unknown column 'lable'; did you mean 'label'?"]),
    "group mistyped": (
        "path,label,grop\na0.mp4,x,g\na1.mp4,y,g\n",
        ["unknown column 'grop'; did you mean 'group'?"],
    ),
    "two names": (
        "path,label,start,start_seconds\na0.mp4,x,1,1\na1.mp4,y,1,1\n",
        ["columns 'start_seconds' and 'start' mean the same"],
    ),
    "cells": ("path,label\na0.mp4,x,y\na1.mp4,x\na2.mp4,z\n", ["row 2: 3 cells, but 2 columns"]),
}


@pytest.mark.parametrize("case", sorted(BAD_ROWS))
def test_bad_rows_are_named(folder, case):
    text, parts = BAD_ROWS[case]
    found = problems_of(folder, text)
    assert len(found) == len(parts), found
    for problem, part in zip(found, parts, strict=True):
        assert_matches(problem, part)


def assert_matches(text, pattern):
    with pytest.raises(ValueError, match=pattern.rstrip("?")):
        raise ValueError(text)


def test_all_bad_rows_are_named_at_once_and_counted(folder):
    rows = [f"no{number}.mp4,x,train,-2" for number in range(30)]
    text = "\n".join(["path,label,split,start", *rows, "a0.mp4,y,nowhere,0"])
    with pytest.raises(ManifestError, match=r"row 21.*; and 11 more, 31 in all$") as caught:
        read_manifest(write(folder, text))
    assert len(caught.value.problems) == 31
    assert "row 32, column 'split'" in caught.value.problems[-1]


def test_bad_lines(folder):
    lines = '{"path": "a0.mp4", "label": "x"}\n{"path": \n["a1.mp4"]\n{"path": 3e8, "label": "y"}\n'
    found = problems_of(folder, lines, "clips.jsonl")
    assert_matches(found[0], "row 2: not JSON")
    assert_matches(found[1], "row 3: not a JSON object")
    assert_matches(found[2], "row 4, column 'path': no such file")
    odd = '{"path": "a0.mp4", "target": true}\n{"path": "a1.mp4", "target": NaN}\n'
    found = problems_of(folder, odd, "clips.jsonl")
    assert_matches(found[0], "row 1, column 'target': True is not a number")
    assert_matches(found[1], "row 2, column 'target': nan is not finite")


def test_empty_cells_of_parquet(folder):
    """Pandas writes NaN for an empty number, and a column of groups as numbers."""
    path = folder / "clips.parquet"
    table = {"path": ["a0.mp4", "a1.mp4"], "label": ["x", "y"], "start": [math.nan, 1.0]}
    pq.write_table(pa.table(table | {"group": [7, 8]}), path)
    first, second = read_manifest(path).clips
    assert (first.start_seconds, second.start_seconds) == (None, 1.0)
    assert (first.group, second.group) == ("7", "8")
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(ManifestError, match="not readable Parquet"):
        read_manifest(path)


def test_files_that_are_none(folder):
    (folder / "excel.csv").write_bytes("path,label\na0.mp4,café\n".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"not UTF-8 \(line 2\); save it as UTF-8"):
        read_manifest(folder / "excel.csv")
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(folder / "none.csv")
    with pytest.raises(ManifestError, match=r"'.xlsx' is no format of a manifest: .csv"):
        read_manifest(folder / "clips.xlsx")
    (folder / "bom.csv").write_bytes("path,label\na0.mp4,é\na1.mp4,y\n".encode("utf-8-sig"))
    assert read_manifest(folder / "bom.csv").classes == ("y", "é")


def test_other_columns_are_told_of(folder):
    text = "path,label,lables,state,fps\na0.mp4,x,q,n,25\na1.mp4,y,q,n,25\n"
    assert read_manifest(write(folder, text)).warnings == (
        "column 'lables' was not read; did you mean 'labels'?",
        "column 'state' was not read; did you mean 'start'?",
        "column 'fps' was not read",
    )


def test_a_repeated_row_is_told_of(folder):
    manifest = read_manifest(write(folder, "path,label\na0.mp4,x\na1.mp4,y\na0.mp4,x\n"))
    assert manifest.warnings == ("row 4 repeats row 2",)


def test_rare_labels_that_are_meant(folder):
    text = BAD_ROWS["typo"][0]
    manifest = read_manifest(write(folder, text), allow_rare=True)
    assert manifest.classes == ("Archery", "Archrey", "Run")


@pytest.mark.parametrize("label", ["fihgt", "fighy", "figt", "figght"])
def test_one_slip_in_a_short_label_is_seen(folder, label):
    rows = "".join(f"a{number}.mp4,{('fight', 'calm')[number % 2]}\n" for number in range(8))
    with pytest.raises(ManifestError, match=f"'{label}' occurs once; did you mean 'fight'"):
        read_manifest(write(folder, f"path,label\n{rows}b0.mp4,{label}\n"))


@pytest.mark.parametrize("label", ["class 2", "PlayingPiano", "ran"])
def test_rare_labels_that_are_no_typos(folder, label):
    usual = {"class 2": "class 1", "PlayingPiano": "PlayingViolin", "ran": "run"}[label]
    rows = "".join(f"a{number}.mp4,{usual}\n" for number in range(4))
    manifest = read_manifest(write(folder, f"path,label\n{rows}b0.mp4,{label}\n"))
    assert manifest.classes == tuple(sorted([usual, label]))


def test_missing_videos_can_be_left_out(folder):
    text = "path,label\na0.mp4,x\ngone.mp4,y\na1.mp4,y\n"
    manifest = read_manifest(write(folder, text), allow_missing=True)
    assert [clip.row for clip in manifest.clips] == [2, 4]
    assert manifest.missing == (folder / "gone.mp4",)
    with pytest.raises(ManifestError, match="no clip: all 1 videos are missing"):
        read_manifest(write(folder, "path,label\ngone.mp4,y\n"), allow_missing=True)


def test_clips_in_a_tar_and_folders_of_frames(folder):
    with tarfile.open(folder / "shard.tar", "w") as tar:
        tar.add(folder / "a0.mp4", "in/a0.mp4")
    (folder / "frames").mkdir()
    (folder / "frames" / "1.png").write_bytes(b"picture")
    (folder / "hollow").mkdir()
    text = "path,label\nshard.tar/in/a0.mp4,x\nframes,y\n"
    paths = [clip.path for clip in read_manifest(write(folder, text)).clips]
    assert paths == [folder / "shard.tar/in/a0.mp4", folder / "frames"]
    found = problems_of(folder, "path,label\nshard.tar/in/b0.mp4,x\nhollow,y\n")
    assert_matches(found[0], "row 2, column 'path': no such file in shard.tar")
    assert_matches(found[1], "row 3, column 'path': a folder without frames: 'hollow'")


def make_tree(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"video")
    return folder


def test_a_folder_per_class(tmp_path):
    make_tree(tmp_path, "run/b/2.mp4", "run/1.avi", "jump/1.mkv", "jump/notes.txt", ".cache/1.mp4")
    manifest = read_manifest(tmp_path)
    assert [
        (c.path.relative_to(tmp_path).as_posix(), *c.labels, c.split) for c in manifest.clips
    ] == [
        ("jump/1.mkv", "jump", None),
        ("run/1.avi", "run", None),
        ("run/b/2.mp4", "run", None),
    ]
    listed = read_manifest(write_manifest(manifest, tmp_path / "clips.csv"))
    assert listed.digest == manifest.digest
    assert read_manifest(tmp_path).warnings == (
        "clips.csv in the folder was not read; name it to use it",
    )
    assert write_manifest(manifest).name == f"{tmp_path.name}.split.csv"


def test_a_folder_per_split_and_class(tmp_path):
    make_tree(tmp_path, "train/x/1.mp4", "train/y/2.mp4", "val/x/3.mp4", "test/y/4.mp4")
    clips = read_manifest(tmp_path).clips
    assert {(c.split, *c.labels) for c in clips} == {
        ("train", "x"),
        ("train", "y"),
        ("validation", "x"),
        ("test", "y"),
    }
    (tmp_path / "test" / "5.mp4").write_bytes(b"video")
    with pytest.raises(ManifestError, match="'test/5.mp4' lies in no folder of a class"):
        read_manifest(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    make_tree(tmp_path, "train/1.mp4", "plane/2.mp4")
    assert read_manifest(tmp_path).classes == ("plane", "train")


def test_a_folder_of_videos_is_unlabelled(tmp_path):
    make_tree(tmp_path, "1.mp4", "2.mp4")
    manifest = read_manifest(tmp_path)
    assert (manifest.task, len(manifest.clips)) == ("unlabelled", 2)


def test_an_empty_class_and_a_stray_file(tmp_path):
    make_tree(tmp_path, "run/1.mp4", "jump/2.mp4", "stray.mp4")
    (tmp_path / "sit").mkdir()
    with pytest.raises(ManifestError) as caught:
        read_manifest(tmp_path)
    assert caught.value.problems == (
        "class 'sit' has no video in its folder",
        "'stray.mp4' lies in no folder of a class",
    )


def test_an_empty_folder(tmp_path):
    with pytest.raises(ManifestError, match="no clip"):
        read_manifest(tmp_path)


def test_frame_folders_below_a_class(tmp_path):
    make_tree(tmp_path, "run/a/1.png", "run/a/2.png", "jump/b/1.png")
    with pytest.raises(ManifestError, match="class 'run' has no video"):
        read_manifest(tmp_path)
    clips = read_manifest(tmp_path, frame_folders=True).clips
    assert [(c.path, *c.labels) for c in clips] == [
        (tmp_path / "jump" / "b", "jump"),
        (tmp_path / "run" / "a", "run"),
    ]


def test_units_are_groups_that_share_nothing(tmp_path):
    path = tmp_path / "a.mp4"
    clips = [
        Clip(path, group="g"),
        Clip(tmp_path / "b.mp4", group="h"),
        Clip(tmp_path / "c.mp4"),
        Clip(path, group="h", start_seconds=1.0),
        Clip(tmp_path / "d.mp4", group="i"),
    ]
    assert units_of(clips) == [0, 0, 1, 0, 2]


def test_problems_found_before_are_told_with_the_others(folder):
    clips = [Clip(folder / "a0.mp4", ("x",), row=2), Clip(folder / "a1.mp4", (), row=3)]
    with pytest.raises(ManifestError, match="bad header; row 3: no label"):
        build_manifest(folder / "m.csv", clips, task="single_label", problems=["bad header"])


@pytest.mark.real
def test_the_real_manifests_are_read(data_dir):
    actions = read_manifest(data_dir / "actions" / "manifest.csv")
    assert (len(actions.clips), len(actions.classes), actions.warnings) == (200, 4, ())
    fights = read_manifest(data_dir / "fights" / "manifest.csv")
    by_folder = read_manifest(data_dir / "fights")
    assert fights.digest == by_folder.digest
