"""How well events are found in five-minute videos, by each temporal model.

Videos joined from real clips of `actions` and `fights` and drawn shots (`event_corpus.py`); those
of the test are of other source videos and places than those learned from. Each temporal model
learns twice: from the spans of joined videos, and from the clips alone, before they were joined.
Models that keep no state read windows, whose length is chosen by the validation videos. Printed:
temporal mAP, mean over the seeds, with a 95 % interval (bootstrap over stretches of a minute), and
by how much the first model is ahead of the others on the same draws.

    python benchmarks/events.py --data DIR --folder DIR [--seeds 3] [--part test]
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from event_corpus import event_corpus

from soravec.data.manifest import read_manifest
from soravec.evaluation.detection import FoundSpan, average_precision, temporal_iou
from soravec.evaluation.events import LEAST_IOUS
from soravec.evaluation.intervals import average, difference, figure, resample
from soravec.models.sora import join
from soravec.runtime.frames import features_of_segment, frames_of_segment, running_inputs
from soravec.tasks.events import OPTIONS, bounds_of, cut_frames, frame_bounds, ranked_spans
from soravec.training.batches import collate
from soravec.training.config import read_train_config, with_temporal
from soravec.training.events import fit_events, read_videos, series_of
from soravec.training.objectives import running
from soravec.training.prepare import Places, base_encoder

FPS = 8.0
STRETCH_SECONDS = 60.0
WINDOWS = 1.0, 2.0, 4.0
MODELS = {
    "GRU, running state": {"kind": "gru"},
    "LSTM, running state": {"kind": "lstm"},
    "mean, sliding window": {"kind": "mean"},
    "statistics, sliding window": {"kind": "statistics"},
    "GRU both ways, sliding window": {"kind": "gru", "bidirectional": True, "pooling": "mean_max"},
    "Transformer, sliding window": {"kind": "transformer", "num_layers": 2, "pooling": "mean_max"},
}
SETTINGS = (
    *("data.fps=8", "temporal.components=64", "time.drop=0", "time.speed=1"),
    *("loop.epochs=30", "loop.accelerator=cpu"),
)


def main():
    arguments = parse()
    if arguments.data is None:
        raise SystemExit("name the folder of real clips: --data DIR or $SORAVEC_DATA")
    torch.set_num_threads(arguments.threads)
    corpus = event_corpus(arguments.folder, arguments.data)
    config = read_train_config(None, (*SETTINGS, *arguments.settings))
    encoder = base_encoder(config, arguments.folder)
    places = Places(arguments.folder / "features")
    spans, clips = read_manifest(corpus.spans), read_manifest(corpus.clips)
    assert spans.classes == clips.classes
    read = read_videos(spans, encoder, places, config, None)
    joined = {part: series_of(read, spans, part) for part in ("train", "validation", "test")}
    read = read_videos(clips, encoder, places, config, None)
    alone = {part: series_of(read, clips, part) for part in ("train", "validation")}
    judged = joined[arguments.part]
    print(describe(joined, alone, spans, arguments), flush=True)
    validation = joined["validation"], true_spans(joined["validation"], spans)
    sources = {"spans": ("spans of videos", joined), "clips": ("clips alone", alone)}
    for source, learned in (sources[name] for name in arguments.sources):
        rows = {}
        for name in arguments.models:
            began = time.monotonic()
            changed, delay = with_temporal(config, **MODELS[name]), config.events.delay_seconds
            window, first, said = best_window(name, encoder, learned, validation, changed)
            others = range(1, arguments.seeds)
            fits = [first, *(fitted(encoder, learned, changed, window, seed) for seed in others)]
            rows[name] = [find(one, judged, window, delay) for one in fits]
            print(f"  {name}: {said}, {time.monotonic() - began:.0f} s", flush=True)
        print(f"\nlearned from {source}", flush=True)
        print("\n".join(table(rows, judged, spans)), flush=True)


def describe(joined, alone, spans, arguments):
    counts = {part: sum(clip.split == part for clip in spans.clips) for part in joined}
    videos = ", ".join(f"{part} {len(one)} ({counts[part]} events)" for part, one in joined.items())
    clips = ", ".join(f"{part} {len(one)}" for part, one in alone.items())
    return (
        f"videos of five minutes: {videos}; clips: {clips}; {FPS:g} frames/s, judged by"
        f" {arguments.part}; {arguments.seeds} seeds"
    )


def best_window(name, encoder, learned, validation, config):
    """Return the length of windows that does best on the validation videos, its fit, and why."""
    if "window" not in name:
        return WINDOWS[0], fitted(encoder, learned, config, WINDOWS[0], 0), "state runs on"
    videos, truth = validation
    fits = {window: fitted(encoder, learned, config, window, 0) for window in WINDOWS}
    tried = {
        window: temporal_map(find(one, videos, window, 0), truth, videos)
        for window, one in fits.items()
    }
    window = max(tried, key=tried.get)
    every = ", ".join(f"{one:g} s {value:.3f}" for one, value in tried.items())
    return window, fits[window], f"windows of {window:g} s, of {every}"


def fitted(encoder, learned, config, window, seed):
    config = replace(
        config,
        events=replace(config.events, window_seconds=window),
        loop=replace(config.loop, seed=seed),
    )
    objective, _ = fit_events(encoder, learned["train"], learned["validation"], config)
    return objective


def find(objective, videos, window, delay):
    """Return the spans found of each class: lists of (video, start, end, score)."""
    found = []
    for number, series in enumerate(videos):
        scores, bounds = (
            frame_scores(objective, series.features, window, delay),
            frame_bounds(series.features),
        )
        cuts = cut_frames(series.features)
        for column in range(scores.shape[1]):
            found += [
                (column, FoundSpan(number, *bounds_of(bounds, span), score))
                for span, score in ranked_spans(scores[:, column], bounds, OPTIONS, cuts)
            ]
    return [[span for column, span in found if column == at] for at in range(scores.shape[1])]


@torch.no_grad()
def frame_scores(objective, features, window, delay):
    """Return probabilities (T, K), as `soravec.tasks.events.frame_scores` does with the engine."""
    parts = objective.temporal.parts
    if objective.temporal.config.streaming:
        values, elapsed = running_inputs(features, parts)
        values = torch.from_numpy(values.astype(np.float32))[None]
        waited = torch.from_numpy(elapsed)[None]
        reading = objective.temporal(values, waited, torch.ones_like(waited))
        vectors = running(reading, objective.temporal.config)[0]
    else:
        seconds, vectors = features.seconds, []
        for begin in range(0, len(seconds), 64):
            examples = []
            for middle in seconds[begin : begin + 64]:
                frames = frames_of_segment(seconds, middle - window / 2, middle + window / 2)
                values = features_of_segment(features.features, frames, parts)
                examples.append((values, seconds[frames], np.zeros(1, np.float32)))
            batch = collate(examples)
            reading = objective.temporal(batch.features, batch.elapsed_seconds, batch.mask)
            vectors.append(join(reading, batch.mask, objective.temporal.config))
        vectors = torch.cat(vectors)
    weight, bias = objective.linear_head()
    scores = (vectors @ weight.T + bias).sigmoid().numpy()
    if not objective.temporal.config.streaming:
        return scores
    later = features.seconds + delay + 1e-6
    return scores[np.searchsorted(features.seconds, later, side="right") - 1]


def true_spans(videos, spans):
    """Return the true spans of each class."""
    numbers = {Path(series.features.info.path): at for at, series in enumerate(videos)}
    truth = [[] for _ in spans.classes]
    for clip in spans.clips:
        if clip.path in numbers:
            span = FoundSpan(numbers[clip.path], clip.start_seconds, clip.end_seconds)
            truth[spans.classes.index(clip.labels[0])].append(span)
    return truth


def temporal_map(found, truth, videos, least_iou=0.5):
    """Return the mean over classes of the average precision."""
    once = np.ones((1, len(videos)), np.uint16)
    return np.mean(
        [
            average_precision(f, t, num_videos=len(videos), least_iou=least_iou)(once)[0]
            for f, t in zip(found, truth, strict=True)
            if t
        ]
    )


def table(rows, videos, spans):
    """Yield the lines of a table, differences to the first row below it."""
    truth = true_spans(videos, spans)
    edges = [frame_bounds(series.features) for series in videos]
    counts = [int(np.ceil((one[-1] - one[0]) / STRETCH_SECONDS)) for one in edges]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    resamples = resample(range(offsets[-1]))
    statistics = {
        name: {least: mean_over(found, truth, offsets, least) for least in LEAST_IOUS}
        for name, found in rows.items()
    }
    head = "".join(f" tIoU {least} |" for least in LEAST_IOUS)
    yield f"| temporal model |{head}"
    yield "| --- |" + " --- |" * len(LEAST_IOUS)
    first = next(iter(rows))
    for name, by_iou in statistics.items():
        cells = (shown(figure(by_iou[least], resamples)) for least in LEAST_IOUS)
        yield f"| {name} | {' | '.join(cells)} |"
    for name, by_iou in statistics.items():
        if name != first:
            ahead = (difference(statistics[first][least], by_iou[least]) for least in LEAST_IOUS)
            cells = (shown(figure(one, resamples), signed=True) for one in ahead)
            yield f"| {first} less {name} | {' | '.join(cells)} |"


def mean_over(seeds, truth, offsets, least_iou):
    """Return the statistic that is temporal mAP, mean over seeds, of stretches drawn."""
    statistics = []
    for found in seeds:
        for one, true in zip(found, truth, strict=True):
            if true:
                pair = in_stretches(one, true, offsets)
                options = {"num_videos": int(offsets[-1]), "least_iou": least_iou}
                statistics.append(average_precision(*pair, **options))
    return average(statistics)


def in_stretches(found, truth, offsets):
    """Return spans by the stretch of a minute in which the middle lies, of the true one if any."""

    def stretch(span):
        middle = (span.start_seconds + span.end_seconds) / 2
        last = offsets[span.video + 1] - 1
        return int(min(offsets[span.video] + middle // STRETCH_SECONDS, last))

    homes = []
    for span in found:
        mine = [one for one in truth if one.video == span.video]
        best = stretch(span)
        if mine:
            shared = temporal_iou(np.array([span[1:3]]), np.array([one[1:3] for one in mine]))[0]
            if shared.max() > 0:
                best = stretch(mine[int(shared.argmax())])
        homes.append(span._replace(video=best))
    return homes, [span._replace(video=stretch(span)) for span in truth]


def shown(one, *, signed=False):
    sign = "+" if signed else ""
    return f"{one.value:{sign}.3f} [{one.low:.2f}, {one.high:.2f}]"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("SORAVEC_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) if default else None)
    parser.add_argument("--folder", type=Path, default=Path("events-corpus"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", default="test", help="whose videos are judged")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--sources", nargs="+", default=["spans", "clips"])
    parser.add_argument("--settings", nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
