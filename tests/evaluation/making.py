"""Clips whose features are made up, so that what an evaluation must find is known."""

from dataclasses import replace

import numpy as np

from soravec.data.clips import Clip, Manifest
from soravec.data.features import FeatureSet, Skipped
from soravec.types import FrameFeatures, Shots, VideoInfo

SECONDS = 4.0
FPS = 2.0


def info_of(path, seconds=SECONDS):
    return VideoInfo(
        path=str(path),
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=160,
        height=96,
        rotation_degrees=0,
        start_seconds=0.0,
        duration_seconds=seconds,
        native_fps=25.0,
        size_bytes=1,
        has_audio=False,
        num_video_streams=1,
    )


def features_of(values, path="clip.mp4", *, feature_id="made up", cuts=()):
    """Return features of frames at 2 per second."""
    values = np.asarray(values, np.float16)
    seconds = np.arange(len(values)) / FPS
    ends = [0.0, *cuts, len(values) / FPS]
    bounds = np.array(list(zip(ends, ends[1:], strict=False)))
    return FrameFeatures(
        features=values,
        seconds=seconds,
        shots=Shots(bounds),
        info=info_of(path, len(values) / FPS),
        feature_id=feature_id,
        recipe={"sampling": "uniform", "fps": FPS},
    )


def labelled(encoder, folder, *, task="single_label", per_class=12, names="abc", seed=0, noise=0.5):
    """Return a manifest and features: classes differ in the mean of features, groups of 2 clips.

    Of three clips of a class one is for the test. The last one could not be read.
    """
    rng = np.random.default_rng(seed)
    width = encoder.config.cnn.feature_dim
    centres = np.random.default_rng(1).random((len(names), width))
    clips, views = [], []
    for number in range(per_class * len(names)):
        kind = number % len(names)
        turn = number // len(names)
        split = "test" if turn // 2 % 3 == 2 else "train"
        row = number + 2
        path = folder / f"{names[kind]}{turn}.mp4"
        clip = Clip(path, (names[kind],), split, group=f"{names[kind]}{turn // 2}", row=row)
        values = centres[kind] + noise * (rng.random(width) + rng.random((8, width)))
        if task == "regression":
            level = rng.random()
            values[:, : width // 2] += 3 * level
            clip = replace(clip, labels=(), target=(float(level),))
        elif task == "multi_label":
            other = names[(kind + 1) % len(names)]
            labels = (names[kind],) if rng.random() < 0.5 else tuple(sorted((names[kind], other)))
            if len(labels) > 1:
                values += centres[(kind + 1) % len(names)]
            clip = replace(clip, labels=labels)
        clips.append(clip)
        views.append((features_of(values, path, feature_id=encoder.feature_id),))
    classes = ("target",) if task == "regression" else tuple(names)
    manifest = Manifest(folder / "clips.csv", tuple(clips), classes, task)
    skipped = Skipped(clips[-1], "UnreadableVideo", f"{clips[-1].path}: <damaged>")
    return manifest, FeatureSet(tuple(clips[:-1]), tuple(views[:-1]), (skipped,))
