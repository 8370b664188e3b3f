"""Teaching a label: spans that show it and spans that do not become a head of the library.

A taught label is a head like those that `soravec train` makes (`runtime.heads`), in the folder
`heads/` of the library: it classifies files as they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from soravec.errors import LibraryError, ModelError, QueryError
from soravec.library.contents import Contents
from soravec.library.durable import sync_folder
from soravec.library.library import Library
from soravec.library.marks import (
    Mark,
    MarkedSpan,
    find_span,
    labels_of,
    marks_of,
    put_marks,
)
from soravec.runtime.heads import (
    HEADS_FOLDER,
    Head,
    HeadConfig,
    head_names,
    read_head,
    remove_head,
    write_head,
)
from soravec.tasks.examples import choose_uncertain, learn_label
from soravec.video import Span

BACKGROUND_ROWS = 1000
"""Of what nobody labelled, at most."""
MOST_CHARACTERS = 200
"""Of a label."""
POOL_ROWS = 5_000
"""The least sure segments, of which suggestions are chosen."""
SHARED = 0.5
"""A segment is an example where it shares so much of itself, or of the span, with a marked one."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A segment that somebody should look at next."""

    segment_id: str
    path: str
    start_seconds: float
    end_seconds: float
    score: float
    """Probability of the label as it is taught now."""


@dataclass(frozen=True, slots=True)
class Taught:
    """A label that was taught."""

    label: str
    num_yes: int
    """Spans that show it."""
    num_no: int
    """Spans that do not."""
    head: str | None
    """Name of the head in the folder `heads/` of the library; None while nothing shows it."""
    accuracy: float | None
    """Share of the examples that are right by a label taught without their videos, both kinds
    counting the same; None with fewer than two videos of a kind."""
    suggestions: tuple[Suggestion, ...]
    """What to label next: uncertain, and unlike one another."""


def teach(
    library: Library,
    label: str,
    *,
    yes: Sequence[str | Span] = (),
    no: Sequence[str | Span] = (),
    author: str = "",
    num_suggestions: int = 8,
) -> Taught:
    """Note examples of a label, learn it from all of its examples, and keep it in the library.

    What nobody marked counts a little as what it is not, so one span that shows it is enough to
    begin with. All vectors are read once. With neither `yes` nor `no` nothing is written, unless
    the label has no head of the present model.

    Args:
        library: The library.
        label: What is taught.
        yes: Segments (`VIDEO_ID:ORDINAL`) or spans of files in the library that show it.
        no: The same that do not.
        author: Who says so.
        num_suggestions: How many segments are suggested.

    Raises:
        QueryError: A segment or a file is not in the library, is said to show it and not to, or
            nothing was said of the label yet.
        LibraryBusy: Another process is writing to this library.
        LibraryError: The disk is full or cannot be written.
    """
    label = _checked(label)
    find = partial(find_span, library.catalogue, library.space().space_id)
    shows, shows_not = [find(one) for one in yes], [find(one) for one in no]
    if both := set(shows) & set(shows_not):
        raise QueryError(f"{len(both)} spans are said to show '{label}' and not to")
    if not shows and not shows_not and _is_taught(library, label):
        return _learned(library, label, num_suggestions)[0]
    with library.writing():
        with library.catalogue.transaction():
            spans = [(span, True) for span in shows] + [(span, False) for span in shows_not]
            put_marks(library.catalogue, label, spans, author=author)
        taught, head = _learned(library, label, num_suggestions)
        try:
            if head is None:
                remove_head(library.path, head_name(label))
            else:
                write_head(library.path, head)
                sync_folder(library.path / HEADS_FOLDER)
        except OSError as error:
            raise LibraryError(f"{library.path}: cannot be written ({error.strerror})") from error
    return taught


def taught_head(library: Library, label: str) -> Head:
    """Return the head of a taught label.

    Raises:
        QueryError: It was not taught yet, or has to be learned again.
    """
    if _is_taught(library, label):
        return read_head(library.path, head_name(label))
    known = [name for name, *_ in labels_of(library.catalogue)]
    if label in known:
        raise QueryError(
            f"'{label}' has to be learned again: the model is another one since, a video was"
            f" forgotten, its head is damaged, or nothing shows it. Run: soravec teach '{label}'"
        )
    raise QueryError(
        f"'{label}' was not taught in {library.path}. Taught there: {', '.join(known) or 'none'}"
    )


def head_name(label: str) -> str:
    """Return the name of the head of a label: one that every file can have."""
    return f"taught-{blake2b(label.encode(), digest_size=16).hexdigest()}"


def _checked(label: str) -> str:
    label = " ".join(label.split())
    if not 0 < len(label) <= MOST_CHARACTERS or not label.isprintable():
        raise QueryError(f"a label has 1 to {MOST_CHARACTERS} characters that can be printed")
    return label


def _is_taught(library: Library, label: str) -> bool:
    """Return whether a label has a head of the present model; a damaged one is none."""
    if head_name(label) not in head_names(library.path):
        return False
    try:
        head = read_head(library.path, head_name(label))
    except ModelError:
        return False
    return head.config.space_id == library.space().space_id


def _learned(library: Library, label: str, num_suggestions: int) -> tuple[Taught, Head | None]:
    """Return what comes of all that was said of a label; no head where nothing shows it."""
    marks = marks_of(library.catalogue, label)
    if not marks:
        raise QueryError(f"nothing was said of '{label}' yet: soravec teach LABEL --yes SEGMENT")
    contents = library.contents()
    used = [mark for mark in marks if mark.video_key in contents.videos]
    num_yes = sum(mark.is_so for mark in used)
    rows, truth = _examples(contents, used)
    if not truth.any():
        return Taught(label, num_yes, len(used) - num_yes, None, None, ()), None
    others = np.setdiff1d(np.arange(len(contents)), rows)
    sample = others[:: max(1, -(-len(others) // BACKGROUND_ROWS))]
    groups = contents.keys[rows]
    learned = learn_label(contents.vectors[rows], truth, groups, contents.vectors[sample])
    head = Head(
        head_name(label),
        HeadConfig((label,), "sigmoid", contents.space.space_id),
        learned.weight[None].astype(np.float32),
        np.array([learned.bias], np.float32),
    )
    odds = contents.vectors @ head.weight[0] + head.bias[0]
    taught = Taught(
        label,
        num_yes,
        len(used) - num_yes,
        head.name,
        _accuracy(learned.odds, truth, groups),
        _suggestions(contents, others, odds, num_suggestions),
    )
    return taught, head


def _examples(
    contents: Contents, marks: Sequence[Mark]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the rows of marked segments, and which show it; what was said last counts."""
    said: dict[int, bool] = {}
    for mark in sorted(marks, key=lambda mark: mark.marked):
        for row in rows_of(contents, MarkedSpan(*mark[:3])):
            said[row] = mark.is_so
    rows = sorted(said)
    return np.array(rows, np.int64), np.array([said[row] for row in rows], bool)


def rows_of(contents: Contents, span: MarkedSpan) -> list[int]:
    """Return the segments that a span stands for: else the one that shares most with it."""
    mine = contents.segments_of(span.video_key)
    bounds = contents.bounds[mine]
    if not len(bounds):
        return []
    starts = np.maximum(bounds[:, 0], span.start_seconds)
    shared = np.minimum(bounds[:, 1], span.end_seconds) - starts
    lengths = np.minimum(bounds[:, 1] - bounds[:, 0], span.end_seconds - span.start_seconds)
    found = np.flatnonzero(shared >= SHARED * lengths)
    return [mine.start + int(row) for row in (found if len(found) else [shared.argmax()])]


def _accuracy(
    odds: NDArray[np.float64], truth: NDArray[np.bool_], groups: NDArray[np.int64]
) -> float | None:
    if min(len(np.unique(groups[kind])) for kind in (truth, ~truth)) < 2:
        return None
    return float(((odds[truth] > 0).mean() + (odds[~truth] <= 0).mean()) / 2)


def _suggestions(
    contents: Contents,
    others: NDArray[np.int64],
    odds: NDArray[np.float32],
    num_wanted: int,
) -> tuple[Suggestion, ...]:
    pool = others[np.argsort(np.abs(odds[others]), kind="stable")[:POOL_ROWS]]
    chosen = choose_uncertain(odds[pool].astype(np.float64), contents.vectors[pool], num_wanted)
    return tuple(_suggestion(contents, int(pool[row]), float(odds[pool[row]])) for row in chosen)


def _suggestion(contents: Contents, row: int, odds: float) -> Suggestion:
    start, end = contents.bounds[row].tolist()
    path = contents.videos[int(contents.keys[row])].path
    score = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return Suggestion(contents.segment_id(row), path, start, end, float(score))
