"""`duplicates`: what a library holds twice."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soravec.cli.app import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    LimitOption,
    app,
    clock,
    count_progress,
    print_json,
    say,
    write_text,
)

if TYPE_CHECKING:
    from soravec.tasks.duplicates import Copy, Duplicates


@app.command()
def duplicates(
    library: LibraryOption = DEFAULT_LIBRARY,
    path: Annotated[
        str | None, typer.Option(help="Only paths that match this glob, or hold this text.")
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Lowest probability that it is a copy, if not the usual one."
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write what was found, with pictures, as an HTML page.")
    ] = None,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Find videos that are copies, and spans of one that another shows, changed or not."""
    from soravec.library.filters import Filter
    from soravec.library.library import Library
    from soravec.tasks.duplicates import LEAST_SCORE, find_duplicates
    from soravec.video import limits_from

    limits = limits_from(limit)
    with Library(library, create=False) as store, count_progress("pairs of videos") as on_progress:
        found = find_duplicates(
            store,
            where=Filter(path),
            least_score=LEAST_SCORE if least is None else least,
            on_progress=on_progress,
        )
    for text in found.skipped:
        say(f"not compared: {text}")
    print_found(found, as_json=as_json)
    if page is not None:
        from soravec.tasks.duplicates_page import duplicates_page

        write_text(page, duplicates_page(found, limits=limits))


def print_found(found: "Duplicates", *, as_json: bool) -> None:
    """Print shared spans, then groups."""
    for copy in found.copies:
        if as_json:
            print_json(asdict(copy))
        else:
            print(copy_line(copy))
    for group in found.groups:
        if as_json:
            print_json({"best": group.best, "others": list(group.others)})
        else:
            print(f"keep {group.best}, the best of {1 + len(group.others)} copies:")
            for other in group.others:
                print(f"  {other}")
    if not found.copies and not found.groups:
        say("nothing is there twice")


def copy_line(copy: "Copy") -> str:
    """Return a copy for a person: how sure, both spans, and how one was changed."""
    sides = [
        f"{side.path} {clock(side.start_seconds)} - {clock(side.end_seconds)}"
        for side in (copy.first, copy.second)
    ]
    notes = [f"speed {copy.speed:.2f}"] * (abs(copy.speed - 1) >= 0.015)
    notes += ["mirrored"] * copy.mirrored
    return f"{copy.score:.2f}  {' = '.join(sides)}" + "".join(f"  ({note})" for note in notes)
