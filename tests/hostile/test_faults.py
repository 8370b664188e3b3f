"""Children that crash, hang and grow, among files that are sound."""

import random
from collections import Counter

import pytest

from soravec import IndexOptions, Library
from soravec.library import indexer
from soravec.video import Limits
from tests.video.making import Look, make

from .faulty_worker import FAULTS


@pytest.mark.hostile("faults of children among sound files")
def test_every_sound_file_completes_exactly_once(tmp_path, figures, is_long, monkeypatch):
    each, together = (200, 2_000) if is_long else (5, 60)
    videos = tmp_path / "videos"
    videos.mkdir()
    clip = tmp_path / "clip.mp4"
    make(clip, Look("mpeg4"), range(8))
    names = [f"{fault}-{n}" for fault in FAULTS for n in range(each)]
    names += [f"sound-{n}" for n in range(together - len(names))]
    random.Random(0).shuffle(names)
    for order, name in enumerate(names):  # a box of its own content makes each another file
        box = (16).to_bytes(4, "big") + b"free" + order.to_bytes(8, "big")
        fault, _, number = name.partition("-")
        (videos / f"{order:05}").mkdir()
        (videos / f"{order:05}" / f"{fault}-{number}.mp4").write_bytes(clip.read_bytes() + box)
    monkeypatch.setattr(indexer, "WORKER", "tests.hostile.faulty_worker")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path.cwd()))
    told = Counter()
    results = []

    def tell(result):
        told[result.path] += 1
        results.append(result)

    with Library(tmp_path / "faults.library") as library:
        options = IndexOptions(
            deadline_seconds=8.0, num_workers=2, limits=Limits(memory=800 * 2**20)
        )
        library.add(videos, options=options, on_result=tell, progress=False)
        assert library.verify() == []
        (stored,) = library.catalogue.rows("SELECT count(*) FROM paths")
    assert len(told) == together
    sound = 0
    for result in results:
        name = result.path.rpartition("/")[2]
        is_sound = name.startswith("sound")
        wrong = told[result.path] != 1 or (is_sound and result.status != "indexed")
        figures.count(f"{name}: {result.status} {result.message}" if wrong else None)
        sound += result.status == "indexed"
        kind = name.partition("-")[0]
        figures.note(f"{kind}: {result.status}")
        if result.status == "failed":
            assert result.error_type in ("WorkerError", "OutOfMemory", "UnreadableVideo"), result
    assert stored == (sound,)
    for fault in set(FAULTS) - {"leak"}:
        assert figures.facts.get(f"{fault}: failed") == each, figures.facts
