"""How often what is recommended is of the kind that was liked, and how diverse a list is.

On `actions` (`--data DIR`), leave-one-out: each clip in turn is liked, the other clips of its
source video (its group) were watched, and five of all others are recommended. Precision@5: how many
are of its class. Intra-list diversity (Ziegler et al., "Improving recommendation lists", WWW 2005):
the mean of one less the cosine over the pairs of a list, of Soravec's video vectors and of
MobileNetV1's, which had no part in choosing; and how many source videos a list shows. Beside it:
random, and the nearest by video vector. Intervals of 95 % over source videos.

`--part test` asks with the clips of groups 1 to 7 among all; `--part tune` with those of groups 8
to 25 among themselves, and compares ways to diversify: all constants were chosen there.

    python benchmarks/recommend.py --data DIR [--part test] [--k 5] [--seed 0]
"""

import argparse
import os
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np

import soravec
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import mean_figure, resample
from soravec.runtime.vectors import mean_vector
from soravec.tasks.diversity import choose_diverse
from soravec.tasks.recommend import VideoVectors, recommend
from soravec.video import Span

THETAS = (0.8, 0.9, 0.93, 0.95, 0.98)
SHARES = (0.05, 0.1, 0.15, 0.2, 0.3)
FIGURES = ("precision", "diversity", "by MobileNetV1", "source videos")


def main():
    arguments = parse()
    if arguments.data is None:
        raise SystemExit("name the folder of real clips: --data DIR or $SORAVEC_DATA")
    clips = read_manifest(arguments.data / "actions/manifest.csv").clips
    if arguments.part == "tune":
        clips = [clip for clip in clips if clip.split != "test"]
    with (
        tempfile.TemporaryDirectory() as temporary,
        soravec.Library(Path(temporary) / "recommend.library") as library,
    ):
        library.add([clip.path for clip in clips], progress=False)
        score(arguments, library, clips)


def score(arguments, library, clips):
    """Print a row for every way to recommend."""
    contents = library.contents()
    number_of = {clip.path: number for number, clip in enumerate(clips)}
    kinds = np.array([clip.labels[0] for clip in clips])
    sources = np.array([f"{clip.labels[0]} {clip.group}" for clip in clips])
    asked = [n for n, clip in enumerate(clips) if arguments.part == "tune" or clip.split == "test"]
    values = VideoVectors(contents)
    order = [number_of[Path(contents.videos[key].path)] for key in values.keys]
    centred = np.empty_like(values.values)
    centred[order] = values.values
    plain = np.empty_like(centred)
    plain[order] = [whole(contents, key) for key in values.keys]
    spaces = plain, others(arguments.data, clips)
    print(
        f"{len(asked)} clips of {len(set(sources[asked]))} source videos ask, {len(clips)} in the"
        f" library ({arguments.part})"
    )
    rng = np.random.default_rng(arguments.seed)
    ways = {
        "random": lambda ask, may: rng.choice(may, arguments.k, replace=False),
        "nearest": lambda ask, may: may[np.argsort(-plain[may] @ plain[ask])[: arguments.k]],
        "nearest, less what is common": lambda ask, may: may[
            np.argsort(-centred[may] @ centred[ask])[: arguments.k]
        ],
    }
    if arguments.part == "tune":
        ways |= tried(arguments.k, centred)
    else:
        ways["soravec recommend"] = recommended(library, clips, number_of, sources, arguments.k)
    report(ways, asked, kinds, sources, spaces)


def tried(k, vectors):
    """Return ways to diversify."""
    ways = {}
    for share in SHARES:
        ways[f"MMR, {share} for diversity"] = lambda ask, may, share=share: may[
            marginal(vectors[may] @ vectors[ask], vectors[may], k, share)
        ]
    for theta in THETAS:
        eagerness = theta / (2 * (1 - theta))
        ways[f"DPP, theta {theta}"] = lambda ask, may, eagerness=eagerness: may[
            choose_diverse(vectors[may] @ vectors[ask], vectors[may], k, eagerness=eagerness)
        ]
    return ways


def marginal(worth, vectors, k, share):
    """Return rows by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""
    chosen, nearest = [], np.zeros(len(worth))
    while len(chosen) < k:
        gains = (1 - share) * worth - share * nearest
        gains[chosen] = -np.inf
        chosen.append(int(gains.argmax()))
        nearest = (vectors @ vectors[chosen].T).max(axis=1)
    return chosen


def recommended(library, clips, number_of, sources, k):
    """Return the answer of the library itself, copies and all."""

    def way(ask, may):
        seen = [Span(clips[n].path) for n in np.flatnonzero(sources == sources[ask]) if n != ask]
        found = recommend(library, liked=[Span(clips[ask].path)], watched=seen, k=k)
        return [number_of[Path(one.path)] for one in found.videos]

    return way


def report(ways, asked, kinds, sources, spaces):
    """Print figures with intervals, and how much they differ from those of plain nearness."""
    _, units = np.unique(sources[asked], return_inverse=True)
    resamples = resample(units)
    print(f"| | {' | '.join(FIGURES)} | precision less that of the nearest | diversity likewise |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    figures = {}
    for name, way in ways.items():
        lists = []
        for ask in asked:
            may = np.flatnonzero(sources != sources[ask])
            lists.append(np.asarray(way(ask, may)))
            if not np.isin(lists[-1], may).all():
                raise SystemExit(f"{name}: recommends what was seen")
        found = np.array(
            [
                measured(ask, row, kinds, sources, spaces)
                for ask, row in zip(asked, lists, strict=True)
            ]
        )
        figures[name] = found
        cells = [shown(found[:, n], resamples) for n in range(len(FIGURES))]
        if "nearest" in figures and name != "nearest":
            cells += [shown(found[:, n] - figures["nearest"][:, n], resamples) for n in (0, 1)]
        else:
            cells += ["", ""]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def measured(ask, row, kinds, sources, spaces):
    """Return the figures of one list."""
    diversity = [
        np.mean([1 - values[a] @ values[b] for a, b in combinations(row, 2)]) for values in spaces
    ]
    return (kinds[row] == kinds[ask]).mean(), *diversity, len(set(sources[row]))


def shown(values, resamples):
    figure = mean_figure(values, resamples)
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def whole(contents, key):
    """Return the vector of a video."""
    rows = contents.segments_of(key)
    return mean_vector(contents.vectors[rows], np.diff(contents.bounds[rows], axis=1)[:, 0])


def others(data, clips):
    """Return the features of MobileNetV1, averaged over time."""
    from imagenet import network
    from teach import averaged

    read = network("mobilenet-v1", data / "weights")
    return np.stack([averaged(read, clip.path) for clip in clips])


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) if default else None)
    parser.add_argument("--part", choices=("test", "tune"), default="test")
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
