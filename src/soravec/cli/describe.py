"""`describe`: what a library holds."""

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

if TYPE_CHECKING:
    from soravec.tasks.describe import Description


@app.command()
def describe(
    page: Annotated[
        Path, typer.Option(help="The HTML page to write: a map, pictures, problems.")
    ] = Path("soravec.html"),
    library: LibraryOption = DEFAULT_LIBRARY,
    path: Annotated[
        str | None, typer.Option(help="Only paths that match this glob, or hold this text.")
    ] = None,
    clusters: Annotated[
        int | None,
        typer.Option(min=1, help="How many clusters.", show_default="as many as there seem to be"),
    ] = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Look for copies too, which takes the most time.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Describe a library: what belongs together, a map, what is odd, what looks bad."""
    from soravec.library.filters import Filter
    from soravec.library.library import Library
    from soravec.tasks.describe import describe as described
    from soravec.tasks.describe_page import describe_page
    from soravec.video import limits_from

    limits = limits_from(limit)
    with Library(library, create=False) as store:
        found = described(
            store, where=Filter(path), num_clusters=clusters, duplicates=duplicates, seed=seed
        )
    print_described(found, as_json=as_json)
    write_text(page, describe_page(found, limits=limits))
    say(f"{page}: the map, and all of it in pictures")


def print_described(found: "Description", *, as_json: bool) -> None:
    """Print clusters, outliers, problems and copies, the summary last."""
    for cluster in found.clusters:
        if as_json:
            print_json({"cluster": asdict(cluster)})
        else:
            print(f"{cluster.name}: {cluster.num_segments} segments of {cluster.num_videos} videos")
    for outlier in found.outliers:
        moment = outlier.moment
        span = f"{moment.path} {clock(moment.start_seconds)} - {clock(moment.end_seconds)}"
        if as_json:
            print_json({"outlier": asdict(outlier)})
        else:
            print(f"like nothing else: {span} ({outlier.score:.2f}; usual {outlier.usual:.2f})")
    for problem in found.problems:
        if as_json:
            print_json({"problem": asdict(problem)})
        else:
            print(f"{problem.path}: {problem.message}")
    if found.duplicates is not None:
        from soravec.cli.repeats import print_found

        print_found(found.duplicates, as_json=as_json)
    for note in found.notes:
        say(note)
    _print_summary(found, as_json=as_json)


def _print_summary(found: "Description", *, as_json: bool) -> None:
    numbers = ("num_videos", "num_segments", "seconds", "silhouette", "num_looked_at")
    if as_json:
        print_json({name: getattr(found, name) for name in (*numbers, "num_skipped")})
    else:
        say(
            f"videos: {found.num_videos}, segments: {found.num_segments}, clusters:"
            f" {len(found.clusters)}, like nothing else: {len(found.outliers)}, problems:"
            f" {len(found.problems)}"
        )
