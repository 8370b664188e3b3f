"""A summary as files: a contact sheet, chapters, a page, a video."""

import html
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soravec.errors import UnreadableVideo
from soravec.library.pictures import read_pictures
from soravec.tasks.page import instants, page, strip
from soravec.tasks.summary import ChosenSpan, Summary
from soravec.video import LIMITS, EditResult, Limits, Span, concat, encode_png

Image = NDArray[np.uint8]

CELL_HEIGHT, BAR_HEIGHT, GAP = 135, 6, 8
"""Pixels of a sheet."""
PAPER, EMPTY, LINE, MARK = 24, 56, 72, (255, 190, 60)
"""Its colours; one number is a grey."""
MOST_COLUMNS = 6
MOST_SHOWN = 240
"""Spans with a picture, at most: of more, as many, evenly spaced."""
NUM_PICTURES = 6
"""Of a span on a page."""


def contact_sheet(summary: Summary, *, limits: Limits = LIMITS) -> bytes:
    """Return a PNG of the middle of every span, in order of time, row by row.

    The bar under each picture is the whole of the video, and what is bright of it the span.

    Args:
        summary: What `summarize` returned.
        limits: What is refused of the video.

    Raises:
        UnreadableVideo: Not one picture can be read.
    """
    spans = _shown(summary)
    middles = [(span.start_seconds + span.end_seconds) / 2 for span in spans]
    pictures = _pictures(summary.path, middles, CELL_HEIGHT, limits)
    width = next(iter(pictures.values())).shape[1]
    columns = min(MOST_COLUMNS, int(np.ceil(np.sqrt(len(spans)))))
    rows = -(-len(spans) // columns)
    down, across = CELL_HEIGHT + BAR_HEIGHT + 2 * GAP, width + GAP
    sheet = np.full((GAP + rows * down, GAP + columns * across, 3), PAPER, np.uint8)
    for number, (span, at) in enumerate(zip(spans, middles, strict=True)):
        row, column = divmod(number, columns)
        top, left = GAP + row * down, GAP + column * across
        sheet[top : top + CELL_HEIGHT, left : left + width] = pictures.get(at, EMPTY)
        below = top + CELL_HEIGHT + GAP // 2
        sheet[below : below + BAR_HEIGHT, left : left + width] = _bar(summary, span, width)
    return encode_png(sheet)


def chapters(summary: Summary) -> str:
    """Return the spans as WebVTT chapters of the video, from its beginning on.

    In the time of players, in which every video begins at 0 (W3C, "WebVTT: The Web Video Text
    Tracks Format", 2019, section 4).
    """
    cues = [
        f"{number}\n{_stamp(span.start_seconds - summary.start_seconds)} -->"
        f" {_stamp(span.end_seconds - summary.start_seconds)}\n{number}: {span.why}\n"
        for number, span in enumerate(summary.spans, start=1)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def write_summary_video(
    summary: Summary, out: str | Path, *, overwrite: bool = False, limits: Limits = LIMITS
) -> EditResult:
    """Write the spans one after the other into a new video, exact to the frame.

    Args:
        summary: What `summarize` returned.
        out: The file to write.
        overwrite: Whether a file that is there is replaced.
        limits: What is refused of the video.

    Raises:
        QueryError: `out` is there, is the video, or has a suffix that is not written.
        VideoError: The video cannot be read.
        SoravecError: `out` cannot be written.
    """
    spans = [Span(summary.path, span.start_seconds, span.end_seconds) for span in summary.spans]
    return concat(spans, out, overwrite=overwrite, limits=limits)


def summary_page(summary: Summary, *, limits: Limits = LIMITS) -> str:
    """Return a summary as HTML, with pictures of every span.

    Args:
        summary: What `summarize` returned.
        limits: What is refused of the video.

    Raises:
        UnreadableVideo: Not one picture can be read.
    """
    spans = _shown(summary)
    wanted = [at for span in spans for at in _instants(span)]
    pictures = _pictures(summary.path, wanted, 108, limits)
    length = summary.end_seconds - summary.start_seconds
    body = [
        f"<p><code>{html.escape(summary.path)}</code></p><p>{len(summary.spans)} spans,"
        f" {summary.seconds:.1f} of {length:.1f} s</p>"
    ]
    body += [f'<p class="soft">{html.escape(note)}</p>' for note in summary.notes]
    for span in spans:
        shown = [(pictures[at], f"at {at:.1f} s") for at in _instants(span) if at in pictures]
        body.append(
            f"<section>{span.start_seconds:.1f} to {span.end_seconds:.1f} s{strip(shown)}"
            f'<div class="soft">{html.escape(span.why)}</div></section>'
        )
    if len(spans) < len(summary.spans):
        body.append(f"<p>{len(summary.spans) - len(spans)} more are not shown.</p>")
    return page("What is worth watching", body)


def _shown(summary: Summary) -> list[ChosenSpan]:
    number = min(len(summary.spans), MOST_SHOWN)
    chosen = np.linspace(0, len(summary.spans) - 1, number).round().astype(int)
    return [summary.spans[index] for index in chosen]


def _pictures(path: str, seconds: list[float], height: int, limits: Limits) -> dict[float, Image]:
    found = read_pictures([(path, tuple(seconds))], height=height, limits=limits)[path]
    if not found:
        cause = "none of its pictures can be shown"
        raise UnreadableVideo(path, cause, "Check it with 'soravec probe'.")
    return found


def _bar(summary: Summary, span: ChosenSpan, width: int) -> Image:
    """Return where in the video a span lies, (BAR_HEIGHT, width, 3)."""
    scale = width / (summary.end_seconds - summary.start_seconds)
    start, end = (
        round((seconds - summary.start_seconds) * scale)
        for seconds in (span.start_seconds, span.end_seconds)
    )
    bar = np.full((BAR_HEIGHT, width, 3), LINE, np.uint8)
    first = min(start, width - 2)
    bar[:, first : max(end, first + 2)] = MARK
    return bar


def _instants(span: ChosenSpan) -> list[float]:
    return instants(span.start_seconds, span.end_seconds, NUM_PICTURES)


def _stamp(seconds: float) -> str:
    """Return a time as WebVTT writes it.

    >>> _stamp(3725.25)
    '01:02:05.250'
    """
    minutes, milliseconds = divmod(max(0, round(seconds * 1000)), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
