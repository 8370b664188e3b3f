"""`recommend`: what to watch next."""

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
    print_json,
    say,
    write_text,
)
from soravec.cli.teach import named_span

if TYPE_CHECKING:
    from soravec.tasks.recommend import Recommendations

WORDS = {"appearance": "looks like", "motion": "moves like", "both": "looks and moves like"}


@app.command()
def recommend(
    liked: Annotated[
        list[str],
        typer.Option(
            help="A liked video: its video_id, a segment_id, FILE, or FILE@START-END. May be"
            " repeated."
        ),
    ],
    watched: Annotated[
        list[str], typer.Option(help="One that was seen, named likewise. May be repeated.")
    ] = [],  # noqa: B006  # Typer's way
    k: Annotated[int, typer.Option("-k", min=1, help="Videos at most.")] = 10,
    library: LibraryOption = DEFAULT_LIBRARY,
    path: Annotated[
        str | None, typer.Option(help="Only paths that match this glob, or hold this text.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Only videos with this label.")] = None,
    min_seconds: Annotated[float | None, typer.Option(help="Only videos this long.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Only videos no longer.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write them with pictures, as an HTML page.")
    ] = None,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Say what to watch next, and why: like what was liked, diverse, nothing seen or twice."""
    from soravec.library.filters import Filter
    from soravec.library.library import Library
    from soravec.tasks.recommend import recommend as recommended_by
    from soravec.video import limits_from

    where = Filter(path, label, min_seconds, max_seconds)
    with Library(library, create=False) as store:
        found = recommended_by(
            store,
            liked=[named_span(text) for text in liked],
            watched=[named_span(text) for text in watched],
            k=k,
            where=None if where.is_empty else where,
        )
    print_recommended(found, as_json=as_json)
    if page is not None:
        from soravec.tasks.recommend_page import recommend_page

        write_text(page, recommend_page(found, limits=limits_from(limit)))


def print_recommended(found: "Recommendations", *, as_json: bool) -> None:
    """Print what to watch, and say what was left out."""
    for one in found.videos:
        if as_json:
            print_json(asdict(one))
            continue
        liked, moment = one.reason.liked, one.reason.moment
        print(
            f"{one.score:.2f}  {one.path}  {clock(moment.start_seconds)} -"
            f" {clock(moment.end_seconds)} {WORDS[one.reason.by]} {liked.path}"
            f" {clock(liked.start_seconds)} - {clock(liked.end_seconds)}"
        )
    for other in found.left_out:
        why = f"shows the same as {other.original}" if other.original else "nothing is seen in it"
        say(f"left out: {other.path}: {why}")
    for text in found.untold:
        say(f"not compared with what was seen: {text}")
