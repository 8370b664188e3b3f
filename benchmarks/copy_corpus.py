"""Videos of one to five minutes into which spans of one another were copied, and the truth of it.

Each is made of drawn shots, no two videos of one place, and of real clips, each in one video only.
A span is taken as its video has it, changed as those do who upload a video of others (`CHANGES`),
encoded on its own and put in the place of a span of another video. Besides, some videos have the
same still slide, and some are black for a while: that is no copy.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from joblib import Parallel, delayed

from soravec.data.manifest import read_manifest
from soravec.data.scenes import SCENES, WORLD, Scene, paint
from soravec.video import AtRate, EveryFrame, VideoReader, VideoWriter

FPS = 12.5
WIDTH, HEIGHT = 320, 240
MINUTES = 1.0, 5.0
SPAN_SECONDS = 3.0, 30.0
SHOT_SECONDS = 3.0, 14.0
APART_SECONDS = 2.0
"""At least so far apart are two spans of one video that were copied, or copied over."""
SLIDES, SLIDE_SECONDS = 3, (3.0, 8.0)
SLIDE_SHARE, BLACK_SHARE, REAL_SHARE = 0.2, 0.2, 0.5
"""Of the videos that have a slide, a black span; of the copied spans that begin in real video."""
SKY = next(kind for kind, scene in enumerate(SCENES) if scene.name == "sunset clouds")
"""The kind of drawn place that has least detail."""
SKY_SHARE, LIKE_SHOTS = 0.75, 4
"""Of the videos of `like_videos` that show nothing else; places in each."""


@dataclass(frozen=True)
class Copied:
    """A span of one video that another one shows."""

    source: str
    source_seconds: tuple[float, float]
    copy: str
    copy_seconds: tuple[float, float]
    changes: tuple[str, ...]
    speed: float


@dataclass(frozen=True)
class Corpus:
    """The videos and what is known of them."""

    videos: list[Path]
    copied: list[Copied]
    seconds: float


def copy_corpus(
    folder: Path, *, videos: int, spans: int, seed: int, data: Path | None, part: str
) -> Corpus:
    """Return the corpus, made unless it lies in `folder`; of real clips it takes one part of two.

    Args:
        folder: Where it goes.
        videos: How many.
        spans: How many are copied.
        seed: Decides everything.
        data: The folder of `actions` and `fights`, None for drawn shots alone.
        part: `tune` or `test`: which half of the groups of real clips, and which places.
    """
    truth = folder / "truth.json"
    if not truth.exists():
        (folder / "base").mkdir(parents=True, exist_ok=True)
        (folder / "videos").mkdir(exist_ok=True)
        plans = plan_videos(videos, seed, real_clips(data, part), part)
        copied = plan_copies(plans, spans, seed)
        run = Parallel(n_jobs=2)
        run(delayed(write_base)(plan, folder / "base") for plan in plans)
        run(delayed(write_video)(plan, folder, copied) for plan in plans)
        seconds = sum(plan["seconds"] for plan in plans)
        facts = {"seconds": seconds, "copied": [asdict(one) for one in copied]}
        truth.write_text(json.dumps(facts, indent=1))
    facts = json.loads(truth.read_text())
    copied = [
        Copied(
            one["source"],
            tuple(one["source_seconds"]),
            one["copy"],
            tuple(one["copy_seconds"]),
            tuple(one["changes"]),
            one["speed"],
        )
        for one in facts["copied"]
    ]
    return Corpus(sorted((folder / "videos").glob("*.mp4")), copied, facts["seconds"])


def like_videos(folder: Path, *, videos: int, seed: int) -> list[Path]:
    """Return videos of one kind of place each, most of skies, made unless they lie in `folder`.

    No two are of one place, so none is a copy of another, however like it looks. The places are
    neither those of `tune` nor those of `test`.
    """
    rng = np.random.default_rng([seed, 11])
    others = [kind for kind in range(len(SCENES)) if kind != SKY]
    plans = []
    for number in range(videos):
        kind = SKY if number < SKY_SHARE * videos else others[number % len(others)]
        places = [(3 << 20) + LIKE_SHOTS * number + shot for shot in range(LIKE_SHOTS)]
        shots = [
            {
                "kind": "drawn",
                "what": (kind, place, int(rng.integers(1 << 30))),
                "frames": round(rng.uniform(*SHOT_SECONDS) * FPS),
            }
            for place in places
        ]
        plans.append({"name": f"like{number:03}.mp4", "shots": shots})
    folder.mkdir(parents=True, exist_ok=True)
    Parallel(n_jobs=2)(delayed(write_base)(plan, folder) for plan in plans)
    return sorted(folder.glob("*.mp4"))


def real_clips(data, part):
    """Return paths and lengths of the clips of one half of the groups."""
    if data is None:
        return []
    clips = []
    for name in ("actions", "fights"):
        manifest = read_manifest(data / name / "manifest.csv")
        groups = sorted({clip.group or clip.path.name for clip in manifest.clips})
        mine = set(groups[(part == "test") :: 2])
        clips += [clip.path for clip in manifest.clips if (clip.group or clip.path.name) in mine]
    return [(path, length(path)) for path in clips]


def length(path):
    with VideoReader(path) as reader:
        return max(reader.info.duration_seconds, 0.5)


def plan_videos(videos, seed, clips, part):
    """Decide what each video shows: shots of drawn places, real clips, slides, black."""
    rng = np.random.default_rng([seed, part == "test"])
    homes = rng.integers(videos, size=len(clips))
    places = int(rng.integers(1 << 20)) + (1 << 21) * (part == "test")
    plans = []
    for number in range(videos):
        wanted = 60 * rng.uniform(*MINUTES)
        shots = [
            ("clip", str(p), s) for (p, s), home in zip(clips, homes, strict=True) if home == number
        ]
        if rng.random() < SLIDE_SHARE:
            shots.append(("slide", int(rng.integers(SLIDES)), rng.uniform(*SLIDE_SECONDS)))
        if rng.random() < BLACK_SHARE:
            shots.append(("black", 0, rng.uniform(*SLIDE_SECONDS)))
        while sum(shot[2] for shot in shots) < wanted:
            place = int(rng.integers(len(SCENES))), places
            places += 1
            for _ in range(int(rng.integers(1, 5))):
                view = int(rng.integers(1 << 30))
                shots.append(("drawn", (*place, view), rng.uniform(*SHOT_SECONDS)))
        shots = [shots[index] for index in rng.permutation(len(shots))]
        ends = np.cumsum([max(1, round(shot[2] * FPS)) for shot in shots])
        shots = [
            {"kind": kind, "what": what, "frames": int(frames)}
            for (kind, what, _), frames in zip(shots, np.diff(ends, prepend=0), strict=True)
        ]
        plans.append({"name": f"v{number:03}.mp4", "shots": shots, "seconds": int(ends[-1]) / FPS})
    return plans


def plan_copies(plans, spans, seed):
    """Decide which spans are copied, where to and how they are changed."""
    rng = np.random.default_rng([seed, 7])
    taken = {plan["name"]: [] for plan in plans}

    def free(plan, start, end):
        begin, stop = start - APART_SECONDS, end + APART_SECONDS
        apart = all(stop <= s or begin >= e for s, e in taken[plan["name"]])
        return start >= 0 and end <= plan["seconds"] and apart and not dull(plan, start, end)

    copied = []
    while len(copied) < spans:
        source, target = (plans[int(i)] for i in rng.choice(len(plans), 2, replace=False))
        seconds, speed, names = rng.uniform(*SPAN_SECONDS), 1.0, changes_of(rng)
        if "speed" in names:
            speed = float(rng.uniform(0.9, 1.1))
        wanted = "clip" if rng.random() < REAL_SHARE else "drawn"
        starts = [s for s, shot in timed(source) if shot["kind"] == wanted]
        if not starts:
            continue
        start = round((rng.choice(starts) + rng.uniform(-1.0, 1.0)) * FPS) / FPS
        frames = round(seconds / speed * FPS)
        at = int(rng.integers(round(target["seconds"] * FPS))) / FPS
        end, until = start + frames * speed / FPS, at + frames / FPS
        if not free(source, start, end) or not free(target, at, until):
            continue
        taken[source["name"]].append((start, end))
        taken[target["name"]].append((at, until))
        copied.append(
            Copied(source["name"], (start, end), target["name"], (at, until), names, speed)
        )
    return copied


def timed(plan):
    """Return (start_seconds, shot) of every shot."""
    at, found = 0, []
    for shot in plan["shots"]:
        found.append((at / FPS, shot))
        at += shot["frames"]
    return found


def dull(plan, start, end):
    """Whether a span touches a slide or black: neither is copied, nor copied over."""
    return any(
        shot["kind"] in ("slide", "black") and s < end and start < s + shot["frames"] / FPS
        for s, shot in timed(plan)
    )


def changes_of(rng):
    """Return one to three changes beside encoding anew."""
    names = sorted(CHANGES) + ["speed"]
    return tuple(sorted(rng.choice(names, int(rng.integers(1, 4)), replace=False).tolist()))


def write_base(plan, folder):
    """Write a video without what is copied into it."""
    path = folder / plan["name"]
    if path.exists():
        return
    cv2.setNumThreads(1)
    aside = path.with_suffix(".part.mp4")
    worlds = {}
    with writer_of(aside, 22) as writer:
        for shot in plan["shots"]:
            for image in images_of(shot, worlds):
                writer.write(image)
    aside.rename(path)


def writer_of(path, crf):
    """Return what writes a video in little time."""
    options = {"preset": "ultrafast"}
    return VideoWriter(path, width=WIDTH, height=HEIGHT, fps=FPS, crf=crf, options=options)


def images_of(shot, worlds):
    """Yield the pictures of a shot."""
    kind, what, frames = shot["kind"], shot["what"], shot["frames"]
    if kind == "black":
        yield from [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * frames
    elif kind == "slide":
        yield from [slide(what)] * frames
    elif kind == "clip":
        yield from clip_images(what, frames)
    else:
        scene, place, view = what
        if (scene, place) not in worlds:
            found = SCENES[scene]
            packed = paint(Scene(found.name, found.name_zh, seed=place))
            worlds[scene, place] = packed.view(np.uint8).reshape(WORLD, WORLD, 4)[..., :3].copy()
        yield from seen(worlds[scene, place], view, frames)


def clip_images(path, frames):
    """Yield so many pictures of a real clip, the last one again where it is too short."""
    last, given = None, 0
    with VideoReader(path) as reader:
        for batch in reader.read(AtRate(FPS), size=(HEIGHT, WIDTH)):
            for image in batch.images[: frames - given]:
                yield (last := image)
                given += 1
    yield from [last] * (frames - given)


def slide(number):
    """Return a picture of words: what the same company puts before all of its videos."""
    rng = np.random.default_rng([number, 99])
    image = np.full((HEIGHT, WIDTH, 3), rng.integers(40, 220, 3), np.uint8)
    for line in range(4):
        words = "".join(rng.choice(list("abcdefgh mnoprstuw"), 14))
        cv2.putText(
            image, words, (20, 60 + 45 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (250, 250, 240), 2
        )
    return image


def seen(world, view, frames) -> Iterator[np.ndarray]:
    """Yield what a moving camera sees of a place, and things that cross it."""
    rng = np.random.default_rng([view, 3])
    heading, speed = rng.uniform(0, 2 * np.pi), rng.choice([8.0, 30.0, 80.0])
    pan = speed * np.array([np.cos(heading), np.sin(heading)])
    zooms = [(1.0, 1.0), (0.8, 1.3), (1.4, 0.9)][rng.integers(3)]
    turn, spin = rng.uniform(-6, 6), rng.choice([0.0, 0.0, 5.0])
    start = rng.uniform(0, WORLD, 2)
    things = [
        (
            rng.uniform(0, 1, 2),
            rng.uniform(-90, 90, 2),
            int(rng.integers(10, 34)),
            rng.integers(40, 255, 3),
        )
        for _ in range(int(rng.integers(0, 4)))
    ]
    for number in range(frames):
        seconds, share = number / FPS, number / max(frames - 1, 1)
        zoom = zooms[0] * (zooms[1] / zooms[0]) ** share
        angle = np.deg2rad(turn + spin * seconds)
        cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
        x, y = start + pan * seconds
        x, y = x % WORLD, y % WORLD
        middle = WIDTH / 2, HEIGHT / 2
        looks = np.array(
            [
                [cos, -sin, x - cos * middle[0] + sin * middle[1]],
                [sin, cos, y - sin * middle[0] - cos * middle[1]],
            ]
        )
        image = cv2.warpAffine(
            world,
            looks,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )
        for place, velocity, radius, colour in things:
            at = (place * (WIDTH, HEIGHT) + velocity * seconds) % (WIDTH + 60, HEIGHT + 60) - 30
            cv2.circle(
                image, (int(at[0]), int(at[1])), radius, [int(c) for c in colour], -1, cv2.LINE_AA
            )
        yield image


def write_video(plan, folder, copied):
    """Write a video as it is looked for, with the copies that it has."""
    path = folder / "videos" / plan["name"]
    if path.exists():
        return
    cv2.setNumThreads(1)
    mine = sorted(
        (c for c in copied if c.copy == plan["name"]), key=lambda copy: copy.copy_seconds[0]
    )
    put = {round(one.copy_seconds[0] * FPS): one for one in mine}
    aside = path.with_suffix(".part.mp4")
    with (
        VideoReader(folder / "base" / plan["name"]) as reader,
        writer_of(aside, 26) as writer,
    ):
        over = 0
        number = 0
        for batch in reader.read(EveryFrame()):
            for image in batch.images:
                if number in put:
                    images = changed(put[number], folder)
                    over = number + len(images)
                    for one in images:
                        writer.write(one)
                if number >= over:
                    writer.write(image)
                number += 1
    aside.rename(path)


def changed(copy, folder):
    """Return the pictures of a copied span, changed and encoded on their own."""
    start, end = copy.source_seconds
    frames = round((copy.copy_seconds[1] - copy.copy_seconds[0]) * FPS)
    with VideoReader(folder / "base" / copy.source) as reader:
        span = reader.read(EveryFrame(), start_seconds=start - 0.5 / FPS, end_seconds=end + 1.0)
        images = [image for batch in span for image in batch.images]
    picked = np.minimum(np.round(np.arange(frames) * copy.speed), len(images) - 1).astype(int)
    rng = np.random.default_rng([round(1000 * start), frames])
    images = [images[index] for index in picked]
    for name in (c for c in copy.changes if c != "speed"):
        change = CHANGES[name](rng)
        images = [change(image) for image in images]
    path = folder / f"{copy.copy}-{round(copy.copy_seconds[0] * FPS)}.mp4"
    height, width = images[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=FPS, crf=int(rng.integers(28, 35))) as w:
        for image in images:
            w.write(np.ascontiguousarray(image))
    with VideoReader(path) as reader:
        stream = reader.read(EveryFrame(), size=(HEIGHT, WIDTH))
        images = [image for batch in stream for image in batch.images]
    path.unlink()
    return images


def cropped(rng):
    """Cut off 5 to 15 % at each of two sides."""
    top, left = (rng.uniform(0.05, 0.15, 2) * (HEIGHT, WIDTH)).astype(int)
    low, right = rng.integers(2, size=2)

    def change(image):
        image = image[:-top] if low else image[top:]
        image = image[:, :-left] if right else image[:, left:]
        return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)

    return change


def smaller(rng):
    side = int(rng.choice([80, 96, 120, 160]))
    size = 2 * (side * WIDTH // HEIGHT // 2), side

    def change(image):
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    return change


def letterboxed(rng):
    bar = int(rng.uniform(0.08, 0.14) * HEIGHT)

    def change(image):
        out = np.zeros_like(image)
        height = len(image) - 2 * bar * len(image) // HEIGHT
        top = (len(image) - height) // 2
        out[top : top + height] = cv2.resize(image, (image.shape[1], height))
        return out

    return change


def mirrored(rng):
    return lambda image: image[:, ::-1]


def with_logo(rng):
    share, colour = rng.uniform(0.04, 0.1), [int(c) for c in rng.integers(150, 255, 3)]
    right, low = rng.integers(2, size=2)

    def change(image):
        image = np.ascontiguousarray(image)
        height, width = image.shape[:2]
        radius = int(share * height)
        at = width - 2 * radius if right else 2 * radius, height - 2 * radius if low else 2 * radius
        cv2.circle(image, at, radius, colour, -1, cv2.LINE_AA)
        cv2.putText(
            image, "TV", (at[0] - radius // 2, at[1] + radius // 3), 0, radius / 30, (0, 0, 0), 1
        )
        return image

    return change


def brighter(rng):
    gain, lift = rng.uniform(0.75, 1.3), rng.uniform(-20, 20)
    return lambda image: np.clip(image * np.float32(gain) + np.float32(lift), 0, 255).astype(
        np.uint8
    )


def subtitled(rng):
    words = ["".join(rng.choice(list("abcdefghiklmnoprstuvw  "), 22)) for _ in range(12)]
    state = {"frame": 0}

    def change(image):
        image = np.ascontiguousarray(image)
        line = words[int(state["frame"] / FPS / 2.5) % len(words)]
        state["frame"] += 1
        height, width = image.shape[:2]
        at = int(0.05 * width), int(0.92 * height)
        for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(image, line, at, 0, height / 400, colour, thick, cv2.LINE_AA)
        return image

    return change


CHANGES = {
    "bright": brighter,
    "crop": cropped,
    "letterbox": letterboxed,
    "logo": with_logo,
    "mirror": mirrored,
    "resize": smaller,
    "subtitles": subtitled,
}
"""Each given a random generator returns what to do with a picture; `speed` is the eighth."""
