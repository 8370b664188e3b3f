"""The Typer application, and how commands speak: data to stdout, words to stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
import typer.core

if TYPE_CHECKING:
    from soravec.library.library import Library

ORDER = (
    *("demo", "doctor", "probe"),
    *("cut", "concat", "frames", "frames-to-video"),
    *("embed", "index", "search"),
    *("duplicates", "summarize", "recommend", "describe", "explain"),
    *("train", "evaluate", "teach", "classify", "events", "models", "library"),
)


class _InOrder(typer.core.TyperGroup):
    """Lists the commands in the order of the data flow."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  # Click's context
        return sorted(self.commands, key=ORDER.index)


app = typer.Typer(
    name="soravec",
    cls=_InOrder,
    help="Turn video into dense vectors, and vectors into answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SORAVEC"},
)

LibraryOption = Annotated[
    Path,
    typer.Option("--library", envvar="SORAVEC_LIBRARY", help="Folder of the library."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything failed.")]
MetadataOption = Annotated[
    bool,
    typer.Option(
        "--metadata/--no-metadata",
        help="Take over the title, chapters, place and time of recording that files state.",
    ),
]
AllowUrlsOption = Annotated[bool, typer.Option("--allow-urls", help="Open http and https URLs.")]
AllowPrivateUrlsOption = Annotated[
    bool,
    typer.Option("--allow-private-urls", help="Open URLs of this machine and its network too."),
]
TrustedOption = Annotated[
    bool,
    typer.Option("--trusted", help="Files of your own: decode without the sandbox."),
]
LimitOption = Annotated[
    list[str],
    typer.Option(
        "--limit",
        metavar="NAME=NUMBER",
        help="Raise or lower a limit: pixels, fps, seconds, streams, packets, memory.",
        show_default=False,
    ),
]
FpsOption = Annotated[
    float | None,
    typer.Option(
        min=0.001, help="Frames per second of folders of frames.", show_default="theirs, else 25"
    ),
]
EngineOption = Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")]
PrecisionOption = Annotated[
    str, typer.Option(help="Of the CNN: auto, float32, bfloat16, or int8 where the model has it.")
]
DEFAULT_LIBRARY = Path("soravec.library")


def _print_version(wanted: bool) -> None:
    if wanted:
        from soravec import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    pass


def urls_allowed(allow_urls: bool, allow_private_urls: bool) -> 'bool | Literal["private"]':
    """Return the two options as one."""
    return "private" if allow_private_urls else allow_urls


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on a line of its own."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_error_json(path: str, kind: str, message: str) -> None:
    """Print the line of a file that was skipped."""
    print_json({"path": path, "error": {"type": kind, "message": message}})


def say(text: str) -> None:
    """Print words for a person."""
    print(text, file=sys.stderr, flush=True)


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Say why, and exit."""
    say(f"soravec: {message}")
    sys.exit(code)


@contextmanager
def library_if_any(path: Path) -> "Iterator[Library | None]":
    """Open a library; give none where it is the default one, and is not there."""
    from soravec.library.library import Library

    if path == DEFAULT_LIBRARY and not (path / "catalogue.db").exists():
        yield None
        return
    with Library(path, create=False) as library:
        yield library


def check_outputs(videos: Sequence[str], outs: Sequence[Path | None]) -> None:
    """Refuse, before anything is read, to write over one of the videos.

    Raises:
        QueryError: A file to write is one of them.
    """
    from soravec.errors import QueryError

    for out in outs:
        for video in videos:
            if out is not None and out.exists() and Path(video).exists() and out.samefile(video):
                raise QueryError(f"{out}: it is one of the videos to read. Give another name.")


@contextmanager
def extra_train(what: str) -> Iterator[None]:
    """Say which extra is missing where an import of what `what` needs fails."""
    try:
        yield
    except ImportError as error:
        from soravec.errors import MissingExtra

        raise MissingExtra(
            f"{what} needs the extra 'train' ({error.name} is missing)."
            ' Install it: pip install "soravec[train]"'
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file of text, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        SoravecError: It cannot be written.
    """
    from soravec.errors import SoravecError

    if path.is_dir() or not path.absolute().parent.is_dir():
        raise SoravecError(f"{path}: is a folder, or lies in none")
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise SoravecError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def count_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr, where that is a terminal; what is yielded is told (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn(what), Remaining())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, disable=not sys.stderr.isatty(), transient=True
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def clock(seconds: float) -> str:
    """Return seconds as a player shows them.

    >>> clock(3725.25)
    '1:02:05.2'
    """
    tenths = int(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{tenths / 10:04.1f}"
