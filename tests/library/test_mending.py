"""What an earlier run left behind is mended while the next one works, and never taken for done."""

import shutil

import numpy as np
import pytest

import soravec
from soravec.errors import LibraryError
from soravec.library.features import FeatureFiles
from soravec.library.filters import Filter
from soravec.library.search import VectorQuery, search_vectors
from soravec.library.store import VectorRows
from soravec.library.stores import Stores
from soravec.library.vectors import VectorIndex


def add(library, folder):
    return library.add(folder, progress=False)


@pytest.fixture
def library(tmp_path):
    with soravec.Library(tmp_path / "a.library") as library:
        yield library


@pytest.fixture
def videos(corpus, tmp_path):
    """Two videos that are indexed first, and one that comes later."""
    for name, source in {
        "early/a.mp4": "harbour.mp4",
        "early/b.webm": "sub/forest.webm",
        "late/c.mp4": "sub/meadow.mp4",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(corpus / source, tmp_path / name)
    return tmp_path


def finds(library, path):
    hit = library.search(video=path, k=1)[0]
    return hit.path == str(path) and hit.score > 0.99


def test_an_index_run_mends_what_was_lost_before_it(library, videos):
    add(library, videos / "early")
    shutil.rmtree(library.path / "vectors")
    add(library, videos / "late")
    assert library.verify() == []
    found = [finds(library, path) for path in (videos / "early").iterdir()]
    assert found == [True, True]
    assert finds(library, videos / "late/c.mp4")


def test_a_mend_that_is_broken_off_is_not_taken_for_done(library, videos, monkeypatch):
    add(library, videos / "early")
    shutil.rmtree(library.path / "vectors")
    read = FeatureFiles.read
    calls = []

    def once(files, *args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(files, *args)

    monkeypatch.setattr(FeatureFiles, "read", once)
    with pytest.raises(KeyboardInterrupt):
        add(library, videos / "late")
    monkeypatch.undo()
    assert any("behind the catalogue" in problem for problem in library.verify())
    add(library, videos / "late")
    assert library.verify() == []
    assert all(finds(library, path) for path in (videos / "early").iterdir())


def test_an_index_that_cannot_be_opened_is_said_and_loses_nothing(library, videos, monkeypatch):
    add(library, videos / "early")
    with monkeypatch.context() as broken:
        broken.setattr(Stores, "open", lambda *_: (_ for _ in ()).throw(LibraryError("broken")))
        with pytest.raises(LibraryError, match="broken"):
            add(library, videos / "late")
    add(library, videos / "late")
    assert library.verify() == []
    assert finds(library, videos / "late/c.mp4")


def test_what_waits_to_be_written_is_not_mended_twice(library, videos, monkeypatch):
    rebuilt = []
    rebuild = VectorIndex.rebuild
    monkeypatch.setattr(
        VectorIndex,
        "rebuild",
        lambda index, keys: (rebuilt.extend(keys), rebuild(index, keys))[1],
    )
    add(library, videos / "early")
    assert rebuilt == []
    assert library.verify() == []


def test_a_still_segment_is_found_among_moving_ones(library, videos):
    """Its inner product with a moving query is less than its score."""
    add(library, videos / "early")
    space = library.space()
    key = library.catalogue.rows("SELECT key FROM videos")[0][0]
    width, weight = space.appearance_dim, space.motion_weight
    rng = np.random.default_rng(0)
    query = np.zeros(space.dim, np.float32)
    query[0], query[width] = np.sqrt(1 - weight), np.sqrt(weight)

    def row(appearance, motion):
        vector = np.zeros(space.dim, np.float32)
        for part, likeness, scale in ((0, appearance, 1 - weight), (width, motion, weight)):
            vector[part], vector[part + 1] = likeness, np.sqrt(1 - likeness**2)
            vector[part : part + 2] *= np.sqrt(scale)
        return vector

    still = np.zeros(space.dim, np.float32)
    still[0], still[1] = 0.97, np.sqrt(1 - 0.97**2)
    moving = [row(0.8 + 0.05 * rng.random(), 0.9) for _ in range(25)]
    rows = np.stack([still, *moving])
    videos_key = np.full(len(rows), key, np.int64)
    store = library.stores.open(space)
    store.replace(VectorRows(videos_key, np.arange(len(rows), dtype=np.int32), rows))
    with library.catalogue.transaction():
        library.catalogue._db.executemany(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, 0)",
            [(key, space.space_id, n, 10.0 * n, 10.0 * n + 5) for n in range(len(rows))],
        )
    asked = VectorQuery(query[None], np.zeros(1), np.full(1, 5.0), space.space_id)
    hits = search_vectors(library.catalogue, store, space, asked, k=5, where=Filter())
    assert hits[0].segment_id.endswith(":0")
    assert hits[0].score == pytest.approx(0.97, abs=1e-3)
