"""How much of a video its summary shows, how often twice, and how much that is dull.

On videos of `summary_corpus.py`, whose scenes, repeats and dull spans are known, at 15 % of their
length: `soravec summarize`; as many spans of the same length, equally spaced; the same at random
(mean of 200 draws); and the middles of shots, drawn at random until the length is reached. A scene
is covered where a second of it is shown that is not dull; a repeat is shown where two showings of
one scene are, each for half a second. Means over videos, with 95 % intervals over videos
(bootstrap; Wilson for shares of videos). Constants were chosen on `--part tune`: other seeds, other
groups of real clips, other places.

    python benchmarks/summaries.py --data DIR [--videos 30] [--seed 2] [--part test] [--share 0.15]
        [--folder DIR]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from summary_corpus import summary_corpus

import soravec
from soravec.evaluation.intervals import mean_figure, proportion_figure, resample
from soravec.tasks.stored import read_features
from soravec.tasks.summary import LEAST_SECONDS, summarize

COVERED_SECONDS, REPEATED_SECONDS = 1.0, 0.5
DRAWS = 200
MEASURES = ("coverage", "repeat", "dull")


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        videos = summary_corpus(
            folder,
            videos=arguments.videos,
            seed=arguments.seed,
            data=arguments.data,
            part=arguments.part,
        )
        with soravec.Library(folder / "summaries.library") as library:
            library.add([video.path for video in videos], progress=False)
            report(videos, library, arguments)


def report(videos, library, arguments):
    figures = {name: [] for name in ("summarize", "equally spaced", "at random", "random shots")}
    times, shortest, filled = [], [], []
    for number, video in enumerate(videos):
        read = read_features(video.path, library)
        assert read.is_stored
        begin = time.perf_counter()
        found = summarize(read.features, read.encoder, share=arguments.share)
        times.append(time.perf_counter() - begin)
        spans = [(span.start_seconds, span.end_seconds) for span in found.spans]
        shortest.append(min(end - start for start, end in spans))
        filled.append(found.seconds / (arguments.share * video.seconds))
        rng = np.random.default_rng([arguments.seed, number])
        figures["summarize"].append(judged(video, spans))
        length = found.seconds / len(spans)
        figures["equally spaced"].append(judged(video, spaced(video, len(spans), length)))
        for name, draw in (("at random", scattered), ("random shots", of_shots)):
            drawn = [
                judged(video, draw(rng, video, len(spans), length, read.features.shots.bounds))
                for _ in range(DRAWS)
            ]
            figures[name].append(np.mean(drawn, axis=0))
    describe(videos, arguments)
    tell(figures)
    print(
        f"\nspans of a summary: shortest {min(shortest):.2f} s, {np.mean(filled):.1%} of the length"
        f" filled; {np.median(times):.2f} s each (median), features read from the library"
    )


def describe(videos, arguments):
    counts = [video.num_scenes for video in videos]
    lengths = [video.seconds for video in videos]
    each = [arguments.share * s / n for s, n in zip(lengths, counts, strict=True)]
    repeats = sum(one.is_repeat for video in videos for one in video.shown)
    dull = sum(end - start for v in videos for one in v.shown for start, end, _ in one.dull)
    print(
        f"{len(videos)} videos ({arguments.part}) of {min(lengths):.0f} to {max(lengths):.0f} s"
        f" with {min(counts)} to {max(counts)} scenes, {repeats} repeats,"
        f" {dull / sum(lengths):.1%} dull;"
        f"\n{arguments.share:.0%} of the length is {min(each):.2f} to {max(each):.2f} s for each"
        f" scene; no span is meant to be shorter than {LEAST_SECONDS} s\n"
    )


def tell(figures):
    draws = resample(range(len(figures["summarize"])))
    print("| chosen by | scenes covered | summaries with a repeat | dull share |")
    print("| --- | --- | --- | --- |")
    for name, rows in figures.items():
        values = np.array(rows)
        shown = []
        for column in range(len(MEASURES)):
            is_share = set(np.unique(values[:, column])) <= {0.0, 1.0} and column == 1
            measure = proportion_figure if is_share else mean_figure
            shown.append(told(measure(values[:, column], draws)))
        print(f"| {name} | {' | '.join(shown)} |")
    ours = np.array(figures["summarize"])
    print("\nsummarize less the others:")
    for name in list(figures)[1:]:
        less = ours - np.array(figures[name])
        parts = [f"{m} {told(mean_figure(less[:, k], draws))}" for k, m in enumerate(MEASURES)]
        print(f"- {name}: {', '.join(parts)}")


def told(figure):
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def judged(video, spans):
    """Return coverage, whether a scene is shown twice, and the share of dull seconds."""
    seen, dull = {}, 0.0
    for one in video.shown:
        shown = sum(overlap(span, (one.start_seconds, one.end_seconds)) for span in spans)
        bad = sum(overlap(span, part[:2]) for span in spans for part in one.dull)
        dull += bad
        if one.scene is not None:
            seen.setdefault(one.scene, []).append((shown, shown - bad))
    covered = [max(good for _, good in parts) >= COVERED_SECONDS - 1e-6 for parts in seen.values()]
    twice = any(sum(s >= REPEATED_SECONDS for s, _ in parts) > 1 for parts in seen.values())
    return np.mean(covered), float(twice), dull / sum(end - start for start, end in spans)


def overlap(one, other):
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def spaced(video, number, length):
    """Return spans whose middles are equally far apart."""
    middles = (np.arange(number) + 0.5) * video.seconds / number
    return [(at - length / 2, at + length / 2) for at in middles]


def scattered(rng, video, number, length, _):
    """Return spans at random that do not overlap."""
    gaps = np.sort(rng.uniform(0, video.seconds - number * length, number))
    return [(gap + k * length, gap + (k + 1) * length) for k, gap in enumerate(gaps)]


def of_shots(rng, video, number, length, bounds):
    """Return the middles of shots at random, as many and as long where shots are long enough."""
    chosen = rng.permutation(len(bounds))[:number]
    spans = []
    for start, end in bounds[chosen]:
        half = min(length, end - start) / 2
        spans.append(((start + end) / 2 - half, (start + end) / 2 + half))
    return spans


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    folder = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=folder and Path(folder))
    parser.add_argument("--videos", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--part", choices=("tune", "test"), default="test")
    parser.add_argument("--share", type=float, default=0.15)
    parser.add_argument("--folder", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
