"""Answers as HTML pages for people to look at: no outside resource, light and dark, on a phone."""

import base64
import html
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from soravec.video import encode_jpeg

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --card: #f4f6f8; --ink: #17202b; --soft: #5b6775; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #11161c; --card: #1a212a; --ink: #e6ebf0; --soft: #9aa6b3; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; }
section { background: var(--card); border-radius: 0.6rem; padding: 0.8rem 1rem; margin: 0.8rem 0; }
.strip { display: grid; grid-template-columns: repeat(auto-fit, minmax(5.5rem, 1fr)); gap: 3px; }
.strip img { display: block; width: 100%; border-radius: 2px; }
.soft { color: var(--soft); font-size: 0.9rem; }
code { font-size: 0.85rem; overflow-wrap: anywhere; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """Return a page; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def strip(pictures: Iterable[tuple[NDArray[np.uint8], str]]) -> str:
    """Return pictures (H, W, 3) uint8 RGB in a row, each with what it is for those who see none."""
    shown = [
        f'<img src="data:image/jpeg;base64,{base64.b64encode(encode_jpeg(image)).decode()}"'
        f' alt="{html.escape(words, quote=True)}">'
        for image, words in pictures
    ]
    widest = f"max-width:{14 * len(shown)}rem"  # two pictures are not drawn as large as a page
    return f'<div class="strip" style="{widest}">{"".join(shown)}</div>'


def instants(start_seconds: float, end_seconds: float, number: int) -> list[float]:
    """Return the middles of so many equal parts of a span, of which pictures are shown.

    >>> instants(0.0, 4.0, 2)
    [1.0, 3.0]
    """
    length = (end_seconds - start_seconds) / number
    return [start_seconds + length * (part + 0.5) for part in range(number)]
