"""Subtitle events as timed text: markup taken out, times put in order, repetitions joined."""

import html
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from soravec.types import TimedText

MAX_CUE_CHARS = 5000
"""What is kept of one event."""

NOMINAL_SECONDS = 5.0
"""How long an event stays at most whose end is missing or does not lie after its start."""

TOUCHING_SECONDS = 0.1
"""Two events are one behind the other if no more than this lies between them."""

_BLOCK = re.compile(r"(\{[^{}]{0,2000}\})")
_DRAWING = re.compile(r"\\p(\d+)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,500}>|<\d[\d:.]{0,20}>")
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b-\x1f]"
)
_LITERAL_BRACE = "\ue000"


class Cue(NamedTuple):
    """A subtitle event as it was read."""

    start_seconds: float
    end_seconds: float | None
    """None where it is not stated."""
    text: str
    """Plain text, lines separated by a line feed."""


class Settled(NamedTuple):
    """Timed text, and what was left out of it."""

    texts: tuple[TimedText, ...]
    num_outside: int = 0
    """Events that lie wholly before the video begins or after it ends."""


def plain_text(markup: str, *, native_ass: bool) -> str:
    r"""Return the words of an event: no styles, no drawings, no tags, no empty lines.

    >>> plain_text(r"{\an8}{\i1}Hi,{\i0} <b>you</b>\Nand {\k20}me", native_ass=True)
    'Hi, you\nand me'

    Args:
        markup: The text of an ASS event, as FFmpeg makes it of every format.
        native_ass: Whether the file itself is ASS, where all that stands in braces is hidden.
    """
    text = markup[: 4 * MAX_CUE_CHARS]
    text = text.replace("\\{{}", _LITERAL_BRACE).replace("\\{", _LITERAL_BRACE)
    text = _shown(text, native_ass=native_ass)
    text = text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    text = text.replace(_LITERAL_BRACE, "{").replace("\\}", "}")
    text = _TAG.sub("", text) if native_ass else html.unescape(_TAG.sub("", text))
    lines = (" ".join(line.split()) for line in _INVISIBLE.sub("", text).split("\n"))
    return "\n".join(line for line in lines if line)[:MAX_CUE_CHARS]


def settle(
    cues: Sequence[Cue],
    *,
    language: str = "",
    begin_seconds: float = -inf,
    end_seconds: float = inf,
) -> Settled:
    """Return the events of one stream as timed text in order of time.

    An event whose end is missing or wrong lasts until the next one begins. The same words again,
    while they are on show or right after, are one text; lines that roll up are taken once.

    Args:
        cues: The events, in any order.
        language: As the file states it.
        begin_seconds: Where the video begins: nothing appears before.
        end_seconds: Where it ends.
    """
    ordered = sorted((cue for cue in cues if cue.text), key=lambda cue: cue.start_seconds)
    starts = [cue.start_seconds for cue in ordered]
    texts: list[TimedText] = []
    latest: dict[str, int] = {}
    shown: list[str] = []
    shown_until = -inf
    shown_as: int | None = None
    num_outside = 0
    for cue in ordered:
        end = _end_of(cue, starts)
        if end <= begin_seconds or cue.start_seconds >= end_seconds:
            num_outside += 1
            continue
        start, end = max(cue.start_seconds, begin_seconds), min(end, end_seconds)
        lines = cue.text.split("\n")
        rolls_up = abs(start - shown_until) <= TOUCHING_SECONDS
        rest = lines[_num_repeated(shown, lines) if rolls_up else 0 :]
        shown, shown_until = lines, end
        again = latest.get(cue.text, None if rest else shown_as)
        if again is not None and start <= texts[again].end_seconds + TOUCHING_SECONDS:
            last = texts[again]
            texts[again] = replace(last, end_seconds=max(last.end_seconds, end))
            shown_as = again
            continue
        text = "\n".join(rest or lines)
        shown_as = latest[text] = len(texts)
        texts.append(TimedText(start, end, text, language))
    return Settled(tuple(texts), num_outside)


def _shown(text: str, *, native_ass: bool) -> str:
    """Return what an ASS event shows: neither its override blocks nor its drawings."""
    parts: list[str] = []
    drawing = False
    for number, part in enumerate(_BLOCK.split(text)):
        if number % 2 and (native_ass or "\\" in part):
            modes = _DRAWING.findall(part)
            drawing = modes[-1] != "0" if modes else drawing
        elif not drawing:
            parts.append(part)
    return "".join(parts)


def _end_of(cue: Cue, starts: Sequence[float]) -> float:
    """Return when an event ends, or should: when the next begins, soon at the latest."""
    if cue.end_seconds is not None and cue.end_seconds > cue.start_seconds:
        return cue.end_seconds
    limit = cue.start_seconds + NOMINAL_SECONDS
    following = bisect_right(starts, cue.start_seconds)
    return min(starts[following], limit) if following < len(starts) else limit


def _num_repeated(shown: Sequence[str], lines: Sequence[str]) -> int:
    """Return how many of the first lines are the last ones of what was shown before."""
    longest = min(len(shown), len(lines))
    return next((n for n in range(longest, 0, -1) if list(shown[-n:]) == list(lines[:n])), 0)
