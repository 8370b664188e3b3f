"""What to watch next as a page: each video beside what it is like, in pictures."""

import html
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from soravec.library.pictures import read_pictures
from soravec.tasks.page import instants, page, strip
from soravec.tasks.recommend import Recommendation, Recommendations, VideoMoment
from soravec.video import LIMITS, Limits

NUM_PICTURES = 8
WORDS = {
    "appearance": "It looks like",
    "motion": "It moves like",
    "both": "It looks and moves like",
}

Pictures = dict[str, dict[float, NDArray[np.uint8]]]


def recommend_page(found: Recommendations, *, limits: Limits = LIMITS) -> str:
    """Return what to watch next as HTML, with pictures of both moments of each reason.

    Args:
        found: What `recommend` returned.
        limits: What is refused of the videos that the pictures are from.
    """
    wanted: dict[str, list[float]] = defaultdict(list)
    for one in found.videos:
        for moment in (one.reason.moment, one.reason.liked):
            wanted[moment.path] += _instants(moment)
    pictures = read_pictures([(path, tuple(at)) for path, at in wanted.items()], limits=limits)
    body = [_section(one, pictures) for one in found.videos]
    for other in found.left_out:
        why = f"shows the same as {other.original}" if other.original else "nothing is seen in it"
        body.append(f'<p class="soft">left out: {html.escape(f"{other.path}: {why}")}</p>')
    body += [f'<p class="soft">not compared: {html.escape(text)}</p>' for text in found.untold]
    return page("What to watch next", body)


def _section(one: Recommendation, pictures: Pictures) -> str:
    why = one.reason
    motion = "" if why.motion is None else f", motion {why.motion:.2f}"
    return (
        f"<section><code>{html.escape(one.path)}</code>{_shown(why.moment, pictures)}"
        f"{WORDS[why.by]} <code>{html.escape(why.liked.path)}</code>{_shown(why.liked, pictures)}"
        f'<div class="soft">likeness of appearance {why.appearance:.2f}{motion}</div></section>'
    )


def _shown(moment: VideoMoment, pictures: Pictures) -> str:
    images = pictures.get(moment.path, {})
    shown = [(images[at], f"at {at:.1f} s") for at in _instants(moment) if at in images]
    return f" {moment.start_seconds:.1f} to {moment.end_seconds:.1f} s{strip(shown)}"


def _instants(moment: VideoMoment) -> list[float]:
    return instants(moment.start_seconds, moment.end_seconds, NUM_PICTURES)
