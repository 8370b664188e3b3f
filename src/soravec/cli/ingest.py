"""`embed` and `index`: video to vectors, into a file or into a library."""

from pathlib import Path
from typing import Annotated

import typer

from soravec.cli.app import (
    DEFAULT_LIBRARY,
    AllowPrivateUrlsOption,
    AllowUrlsOption,
    EngineOption,
    FpsOption,
    JsonOption,
    LibraryOption,
    LimitOption,
    MetadataOption,
    PrecisionOption,
    StrictOption,
    TrustedOption,
    app,
    fail,
    print_error_json,
    print_json,
    say,
    urls_allowed,
)

ModelOption = Annotated[str, typer.Option(help="A model's name, folder or hub id.")]
SamplingOption = Annotated[
    str,
    typer.Option(help="uniform; keyframes: faster, cuts only approximate; auto: by the file."),
]
FastDecodeOption = Annotated[
    bool,
    typer.Option("--fast-decode", help="Decode less smoothly: faster, nearly the same vectors."),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes.", show_default="one per core")
]


FrameFoldersOption = Annotated[
    bool, typer.Option("--frame-folders", help="Take every folder that holds pictures for a video.")
]
SourcesArgument = Annotated[
    list[str], typer.Argument(help="Video files, tars of clips, folders, URLs.")
]


@app.command()
def embed(
    files: SourcesArgument,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A .npz, .parquet or .jsonl file.")
    ] = None,
    per: Annotated[str, typer.Option(help="One vector per video, segment or frame.")] = "segment",
    model: ModelOption = "sora-mini",
    sampling: SamplingOption = "uniform",
    fast_decode: FastDecodeOption = False,
    workers: WorkersOption = None,
    frame_folders: FrameFoldersOption = False,
    fps: FpsOption = None,
    allow_urls: AllowUrlsOption = False,
    allow_private_urls: AllowPrivateUrlsOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    trusted: TrustedOption = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Turn files into vectors; without -o as JSON lines on stdout."""
    from soravec.cli.tables import check_request, rows_of, write_rows
    from soravec.library.batch import embed_files
    from soravec.runtime.encoder import load
    from soravec.video import is_url, limits_from
    from soravec.video.remote import shown_url

    if problem := check_request(out, per, sampling):
        raise typer.BadParameter(problem)
    encoder = load(model, engine=engine, precision=precision)  # type: ignore[arg-type]
    paths = named_videos(files, frame_folders=frame_folders)
    urls = urls_allowed(allow_urls, allow_private_urls)
    refused = [] if urls else [path for path in paths if is_url(path)]
    if refused:
        raise typer.BadParameter(f"{shown_url(refused[0])}: URLs are opened only with --allow-urls")
    rows, failed = [], 0
    for done in embed_files(
        paths,
        encoder,
        sampling=sampling,  # type: ignore[arg-type]
        num_workers=workers,
        fps=fps,
        allow_urls=urls,
        fast_decode=fast_decode,
        limits=limits_from(limit),
        trusted=trusted,
    ):
        if done.embedding is not None and done.features is not None:
            rows.extend(rows_of(done.path, done.embedding, done.features, per=per))
            continue
        failed += 1
        if as_json:
            print_error_json(done.path, done.error_type, done.message)
        else:
            say(f"skipped: {done.message}")
    if not rows:
        fail(f"no vector came out of {len(paths)} files")
    write_rows(rows, out, space_id=encoder.feature_id if per == "frame" else encoder.space_id)
    if out is not None:
        say(f"{len(rows)} vectors of {len(paths) - failed} files in {out}; {failed} skipped")
    raise typer.Exit(1 if failed and strict else 0)


def named_videos(files: list[str], *, frame_folders: bool) -> list[str]:
    """Return the videos that were named: below a folder or in a tar all that lie there."""
    from soravec.library.identity import find_videos

    found: list[str] = []
    for file in files:
        path = Path(file)
        many = path.is_dir() or (path.suffix.lower() == ".tar" and path.is_file())
        found += [str(p) for p in find_videos([file], frame_folders=frame_folders)] * many
        found += [file] * (not many)
    return found


@app.command()
def index(
    paths: SourcesArgument,
    library: LibraryOption = DEFAULT_LIBRARY,
    model: Annotated[
        str | None,
        typer.Option(help="A model's name, folder or hub id.", show_default="the library's"),
    ] = None,
    sampling: SamplingOption = "uniform",
    fast_decode: FastDecodeOption = False,
    workers: WorkersOption = None,
    deadline: Annotated[
        float | None,
        typer.Option(
            min=1.0, help="Most seconds for one file.", show_default="120 and twice its length"
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON Lines: path, label, caption, tag, start and end seconds."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read unchanged files again.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try files again that failed before.")
    ] = False,
    frame_folders: FrameFoldersOption = False,
    fps: FpsOption = None,
    allow_urls: AllowUrlsOption = False,
    allow_private_urls: AllowPrivateUrlsOption = False,
    metadata: MetadataOption = True,
    subtitles: Annotated[
        bool,
        typer.Option(
            "--subtitles/--no-subtitles", help="Store subtitles, inside and beside files."
        ),
    ] = True,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    trusted: TrustedOption = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Put files and folders into a library; what is unchanged is passed over."""
    from soravec.cli.tables import check_request
    from soravec.library.indexer import FileResult, IndexOptions
    from soravec.library.library import Library
    from soravec.runtime.encoder import Encoder, load
    from soravec.video import limits_from

    if problem := check_request(None, "segment", sampling):
        raise typer.BadParameter(problem)

    def tell(result: FileResult) -> None:
        if not as_json or result.status == "unchanged":
            return
        if result.status == "failed":
            print_error_json(result.path, result.error_type, result.message)
        else:
            line = {"path": result.path, "status": result.status}
            print_json({**line, "warning": result.message} if result.message else line)

    with Library(library) as store:
        name = load(model) if model is not None else store.encoder()
        encoder = Encoder(name.folder, engine=engine, precision=precision)  # type: ignore[arg-type]
        options = IndexOptions(
            sampling=sampling,  # type: ignore[arg-type]
            fast_decode=fast_decode,
            num_workers=workers,
            deadline_seconds=deadline,
            verify=verify,
            retry_failed=retry,
            frame_folders=frame_folders,
            fps=fps,
            allow_urls=urls_allowed(allow_urls, allow_private_urls),
            metadata=metadata,
            subtitles=subtitles,
            limits=limits_from(limit),
            trusted=trusted,
        )
        report = store.add(list(paths), encoder=encoder, options=options, on_result=tell)
        if annotations is not None:
            say(f"{store.annotate(annotations)} labels, captions and tags taken over")
    counts = {
        "indexed": report.indexed,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "segments": report.segments,
    }
    if as_json:
        print_json(counts)
    else:
        print(", ".join(f"{count} {name}" for name, count in counts.items()))
        if report.updated:
            say(f"{report.updated} of the unchanged files had their words read anew")
        if report.removed:
            say(f"{report.removed} files are gone and are no longer found")
        if report.failed:
            say(f"why files failed: soravec library failures --library {library}")
    useful = report.indexed + report.unchanged
    raise typer.Exit(1 if not useful or (strict and report.failed) else 0)
