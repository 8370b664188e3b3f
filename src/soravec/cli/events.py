"""`events`: when things happen."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soravec.cli.app import (
    AllowPrivateUrlsOption,
    AllowUrlsOption,
    EngineOption,
    JsonOption,
    LimitOption,
    PrecisionOption,
    StrictOption,
    TrustedOption,
    app,
    clock,
    fail,
    print_error_json,
    print_json,
    say,
    urls_allowed,
    write_text,
)
from soravec.cli.ingest import WorkersOption, named_videos
from soravec.cli.learn import learned

if TYPE_CHECKING:
    from soravec.tasks.events import Watched


@app.command()
def events(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Videos, tars, folders, URLs; without any, all of the library.", show_default=False
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model that `train --events` made: its folder.")
    ] = None,
    library: Annotated[
        Path | None, typer.Option("--library", help="A library: its videos, a taught label.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Which of its heads, or labels.", show_default="the only one")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="How sure an event is at its surest.")
    ] = 0.5,
    smooth: Annotated[
        float, typer.Option(min=0.0, help="Seconds over which scores are averaged.")
    ] = 0.5,
    gap: Annotated[float, typer.Option(min=0.0, help="Seconds between events that are one.")] = 0.5,
    least: Annotated[float, typer.Option(min=0.0, help="Seconds of the shortest event.")] = 0.5,
    snap: Annotated[
        float, typer.Option(min=0.0, help="Seconds to a cut at which an event begins or ends.")
    ] = 0.5,
    window: Annotated[
        float | None,
        typer.Option(min=0.1, help="Read so many seconds around each frame, not segments."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write what was found with pictures, as an HTML page.")
    ] = None,
    workers: WorkersOption = None,
    allow_urls: AllowUrlsOption = False,
    allow_private_urls: AllowPrivateUrlsOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    trusted: TrustedOption = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Say when things happen in videos, by a model that `train --events` made or a taught label."""
    from soravec.runtime.encoder import Encoder
    from soravec.tasks.events import EventOptions, events_of_files, events_of_library
    from soravec.video import limits_from

    if model is None and library is None:
        raise typer.BadParameter("give --model, or --library with a taught label")
    if not files and library is None:
        raise typer.BadParameter("give FILES, or --library")
    folder, chosen = learned(model, library if model is None else None, head)
    encoder = Encoder(folder, engine=engine, precision=precision)  # type: ignore[arg-type]
    found_head = encoder.head(chosen) if chosen is None or isinstance(chosen, str) else chosen
    options = EventOptions(
        threshold,
        smooth_seconds=smooth,
        gap_seconds=gap,
        least_seconds=least,
        snap_seconds=snap,
        window_seconds=window,
    )
    limits = limits_from(limit)
    if files:
        results = events_of_files(
            named_videos(files, frame_folders=False),
            encoder,
            found_head,
            options,
            num_workers=workers,
            allow_urls=urls_allowed(allow_urls, allow_private_urls),
            limits=limits,
            trusted=trusted,
        )
        done, failed, all_of = _shown(results, as_json=as_json)
    else:
        from soravec.library.library import Library

        with Library(library, create=False) as store:  # type: ignore[arg-type]
            results = events_of_library(store, encoder, found_head, options)
            done, failed, all_of = _shown(results, as_json=as_json)
    if not done:
        fail(f"none of {failed} videos could be looked at")
    if page is not None:
        from soravec.tasks.events_page import events_page

        write_text(page, events_page(all_of, limits=limits))
    raise typer.Exit(1 if failed and strict else 0)


def _shown(results: "Iterator[Watched]", *, as_json: bool) -> "tuple[int, int, list[Watched]]":
    """Print events as they are found; return how many videos were looked at, how many not, all."""
    kept = []
    done = failed = 0
    for result in results:
        if result.events is None:
            failed += 1
            if as_json:
                print_error_json(result.path, result.error_type, result.message)
            else:
                say(f"skipped: {result.message}")
            continue
        done += 1
        kept.append(result)
        for event in result.events:
            if as_json:
                print_json(asdict(event))
            else:
                span = f"{clock(event.start_seconds)} - {clock(event.end_seconds)}"
                print(f"{event.score:.2f}  {event.label}  {span}  {event.path}", flush=True)
        if not result.events:
            say(f"nothing happens: {result.path}")
    return done, failed, kept
