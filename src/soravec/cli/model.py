"""`models`: list, show, build and quantise."""

from pathlib import Path
from typing import Annotated

import typer

from soravec.cli.app import JsonOption, app, extra_train, print_json, say

models = typer.Typer(help="List, show, build and quantise models.", no_args_is_help=True)
app.add_typer(models, name="models")


@models.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the models that come with Soravec."""
    from soravec.runtime.folder import bundled_models, open_folder

    for name, path in bundled_models().items():
        folder = open_folder(path)
        if as_json:
            print_json({"name": name, "space_id": folder.config.space_id, "dim": folder.config.dim})
        else:
            size = folder.size_bytes / 2**20
            facts = f"{folder.config.dim} numbers, {size:.1f} MiB"
            print(f"{name:<12} {facts}. {folder.config.description}")


@models.command()
def show(
    model: Annotated[str, typer.Argument(help="A model's name, folder or hub id.")],
    as_json: JsonOption = False,
) -> None:
    """Print a model's card; with --json its configuration."""
    from dataclasses import asdict

    from soravec.runtime.folder import CARD_FILE, find_model

    folder = find_model(model)
    if as_json:
        print_json(asdict(folder.config))
    else:
        print((folder.path / CARD_FILE).read_text(encoding="utf-8"), end="")


@models.command()
def build(
    cnn: Annotated[str, typer.Option(help="A CNN of timm, such as timm/resnet50.a1_in1k.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the new model.")],
    weights: Annotated[
        Path | None, typer.Option(help="Its weights as safetensors, instead of a download.")
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Random weights: for trying things out.")
    ] = False,
) -> None:
    """Make a model folder of any CNN of timm (needs the extra 'train')."""
    with extra_train("building a model"):
        from soravec.models.build import build_model
    config = build_model(cnn, out, pretrained=not random and weights is None, weights=weights)
    say(f"{out}: {config.name}, {config.dim} numbers. Use it: soravec index VIDEOS --model {out}")


@models.command()
def quantize(
    model: Annotated[str, typer.Argument(help="A model's name, folder or hub id.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the new model.")],
) -> None:
    """Copy a model with an INT8 CNN beside its own, where it bears it (needs the extra 'train')."""
    with extra_train("quantising a model"):
        from soravec.training.quantize import quantize_model
    cosine = quantize_model(model, out)
    say(
        f"{out}: features have cosine {cosine:.4f} with those in float32 (generated frames)."
        f" Use it: soravec index VIDEOS --model {out} --precision int8"
    )
