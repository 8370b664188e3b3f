"""`cut`, `concat`, `frames`, `frames-to-video`: new files out of parts of others."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soravec.cli.app import FpsOption, JsonOption, LimitOption, app, clock, print_json, say

if TYPE_CHECKING:
    from soravec.video.editing.edit import EditResult

OutOption = Annotated[
    Path,
    typer.Option(
        "-o", "--out", help="The file to write: .mp4, .m4v, .mov, .mkv, .webm, .avi, .ts or .flv."
    ),
]
TimeOption = Annotated[str | None, typer.Option(help="Seconds, or H:MM:SS.mmm, in the video.")]
SizeOption = Annotated[
    str | None,
    typer.Option(help="WIDTHxHEIGHT; black is added where the shape differs. Encodes everything."),
]
RateOption = Annotated[
    float | None,
    typer.Option(min=0.001, max=1000, help="Frames per second, evenly. Encodes everything."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


@app.command()
def cut(
    video: Annotated[str, typer.Argument(help="A video file.")],
    out: OutOption,
    start: TimeOption = None,
    end: TimeOption = None,
    size: SizeOption = None,
    rate: RateOption = None,
    force: ForceOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Write a span of a video, exact to the frame; what can be copied is copied."""
    from soravec.video import cut as cut_video
    from soravec.video import limits_from

    result = cut_video(
        video,
        out,
        start_seconds=seconds_of(start, "--start"),
        end_seconds=seconds_of(end, "--end"),
        size=size_of(size),
        fps=rate,
        overwrite=force,
        limits=limits_from(limit),
    )
    _tell(result, as_json=as_json)


@app.command()
def concat(
    videos: Annotated[
        list[str], typer.Argument(help="Video files; FILE@START-END takes a span of one.")
    ],
    out: OutOption,
    size: SizeOption = None,
    rate: RateOption = None,
    force: ForceOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Write videos one after the other; those that are unlike the first are made like it."""
    from soravec.video import concat as join_videos
    from soravec.video import limits_from

    spans = [span_of(video) for video in videos]
    limits = limits_from(limit)
    result = join_videos(spans, out, size=size_of(size), fps=rate, overwrite=force, limits=limits)
    _tell(result, as_json=as_json)


@app.command()
def frames(
    video: Annotated[str, typer.Argument(help="A video file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to make.")],
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Pictures per second.", show_default="every frame"),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT; black is added where the shape differs.")
    ] = None,
    start: TimeOption = None,
    end: TimeOption = None,
    picture_format: Annotated[str, typer.Option("--format", help="jpg or png.")] = "jpg",
    force: ForceOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Write the frames of a video as numbered pictures, and their seconds in frames.csv."""
    from soravec.video import limits_from, write_frames

    if picture_format not in ("jpg", "png"):
        raise typer.BadParameter(f"--format is '{picture_format}', not jpg or png")
    result = write_frames(
        video,
        out,
        fps=rate,
        size=size_of(size),
        start_seconds=seconds_of(start, "--start"),
        end_seconds=seconds_of(end, "--end"),
        picture_format="png" if picture_format == "png" else "jpg",
        overwrite=force,
        limits=limits_from(limit),
    )
    if as_json:
        print_json(asdict(result))
    else:
        print(f"{out}: {result.num_frames} pictures, {result.width}x{result.height}")
        for warning in result.warnings:
            say(f"note: {warning}")


@app.command(name="frames-to-video")
def frames_to_video(
    folder: Annotated[Path, typer.Argument(help="A folder of pictures.")],
    out: OutOption,
    fps: FpsOption = None,
    size: SizeOption = None,
    force: ForceOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Write a folder of pictures as a video, in the order of the numbers in their names."""
    from soravec.video import frames_to_video as write_video
    from soravec.video import limits_from

    limits = limits_from(limit)
    result = write_video(folder, out, fps=fps, size=size_of(size), overwrite=force, limits=limits)
    _tell(result, as_json=as_json)


def seconds_of(text: str | None, option: str) -> float | None:
    """Return the seconds that a text states.

    >>> seconds_of("1:02:05.25", "--start")
    3725.25
    """
    if text is None:
        return None
    if not re.fullmatch(r"(\d+:)?(\d+:)?\d+(\.\d*)?|\.\d+", text.strip()):
        raise typer.BadParameter(f"{option} is '{text}', not seconds or H:MM:SS.mmm")
    seconds = 0.0
    for part in text.strip().split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def size_of(text: str | None) -> tuple[int, int] | None:
    """Return (height, width) of a text such as `640x360`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if found is None:
        raise typer.BadParameter(f"--size is '{text}', not WIDTHxHEIGHT, such as 640x360")
    return int(found[2]), int(found[1])


def span_of(text: str) -> Any:  # noqa: ANN401  # Span, which is not loaded at start-up
    """Read FILE or FILE@START-END, either of which may be left out."""
    from soravec.video import Span

    found = re.fullmatch(r"(.+)@([\d:.]*)-([\d:.]*)", text)
    if Path(text).exists() or found is None:
        return Span(text)
    start, end = (seconds_of(found[k] or None, text) for k in (2, 3))
    return Span(found[1], start, end)


def _tell(result: "EditResult", *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(result))
        return
    print(
        f"{result.path}: {clock(result.duration_seconds)}, {result.num_frames} frames,"
        f" {result.num_copied} copied, {result.num_encoded} encoded; sound {result.audio}"
    )
    for note in result.notes:
        say(f"note: {note}")
