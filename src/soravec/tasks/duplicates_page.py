"""What a library holds twice as a page: both sides of every copy, one above the other."""

import html
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from soravec.library.pictures import read_pictures
from soravec.tasks.duplicates import Copy, Duplicates, SharedSpan
from soravec.tasks.page import instants, page, strip
from soravec.video import LIMITS, Limits

NUM_PICTURES = 8
MOST_COPIES = 200
"""More are counted, not shown."""

Pictures = dict[str, dict[float, NDArray[np.uint8]]]


def duplicates_page(found: Duplicates, *, limits: Limits = LIMITS) -> str:
    """Return what was found as HTML, with pictures of both sides of each copy.

    Args:
        found: What `find_duplicates` returned.
        limits: What is refused of the videos that the pictures are from.
    """
    shown = found.copies[:MOST_COPIES]
    wanted: dict[str, list[float]] = defaultdict(list)
    for copy in shown:
        for side in (copy.first, copy.second):
            wanted[side.path] += _instants(side)
    pictures = read_pictures([(path, tuple(at)) for path, at in wanted.items()], limits=limits)
    body = [
        f"<p>shared spans: {len(found.copies)}; groups of copies of whole videos:"
        f" {len(found.groups)}</p>"
    ]
    if found.groups:
        body.append("<h2>Copies of whole videos</h2>")
    for group in found.groups:
        others = "".join(f"<br><code>{html.escape(path)}</code>" for path in group.others)
        body.append(
            f"<section>keep <code>{html.escape(group.best)}</code>"
            f'<div class="soft">the others:{others}</div></section>'
        )
    if shown:
        body.append("<h2>Shared spans</h2>")
    body += [_section(copy, pictures) for copy in shown]
    if len(found.copies) > len(shown):
        body.append(f"<p>{len(found.copies) - len(shown)} more are not shown.</p>")
    body += [f'<p class="soft">not compared: {html.escape(text)}</p>' for text in found.skipped]
    return page("What is there twice", body)


def _section(copy: Copy, pictures: Pictures) -> str:
    facts = [f"{min(copy.score, 0.99):.0%} sure"]
    facts += [f"at {copy.speed:.2f} times the speed"] * (abs(copy.speed - 1) >= 0.015)
    facts += ["mirrored"] * copy.mirrored
    sides = "".join(_side(side, pictures) for side in (copy.first, copy.second))
    return f'<section>{sides}<div class="soft">{", ".join(facts)}</div></section>'


def _side(span: SharedSpan, pictures: Pictures) -> str:
    images = pictures.get(span.path, {})
    shown = [(images[at], f"at {at:.1f} s") for at in _instants(span) if at in images]
    name = f"<code>{html.escape(span.path)}</code> {span.start_seconds:.1f} to"
    return f"{name} {span.end_seconds:.1f} s{strip(shown)}"


def _instants(span: SharedSpan) -> list[float]:
    return instants(span.start_seconds, span.end_seconds, NUM_PICTURES)
