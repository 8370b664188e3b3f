"""What was forgotten is gone from the disk, and no password is told to anybody."""

import logging

import pytest

from soravec import IndexOptions, Library
from soravec.library.batch import embed_files
from soravec.runtime.encoder import load
from tests.library.conftest import vectors_of

from .canaries import Listener

SECRET = "qzxjwv-9137"


@pytest.mark.hostile("privacy: forget")
def test_nothing_of_a_forgotten_video_is_left_on_the_disk(tmp_path, videos, figures):
    path = tmp_path / "x.library"
    named = tmp_path / f"{SECRET}.mp4"
    named.write_bytes((videos / "1.mp4").read_bytes())
    table = tmp_path / "words.csv"
    table.write_text(f"path,label,caption\n{named},{SECRET},seen at {SECRET} by night\n")
    with Library(path) as library:
        others = tmp_path / "others"
        others.mkdir()
        for number in range(14):  # of which the forgotten one is a small part
            box = (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
            (others / f"{number}.mp4").write_bytes((videos / "2.mp4").read_bytes() + box)
        library.add([named, others, videos / "2.mp4"], progress=False)
        library.annotate(table)
        ((video_id,),) = library.catalogue.rows(
            "SELECT v.video_id FROM videos v JOIN paths p ON p.video_key = v.key WHERE p.path = ?",
            (str(named),),
        )
        vector = vectors_of(library)[video_id, 0]
        features = library.files.read(video_id, library.space().feature_id)
        needles = {
            "words": SECRET.encode(),
            "a part of them": b"zxj",  # as the index of words holds them
            "identity": video_id.encode(),
            "vector": vector[:16].tobytes(),
            "features": features.features[0, :64].tobytes(),
        }
        before = _found(path, needles)
        assert set(before) == set(needles), "the test would not see them"
        library.forget(named)
        assert library.search(video=videos / "2.mp4", k=1)[0].score > 0.99
        first_left = _found(path, needles)
        last = vectors_of(library)
        for path_of_last in [*sorted(others.iterdir()), videos / "2.mp4"]:
            library.forget(path_of_last)
    left = _found(path, {"last vector": next(iter(last.values()))[:16].tobytes()})
    figures.count(left and f"the last vector in {left}")
    for what, file in {**_found(path, needles), **first_left}.items():
        figures.count(f"{what} in {file}")
    for what in needles:
        figures.count()
        figures.note(f"looked for: {what}")


def _found(folder, needles):
    return {
        what: file.name
        for file in folder.rglob("*")
        if file.is_file()
        for what, needle in needles.items()
        if (len(needle) > 3 or file.name.startswith("catalogue"))
        and (needle in file.read_bytes() or needle in file.name.encode())
    }


@pytest.mark.hostile("privacy: passwords in URLs")
def test_a_password_in_a_url_is_told_to_nobody(tmp_path, figures, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    listener = Listener()
    url = listener.url.replace("http://", "http://me:hush-hush@")
    rtsp = "rtsp://me:hush-hush@127.0.0.1/live"
    try:
        with Library(tmp_path / "x.library") as library:
            for allowed in (False, True, "private"):
                options = IndexOptions(allow_urls=allowed)
                report = library.add([url, rtsp], options=options, progress=False)
                told = f"{report} {library.failures()}"
                figures.count("hush-hush" in told and told)
            for path in (tmp_path / "x.library").rglob("*"):
                if path.is_file():
                    figures.count(b"hush-hush" in path.read_bytes() and f"in {path.name}")
        for done in embed_files([url, rtsp], load(), allow_urls="private"):
            figures.count("hush-hush" in str(done) and str(done))
    finally:
        listener.close()
    out, err = capfd.readouterr()
    figures.count("hush-hush" in out + err + caplog.text and "logged")
    assert any("Authorization" in headers for headers in listener.headers), "it was never used"
