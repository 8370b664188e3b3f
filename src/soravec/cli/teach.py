"""`teach`: a label of one's own from a handful of spans."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soravec.cli.app import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    LimitOption,
    app,
    clock,
    print_json,
    say,
    write_text,
)
from soravec.cli.edit import span_of

if TYPE_CHECKING:
    from soravec.tasks.teach import Taught

STORED_ID = re.compile(r"[0-9a-f]{32}(:\d+)?")


@app.command()
def teach(
    label: Annotated[
        str | None, typer.Argument(help="The label; without one, list those that were taught.")
    ] = None,
    yes: Annotated[
        list[str],
        typer.Option(help="What shows it: a segment_id, FILE, or FILE@START-END. May be repeated."),
    ] = [],  # noqa: B006  # Typer's way
    no: Annotated[list[str], typer.Option(help="What does not show it. May be repeated.")] = [],  # noqa: B006  # Typer's way
    author: Annotated[
        str | None, typer.Option(help="Who says so.", show_default="the user's name")
    ] = None,
    suggestions: Annotated[
        int, typer.Option("-k", min=0, help="Segments to look at next, at most.")
    ] = 8,
    page: Annotated[
        Path | None, typer.Option(help="Write these with pictures, as an HTML page.")
    ] = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Teach a label by spans that show it and spans that do not, and say what to look at next."""
    from soravec.library.library import Library
    from soravec.library.marks import labels_of
    from soravec.tasks.teach import teach as taught_by

    with Library(library, create=False) as store:
        if label is None:
            for name, num_yes, num_no in labels_of(store.catalogue):
                line = {"label": name, "num_yes": num_yes, "num_no": num_no}
                print_json(line) if as_json else print(f"{name}: {num_yes} yes, {num_no} no")
            return
        found = taught_by(
            store,
            label,
            yes=[named_span(text) for text in yes],
            no=[named_span(text) for text in no],
            author=_user() if author is None else author,
            num_suggestions=suggestions,
        )
    if as_json:
        print_json(asdict(found))
    else:
        print_taught(found)
    if page is not None:
        from soravec.tasks.teach_page import teach_page
        from soravec.video import limits_from

        write_text(page, teach_page(found, limits=limits_from(limit)))


def print_taught(found: "Taught") -> None:
    """Say what was learned, and list what to look at next."""
    right = "" if found.accuracy is None else f"; {found.accuracy:.0%} right when left out"
    say(f"{found.label}: {found.num_yes} yes, {found.num_no} no{right}")
    if found.head is None:
        say("noted; nothing shows it yet: name a segment with --yes")
    for one in found.suggestions:
        span = f"{clock(one.start_seconds)} - {clock(one.end_seconds)}"
        print(f"{one.score:.2f}  {one.segment_id}  {span}  {one.path}")


def named_span(text: str) -> Any:  # noqa: ANN401  # or a Span, which is not loaded yet
    """Read what names a part of a library: a video_id, a segment_id, FILE or FILE@START-END."""
    return text if STORED_ID.fullmatch(text) else span_of(text)


def _user() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return ""
