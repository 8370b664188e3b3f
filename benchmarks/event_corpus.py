"""Five-minute videos in which it is known when something happens.

Real clips of `actions` and of `fights` where people fight (the events), put at random among drawn
shots and clips of `fights` where nobody does (no event). Events may follow one another directly.
No clip is in two videos; clips of one source video (`actions`) or of one place (`fights`) are in
one part.
"""

import csv
import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from copy_corpus import seen
from joblib import Parallel, delayed

import soravec
from soravec.data.clips import units_of
from soravec.data.duplicates import drop_duplicates, near_duplicates, same_group
from soravec.data.features import FeatureCache
from soravec.data.manifest import read_manifest
from soravec.data.scenes import SCENES, WORLD, Scene, paint
from soravec.video import EveryFrame, VideoReader, VideoWriter

PARTS = "train", "validation", "test"
FPS = 25.0
WIDTH, HEIGHT = 320, 240
SECONDS = 300.0
DRAWN_SECONDS = 2.0, 15.0
EVENT_SHARE = 0.35
"""Of the time of a video, about."""
ACTIONS = {"test": range(1, 8), "validation": range(8, 12), "train": range(12, 26)}
"""Groups of `actions`: those of the test are UCF101's own."""
FIGHT_SHARES = {"test": 0.3, "validation": 0.2, "train": 0.5}
RATE = 4.0
"""Frames per second by which places of `fights` are told."""


@dataclass(frozen=True)
class Corpus:
    """The videos, and two lists of what to learn from and judge by."""

    spans: Path
    """Manifest of spans of the joined videos: label, split, group."""
    clips: Path
    """Manifest of the clips of train and validation as they were before they were joined."""


def event_corpus(folder: Path, data: Path, *, seed: int = 0) -> Corpus:
    """Return the corpus, made unless it lies in `folder`."""
    corpus = Corpus(folder / "spans.csv", folder / "clips.jsonl")
    if corpus.spans.exists():
        return corpus
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    parts = parts_of(data, folder / "cache")
    plans = [plan for part in PARTS for plan in plan_videos(part, parts[part], seed)]
    Parallel(n_jobs=2)(delayed(write_video)(plan, folder / "videos") for plan in plans)
    write_clips(corpus.clips, parts)
    write_spans(corpus.spans, plans)
    return corpus


def parts_of(data, cache):
    """Return the clips of each part: (path, label or "") of `actions` and `fights`."""
    parts = {part: [] for part in PARTS}
    for clip in read_manifest(data / "actions/manifest.csv").clips:
        number = int(clip.group[1:])
        part = next(part for part in PARTS if number in ACTIONS[part])
        parts[part].append((clip.path, clip.labels[0]))
    fights = read_manifest(data / "fights/manifest.csv")
    encoder = soravec.load("sora-mini").sampled(fps=RATE)
    read = FeatureCache(cache, encoder).read(fights.clips)
    views = [views[0] for views in read.views]
    pairs = near_duplicates(read.clips, views, num_looks=encoder.config.cnn.parts[0])
    kept = drop_duplicates(fights, pairs)
    stay = {clip.row for clip in kept.clips}
    pairs = [pair for pair in pairs if {pair.first.row, pair.second.row} <= stay]
    kept = same_group(kept, pairs)
    units = np.array(units_of(kept.clips))
    order = np.random.default_rng(5).permutation(units.max() + 1)
    bounds = np.cumsum([FIGHT_SHARES[part] for part in PARTS]) * len(order)
    for clip, unit in zip(kept.clips, units, strict=True):
        place = int(np.flatnonzero(order == unit)[0])
        part = PARTS[int(np.searchsorted(bounds, place, side="right"))]
        parts[part].append((clip.path, "fight" if clip.labels == ("fight",) else ""))
    return parts


def plan_videos(part, clips, seed):
    """Decide what each video of a part shows: as many as its events fill to `EVENT_SHARE`."""
    rng = np.random.default_rng([seed, PARTS.index(part)])
    lengths = [length(path) for path, _ in clips]
    events = sum(s for s, (_, label) in zip(lengths, clips, strict=True) if label)
    number = max(1, round(events / (EVENT_SHARE * SECONDS)))
    homes = rng.permutation(len(clips)) % number
    plans = []
    for video in range(number):
        mine = [index for index in range(len(clips)) if homes[index] == video]
        shots = [
            {"what": str(clips[i][0]), "label": clips[i][1], "frames": round(lengths[i] * FPS)}
            for i in mine
        ]
        while sum(shot["frames"] for shot in shots) < SECONDS * FPS:
            frames = round(rng.uniform(*DRAWN_SECONDS) * FPS)
            scene, place, view = (int(rng.integers(top)) for top in (len(SCENES), 1 << 20, 1 << 30))
            shots.append({"what": [scene, place, view], "label": "", "frames": frames})
        shots = [shots[index] for index in rng.permutation(len(shots))]
        plans.append({"name": f"{part}{video:02}.mp4", "part": part, "shots": shots})
    return plans


def length(path):
    with VideoReader(path) as reader:
        return max(reader.info.duration_seconds, 0.5)


def write_video(plan, folder):
    """Write a video."""
    path = folder / plan["name"]
    if path.exists():
        return
    cv2.setNumThreads(1)
    aside = path.with_suffix(".part.mp4")
    options = {"preset": "ultrafast"}
    with VideoWriter(aside, width=WIDTH, height=HEIGHT, fps=FPS, crf=22, options=options) as writer:
        for shot in plan["shots"]:
            for image in images_of(shot):
                writer.write(image)
    aside.rename(path)


def images_of(shot):
    """Yield the pictures of a shot."""
    if isinstance(shot["what"], str):
        yield from shown(shot["what"], shot["frames"])
        return
    scene, place, view = shot["what"]
    found = SCENES[scene]
    packed = paint(Scene(found.name, found.name_zh, seed=place))
    world = packed.view(np.uint8).reshape(WORLD, WORLD, 4)[..., :3].copy()
    yield from seen(world, view, shot["frames"])


def shown(path, frames):
    """Yield what a clip shows at so many instants, FPS a second."""
    with VideoReader(path) as reader:
        batches = list(reader.read(EveryFrame(), size=(HEIGHT, WIDTH)))
    images = np.concatenate([batch.images for batch in batches])
    seconds = np.concatenate([batch.seconds for batch in batches])
    at = seconds[0] + np.arange(frames) / FPS + 1e-6
    yield from images[np.searchsorted(seconds, at, side="right") - 1]


def write_spans(path, plans):
    """Write what happens when: a row per event; where one class follows itself, that is one."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split", "group", "start", "end"])
        for plan in plans:
            ends = np.cumsum([shot["frames"] for shot in plan["shots"]])
            timed = zip(plan["shots"], ends.tolist(), strict=True)
            for label, same in groupby(timed, key=lambda one: one[0]["label"]):
                shots = list(same)
                if label:
                    start = (shots[0][1] - shots[0][0]["frames"]) / FPS
                    row = [f"videos/{plan['name']}", label, plan["part"], plan["name"], start]
                    table.writerow([*row, shots[-1][1] / FPS])


def write_clips(path, parts):
    """Write what the clips of train and validation are called; some are nothing."""
    with path.open("w") as file:
        for part in ("train", "validation"):
            for clip, label in parts[part]:
                row = {"path": str(clip), "labels": [label] if label else [], "split": part}
                file.write(json.dumps(row) + "\n")
