"""When things happen as a page: a timeline of every video, and pictures of what was found."""

import html
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soravec.library.pictures import read_pictures
from soravec.tasks.events import Watched
from soravec.tasks.page import instants, page, strip
from soravec.types import Event
from soravec.video import LIMITS, Limits

NUM_PICTURES = 8
MOST_EVENTS = 200
"""More are counted, not shown."""
COLOURS = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
"""Of the classes in turn (Okabe and Ito, told apart by most eyes)."""

Pictures = dict[str, dict[float, NDArray[np.uint8]]]


def events_page(found: Sequence[Watched], *, limits: Limits = LIMITS) -> str:
    """Return what happens in videos as HTML, with pictures of each event.

    Args:
        found: Of videos that were looked at.
        limits: What is refused of the videos that the pictures are from.
    """
    labels = sorted({event.label for one in found for event in one.events or ()})
    colours = {label: COLOURS[at % len(COLOURS)] for at, label in enumerate(labels)}
    events = [event for one in found for event in one.events or ()]
    shown = set(events[:MOST_EVENTS])
    wanted: dict[str, list[float]] = defaultdict(list)
    for event in shown:
        wanted[event.path] += instants(event.start_seconds, event.end_seconds, NUM_PICTURES)
    pictures = read_pictures([(path, tuple(at)) for path, at in wanted.items()], limits=limits)
    body = [f"<p>videos: {len(found)}; events: {len(events)}</p>"]
    for one in found:
        body += [f"<h2><code>{html.escape(one.path)}</code></h2>"]
        mine = one.events or ()
        body += [timeline([mine], one.seconds, colours, one.path)] if mine else ["<p>nothing</p>"]
        body += [_section(event, pictures, colours) for event in mine if event in shown]
    if len(events) > len(shown):
        body.append(f"<p>Pictures of {len(events) - len(shown)} more are not shown.</p>")
    return page("When things happen", body)


def timeline(
    lanes: Sequence[Sequence[Event]],
    whole: tuple[float, float],
    colours: dict[str, str],
    name: str,
) -> str:
    """Return events in time as SVG, one row of them below another.

    Args:
        lanes: Events of one video.
        whole: From when to when it lasts, in seconds.
        colours: By label.
        name: Of the video, for those who see no picture.
    """
    scale = 1000 / (whole[1] - whole[0])
    bars = "".join(
        f'<rect x="{(event.start_seconds - whole[0]) * scale:.1f}" y="{16 * row}" height="14"'
        f' width="{max((event.end_seconds - event.start_seconds) * scale, 1):.1f}"'
        f' fill="{colours[event.label]}"><title>{html.escape(event.label)}'
        f" {event.start_seconds:.1f} to {event.end_seconds:.1f} s</title></rect>"
        for row, events in enumerate(lanes)
        for event in events
    )
    ground = '<rect width="1000" height="100%" fill="currentColor" opacity="0.08"/>'
    return (
        f'<svg viewBox="0 0 1000 {16 * len(lanes) - 2}" width="100%" role="img"'
        f' aria-label="events of {html.escape(name, quote=True)}">{ground}{bars}</svg>'
    )


def _section(event: Event, pictures: Pictures, colours: dict[str, str]) -> str:
    images = pictures.get(event.path, {})
    at = instants(event.start_seconds, event.end_seconds, NUM_PICTURES)
    shown = [(images[one], f"at {one:.1f} s") for one in at if one in images]
    return (
        f'<section><span style="color:{colours[event.label]}">&#9632;</span>'
        f" {html.escape(event.label)} {event.start_seconds:.1f} to {event.end_seconds:.1f} s,"
        f" {min(event.score, 0.99):.0%} sure{strip(shown)}</section>"
    )
