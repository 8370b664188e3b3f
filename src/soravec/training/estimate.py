"""What a training will take, from a few measured steps, before anything starts."""

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from soravec.data.features import FeatureCache
from soravec.data.manifest import Clip, Manifest
from soravec.errors import TrainingError, VideoError
from soravec.runtime.engine import available_cores
from soravec.training.config import TrainConfig
from soravec.training.end_to_end import train_end_to_end
from soravec.training.prepare import Prepared, base_encoder, paths_of, segments_of_set
from soravec.training.train import make_objective, train_objective
from soravec.video import Limits, probe

SAMPLE_VIDEOS = 6
STEPS = 6


@dataclass(frozen=True, slots=True)
class Estimate:
    """Measured on a few clips, and extrapolated."""

    num_videos: int
    """Files to read."""
    video_hours: float
    """Their length together, as their containers state it."""
    reading_seconds: float
    """Decoding them and running the CNN, on all cores, when none is kept yet."""
    step_seconds: float
    """One batch: forward, backward, update."""
    num_steps: int
    """Batches of all epochs."""
    training_seconds: float
    """All batches, without stopping early."""
    features_bytes: int
    """Features of all clips, on disk and in memory while they are learned from."""
    peak_bytes: int
    """Memory of this process at its height, those features included."""


def estimate(manifest: Manifest, config: TrainConfig) -> Estimate:
    """Return what a training will take; nothing of it is kept.

    A few clips, spread over the manifest, are read and learned from for a few steps.

    Args:
        manifest: The clips.
        config: How.

    Raises:
        TrainingError: None of the sample can be read.
    """
    chosen = _spread(manifest.clips)
    with TemporaryDirectory() as folder:
        encoder = base_encoder(config, Path(folder))
        workers, limits = config.data.num_workers, config.data.limits
        cache = FeatureCache(Path(folder), encoder, num_workers=workers, limits=limits)
        moments = [time.monotonic()]
        features = cache.read(
            chosen, on_progress=lambda done, total: moments.append(time.monotonic())
        )
        if not features.clips:
            raise TrainingError(f"{manifest.path}: none of {len(chosen)} clips tried can be read")
        segments = segments_of_set(features, manifest, encoder)
        wanted = STEPS * config.loop.batch_size
        repeated = tuple(segments[i % len(segments)] for i in range(wanted))
        sample = Prepared(manifest, encoder, features, repeated, (), (paths_of(features), ()))
        step = _step_seconds(sample, config)
    lengths = _lengths(manifest.clips, config.data.limits)
    read = sum(_seconds_of(clip, lengths) for clip in features.clips)
    share = sum(_seconds_of(clip, lengths) for clip in manifest.clips) / max(read, 1e-9)
    decoded = sum(lengths.get(path, 0.0) for path in {str(clip.path) for clip in features.clips})
    videos_share = sum(lengths.values()) / max(decoded, 1e-9)
    per_clip = len(segments) / len(features.clips)
    train = [clip for clip in manifest.clips if clip.split in (None, "train")]
    kept = len(train) * (config.data.fractions[0] if train and train[0].split is None else 1)
    num_steps = config.loop.epochs * int(np.ceil(kept * per_clip / config.loop.batch_size))
    size = sum(views[0].features.nbytes for views in features.views) * share
    size *= 1 + config.data.views
    return Estimate(
        num_videos=len(lengths),
        video_hours=sum(lengths.values()) / 3600,
        reading_seconds=_reading_seconds(moments, videos_share * (1 + config.data.views)),
        step_seconds=step,
        num_steps=num_steps,
        training_seconds=step * num_steps,
        features_bytes=int(size),
        peak_bytes=int(size) + _peak_bytes(),
    )


def sentences(estimate: Estimate) -> list[str]:
    """Return an estimate as lines for a person."""
    reading, training = (
        _minutes(seconds) for seconds in (estimate.reading_seconds, estimate.training_seconds)
    )
    return [
        f"reading {estimate.num_videos} videos ({estimate.video_hours:.2f} h) once: {reading}",
        f"training {estimate.num_steps} steps of {estimate.step_seconds * 1000:.0f} ms: {training}"
        " at most",
        f"features: {estimate.features_bytes / 2**20:.0f} MiB on disk; memory:"
        f" {estimate.peak_bytes / 2**20:.0f} MiB",
        f"measured with {available_cores()} cores; a busy machine takes longer",
    ]


def _spread(clips: Sequence[Clip]) -> list[Clip]:
    index = np.linspace(0, len(clips) - 1, min(SAMPLE_VIDEOS, len(clips))).round().astype(int)
    return [clips[i] for i in np.unique(index)]


def _reading_seconds(moments: Sequence[float], share: float) -> float:
    """Return how long it takes to read `share` times a sample: workers start only once.

    Args:
        moments: When reading began, and when each file of the sample was done.
        share: How many times as much there is.
    """
    began, first, last = moments[0], moments[1], moments[-1]
    num = len(moments) - 1
    if num == 1:
        return (first - began) * share
    return first - began + (last - first) / (num - 1) * max(num * share - 1, 0)


def _step_seconds(sample: Prepared, config: TrainConfig) -> float:
    """Return the median time between two steps, the first ones passed over."""
    moments: list[float] = []
    short = replace(config, loop=replace(config.loop, epochs=1, patience=0))
    if config.cnn.train_stages:
        objective = make_objective(sample, short)
        train_end_to_end(
            objective, sample, short, on_progress=lambda _: moments.append(time.monotonic())
        )
    else:
        train_objective(sample, short, on_progress=lambda _: moments.append(time.monotonic()))
    return float(np.median(np.diff(moments)[1:])) if len(moments) > 2 else 0.0


def _lengths(clips: Sequence[Clip], limits: Limits) -> dict[str, float]:
    """Return the seconds of each video that can be probed."""
    lengths: dict[str, float] = {}
    for path in dict.fromkeys(str(clip.path) for clip in clips):
        try:
            lengths[path] = probe(path, limits=limits).duration_seconds
        except VideoError:
            continue
    return lengths


def _seconds_of(clip: Clip, lengths: Mapping[str, float]) -> float:
    """Return how long a clip is: its span, or its whole video; 0 where that cannot be probed."""
    whole = lengths.get(str(clip.path), 0.0)
    end = whole if clip.end_seconds is None else min(clip.end_seconds, whole)
    return max(end - (clip.start_seconds or 0.0), 0.0)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
