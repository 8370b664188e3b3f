"""From a list of labelled clips to segments that can be learned from."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from soravec.data.duplicates import (
    DuplicatePair,
    drop_duplicates,
    near_duplicates,
    same_group,
)
from soravec.data.features import FeatureCache, FeatureSet, OnProgress, skipped_rows
from soravec.data.manifest import Clip, Manifest, write_manifest
from soravec.data.splits import split_clips
from soravec.errors import TrainingError
from soravec.models.cnn import FrameCnn
from soravec.models.export import load_encoder, save_model
from soravec.models.sora import SoraEncoder
from soravec.runtime.config import TemporalConfig
from soravec.runtime.encoder import Encoder
from soravec.runtime.folder import CONFIG_FILE, ModelFolder, find_model
from soravec.runtime.heads import Activation
from soravec.training.batches import Segment, segments_of
from soravec.training.config import TrainConfig

SPLIT_FILE = "split.csv"
"""A manifest again; `split.jsonl` where CSV cannot say it."""
SKIPPED_FILE = "skipped.csv"
DUPLICATES_FILE = "duplicates.csv"
BASE_FOLDER = "base"

SKIPPED_COLUMNS = ("row", "path", "error", "message")

DUPLICATE_COLUMNS = (
    *("first", "second", "first_split", "second_split"),
    *("kind", "likeness", "offset_seconds"),
)

ACTIVATIONS: dict[str, Activation] = {
    "single_label": "softmax",
    "multi_label": "sigmoid",
    "regression": "identity",
    "unlabelled": "identity",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a temporal model is trained from."""

    manifest: Manifest
    """With a split for every clip."""
    encoder: Encoder
    """The base model, at the rate that is read."""
    features: FeatureSet
    """Of all clips that could be read."""
    train: tuple[Segment, ...]
    """What is learned from, augmented views beside it."""
    validation: tuple[Segment, ...]
    """What decides when to stop; may be empty."""
    paths: tuple[tuple[Path, ...], tuple[Path, ...]]
    """Video of each clip that the segments of both name by its number."""

    @property
    def activation(self) -> Activation:
        """What the outputs of a head mean."""
        return ACTIVATIONS[self.manifest.task]

    @property
    def num_outputs(self) -> int:
        """K classes or targets; 0 without labels."""
        return len(self.manifest.classes)


@dataclass(frozen=True, slots=True)
class Places:
    """Where features are kept."""

    cache: Path
    """Folder of features, shared by trainings."""
    library: Path | None = None
    """A library whose features are used where they fit."""


def prepare(
    manifest: Manifest,
    config: TrainConfig,
    out: Path,
    places: Places,
    *,
    on_progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Prepared:
    """Split the clips, read their features, look for duplicates, and divide clips into segments.

    Writes `split.csv` (`split.jsonl` where CSV cannot say the labels), `skipped.csv` and
    `duplicates.csv` into `out`.

    Args:
        manifest: The clips.
        config: How.
        out: Folder of the training; made where absent.
        places: Where features are kept.
        on_progress: Called with videos read and videos to read.
        say: Given sentences for a person.

    Raises:
        ManifestError: The clips cannot be split.
        TrainingError: Nothing is left to learn from.
    """
    out.mkdir(parents=True, exist_ok=True)
    encoder = base_encoder(config, out)
    cache = feature_cache(encoder, places, config)
    features = cache.read(manifest.clips, on_progress=on_progress)
    if not features.clips:
        first = f" The first: {features.skipped[0].message}" if features.skipped else ""
        raise TrainingError(f"{manifest.path}: none of its clips can be read.{first}")
    manifest = _split(manifest, features, encoder.config.cnn.parts[0], config, out, say)
    features = _with_splits(features, manifest)
    train = of_split(features, "train")
    if not train.clips:
        raise TrainingError(f"{manifest.path}: no clip to train on can be read")
    _check_learnable(manifest, train, features)
    if config.data.views:
        train = cache.augmented(
            train,
            config.augmentation,
            num_views=config.data.views,
            seed=config.loop.seed,
            on_progress=on_progress,
        )
    skipped = (*features.skipped, *train.skipped[len(features.skipped) :])
    write_rows(out / SKIPPED_FILE, skipped_rows(skipped), SKIPPED_COLUMNS)
    if skipped:
        say(f"{len(skipped)} clips could not be read: {out / SKIPPED_FILE}")
    validation = of_split(features, "validation")
    return Prepared(
        manifest,
        encoder,
        replace(features, skipped=skipped),
        segments_of_set(train, manifest, encoder),
        segments_of_set(validation, manifest, encoder),
        (paths_of(train), paths_of(validation)),
    )


def feature_cache(encoder: Encoder, places: Places, config: TrainConfig) -> FeatureCache:
    """Return what reads the features of clips, and keeps them."""
    return FeatureCache(
        places.cache,
        encoder,
        library=places.library,
        num_workers=config.data.num_workers,
        limits=config.data.limits,
    )


def _check_learnable(manifest: Manifest, train: FeatureSet, features: FeatureSet) -> None:
    """Check that every class is left with a clip to learn from.

    Raises:
        TrainingError: None of the training clips of a class can be read.
    """
    if manifest.task not in ("single_label", "multi_label"):
        return
    learned = {label for clip in train.clips for label in clip.labels}
    lost = [name for name in manifest.classes if name not in learned]
    if lost:
        first = f" The first: {features.skipped[0].message}" if features.skipped else ""
        raise TrainingError(
            f"{manifest.path}: none of the training clips of {', '.join(lost)} can be read."
            f" Mend them, or leave the class out.{first}"
        )


def read_again(
    prepared: Prepared, folder: ModelFolder, places: Places, config: TrainConfig
) -> Prepared:
    """Return the same clips read by another CNN: those of train and validation."""
    sampling = prepared.encoder.config.sampling
    encoder = Encoder(folder).sampled(fps=sampling.fps, segment_seconds=sampling.segment_seconds)
    cache = feature_cache(encoder, places, config)
    features = cache.read(prepared.features.clips)
    train, validation = of_split(features, "train"), of_split(features, "validation")
    return Prepared(
        prepared.manifest,
        encoder,
        replace(features, skipped=prepared.features.skipped),
        segments_of_set(train, prepared.manifest, encoder),
        segments_of_set(validation, prepared.manifest, encoder),
        (paths_of(train), paths_of(validation)),
    )


def segments_of_set(
    features: FeatureSet, manifest: Manifest, encoder: Encoder
) -> tuple[Segment, ...]:
    """Return the segments of clips, with the truth of each."""
    return tuple(
        segment
        for number, (clip, views) in enumerate(zip(features.clips, features.views, strict=True))
        for segment in segments_of(
            number,
            views,
            truth_of(clip, manifest),
            segment_seconds=encoder.config.sampling.segment_seconds,
            parts=encoder.config.cnn.parts,
        )
    )


def truth_of(clip: Clip, manifest: Manifest) -> NDArray[np.float32]:
    """Return (K,) float32: 1 for every class of a clip, or its targets; empty without labels."""
    if manifest.task == "regression":
        return np.array(clip.target, np.float32)
    return np.array([name in clip.labels for name in manifest.classes], np.float32)


def base_encoder(config: TrainConfig, out: Path) -> Encoder:
    """Return the model to start from, at the rate and in the segments that are wanted.

    A model whose CNN is to read more of a frame than it does is written anew into `out`.
    """
    folder = find_model(config.model)
    cnn, options = folder.config.cnn, config.data
    motion = options.motion or cnn.motion
    layout = bool(cnn.num_layout) if options.layout is None else options.layout
    if (motion, layout) != (cnn.motion, bool(cnn.num_layout)):
        reads = f"{motion}-layout" if layout else motion
        base = out / BASE_FOLDER / f"{folder.config.feature_id}-{reads}"
        if not (base / CONFIG_FILE).is_file():  # written last
            write_base(load_encoder(folder.path), base, motion=motion, layout=layout)
        folder = find_model(base)
    return Encoder(folder).sampled(fps=options.fps, segment_seconds=options.segment_seconds)


def write_base(
    encoder: SoraEncoder, folder: Path, *, motion: Literal["none", "difference"], layout: bool
) -> None:
    """Write a model with the same CNN and appearance, which reads more of a frame, or less.

    Args:
        encoder: The model; its temporal model is not taken over.
        folder: Where to write.
        motion: Whether differences to the frame before are read.
        layout: Whether it is told how much is in each cell of the picture.
    """
    cnn = encoder.config.cnn
    looks, _, _ = cnn.parts
    with torch.no_grad():
        blank = torch.zeros(1, 3, cnn.height, cnn.width)
        num_cells = encoder.cnn.network.forward_features(blank)[0, 0].numel() if layout else 0  # type: ignore[operator]
    width = looks * (1 if motion == "none" else 2) + num_cells
    changed = replace(
        cnn,
        motion=motion,
        num_layout=num_cells,
        num_looks=looks if width > looks else 0,
        feature_dim=width,
    )
    old = encoder.config.temporal
    temporal = TemporalConfig(old.appearance_dim, old.motion_dim, kind="mean")
    config = replace(encoder.config, cnn=changed, temporal=temporal, files={})
    model = SoraEncoder(config, FrameCnn(changed, encoder.cnn.network))
    model.temporal.projection.load_state_dict(encoder.temporal.projection.state_dict())
    card = f"# {config.name}\n\nMade as a base for training: its temporal model is untrained.\n"
    save_model(model, folder, card=card)


def split_file(manifest: Manifest) -> str:
    """Return a name whose format can hold the labels: none at all, or with `;` or `|` in them."""
    several = manifest.task == "multi_label"
    hard = any(not clip.labels or set("".join(clip.labels)) & set(";|") for clip in manifest.clips)
    return str(Path(SPLIT_FILE).with_suffix(".jsonl")) if several and hard else SPLIT_FILE


def _split(
    manifest: Manifest,
    features: FeatureSet,
    num_looks: int,
    config: TrainConfig,
    out: Path,
    say: Callable[[str], None],
) -> Manifest:
    """Return the manifest with a split for every clip, duplicates treated as asked."""
    options, known = config.data, len(manifest.warnings)
    pairs: list[DuplicatePair] = []
    if options.duplicates != "ignore":
        first = [views[0] for views in features.views]
        pairs = near_duplicates(features.clips, first, num_looks=num_looks)
    if options.duplicates == "drop":
        manifest = drop_duplicates(manifest, pairs)
    elif options.duplicates == "group":
        manifest = same_group(manifest, pairs)
    manifest = split_clips(manifest, options.fractions, seed=config.loop.seed)
    for warning in manifest.warnings[known:]:
        say(warning)
    written = write_manifest(manifest, out / split_file(manifest))
    for suffix in {".csv", ".jsonl"} - {written.suffix}:
        written.with_suffix(suffix).unlink(missing_ok=True)  # of an earlier run
    splits = {clip.row: clip.split for clip in manifest.clips}
    kept = [pair for pair in pairs if pair.first.row in splits and pair.second.row in splits]
    leaks = [pair for pair in kept if splits[pair.first.row] != splits[pair.second.row]]
    rows = [
        {
            "first": str(pair.first.path),
            "second": str(pair.second.path),
            "first_split": splits[pair.first.row] or "",
            "second_split": splits[pair.second.row] or "",
            "kind": pair.kind,
            "likeness": f"{pair.likeness:.4f}",
            "offset_seconds": f"{pair.offset_seconds:.2f}",
        }
        for pair in kept
    ]
    write_rows(out / DUPLICATES_FILE, rows, DUPLICATE_COLUMNS)
    if leaks:
        copies = sum(pair.kind == "copy" for pair in leaks)
        said = (
            f"{len(leaks)} pairs of clips in different splits show the same ({copies} the same"
            f" moment, the others the same place), listed in {DUPLICATES_FILE}: figures may"
            " flatter; --set data.duplicates=group keeps them together, drop leaves copies out"
        )
        say(f"{said} ({out / DUPLICATES_FILE})")
        manifest = replace(manifest, warnings=(*manifest.warnings, said))
    return manifest


def _with_splits(features: FeatureSet, manifest: Manifest) -> FeatureSet:
    """Return the features of the clips that the manifest still has, with their splits."""
    by_row = {clip.row: clip for clip in manifest.clips}
    kept = [i for i, clip in enumerate(features.clips) if clip.row in by_row]
    clips = tuple(by_row[features.clips[i].row] for i in kept)
    return replace(features, clips=clips, views=tuple(features.views[i] for i in kept))


def of_split(features: FeatureSet, split: str) -> FeatureSet:
    """Return the features of one split."""
    kept = [i for i, clip in enumerate(features.clips) if clip.split == split]
    return replace(
        features,
        clips=tuple(features.clips[i] for i in kept),
        views=tuple(features.views[i] for i in kept),
    )


def paths_of(features: FeatureSet) -> tuple[Path, ...]:
    """Return the video of each clip."""
    return tuple(clip.path for clip in features.clips)


def write_rows(path: Path, rows: Sequence[Mapping[str, str | int]], columns: Sequence[str]) -> None:
    """Write rows as CSV under a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
