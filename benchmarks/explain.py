"""Whether explanations are faithful: deletion and insertion beside random orders.

On `actions` (`--data DIR`): a label is taught for each class by the clips of groups 8 to 25, and
the 56 clips of groups 1 to 7, of other source videos, are explained, each by its own label. Printed
are the areas under the curves of the label's probability while what mattered most is taken away
first (deletion: lower is better) or added first (insertion: higher is better), of frames, and with
`--region-clips` of patches of the pictures, beside the mean of random orders; and how often the
moment that an explanation puts first lies in the right clip of several that were joined, with the
average precision of its order, beside random orders and what is nearest to the middle. Intervals
are 95 %, bootstrapped over groups (source videos) of each class.

    python benchmarks/explain.py --data DIR [--region-clips 28] [--joined 100]
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import soravec
from soravec.data.manifest import read_manifest
from soravec.evaluation.intervals import mean_figure, resample
from soravec.runtime.sketches import without_sketches
from soravec.tasks.explain_label import explain_label, log_odds
from soravec.tasks.explain_match import explain_match
from soravec.tasks.occlusion import frame_heat, reading_of
from soravec.tasks.teach import taught_head, teach
from soravec.types import Shots
from soravec.video import Span

NUM_PARTS = 4
PART_FRAMES = 4
"""Of each clip, where four are one segment: two seconds."""


def main():
    arguments = parse()
    clips = read_manifest(arguments.data / "actions/manifest.csv").clips
    known = [clip for clip in clips if clip.split != "test"]
    unseen = [clip for clip in clips if clip.split == "test"]
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as temporary,
        soravec.Library(Path(temporary) / "explain.library") as library,
    ):
        library.add([clip.path for clip in known], progress=False)
        encoder = library.encoder()
        heads = {
            name: taught(library, known, name) for name in sorted({c.labels[0] for c in known})
        }
    read = {clip.path: encoder.read(clip.path) for clip in unseen}
    print(f"{len(known)} clips to teach by, {len(unseen)} to explain")
    print("| what is taken away | clips | deletion | random | less | insertion | random | more |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    seconds = [
        explain_label(read[clip.path], encoder, heads[clip.labels[0]]).faithfulness
        for clip in unseen
    ]
    print(faithful("seconds", unseen, seconds), flush=True)
    chosen = unseen[:: max(1, len(unseen) // max(arguments.region_clips, 1))]
    if arguments.region_clips:
        from soravec.evaluation.regions import explain_regions

        areas = [
            explain_regions(
                read[clip.path], encoder, heads[clip.labels[0]], label=clip.labels[0]
            ).faithfulness
            for clip in chosen
        ]
        print(faithful("regions", chosen, areas), flush=True)
    for kind in ("four clips in one segment", "four clips, each a segment or more"):
        show_joined(kind, unseen, read, encoder, heads, arguments.joined)
    errors = []
    for one, other in zip(unseen[::2], unseen[1::2], strict=True):
        match = explain_match(read[one.path], read[other.path], encoder)
        whole = match.contributions.sum() + match.motion_weight * (match.motion or 0.0)
        errors.append(abs(whole - match.score))
    print(f"contributions and motion add up to the score within {max(errors):.1e} ({len(errors)})")
    print(f"{time.perf_counter() - began:.0f} s")


def taught(library, known, name):
    spans = {True: [], False: []}
    for clip in known:
        spans[clip.labels[0] == name].append(Span(clip.path))
    teach(library, name, yes=spans[True], no=spans[False])
    return taught_head(library, name)


def faithful(what, clips, areas):
    """Return a row of the table; a clip of one frame has no curve."""
    there = [(clip, area) for clip, area in zip(clips, areas, strict=True) if area is not None]
    draws = resample(units([clip for clip, _ in there]))
    values = {
        name: np.array([getattr(area, name) for _, area in there])
        for name in ("deletion", "random_deletion", "insertion", "random_insertion")
    }
    cells = [what, str(len(there))]
    for name in ("deletion", "insertion"):
        own, other = values[name], values[f"random_{name}"]
        cells += [shown(own, draws), f"{other.mean():.3f}", shown(own - other, draws, sign="+")]
    return f"| {' | '.join(cells)} |"


def show_joined(kind, clips, read, encoder, heads, number):
    """Print how well the moments of the label's own clip are found among those of three others."""
    found = {name: [] for name in ("explanation", "random", "middle")}
    hits = {name: [] for name in found}
    shows = []
    looks = encoder.config.cnn.parts[0]
    for seed in range(number):
        rng = np.random.default_rng(seed)
        clip, features, truth = joined(clips, read, looks, rng, as_one=kind.endswith("one segment"))
        shows.append(clip)
        worth = log_odds(heads[clip.labels[0]], 0)
        order = np.argsort(-frame_heat(reading_of(encoder, features), worth), kind="stable")
        middle = np.argsort(np.abs(np.arange(len(truth)) - (len(truth) - 1) / 2), kind="stable")
        draws = [rng.permutation(len(truth)) for _ in range(50)]
        for name, orders in (("explanation", [order]), ("random", draws), ("middle", [middle])):
            found[name].append(np.mean([average_precision(truth[one]) for one in orders]))
            hits[name].append(np.mean([truth[one[0]] for one in orders]))
    draws = resample(units(shows))
    print(f"\n{number} joined videos, {kind}:")
    print("| order | first moment is right | average precision |\n| --- | --- | --- |")
    for name, values in found.items():
        print(f"| {name} | {shown(hits[name], draws)} | {shown(values, draws)} |")
    gained = np.subtract(found["explanation"], found["random"])
    print(f"| explanation less random | | {shown(gained, draws, sign='+')} |", flush=True)


def joined(clips, read, looks, rng, *, as_one):
    """Return a clip, features of it among three of other classes, and which frames are its own."""
    clip = clips[rng.integers(len(clips))]
    others = [one for one in clips if one.labels != clip.labels]
    parts = [clip, *(others[row] for row in rng.choice(len(others), NUM_PARTS - 1, replace=False))]
    values, seconds, truth, edges = [], [], [], [0.0]
    for row in rng.permutation(NUM_PARTS):
        one = read[parts[row].path]
        length = PART_FRAMES if as_one else len(one)
        part, at = one.features[:length].copy(), one.seconds[:length] - one.seconds[0]
        part[0, looks:] = part[min(1, len(part) - 1), looks:]  # nothing of what was before the cut
        values.append(part)
        seconds.append(at + edges[-1])
        truth.append(np.full(len(part), row == 0))
        edges.append(edges[-1] + at[-1] + 0.5)
    bounds = [[0.0, edges[-1]]] if as_one else np.stack([edges[:-1], edges[1:]], axis=1)
    features = replace(
        without_sketches(read[clip.path]),
        features=np.concatenate(values),
        seconds=np.concatenate(seconds),
        shots=Shots(np.array(bounds)),
    )
    return clip, features, np.concatenate(truth)


def average_precision(truth):
    """Return the mean of precision at every right moment, of moments in their order."""
    return float((np.cumsum(truth) / np.arange(1, len(truth) + 1))[truth].mean())


def units(clips):
    """Return the number of the source video of each clip: a group of a class."""
    names = [(clip.labels[0], clip.group) for clip in clips]
    return [sorted(set(names)).index(name) for name in names]


def shown(values, draws, sign=""):
    figure = mean_figure(np.asarray(values, np.float64), draws)
    return f"{figure.value:{sign}.3f} [{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--region-clips", type=int, default=28, help="0: none")
    parser.add_argument("--joined", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data DIR, or set SORAVEC_DATA")
    return arguments


if __name__ == "__main__":
    main()
