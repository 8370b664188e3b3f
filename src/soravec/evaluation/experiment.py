"""What `soravec train` does: labelled clips in; a model, its figures and its report out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from soravec.data.features import FeatureCache
from soravec.data.importers import IMPORTERS
from soravec.data.manifest import Manifest, Task, read_manifest, split_named
from soravec.errors import ManifestError
from soravec.evaluation.evaluate import evaluate
from soravec.evaluation.events import evaluate_events
from soravec.runtime.encoder import load
from soravec.training.compare import compare as compare_models
from soravec.training.compare import comparison_table
from soravec.training.config import TrainConfig, read_train_config
from soravec.training.estimate import estimate, sentences
from soravec.training.events import train_events, whole_videos
from soravec.training.prepare import Places
from soravec.training.progress import training_progress
from soravec.training.train import Trained, train
from soravec.video import LIMITS, Limits

REPORT_FOLDER = "report"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Which clips, and how they are labelled."""

    path: Path
    """A manifest, a folder per class, or the annotations of a public set."""
    annotations: str | None = None
    """Key of `IMPORTERS`; None for a manifest of ours."""
    videos: Path | None = None
    """Folder of the videos that such annotations name."""
    fold: int = 1
    """Which of the splits of such annotations, where several were published."""
    allow_rare: bool = False
    """Whether a label that occurs once and resembles a frequent one is meant so."""
    allow_missing: bool = False
    """Whether rows whose video is not there are left out, and told of."""
    frame_folders: bool = False
    """Whether, below a folder, a folder of pictures is a video."""
    task: Task | None = None
    """What they are to teach; None for what they are labelled with."""

    def read(self) -> Manifest:
        """Return the clips.

        Raises:
            ManifestError: They cannot be used.
        """
        if self.annotations is None:
            return read_manifest(
                self.path,
                task=self.task,
                allow_rare=self.allow_rare,
                allow_missing=self.allow_missing,
                frame_folders=self.frame_folders,
            )
        if self.annotations not in IMPORTERS:
            known = ", ".join(IMPORTERS)
            raise ManifestError(self.path, [f"no format '{self.annotations}': choose {known}"])
        if self.videos is None:
            reason = "such annotations need the folder of their videos: --videos"
            raise ManifestError(self.path, [reason])
        return IMPORTERS[self.annotations](self.path, self.videos, fold=self.fold)


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is to be trained, and from what."""

    clips: Labelled
    """What to learn from, and to measure with."""
    out: Path
    """Folder of the training."""
    config: Path | None = None
    """YAML file of settings."""
    settings: tuple[str, ...] = ()
    """Single settings over it."""
    cache: Path = Path("soravec.features")
    """Folder in which features are kept."""
    library: Path | None = None
    """A library whose features are used where they fit."""

    def read(self) -> tuple[Manifest, TrainConfig]:
        """Return the clips and the configuration.

        Raises:
            ManifestError: The clips cannot be used.
            TrainingError: The configuration makes no sense.
        """
        config = read_train_config(self.config, self.settings)
        return self.clips.read(), config


def run_experiment(
    plan: Experiment,
    *,
    compare: bool = False,
    events: bool = False,
    resume: bool = False,
    robustness: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[str], dict[str, Any]]:
    """Train, measure the test clips once, write the report; return lines and facts of it.

    Args:
        plan: What to train.
        compare: Train every temporal model, and keep the best by validation.
        events: Learn and measure when classes happen, not what clips are called.
        resume: Go on where an interrupted training stopped.
        robustness: Measure what noise, blur, compression and lost frames do.
        say: Given sentences for a person.

    Raises:
        ManifestError: The clips cannot be used.
        TrainingError: The configuration does not fit them.
    """
    manifest, config = plan.read()
    for warning in manifest.warnings:
        say(warning)
    places = Places(plan.cache, plan.library)
    facts: dict[str, Any] = {}
    lines: list[str] = []
    with training_progress(config.loop.epochs) as bars:
        if compare:
            trained, rows = compare_models(
                manifest,
                plan.out,
                config,
                places,
                on_videos=bars.on_videos,
                on_progress=bars.on_step,
                say=say,
            )
            facts["compared"] = [asdict(row) for row in rows]
            lines += comparison_table(rows, trained.prepared)
        else:
            learn = train_events if events else train
            trained = learn(
                manifest,
                plan.out,
                config,
                places,
                resume=resume,
                on_videos=bars.on_videos,
                on_progress=bars.on_step,
                say=say,
            )
    lines.append(f"{trained.model}: {_how(trained)}")
    facts |= {"model": str(trained.model), "validation": trained.validation}
    facts |= {"epochs": trained.fit.epochs, "skipped": len(trained.prepared.features.skipped)}
    labelled = manifest.task != "unlabelled"
    if not labelled or not trained.prepared.manifest.of_split("test"):
        return [*lines, "no labelled test clips, so no report"], facts
    if events:
        found_lines, found = _test_events(trained, plan, config, say)
        return [*lines, *found_lines], facts | {"test": found}
    result = evaluate(
        load(trained.model),
        trained.prepared.manifest,
        head=config.head if config.objective.supervised else None,
        out=plan.out / REPORT_FOLDER,
        features=trained.prepared.features,
        robustness=robustness,
        limits=config.data.limits,
        seed=config.loop.seed,
        say=say,
    )
    return [*lines, *result.lines], facts | {"test": result.facts}


def _test_events(
    trained: Trained, plan: Experiment, config: TrainConfig, say: Callable[[str], None]
) -> tuple[list[str], dict[str, Any]]:
    """Return how well events are found in the test videos, as lines and as facts."""
    encoder = load(trained.model)
    found = evaluate_events(
        encoder,
        trained.prepared.manifest,
        head=encoder.head(config.head),
        out=plan.out / REPORT_FOLDER,
        features=trained.prepared.features,
        seed=config.loop.seed,
        say=say,
    )
    return found.lines, found.facts


@dataclass(frozen=True, slots=True)
class Examination:
    """Which model is to be measured, and on what."""

    model: str
    """A name, a folder or a hub id."""
    clips: Labelled
    """What to measure with."""
    out: Path
    """Folder of the report."""
    split: str = "test"
    """Which clips; all, where none has a split."""
    head: str | None = None
    """Which of the model's heads; None means its only one beside the tags."""
    cache: Path = Path("soravec.features")
    """Folder in which features are kept."""
    library: Path | None = None
    """A library whose features are used where they fit."""
    limits: Limits = LIMITS
    """What is refused of a video."""


def examine(
    plan: Examination,
    *,
    events: bool = False,
    robustness: bool = True,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[str], dict[str, Any]]:
    """Measure a model on labelled clips and write the report; return lines and facts of it.

    It reads at the rate that its head was learned at, which is the model's.

    Args:
        plan: What to measure.
        events: Measure when classes are found to happen, not what clips are called.
        robustness: Measure what noise, blur, compression and lost frames do.
        seed: Of intervals, shuffles and noise.
        say: Given sentences for a person.

    Raises:
        ManifestError: The clips cannot be used, or there is none of that split.
        ModelError: There is no such model, or it has no such head.
    """
    encoder = load(plan.model)
    manifest = plan.clips.read()
    for warning in manifest.warnings:
        say(warning)
    if not any(clip.split for clip in manifest.clips):
        clips = tuple(replace(clip, split=split_named(plan.split)) for clip in manifest.clips)
        manifest = replace(manifest, clips=clips)
    split = split_named(plan.split)
    if split is None or not manifest.of_split(split):
        raise ManifestError(plan.clips.path, [f"no clip of the split '{plan.split}'"])
    with training_progress(0) as bars:
        cache = FeatureCache(plan.cache, encoder, library=plan.library, limits=plan.limits)
        clips = whole_videos(manifest) if events else manifest.clips
        features = cache.read(clips, on_progress=bars.on_videos)
    if events:
        found = evaluate_events(
            encoder,
            manifest,
            features=features,
            out=plan.out,
            head=encoder.head(plan.head),
            split=split,
            seed=seed,
            say=say,
        )
        return found.lines, found.facts
    result = evaluate(
        encoder,
        manifest,
        features=features,
        out=plan.out,
        head=plan.head,
        split=split,
        seed=seed,
        robustness=robustness,
        limits=plan.limits,
        say=say,
    )
    return result.lines, result.facts


def estimate_experiment(plan: Experiment) -> tuple[list[str], dict[str, Any]]:
    """Return what a training will take, as lines and as facts; nothing is kept.

    Raises:
        ManifestError: The clips cannot be used.
        TrainingError: The configuration makes no sense, or no clip can be read.
    """
    manifest, config = plan.read()
    found = estimate(manifest, config)
    return sentences(found), asdict(found)


def _how(trained: Trained) -> str:
    found = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in trained.validation.items())
    fit, fps = trained.fit, trained.prepared.encoder.config.sampling.fps
    return (
        f"{fit.epochs} epochs in {fit.seconds:.1f} s ({fit.waiting:.0%} waiting for data),"
        f" number {fit.best_epoch} kept; validation at {fps:g} frames/s: {found or 'none'}"
    )
