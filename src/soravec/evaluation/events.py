"""How well a model tells when things happen: temporal mean average precision, and a page."""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from soravec.data.clips import Clip, Manifest, Split, units_of
from soravec.data.features import FeatureSet
from soravec.errors import ManifestError
from soravec.evaluation.detection import FoundSpan, average_precision
from soravec.evaluation.intervals import Figure, Resamples, average, figure, resample
from soravec.runtime.encoder import Encoder
from soravec.runtime.heads import Head
from soravec.tasks.events import (
    OPTIONS,
    bounds_of,
    cut_frames,
    find_events,
    frame_bounds,
    frame_scores,
    ranked_spans,
)
from soravec.tasks.events_page import COLOURS, timeline
from soravec.tasks.page import page
from soravec.types import Event, FrameFeatures

LEAST_IOUS = 0.3, 0.5, 0.7
JSON_FILE = "report.json"
PAGE_FILE = "report.html"
NUM_GUESSES = 20
"""Draws of spans at random."""
MOST_SHOWN = 50
"""Videos on the page."""


@dataclass(frozen=True, slots=True)
class EventFigures:
    """How well events are found."""

    mean: dict[float, Figure]
    """By least intersection over union: average precision, mean over the classes."""
    classes: dict[str, dict[float, Figure]]
    """The same of each class."""
    guessed: dict[float, float]
    """The mean of as many spans as there are, as long, but anywhere and in any order."""


@dataclass(frozen=True, slots=True)
class EventEvaluation:
    """What was found, and where it is written."""

    figures: EventFigures
    facts: dict[str, Any]
    """What `report.json` holds."""
    lines: list[str]
    """The results in a few lines of text."""


def evaluate_events(
    encoder: Encoder,
    manifest: Manifest,
    *,
    features: FeatureSet,
    out: Path,
    head: Head,
    split: Split = "test",
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> EventEvaluation:
    """Look for events in the videos of a split, and write `report.json` and `report.html`.

    Args:
        encoder: The model, at the rate its features were read.
        manifest: Spans of videos with splits.
        features: Of the whole videos that could be read.
        out: Folder of the report; made where absent.
        head: Which of the model's heads answers.
        split: Which videos are looked at.
        seed: Of draws.
        say: Given sentences for a person.

    Raises:
        ManifestError: No video of the split can be read, or the head does not know a class.
    """
    spans = manifest.of_split(split)
    unknown = sorted({label for clip in spans for label in clip.labels} - set(head.classes))
    if unknown:
        raise ManifestError(manifest.path, [f"the head knows no {', '.join(unknown)}"])
    paths = {clip.path for clip in spans}
    pairs = zip(features.clips, features.views, strict=True)
    videos = [(clip, views[0]) for clip, views in pairs if clip.path in paths]
    if not videos:
        raise ManifestError(manifest.path, [f"no video of the split '{split}' can be read"])
    say(f"videos to look at: {len(videos)}")
    edges = [frame_bounds(read) for _, read in videos]
    whole = [(float(one[0]), float(one[-1])) for one in edges]
    truth = _true_spans(spans, [clip.path for clip, _ in videos], whole, head.classes)
    found = _ranked([read for _, read in videos], encoder, head)
    resamples = resample(units_of([clip for clip, _ in videos]), seed=seed)
    figures = event_figures(found, truth, whole, resamples, seed=seed)
    facts = {
        "model": encoder.name,
        "head": head.name,
        "temporal": encoder.config.temporal.kind,
        "running": head.config.running,
        "sample_fps": encoder.config.sampling.fps,
        "split": split,
        "videos": len(videos),
        "events": {name: len(spans) for name, spans in truth.items()},
        "skipped": len(features.skipped),
        "options": asdict(OPTIONS),
        "seed": seed,
        "soravec": metadata.version("soravec"),
        **_as_json(figures),
    }
    lines = _lines(figures, facts)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    (out / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    events = [find_events(read, encoder, head) for _, read in videos]
    shown = _page([clip.path.name for clip, _ in videos], whole, events, truth, lines)
    (out / PAGE_FILE).write_text(shown, encoding="utf-8")
    return EventEvaluation(figures, facts, [*lines, f"report: {out / PAGE_FILE}"])


def _true_spans(
    spans: Sequence[Clip],
    paths: Sequence[Path],
    whole: Sequence[tuple[float, float]],
    classes: Sequence[str],
) -> dict[str, list[FoundSpan]]:
    """Return the true spans of each class in the videos that could be read."""
    numbers = {path: number for number, path in enumerate(paths)}
    truth: dict[str, list[FoundSpan]] = {name: [] for name in classes}
    for clip in spans:
        if clip.path not in numbers:
            continue
        number = numbers[clip.path]
        start = whole[number][0] if clip.start_seconds is None else clip.start_seconds
        end = whole[number][1] if clip.end_seconds is None else clip.end_seconds
        for name in clip.labels:
            truth[name].append(FoundSpan(number, start, end))
    return truth


def _ranked(
    videos: Sequence[FrameFeatures], encoder: Encoder, head: Head
) -> dict[str, list[FoundSpan]]:
    """Return what is found of each class in all videos, at every sureness."""
    found: dict[str, list[FoundSpan]] = {name: [] for name in head.classes}
    for number, read in enumerate(videos):
        scores = frame_scores(read, encoder, head)
        bounds, cuts = frame_bounds(read), cut_frames(read)
        for column, name in enumerate(head.classes):
            found[name] += [
                FoundSpan(number, *bounds_of(bounds, span), score)
                for span, score in ranked_spans(scores[:, column], bounds, OPTIONS, cuts)
            ]
    return found


def event_figures(
    found: dict[str, list[FoundSpan]],
    truth: dict[str, list[FoundSpan]],
    whole: Sequence[tuple[float, float]],
    resamples: Resamples,
    *,
    seed: int,
) -> EventFigures:
    """Return the figures of spans that were found against true ones.

    Args:
        found: By class.
        truth: By class; classes without a true span are left out.
        whole: (start, end) of each video in seconds.
        resamples: Draws of videos.
        seed: Of the guesses.
    """
    names = [name for name, spans in truth.items() if spans]
    rng = np.random.default_rng(seed)
    guesses = [
        {name: _guessed(truth[name], whole, rng) for name in names} for _ in range(NUM_GUESSES)
    ]
    mean: dict[float, Figure] = {}
    guessed: dict[float, float] = {}
    classes: dict[str, dict[float, Figure]] = {name: {} for name in names}
    once = np.ones((1, len(whole)), np.uint16)
    for least in LEAST_IOUS:
        statistics = {
            name: average_precision(
                found[name], truth[name], num_videos=len(whole), least_iou=least
            )
            for name in names
        }
        for name, statistic in statistics.items():
            classes[name][least] = figure(statistic, resamples)
        mean[least] = figure(average(list(statistics.values())), resamples)
        guessed[least] = float(
            np.mean(
                [
                    average_precision(
                        guess[name], truth[name], num_videos=len(whole), least_iou=least
                    )(once)[0]
                    for guess in guesses
                    for name in names
                ]
            )
        )
    return EventFigures(mean, classes, guessed)


def _guessed(
    truth: Sequence[FoundSpan], whole: Sequence[Sequence[float]], rng: np.random.Generator
) -> list[FoundSpan]:
    """Return as many spans as there are true ones, as long, but anywhere."""
    spans = []
    for span in truth:
        start, end = whole[span.video]
        length = min(span.end_seconds - span.start_seconds, end - start)
        at = start + rng.random() * (end - start - length)
        spans.append(FoundSpan(span.video, at, at + length, rng.random()))
    return spans


def _as_json(figures: EventFigures) -> dict[str, Any]:
    def shown(by_iou: dict[float, Figure]) -> dict[str, Any]:
        return {str(least): asdict(one) for least, one in by_iou.items()}

    return {
        "temporal_map": shown(figures.mean),
        "guessed": {str(least): value for least, value in figures.guessed.items()},
        "average_precision": {name: shown(one) for name, one in figures.classes.items()},
    }


def _lines(figures: EventFigures, facts: dict[str, Any]) -> list[str]:
    ious = "".join(f"  at tIoU {least:<15}" for least in LEAST_IOUS)
    lines = [
        f"videos: {facts['videos']}; events: {sum(facts['events'].values())}",
        f"{'average precision':<26}{ious}",
    ]
    rows = [*figures.classes.items(), ("mean (temporal mAP)", figures.mean)]
    for name, by_iou in rows:
        cells = "".join(f"  {_shown(by_iou[least]):<24}" for least in LEAST_IOUS)
        lines.append(f"{name:<26}{cells}".rstrip())
    cells = "".join(f"  {figures.guessed[least]:<24.3f}" for least in LEAST_IOUS)
    lines.append(f"{'guessed':<26}{cells}".rstrip())
    return lines


def _shown(one: Figure) -> str:
    if one.low is None or one.high is None:
        return f"{one.value:.3f}"
    return f"{one.value:.3f} [{one.low:.2f}, {one.high:.2f}]"


def _page(
    names: Sequence[str],
    whole: Sequence[tuple[float, float]],
    events: Sequence[Sequence[Event]],
    truth: dict[str, list[FoundSpan]],
    lines: Sequence[str],
) -> str:
    """Return the figures, and for each video what happens and what was found, one above another."""
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(truth)}
    legend = " ".join(
        f'<span style="color:{colour}">&#9632;</span> {html.escape(name)}'
        for name, colour in colours.items()
    )
    body = [f"<pre>{html.escape(chr(10).join(lines))}</pre>", f"<p>{legend}</p>"]
    for number, name in enumerate(names[:MOST_SHOWN]):
        true = [
            Event(name, span.start_seconds, span.end_seconds, label, 1.0)
            for label, spans in truth.items()
            for span in spans
            if span.video == number
        ]
        lanes = timeline([true, events[number]], whole[number], colours, name)
        body.append(
            f"<section><code>{html.escape(name)}</code> <span class=soft>above: what happens;"
            f" below: what was found</span>{lanes}</section>"
        )
    if len(names) > MOST_SHOWN:
        body.append(f"<p>{len(names) - MOST_SHOWN} more videos are not shown.</p>")
    return page("When things happen", body)
