"""Tables of the report's page."""

import html
import math
from collections.abc import Callable, Mapping, Sequence

from soravec.evaluation.intervals import Figure
from soravec.evaluation.metrics import ClassificationMetrics, RegressionMetrics
from soravec.evaluation.results import Results
from soravec.evaluation.tables import number

MOST_CLASSES = 24
"""Classes up to which the confusion matrix is drawn; of more, only what is confused most."""
MOST_PAIRS = 20


def method_table(results: Results) -> str:
    """Return every method with every measure."""
    headings = ["method", *(one.title for one in results.measures), "model ahead by", "dim", "fps"]
    rows, kinds = [], []
    sign = 1 if results.primary.higher_is_better else -1
    for row in results.rows:
        ahead = row.difference
        if ahead is not None and sign < 0:
            ahead = _negative(ahead)
        rows.append(
            [
                f'<span class="key {row.kind}"></span>{html.escape(row.name)}'
                + (f"<small>{html.escape(row.setting)}</small>" if row.setting else ""),
                *(_cell(row.figures.get(one.key)) for one in results.measures),
                _cell(ahead, signed=True),
                str(row.dim or "–"),
                f"{row.sample_fps:g}" if row.sample_fps else "–",
            ]
        )
        kinds.append(row.kind)
    return html_table(headings, rows, kinds)


def class_table(metrics: ClassificationMetrics, figures: Sequence[Mapping[str, Figure]]) -> str:
    """Return precision, recall, F1 and average precision of every class, and of chance."""
    rows = [
        [
            html.escape(one.name),
            str(one.num_clips),
            _cell(found["precision"]),
            _cell(found["recall"]),
            f"{_meter(one.f1)}{_interval(found['f1'], number)}",
            _cell(found["average_precision"]),
            _cell(found["chance"]),
        ]
        for one, found in zip(metrics.classes, figures, strict=True)
    ]
    mean = [
        "mean of classes with clips",
        str(metrics.num_clips),
        _number(metrics.macro_precision),
        _number(metrics.macro_recall),
        _meter(metrics.macro_f1),
        _number(metrics.mean_average_precision),
        "",
    ]
    headings = ("class", "clips", "precision", "recall", "F1", "AP", "AP by chance")
    return html_table(headings, [*rows, mean])


def confusion_table(metrics: ClassificationMetrics) -> str:
    """Return the confusion matrix, or what is confused most; nothing for labels."""
    names = [one.name for one in metrics.classes]
    if not metrics.confusion:
        return ""
    if len(names) > MOST_CLASSES:
        return _pairs(metrics, names)
    numbers = "".join(
        f'<th title="{html.escape(name, quote=True)}">{at}</th>' for at, name in enumerate(names, 1)
    )
    lines = []
    for at, (name, row) in enumerate(zip(names, metrics.confusion, strict=True)):
        total = max(1, sum(row))
        cells = []
        for column, (called, count) in enumerate(zip(names, row, strict=True)):
            told = html.escape(f"{name} called {called}", quote=True)
            tint = "" if column == at else ";--tint:var(--wrong)"
            style = f"--share:{count / total:.3f}{tint}"
            cells.append(f'<td title="{told}" style="{style}">{count or ""}</td>')
        lines.append(f'<tr><th class="of">{at + 1} {html.escape(name)}</th>{"".join(cells)}</tr>')
    return (
        "<h3>Confusion</h3><p class=soft>Rows: what is right; columns: what the model said.</p>"
        f'<div class="scroll"><table class="confusion"><tr><th></th>{numbers}</tr>'
        f"{''.join(lines)}</table></div>"
    )


def _pairs(metrics: ClassificationMetrics, names: Sequence[str]) -> str:
    """Return what is confused most often, as a table."""
    counts = [
        (count, names[right], names[given])
        for right, row in enumerate(metrics.confusion)
        for given, count in enumerate(row)
        if count and right != given
    ]
    counts = sorted(counts, key=lambda one: (-one[0], one[1], one[2]))[:MOST_PAIRS]
    rows = [[html.escape(right), html.escape(given), str(count)] for count, right, given in counts]
    if not rows:
        return ""
    return "<h3>Confused most often</h3>" + html_table(("is", "called", "clips"), rows)


def target_table(
    results: Results, metrics: RegressionMetrics, figures: Sequence[Mapping[str, Figure]]
) -> str:
    """Return the errors of every target of a regression; by chance R² is 0."""
    rows = [
        [html.escape(name), *(_cell(found[one.key]) for one in results.measures)]
        for (name, *_), found in zip(metrics.targets, figures, strict=True)
    ]
    return html_table(("target", *(one.title for one in results.measures)), rows)


def retrieval_table(results: Results) -> str:
    """Return what each kind of vector found."""
    ranks = [k for k, _ in results.retrieval[0].metrics.recall]
    headings = ["vectors", *(f"R@{k}" for k in ranks), "mAP", "median rank", "dim", "fps"]
    rows = []
    for row in results.retrieval:
        found = row.metrics
        rows.append(
            [
                html.escape(row.name),
                *(_cell(figure) for _, figure in found.recall),
                _cell(found.mean_average_precision),
                _cell(found.median_rank, whole=True),
                str(row.dim or "–"),
                f"{row.sample_fps:g}" if row.sample_fps else "–",
            ]
        )
    queries = results.retrieval[0].metrics.num_queries
    return (
        html_table(headings, rows)
        + f'<p class="soft">{queries} of {results.data.num_clips[results.data.split]} clips have a'
        " like among other groups, and ask. Median rank: of the first right clip.</p>"
    )


def html_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    kinds: Sequence[str] = (),
    *,
    long_columns: Sequence[int] = (),
) -> str:
    """Return a table that scrolls where it is too wide.

    Args:
        headings: Plain text.
        rows: Cells, as HTML.
        kinds: A CSS class per row; empty for none.
        long_columns: Numbers of columns whose text may break.
    """
    head = "".join(f"<th>{html.escape(one)}</th>" for one in headings)
    lines = []
    for at, cells in enumerate(rows):
        kind = f' class="{kinds[at]}"' if kinds else ""
        body = "".join(
            f"<td{' class=long' if column in long_columns else ''}>{cell}</td>"
            for column, cell in enumerate(cells)
        )
        lines.append(f"<tr{kind}>{body}</tr>")
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _cell(figure: Figure | None, *, signed: bool = False, whole: bool = False) -> str:
    if figure is None or math.isnan(figure.value):
        return "–"

    def show(value: float) -> str:
        return f"{value:.0f}" if whole else number(value, signed=signed)

    return show(figure.value) + _interval(figure, show)


def _interval(figure: Figure, show: Callable[[float], str]) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"<small>[{show(figure.low)}, {show(figure.high)}]</small>"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else number(value)


def _meter(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f'<span class="meter"><i style="width:{value:.1%}"></i></span>{number(value)}'


def _negative(figure: Figure) -> Figure:
    low = None if figure.high is None else -figure.high
    high = None if figure.low is None else -figure.low
    return Figure(-figure.value, low, high, figure.num_clips, figure.method)
