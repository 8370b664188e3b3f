"""An evaluation as one HTML page: no outside resource, from a file, light and dark, on a phone."""

import html
from collections.abc import Sequence
from importlib import resources

from soravec.evaluation.html_tables import (
    class_table,
    confusion_table,
    html_table,
    method_table,
    retrieval_table,
    target_table,
)
from soravec.evaluation.metrics import ClassificationMetrics
from soravec.evaluation.plots import curve_plot, interval_plot, reliability_plot
from soravec.evaluation.results import Results
from soravec.evaluation.sections import (
    cards,
    facts_list,
    measured_how,
    mistake_cards,
    order_sentence,
)

CURVE_TITLES = {
    "rate": "Fewer frames per second",
    "noise": "Noise",
    "blur": "Blur",
    "jpeg": "JPEG compression",
    "drop": "Lost frames",
}

LEGEND = (
    '<ul class="legend">'
    '<li><span class="key model"></span><b>The model</b>, as it classifies; and the mean over'
    " several temporal views of each clip.</li>"
    '<li><span class="key probe"></span><b>Probes</b> read the vectors of the model: what they'
    " hold, whatever the head makes of them.</li>"
    '<li><span class="key baseline"></span><b>Baselines</b> read the same features without a'
    " temporal model: their mean, and mean, standard deviation and mean absolute change over"
    " time.</li>"
    '<li><span class="key chance"></span><b>Chance</b>: answers that know nothing.</li>'
    "<li>Probes and baselines are fitted on the training clips, their settings chosen on validation"
    " clips or inner folds. “Model ahead by” is taken on the same draws of clips: an interval"
    " without 0 in it is a difference.</li></ul>"
)


def report_page(results: Results, pictures: Sequence[Sequence[str]]) -> str:
    """Return the page.

    Args:
        results: Every number.
        pictures: Frames of each mistake, base64 JPEG.
    """
    style = resources.files("soravec.evaluation").joinpath("style.css").read_text("utf-8")
    title = f"{results.model.name} on {results.data.manifest}"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        facts_list(results),
        cards(results),
        _methods(results),
        _classes(results),
        _calibration(results),
        _retrieval(results),
        _time(results),
        _damage(results),
        _mistakes(results, pictures),
        _skipped(results),
        "<h2>How it was measured</h2>",
        measured_how(results),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _methods(results: Results) -> str:
    key, title = results.primary.key, results.primary.title
    rows = [(r.name, r.kind, r.figures[key]) for r in results.rows if key in r.figures]
    better = "" if results.primary.higher_is_better else " Lower is better."
    plot = interval_plot(rows, chance=_chance(results), unit_scale=_unit_scale(results))
    caption = (
        f"{title} on the {results.data.split} clips {_rate(results)}, 95 % intervals; dashed:"
        f" chance.{better}"
    )
    return (
        "<h2>Beside probes, baselines and chance</h2>"
        f'<div class="pair"><figure>{plot}<figcaption>{html.escape(caption)}</figcaption></figure>'
        f"{LEGEND}</div>{method_table(results)}"
    )


def _classes(results: Results) -> str:
    if not isinstance(results.metrics, ClassificationMetrics):
        said = f"<p>Read {_rate(results)}. To answer with the mean has an R² of 0.</p>"
        table = target_table(results, results.metrics, results.class_figures)
        return "<h2>Targets</h2>" + said + table
    tables = (
        class_table(results.metrics, results.class_figures),
        confusion_table(results.metrics),
    )
    parts = "".join(f"<div>{table}</div>" for table in tables if table)
    return f'<h2>Classes</h2><p>Read {_rate(results)}.</p><div class="pair">{parts}</div>'


def _calibration(results: Results) -> str:
    if not isinstance(results.metrics, ClassificationMetrics):
        return ""
    calibration = results.metrics.calibration
    error = calibration.expected_error
    return (
        "<h2>Do its probabilities mean what they say?</h2>"
        f'<div class="pair"><figure class="square">{reliability_plot(calibration)}<figcaption>'
        f"Share of answers that are right, by the probability that was given; {_rate(results)}."
        "</figcaption></figure>"
        f"<div><p>Expected calibration error <b>{error:.3f}</b> over {len(calibration.num_clips)}"
        " bins: how far, on average, the share that is right lies from the probability given.</p>"
        "<p>A calibrated model follows the dashed line: bars that end below it tell of too much"
        " confidence, above it of too little. Wider bars hold more answers.</p></div></div>"
    )


def _retrieval(results: Results) -> str:
    if not results.retrieval:
        return ""
    return (
        "<h2>Finding clips of the same class</h2>"
        "<p>Each clip asks, and the clips of other groups answer, the nearest by cosine first.</p>"
        + retrieval_table(results)
    )


def _time(results: Results) -> str:
    chance, unit_scale = _chance(results), _unit_scale(results)
    rows = [(one.name, "model", one.figure) for one in results.order]
    plots = [
        f"<figure><h3>Frames out of order</h3>"
        f"{interval_plot(rows, chance=chance, unit_scale=unit_scale)}"
        f"<figcaption>{html.escape(_rounds(results))}</figcaption></figure>"
    ]
    plots += [
        f"<figure><h3>{CURVE_TITLES['rate']}</h3>"
        f"{curve_plot(curve, chance=chance, unit_scale=unit_scale)}"
        "<figcaption>Frames per second: every second, fourth ... of those it reads.</figcaption>"
        "</figure>"
        for curve in results.curves
        if curve.kind == "rate"
    ]
    return (
        "<h2>Does time matter?</h2>"
        f"<p>{html.escape(order_sentence(results))}</p>"
        f'<div class="pair">{"".join(plots)}</div>'
    )


def _damage(results: Results) -> str:
    curves = [curve for curve in results.curves if curve.kind != "rate"]
    if not curves:
        return ""
    chance, unit_scale = _chance(results), _unit_scale(results)
    plots = [
        f"<figure><h3>{CURVE_TITLES[curve.kind]}</h3>"
        f"{curve_plot(curve, chance=chance, unit_scale=unit_scale)}"
        f"<figcaption>{html.escape(curve.unit)}</figcaption></figure>"
        for curve in curves
    ]
    clips = curves[0].clean.num_clips
    return (
        "<h2>In worse pictures</h2>"
        f"<p>For {clips} clips, the {html.escape(results.primary.title)} when frames are decoded"
        f" again, made worse and read anew, at {curves[0].sample_fps:g} frames/s.</p>"
        f'<div class="pair">{"".join(plots)}</div>'
    )


def _mistakes(results: Results, pictures: Sequence[Sequence[str]]) -> str:
    if not results.mistakes:
        return "<h2>Worst mistakes</h2><p>None: every clip is right.</p>"
    return "<h2>Worst mistakes</h2>" + mistake_cards(results, pictures)


def _skipped(results: Results) -> str:
    if not results.skipped:
        return ""
    rows = [[html.escape(s.path), str(s.row), html.escape(s.message)] for s in results.skipped]
    number = len(rows)
    return (
        f"<h2>Not scored</h2><p>{number} clip{'s' * (number > 1)} could not be read, and no other"
        " took the place.</p>" + html_table(("file", "row", "why"), rows, long_columns=(2,))
    )


def _rounds(results: Results) -> str:
    rounds = max(one.rounds for one in results.order)
    return (
        f"Within each segment: shuffled (mean of {rounds} shuffles), reversed, and the middle frame"
        f" in place of all; {_rate(results)}."
    )


def _rate(results: Results) -> str:
    return f"at {results.model.sample_fps:g} frames/s"


def _chance(results: Results) -> float | None:
    row = results.rows[-1]
    key = results.primary.key
    return row.figures[key].value if row.kind == "chance" and key in row.figures else None


def _unit_scale(results: Results) -> bool:
    """Whether the first measure lies in [0, 1]."""
    return results.primary.higher_is_better
