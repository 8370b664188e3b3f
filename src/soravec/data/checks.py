"""What can be wrong with clips that are each fine alone. Every check returns sentences."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from soravec.data.clips import Clip, Split, Task
from soravec.errors import ManifestError

MAX_SHOWN = 20
"""Problems that an error prints; it says how many there are."""
MANY = 3
"""A class with as many rows as this is not mistyped itself."""
TYPO_LIKENESS = 0.85
"""Of `difflib`, from 0 to 1: `Archrey` is 0.86 like `Archery`, `PlayingPiano` 0.72 like
`PlayingViolin`."""
MIN_TYPO_LETTERS = 4
"""Shorter names that resemble each other (`run`, `ran`) are taken as they are."""

Named = Callable[[Clip], str]
"""How a message calls a clip: its row, or its path in a folder."""


def manifest_error(path: Path, problems: Sequence[str]) -> ManifestError:
    """Return an error that prints the first problems and the number of all; it keeps them all."""
    error = ManifestError(path, shortened(problems))
    error.problems = tuple(problems)
    return error


def shortened(sentences: Sequence[str]) -> list[str]:
    """Return the first of many, and how many there are."""
    shown = list(sentences[:MAX_SHOWN])
    if len(sentences) > MAX_SHOWN:
        shown.append(f"and {len(sentences) - MAX_SHOWN} more, {len(sentences)} in all")
    return shown


def check_answers(clips: Sequence[Clip], task: Task, named: Named) -> Iterator[str]:
    """Say which clips lack what the task needs, or have more of it."""
    for clip in clips:
        if task == "regression" and clip.target is None:
            yield f"{named(clip)}: no target, though others have one"
        elif task == "single_label" and not clip.labels:
            yield f"{named(clip)}: no label, though others have one"
        elif task == "single_label" and len(clip.labels) > 1:
            yield f"{named(clip)}: {len(clip.labels)} labels ({', '.join(clip.labels)}), not one"
    counts = Counter(len(clip.target) for clip in clips if clip.target is not None)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        for clip in clips:
            if clip.target is not None and len(clip.target) != usual:
                yield f"{named(clip)}: {len(clip.target)} targets, but {usual} in other rows"


def check_labels(clips: Sequence[Clip], named: Named) -> Iterator[str]:
    """Say which labels are probably others, mistyped."""
    rows: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        for label in clip.labels:
            rows[label].append(clip)
    by_plain: dict[str, list[str]] = defaultdict(list)
    for label in sorted(rows, key=lambda name: (-len(rows[name]), name)):
        by_plain[_plain(label)].append(label)
    for usual, *others in by_plain.values():
        for label in others:
            yield (
                f"{_first(rows[label], named)}: label '{label}' differs from '{usual}'"
                " only in case, spaces or signs"
            )
    common = {_plain(label): label for label in rows if len(rows[label]) >= MANY}
    for label, places in rows.items():
        plain = _plain(label)
        if len(places) > 1 or len(by_plain[plain]) > 1 or len(plain) < MIN_TYPO_LETTERS:
            continue
        near = get_close_matches(plain, common, n=1, cutoff=TYPO_LIKENESS)
        near = near or [other for other in common if _one_slip(plain, other)]
        if near and _without_digits(near[0]) != _without_digits(plain):
            yield (
                f"{named(places[0])}: label '{label}' occurs once; did you mean"
                f" '{common[near[0]]}'? If not: --allow-rare (in Python allow_rare)"
            )


def check_duplicates(clips: Sequence[Clip], named: Named) -> tuple[list[str], list[str]]:
    """Return (problems, warnings) of clips that are listed twice."""
    problems, warnings = [], []
    first: dict[tuple[Path, float | None, float | None], Clip] = {}
    for clip in clips:
        earlier = first.setdefault((clip.path, clip.start_seconds, clip.end_seconds), clip)
        if earlier is clip:
            continue
        if (earlier.labels, earlier.target) != (clip.labels, clip.target):
            remedy = "; several labels of one clip go into one row, column 'labels'"
            problems.append(
                f"{named(clip)}: the same clip as {named(earlier)} with another"
                f" {'label' + remedy if clip.labels or earlier.labels else 'target'}"
            )
        else:
            warnings.append(f"{named(clip)} repeats {named(earlier)}")
    return problems, warnings


def check_splits(clips: Sequence[Clip], named: Named) -> Iterator[str]:
    """Say where splits are missing, or tear a group or a video apart."""
    with_split = [clip for clip in clips if clip.split is not None]
    if not with_split:
        return
    for clip in clips:
        if clip.split is None:
            yield f"{named(clip)}: no split, though others have one"
    seen: dict[tuple[str, str], dict[Split, Clip]] = defaultdict(dict)
    for clip in with_split:
        assert clip.split is not None
        seen["video", str(clip.path)].setdefault(clip.split, clip)
        if clip.group is not None:
            seen["group", clip.group].setdefault(clip.split, clip)
    for (kind, name), places in seen.items():
        if len(places) > 1:
            where = ", ".join(f"{split} ({named(clip)})" for split, clip in places.items())
            yield f"{kind} '{name}' is in {len(places)} splits: {where}"


def check_classes(clips: Sequence[Clip], task: Task) -> Iterator[str]:
    """Say whether there is nothing to tell apart, and which classes no clip of `train` shows."""
    if task not in ("single_label", "multi_label"):
        return
    classes = {label for clip in clips for label in clip.labels}
    if task == "single_label" and len(classes) == 1:
        yield f"only one class, '{min(classes)}': there is nothing to tell apart"
    if not classes:
        yield "no row has a label"
    learned = {label for clip in clips if clip.split == "train" for label in clip.labels}
    if not learned or any(clip.split is None for clip in clips):  # to evaluate on, or not split yet
        return
    for label in sorted(classes - learned):
        splits = sorted({str(clip.split) for clip in clips if label in clip.labels})
        yield f"class '{label}' has no clip in train, only in {' and '.join(splits)}"


def _plain(label: str) -> str:
    """Return a name as it sounds: `Playing  piano` and `playing_piano` are `playingpiano`."""
    plain = "".join(sign for sign in label.casefold() if sign.isalnum())
    return plain or label


def _one_slip(one: str, other: str) -> bool:
    """Return whether one sign was changed, left out or added, or two neighbours were swapped.

    So differ `fight` and `fighy`, `figt`, `figght`, `fihgt`.
    """
    start = len(os.path.commonprefix([one, other]))
    one, other = one[start:][::-1], other[start:][::-1]
    end = len(os.path.commonprefix([one, other]))
    one, other = one[end:], other[end:]
    return max(len(one), len(other)) == 1 or (len(one) == 2 and one == other[::-1])


def _without_digits(plain: str) -> str:
    return "".join(sign for sign in plain if not sign.isdigit())


def _first(clips: Sequence[Clip], named: Named) -> str:
    more = f" and {len(clips) - 1} more" if len(clips) > 1 else ""
    return f"{named(clips[0])}{more}"
