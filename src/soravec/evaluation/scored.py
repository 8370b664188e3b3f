"""Labelled clips with all that is computed of them once: features, vectors, truth, groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soravec.data.clips import Clip, Manifest, Split, units_of
from soravec.data.features import FeatureSet
from soravec.errors import ManifestError
from soravec.evaluation.pooling import pooled_statistics
from soravec.evaluation.probes import ProbeData
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import Activation, Head
from soravec.types import FrameFeatures

Float = NDArray[np.float64]

ANSWERS: dict[str, Activation] = {
    "single_label": "softmax",
    "multi_label": "sigmoid",
    "regression": "identity",
}
"""What a head's outputs must be for a task."""


@dataclass(frozen=True, slots=True)
class ScoredClips:
    """The readable clips of one split."""

    clips: tuple[Clip, ...]
    """N clips."""
    features: tuple[FrameFeatures, ...]
    """Of each."""
    vectors: NDArray[np.float32]
    """(N, D) the model's vectors of whole clips."""
    statistics: Float
    """(N, 3 C) mean, deviation and mean absolute change of features over time."""
    truth: Float
    """(N, K) 1 for every class of a clip, or its targets."""
    units: NDArray[np.int64]
    """(N,) the number of each clip's group."""

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def means(self) -> Float:
        """(N, C) mean of features over time."""
        return self.statistics[:, : self.statistics.shape[1] // 3]

    def none(self) -> "ScoredClips":
        """Return none of them."""
        arrays = self.vectors, self.statistics, self.truth, self.units
        return ScoredClips((), (), *(array[:0] for array in arrays))  # type: ignore[arg-type]

    def as_probe_data(self, vectors: NDArray[np.float32] | Float) -> ProbeData:
        """Return vectors of these clips with what is true of them."""
        return ProbeData(vectors, self.truth, self.units)


def gather(
    encoder: Encoder,
    manifest: Manifest,
    features: FeatureSet,
    split: Split,
    classes: Sequence[str],
) -> ScoredClips:
    """Return the readable clips of a split; of none, arrays of length 0.

    Args:
        encoder: Makes vectors of features.
        manifest: All clips; its groups.
        features: Of those that could be read.
        split: Which.
        classes: Names in the order of the truth's columns.
    """
    unit_of = dict(zip((c.row for c in manifest.clips), units_of(manifest.clips), strict=True))
    split_of = {clip.row: clip.split for clip in manifest.clips}
    rows = [i for i, clip in enumerate(features.clips) if split_of.get(clip.row) == split]
    clips = tuple(features.clips[i] for i in rows)
    read = tuple(features.views[i][0] for i in rows)
    vectors = [encoder.embed_features(one).vector for one in read]
    statistics = [
        pooled_statistics(
            one,
            segment_seconds=encoder.config.sampling.segment_seconds,
            parts=encoder.config.cnn.parts,
        )
        for one in read
    ]
    width = encoder.config.cnn.feature_dim
    return ScoredClips(
        clips=clips,
        features=read,
        vectors=np.array(vectors, np.float32).reshape(len(rows), encoder.dim),
        statistics=np.array(statistics, np.float64).reshape(len(rows), 3 * width),
        truth=truth_of(clips, classes, manifest),
        units=np.array([unit_of[clip.row] for clip in clips], np.int64),
    )


def truth_of(clips: Sequence[Clip], classes: Sequence[str], manifest: Manifest) -> Float:
    """Return (N, K): 1 for every class of a clip, or its targets."""
    if manifest.task == "regression":
        rows = [clip.target for clip in clips]
    else:
        rows = [tuple(float(name in clip.labels) for name in classes) for clip in clips]
    return np.array(rows, np.float64).reshape(len(clips), len(classes))


def check_classes(manifest: Manifest, head: Head) -> None:
    """Refuse clips that a head cannot be right about.

    Raises:
        ManifestError: It answers another kind of question, or does not know a class.
    """
    task = manifest.task
    if ANSWERS[task] != head.activation:
        known = {activation: name for name, activation in ANSWERS.items()}
        problem = f"clips are {task}, but the head '{head.name}' is {known[head.activation]}"
        raise ManifestError(manifest.path, [problem])
    if task == "regression":
        if len(manifest.classes) != len(head.classes):
            problem = f"{len(manifest.classes)} targets, but '{head.name}' has {len(head.classes)}"
            raise ManifestError(manifest.path, [problem])
        return
    unknown = [name for name in manifest.classes if name not in head.classes]
    if unknown:
        raise ManifestError(
            manifest.path,
            [f"the head '{head.name}' does not know '{name}'" for name in unknown],
        )
