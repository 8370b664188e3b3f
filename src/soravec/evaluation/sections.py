"""Parts of the report's page: its first numbers, its sentences, its mistakes."""

import html
from collections.abc import Sequence

from soravec.evaluation.intervals import LEVEL, NUM_RESAMPLES, Figure
from soravec.evaluation.metrics import ClassificationMetrics
from soravec.evaluation.results import OrderRow, Results
from soravec.evaluation.tables import in_words, number


def facts_list(results: Results) -> str:
    """Return what was measured, on what, in one line of labels."""
    data, model = results.data, results.model
    grouped = data.num_units < data.num_clips[data.split]
    facts = [
        f"{data.num_clips[data.split]} {data.split} clips",
        *([f"{data.num_units} groups"] if grouped else []),
        f"{len(data.classes)} {'targets' if data.task == 'regression' else 'classes'}",
        f"{model.sample_fps:g} frames/s",
        f"temporal model: {model.temporal}",
        f"{model.dim} dimensions",
        f"seed {results.seed}",
    ]
    return '<ul class="facts">' + "".join(f"<li>{html.escape(f)}</li>" for f in facts) + "</ul>"


def cards(results: Results) -> str:
    """Return the few numbers that matter most."""
    key, title = results.primary.key, results.primary.title
    model = results.rows[0]
    found = [(number(model.figures[key].value), title, _ends(model.figures[key]))]
    chance = results.rows[-1].figures.get(key)
    if results.rows[-1].kind == "chance" and chance is not None:
        found.append((number(chance.value), "chance", f"{title} of answers that know nothing"))
    rivals = [r for r in results.rows if r.kind == "baseline" and r.dim and r.difference]
    if rivals:
        sign = 1 if results.primary.higher_is_better else -1
        best = max(rivals, key=lambda row: sign * row.figures[key].value)
        assert best.difference is not None
        found.append(
            (
                number(best.difference.value, signed=True),
                f"over {best.name.split(',')[0]}",
                f"{_ends(best.difference)}, {title}",
            )
        )
    shuffled = _order(results, "shuffled")
    if shuffled is not None and shuffled.lost is not None:
        lost = shuffled.lost
        found.append(
            (number(lost.value, signed=True), "lost when frames are shuffled", _ends(lost))
        )
    if isinstance(results.metrics, ClassificationMetrics):
        error = results.metrics.calibration.expected_error
        found.append((number(error), "calibration error", "0 is perfect"))
    parts = [
        f'<div class="card"><span>{html.escape(above)}</span><b>{html.escape(value)}</b>'
        f"<span>{html.escape(below)}</span></div>"
        for value, above, below in found
    ]
    return f'<div class="cards">{"".join(parts)}</div>'


def order_sentence(results: Results) -> str:
    """Say whether shuffling costs more than chance would explain."""
    shuffled = _order(results, "shuffled")
    if shuffled is None or shuffled.lost is None or shuffled.lost.low is None:
        return "Too few independent clips to say."
    lost = shuffled.lost
    assert lost.low is not None
    assert lost.high is not None
    what = f"With frames shuffled inside each segment, {results.primary.title} is"
    change = f"{in_words(shuffled.figure)}; the difference is {in_words(lost, signed=True)}"
    worse = lost.low > 0 if results.primary.higher_is_better else lost.high < 0
    if worse:
        return f"{what} {change}: the order of frames matters to this model."
    better = lost.high < 0 if results.primary.higher_is_better else lost.low > 0
    if better:
        return f"{what} {change}: order misleads this model on these clips."
    return f"{what} {change}: these clips do not show that the order of frames matters."


def mistake_cards(results: Results, pictures: Sequence[Sequence[str]]) -> str:
    """Return the worst mistakes with frames from begin, middle and end."""
    data = results.data
    word = {"single_label": "probability", "multi_label": "loss", "regression": "squared error"}
    parts = []
    for mistake, frames in zip(results.mistakes, pictures, strict=True):
        images = "".join(
            f'<img alt="" src="data:image/jpeg;base64,{content}">' for content in frames
        )
        span = f"{mistake.start_seconds:.1f} to {mistake.end_seconds:.1f} s"
        parts.append(
            f'<div class="mistake"><div class="strip">{images}</div><div>'
            f'called <span class="said">{html.escape(mistake.answer)}</span>'
            f" <small>{word[data.task]} {number(mistake.score)}</small><br>"
            f"is {html.escape(mistake.truth)}<br>"
            f"<code>{html.escape(mistake.path)}</code> <small>{span}, row {mistake.row}</small>"
            "</div></div>"
        )
    first = {
        "single_label": "The most probable wrong answers first.",
        "multi_label": "The clips with a wrong label and the highest cross-entropy first.",
        "regression": "The highest squared errors first.",
    }
    return f'<p>{first[data.task]}</p><div class="mistakes">{"".join(parts)}</div>'


def measured_how(results: Results) -> str:
    """Return identities, counts, methods and notes."""
    data, model = results.data, results.model
    counts = ", ".join(
        f"{data.num_clips[name]} {name}"
        + (f" ({data.num_skipped[name]} unreadable)" if data.num_skipped[name] else "")
        for name in data.num_clips
    )
    methods = sorted({f.method for row in results.rows for f in row.figures.values() if f.method})
    facts = {
        "model": f"{model.name}, head {model.head or 'none'}, {model.temporal}",
        "space": model.space_id,
        "features": model.feature_id,
        "read at": f"{model.sample_fps:g} frames/s, in segments up to {model.segment_seconds:g} s",
        "manifest": f"{data.manifest}, digest {data.digest}",
        "clips": counts,
        "intervals": f"{LEVEL:.0%}: {'; '.join(methods) or 'none'}; {NUM_RESAMPLES} draws",
        "seed": str(results.seed),
        "measured by": f"Soravec {results.soravec_version}, format {results.format_version}",
    }
    listed = "".join(f"<dt>{k}</dt><dd>{html.escape(v)}</dd>" for k, v in facts.items())
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in results.notes)
    return f"<dl>{listed}</dl><ul>{notes}</ul>"


def _ends(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return "no interval"
    signed = figure.low < 0
    return f"[{number(figure.low, signed=signed)}, {number(figure.high, signed=signed)}]"


def _order(results: Results, name: str) -> OrderRow | None:
    return next((one for one in results.order if one.name == name), None)
