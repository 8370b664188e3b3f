import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import soravec
from soravec import Filter, IndexOptions, Library
from soravec.errors import (
    LibraryBusy,
    LibraryError,
    MissingVideo,
    ModelError,
    QueryError,
)

from .conftest import PLANS, rows_of, vectors_of, write_scenes


@pytest.fixture(scope="module")
def made(corpus, tmp_path_factory):
    """A library of the corpus that no test changes."""
    library = Library(tmp_path_factory.mktemp("made") / "a.library")
    library.report = library.add(corpus, progress=False)
    return library


@pytest.fixture
def videos(corpus, tmp_path):
    return shutil.copytree(corpus, tmp_path / "videos")


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "b.library") as library:
        yield library


def add(library, *paths, **options):
    return library.add(paths, options=IndexOptions(**options), progress=False)


def test_good_files_are_indexed_and_the_bad_one_is_listed(made, corpus):
    report = made.report
    assert (report.indexed, report.unchanged, report.failed) == (4, 0, 1)
    assert report.segments == 6
    ((path, kind, message),) = made.failures()
    assert path == str(corpus / "broken.mp4")
    assert kind == "UnreadableVideo"
    assert "broken.mp4" in message
    summary = made.summary()
    assert (summary.videos, summary.segments, summary.failures) == (4, 6, 1)
    assert summary.video_seconds == pytest.approx(22, abs=0.2)
    assert made.verify() == []


def test_the_vectors_are_those_of_the_encoder(made, corpus):
    stored = vectors_of(made)
    result = soravec.load().embed(corpus / "desert.mp4")
    key = made.catalogue.rows("SELECT video_key FROM paths WHERE path LIKE '%desert.mp4'")[0][0]
    video_id = made.catalogue.video_id(key)
    for ordinal, segment in enumerate(result.segments):
        assert stored[video_id, ordinal] @ segment.vector > 0.9999


def test_a_second_run_does_nothing(library, videos):
    add(library, videos)
    before = rows_of(library)
    report = add(library, videos)
    assert (report.indexed, report.unchanged, report.failed) == (0, 4, 1)
    assert rows_of(library) == before


def test_a_moved_file_is_recognised(library, videos):
    add(library, videos)
    segments, _ = rows_of(library)
    (videos / "harbour.mp4").rename(videos / "port.mp4")
    report = add(library, videos)
    assert (report.indexed, report.unchanged, report.moved, report.removed) == (0, 4, 1, 1)
    assert rows_of(library)[0] == segments
    assert [h.path for h in library.search("port")] == [str(videos / "port.mp4")]
    assert library.search("harbour.mp4") == []


def test_a_deleted_file_is_no_longer_found_and_comes_back_for_free(library, videos):
    add(library, videos)
    gone = videos / "harbour.mp4"
    data = gone.read_bytes()
    hit = library.search(video=gone, k=1)[0]
    assert hit.path == str(gone)
    query = shutil.copy(gone, videos.parent / "query.mp4")
    gone.unlink()
    assert add(library, videos).removed == 1
    assert str(gone) not in [h.path for h in library.search(video=query, k=10)]
    assert library.summary().absent == 1
    gone.write_bytes(data)
    report = add(library, videos)
    assert (report.indexed, report.unchanged) == (0, 4)
    assert library.search(video=query, k=1)[0].path == str(gone)
    assert library.verify() == []


def test_a_folder_that_is_not_there_takes_nothing_out_of_the_library(library, videos):
    add(library, videos)
    videos.rename(videos.with_name("unmounted"))
    report = add(library, videos)
    assert (report.removed, report.failed) == (0, 1)
    assert library.search("harbour")
    assert library.summary().absent == 0


def test_a_changed_file_is_indexed_anew(library, videos):
    add(library, videos)
    write_scenes(videos / "harbour.mp4", [(11, 4.0)], seed=77)
    report = add(library, videos)
    assert (report.indexed, report.unchanged) == (1, 3)
    assert library.search(video=videos / "harbour.mp4", k=1)[0].path == str(videos / "harbour.mp4")


def test_equal_files_are_one_video_with_two_paths(library, videos):
    shutil.copy(videos / "harbour.mp4", videos / "copy.mp4")
    shutil.copy(videos / "broken.mp4", videos / "broken2.mp4")
    report = add(library, videos, num_workers=2)
    assert (report.indexed, report.unchanged, report.failed) == (4, 1, 2)
    assert library.summary().videos == 4
    assert sorted(path for path, _, _ in library.failures()) == [
        str(videos / "broken.mp4"),
        str(videos / "broken2.mp4"),
    ]


def test_a_path_that_is_not_there_fails_and_the_rest_goes_on(library, videos):
    report = add(library, videos / "nothing.mp4", videos / "harbour.mp4")
    assert (report.indexed, report.failed) == (1, 1)
    assert report.failures[0].error_type == MissingVideo.__name__


def test_verify_reads_files_that_only_look_unchanged(library, videos):
    """Another video of the same size and time, both padded with zeros."""
    target = videos / "harbour.mp4"
    other = write_scenes(videos.parent / "other.mp4", [(7, 4.0)]).read_bytes()
    size = max(target.stat().st_size, len(other))
    target.write_bytes(target.read_bytes().ljust(size, b"\0"))
    add(library, videos)
    times = target.stat()
    target.write_bytes(other.ljust(size, b"\0"))
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert add(library, videos).indexed == 0
    assert add(library, videos, verify=True).indexed == 1


def test_a_failed_file_is_tried_again_when_asked(library, videos):
    add(library, videos)
    seen = []
    library.add(
        videos, options=IndexOptions(retry_failed=True), on_result=seen.append, progress=False
    )
    assert [r.status for r in seen if r.path.endswith("broken.mp4")] == ["failed"]


def test_what_overran_its_deadline_is_listed_and_tried_again(library, videos):
    report = add(library, videos, deadline_seconds=0.001)
    assert (report.indexed, report.failed) == (0, 5)
    overran = [f for f in report.failures if f.error_type == "WorkerError"]
    assert len(overran) >= 3
    assert all("deadline" in f.message for f in overran)
    assert add(library, videos).indexed == 4


def test_names_of_every_kind(library, videos):
    data = (videos / "harbour.mp4").read_bytes()
    names = ["雪山 夜.mp4", "quo'te\".mp4", "per%cent_under.mp4", "-dash.mp4", " space .mp4"]
    for number, name in enumerate(names):
        (videos / name).write_bytes(data + bytes(number + 1))
    (videos / os.fsdecode(b"latin-\xe9.mp4")).write_bytes(data)
    report = add(library, *[videos / name for name in names])
    assert report.indexed == len(names)
    assert [h.path for h in library.search("雪山")] == [str(videos / names[0])]
    assert [h.path for h in library.search("per%cent_u")] == [str(videos / names[2])]
    report = add(library, videos)
    (failure,) = [f for f in report.failures if "latin" in f.path]
    assert "not valid UTF-8" in failure.message


def test_a_pipe_is_no_file(library, videos):
    os.mkfifo(videos / "endless.mp4")
    report = add(library, videos / "endless.mp4", videos / "harbour.mp4")
    assert (report.indexed, report.failed) == (1, 1)
    assert "not a regular file" in report.failures[0].message


def test_a_new_model_on_the_same_cnn_decodes_nothing(library, videos, tmp_path):
    add(library, videos)
    old = library.space()
    encoder = model_of_another_space(tmp_path / "other")
    for path in [*videos.rglob("*.mp4"), *videos.rglob("*.webm")]:
        times = path.stat()
        path.write_bytes(b"\0" * times.st_size)  # nothing is left to decode
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert encoder.feature_id == old.feature_id
    report = library.add(videos, encoder=encoder, progress=False)
    assert (report.indexed, report.failed) == (4, 1)
    assert library.space().space_id == encoder.space_id != old.space_id
    assert len(vectors_of(library)) == 6
    assert library.verify() == []


def model_of_another_space(folder):
    """The bundled model with another weight of motion."""
    shutil.copytree(soravec.load().folder.path, folder)
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    raw["temporal"]["motion_weight"] = 0.45
    raw["space_id"] = "feedfeedfeedfeed"
    path.write_text(json.dumps(raw))
    return soravec.load(folder)


def test_queries_of_another_space_are_refused(made, videos, tmp_path):
    from soravec.library.search import VectorQuery, search_vectors

    query = VectorQuery(np.ones((1, 3), np.float32), np.zeros(1), np.ones(1), "elsewhere")
    with pytest.raises(ModelError, match="Make the query with the library's model"):
        search_vectors(
            made.catalogue, made.stores.open(made.space()), made.space(), query, k=1, where=Filter()
        )


def test_two_writers_exclude_each_other_and_readers_go_on(made, videos):
    with made._lock.held():
        second = Library(made.path)
        with pytest.raises(LibraryBusy, match="another process is writing"):
            second.add(videos, progress=False)
        assert second.search("desert")
        second.close()


def test_an_open_library_sees_what_another_writes(library, videos):
    add(library, videos / "desert.mp4")
    query = videos / "harbour.mp4"
    assert library.search(video=query)[0].path.endswith("desert.mp4")
    with Library(library.path) as other:
        add(other, videos)
    (best, *_) = library.search(video=query)
    assert best.path.endswith("harbour.mp4")
    with Library(library.path) as other:
        other.repair()
    assert library.search(video=query)[0] == best
    assert library.stores.open(library.space()) is library.stores.open(library.space())


def test_an_empty_library_says_what_to_do(library):
    with pytest.raises(LibraryError, match="soravec index VIDEOS"):
        library.search("anything")
    with pytest.raises(LibraryError, match="no library here"):
        Library(library.path / "nowhere", create=False)


def test_a_catalogue_that_is_not_one_is_a_clear_error(tmp_path):
    (tmp_path / "catalogue.db").write_bytes(b"this is not a database, not at all" * 100)
    with pytest.raises(LibraryError, match="cannot be used as a catalogue"):
        Library(tmp_path)


def test_lost_vectors_are_rebuilt_from_features(library, videos):
    add(library, videos)
    before = vectors_of(library)
    shutil.rmtree(library.path / "vectors")
    assert library.search(video=videos / "harbour.mp4", k=1)[0].score == pytest.approx(1, abs=1e-3)
    after = vectors_of(library)
    assert before.keys() == after.keys()
    assert min(before[key] @ after[key] for key in before) > 0.9999


def test_damaged_features_are_found_and_repaired_by_decoding(library, videos):
    add(library, videos)
    victim = next((library.path / "features").rglob("*.safetensors"))
    victim.write_bytes(victim.read_bytes()[:100])
    assert any("missing or damaged" in problem for problem in library.verify())
    library.repair()
    report = add(library, videos)
    assert (report.indexed, report.unchanged) == (1, 3)
    assert library.verify() == []


def test_forget_leaves_nothing(library, videos):
    add(library, videos)
    video_id = library.forget(videos / "harbour.mp4")
    assert library.search("harbour") == []
    assert video_id not in {video for video, _ in vectors_of(library)}
    assert list((library.path / "features").rglob(f"*{video_id}*")) == []
    assert library.verify() == []
    with pytest.raises(QueryError, match="not in this library"):
        library.forget(videos / "harbour.mp4")


def test_it_works_from_a_script_without_a_main_guard(corpus, tmp_path):
    script = tmp_path / "plain.py"
    script.write_text(
        "import soravec\n"
        f"library = soravec.Library({str(tmp_path / 'c.library')!r})\n"
        f"report = library.add({str(corpus)!r})\n"
        "print(report.indexed, report.failed)\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout == "4 1\n", done.stderr


@pytest.mark.parametrize("name", sorted(PLANS))
def test_every_video_finds_itself(made, corpus, name):
    hit = made.search(video=corpus / name, k=1)[0]
    assert hit.path == str(corpus / name)
    assert hit.score == pytest.approx(1, abs=1e-3)
    assert hit.start_seconds == pytest.approx(0)


def test_a_span_finds_its_place(made, corpus):
    hits = made.search(video=corpus / "desert.mp4", start_seconds=4.0, end_seconds=7.0, k=2)
    assert hits[0].path == str(corpus / "desert.mp4")
    assert hits[0].start_seconds == pytest.approx(4.0, abs=0.1)


def test_like_does_not_answer_itself(made, corpus):
    hit = made.search(video=corpus / "harbour.mp4", k=1)[0]
    others = made.search(like=hit.segment_id, k=10)
    assert others
    assert hit.segment_id not in [h.segment_id for h in others]


@pytest.mark.parametrize("bad", ["nonsense", "nonsense:0", "0123:x"])
def test_a_segment_that_is_not_there_is_an_error(made, bad):
    with pytest.raises(QueryError, match="no segment"):
        made.search(like=bad)


def test_one_question_at_a_time(made, corpus):
    with pytest.raises(QueryError, match="exactly one"):
        made.search("desert", video=corpus / "desert.mp4")
    with pytest.raises(QueryError, match="exactly one"):
        made.search()


def test_a_bad_query_video_is_its_own_error(made, corpus):
    with pytest.raises(soravec.VideoError, match=r"broken\.mp4"):
        made.search(video=corpus / "broken.mp4")


def test_filters_by_path_duration_and_date(made, corpus):
    def paths(**conditions):
        hits = made.search(video=corpus / "desert.mp4", where=Filter(**conditions), k=20)
        return {os.path.relpath(h.path, corpus) for h in hits}

    assert paths() == set(PLANS)
    assert paths(path="*/sub/*") == {"sub/forest.webm", "sub/meadow.mp4"}
    assert paths(path="meadow") == {"sub/meadow.mp4"}
    assert paths(min_seconds=5.5) == {"desert.mp4", "sub/forest.webm"}
    assert paths(max_seconds=4.5) == {"harbour.mp4"}
    assert paths(after="2000-01-01") == set(PLANS)
    assert paths(before="2000-01-01") == set()
    with pytest.raises(QueryError, match="not a date"):
        paths(before="yesterday")


def test_words_labels_and_captions(library, videos, tmp_path):
    add(library, videos)
    table = tmp_path / "words.csv"
    table.write_text(
        "path,label,caption,tag,start_seconds,end_seconds\n"
        f"{videos}/desert.mp4,journey,红色沙漠 a red desert,,0,4\n"
        f"{videos}/desert.mp4,,蓝色海洋 the blue ocean,sea,4,7\n"
        f"{videos}/sub/meadow.mp4,garden,,flower,,\n"
    )
    assert library.annotate(table) == 6
    assert library.annotate(table) == 6  # again: nothing is doubled
    (hit,) = library.search("海洋")
    assert (hit.start_seconds, hit.end_seconds) == (4.0, 7.0)
    assert hit.path == str(videos / "desert.mp4")
    assert library.search("RED desert")[0].start_seconds == 0.0
    assert library.search("海")[0].start_seconds == 4.0
    assert library.search("red nonsense") == []
    assert library.search("100%") == []
    hits = library.search(video=videos / "harbour.mp4", where=Filter(label="garden"))
    assert {h.path for h in hits} == {str(videos / "sub/meadow.mp4")}
    assert library.search("flower", where=Filter(path="desert")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,lable\na.mp4,x\n", "unknown column 'lable'; did you mean 'label'"),
        ("path,label\n,x\n", "row 2: no path"),
        ("path,label,start_seconds,end_seconds\na.mp4,x,5,\n", "go together"),
        ("path,label,start_seconds,end_seconds\na.mp4,x,5,4\n", "ends at 4.0 s"),
        ("path,label,start_seconds,end_seconds\na.mp4,x,abc,4\n", "'abc', not a number"),
        ("path,label\na.mp4,\n", "neither label, caption nor tag"),
        ("path,label\nnowhere.mp4,x\n", "not in the library"),
    ],
)
def test_bad_annotations_name_the_row_and_change_nothing(made, tmp_path, text, message):
    table = tmp_path / "words.csv"
    table.write_text(text)
    before = made.catalogue.rows("SELECT count(*) FROM texts")
    with pytest.raises(QueryError, match=message):
        made.annotate(table)
    assert made.catalogue.rows("SELECT count(*) FROM texts") == before
