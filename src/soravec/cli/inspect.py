"""`demo`, `doctor`, `probe`: try it, check the machine, look at a file."""

from pathlib import Path
from typing import Annotated

import typer

from soravec.cli.app import (
    AllowPrivateUrlsOption,
    AllowUrlsOption,
    FpsOption,
    JsonOption,
    LimitOption,
    MetadataOption,
    StrictOption,
    app,
    clock,
    print_error_json,
    print_json,
    say,
    urls_allowed,
)


@app.command()
def demo(
    keep: Annotated[
        Path | None, typer.Option(help="Keep videos and library in this folder.")
    ] = None,
) -> None:
    """Run the whole main job on sample video: make it, index it, search it, check the answers."""
    from soravec.cli.demo import run_demo

    raise typer.Exit(0 if run_demo(keep) else 1)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, what is missing, and what to do."""
    from soravec.cli.doctor import examine

    findings = examine()
    for finding in findings:
        if as_json:
            print_json({"name": finding.name, "state": finding.state, "detail": finding.detail})
        else:
            print(f"{finding.state:<8} {finding.name:<14} {finding.detail}")
    raise typer.Exit(1 if any(f.state == "missing" for f in findings) else 0)


@app.command()
def probe(
    files: Annotated[
        list[str], typer.Argument(help="Video files, clips in tars, folders of frames, URLs.")
    ],
    fps: FpsOption = None,
    allow_urls: AllowUrlsOption = False,
    allow_private_urls: AllowPrivateUrlsOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    metadata: MetadataOption = True,
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Say what the containers of files say of their video."""
    from dataclasses import asdict

    from soravec.errors import SoravecError
    from soravec.video import is_url, limits_from
    from soravec.video import probe as probe_file
    from soravec.video.metadata import without_metadata
    from soravec.video.remote import shown_url

    failed, limits = 0, limits_from(limit)
    for file in files:
        try:
            is_folder = Path(file).is_dir()
            info = probe_file(
                file,
                allow_urls=urls_allowed(allow_urls, allow_private_urls),
                fps=fps if is_folder else None,
                limits=limits,
            )
            info = info if metadata else without_metadata(info)
        except SoravecError as error:
            failed += 1
            if as_json:
                name = shown_url(file) if is_url(file) else file
                print_error_json(name, type(error).__name__, str(error))
            else:
                say(f"skipped: {error}")
            continue
        if as_json:
            print_json(asdict(info))
        else:
            remarks = _remarks(info.rotation_degrees, info.warnings)
            print(
                f"{file}: {clock(info.duration_seconds)}, {info.width}x{info.height},"
                f" {info.native_fps:.4g} fps, {info.codec} in {info.container},"
                f" {info.size_bytes / 2**20:.1f} MiB{remarks}"
            )
    raise typer.Exit(1 if failed and (strict or failed == len(files)) else 0)


def _remarks(rotation_degrees: int, warnings: tuple[str, ...]) -> str:
    turned = [f"rotated by {rotation_degrees} degrees"] if rotation_degrees else []
    return "".join(f"; {remark}" for remark in [*turned, *warnings])
