"""How surely spans of videos are found that others show, changed, and what is taken for a copy.

On a corpus of `copy_corpus.py`: precision, recall and F1 of spans at a temporal intersection over
union of 0.5 in both videos, with intervals over pairs of videos; pairs of unrelated videos that are
taken for copies; recall by change and by length. With `--fit` the weights of `WEIGHTS` are fitted
instead, to the corpus of `--part tune` and to videos that look alike without being copies; with
`--growth` the time of finding candidates is measured.

    python benchmarks/partial_copies.py --data DIR [--videos 200] [--spans 300] [--part test]
        [--seed 2] [--folder DIR] [--fit] [--growth]
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from copy_corpus import CHANGES, copy_corpus, like_videos
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

import soravec
from soravec.evaluation.intervals import wilson
from soravec.tasks import duplicates
from soravec.tasks.courses import Courses
from soravec.tasks.neighbours import find_neighbours

LEAST_TIOU = 0.5
LIKE_VIDEOS, LIKE_SEED = 40, 4
NO_COLOURS = (0.5, 4.0)
"""What stands for colours where there are none, while weights are fitted."""
LEAST_SCORES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


def main():
    arguments = parse()
    if arguments.growth:
        growth()
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        corpus = copy_corpus(
            folder,
            videos=arguments.videos,
            spans=arguments.spans,
            seed=arguments.seed,
            data=arguments.data,
            part=arguments.part,
        )
        with soravec.Library(folder / "copies.library") as library:
            report = library.add(folder / "videos")
            print(
                f"{len(corpus.videos)} videos, {corpus.seconds / 3600:.1f} hours,"
                f" {report.segments or len(library.contents())} segments,"
                f" {len(corpus.copied)} copied spans ({arguments.part})"
            )
            if arguments.fit:
                fit(library, corpus, folder)
            else:
                score(library, corpus)


def score(library, corpus):
    """Print what is found and what is not."""
    begin = time.perf_counter()
    found = duplicates.find_duplicates(library, least_score=min(LEAST_SCORES)).copies
    print(f"found in {time.perf_counter() - begin:.0f} s")
    related = {frozenset((one.source, one.copy)) for one in corpus.copied}
    number = len(corpus.videos) * (len(corpus.videos) - 1) // 2 - len(related)
    print(f"| least score | precision | recall | F1 | false pairs of {number} unrelated |")
    print("| --- | --- | --- | --- | --- |")
    for least in sorted({*LEAST_SCORES, duplicates.LEAST_SCORE}):
        surer = [copy for copy in found if copy.score >= least]
        right, wrong = matched(surer, corpus.copied)
        unrelated = [copy for copy in wrong if names(copy) not in related]
        f1 = 2 * len(right) / (len(surer) + len(corpus.copied))
        print(
            f"| {least} | {shown(len(right), len(surer))} |"
            f" {shown(len(right), len(corpus.copied))} | {f1:.3f} |"
            f" {len({names(copy) for copy in unrelated})} |"
        )
    print(f"at {duplicates.LEAST_SCORE}:")
    found = [copy for copy in found if copy.score >= duplicates.LEAST_SCORE]
    right, wrong = matched(found, corpus.copied)
    unrelated = [copy for copy in wrong if names(copy) not in related]
    for copy in wrong:
        kind = "unrelated" if copy in unrelated else "elsewhere"
        print(f"  {kind}: {told(copy)}")
    for number in sorted(set(range(len(corpus.copied))) - set(right.values())):
        print(f"  missed: {corpus.copied[number]}")
    by = defaultdict(list)
    for number, one in enumerate(corpus.copied):
        hit = number in right.values()
        for change in one.changes:
            by[change].append(hit)
        length = one.copy_seconds[1] - one.copy_seconds[0]
        by["3 to 6 s" if length < 6 else "6 to 15 s" if length < 15 else "15 s and more"].append(
            hit
        )
    print("recall by change (most with one or two others) and by length")
    for name in [*sorted(CHANGES), "speed", "3 to 6 s", "6 to 15 s", "15 s and more"]:
        print(f"  {name:14s} {shown(sum(by[name]), len(by[name]))}")


def matched(copies, truth):
    """Return which copy is which true span, {copy: number}, and the copies that are none."""
    right, taken, wrong = {}, set(), []
    for copy in sorted(copies, key=lambda copy: -copy.score):
        number = next(
            (
                n
                for n, one in enumerate(truth)
                if n not in taken and overlap(copy, one) >= LEAST_TIOU
            ),
            None,
        )
        if number is None:
            wrong.append(copy)
        else:
            taken.add(number)
            right[copy] = number
    return right, wrong


def overlap(copy, one):
    """Return the lesser temporal intersection over union of both spans, 0 for other videos."""
    sides = {Path(side.path).name: side for side in (copy.first, copy.second)}
    if set(sides) != {one.source, one.copy}:
        return 0.0
    return min(
        tiou((sides[name].start_seconds, sides[name].end_seconds), span)
        for name, span in ((one.source, one.source_seconds), (one.copy, one.copy_seconds))
    )


def tiou(one, other):
    shared = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    return shared / (max(one[1], other[1]) - min(one[0], other[0]))


def names(copy):
    return frozenset(Path(side.path).name for side in (copy.first, copy.second))


def told(copy):
    sides = (copy.first, copy.second)
    spans = [f"{Path(s.path).name} [{s.start_seconds:.1f}, {s.end_seconds:.1f})" for s in sides]
    return f"{' and '.join(spans)}, {copy.score:.2f}, speed {copy.speed:.2f}"


def shown(hits, number):
    low, high = wilson(hits, number)
    return f"{hits / max(number, 1):.3f} [{low:.2f}, {high:.2f}] of {number}"


def fit(library, corpus, folder):
    """Print the weights of a logistic regression on all spans that come into question.

    Of the corpus, and of videos that look alike without being copies: of few videos, what is like
    by chance is seen too seldom.
    """
    contents = library.contents()
    courses = Courses(library, contents)
    spans = [(one, is_right(one, corpus.copied)) for one in questioned(contents, courses)]
    like_videos(folder / "like", videos=LIKE_VIDEOS, seed=LIKE_SEED)
    with soravec.Library(folder / "like.library") as likes:
        likes.add(folder / "like")
        contents = likes.contents()
        others = Courses(likes, contents)
        others._whiten = courses._whiten  # as in a library that does not consist of these
        spans += [(one, False) for one in questioned(contents, others)]
    right = np.array([is_copy for _, is_copy in spans])
    print(f"{right.sum()} copies and {(~right).sum()} others")
    coloured = [(s if s.colours else replace(s, colours=NO_COLOURS)) for (s, _), _ in spans]
    light = [replace(span, colours=None) for span in coloured]
    pairs = ["-".join(sorted(names(copy))) for (_, copy), _ in spans]
    for name, chosen in (("WEIGHTS", coloured), ("LIGHT_WEIGHTS", light)):
        seen = np.array([duplicates.evidence(span) for span in chosen])
        fit_weights(name, seen, right, pairs)


def questioned(contents, courses):
    """Yield every span that comes into question, and the copy that it would be."""
    for (one, other), rows in sorted(duplicates.candidate_pairs(contents).items()):
        first, second = courses.of(one), courses.of(other)
        places = duplicates.find_places(first, second, contents, rows)
        videos = contents.videos[one], contents.videos[other]
        for span in duplicates.found_spans(first, second, places):
            yield span, duplicates._copy(*videos, first, second, span)


def is_right(one, copied):
    return any(on_line(one[1], true) for true in copied)


def fit_weights(name, seen, right, pairs):
    """Print weights of all that was seen, and how well such tell copies from others."""
    model = LogisticRegression(C=100.0, max_iter=2000)
    odds = cross_val_predict(
        model, seen, right, groups=pairs, cv=GroupKFold(10), method="decision_function"
    )
    model.fit(seen, right)
    print(f"{name} =", tuple(np.round([*model.intercept_, *model.coef_[0]], 2).tolist()))
    for least in (-2, -1, 0, 1, 2, 3, 4, 5):
        print(
            f"log-odds {least} and more, cross-validated: {(odds[right] >= least).mean():.3f} of"
            f" the copies, {(odds[~right] >= least).sum()} others"
        )


def on_line(copy, one):
    """Whether most of a span lies where a copied one does, at the right offset."""
    sides = {Path(side.path).name: side for side in (copy.first, copy.second)}
    if set(sides) != {one.source, one.copy}:
        return False
    mine, theirs = sides[one.copy], one.copy_seconds
    shared = min(mine.end_seconds, theirs[1]) - max(mine.start_seconds, theirs[0])
    middle = (mine.start_seconds + mine.end_seconds) / 2
    meant = one.source_seconds[0] + (middle - theirs[0]) * one.speed
    other = sides[one.source]
    drift = abs((other.start_seconds + other.end_seconds) / 2 - meant)
    return shared > 0.6 * (mine.end_seconds - mine.start_seconds) and drift < 1.5


def growth():
    """Print how the time of finding candidates grows with the number of segments."""
    rng = np.random.default_rng(0)
    numbers = [12_500, 25_000, 50_000, 100_000, 200_000]
    times = []
    for number in numbers:
        places = rng.normal(size=(number // 10, 384)).astype(np.float32)
        vectors = places[rng.integers(len(places), size=number)]
        vectors += 0.5 * rng.normal(size=vectors.shape).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        owners = np.repeat(np.arange(number // 50), 50)
        begin = time.perf_counter()
        near = find_neighbours(vectors, owners, duplicates.NUM_NEIGHBOURS)
        times.append(time.perf_counter() - begin)
        asked = rng.choice(number, 200, replace=False)
        likeness = vectors[asked] @ vectors.T
        likeness[owners[asked][:, None] == owners[None, :]] = -np.inf
        true = np.argsort(-likeness, axis=1)[:, :10]
        recall = np.mean(
            [np.isin(a, b).mean() for a, b in zip(true, near.rows[asked], strict=True)]
        )
        print(f"{number} segments: {times[-1]:.1f} s, recall of the ten nearest {recall:.3f}")
    exponent = np.polyfit(np.log(numbers), np.log(times), 1)[0]
    print(f"time grows with the number to the power of {exponent:.2f}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) if default else None)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--spans", type=int, default=300)
    parser.add_argument("--part", choices=("tune", "test"), default="test")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the corpus is kept from run to run")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--growth", action="store_true")
    arguments = parser.parse_args()
    if arguments.fit and arguments.part == "test":
        parser.error("weights are fitted to --part tune, never to the test")
    return arguments


if __name__ == "__main__":
    main()
