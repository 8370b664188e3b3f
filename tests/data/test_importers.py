"""Annotations are written here line by line as the data sets publish them."""

import json

import pytest

from soravec.data.importers import IMPORTERS
from soravec.data.manifest import read_manifest, write_manifest
from soravec.data.splits import split_clips
from soravec.errors import ManifestError


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


@pytest.fixture
def videos(tmp_path):
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


def put(videos, *names):
    for name in names:
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        (videos / name).write_bytes(b"video")


def rows_of(manifest):
    return [
        (c.path.relative_to(manifest.folder).as_posix(), *c.labels, c.split, c.group)
        for c in manifest.clips
    ]


@pytest.fixture
def ucf101(notes, videos):
    (notes / "classInd.txt").write_text("1 ApplyEyeMakeup\r\n3 Archery\r\n")
    (notes / "trainlist01.txt").write_text(
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\n"
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi 1\r\n"
        "Archery/v_Archery_g08_c01.avi 3\r\n"
    )
    (notes / "testlist01.txt").write_text(
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\r\nArchery/v_Archery_g01_c01.avi\r\n"
    )
    return notes


def test_ucf101(ucf101, videos):
    put(
        videos,
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
        "Archery/v_Archery_g08_c01.mp4",
        "Archery/v_Archery_g01_c01.avi",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
    )
    manifest = IMPORTERS["ucf101"](ucf101, videos)
    eyes = "ApplyEyeMakeup"
    assert rows_of(manifest) == [
        (f"{eyes}/v_{eyes}_g08_c01.avi", eyes, "train", f"{eyes}_g08"),
        ("Archery/v_Archery_g08_c01.mp4", "Archery", "train", "Archery_g08"),
        (f"{eyes}/v_{eyes}_g01_c01.avi", eyes, "test", f"{eyes}_g01"),
        ("Archery/v_Archery_g01_c01.avi", "Archery", "test", "Archery_g01"),
    ]
    assert manifest.missing == (videos / eyes / f"v_{eyes}_g08_c02.avi",)
    assert manifest.warnings == (
        "1 videos are missing, such as 'v_ApplyEyeMakeup_g08_c02.avi': left out",
    )
    assert read_manifest(write_manifest(manifest, videos / "ucf.csv")).digest == manifest.digest


def test_ucf101_without_its_files(ucf101, videos):
    with pytest.raises(ManifestError, match="no clip: all 5 videos are missing, such as"):
        IMPORTERS["ucf101"](ucf101, videos)
    with pytest.raises(ManifestError, match=r"no file trainlist02.txt in it"):
        IMPORTERS["ucf101"](ucf101, videos, fold=2)
    with pytest.raises(ManifestError, match="no split 4 was published: choose 1 to 3"):
        IMPORTERS["ucf101"](ucf101, videos, fold=4)
    with pytest.raises(ManifestError, match="no such folder of videos"):
        IMPORTERS["ucf101"](ucf101, videos / "none")
    (ucf101 / "trainlist01.txt").write_text("Archery 3\n")
    with pytest.raises(ManifestError, match="trainlist01.txt, line 1: 'Archery 3' is not CLASS"):
        IMPORTERS["ucf101"](ucf101, videos)


def test_hmdb51(notes, videos):
    (notes / "brush_hair_test_split1.txt").write_text(
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \n"
        "April_09_brush_hair_u_nm_np1_ba_goo_1.avi 1 \n"
        "Haarek_mmen_brush_hair_h_cm_np1_fr_goo_0.avi 2 \n"
        "My_Hair_Routine_brush_hair_h_nm_np1_le_goo_0.avi 0 \n"
    )
    (notes / "wave_test_split1.txt").write_text(
        "(Rad)Schlag_die_Bank!_wave_f_cm_np1_le_med_0.avi 1 \n"
        "20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi 2 \n"
    )
    (notes / "wave_test_split2.txt").write_text("x_wave_f_cm_np1_ba_med_0.avi 1 \n")
    put(
        videos,
        "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
        "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi",
        "brush_hair/Haarek_mmen_brush_hair_h_cm_np1_fr_goo_0.avi",
        "brush_hair/My_Hair_Routine_brush_hair_h_nm_np1_le_goo_0.avi",
        "wave/(Rad)Schlag_die_Bank!_wave_f_cm_np1_le_med_0.avi",
        "wave/20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi",
    )
    manifest = IMPORTERS["hmdb51"](notes, videos)
    assert [row[1:] for row in rows_of(manifest)] == [
        ("brush_hair", "train", "brush_hair/April_09"),
        ("brush_hair", "train", "brush_hair/April_09"),
        ("brush_hair", "test", "brush_hair/Haarek_mmen"),
        ("wave", "train", "wave/(Rad)Schlag_die_Bank!"),
        ("wave", "test", "wave/20060723sfjffbartsinger"),
    ]
    assert manifest.warnings == ("1 clips belong to neither train nor test of split 1: left out",)
    (notes / "wave_test_split1.txt").write_text("a_wave_b.avi 7\n")
    with pytest.raises(ManifestError, match="wave_test_split1.txt, line 1"):
        IMPORTERS["hmdb51"](notes, videos)
    with pytest.raises(ManifestError, match=r"no file CLASS_test_split3.txt in it"):
        IMPORTERS["hmdb51"](notes, videos, fold=3)


def test_kinetics(notes, videos):
    head = "label,youtube_id,time_start,time_end,split\n"
    (notes / "train.csv").write_text(
        head + "testifying,---QUuC4vJs,84,94,train\n"
        '"air drumming",_dbcJuKJQNs,40,50,train\ntestifying,gone0000000,0,10,train\n'
        "testifying,---QUuC4vJs,120,130,train\n"
    )
    (notes / "validate.csv").write_text(head + "air drumming,--nQbRBEz2s,104,114,validate\n")
    (notes / "test.csv").write_text("youtube_id,time_start,time_end,split\n--b7PKrRUL0,0,10,test\n")
    (notes / "checksums.csv").write_text("file,md5\n")
    put(
        videos,
        "train/testifying/---QUuC4vJs_000084_000094.mp4",
        "train/testifying/---QUuC4vJs_000120_000130.mp4",
        "train/air drumming/_dbcJuKJQNs_000040_000050.mp4",
        "val/--nQbRBEz2s_000104_000114.mkv",
        "test/--b7PKrRUL0_000000_000010.mp4",
    )
    manifest = IMPORTERS["kinetics"](notes, videos)
    assert [row[1:] for row in rows_of(manifest)] == [
        ("testifying", "train", "---QUuC4vJs"),
        ("air drumming", "train", "_dbcJuKJQNs"),
        ("testifying", "train", "---QUuC4vJs"),
        ("air drumming", "validation", "--nQbRBEz2s"),
    ]
    assert manifest.clips[0].start_seconds is None
    assert manifest.missing == (videos / "gone0000000_000000_000010.mp4",)
    assert manifest.warnings[0] == "1 clips have no label, as in a test set: left out"
    single = IMPORTERS["kinetics"](notes / "train.csv", videos)
    assert len(single.clips) == 3
    with pytest.raises(ManifestError, match="no CSV file with the columns label, youtube_id"):
        IMPORTERS["kinetics"](videos, videos)
    (notes / "train.csv").write_text(head + "testifying,---QUuC4vJs,soon,94,train\n")
    with pytest.raises(ManifestError, match="train.csv, row 2: no split, or no times"):
        IMPORTERS["kinetics"](notes, videos)


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
def test_something_something(notes, videos, prefix):
    labels = {
        "Holding something next to something": "54",
        "Dropping something onto something": "31",
    }
    (notes / f"{prefix}labels.json").write_text(json.dumps(labels))
    holding = {
        "id": "78687",
        "label": "holding potato next to vicks vaporub bottle",
        "template": "Holding [something] next to [something]",
        "placeholders": ["potato", "vicks vaporub bottle"],
    }
    dropping = holding | {"id": "74225", "template": "Dropping [something] onto [something]"}
    (notes / f"{prefix}train.json").write_text(json.dumps([holding, dropping]))
    (notes / f"{prefix}validation.json").write_text(json.dumps([dropping | {"id": "74226"}]))
    (notes / f"{prefix}test.json").write_text('[{"id":"1420"}]')
    put(videos, "78687.webm", "74225.webm", "74226.webm", "1420.webm")
    manifest = IMPORTERS["something-something"](notes, videos)
    assert rows_of(manifest) == [
        ("78687.webm", "Holding something next to something", "train", None),
        ("74225.webm", "Dropping something onto something", "train", None),
        ("74226.webm", "Dropping something onto something", "validation", None),
    ]
    assert manifest.clips[0].caption == "holding potato next to vicks vaporub bottle"
    (notes / "test-answers.csv").write_text("1420;Holding something next to something\n")
    manifest = IMPORTERS["something-something"](notes, videos)
    assert rows_of(manifest)[-1][0::2] == ("1420.webm", "test")
    bad = [dropping | {"template": "Dreaming"}]
    (notes / f"{prefix}train.json").write_text(json.dumps(bad))
    with pytest.raises(ManifestError, match=r"train.json, entry 1: class 'Dreaming' is not in"):
        IMPORTERS["something-something"](notes, videos)


def test_activitynet(notes, videos):
    def video(subset, *spans):
        annotations = [{"segment": list(span), "label": label} for *span, label in spans]
        facts = {"duration": 127.04, "resolution": "320x240", "url": "https://www.youtube.com/w"}
        return facts | {"subset": subset, "annotations": annotations}

    database = {
        "sJFgo9H6zNo": video("training", (0.0, 125.06, "Fun sliding down")),
        "V1zhqaGFY2A": video("training", (1.2, 9.5, "Plastering"), (20, 31.5, "Plastering")),
        "JDg--pjY5gg": video("validation", (-0.01, 13.1, "Plastering"), (5, 5, "Plastering")),
        "0O_qMHxBfXg": video("training", (0.0, 2.0, "Fun sliding down")),
        "uqiMw7tQ1Cc": video("testing"),
    }
    file = notes / "activity_net.v1-3.min.json"
    file.write_text(json.dumps({"database": database, "taxonomy": [], "version": "VERSION 1.3"}))
    put(videos, "v_sJFgo9H6zNo.mp4", "v_V1zhqaGFY2A.mkv", "JDg--pjY5gg.mp4", "v_uqiMw7tQ1Cc.mp4")
    manifest = IMPORTERS["activitynet"](file, videos)
    assert [
        (*row, c.start_seconds, c.end_seconds)
        for row, c in zip(rows_of(manifest), manifest.clips, strict=True)
    ] == [
        ("v_sJFgo9H6zNo.mp4", "Fun sliding down", "train", "sJFgo9H6zNo", 0.0, 125.06),
        ("v_V1zhqaGFY2A.mkv", "Plastering", "train", "V1zhqaGFY2A", 1.2, 9.5),
        ("v_V1zhqaGFY2A.mkv", "Plastering", "train", "V1zhqaGFY2A", 20.0, 31.5),
        ("JDg--pjY5gg.mp4", "Plastering", "validation", "JDg--pjY5gg", 0.0, 13.1),
    ]
    assert manifest.missing == (videos / "v_0O_qMHxBfXg.mp4",)
    assert manifest.warnings == (
        "1 clips have no label, as in a test set: left out",
        "1 spans do not end after their start: left out",
        "1 videos are missing, such as 'v_0O_qMHxBfXg.mp4': left out",
    )
    assert split_clips(manifest) == manifest
    database["uqiMw7tQ1Cc"] = video("training", (0.0, "Plastering"))
    file.write_text(json.dumps({"database": database}))
    with pytest.raises(ManifestError, match="video 'uqiMw7tQ1Cc': .* is no span with a segment"):
        IMPORTERS["activitynet"](file, videos)
    file.write_text("[]")
    with pytest.raises(ManifestError, match="no object with a 'database' of videos"):
        IMPORTERS["activitynet"](file, videos)
    file.write_text("{")
    with pytest.raises(ManifestError, match="not JSON"):
        IMPORTERS["activitynet"](file, videos)


def test_odd_things_of_published_sets_are_warnings(notes, videos):
    head = "label,youtube_id,time_start,time_end,split\n"
    (notes / "all.csv").write_text(
        head + "a,one00000000,0,10,train\nb,one00000000,0,10,test\nA,two00000000,0,10,train\n"
    )
    put(videos, "one00000000_000000_000010.mp4", "two00000000_000000_000010.mp4")
    warnings = IMPORTERS["kinetics"](notes / "all.csv", videos).warnings
    assert len(warnings) == 4
    assert "with another label" in warnings[0]
    assert "video" in warnings[1]
    assert warnings[2].startswith("group 'one00000000' is in 2 splits")
    assert warnings[3] == "class 'b' has no clip in train, only in test"


@pytest.mark.parametrize("name", ["activitynet", "kinetics", "something-something"])
def test_a_set_with_one_split_has_no_second(name, notes, videos):
    with pytest.raises(ManifestError, match="no split 2 was published: the only one is 1"):
        IMPORTERS[name](notes, videos, fold=2)
