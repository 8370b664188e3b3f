"""Near-duplicates: clips that show the same thing, and so must not be learned from and judged by.

Public data sets have them across their splits. Two clips are a *copy* of one another where their
changes agree: encoded anew, resized, cropped a little, brighter, begun a second later, overlapping
spans of one source. They are of the *same place* where they merely look alike all along: another
moment before the same camera.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soravec.data.checks import manifest_error
from soravec.data.clips import Clip, Manifest, connected, portable, units_of
from soravec.data.likeness import Agreement, agreement, course_of, fit_space, looks_of
from soravec.errors import ManifestError, SpaceMismatch
from soravec.types import FrameFeatures

COPY_SCORE = 0.4
"""Agreement of changes from which two clips are a copy. `benchmarks/duplicates.py` measures it."""
GROUP_SCORE = 0.6
"""The same within a group: whoever does a thing twice before one camera does it much alike."""
PLACE_LIKENESS = 0.9
"""Likeness of looks from which two clips are of the same place."""
CANDIDATE_LIKENESS = 0.5
"""Likeness of looks from which their changes are compared at all."""

_BLOCK = 1024
_KEPT_COURSES = 1024  # about 100 MB of clips of 3 s

_KEPT_FIRST = {"test": 0, "validation": 1, "train": 2, None: 3}
"""What a split was published to be judged by stays as it is."""


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two clips that show the same thing."""

    first: Clip
    second: Clip
    kind: Literal["copy", "same_place"]
    """Whether they show the same moment, or only the same place."""
    likeness: float
    """Of their looks, in [-1, 1]: the cosine of the two parts that are most alike."""
    score: float
    """Agreement of their changes, in [-1, 1]."""
    offset_seconds: float
    """What the second shows at `t`, the first shows at `t + offset_seconds`, each since its
    beginning. Without meaning for a place."""
    overlap_seconds: float
    """For how long both show it."""

    @property
    def across_splits(self) -> bool:
        """Whether one is learned from and the other one judged by."""
        return self.first.split != self.second.split


def near_duplicates(
    clips: Sequence[Clip],
    features: Sequence[FrameFeatures],
    *,
    num_looks: int | None = None,
    copy_score: float = COPY_SCORE,
    place_likeness: float = PLACE_LIKENESS,
) -> list[DuplicatePair]:
    """Return the pairs of clips that show the same thing, copies first, the surest first.

    Where group or video keep two clips together anyway, a copy has to be surer, and pairs of the
    same place are left out.

    Args:
        clips: The clips.
        features: What the CNN read of each, at 4 frames/s or more for the best answer.
        num_looks: How many of a frame's features, the first ones, are of its looks
            (`CnnConfig.parts`): these alone are compared, for differences to the frame before vary
            too much with how a video was encoded. None: all of them are.
        copy_score: Agreement of changes from which on two clips are a copy.
        place_likeness: Likeness of looks from which on they are of the same place.

    Raises:
        SpaceMismatch: The features come from several CNNs.
    """
    if len(clips) != len(features):
        raise ValueError(f"{len(clips)} clips, but features of {len(features)}")
    if len({clip.feature_id for clip in features}) > 1:
        raise SpaceMismatch("features of several CNNs cannot be compared; read all with one model")
    if len(clips) < 2:
        return []
    looks = [replace(clip, features=clip.features[:, :num_looks]) for clip in features]
    with _one_thread():
        return _pairs(clips, looks, copy_score, place_likeness)


def drop_duplicates(manifest: Manifest, pairs: Iterable[DuplicatePair]) -> Manifest:
    """Return the manifest with one clip of every set of copies, and warnings that say what went.

    A clip of the test split stays rather than one of validation, that rather than one of train;
    then the one that stands first. Clips of the same place all stay. Copies with other labels are
    told of.

    Raises:
        ManifestError: A pair is not in the manifest.
    """
    ties = _ties(manifest, [pair for pair in pairs if pair.kind == "copy"])
    splits = [clip.split for clip in manifest.clips]
    order = sorted(range(len(splits)), key=lambda index: (_KEPT_FIRST[splits[index]], index))
    sets = connected(len(manifest.clips), ties)
    kept: dict[int, int] = {}
    warnings = []
    for index in order:
        stays = kept.setdefault(sets[index], index)
        if stays == index:
            continue
        gone, other = manifest.clips[index], manifest.clips[stays]
        said = f"{_called(gone, manifest)} was left out: a copy of {_called(other, manifest)}"
        if gone.labels != other.labels:
            said += f", but labelled {_words(gone.labels)}, not {_words(other.labels)}"
        warnings.append(said)
    clips = tuple(clip for n, clip in enumerate(manifest.clips) if kept[sets[n]] == n)
    classes = manifest.classes
    if manifest.task in ("single_label", "multi_label"):
        classes = tuple(sorted({label for clip in clips for label in clip.labels}))
    warnings = [*manifest.warnings, *warnings]
    return replace(manifest, clips=clips, classes=classes, warnings=tuple(warnings))


def same_group(manifest: Manifest, pairs: Iterable[DuplicatePair]) -> Manifest:
    """Return the manifest with every pair in one group, so that no split tears it apart.

    Groups that a pair connects become one, which has the name of the first.

    Raises:
        ManifestError: A pair is torn apart already, by the splits that the manifest has, or is not
            in it.
    """
    joined = _ties(manifest, pairs)
    torn = [
        f"{_called(one, manifest)} ({one.split}) and {_called(other, manifest)} ({other.split})"
        " show the same in two splits"
        for one, other in ((manifest.clips[i], manifest.clips[j]) for i, j in joined)
        if one.split != other.split
    ]
    if torn:
        remedy = "split the clips anew, without the splits they have, or leave out the copies"
        raise manifest_error(manifest.path, [*torn, remedy])
    first: dict[int, int] = {}
    ties = [(first.setdefault(u, n), n) for n, u in enumerate(units_of(manifest.clips))]
    sets = connected(len(manifest.clips), [*ties, *joined])
    changed = {sets[index] for tie in joined for index in tie}
    names: dict[int, str] = {}
    for clip, of_set in zip(manifest.clips, sets, strict=True):
        if clip.group is not None:
            names.setdefault(of_set, clip.group)
    for clip, of_set in zip(manifest.clips, sets, strict=True):
        names.setdefault(of_set, portable(clip.path, manifest.folder))
    clips = [
        replace(clip, group=names[of_set]) if of_set in changed else clip
        for clip, of_set in zip(manifest.clips, sets, strict=True)
    ]
    return replace(manifest, clips=tuple(clips))


def _pairs(
    clips: Sequence[Clip],
    features: Sequence[FrameFeatures],
    copy_score: float,
    place_likeness: float,
) -> list[DuplicatePair]:
    space = fit_space(features)
    units = units_of(clips)

    @lru_cache(maxsize=_KEPT_COURSES)
    def courses(number: int) -> Courses:
        clip = features[number]
        return course_of(clip, space), course_of(clip, space, shift_steps=0.5)

    pairs = []
    for i, j, likeness in _candidates([looks_of(clip, space) for clip in features]):
        found, late = _agreement(courses(i), courses(j), space.fps)
        together = units[i] == units[j]
        is_copy = found.score >= (max(copy_score, GROUP_SCORE) if together else copy_score)
        if not is_copy and (together or likeness < place_likeness):
            continue
        pairs.append(
            DuplicatePair(
                clips[i],
                clips[j],
                "copy" if is_copy else "same_place",
                likeness,
                found.score,
                (found.offset_steps + late) / space.fps,
                found.overlap_steps / space.fps,
            )
        )
    return sorted(pairs, key=lambda p: (p.kind, -p.score if p.kind == "copy" else -p.likeness))


def _one_thread() -> AbstractContextManager[object]:
    """Keep NumPy to one thread: on busy cores several take a hundred times longer over these sizes.

    scikit-learn brings threadpoolctl along; without it the result is the same.
    """
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


def _ties(manifest: Manifest, pairs: Iterable[DuplicatePair]) -> list[tuple[int, int]]:
    """Return the pairs as numbers of the manifest's clips, whatever splits these have by now."""
    number: dict[tuple[str, float, float], int] = {}
    for index, clip in enumerate(manifest.clips):
        number.setdefault(clip.key(manifest.folder), index)
    ties = []
    for pair in pairs:
        keys = pair.first.key(manifest.folder), pair.second.key(manifest.folder)
        for key in keys:
            if key not in number:
                raise ManifestError(manifest.path, [f"'{key[0]}' of a pair is not in it"])
        ties.append((number[keys[0]], number[keys[1]]))
    return ties


def _candidates(looks: Sequence[NDArray[np.float32]]) -> Iterator[tuple[int, int, float]]:
    """Yield (first, second, likeness) of clips of which any two parts look alike."""
    owner = np.repeat(np.arange(len(looks)), [len(parts) for parts in looks])
    parts = np.concatenate(looks)
    for begin in range(0, len(looks), _BLOCK):
        rows = np.flatnonzero((owner >= begin) & (owner < begin + _BLOCK))
        likeness = parts[rows] @ parts.T
        one, other = np.nonzero(likeness >= CANDIDATE_LIKENESS)
        best: dict[tuple[int, int], float] = {}
        for i, j, value in zip(owner[rows[one]], owner[other], likeness[one, other], strict=True):
            if i < j:
                pair = int(i), int(j)
                best[pair] = max(best.get(pair, -1.0), float(value))
        yield from ((i, j, min(value, 1.0)) for (i, j), value in sorted(best.items()))


Courses = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A clip's course at the steps of the grid, and half a step later."""


def _agreement(first: Courses, second: Courses, fps: float) -> tuple[Agreement, float]:
    """Return the best of three tries: the steps fall together, or either is half a step late.

    The second value is what the offset is to be corrected by, in steps.
    """
    tries = [
        (agreement(first[0], second[0], fps), 0.0),
        (agreement(first[0], second[1], fps), -0.5),
        (agreement(first[1], second[0], fps), 0.5),
    ]
    return max(tries, key=lambda found: found[0].score)


def _called(clip: Clip, manifest: Manifest) -> str:
    name = f"'{portable(clip.path, manifest.folder)}'"
    if clip.start_seconds is None and clip.end_seconds is None:
        return name
    end = "its end" if clip.end_seconds is None else f"{clip.end_seconds:g} s"
    return f"{name} from {clip.start_seconds or 0:g} s to {end}"


def _words(labels: Sequence[str]) -> str:
    return " and ".join(labels) or "nothing"
