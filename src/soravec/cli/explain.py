"""`explain`: why two spans match, and why a span has a label."""

from collections.abc import Iterator
from contextlib import contextmanager
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
    extra_train,
    fail,
    library_if_any,
    print_json,
    say,
    write_bytes,
    write_text,
)
from soravec.cli.edit import ForceOption
from soravec.cli.teach import named_span

if TYPE_CHECKING:
    from soravec.evaluation.regions import Regions
    from soravec.library.library import Library
    from soravec.runtime.encoder import Encoder
    from soravec.runtime.heads import Head
    from soravec.tasks.explain_label import LabelExplanation
    from soravec.tasks.explain_match import MatchExplanation
    from soravec.tasks.occlusion import Faithfulness

NUM_SHOWN = 5


@app.command()
def explain(
    span: Annotated[str, typer.Argument(help="A segment_id, FILE, or FILE@START-END.")],
    other: Annotated[
        str | None, typer.Argument(help="Another: say why they match; without it, why the label.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="A label that was taught to the library, or a head of the model."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--class", help="Which class of the head.", show_default="the likeliest"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A model's name, folder or hub id, instead of a library's."),
    ] = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    regions: Annotated[
        bool,
        typer.Option("--regions", help="Also which places of the pictures (extra 'train')."),
    ] = False,
    motion_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Share of motion in a match.", show_default="the model's"
        ),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Write it with pictures, as HTML.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the matrix, or the strip of seconds, as a JPEG.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="Write the span with its heat: .mp4, .mov, .mkv, .webm.")
    ] = None,
    force: ForceOption = False,
    limit: LimitOption = [],  # noqa: B006  # Typer's way
    trusted: TrustedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say why two spans match, moment by moment; or which seconds speak for a label."""
    from functools import partial

    from soravec.tasks.explain_label import explain_label
    from soravec.tasks.explain_match import explain_match
    from soravec.tasks.explain_page import label_page, label_picture, match_page, match_picture
    from soravec.tasks.spans import read_span
    from soravec.video import encode_jpeg, limits_from
    from soravec.video.editing.output import check_new

    limits = limits_from(limit)
    _check(other, head, label, motion_weight, regions=regions, video=video)
    spans = [named_span(name) for name in (span, other) if name is not None]
    files = [str(one.path) for one in spans if not isinstance(one, str)]
    check_outputs(files, [page, picture, video])
    if video is not None:
        check_new(video, overwrite=force)
    with _opened(model, library) as (encoder, store):
        read = partial(read_span, encoder=encoder, library=store, limits=limits, trusted=trusted)
        features = read(spans[0])
        if len(spans) > 1:
            match = explain_match(features, read(spans[1]), encoder, motion_weight=motion_weight)
            print_match(match, as_json=as_json)
            if page is not None:
                write_text(page, match_page(match, limits=limits))
            if picture is not None:
                write_bytes(picture, encode_jpeg(match_picture(match), quantizer=2))
            return
        chosen = _chosen_head(encoder, store, head)
        found = explain_label(features, encoder, chosen, label=label)
    places = None
    if regions:
        with extra_train("explaining by regions"):
            from soravec.evaluation.regions import explain_regions
        places = explain_regions(features, encoder, chosen, label=found.label, limits=limits)
    print_label(found, places, as_json=as_json)
    if page is not None:
        write_text(page, label_page(found, limits=limits))
    if picture is not None:
        image = label_picture(found, limits=limits)
        if image is None:
            fail(f"{found.path}: no picture of it can be read")
        write_bytes(picture, encode_jpeg(image, quantizer=2))
    if video is not None:
        from soravec.tasks.overlay import write_overlay

        maps = None if places is None else places.maps
        number = write_overlay(found, video, maps=maps, overwrite=force, limits=limits)
        say(f"{video}: {number} frames")


def print_match(found: "MatchExplanation", *, as_json: bool) -> None:
    """Print what a score is made of, then the pairs of moments that contribute most."""
    from dataclasses import asdict

    sides = [
        {"path": side.path, "start_seconds": side.start_seconds, "end_seconds": side.end_seconds}
        for side in (found.first, found.second)
    ]
    if as_json:
        parts = {
            name: getattr(found, name)
            for name in ("score", "appearance", "motion", "motion_weight")
        }
        moments = [asdict(moment) for moment in found.moments]
        print_json({"first": sides[0], "second": sides[1], **parts, "moments": moments})
        return
    motion = "nothing moves" if found.motion is None else f"moves {found.motion:.3f}"
    weight = found.motion_weight
    print(
        f"{found.score:.3f} = {1 - weight:.2f} x looks {found.appearance:.3f}"
        f" + {weight:.2f} x {motion}"
    )
    for moment in found.moments:
        print(
            f"  {clock(moment.first_seconds)} and {clock(moment.second_seconds)}  looks"
            f" {moment.similarity:.3f}  of the score {moment.contribution:.4f}"
        )


def print_label(found: "LabelExplanation", places: "Regions | None", *, as_json: bool) -> None:
    """Print which seconds speak for a label, and whether they do."""
    from dataclasses import asdict

    if as_json:
        frames = [
            {"start_seconds": start, "end_seconds": end, "heat": heat}
            for (start, end), heat in zip(found.bounds.tolist(), found.heat.tolist(), strict=True)
        ]
        line = {"path": found.path, "start_seconds": found.start_seconds}
        line |= {"end_seconds": found.end_seconds, "label": found.label, "score": found.score}
        line |= {"frames": frames}
        for name, areas in (("seconds", found.faithfulness), ("regions", _areas_of(places))):
            line |= {} if areas is None else {name: asdict(areas)}
        print_json(line)
        return
    print(f"{found.label} {found.score:.3f}  {found.path}")
    for row in found.order[:NUM_SHOWN].tolist():
        start, end = found.bounds[row].tolist()
        print(f"  {clock(start)} - {clock(end)}  {found.heat[row]:+.2f}")
    _print_areas("seconds", found.faithfulness)
    _print_areas("regions", _areas_of(places))


def _print_areas(what: str, areas: "Faithfulness | None") -> None:
    if areas is not None:
        print(
            f"{what}: deletion {areas.deletion:.3f}, random {areas.random_deletion:.3f};"
            f" insertion {areas.insertion:.3f}, random {areas.random_insertion:.3f}"
        )


def _areas_of(places: "Regions | None") -> "Faithfulness | None":
    return None if places is None else places.faithfulness


def _check(
    other: str | None,
    head: str | None,
    label: str | None,
    motion_weight: float | None,
    *,
    regions: bool,
    video: Path | None,
) -> None:
    """Refuse options of a label with a match, and the other way round."""
    if other is not None and (regions or video or head is not None or label is not None):
        raise typer.BadParameter("--head, --class, --regions, --video explain a label, not a match")
    if other is None and motion_weight is not None:
        raise typer.BadParameter("--motion-weight belongs to a match: give two spans")


@contextmanager
def _opened(model: str | None, library: Path) -> "Iterator[tuple[Encoder, Library | None]]":
    """Give the model that was named, else a library and its model, else `sora-mini`."""
    from soravec.library.library import DEFAULT_MODEL
    from soravec.runtime.encoder import load

    if model is not None:
        yield load(model), None
        return
    with library_if_any(library) as store:
        yield load(DEFAULT_MODEL) if store is None else store.encoder(), store


def _chosen_head(encoder: "Encoder", store: "Library | None", name: str | None) -> "Head":
    """Return a label that was taught to the library, else a head of the model."""
    from soravec.library.marks import labels_of
    from soravec.tasks.teach import taught_head

    labels = [] if store is None else [label for label, *_ in labels_of(store.catalogue)]
    if store is not None and name is None and len(labels) == 1:
        return taught_head(store, labels[0])
    if store is not None and name in labels:
        return taught_head(store, str(name))
    if labels and name is None:
        raise typer.BadParameter(f"choose a label with --head: {', '.join(labels)}")
    return encoder.head(name)
