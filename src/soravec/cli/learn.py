"""`train`, `evaluate`, `classify`: from labelled clips to a model, its figures, and its answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soravec.cli.app import (
    AllowPrivateUrlsOption,
    AllowUrlsOption,
    EngineOption,
    FpsOption,
    JsonOption,
    LimitOption,
    PrecisionOption,
    StrictOption,
    TrustedOption,
    app,
    clock,
    extra_train,
    fail,
    print_error_json,
    print_json,
    say,
    urls_allowed,
)
from soravec.cli.ingest import FrameFoldersOption, SourcesArgument, WorkersOption, named_videos

if TYPE_CHECKING:
    from soravec.runtime.folder import ModelFolder
    from soravec.runtime.heads import Head
    from soravec.types import Classification

ManifestArgument = Annotated[
    Path, typer.Argument(help="CSV, JSONL or Parquet of labelled clips, or a folder per class.")
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format", help="Whose annotations these are: ucf101, kinetics, ...", show_default="ours"
    ),
]
VideosOption = Annotated[
    Path | None, typer.Option(help="Folder of the videos that such annotations name.")
]
FoldOption = Annotated[
    int, typer.Option(min=1, help="Which of the splits of such annotations, if there are several.")
]
AllowRareOption = Annotated[
    bool, typer.Option("--allow-rare", help="Labels that look mistyped are meant so.")
]
AllowMissingOption = Annotated[
    bool, typer.Option("--allow-missing", help="Leave out rows whose video is not there.")
]
CacheOption = Annotated[
    Path, typer.Option(envvar="SORAVEC_FEATURES", help="Folder in which features are kept.")
]
FeaturesOfOption = Annotated[
    Path | None,
    typer.Option("--library", help="A library whose features are used where they fit."),
]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="One setting, such as loop.epochs=30.")
]
RobustnessOption = Annotated[
    bool,
    typer.Option(
        "--robustness/--no-robustness",
        help="Decode test clips again with noise, blur, compression, lost frames.",
    ),
]
EventsOption = Annotated[
    bool, typer.Option("--events", help="When classes happen in videos, not what clips are.")
]
DEFAULT_CACHE = Path("soravec.features")


@app.command()
def train(
    manifest: ManifestArgument,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the training.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings.", show_default="none")
    ] = None,
    settings: SettingsOption = None,
    annotations: FormatOption = None,
    videos: VideosOption = None,
    fold: FoldOption = 1,
    allow_rare: AllowRareOption = False,
    allow_missing: AllowMissingOption = False,
    frame_folders: FrameFoldersOption = False,
    cache: CacheOption = DEFAULT_CACHE,
    library: FeaturesOfOption = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Train every temporal model, and keep the best.")
    ] = False,
    events: EventsOption = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it will take, from a few steps, and stop.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted training stopped.")
    ] = False,
    robustness: RobustnessOption = True,
    as_json: JsonOption = False,
) -> None:
    """Learn labels from clips: a model, and a report of how good it is (extra 'train')."""
    with extra_train("training"):
        from soravec.evaluation.experiment import (
            Experiment,
            Labelled,
            estimate_experiment,
            run_experiment,
        )
    if compare and (resume or estimate or events):
        raise typer.BadParameter("--compare goes with neither --resume, --estimate nor --events")
    if estimate and events:
        raise typer.BadParameter("--estimate does not go with --events")
    clips = Labelled(
        manifest,
        annotations,
        videos,
        fold,
        allow_rare,
        allow_missing,
        frame_folders,
        task="multi_label" if events else None,
    )
    plan = Experiment(clips, out, config, tuple(settings or ()), cache, library)
    if estimate:
        lines, facts = estimate_experiment(plan)
    else:
        lines, facts = run_experiment(
            plan, compare=compare, events=events, resume=resume, robustness=robustness, say=say
        )
    if as_json:
        print_json(facts)
    else:
        print("\n".join(lines))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A model with a head: its folder, name or hub id.")],
    manifest: ManifestArgument,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the report.")],
    split: Annotated[
        str, typer.Option(help="Which clips: train, validation or test; all, where none has one.")
    ] = "test",
    head: Annotated[
        str | None, typer.Option(help="Which of its heads.", show_default="the only one")
    ] = None,
    annotations: FormatOption = None,
    videos: VideosOption = None,
    fold: FoldOption = 1,
    allow_rare: AllowRareOption = False,
    allow_missing: AllowMissingOption = False,
    frame_folders: FrameFoldersOption = False,
    cache: CacheOption = DEFAULT_CACHE,
    library: FeaturesOfOption = None,
    events: EventsOption = False,
    robustness: RobustnessOption = True,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    seed: Annotated[int, typer.Option(help="Of intervals, shuffles and noise.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Say how good a model is on labelled clips, with intervals and baselines (extra 'train')."""
    with extra_train("evaluation"):
        from soravec.evaluation.experiment import Examination, Labelled, examine
    from soravec.video import limits_from

    clips = Labelled(
        manifest,
        annotations,
        videos,
        fold,
        allow_rare,
        allow_missing,
        frame_folders,
        task="multi_label" if events else None,
    )
    plan = Examination(model, clips, out, split, head, cache, library, limits_from(limit))
    lines, facts = examine(plan, events=events, robustness=robustness, seed=seed, say=say)
    if as_json:
        print_json(facts)
    else:
        print("\n".join(lines))


@app.command()
def classify(
    files: SourcesArgument,
    model: Annotated[
        str | None, typer.Option(help="A model with a head: its folder, name or hub id.")
    ] = None,
    library: Annotated[
        Path | None, typer.Option("--library", help="Instead: a library, with a taught label.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="Which of its heads, or labels.", show_default="the only one"),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Most labels per line.")] = 3,
    per: Annotated[str, typer.Option(help="One line per video or segment.")] = "video",
    workers: WorkersOption = None,
    frame_folders: FrameFoldersOption = False,
    fps: FpsOption = None,
    allow_urls: AllowUrlsOption = False,
    allow_private_urls: AllowPrivateUrlsOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    trusted: TrustedOption = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Say what videos are, by a model that `train` made or a taught label, with probabilities."""
    from soravec.runtime.encoder import Encoder
    from soravec.tasks.classify import classify_files
    from soravec.video import limits_from

    if per not in ("video", "segment"):
        raise typer.BadParameter(f"--per is '{per}', not video or segment")
    if (model is None) == (library is None):
        raise typer.BadParameter("give exactly one of: --model, --library")
    folder, chosen = learned(model, library, head)
    encoder = Encoder(folder, engine=engine, precision=precision)  # type: ignore[arg-type]
    paths = named_videos(files, frame_folders=frame_folders)
    done = failed = 0
    results = classify_files(
        paths,
        encoder,
        head=chosen,
        num_workers=workers,
        fps=fps,
        allow_urls=urls_allowed(allow_urls, allow_private_urls),
        limits=limits_from(limit),
        trusted=trusted,
    )
    for result in results:
        if result.classification is not None:
            done += 1
            _show(result.classification, k, per=per, as_json=as_json)
            continue
        failed += 1
        if as_json:
            print_error_json(result.path, result.error_type, result.message)
        else:
            say(f"skipped: {result.message}")
    if not done:
        fail(f"none of {len(paths)} files could be classified")
    raise typer.Exit(1 if failed and strict else 0)


def learned(
    model: str | None, library: Path | None, head: str | None
) -> "tuple[ModelFolder, str | Head | None]":
    """Return a model and the head that is asked for: its own, or a label of the library."""
    if library is None:
        from soravec.runtime.folder import find_model

        return find_model(str(model)), head
    from soravec.library.library import Library
    from soravec.library.marks import labels_of
    from soravec.tasks.teach import taught_head

    with Library(library, create=False) as store:
        labels = [name for name, *_ in labels_of(store.catalogue)]
        if head is None and len(labels) != 1:
            raise typer.BadParameter(f"choose a label with --head: {', '.join(labels) or 'none'}")
        return store.encoder().folder, taught_head(store, head or labels[0])


def _show(found: "Classification", k: int, *, per: str, as_json: bool) -> None:
    """Print the labels of a video, or of each of its segments."""
    from soravec.runtime.heads import top

    spans = [(found.segments[0].start_seconds, found.segments[-1].end_seconds, found.scores)]
    if per == "segment":
        spans = [(s.start_seconds, s.end_seconds, s.scores) for s in found.segments]
    for start, end, scores in spans:
        best = top(found.classes, scores, k)
        if not found.ranked:
            best = list(zip(found.classes, map(float, scores), strict=True))
        if found.least:
            best = [one for one in best if one[1] >= found.least]
        if as_json:
            labels = [{"label": name, "score": round(score, 6)} for name, score in best]
            line = {"path": found.path, "start_seconds": start, "end_seconds": end}
            label = best[0][0] if best and found.ranked else None
            print_json({**line, "label": label, "labels": labels})
        else:
            named = ", ".join(f"{name} {score:.3f}" for name, score in best) or "nothing sure"
            print(f"{found.path}  {clock(start)} to {clock(end)}  {named}")
