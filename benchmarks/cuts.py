"""How well cuts, dissolves and fades are found, beside PySceneDetect, and what that costs.

    python benchmarks/cuts.py [--photos DIR] [--data DIR] [--videos 36] [--half test]

Draws video with known transitions (`cut_corpus.py`), of seeds that were not tuned on unless
`--half tune` is given. A cut is met within two frames. A dissolve or fade is met by one that
overlaps it and whose middle lies in it, or a quarter of a second beside. PySceneDetect does not say
which of its boundaries are gradual: one that lies in a gradual transition counts as having met it,
never as wrong, and its thresholds are its own. `--real DIR` lists what is found in a folder of real
clips instead, and `--fit` computes the network of the dissolves anew, from the half for tuning.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from soravec.data.generated import SCENES, render
from soravec.data.scenes import paint
from soravec.types import Transition
from soravec.video import AtRate, VideoReader, VideoWriter, reader

ABOUT_SECONDS = 0.25
Scores = Counter[str]


def find(path: Path) -> tuple[Transition, ...]:
    with VideoReader(path) as video:
        for _ in video.read(AtRate(2), size=(32, 32)):
            pass
        return video.shots.transitions


def find_with_pyscenedetect(path: Path, name: str) -> list[float]:
    warnings.simplefilter("ignore", DeprecationWarning)
    import scenedetect

    logging.getLogger("pyscenedetect").setLevel(logging.ERROR)
    scenes = scenedetect.detect(str(path), getattr(scenedetect, name)())
    return [float(start.seconds) for start, _ in scenes][1:]


def score(found: Sequence[Transition], truths: list[dict], frame_seconds: float) -> Scores:
    """Count what is met, missed and wrong: `hard` and `gradual`, and which kinds were missed."""
    scores: Scores = Counter()
    cuts = [one.start_seconds for one in found if one.kind == "cut"]
    gradual = [one for one in found if one.kind != "cut"]
    for truth in (truth for truth in truths if truth["scored"]):
        if truth["kind"] == "cut":
            met = [cut for cut in cuts if abs(cut - truth["start"]) < 2.01 * frame_seconds]
            scores["hard met" if met else "hard missed"] += 1
            if met:
                cuts.remove(met[0])
            continue
        best = next((one for one in gradual if _meets(one, truth)), None)
        scores["gradual met" if best else "gradual missed"] += 1
        scores[f"{truth['kind']} {'met' if best else 'missed'}"] += 1
        if best:
            gradual.remove(best)
    fades = [truth for truth in truths if not truth["scored"]]
    scores["hard wrong"] += len(cuts)
    scores["gradual wrong"] += sum(
        not any(_overlap(one, fade) for fade in fades) for one in gradual
    )
    return scores


def score_boundaries(found: list[float], truths: list[dict], frame_seconds: float) -> Scores:
    """Count the same for a detector that gives instants without a kind."""
    scores: Scores = Counter()
    left = list(found)
    for truth in (truth for truth in truths if truth["kind"] == "cut"):
        met = [cut for cut in left if abs(cut - truth["start"]) < 2.01 * frame_seconds]
        scores["hard met" if met else "hard missed"] += 1
        if met:
            left.remove(met[0])
    for truth in (truth for truth in truths if truth["kind"] != "cut"):
        start, end = truth["start"] - ABOUT_SECONDS, truth["end"] + ABOUT_SECONDS
        met = [cut for cut in left if start <= cut <= end]
        left = [cut for cut in left if cut not in met]
        if truth["scored"]:
            scores["gradual met" if met else "gradual missed"] += 1
            scores[f"{truth['kind']} {'met' if met else 'missed'}"] += 1
    scores["hard wrong"] = scores["gradual wrong"] = len(left)
    return scores


def _meets(one: Transition, truth: dict) -> bool:
    start, end = truth["start"] - ABOUT_SECONDS, truth["end"] + ABOUT_SECONDS
    return start <= one.boundary_seconds <= end and _overlap(one, truth)


def _overlap(one: Transition, truth: dict) -> bool:
    return one.start_seconds < truth["end"] and truth["start"] < one.end_seconds


def shown(name: str, scores: Scores) -> str:
    words = [f"{name:32}"]
    for kind in ("hard", "gradual"):
        met, missed, wrong = (scores[f"{kind} {what}"] for what in ("met", "missed", "wrong"))
        precision, recall = met / max(met + wrong, 1), met / max(met + missed, 1)
        f1 = 2 * met / max(2 * met + wrong + missed, 1)
        words.append(f"{kind} P {precision:.3f} R {recall:.3f} F1 {f1:.3f}")
    for kind in ("dissolve", "fade"):
        met = scores[f"{kind} met"]
        words.append(f"{kind}s {met}/{met + scores[f'{kind} missed']}")
    return "  ".join(words)


def compare(folder: Path, *, others: Sequence[str]) -> None:
    """Print what is met, missed and wrong, in all videos of a folder with their truth."""
    totals: dict[str, Scores] = {"soravec": Counter()} | {name: Counter() for name in others}
    for path in sorted(folder.glob("*.mp4")):
        truths = json.loads(path.with_suffix(".json").read_text())
        with VideoReader(path) as video:
            frame_seconds = 1 / video.info.native_fps
        totals["soravec"] += score(find(path), truths, frame_seconds)
        for name in others:
            cuts = find_with_pyscenedetect(path, name)
            totals[name] += score_boundaries(cuts, truths, frame_seconds)
    for name, scores in totals.items():
        print(shown(name, scores))


class NoDetector:
    """In place of the detector, to see what it costs."""

    def add(self, *_: object) -> None:
        """Look away."""

    def finish(self) -> list[Transition]:
        """Return nothing."""
        return []


def print_cost(path: Path, rounds: int) -> None:
    """Print the processor time of a pass with and without detection, taking turns."""
    with_detection, without = reader.CutDetector, NoDetector
    seconds: dict[type, list[float]] = {with_detection: [], without: []}
    try:
        for _ in range(rounds):
            for kind, taken in seconds.items():
                reader.CutDetector = kind
                began = time.process_time()
                with VideoReader(path) as video:
                    for _ in video.read(AtRate(2), size=(224, 224)):
                        pass
                taken.append(time.process_time() - began)
    finally:
        reader.CutDetector = with_detection
    on, off = (statistics.median(seconds[kind]) for kind in (with_detection, without))
    least = min(seconds[with_detection]) / min(seconds[without])
    print(f"{path.name}: pass {off:.3f} s, with detection {on:.3f} s: {on / off - 1:+.1%}", end=" ")
    print(f"(of the fastest rounds {least - 1:+.1%})")


def draw_moving_scenes(path: Path) -> None:
    """Draw the video of `reading.py`: 60 s, 480x360, H.264, ten shots."""
    worlds = [paint(SCENES[number]) for number in (4, 6, 10)]
    with VideoWriter(path, width=480, height=360, fps=25) as writer:
        for shot in range(10):
            for image in render(worlds[shot % 3], 150, width=480, height=360, seed=shot):
                writer.write(image)


def list_real(folder: Path) -> None:
    """List every transition found in the clips of a folder."""
    clips = sorted(path for path in folder.rglob("*") if path.suffix in (".avi", ".mp4"))
    found = {path: find(path) for path in clips}
    for path, transitions in found.items():
        for one in transitions:
            print(f"{path.name} {one.kind} {one.start_seconds:.2f} s to {one.end_seconds:.2f} s")
    print(f"{sum(map(bool, found.values()))} of {len(clips)} clips show a transition")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="photographs to film")
    parser.add_argument("--data", type=Path, help="real clips without cuts to join")
    parser.add_argument("--videos", type=int, default=36, help="how many (36)")
    parser.add_argument("--half", choices=("test", "tune"), default="test", help="seeds (test)")
    parser.add_argument("--folder", type=Path, help="keep the drawn video here, or find it here")
    parser.add_argument("--alone", action="store_true", help="leave PySceneDetect out")
    parser.add_argument("--real", type=Path, help="list what is found in these clips, no more")
    parser.add_argument(
        "--cost", type=Path, nargs="*", help="measure only the cost, on these files"
    )
    parser.add_argument("--rounds", type=int, default=7, help="of the measurement of cost (7)")
    parser.add_argument(
        "--fit", type=Path, help="fit the network of dissolves to --folder, write it"
    )
    arguments = parser.parse_args()
    if arguments.real:
        list_real(arguments.real)
        return
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.cost is None:
            folder = arguments.folder or Path(temporary)
            draw(folder, arguments)
            if arguments.fit:
                from cut_fit import fit

                fit(folder, arguments.fit)
                return
            names = ("ContentDetector", "AdaptiveDetector", "ThresholdDetector")
            compare(folder, others=() if arguments.alone else names)
        drawn = Path(temporary) / "moving-scenes.mp4"
        if not arguments.cost:
            draw_moving_scenes(drawn)
        for path in arguments.cost or [drawn]:
            print_cost(path, arguments.rounds)


def draw(folder: Path, arguments: argparse.Namespace) -> None:
    """Draw the videos that the folder lacks."""
    from cut_corpus import Sources, write_video

    folder.mkdir(parents=True, exist_ok=True)
    half = int(arguments.half == "test")
    seeds = range(half, 2 * arguments.videos, 2)
    missing = [seed for seed in seeds if not (folder / f"{seed:04d}.json").exists()]
    if missing:
        sources = Sources(half, arguments.photos, arguments.data)
        for seed in missing:
            write_video(folder / f"{seed:04d}.mp4", seed, sources, num_shots=12)


if __name__ == "__main__":
    main()
