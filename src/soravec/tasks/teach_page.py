"""What to label next as a page: a strip of pictures of each segment, and what it is called."""

import html

from soravec.library.pictures import read_pictures
from soravec.tasks.page import instants, page, strip
from soravec.tasks.teach import Suggestion, Taught
from soravec.video import LIMITS, Limits

NUM_PICTURES = 6


def teach_page(taught: Taught, *, limits: Limits = LIMITS) -> str:
    """Return the suggestions of a taught label as HTML, with pictures.

    Args:
        taught: What `teach` returned.
        limits: What is refused of the videos that the pictures are from.
    """
    wanted: dict[str, tuple[float, ...]] = {}
    for one in taught.suggestions:
        wanted[one.path] = (*wanted.get(one.path, ()), *_instants(one))
    pictures = read_pictures(wanted.items(), limits=limits)
    body = [
        f"<p>Examples that show it: {taught.num_yes}; that do not: {taught.num_no}. Is it here,"
        " too? Say so with <code>--yes</code> or <code>--no</code>.</p>"
    ]
    for one in taught.suggestions:
        images = pictures.get(one.path, {})
        shown = [(images[at], f"at {at:.1f} s") for at in _instants(one) if at in images]
        body.append(
            f"<section>{one.score:.0%} <code>{html.escape(one.segment_id)}</code>{strip(shown)}"
            f'<div class="soft"><code>{html.escape(one.path)}</code> {one.start_seconds:.1f} to'
            f" {one.end_seconds:.1f} s</div></section>"
        )
    return page(f"What to look at next: {taught.label}", body)


def _instants(one: Suggestion) -> list[float]:
    return instants(one.start_seconds, one.end_seconds, NUM_PICTURES)
