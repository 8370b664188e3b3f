import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from soravec import Filter, IndexOptions, Library
from soravec.errors import LibraryError
from soravec.library import indexer
from soravec.library.schema import Words
from soravec.library.words import find_words
from tests.cli.test_cli import json_lines, soravec
from tests.video.muxed import write_muxed

from .conftest import write_scenes

ENGLISH = [
    (0.5, 1.5, b"<i>Ladies and gentlemen,</i>"),
    (1.6, 2.5, b"welcome to the\nopening night"),
    (2.6, 3.4, b"of our harbour festival."),
]
CHINESE = [
    (0.5, 1.5, "女士们先生们".encode()),
    (1.6, 2.5, "欢迎来到开幕".encode()),
    (2.5, 3.4, "之夜".encode()),
]
CHAPTERS = [(0.0, 2.0, "Welcome speech"), (2.0, 4.0, "Fireworks")]
PHONE = {
    "title": "Evening walk",
    "com.apple.quicktime.location.ISO6709": "+37.3318-122.0312+010.000/",
    "com.apple.quicktime.creationdate": "2020-05-01T12:34:56+0200",
}
SRT = "1\n00:00:00,500 --> 00:00:01,500\n{}\n"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Four seconds without words."""
    return write_scenes(tmp_path_factory.mktemp("plain") / "plain.mp4", [(1, 4.0)])


@pytest.fixture(scope="module")
def films(plain, tmp_path_factory):
    """A film with two languages and chapters, one from a telephone, and one with a sidecar."""
    folder = tmp_path_factory.mktemp("films")
    write_muxed(
        folder / "film.mkv",
        plain,
        subtitles=[("subrip", "eng", 1, ENGLISH), ("subrip", "chi", 0, CHINESE)],
        chapters=CHAPTERS,
        metadata={"title": "Festival film"},
    )
    options = {"movflags": "use_metadata_tags"}
    write_muxed(folder / "phone.mov", plain, metadata=PHONE, options=options)
    shutil.copy(plain, folder / "beside.mp4")
    (folder / "beside.zh-Hans.srt").write_bytes(
        SRT.format("重叠的字幕，很好看。").encode("gb18030")
    )
    return folder


@pytest.fixture(scope="module")
def indexed(films, tmp_path_factory):
    """The films in a library, through the command line."""
    path = tmp_path_factory.mktemp("indexed") / "l.library"
    done = soravec("index", films, "--library", path, "--json")
    assert json_lines(done)[-1] == {"indexed": 3, "unchanged": 0, "failed": 0, "segments": 3}
    return path


@pytest.fixture
def found(indexed):
    with Library(indexed, create=False) as library:
        yield lambda text: [
            (Path(hit.path).name, hit.start_seconds, hit.end_seconds, hit.text, hit.language)
            for hit in library.search(text)
        ]


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "b.library") as library:
        yield library


def add(library, *paths, **options):
    results = []
    library.add(paths, options=IndexOptions(**options), on_result=results.append, progress=False)
    return [(Path(r.path).name, r.status) for r in results]


def texts(library):
    return {hit.text for word in ("first", "second", "third") for hit in library.search(word)}


def stored(library):
    """All that a library holds, as bytes."""
    library.catalogue.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(f.read_bytes() for f in library.path.rglob("*") if f.is_file())


# Found by search


def test_a_subtitle_is_found_with_its_moment_and_language(indexed):
    (hit,) = json_lines(soravec("search", "gentlemen", "--library", indexed, "--json"))
    assert Path(hit["path"]).name == "film.mkv"
    assert (hit["start_seconds"], hit["end_seconds"]) == (0.5, 1.5)
    assert (hit["text"], hit["language"]) == ("Ladies and gentlemen,", "eng")
    assert 0 < hit["score"] <= 1
    line = soravec("search", "gentlemen", "--library", indexed).stdout
    assert "0:00:00.5 - 0:00:01.5" in line
    assert "(Ladies and gentlemen,)" in line


@pytest.mark.parametrize("term", ["先", "先生", "先生们"])
def test_chinese_is_found_by_terms_of_any_length(found, term):
    assert found(term) == [("film.mkv", 0.5, 1.5, "女士们先生们", "chi")]


def test_a_sidecar_is_found(found):
    assert found("字幕") == [("beside.mp4", 0.5, 1.5, "重叠的字幕，很好看。", "zh-Hans")]


def test_chapters_and_titles_are_found(found):
    assert found("Fireworks") == [("film.mkv", 2.0, 4.0, "Fireworks", None)]
    name, start, _, text, _ = found('"Festival film"')[0]
    assert (name, start, text) == ("film.mkv", 0.0, "Festival film")
    assert found("Evening")[0][0] == "phone.mov"


def test_a_phrase_is_found_within_and_across_subtitles(found):
    within = ("film.mkv", 1.6, 2.5, "welcome to the opening night", "eng")
    assert found('"the opening"') == [within]
    ((name, start, end, text, language),) = found('"opening night of our"')
    assert (name, start, end, language) == ("film.mkv", 1.6, 3.4, "eng")
    assert text == "welcome to the opening night of our harbour festival."
    assert found("开幕之夜") == [("film.mkv", 1.6, 3.4, "欢迎来到开幕之夜", "chi")]
    assert found('"night opening"') == []
    assert found('"gentlemen, of our"') == []


def test_terms_may_lie_in_several_subtitles(found):
    assert [start for _, start, *_ in found("gentlemen harbour")] == [0.5, 2.6]
    assert found("gentlemen nowhere") == []


def test_a_chapter_says_more_than_a_subtitle(found):
    assert [text for *_, text, _ in found("welcome")] == [
        "Welcome speech",
        "welcome to the opening night",
    ]


def test_the_time_of_recording_is_a_filter(indexed):
    with Library(indexed, create=False) as library:
        old = library.search("mp4", where=Filter(before="2021-01-01"))
        assert old == []
        (hit,) = library.search("mov", where=Filter(before="2021-01-01"))
        assert hit.path.endswith("phone.mov")
        key = library.catalogue.video_key(hit.video_id)
        assert library.catalogue.info(key).location == (37.3318, -122.0312)


@pytest.mark.parametrize(
    "query",
    ['"', "OR x", 'a"b', '"unclosed phrase', "100%", "NEAR(a b)", "\\N", "'; --", '"a" "b'],
)
def test_text_that_looks_like_a_query_is_harmless(found, query):
    assert found(query) == []


# Kept up to date


def test_sidecars_come_change_and_go_without_decoding(plain, tmp_path, library):
    clip = Path(shutil.copy(plain, tmp_path / "clip.mp4"))
    sidecar = clip.with_suffix(".srt")
    assert add(library, clip) == [("clip.mp4", "indexed")]
    features = {path: path.stat().st_mtime_ns for path in library.files.root.rglob("*.safetensors")}
    assert add(library, clip) == [("clip.mp4", "unchanged")]
    sidecar.write_text(SRT.format("the first version"))
    assert add(library, clip) == [("clip.mp4", "updated")]
    assert texts(library) == {"the first version"}
    assert add(library, clip) == [("clip.mp4", "unchanged")]
    sidecar.write_text(SRT.format("the second version"))
    assert add(library, clip) == [("clip.mp4", "updated")]
    assert texts(library) == {"the second version"}
    sidecar.unlink()
    assert add(library, clip) == [("clip.mp4", "updated")]
    assert texts(library) == set()
    assert features == {path: path.stat().st_mtime_ns for path in features}
    assert library.verify() == []


def test_equal_videos_have_each_their_own_sidecars(plain, tmp_path, library):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shutil.copy(plain, tmp_path / name / "clip.mp4")
        (tmp_path / name / "clip.srt").write_text(SRT.format(f"words of the {name} folder"))
    assert sorted(status for _, status in add(library, tmp_path)) == ["indexed", "moved"]
    both = {"words of the first folder", "words of the second folder"}
    (hit,) = library.search('"words of the"')  # at the same moment of the same video
    assert hit.text in both
    assert [library.search(f'"{text}"')[0].text for text in both] == list(both)
    shutil.rmtree(tmp_path / "first")
    assert ("clip.mp4", "removed") in add(library, tmp_path)
    (hit,) = library.search('"words of the"')
    assert hit.text == "words of the second folder"
    assert library.catalogue.rows("SELECT text FROM texts WHERE text LIKE '%first%'") == []


def test_nothing_of_the_metadata_is_stored_when_that_is_not_wanted(films, tmp_path, library):
    phone = Path(shutil.copy(films / "phone.mov", tmp_path / "phone.mov"))
    assert add(library, phone) == [("phone.mov", "indexed")]
    traces = (b"Evening walk", b"37.3318", b"2020-05-01")
    data = stored(library)
    assert all(trace in data for trace in traces)
    assert add(library, phone, metadata=False) == [("phone.mov", "updated")]
    assert library.search("Evening") == []
    ((recorded, info),) = library.catalogue.rows("SELECT recorded, info FROM videos")
    assert recorded == pytest.approx(phone.stat().st_mtime)
    info = json.loads(info)
    assert (info["title"], info["location"], info["created"], info["chapters"]) == (
        None,
        None,
        None,
        [],
    )
    header = next(library.files.root.rglob("*.safetensors")).read_bytes()
    assert not any(trace in header for trace in traces)
    assert add(library, phone) == [("phone.mov", "updated")]
    assert library.search("Evening")[0].text == "Evening walk"


def test_without_metadata_and_subtitles_from_the_start(films, tmp_path):
    path = tmp_path / "l.library"
    soravec("index", films, "--library", path, "--no-metadata", "--no-subtitles")
    with Library(path, create=False) as library:
        kinds = library.catalogue.rows("SELECT DISTINCT kind FROM texts")
        assert kinds == [("name",)]
        data = stored(library)
        assert not any(trace in data for trace in (b"Evening walk", b"37.3318", b"gentlemen"))
    (facts,) = json_lines(soravec("probe", films / "phone.mov", "--json", "--no-metadata"))
    assert (facts["title"], facts["location"], facts["created"]) == (None, None, None)
    (facts,) = json_lines(soravec("probe", films / "phone.mov", "--json"))
    assert (facts["title"], facts["created"]) == ("Evening walk", "2020-05-01T12:34:56+02:00")


def test_damaged_subtitles_are_a_warning_and_the_video_is_indexed(plain, tmp_path, library):
    clip = Path(shutil.copy(plain, tmp_path / "clip.mp4"))
    clip.with_suffix(".srt").write_bytes(b"\x00\xff nothing" * 100)
    results = []
    library.add(clip, on_result=results.append, progress=False)
    (result,) = results
    assert result.status == "indexed"
    assert "clip.srt: it holds no subtitles" in result.message
    ((info,),) = library.catalogue.rows("SELECT info FROM videos")
    assert any("clip.srt" in warning for warning in json.loads(info)["warnings"])


def test_a_worker_that_dies_of_words_does_not_cost_the_video(plain, tmp_path, library, monkeypatch):
    monkeypatch.setattr(indexer, "WORKER", "tests.library.dying_worker")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    clip = Path(shutil.copy(plain, tmp_path / "clip.mp4"))
    clip.with_suffix(".srt").write_text(SRT.format("first"))
    results = []
    report = library.add(clip, on_result=results.append, progress=False)
    assert (report.indexed, report.failed, report.segments) == (1, 0, 1)
    (result,) = results
    assert "subtitles: not read" in result.message
    assert "SIGKILL" in result.message
    assert texts(library) == set()
    assert library.verify() == []
    assert add(library, clip) == [("clip.mp4", "unchanged")]  # not tried again and again


# The catalogue


def test_a_library_of_the_first_format_is_brought_up_to_date(films, tmp_path, indexed):
    path = shutil.copytree(indexed, tmp_path / "old.library")
    film = str(films / "film.mkv")
    new = (path / "catalogue.db").rename(tmp_path / "new.db")
    old = sqlite3.connect(path / "catalogue.db")
    old.executescript(Path(__file__).with_name("catalogue_v1.sql").read_text())
    old.execute("ATTACH ? AS new", (str(new),))
    for table in ("videos", "paths", "failures", "spaces", "embeddings", "segments", "texts"):
        columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
        old.execute(f"INSERT INTO main.{table}({columns}) SELECT {columns} FROM new.{table}")
    old.execute("DELETE FROM texts WHERE kind <> 'name'")
    old.commit()
    old.close()
    with Library(path, create=False) as library:
        assert library.catalogue.rows("SELECT value FROM meta") == [("2",)]
        assert library.search("film")[0].path == film
        assert film in {hit.path for hit in library.search(video=film)}
        assert library.search("gentlemen") == []
        assert sorted(add(library, films)) == [
            ("beside.mp4", "updated"),
            ("film.mkv", "updated"),
            ("phone.mov", "updated"),
        ]
        assert library.search("gentlemen")[0].language == "eng"
        assert {status for _, status in add(library, films)} == {"unchanged"}
    with Library(indexed, create=False) as new, Library(path, create=False) as old_one:
        sql = "SELECT kind, text, start_seconds, language FROM texts ORDER BY 1, 2, 3, 4"
        assert new.catalogue.rows(sql) == old_one.catalogue.rows(sql)


def test_a_format_of_the_future_is_refused(tmp_path):
    with Library(tmp_path / "l.library") as library:
        library.catalogue.rows("UPDATE meta SET value = '4' WHERE key = 'format_version'")
    with pytest.raises(LibraryError, match="format version 4"):
        Library(tmp_path / "l.library")


def test_words_of_a_source_are_replaced(tmp_path, indexed):
    path = shutil.copytree(indexed, tmp_path / "l.library")
    with Library(path, create=False) as library:
        ((key,),) = library.catalogue.rows("SELECT video_key FROM paths WHERE path LIKE '%.mkv'")
        for text in ("before", "after"):
            with library.catalogue.transaction():
                library.catalogue.put_words(key, "subtitle", "x", [Words(text, 1.0, 2.0, "en")] * 2)
        assert find_words(library.catalogue, "before") == []
        (match,) = find_words(library.catalogue, "after")
        assert (match.start_seconds, match.end_seconds, match.language) == (1.0, 2.0, "en")
