"""What a library holds as one page: a map, clusters in pictures, what is odd, what looks bad."""

import html
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from soravec.library.pictures import read_pictures
from soravec.tasks.describe import Cluster, Description, Outlier, Points
from soravec.tasks.duplicates import Duplicates
from soravec.tasks.page import instants, page, strip
from soravec.tasks.quality import Problem
from soravec.tasks.recommend import VideoMoment
from soravec.video import LIMITS, Limits

PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b"),
    *("#56a5d8", "#8c564b", "#7f6fc9", "#6b8e23", "#708090"),
)
"""Readable on light and dark, most of them also for those who see fewer colours (after Okabe and
Ito, "Color universal design", 2008). The eleventh cluster is drawn as the first, with a ring."""
OUTLIER_PICTURES = 6
MOST_LISTED = 200
"""Problems and copies; more are counted."""

Pictures = dict[str, dict[float, NDArray[np.uint8]]]


def describe_page(found: Description, *, limits: Limits = LIMITS) -> str:
    """Return what a library holds as HTML, with pictures of the moments that are shown.

    Args:
        found: What `describe` returned.
        limits: What is refused of the videos that the pictures are from.
    """
    wanted: dict[str, list[float]] = defaultdict(list)
    for cluster in found.clusters:
        for moment in cluster.moments:
            wanted[moment.path] += instants(moment.start_seconds, moment.end_seconds, 1)
    for outlier in found.outliers:
        wanted[outlier.moment.path] += _instants(outlier.moment)
    pictures = read_pictures([(path, tuple(at)) for path, at in wanted.items()], limits=limits)
    body = [_summary(found), "<h2>Map</h2>", map_svg(found.points, found.clusters)]
    body.append("<h2>What belongs together</h2>")
    body += [_cluster(number, one, pictures) for number, one in enumerate(found.clusters)]
    body.append("<h2>Like nothing else</h2>")
    body += [_outlier(one, pictures) for one in found.outliers] or ["<p>Nothing is.</p>"]
    body.append("<h2>What looks bad</h2>")
    body.append(
        f"<p>The pictures of {found.num_looked_at} of {found.num_videos} videos were looked at;"
        f" {found.num_skipped} files could not be read at all"
        " (<code>soravec library failures</code>).</p>"
    )
    body += _problems(found.problems)
    body += _duplicates(found.duplicates)
    body += [f'<p class="soft">{html.escape(note)}</p>' for note in found.notes]
    return page("What is in the library", body)


def map_svg(points: Points, clusters: Iterable[Cluster]) -> str:
    """Return a map as SVG: a point for each segment, what it is when it is pointed at."""
    side, names = 1000, [cluster.name for cluster in clusters]
    x, y = (500 + 480 * points.places.T * np.array([[1], [-1]])).round(1)
    parts = [
        f'<svg viewBox="0 0 {side} {side}" role="img" aria-label="Map of the library"'
        ' style="width:100%;max-height:80vh;background:var(--card);border-radius:0.6rem">'
    ]
    for number, name in enumerate(names):
        ring = ' stroke="currentColor"' if number >= len(PALETTE) else ""
        parts.append(f'<g fill="{_colour(number)}" fill-opacity="0.8"{ring}>')
        for row in np.flatnonzero(points.labels == number).tolist():
            moment = points.moments[row]
            told = f"{name}: {moment.path} {moment.start_seconds:.1f} to {moment.end_seconds:.1f} s"
            parts.append(
                f'<circle cx="{x[row]}" cy="{y[row]}" r="{_radius(len(x))}">'
                f"<title>{html.escape(told)}</title></circle>"
            )
        parts.append("</g>")
    for number, name in enumerate(names):
        rows = points.labels == number
        if rows.any():
            half = min(500, 7 * len(name))  # of the width of a name: it stays on the map
            across = np.clip(np.median(x[rows]), half, side - half)
            parts.append(
                f'<text x="{across:.0f}" y="{max(24, np.median(y[rows]) - 22):.0f}"'
                ' font-size="24" text-anchor="middle" fill="var(--ink)" stroke="var(--card)"'
                f' stroke-width="5" paint-order="stroke">{html.escape(name)}</text>'
            )
    return "".join([*parts, "</svg>"])


def _summary(found: Description) -> str:
    return (
        f"<p>{found.num_videos} videos, {found.num_segments} segments,"
        f" {found.seconds / 3600:.1f} hours; {len(found.clusters)} clusters,"
        f" {len(found.outliers)} moments like nothing else, {len(found.problems)} problems.</p>"
    )


def _cluster(number: int, one: Cluster, pictures: Pictures) -> str:
    shown = []
    for moment in one.moments:
        (at,) = instants(moment.start_seconds, moment.end_seconds, 1)
        image = pictures.get(moment.path, {}).get(at)
        if image is not None:
            shown.append((image, f"{moment.path} at {at:.1f} s"))
    return (
        f'<section><span style="color:{_colour(number)}">&#9679;</span>'
        f" <strong>{html.escape(one.name)}</strong>{strip(shown)}"
        f'<div class="soft">{one.num_segments} segments of {one.num_videos} videos,'
        f" {one.seconds / 60:.1f} minutes</div></section>"
    )


def _outlier(one: Outlier, pictures: Pictures) -> str:
    moment = one.moment
    images = pictures.get(moment.path, {})
    shown = [(images[at], f"at {at:.1f} s") for at in _instants(moment) if at in images]
    return (
        f"<section><code>{html.escape(moment.path)}</code> {moment.start_seconds:.1f} to"
        f" {moment.end_seconds:.1f} s{strip(shown)}"
        f'<div class="soft">likeness {1 - one.score:.2f} to its nearest of other videos;'
        f" usual is {1 - one.usual:.2f}</div></section>"
    )


def _problems(problems: tuple[Problem, ...]) -> list[str]:
    if not problems:
        return ["<p>Nothing does.</p>"]
    counts = Counter(problem.kind for problem in problems)
    told = ", ".join(f"{kind}: {number}" for kind, number in sorted(counts.items()))
    lines = "".join(
        f"<br><code>{html.escape(one.path)}</code> {html.escape(one.message)}"
        for one in problems[:MOST_LISTED]
    )
    return [f"<section>{told}<div>{lines}</div></section>", *_more(len(problems))]


def _duplicates(found: Duplicates | None) -> list[str]:
    if found is None:
        return ["<p>Copies were not looked for: <code>soravec describe --duplicates</code>.</p>"]
    lines = [f"keep {html.escape(one.best)}: {len(one.others)} more" for one in found.groups]
    lines += [
        f"{html.escape(one.first.path)} {one.first.start_seconds:.1f} to"
        f" {one.first.end_seconds:.1f} s = {html.escape(one.second.path)}"
        f" {one.second.start_seconds:.1f} to {one.second.end_seconds:.1f} s"
        for one in found.copies
    ]
    body = ["<h2>What is there twice</h2>"]
    if not lines:
        return [*body, "<p>Nothing is.</p>"]
    return [*body, f"<section>{'<br>'.join(lines[:MOST_LISTED])}</section>", *_more(len(lines))]


def _more(number: int) -> list[str]:
    rest = number - MOST_LISTED
    return [f"<p>{rest} more are not shown.</p>"] if rest > 0 else []


def _instants(moment: VideoMoment) -> list[float]:
    return instants(moment.start_seconds, moment.end_seconds, OUTLIER_PICTURES)


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _radius(number: int) -> int:
    return 8 if number < 300 else 5
