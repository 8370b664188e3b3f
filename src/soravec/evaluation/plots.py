"""Plots as small inline SVG, drawn in the page's own colours: legible on a phone, light or dark.

Drawn by hand and not by matplotlib: its SVG knows neither the page's colours nor its fonts.
"""

import html
import math
from collections.abc import Sequence

from soravec.evaluation.intervals import Figure
from soravec.evaluation.metrics import Calibration
from soravec.evaluation.results import Curve
from soravec.evaluation.tables import in_words, number

WIDTH = 340.0
TITLE_STEP = 40.0
"""Height of one line of a plot of intervals: its name above, its dot below."""
LEFT, RIGHT, TOP, BOTTOM = 34.0, 10.0, 10.0, 34.0


def interval_plot(
    rows: Sequence[tuple[str, str, Figure]], *, chance: float | None, unit_scale: bool
) -> str:
    """Return one dot with its interval per row, under its name.

    Args:
        rows: Name, kind (a class of colour: `model`, `probe`, `baseline`, `chance`) and number.
        chance: Where a dashed line stands; None for none.
        unit_scale: Whether the axis runs from 0 to 1; else from 0 to the greatest number.
    """
    rows = [row for row in rows if math.isfinite(row[2].value)]
    low, high = _range([figure for *_, figure in rows], unit_scale=unit_scale)
    height = TOP + TITLE_STEP * len(rows) + 22

    def x(value: float) -> float:
        return 6 + (value - low) / (high - low) * (WIDTH - 12)

    parts = [
        _gridline(x(tick), TOP, height - 20, number_of_tick(tick), height - 6)
        for tick in _ticks(low, high)
    ]
    if chance is not None and low <= chance <= high:
        parts.append(_line(x(chance), TOP, x(chance), height - 20, "chance-line"))
    for at, (name, kind, figure) in enumerate(rows):
        top = TOP + TITLE_STEP * at
        middle = top + 25
        parts.append(_text(6, top + 13, name, "name"))
        parts.append(_text(WIDTH - 6, top + 13, number(figure.value), "value", anchor="end"))
        if figure.low is not None and figure.high is not None:
            parts.append(_line(x(figure.low), middle, x(figure.high), middle, f"whisker {kind}"))
        parts.append(_dot(x(figure.value), middle, kind, f"{name}: {in_words(figure)}"))
    return _svg(height, parts, "numbers with their intervals")


def curve_plot(curve: Curve, *, chance: float | None, unit_scale: bool) -> str:
    """Return a measure against a level, from the clips as they are to the strongest level."""
    clean = "as is" if curve.kind != "rate" else f"{curve.sample_fps:g}"
    points = [(clean, curve.clean), *((f"{p.level:g}", p.figure) for p in curve.points)]
    points = [point for point in points if math.isfinite(point[1].value)]
    low, high = _range([figure for _, figure in points], unit_scale=unit_scale)
    height = 176.0

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (height - TOP - 20)

    step = (WIDTH - LEFT - RIGHT) / max(1, len(points))
    places = [LEFT + step * (at + 0.5) for at in range(len(points))]
    parts = []
    for tick in _ticks(low, high):
        parts.append(_line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
        parts.append(_text(LEFT - 6, y(tick) + 4, number_of_tick(tick), "tick", anchor="end"))
    if chance is not None and low <= chance <= high:
        parts.append(_line(LEFT, y(chance), WIDTH - RIGHT, y(chance), "chance-line"))
    path = " ".join(f"{x:.1f},{y(f.value):.1f}" for x, (_, f) in zip(places, points, strict=True))
    parts.append(f'<polyline class="curve" points="{path}"/>')
    for x, (label, figure) in zip(places, points, strict=True):
        if figure.low is not None and figure.high is not None:
            parts.append(_line(x, y(figure.low), x, y(figure.high), "whisker model"))
        parts.append(_dot(x, y(figure.value), "model", f"{label}: {in_words(figure)}"))
        parts.append(_text(x, height - 5, label, "tick", anchor="middle"))
    return _svg(height, parts, f"{curve.kind}: {curve.unit}")


def reliability_plot(calibration: Calibration) -> str:
    """Return accuracy against probability in bins; the share of clips is the width of a bar."""
    height, side = 330.0, WIDTH - LEFT - RIGHT
    most = max(calibration.num_clips) or 1

    def x(value: float) -> float:
        return LEFT + value * side

    def y(value: float) -> float:
        return TOP + (1 - value) * (height - TOP - BOTTOM)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
        parts.append(_text(LEFT - 6, y(tick) + 4, number_of_tick(tick), "tick", anchor="end"))
        parts.append(_text(x(tick), height - 18, number_of_tick(tick), "tick", anchor="middle"))
    parts.append(_line(x(0), y(0), x(1), y(1), "diagonal"))
    for at, count in enumerate(calibration.num_clips):
        if not count:
            continue
        begin, end = calibration.edges[at], calibration.edges[at + 1]
        share = calibration.accuracy[at]
        half = (end - begin) / 2 * (0.25 + 0.65 * math.sqrt(count / most))
        middle = (begin + end) / 2
        told = f"{count} answers of {calibration.probability[at]:.2f}: {share:.2f} right"
        parts.append(
            f'<rect class="bar" x="{x(middle - half):.1f}" y="{y(share):.1f}"'
            f' width="{2 * half * side:.1f}" height="{max(1.0, y(0) - y(share)):.1f}">'
            f"<title>{html.escape(told)}</title></rect>"
        )
    label = "probability that the model gives"
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 3, label, "unit", anchor="middle"))
    return _svg(height, parts, "share that is right against the probability given")


def number_of_tick(value: float) -> str:
    """Return a short number for an axis."""
    return f"{value:.3g}"


def _range(figures: Sequence[Figure], *, unit_scale: bool) -> tuple[float, float]:
    if unit_scale:
        return 0.0, 1.0
    ends = [end for f in figures for end in (f.value, f.low, f.high) if end is not None]
    low, high = min(0.0, *ends), max(0.0, *ends)
    return (low, high) if high > low else (low, low + 1)


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round numbers from `low` to `high`: 0 and 0.07 give 0, 0.02, 0.04, 0.06."""
    rough = (high - low) / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _svg(height: float, parts: Sequence[str], label: str) -> str:
    body = "".join(parts)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH:g} {height:g}" role="img"'
        f' aria-label="{html.escape(label, quote=True)}">{body}</svg>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, css: str, *, anchor: str = "start") -> str:
    shown = html.escape(text)
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{shown}</text>'


def _dot(x: float, y: float, kind: str, title: str) -> str:
    told = f"<title>{html.escape(title)}</title>"
    return f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">{told}</circle>'


def _gridline(x: float, top: float, bottom: float, label: str, below: float) -> str:
    return _line(x, top, x, bottom, "grid") + _text(x, below, label, "tick", anchor="middle")
