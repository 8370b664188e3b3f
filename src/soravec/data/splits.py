"""Who learns and who is asked: splits that no group, and no video, lies across.

scikit-learn's stratified folds do the work, on clips put in an order of their own, so that neither
the order of the rows nor the place of the files changes the result.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from soravec.data.checks import manifest_error
from soravec.data.clips import SPLITS, Clip, Manifest, Split, Task, units_of
from soravec.errors import ManifestError, MissingExtra

FRACTIONS = (0.7, 0.15, 0.15)
"""Of the clips: train, validation, test."""
MAX_FOLDS = 20
"""Splits are put together from at most so many folds: 0.15 is three of 20."""
NUM_TRIALS = 4
"""Deals of the cards, for each of three numbers of folds; the fairest is kept."""
MANY_CLIPS = 5000
"""From here on one deal for each is fair enough."""
NUM_BINS = 10
"""Equally frequent ranges of a target, in place of classes."""

Integers = NDArray[np.int64]


def split_clips(
    manifest: Manifest, fractions: tuple[float, float, float] = FRACTIONS, *, seed: int = 0
) -> Manifest:
    """Return the manifest with a split for every clip.

    Splits that are given stay as they are. Where train and test are given, but no validation, it is
    taken out of train. A group is never torn apart; neither are the spans of one video. Every class
    is in train. Classes come as close to the fractions as whole groups allow; a clip of several
    classes counts as its rarest, a target as the tenth of the targets that it lies in.

    Args:
        manifest: Clips, all with a split or all without.
        fractions: Shares of train, validation and test; their sum is 1, that of train above 0.
        seed: Decides who goes where, together with the paths, labels and groups.

    Raises:
        ManifestError: The fractions make no sense, or there are fewer groups than splits.
        MissingExtra: scikit-learn is not installed.
    """
    wanted = _checked(manifest, fractions)
    given = {clip.split for clip in manifest.clips}
    if None not in given:
        if "validation" in given or "train" not in given or not wanted[1]:
            return manifest
        # Test stays what it is, and none is made up where the manifest has none.
        wanted = np.array([wanted[0], wanted[1], 0.0]) / (wanted[0] + wanted[1])
    open_ = [n for n, clip in enumerate(manifest.clips) if clip.split in (None, "train")]
    clips = [manifest.clips[number] for number in open_]
    chosen = _deal(manifest, clips, wanted, seed)
    done = list(manifest.clips)
    for number, which in zip(open_, chosen, strict=True):
        done[number] = replace(done[number], split=SPLITS[which])
    warnings = _absent(clips, chosen, [s for s, share in zip(SPLITS, wanted, strict=True) if share])
    return replace(manifest, clips=tuple(done), warnings=(*manifest.warnings, *warnings))


def folds(manifest: Manifest, k: int = 5, *, seed: int = 0) -> Integers:
    """Return the fold (N,) of each clip, from 0 to k - 1, for cross-validation.

    Stratified, by group, whatever split the clips have: fold 2 is tested with `folds(m) == 2` and
    learned with `folds(m) != 2`. Every class is in every fold.

    Raises:
        ManifestError: A class has fewer groups than folds.
        MissingExtra: scikit-learn is not installed.
    """
    if k < 2:
        raise ManifestError(manifest.path, [f"{k} folds: at least 2 are needed"])
    order = _order(manifest, manifest.clips)
    clips = [manifest.clips[number] for number in order]
    units, strata = np.array(units_of(clips)), _strata(clips, manifest.task)
    few = []
    for stratum in np.unique(strata):
        number = len(np.unique(units[strata == stratum]))
        if number < k:
            few.append(f"{_called(manifest, clips, strata, stratum)}: {number} groups, {k} folds")
    if few:
        raise manifest_error(manifest.path, few)
    result = np.empty(len(clips), np.int64)
    result[order] = _folds(strata, units, k, seed)
    return result


def _checked(manifest: Manifest, fractions: tuple[float, float, float]) -> NDArray[np.float64]:
    shares = np.array(fractions, np.float64)
    bad = len(shares) != 3 or not np.isfinite(shares).all() or (shares < 0).any()
    if bad or shares[0] <= 0 or abs(shares.sum() - 1) > 1e-6:
        what = f"fractions {tuple(fractions)}: three numbers of sum 1, that of train above 0"
        raise ManifestError(manifest.path, [what])
    some = [clip for clip in manifest.clips if clip.split is None]
    if some and len(some) < len(manifest.clips):
        raise manifest_error(manifest.path, [f"row {clip.row}: no split" for clip in some])
    return shares


def _deal(
    manifest: Manifest, clips: Sequence[Clip], wanted: NDArray[np.float64], seed: int
) -> Integers:
    """Return for each clip 0, 1 or 2 (train, validation, test): the fairest of some deals."""
    order = _order(manifest, clips)
    ordered = [clips[number] for number in order]
    units, strata = np.array(units_of(ordered)), _strata(ordered, manifest.task)
    num_units, parts = int(units.max()) + 1, [int(part) for part in np.flatnonzero(wanted)]
    if num_units < len(parts):
        what = f"{num_units} groups cannot become {len(parts)} splits; a group is never torn apart"
        raise ManifestError(manifest.path, [what])
    classes = _classes_of(ordered, strata, units)
    sizes = _fold_numbers(wanted, num_units)
    deals = [(k, seed * NUM_TRIALS + trial) for trial in range(NUM_TRIALS) for k in sizes]
    if len(clips) > MANY_CLIPS:
        deals = [(k, seed) for k in sizes]
    best, least = None, np.inf
    for k, state in deals:
        shuffled = np.random.default_rng(state).permutation(k)
        chosen = _parts(shuffled[_folds(strata, units, k, state)], wanted, k)
        _represent(chosen, classes, units, parts)
        unfairness = _unfairness(chosen, strata, wanted)
        if unfairness < least:
            best, least = chosen, unfairness
    assert best is not None
    result = np.empty(len(clips), np.int64)
    result[order] = best
    return result


def _classes_of(clips: Sequence[Clip], strata: Integers, units: Integers) -> list[frozenset[str]]:
    """Return the classes of each unit; the stratum where there are none."""
    found: list[set[str]] = [set() for _ in range(int(units.max()) + 1)]
    for clip, stratum, unit in zip(clips, strata, units, strict=True):
        found[unit].update(clip.labels or (f"{stratum}",))
    return [frozenset(names) for names in found]


def _fold_numbers(wanted: NDArray[np.float64], num_units: int) -> list[int]:
    """Return the three numbers of folds that whole folds come closest to the fractions with.

    For 0.7, 0.15 and 0.15 those are 20 (three and three folds), 13 (two and two) and 7.
    """

    def error(k: int) -> float:
        return float(sum(abs(max(1, round(s * k)) / k - s) for s in wanted[1:] if s))

    return sorted(range(2, min(MAX_FOLDS, num_units) + 1), key=error)[:3]


def _order(manifest: Manifest, clips: Sequence[Clip]) -> list[int]:
    """Return the clips' numbers in an order that neither their rows nor their folder decides."""
    keys = [(clip.key(manifest.folder), clip.labels) for clip in clips]
    return sorted(range(len(clips)), key=lambda number: keys[number])


def _strata(clips: Sequence[Clip], task: Task) -> Integers:
    """Return for each clip the number of what is to be equally frequent in all splits."""
    if task == "regression":
        values = np.array([clip.target[0] if clip.target else 0.0 for clip in clips])
        edges = np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)[1:-1])
        return np.searchsorted(edges, values, side="right").astype(np.int64)
    if task == "unlabelled":
        return np.zeros(len(clips), np.int64)
    counts = Counter(label for clip in clips for label in clip.labels)
    rarest = [min(c.labels, key=lambda name: (counts[name], name), default="") for c in clips]
    return np.unique(rarest, return_inverse=True)[1].astype(np.int64)


def _folds(strata: Integers, units: Integers, k: int, seed: int) -> Integers:
    """Return the fold of each clip; strata with fewer than `k` clips share one of their own."""
    try:
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
    except ImportError as error:
        what = "splitting needs scikit-learn. Install it: pip install 'soravec[train]'"
        raise MissingExtra(what) from error
    counts = np.bincount(strata)
    rare = counts[strata] < k
    strata = np.where(rare, counts.size, strata)
    if 0 < rare.sum() < k:  # too few even together: they count as the largest class
        strata = np.where(rare, counts.argmax(), strata)
    if len(strata) < k or np.bincount(strata).max() < k:
        strata = np.zeros_like(strata)
    if units.max() + 1 == len(units):
        parts = StratifiedKFold(k, shuffle=True, random_state=seed).split(strata, strata)
    else:
        grouped = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        parts = grouped.split(strata, strata, units)
    result = np.empty(len(strata), np.int64)
    for number, (_, held_out) in enumerate(parts):
        result[held_out] = number
    return result


def _parts(fold: Integers, wanted: NDArray[np.float64], k: int) -> Integers:
    """Make validation and test of as many folds as their share is, at least one each."""
    number = [max(1, round(share * k)) if share else 0 for share in wanted[1:]]
    chosen = np.zeros(len(fold), np.int64)
    chosen[fold < sum(number)] = 2
    chosen[fold < number[0]] = 1
    return chosen


def _represent(
    chosen: Integers, classes: Sequence[frozenset[str]], units: Integers, parts: Sequence[int]
) -> None:
    """Move units so that every class is in train, and in every part if it has units enough.

    Args:
        chosen: The part of each clip; changed in place.
        classes: Those of each unit.
        units: The unit of each clip.
        parts: Those that are wanted, train first.
    """
    _, first, sizes = np.unique(units, return_index=True, return_counts=True)
    part_of = chosen[first]
    members: dict[str, list[int]] = defaultdict(list)
    for unit, names in enumerate(classes):
        for name in names:
            members[name].append(unit)
    held = Counter((n, int(part_of[unit])) for n, its in members.items() for unit in its)

    def spare(unit: int, part: int) -> bool:
        """Whether the unit's part can do without it: train is to keep a clip of every class."""
        least = 1 if part == 0 else 2
        return all(held[name, int(part_of[unit])] >= least for name in classes[unit])

    for part in parts:
        for name in sorted(members):
            if held[name, part] or (part and len(members[name]) < len(parts)):
                continue
            able = [unit for unit in members[name] if spare(unit, part)]
            if able:
                unit = min(able, key=lambda u: (-held[name, int(part_of[u])], sizes[u], u))
                for of_unit in classes[unit]:
                    held[of_unit, int(part_of[unit])] -= 1
                    held[of_unit, part] += 1
                part_of[unit] = part
    chosen[:] = part_of[units]


def _unfairness(chosen: Integers, strata: Integers, wanted: NDArray[np.float64]) -> float:
    """Return how many clips are in the wrong split, class by class; an empty split costs."""
    table = np.zeros((int(strata.max()) + 1, 3))
    np.add.at(table, (strata, chosen), 1)
    off = np.abs(table - table.sum(axis=1, keepdims=True) * wanted).sum()
    total = np.abs(table.sum(axis=0) - len(chosen) * wanted).sum()
    empty = ((table.sum(axis=0) == 0) & (wanted > 0)).sum()
    absent = ((table == 0) & (wanted > 0)).sum()
    return float(off + total + absent + empty * 10 * len(chosen))


def _absent(clips: Sequence[Clip], chosen: Integers, parts: Sequence[Split]) -> list[str]:
    """Say which classes a split lacks: they can be learned, but not judged there."""
    classes = sorted({label for clip in clips for label in clip.labels})
    held = {
        (label, SPLITS[which])
        for clip, which in zip(clips, chosen, strict=True)
        for label in clip.labels
    }
    return [
        f"class '{label}' has no clip in {part}: too few groups"
        for label in classes
        for part in parts
        if (label, part) not in held
    ]


def _called(manifest: Manifest, clips: Sequence[Clip], strata: Integers, stratum: int) -> str:
    if manifest.task in ("single_label", "multi_label"):
        first = clips[int(np.flatnonzero(strata == stratum)[0])]
        return f"class '{first.labels[0] if first.labels else ''}'"
    return "the clips"
