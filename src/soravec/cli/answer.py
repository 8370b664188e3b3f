"""`search`: the moments that answer."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soravec.cli.app import (
    DEFAULT_LIBRARY,
    AllowPrivateUrlsOption,
    AllowUrlsOption,
    JsonOption,
    LibraryOption,
    LimitOption,
    app,
    clock,
    print_json,
    say,
    urls_allowed,
)

if TYPE_CHECKING:
    from soravec.types import Hit


@app.command()
def search(
    text: Annotated[
        str | None, typer.Argument(help="Words of names, labels, captions, tags.")
    ] = None,
    video: Annotated[str | None, typer.Option(help="What looks and moves like this video.")] = None,
    start: Annotated[float | None, typer.Option(help="Where its span begins, in seconds.")] = None,
    end: Annotated[float | None, typer.Option(help="Where its span ends, in seconds.")] = None,
    image: Annotated[Path | None, typer.Option(help="What looks like this picture.")] = None,
    like: Annotated[
        str | None, typer.Option(help="What is like this segment: the segment_id of a hit.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits at most.")] = 10,
    library: LibraryOption = DEFAULT_LIBRARY,
    path: Annotated[
        str | None, typer.Option(help="Only paths that match this glob, or hold this text.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Only videos with this label.")] = None,
    min_seconds: Annotated[float | None, typer.Option(help="Only videos this long.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Only videos no longer.")] = None,
    after: Annotated[
        str | None, typer.Option(help="Only recorded at or after this date, ISO 8601.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="Only recorded before this date, ISO 8601.")
    ] = None,
    motion_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Share of motion in the score.", show_default="the model's"
        ),
    ] = None,
    allow_urls: AllowUrlsOption = False,
    allow_private_urls: AllowPrivateUrlsOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Find moments by words, by a video or a span of it, by a picture, or by a stored segment."""
    if sum(value is not None for value in (text, video, image, like)) != 1:
        raise typer.BadParameter("give exactly one of: TEXT, --video, --image, --like")
    if video is None and (start is not None or end is not None):
        raise typer.BadParameter("--start and --end belong to --video")
    from soravec.library.filters import Filter
    from soravec.library.library import Library
    from soravec.video import limits_from

    where = Filter(path, label, min_seconds, max_seconds, after, before)
    with Library(library, create=False) as store:
        hits = store.search(
            text,
            video=video,
            start_seconds=start,
            end_seconds=end,
            image=image,
            like=like,
            k=k,
            where=where,
            motion_weight=motion_weight,
            allow_urls=urls_allowed(allow_urls, allow_private_urls),
            limits=limits_from(limit),
        )
    for hit in hits:
        if as_json:
            print_json(asdict(hit))
        else:
            print(hit_line(hit))
    if not hits:
        say("no hits")


def hit_line(hit: "Hit") -> str:
    """Return a hit for a person: score, its two parts, span, path, and the words that matched."""
    parts = "".join(
        f"  {name} {value:.3f}" if value is not None else ""
        for name, value in (("looks", hit.appearance), ("moves", hit.motion))
    )
    words = f"  ({hit.text})" if hit.text and hit.text not in hit.path else ""
    span = f"{clock(hit.start_seconds)} - {clock(hit.end_seconds)}"
    return f"{hit.score:.3f}{parts}  {span}  {hit.path}{words}"
