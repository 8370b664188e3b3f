"""The whole main job on sample video: make, index, search, check."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from soravec.cli.answer import hit_line
from soravec.cli.app import clock, say

if TYPE_CHECKING:
    from soravec.data.generated import SampleVideo
    from soravec.library.library import Library
    from soravec.types import Hit


@dataclass(frozen=True, slots=True)
class _Question:
    """A search whose right answer is known."""

    text: str
    command: str
    ask: Callable[[], "list[Hit]"]
    answers: tuple[tuple[Path, float, float], ...]
    """Path, start and end in seconds: the first hit must overlap one of them."""


def run_demo(keep: Path | None) -> bool:
    """Run it in a folder that is kept, or in a temporary one; return whether all was right."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    place = nullcontext(str(keep)) if keep is not None else tempfile.TemporaryDirectory()
    with place as folder:
        return _run(Path(folder).absolute(), kept=keep is not None)


def _run(folder: Path, *, kept: bool) -> bool:
    from soravec.data.generated import write_sample_videos
    from soravec.library.library import Library

    say("making sample video (H.264 and VP9, with one broken file) ...")
    samples = write_sample_videos(folder / "videos")
    annotations = folder / "captions.csv"
    _write_captions(samples, annotations)
    videos = [sample.path for sample in samples if sample.role in ("video", "broken")]
    started = time.monotonic()
    with Library(folder / "demo.library") as library:
        report = library.add(videos)
        took = time.monotonic() - started
        library.annotate(annotations)
        print(
            f"indexed {report.indexed} videos, {report.segments} segments, {report.failed} skipped;"
            f" {report.video_seconds / 60:.1f} minutes of video in {took:.1f} s"
        )
        for failure in report.failures:
            print(f"skipped, as it should be: {failure.message}")
        right = [_check(question) for question in _questions(library, samples)]
    complete = report.indexed + report.unchanged == len(videos) - 1 and report.failed == 1
    if not (all(right) and complete):
        say(f"the demo found something wrong: {sum(right)} of {len(right)} searches were right")
        return False
    print(f"\nall {len(right)} searches found what they had to. Now your own folder:\n")
    print(f"    {_ourselves()} index ~/Videos")
    if kept:
        print(f"\nKept in {folder}; go on with:\n")
        print(f"    {_ourselves()} search 星空 --library {folder / 'demo.library'}")
    return True


def _ourselves() -> str:
    """Return how this program is called from here."""
    if shutil.which("soravec"):
        return "soravec"
    called = Path(sys.argv[0])
    return str(called) if called.name == "soravec" else f"{sys.executable} -m soravec"


def _questions(library: "Library", samples: "list[SampleVideo]") -> list[_Question]:
    query = next(s for s in samples if s.role == "query")
    still = next(s for s in samples if s.role == "still")
    assert query.source_path is not None
    assert query.source_seconds is not None
    words = "星空"
    scene = still.shots[0][2]
    return [
        _Question(
            "a clip of another codec, size and quality",
            f"soravec search --video {query.path.name}",
            lambda: library.search(video=query.path, k=3),
            ((query.source_path, *query.source_seconds),),
        ),
        _Question(
            f"a picture of the scene '{scene}'",
            f"soravec search --image {still.path.name}",
            lambda: library.search(image=still.path, k=3),
            _places(samples, scene),
        ),
        _Question(
            "words of a caption (starry sky)",
            f"soravec search {words}",
            lambda: library.search(words, k=3),
            _places(samples, "starry sky"),
        ),
    ]


def _places(samples: "list[SampleVideo]", scene: str) -> tuple[tuple[Path, float, float], ...]:
    """Return where a scene is shown."""
    return tuple(
        (sample.path, start, end)
        for sample in samples
        if sample.role == "video"
        for start, end, name in sample.shots
        if name == scene
    )


def _check(question: _Question) -> bool:
    """Ask, print the hits, and return whether the first one is right."""
    hits = question.ask()
    right = bool(hits) and any(
        Path(hits[0].path) == path and hits[0].start_seconds < end and start < hits[0].end_seconds
        for path, start, end in question.answers
    )
    print(f"\n{question.text}:  {question.command}")
    for hit in hits:
        print(f"  {hit_line(replace(hit, path=Path(hit.path).name))}")
    path, start, end = question.answers[0]
    print(f"  {'right' if right else 'WRONG'}: {path.name}, {clock(start)} - {clock(end)}")
    return right


def _write_captions(samples: "list[SampleVideo]", file: Path) -> None:
    """Write the captions that a person might have given, in two languages."""
    from soravec.data.generated import SCENES

    chinese = {scene.name: scene.name_zh for scene in SCENES}
    lines = ["path,caption,start_seconds,end_seconds"]
    for sample in samples:
        if sample.role == "video":
            lines += [
                f"{sample.path},{name} {chinese[name]},{start},{end}"
                for start, end, name in sample.shots
            ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
