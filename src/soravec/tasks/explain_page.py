"""Why, as pages and pictures: the matrix and the best pairs of a match, the strip of a label."""

import base64
import html

import numpy as np
from numpy.typing import NDArray

from soravec.library.pictures import read_pictures
from soravec.tasks.explain_label import LabelExplanation
from soravec.tasks.explain_match import MatchedSide, MatchExplanation
from soravec.tasks.heat_picture import heat_strip, matrix_picture
from soravec.tasks.page import page, strip
from soravec.video import LIMITS, Limits, encode_jpeg

MOST_PICTURES = 24
"""Of a strip: of more frames, each picture stands for several."""
FINE = 2
"""Quantizer of JPEG: small cells of colour stay apart."""

Image = NDArray[np.uint8]


def match_page(found: MatchExplanation, *, limits: Limits = LIMITS) -> str:
    """Return why two spans match as HTML: the matrix, the best pairs, and what motion depends on.

    Args:
        found: What `explain_match` returned.
        limits: What is refused of the videos that the pictures are from.
    """
    sides = found.first, found.second
    instants = [
        [moment.first_seconds for moment in found.moments],
        [moment.second_seconds for moment in found.moments],
    ]
    shown = [[*at, *_middles(side)] for side, at in zip(sides, instants, strict=True)]
    wanted: dict[str, list[float]] = {}
    for side, at in zip(sides, shown, strict=True):
        wanted.setdefault(side.path, []).extend(at)
    pictures = read_pictures([(path, tuple(at)) for path, at in wanted.items()], limits=limits)
    body = [_score_words(found), _matrix(found), "<h2>Pairs of moments that contribute most</h2>"]
    for moment in found.moments:
        pair = [
            (pictures.get(side.path, {}).get(at), f"at {at:.1f} s")
            for side, at in zip(sides, (moment.first_seconds, moment.second_seconds), strict=True)
        ]
        there = [(image, words) for image, words in pair if image is not None]
        body.append(
            f'<section>{strip(there)}<div class="soft">{moment.first_seconds:.1f} s and'
            f" {moment.second_seconds:.1f} s: looks {moment.similarity:.3f}, of the score"
            f" {moment.contribution:.4f}</div></section>"
        )
    if found.motion_weight:
        body.append("<h2>What motion loses without a moment</h2>")
        body += [_motion_strip(side, pictures.get(side.path, {})) for side in sides]
    return page("Why these two match", body)


def label_page(found: LabelExplanation, *, limits: Limits = LIMITS) -> str:
    """Return why a span has a label as HTML: a strip of its frames and how each speaks for it."""
    body = [f"<p>{found.score:.3f} by the head, of <code>{html.escape(found.path)}</code></p>"]
    picture = label_picture(found, limits=limits)
    if picture is not None:
        body.append(
            f"<section>{_image(picture, 'frames in order of time, below each its heat')}"
            f'<div class="soft">{found.start_seconds:.1f} to {found.end_seconds:.1f} s. Red bars'
            " up: speaks for it. Blue bars down: against it.</div></section>"
        )
    rows = [
        f"<li>{found.bounds[row, 0]:.1f} to {found.bounds[row, 1]:.1f} s:"
        f" {found.heat[row]:+.2f}</li>"
        for row in found.order[:10].tolist()
    ]
    body += ["<h2>What speaks most for it</h2>", f"<ol>{''.join(rows)}</ol>"]
    if found.faithfulness is not None:
        body.append(f"<p>{faithfulness_words(found)}</p>")
    return page(f"Why {found.label}", body)


def label_picture(found: LabelExplanation, *, limits: Limits = LIMITS) -> Image | None:
    """Return frames of a span in a row with their heat; None where none can be read."""
    return _strip_of(found.path, found.bounds, found.heat, limits)


def match_picture(found: MatchExplanation) -> Image:
    """Return the matrix of contributions of pairs of frames, time of the second to the right."""
    return matrix_picture(found.contributions)


def faithfulness_words(found: LabelExplanation) -> str:
    """Return in a sentence what deletion and insertion say; empty where there is neither."""
    areas = found.faithfulness
    if areas is None:
        return ""
    return (
        f"without what speaks for it first, the score averages {areas.deletion:.3f} (in random"
        f" order {areas.random_deletion:.3f}); with that first, {areas.insertion:.3f} (in random"
        f" order {areas.random_insertion:.3f})"
    )


def _score_words(found: MatchExplanation) -> str:
    motion = "no motion to compare" if found.motion is None else f"motion {found.motion:.3f}"
    weight = found.motion_weight
    return (
        f"<p>Score {found.score:.3f} = {1 - weight:.2f} × looks {found.appearance:.3f} +"
        f" {weight:.2f} × ({motion}).</p>"
    )


def _matrix(found: MatchExplanation) -> str:
    words = [
        f"<code>{html.escape(side.path)}</code> {side.start_seconds:.1f} to"
        f" {side.end_seconds:.1f} s"
        for side in (found.first, found.second)
    ]
    values = found.contributions
    return (
        f"<section>{_image(match_picture(found), 'contributions of pairs of frames')}"
        f'<div class="soft">down: {words[0]}<br>right: {words[1]}<br>each cell is what a pair of'
        f" frames adds to the score, dark {values.min():.5f} to bright {values.max():.5f};"
        f" together {values.sum():.3f}</div></section>"
    )


def _middles(side: MatchedSide) -> list[float]:
    rows = _chosen(len(side.bounds))
    return [float(side.bounds[row].mean()) for row in rows]


def _motion_strip(side: MatchedSide, pictures: dict[float, Image]) -> str:
    rows, at = _chosen(len(side.bounds)), _middles(side)
    there = [row for row, instant in zip(rows, at, strict=True) if instant in pictures]
    images = [pictures[instant] for instant in at if instant in pictures]
    if not images:
        return ""
    picture = heat_strip(images, side.motion[there])
    return (
        f"<section>{_image(picture, 'frames, and below each what is lost without it')}"
        f'<div class="soft"><code>{html.escape(side.path)}</code>, at most'
        f" {np.abs(side.motion).max():.4f} of the score</div></section>"
    )


def _strip_of(
    path: str, bounds: NDArray[np.float64], heat: NDArray[np.float64], limits: Limits
) -> Image | None:
    groups = np.array_split(np.arange(len(heat)), min(len(heat), MOST_PICTURES))
    at = [float(bounds[group[len(group) // 2]].mean()) for group in groups]
    pictures = read_pictures([(path, tuple(at))], limits=limits).get(path, {})
    there = [number for number, instant in enumerate(at) if instant in pictures]
    if not there:
        return None
    values = np.array([heat[groups[number]].mean() for number in there])
    return heat_strip([pictures[at[number]] for number in there], values)


def _chosen(number: int) -> list[int]:
    rows = np.linspace(0, number - 1, min(number, MOST_PICTURES)).round().astype(int)
    return sorted(set(rows.tolist()))


def _image(image: Image, words: str) -> str:
    data = base64.b64encode(encode_jpeg(image, quantizer=FINE)).decode()
    return (
        f'<img style="max-width:100%" src="data:image/jpeg;base64,{data}"'
        f' alt="{html.escape(words, quote=True)}">'
    )
