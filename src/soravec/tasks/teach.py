"""Teaching a label: spans that show it and spans that do not become a head of the library.

A taught label is a head like those that `soravec train` makes (`runtime.heads`), in the folder
`heads/` of the library: it classifies files as they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from soravec.errors import QueryError
from soravec.library.contents import Contents
from soravec.library.library import Library
from soravec.library.marks import Mark, MarkedSpan, find_span, labels_of, marks_of
from soravec.runtime.heads import Head, HeadConfig, head_names, read_head, write_head
from soravec.tasks.examples import choose_uncertain, learn_label
from soravec.video import Span

BACKGROUND_ROWS = 20_000
"""Of what nobody labelled, at most."""
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
    head: str
    """Name of the head in the folder `heads/` of the library."""
    accuracy: float | None
    """Share of the examples that are right by a label taught without them, both kinds counting the
    same; None with fewer than two of a kind."""
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
    begin with. All vectors are read once.

    Args:
        library: The library.
        label: What is taught.
        yes: Segments (`VIDEO_ID:ORDINAL`) or spans of files in the library that show it.
        no: The same that do not.
        author: Who says so.
        num_suggestions: How many segments are suggested.

    Raises:
        QueryError: A segment or a file is not in the library, or nothing shows the label yet.
        LibraryBusy: Another process is writing to this library.
    """
    label = label.strip()
    if not label:
        raise QueryError("a label needs a name")
    find = partial(find_span, library.catalogue, library.space().space_id)
    spans = [(find(one), True) for one in yes] + [(find(one), False) for one in no]
    if spans:
        library.mark(label, spans, author=author)
    marks = marks_of(library.catalogue, label)
    contents = library.contents()
    rows, truth = _examples(contents, marks)
    if not truth.any():
        raise QueryError(
            f"nothing shows '{label}' yet. Name a segment: soravec teach --yes SEGMENT"
        )
    others = np.setdiff1d(np.arange(len(contents)), rows)
    if not len(others):
        others = rows
    sample = others[:: max(1, -(-len(others) // BACKGROUND_ROWS))]
    learned = learn_label(contents.vectors[rows], truth, contents.vectors[sample])
    head = Head(
        head_name(label),
        HeadConfig((label,), "sigmoid", contents.space.space_id),
        learned.weight[None].astype(np.float32),
        np.array([learned.bias], np.float32),
    )
    write_head(library.path, head)
    odds = contents.vectors @ head.weight[0] + head.bias[0]
    return Taught(
        label,
        sum(mark.is_so for mark in marks),
        sum(not mark.is_so for mark in marks),
        head.name,
        _accuracy(learned.odds, truth),
        _suggestions(contents, np.setdiff1d(others, rows), odds, num_suggestions),
    )


def taught_head(library: Library, label: str) -> Head:
    """Return the head of a taught label.

    Raises:
        QueryError: It was not taught yet.
    """
    if head_name(label) not in head_names(library.path):
        known = ", ".join(name for name, *_ in labels_of(library.catalogue)) or "none"
        raise QueryError(f"'{label}' was not taught in {library.path}. Taught there: {known}")
    return read_head(library.path, head_name(label))


def head_name(label: str) -> str:
    """Return the name of the head of a label: a name that a file can have.

    >>> head_name("slam dunk / left")
    'slam%20dunk%20%2F%20left'
    """
    return quote(label, safe="")


def _examples(
    contents: Contents, marks: Sequence[Mark]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the rows of marked segments, and which show it; what was said last counts."""
    said: dict[int, bool] = {}
    for mark in sorted(marks, key=lambda mark: mark.marked):
        for row in _rows_of(contents, MarkedSpan(*mark[:3])):
            said[row] = mark.is_so
    rows = sorted(said)
    return np.array(rows, np.int64), np.array([said[row] for row in rows], bool)


def _rows_of(contents: Contents, span: MarkedSpan) -> list[int]:
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


def _accuracy(odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> float | None:
    if min(truth.sum(), (~truth).sum()) < 2:
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
