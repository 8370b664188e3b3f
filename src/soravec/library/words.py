"""Search by words over names, labels, captions and tags: substrings, so Chinese works too."""

from dataclasses import dataclass

from soravec.errors import QueryError
from soravec.library.catalogue import Catalogue

TRIGRAM = 3
"""The shortest term that the trigram index finds; a shorter one is looked for row by row."""

KIND_WEIGHT = {"label": 1.0, "tag": 1.0, "caption": 0.9, "name": 0.6}
"""How much a match says: a label was set on purpose, a name may be an accident."""


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


def find_words(catalogue: Catalogue, query: str) -> list[WordMatch]:
    """Return what matches every term of `query`, best first.

    Terms are separated by white space, match anywhere in a word, and ignore case. All terms must
    be found in one video; each of its spans that matches a term is returned, scored by the share
    of terms that it holds.

    Raises:
        QueryError: There is no term.
    """
    terms = list(dict.fromkeys(query.split()))
    if not terms:
        raise QueryError("no words to look for: give a text, a video, an image or a segment")
    by_span: dict[tuple[int, float | None, float | None], dict[str, tuple[float, str]]] = {}
    for term in terms:
        for key, start, end, kind, text in _rows(catalogue, term):
            best = by_span.setdefault((key, start, end), {})
            score = KIND_WEIGHT.get(kind, 0.8) * (len(term) / len(text)) ** 0.25
            best[term] = max(best.get(term, (0.0, "")), (min(score, 1.0), text))
    found: dict[int, set[str]] = {}
    for (key, _, _), matched in by_span.items():
        found.setdefault(key, set()).update(matched)
    matches = [
        WordMatch(
            video_key=key,
            start_seconds=start,
            end_seconds=end,
            score=sum(score for score, _ in matched.values()) / len(terms),
            text=" | ".join(dict.fromkeys(text for _, text in matched.values())),
        )
        for (key, start, end), matched in by_span.items()
        if len(found[key]) == len(terms)
    ]
    return sorted(matches, key=lambda m: (-m.score, m.video_key, m.start_seconds or 0.0))


def _rows(
    catalogue: Catalogue, term: str
) -> list[tuple[int, float | None, float | None, str, str]]:
    columns = "t.video_key, t.start_seconds, t.end_seconds, t.kind, t.text"
    if len(term) >= TRIGRAM:
        quoted = '"' + term.replace('"', '""') + '"'
        return catalogue.rows(
            f"SELECT {columns} FROM words JOIN texts t ON t.id = words.rowid WHERE words MATCH ?",
            (quoted,),
        )
    pattern = "%" + term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return catalogue.rows(
        f"SELECT {columns} FROM texts t WHERE t.text LIKE ? ESCAPE '\\'", (pattern,)
    )
