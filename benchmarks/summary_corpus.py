"""Videos of distinct scenes, some of them shown again, with dull spans between and within them.

Scenes are drawn places, no two of one kind in a video, and real clips, no two of one group in a
video. Some are shown a second time, whole or in part, and changed a little (`CHANGES`). Dull spans
are black, one picture that is held, out of focus, or shaken; they show places of their own, or
spoil a part of a scene.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from copy_corpus import FPS, HEIGHT, WIDTH, brighter, cropped, images_of, smaller, with_logo
from copy_corpus import length as length_of
from copy_corpus import writer_of as writer_of_size
from joblib import Parallel, delayed

from soravec.data.manifest import read_manifest
from soravec.data.scenes import SCENES

NUM_SCENES, NUM_REPEATS, NUM_DULL = (8, 14), (3, 5), (3, 5)
SCENE_SECONDS, REPEAT_SECONDS, DULL_SECONDS = (4.0, 14.0), 3.0, (3.0, 8.0)
SPOILED_SHARE, SPOILED_SECONDS = 0.3, (2.0, 3.0)
"""Of the scenes of eight seconds and more one part is dull."""
KINDS = ("black", "held", "blurred", "shaken")
CHANGES = {"bright": brighter, "crop": cropped, "logo": with_logo, "resize": smaller}


@dataclass(frozen=True)
class Shown:
    """A span of a video and what it shows."""

    start_seconds: float
    end_seconds: float
    scene: int | None
    """Number of the scene; None in a dull span of its own."""
    is_repeat: bool
    dull: tuple[tuple[float, float, str], ...]
    """Spans of it, in seconds of the video, and what is wrong with them."""


@dataclass(frozen=True)
class Joined:
    """A video and what is known of it."""

    path: Path
    seconds: float
    shown: tuple[Shown, ...]

    @property
    def num_scenes(self):
        """How many different scenes it shows."""
        return len({one.scene for one in self.shown} - {None})


def summary_corpus(folder, *, videos, seed, data, part):
    """Return the videos, made unless they lie in `folder`.

    Args:
        folder: Where they go.
        videos: How many.
        seed: Decides everything.
        data: The folder of `actions`, None for drawn places alone.
        part: `tune` or `test`: which half of the groups of real clips, and which places.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, part == "test"])
    clips = real_clips(data, part)
    places = (1 << 22) + (1 << 21) * (part == "test")
    plans = [plan_video(rng, clips, places + 100 * number) for number in range(videos)]
    run = Parallel(n_jobs=2)
    paths = [folder / f"v{number:03}.mp4" for number in range(videos)]
    run(delayed(write)(plan, path) for plan, path in zip(plans, paths, strict=True))
    return [joined(plan, path) for plan, path in zip(plans, paths, strict=True)]


def real_clips(data, part):
    """Return (path, seconds) of the long enough clips of one half of the groups, by group."""
    if data is None:
        return []
    clips = read_manifest(data / "actions/manifest.csv").clips
    groups = sorted({(clip.labels[0], clip.group) for clip in clips})
    found = {group: [] for group in groups[(part == "test") :: 2]}
    for clip in clips:
        if (clip.labels[0], clip.group) in found:
            seconds = length_of(clip.path)
            if seconds >= SCENE_SECONDS[0]:
                found[clip.labels[0], clip.group].append((str(clip.path), seconds))
    return [found[group] for group in sorted(found) if found[group]]


def plan_video(rng, clips, place):
    """Decide what a video shows, as shots in order; a shot is what `images_of` draws, and more."""
    number = int(rng.integers(NUM_SCENES[0], NUM_SCENES[1] + 1))
    if not clips:
        number = min(number, len(SCENES))
    drawn = max(number // 2, number - len(clips)) if clips else number
    kinds = rng.permutation(len(SCENES))
    groups = [clips[i] for i in rng.permutation(len(clips))]
    shots = [drawn_shot(rng, kinds[i], place + i, SCENE_SECONDS) for i in range(min(drawn, 12))]
    for group in groups[: number - len(shots)]:
        path, seconds = group[int(rng.integers(len(group)))]
        frames = round(min(seconds, SCENE_SECONDS[1]) * FPS)
        shots.append({"kind": "clip", "what": path, "frames": frames})
    shots = [
        {**shot, "scene": scene, "dull": spoiled(rng, shot)} for scene, shot in enumerate(shots)
    ]
    repeats = [
        repeat_of(rng, shots[i])
        for i in rng.choice(len(shots), int(rng.integers(*NUM_REPEATS)), replace=False)
    ]
    dull = []
    for i in range(int(rng.integers(NUM_DULL[0], NUM_DULL[1] + 1))):
        shot = drawn_shot(rng, rng.integers(len(SCENES)), place + 50 + i, DULL_SECONDS)
        dull.append({**shot, "dull": [(0, shot["frames"], KINDS[int(rng.integers(len(KINDS)))])]})
    everything = shots + repeats + dull
    return [everything[i] for i in rng.permutation(len(everything))]


def drawn_shot(rng, kind, place, seconds):
    frames = round(rng.uniform(*seconds) * FPS)
    view = int(rng.integers(1 << 30))
    return {"kind": "drawn", "what": (int(kind), int(place), view), "frames": frames}


def spoiled(rng, shot):
    """Return at most one part of a scene that is dull, in frames."""
    if shot["frames"] < 8 * FPS or rng.random() > SPOILED_SHARE:
        return []
    frames = round(rng.uniform(*SPOILED_SECONDS) * FPS)
    start = int(rng.integers(shot["frames"] - frames))
    return [(start, start + frames, KINDS[int(rng.integers(len(KINDS)))])]


def repeat_of(rng, shot):
    """Return a scene again, whole or in part, changed in one or two ways."""
    least = min(shot["frames"], round(REPEAT_SECONDS * FPS))
    frames = shot["frames"] if rng.random() < 0.5 else int(rng.integers(least, shot["frames"] + 1))
    first = int(rng.integers(shot["frames"] - frames + 1))
    dull = [(max(s - first, 0), min(e - first, frames), kind) for s, e, kind in shot["dull"]]
    changes = sorted(rng.choice(sorted(CHANGES), int(rng.integers(1, 3)), replace=False).tolist())
    return {
        **shot,
        "first": first,
        "shown": frames,
        "dull": [one for one in dull if one[1] > one[0]],
        "changes": changes,
        "seed": int(rng.integers(1 << 30)),
    }


def write(plan, path):
    """Write a video after its plan, unless it is there."""
    if path.exists():
        return
    cv2.setNumThreads(1)
    aside = path.with_suffix(".part.mp4")
    worlds = {}
    with writer_of_size(aside, 26) as writer:
        for shot in plan:
            for image in pictures(shot, worlds):
                writer.write(np.ascontiguousarray(image))
    aside.rename(path)


def pictures(shot, worlds):
    """Yield the pictures of a shot, changed and spoiled as is planned."""
    first = shot.get("first", 0)
    images = list(images_of(shot, worlds))[first : first + shot.get("shown", shot["frames"])]
    rng = np.random.default_rng(shot.get("seed", 0))
    for name in shot.get("changes", ()):
        change = CHANGES[name](rng)
        images = [cv2.resize(change(image), (WIDTH, HEIGHT)) for image in images]
    for start, end, kind in shot["dull"]:
        images[start:end] = spoil(images[start:end], kind, np.random.default_rng(start + end))
    yield from images


def spoil(images, kind, rng):
    """Return pictures as nobody wants to see them."""
    if kind == "black":
        return [np.zeros_like(images[0])] * len(images)
    if kind == "held":
        return [images[0]] * len(images)
    if kind == "blurred":
        sigma = float(rng.uniform(5, 9))
        return [cv2.GaussianBlur(image, (0, 0), sigma) for image in images]
    shaken = []
    for image in images:
        x, y = rng.normal(0, 16, 2)
        smear = np.zeros((13, 13), np.float32)
        angle = np.arctan2(y, x)
        ends = [
            (round(6 + s * 6 * np.cos(angle)), round(6 + s * 6 * np.sin(angle))) for s in (-1, 1)
        ]
        cv2.line(smear, *ends, 1.0)
        moved = cv2.warpAffine(
            image, np.array([[1, 0, x], [0, 1, y]]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT
        )
        shaken.append(cv2.filter2D(moved, -1, smear / smear.sum()))
    return shaken


def joined(plan, path):
    at, shown, seen = 0, [], set()
    for shot in plan:
        frames, scene = shot.get("shown", shot["frames"]), shot.get("scene")
        dull = tuple(((at + s) / FPS, (at + e) / FPS, kind) for s, e, kind in shot["dull"])
        shown.append(Shown(at / FPS, (at + frames) / FPS, scene, scene in seen, dull))
        seen |= {scene} - {None}
        at += frames
    path.with_suffix(".json").write_text(json.dumps([asdict(one) for one in shown], indent=1))
    return Joined(path, at / FPS, tuple(shown))
