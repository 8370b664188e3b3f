"""What a reader sees is of one instant, whatever a writer does between two of its looks."""

import shutil

import pytest

from soravec import Library
from soravec.errors import LibraryError
from soravec.library.lance import LanceStore


@pytest.fixture
def videos(corpus, tmp_path):
    return shutil.copytree(corpus, tmp_path / "videos")


@pytest.fixture
def read(videos, tmp_path):
    with Library(tmp_path / "a.library") as library:
        library.add(videos, progress=False)
    with Library(tmp_path / "a.library", create=False) as library:
        library._mend_if_free = lambda *_: None  # a reader that never writes
        yield library


def meanwhile(monkeypatch, library, change):
    """Let another process change a library when this one has its vectors, but no rows yet."""
    search, waiting = LanceStore.search, [change]

    def changed(self, *args, **options):
        found = search(self, *args, **options)
        if waiting:
            with Library(library.path) as other:
                waiting.pop()(other)
        return found

    monkeypatch.setattr(LanceStore, "search", changed)


def names(hits):
    return {hit.path.rpartition("/")[2] for hit in hits}


def test_a_video_that_goes_meanwhile_still_answers_whole(read, videos, monkeypatch):
    query = videos / "harbour.mp4"
    before = read.search(video=query)

    def change(other):
        (videos / "desert.mp4").unlink()
        (videos / "sub" / "meadow.mp4").unlink()
        other.add(videos, progress=False)

    meanwhile(monkeypatch, read, change)
    assert read.search(video=query) == before
    assert names(read.search(video=query)) == {"harbour.mp4", "forest.webm"}


def test_a_video_that_comes_meanwhile_answers_nothing_yet(read, videos, monkeypatch):
    before = read.search(video=videos / "harbour.mp4")
    shutil.copy(videos / "desert.mp4", videos / "x.mp4")
    with (videos / "x.mp4").open("ab") as file:  # another file, which shows the same
        file.write((16).to_bytes(4, "big") + b"free" + bytes(8))
    meanwhile(monkeypatch, read, lambda other: other.add(videos, progress=False))
    assert read.search(video=videos / "harbour.mp4") == before
    assert "x.mp4" in names(read.search(video=videos / "harbour.mp4"))


def test_vectors_that_are_gone_are_asked_anew(read, videos, monkeypatch):
    """Those of the instant: the writer forgets, which leaves no older version."""

    def forget(other):
        other.catalogue.compact = lambda: None  # waits for readers
        other.forget(videos / "desert.mp4")

    snapshot = type(read.catalogue).snapshot
    waiting = [forget]

    def late(self):
        if waiting:
            with Library(read.path) as other:
                waiting.pop()(other)
        return snapshot(self)

    monkeypatch.setattr(type(read.catalogue), "snapshot", late)
    assert names(read.search(video=videos / "harbour.mp4")) == {
        "harbour.mp4",
        "meadow.mp4",
        "forest.webm",
    }


def test_what_repair_builds_is_seen_when_it_is_whole(read, videos):
    before = read.search(video=videos / "harbour.mp4")
    seen = []
    embed = type(read.encoder()).embed_features

    with Library(read.path) as other, pytest.MonkeyPatch.context() as patch:

        def looked(self, features):
            with patch.context() as plain:
                plain.setattr(type(self), "embed_features", embed)
                seen.append(read.search(video=videos / "harbour.mp4"))
            return embed(self, features)

        patch.setattr(type(read.encoder()), "embed_features", looked)
        assert other.repair() == 4
    assert seen == [before] * 4
    assert read.search(video=videos / "harbour.mp4") == before
    assert read.verify() == []


def test_a_repair_that_fails_leaves_all_as_it_was(read, videos, monkeypatch):
    before = read.search(video=videos / "harbour.mp4")
    replace = LanceStore.replace

    def full(self, rows):
        replace(self, rows)
        raise LibraryError("no space left on device")

    monkeypatch.setattr(LanceStore, "replace", full)
    with Library(read.path) as other, pytest.raises(LibraryError, match="no space"):
        other.repair()
    monkeypatch.undo()
    assert read.search(video=videos / "harbour.mp4") == before
    assert read.verify() == []


def test_the_key_of_a_video_is_never_given_again(read, videos):
    with Library(read.path) as library:
        ((last,),) = library.catalogue.rows("SELECT max(key) FROM videos")
        sql = "SELECT path FROM paths WHERE video_key = ?"
        ((path,),) = library.catalogue.rows(sql, (last,))
        for number in (1, 2):
            library.forget(path)
            library.add(videos, progress=False)
            ((key,),) = library.catalogue.rows("SELECT max(key) FROM videos")
            assert key == last + number


def test_words_answer_once_their_vectors_do(read):
    (hit,) = read.search("desert")
    with Library(read.path) as library, library.catalogue.transaction():
        key = library.catalogue.video_key(hit.video_id)
        library.catalogue.mark_pending(library.space().space_id, [key])
    assert read.search("desert") == []
