"""Results as aligned text, for a terminal."""

from collections.abc import Sequence

import numpy as np

from soravec.evaluation.intervals import Figure
from soravec.evaluation.metrics import ClassificationMetrics
from soravec.evaluation.results import Results


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = []
    for cells in (headings, *rows):
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return lines


def in_words(figure: Figure | None, *, signed: bool = False) -> str:
    """Return a figure with its interval: `0.812 [0.750, 0.861]`."""
    if figure is None or not np.isfinite(figure.value):
        return "-"
    text = number(figure.value, signed=signed)
    if figure.low is None or figure.high is None:
        return text
    low, high = (number(end, signed=signed) for end in (figure.low, figure.high))
    return f"{text} [{low}, {high}]"


def number(value: float, *, signed: bool = False) -> str:
    """Return a number with three decimals, or, if it is large, with as many digits as it needs."""
    value = round(value, 12) + 0.0  # no -0.0, and no noise of a sum
    if value != 0 and not 0.001 <= abs(value) < 1000:
        return f"{value:+.3g}" if signed else f"{value:.3g}"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def summary_lines(results: Results) -> list[str]:
    """Return what was found: the table of methods, whether time matters, what was left out."""
    data, model = results.data, results.model
    heading = (
        f"{model.name} on {data.num_clips[data.split]} {data.split} clips"
        f" ({data.num_units} independent), {model.sample_fps:g} frames/s;"
        " [95 % intervals]"
    )
    rows = [
        [row.name, *(in_words(row.figures.get(measure.key)) for measure in results.measures)]
        for row in results.rows
    ]
    lines = [heading, *table(["", *(one.title for one in results.measures)], rows)]
    primary = results.primary.title
    plain, *changed = results.order
    parts = [f"{one.name} {in_words(one.figure)}" for one in changed]
    lines.append(
        f"order of frames: {primary} as it is {in_words(plain.figure)}, {', '.join(parts)}"
    )
    if isinstance(results.metrics, ClassificationMetrics):
        error = results.metrics.calibration.expected_error
        lines.append(f"expected calibration error {number(error)}")
    if results.skipped:
        lines.append(f"{len(results.skipped)} clips could not be read, and were not scored")
    return lines
