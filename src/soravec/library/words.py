"""Search by words over all that is said of videos: substrings, so Chinese works too."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from soravec.errors import QueryError
from soravec.library.catalogue import Catalogue

TRIGRAM = 3
"""The shortest term that the trigram index finds; a shorter one is looked for row by row."""

KIND_WEIGHT = {
    "label": 1.0,
    "tag": 1.0,
    "caption": 0.9,
    "title": 0.9,
    "chapter": 0.9,
    "subtitle": 0.8,
    "name": 0.6,
}
"""How much a match says: a label was set on purpose, a name may be an accident."""

MAX_GAP_SECONDS = 5.0
"""Two subtitles further apart are not read as one sentence."""
MAX_CANDIDATES = 1000
"""Subtitles whose neighbours are looked at, for words that begin in one and end in the next."""

MAX_ROWS = 2000
"""Texts that are ranked for each term."""

_TERM = re.compile(r'"([^"]*[^"\s][^"]*)"|(\S+)')
_CJK = "\u3000-\u30ff\u3400-\u9fff\uff00-\uffef"
_MAY_BREAK = re.compile(f"[\\s{_CJK}]")
_BREAK_IN_CJK = re.compile(f"(?<=[{_CJK}])\n(?=[{_CJK}])")


@dataclass(frozen=True, slots=True)
class WordMatch:
    """Words of a video that answer a query."""

    video_key: int
    start_seconds: float | None
    """None where the words belong to the whole video."""
    end_seconds: float | None
    score: float
    """In (0, 1]: the share of the words that was asked for, weighted by their kind."""
    text: str
    language: str = ""
    """Of the words, as the file states it."""


class _Row(NamedTuple):
    video_key: int
    start_seconds: float | None
    end_seconds: float | None
    kind: str
    text: str
    language: str


def find_words(
    catalogue: Catalogue, query: str, *, videos: Sequence[int] | None = None
) -> list[WordMatch]:
    """Return what matches every term of `query`, best first.

    Terms are separated by white space, match anywhere in a word, and ignore case; in double quotes
    they stand for a phrase. All terms must be found in one video; each of its spans that matches a
    term is returned, scored by the share of terms that it holds. A phrase, and a term in a script
    without spaces, may begin in one subtitle and end in the next. Of a term that is found
    everywhere, the `MAX_ROWS` best places count.

    Args:
        catalogue: Where to look.
        query: The terms.
        videos: Keys of the videos that may answer; None for all.

    Raises:
        QueryError: There is no term.
    """
    terms = terms_of(query)
    across = [list(_across(catalogue, term)) for term in terms]
    if len(terms) > 1:
        videos = _videos_with_all(catalogue, terms, across, videos)
    by_span: dict[tuple[int, float | None, float | None], dict[str, tuple[float, str, str]]] = {}
    for term, pairs in zip(terms, across, strict=True):
        for row in chain(_rows(catalogue, [term], videos), pairs):
            _credit(by_span, row, term)
    for row in _rows(catalogue, terms, videos) if len(terms) > 1 else ():
        for term in terms:  # what holds all of them may be among the best of none
            _credit(by_span, row, term)
    allowed = None if videos is None else set(videos)
    matches = [
        WordMatch(
            video_key=key,
            start_seconds=start,
            end_seconds=end,
            score=sum(score for score, _, _ in matched.values()) / len(terms),
            text=" | ".join(dict.fromkeys(text for _, text, _ in matched.values())),
            language=max(matched.values())[2],
        )
        for (key, start, end), matched in by_span.items()
        if allowed is None or key in allowed
    ]
    return sorted(matches, key=lambda m: (-m.score, m.video_key, m.start_seconds or 0.0))


def terms_of(query: str) -> list[str]:
    """Return the terms of a query, each once: words, and phrases in double quotes.

    Raises:
        QueryError: There is none.
    """
    found = (" ".join((phrase or word).split()) for phrase, word in _TERM.findall(query))
    terms = list(dict.fromkeys(found))
    if not terms:
        raise QueryError("no words to look for: give a text, a video, an image or a segment")
    return terms


def one_line(text: str) -> str:
    r"""Return text on one line; between ideographs a line break is no space.

    >>> one_line("two\nlines")
    'two lines'
    """
    return _BREAK_IN_CJK.sub("", text).replace("\n", " ")


def _credit(
    by_span: dict[tuple[int, float | None, float | None], dict[str, tuple[float, str, str]]],
    row: _Row,
    term: str,
) -> None:
    """Note that a term was found in a span, and how much that says."""
    key, start, end, kind, text, language = row
    best = by_span.setdefault((key, start, end), {})
    score = min(KIND_WEIGHT.get(kind, 0.8) * (len(term) / len(text)) ** 0.25, 1.0)
    best[term] = max(best.get(term, (0.0, "", "")), (score, text, language))


def _videos_with_all(
    catalogue: Catalogue,
    terms: Sequence[str],
    across: Sequence[Sequence[_Row]],
    videos: Sequence[int] | None,
) -> list[int]:
    """Return the keys of the videos, among `videos`, in which every term is found."""
    found: set[int] | None = None if videos is None else set(videos)
    for term, pairs in zip(terms, across, strict=True):
        keys = {key for (key,) in _matching(catalogue, "DISTINCT t.video_key", [term])}
        keys.update(row.video_key for row in pairs)
        found = keys if found is None else found & keys
    return sorted(found or ())


def _rows(
    catalogue: Catalogue, terms: Sequence[str], videos: Sequence[int] | None
) -> Iterator[_Row]:
    """Yield the texts that hold all terms, those that say most first."""
    columns = "t.video_key, t.start_seconds, t.end_seconds, t.kind, t.text, t.language"
    among = "" if videos is None else "AND t.video_key IN (SELECT value FROM json_each(?))"
    weights = " ".join(f"WHEN '{kind}' THEN {w**4}" for kind, w in KIND_WEIGHT.items())
    order = f"ORDER BY (CASE t.kind {weights} ELSE 0.4 END) / length(t.text) DESC, t.id"
    values = [] if videos is None else [json.dumps(list(videos))]
    rest = f"{among} {order} LIMIT {MAX_ROWS}"
    return (_Row(*row) for row in _matching(catalogue, columns, terms, rest, values))


def _matching(
    catalogue: Catalogue,
    columns: str,
    terms: Sequence[str],
    rest: str = "",
    values: Sequence[Any] = (),
) -> list[Any]:
    """Return columns of the texts `t` that hold all terms; `rest` follows, with its `values`."""
    tables, conditions, wanted = "texts t", [], []
    long = [term.replace('"', '""') for term in terms if len(term) >= TRIGRAM]
    if long:
        tables = "words JOIN texts t ON t.id = words.rowid"
        conditions.append("words MATCH ?")
        wanted.append(" AND ".join(f'"{term}"' for term in long))
    for term in terms:
        if len(term) < TRIGRAM:
            conditions.append("t.text LIKE ? ESCAPE '\\'")
            escaped = term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            wanted.append(f"%{escaped}%")
    sql = f"SELECT {columns} FROM {tables} WHERE {' AND '.join(conditions)} {rest}"
    return catalogue.rows(sql, [*wanted, *values])


def _across(catalogue: Catalogue, term: str) -> Iterator[_Row]:
    """Yield pairs of subtitles in a row that hold a term together, and neither alone.

    Wherever the term is divided, its first half ends the one or its second half begins the other.
    """
    if len(term) < 2 or not _MAY_BREAK.search(term):
        return
    middle = (len(term) + 1) // 2
    columns = "t.video_key, t.source, t.language, t.start_seconds, t.end_seconds, t.text"
    for half, is_first in ((term[:middle].strip(), True), (term[middle:].strip(), False)):
        limit = f"AND t.kind = 'subtitle' LIMIT {MAX_CANDIDATES}"
        for row in _matching(catalogue, columns, [half], limit):
            key, _, language, start, end, text = row
            neighbour = _neighbour(catalogue, row, following=is_first)
            if neighbour is None:
                continue
            pair = ((start, end, text), neighbour) if is_first else (neighbour, (start, end, text))
            joined = one_line(f"{pair[0][2]}\n{pair[1][2]}")
            sought = term.casefold()
            alone = any(sought in part[2].casefold() for part in pair)
            close = pair[1][0] - pair[0][1] <= MAX_GAP_SECONDS
            if sought in joined.casefold() and close and not alone:
                yield _Row(key, pair[0][0], pair[1][1], "subtitle", joined, language)


def _neighbour(
    catalogue: Catalogue, row: tuple[Any, ...], *, following: bool
) -> tuple[float, float, str] | None:
    """Return (start, end, text) of the subtitle next to one of the same source and language."""
    key, source, language, start, _, _ = row
    beyond, order = (">", "ASC") if following else ("<", "DESC")
    rows = catalogue.rows(
        "SELECT start_seconds, end_seconds, text FROM texts WHERE video_key = ?"
        f" AND start_seconds {beyond} ? AND kind = 'subtitle' AND source = ? AND language = ?"
        f" ORDER BY start_seconds {order} LIMIT 1",
        (key, start, source, language),
    )
    return rows[0] if rows else None
