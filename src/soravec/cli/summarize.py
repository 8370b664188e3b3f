"""`summarize`: what of a video is worth watching."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soravec.cli.app import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    LimitOption,
    TrustedOption,
    app,
    check_outputs,
    clock,
    library_if_any,
    print_json,
    say,
    write_bytes,
    write_text,
)
from soravec.cli.edit import ForceOption, seconds_of

if TYPE_CHECKING:
    from soravec.tasks.summary import Summary
    from soravec.video import Limits


@app.command()
def summarize(  # noqa: PLR0913  # one for each file that it may write
    video: Annotated[str, typer.Argument(help="A video file, in the library or not.")],
    length: Annotated[
        str, typer.Option(help="At most: seconds, 60s, 1m, 1:30, or a share such as 15%.")
    ] = "15%",
    shortest: Annotated[
        float, typer.Option(min=0.1, help="Seconds of a span, at least; fewer spans are longer.")
    ] = 1.5,
    library: LibraryOption = DEFAULT_LIBRARY,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a picture of every span into one PNG.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write pictures of every span as an HTML page.")
    ] = None,
    chapters: Annotated[
        Path | None, typer.Option(help="Write the spans as WebVTT chapters of VIDEO.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--video", help="Write the spans as a new video, as concat does.")
    ] = None,
    force: ForceOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    trusted: TrustedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Choose the spans of a video that show most of it in little time, and leave out repeats."""
    from soravec.tasks.stored import read_features
    from soravec.tasks.summary import summarize as choose_spans
    from soravec.video import limits_from
    from soravec.video.editing.output import check_new

    seconds, share = length_of(length)
    limits = limits_from(limit)
    check_outputs([video], [sheet, page, chapters, out])
    if out is not None:
        check_new(out, overwrite=force)
    with library_if_any(library) as store:
        read = read_features(video, store, limits=limits, trusted=trusted)
        found = choose_spans(
            read.features, read.encoder, seconds=seconds, share=share, least_seconds=shortest
        )
    print_summary(found, as_json=as_json)
    _write(found, sheet, page, chapters, limits)
    if out is not None:
        from soravec.tasks.summary_files import write_summary_video

        result = write_summary_video(found, out, overwrite=force, limits=limits)
        say(f"{out}: {clock(result.duration_seconds)}, {result.num_encoded} frames encoded")


def length_of(text: str) -> tuple[float | None, float]:
    """Return seconds, or None and a share of the video.

    >>> length_of("1m"), length_of("1:30"), length_of("15%")
    ((60.0, 0.15), (90.0, 0.15), (None, 0.15))
    """
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(s|m|min|h|%)", text.strip())
    if found is None:
        return seconds_of(text, "--length"), 0.15
    number, unit = float(found[1]), found[2]
    if unit == "%":
        return None, number / 100
    return number * {"s": 1, "m": 60, "min": 60, "h": 3600}[unit], 0.15


def print_summary(found: "Summary", *, as_json: bool) -> None:
    """Print the spans in order of time, then in words what they amount to."""
    for number, span in enumerate(found.spans, start=1):
        if as_json:
            print_json(asdict(span))
        else:
            print(
                f"{number:3}  {clock(span.start_seconds)} - {clock(span.end_seconds)}  {span.why}"
            )
    length = found.end_seconds - found.start_seconds
    say(f"{len(found.spans)} spans, {found.seconds:.1f} of {length:.1f} s")
    for note in found.notes:
        say(f"note: {note}")


def _write(
    found: "Summary",
    sheet: Path | None,
    page: Path | None,
    chapters: Path | None,
    limits: "Limits",
) -> None:
    from soravec.tasks import summary_files as files

    if chapters is not None:
        write_text(chapters, files.chapters(found))
    if sheet is not None:
        write_bytes(sheet, files.contact_sheet(found, limits=limits))
    if page is not None:
        write_text(page, files.summary_page(found, limits=limits))
