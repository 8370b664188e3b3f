"""`library`: look after a library."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from soravec.cli.app import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    app,
    clock,
    print_error_json,
    print_json,
    say,
)

library_app = typer.Typer(help="Look after a library.", no_args_is_help=True)
app.add_typer(library_app, name="library")


@library_app.command()
def info(library: LibraryOption = DEFAULT_LIBRARY, as_json: JsonOption = False) -> None:
    """Say what the library holds."""
    from soravec.library.library import Library

    with Library(library, create=False) as store:
        summary = store.summary()
    if as_json:
        print_json(asdict(summary))
        return
    print(
        f"{summary.path}: {summary.videos} videos ({clock(summary.video_seconds)}),"
        f" {summary.segments} segments, {summary.failures} files skipped, {summary.absent} absent,"
        f" {summary.size_bytes / 2**20:.1f} MiB; model {summary.model}, space {summary.space_id}"
    )


@library_app.command()
def failures(library: LibraryOption = DEFAULT_LIBRARY, as_json: JsonOption = False) -> None:
    """List the files that were skipped, with their reasons."""
    from soravec.library.library import Library

    with Library(library, create=False) as store:
        for path, kind, message in store.failures():
            if as_json:
                print_error_json(path, kind, message)
            else:
                print(f"{kind}: {message}")


@library_app.command()
def annotate(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV or JSON Lines: path, label, caption, tag, start_seconds, end_seconds."
        ),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
) -> None:
    """Take over labels, captions and tags, so that words find them."""
    from soravec.library.library import Library

    with Library(library, create=False) as store:
        say(f"{store.annotate(file)} labels, captions and tags taken over")


@library_app.command()
def verify(library: LibraryOption = DEFAULT_LIBRARY) -> None:
    """Check catalogue, features and vectors; exit with 1 where something is wrong."""
    from soravec.library.library import Library

    with Library(library, create=False) as store:
        problems = store.verify()
    for problem in problems:
        print(problem)
    if problems:
        say(f"{len(problems)} problems. Mend them: soravec library repair --library {library}")
    else:
        say("nothing is wrong")
    raise typer.Exit(1 if problems else 0)


@library_app.command()
def repair(library: LibraryOption = DEFAULT_LIBRARY) -> None:
    """Rebuild the vectors from the features."""
    from soravec.library.library import Library

    with Library(library, create=False) as store:
        say(f"vectors of {store.repair()} videos rebuilt from their features")


@library_app.command()
def forget(
    videos: Annotated[list[str], typer.Argument(help="Paths or video ids.")],
    library: LibraryOption = DEFAULT_LIBRARY,
) -> None:
    """Remove videos from the library for good; their files are left alone."""
    from soravec.library.library import Library

    with Library(library, create=False) as store:
        for video in videos:
            say(f"forgotten: {store.forget(video)}")
