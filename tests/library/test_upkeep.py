"""Forgetting, repairing and mending, interrupted and at odds with others."""

import shutil
from datetime import timedelta

import pytest

import soravec
from soravec import Library
from soravec.errors import LibraryBusy, LibraryError
from soravec.library import lance, upkeep
from soravec.library.catalogue import Catalogue
from soravec.library.lance import LanceStore
from tests.library.test_library import model_of_another_space

from .conftest import vectors_of


@pytest.fixture
def videos(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "videos")
    (tmp_path / "videos" / "broken.mp4").unlink()
    return tmp_path / "videos"


@pytest.fixture
def library(videos, tmp_path):
    with Library(tmp_path / "a.library") as library:
        library.add(videos, progress=False)
        yield library


def names(library, video, **options):
    return {hit.path.rpartition("/")[2] for hit in library.search(video=video, **options)}


def test_a_forgetting_that_fails_half_way_loses_no_vectors(library, videos, monkeypatch):
    """The disk is full after the vectors are gone, and before the catalogue knows."""
    before = vectors_of(library).keys()

    def full(self, key):
        raise LibraryError("no space left on device")

    monkeypatch.setattr(Catalogue, "forget", full)
    with pytest.raises(LibraryError, match="no space"):
        library.forget(videos / "harbour.mp4")
    monkeypatch.undo()
    assert library.verify() != []
    with Library(library.path, create=False) as other:
        assert "harbour.mp4" in names(other, videos / "harbour.mp4")
        assert vectors_of(other).keys() == before
        assert other.verify() == []


def test_a_forgetting_that_fails_late_is_finished_by_the_next_writer(library, videos, monkeypatch):
    for what, owner in (("prune", LanceStore), ("compact", Catalogue)):

        def full(self):
            raise LibraryError("no space left on device")

        monkeypatch.setattr(owner, what, full)
        with pytest.raises(LibraryError, match="no space"):
            library.forget(videos / ("harbour.mp4" if what == "prune" else "desert.mp4"))
        monkeypatch.undo()
        assert library.catalogue.is_forgetting()
    library.add(videos / "sub", progress=False)
    assert not library.catalogue.is_forgetting()
    assert library.verify() == []
    assert names(library, videos / "harbour.mp4") == {"forest.webm", "meadow.mp4"}


def test_files_that_are_written_anew_do_not_crowd_out_others(library, videos):
    """Their old vectors are still in the index while the catalogue has no file of them."""
    query = videos / "harbour.mp4"
    for number in range(8):
        box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
        copy = videos / f"copy{number}.mp4"
        copy.write_bytes(query.read_bytes() + box)
    library.add(videos, progress=False)
    assert len(library.search(video=query, k=20)) >= 12
    for number in range(8):
        (videos / f"copy{number}.mp4").write_bytes((videos / "desert.mp4").read_bytes())
    library.add(videos, progress=False)
    ids = {video_id for video_id, _ in vectors_of(library)}
    rows = library.catalogue.rows(
        "SELECT DISTINCT v.video_id FROM videos v JOIN paths p ON p.video_key = v.key"
    )
    assert ids == {video_id for (video_id,) in rows}
    assert len(ids) == 4
    assert library.verify() == []


def test_a_repair_forgets_what_the_index_no_longer_holds(library, videos, tmp_path):
    """Of a space that is not the searched one, and a file that comes back."""
    first = library.space().space_id
    other = model_of_another_space(tmp_path / "model")
    library.add(videos, encoder=other, progress=False)
    away = (videos / "desert.mp4").rename(tmp_path / "away.mp4")
    library.add(videos, progress=False)
    library.repair()
    away.rename(videos / "desert.mp4")
    library.add(videos, progress=False)
    library.add(videos, encoder=soravec.load(), progress=False)
    assert library.space().space_id == first
    assert "desert.mp4" in names(library, videos / "desert.mp4", k=1)
    assert len(vectors_of(library)) == 6
    assert library.verify() == []


def test_a_run_is_not_entered_again(library, videos, tmp_path):
    said = []

    def intrude(result):
        for work in (
            library.repair,
            lambda: library.forget(videos / "desert.mp4"),
            lambda: library.add(videos, progress=False),
        ):
            with pytest.raises(LibraryBusy, match="being written to"):
                work()
        said.append(library.search(video=videos / "harbour.mp4", k=1)[0].path)

    box = (16).to_bytes(4, "big") + b"free" + bytes(8)
    (videos / "x.mp4").write_bytes((videos / "desert.mp4").read_bytes() + box)
    version = library.space().vectors_version
    library.add(videos, on_result=intrude, progress=False)
    assert said
    assert all(path.endswith("harbour.mp4") for path in said)
    assert library.space().vectors_version - version < 10
    assert library.verify() == []


def test_what_a_broken_repair_left_is_removed(library, videos, monkeypatch):
    def full(self, space, lost, folder):
        (library.path / folder / "half").mkdir(parents=True)
        raise LibraryError("no space left on device")

    before = library.search(video=videos / "harbour.mp4")
    space, video_id = library.space(), before[0].video_id
    features = library.files.path(video_id, space.feature_id)
    sound = features.read_bytes()
    features.write_bytes(b"damaged")
    monkeypatch.setattr(upkeep.Upkeep, "_built", full)
    with pytest.raises(LibraryError, match="no space"):
        library.repair()
    monkeypatch.undo()
    assert library.search(video=videos / "harbour.mp4") == before
    features.write_bytes(sound)
    assert [one.name for one in library.path.glob("vectors*")] == ["vectors"]
    for left in ("vectors.01234567", "vectors.old.old"):  # of one that was killed
        (library.path / left).mkdir()
    library.forget(videos / "desert.mp4")
    assert [one.name for one in library.path.glob("vectors*")] == ["vectors"]


def test_a_model_that_is_gone_does_not_keep_others_from_being_repaired(library, videos, tmp_path):
    library.add(videos, encoder=model_of_another_space(tmp_path / "model"), progress=False)
    library.add(videos, encoder=soravec.load(), progress=False)
    away = (tmp_path / "model").rename(tmp_path / "away")
    assert library.repair() == 4
    assert "harbour.mp4" in names(library, videos / "harbour.mp4")
    away.rename(tmp_path / "model")
    library.add(videos, encoder=soravec.load(tmp_path / "model"), progress=False)
    assert "harbour.mp4" in names(library, videos / "harbour.mp4")
    assert len(vectors_of(library)) == 6
    assert library.verify() == []


def test_one_video_that_cannot_be_mended_does_not_silence_the_others(library, videos, caplog):
    space = library.space()
    key = library.catalogue.rows("SELECT min(key) FROM videos")[0][0]
    ((path,),) = library.catalogue.rows("SELECT path FROM paths WHERE video_key = ?", (key,))
    library.files.path(library.catalogue.video_id(key), space.feature_id).write_bytes(b"damaged")
    library.close()
    shutil.rmtree(library.path / "vectors")
    with Library(library.path) as reader:
        for _ in range(2):
            assert len(names(reader, videos / "harbour.mp4")) == 3
        assert caplog.text.count("no vectors:") == 1
        assert any("missing or damaged" in problem for problem in reader.verify())
        assert reader.add(videos, progress=False).failed == 0
        assert reader.repair() == 3
        assert reader.add(videos, progress=False).indexed == 1  # decoded anew
        assert path.rpartition("/")[2] in names(reader, path, k=1)
        assert reader.verify() == []


def test_a_file_that_returns_with_damaged_features_is_decoded_anew(library, videos, tmp_path):
    video_id = library.search(video=videos / "desert.mp4", k=1)[0].video_id
    (videos / "desert.mp4").rename(tmp_path / "away.mp4")
    library.add(videos, progress=False)
    library.files.path(video_id, library.space().feature_id).write_bytes(b"damaged")
    (tmp_path / "away.mp4").rename(videos / "desert.mp4")
    assert library.add(videos, progress=False).indexed == 1
    assert "desert.mp4" in names(library, videos / "desert.mp4", k=1)
    assert library.verify() == []


def test_readers_keep_an_old_version_until_what_is_forgotten_is_gone(library, videos, monkeypatch):
    monkeypatch.setattr(lance, "KEPT", timedelta(0))
    before = library.search(video=videos / "harbour.mp4")
    forget, seen = Catalogue.forget, []

    def look(self, key):
        with Library(library.path, create=False) as other:
            other.catalogue.forget = None
            other.stores.open(other.space()).checkout(other.space().vectors_version)
            seen.append(other.search(video=videos / "harbour.mp4"))
        forget(self, key)

    monkeypatch.setattr(Catalogue, "forget", look)
    library.forget(videos / "desert.mp4")
    assert seen == [before]


def test_forgetting_leaves_nothing_of_a_reset_that_was_killed(library, videos):
    rest = library.path / "vectors" / f"space_{library.space().space_id}.lance.old"
    rest.mkdir()
    (rest / "half").write_text("vectors")
    library.forget(videos / "desert.mp4")
    assert not rest.exists()


def test_somebody_who_reads_for_long_does_not_keep_others_from_adding(library, videos, caplog):
    shutil.copy(videos / "desert.mp4", videos / "new.mp4")
    with Library(library.path, create=False) as reader, reader.catalogue.snapshot():
        reader.space()
        with pytest.raises(LibraryError, match="somebody reads the catalogue"):
            library.forget(videos / "desert.mp4")
        assert library.add(videos, progress=False).indexed == 1
        assert "somebody reads the catalogue" in caplog.text
    library.add(videos, progress=False)
    assert not library.catalogue.is_forgetting()


def test_a_library_of_two_models_is_whole_after_a_run_of_one(library, videos, tmp_path):
    library.add(videos, encoder=model_of_another_space(tmp_path / "model"), progress=False)
    (videos / "desert.mp4").unlink()
    library.add(videos, progress=False)
    assert library.verify() == []


def test_readers_have_the_old_model_until_the_new_one_has_all(library, videos, tmp_path):
    first = library.space().space_id
    seen = []

    def look(result):
        with Library(library.path, create=False) as other:
            seen.append((other.space().space_id, len(other.search(video=videos / "harbour.mp4"))))

    other = model_of_another_space(tmp_path / "model")
    library.add(videos, encoder=other, on_result=look, progress=False)
    assert set(seen) == {(first, 6)}
    assert library.space().space_id == other.space_id


def test_a_first_run_has_no_answer_yet_and_no_error(videos, tmp_path):
    seen = []

    def look(result):
        with Library(tmp_path / "new.library", create=False) as other:
            seen.append(other.search(video=videos / "harbour.mp4"))

    with Library(tmp_path / "new.library") as library:
        library.add(videos, on_result=look, progress=False)
        assert len(library.search(video=videos / "harbour.mp4")) == 6
    assert seen == [[]] * 4


def test_who_mends_mends_what_the_catalogue_names_by_then(library, videos, monkeypatch):
    """Between the look and the lock another process has repaired, and moved the vectors."""
    space = library.space()
    key = library.catalogue.rows("SELECT min(key) FROM videos")[0][0]
    with library.catalogue.transaction():
        library.catalogue.mark_pending(space.space_id, [key])
    with Library(library.path) as reader:
        held = type(reader._lock).held

        def late(self):
            monkeypatch.undo()
            with Library(library.path) as other:
                other.repair()
            return held(self)

        monkeypatch.setattr(type(reader._lock), "held", late)
        assert "harbour.mp4" in names(reader, videos / "harbour.mp4")
        assert [one.name for one in library.path.glob("vectors*")] == [
            reader.space().vectors_folder
        ]
        assert reader.verify() == []
        assert reader._mends


def test_a_library_on_a_read_only_disk_answers(library, videos, monkeypatch):
    before = library.search(video=videos / "harbour.mp4")
    library.close()
    monkeypatch.setattr("soravec.library.schema._is_on_read_only_disk", lambda path: True)
    monkeypatch.setattr("soravec.library.lock.os.access", lambda *_: False)
    with Library(library.path, create=False) as other:
        assert other.search(video=videos / "harbour.mp4") == before
        assert other.verify() == []
        for work in (other.repair, lambda: other.add(videos, progress=False)):
            with pytest.raises(LibraryError, match="cannot be written: it is read-only"):
                work()
        assert other.search("harbour")
    (library.path / "catalogue.db-wal").write_bytes(b"not written back")
    with pytest.raises(LibraryError, match="read-only disk and was not closed"):
        Library(library.path, create=False)
