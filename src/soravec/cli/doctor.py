"""What is installed, what is missing, and what to do."""

import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from typing import Literal

EXTRAS = {"train": ("torch", "timm", "onnxscript", "sklearn"), "hub": ("huggingface_hub",)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "absent", "missing"]
    """`absent` is optional; `missing` keeps Soravec from working."""
    detail: str
    """What there is, or what to do."""


def examine() -> list[Finding]:
    """Return what was found, in the order of the data flow."""
    return [*_checked(), _sandbox(), *_extras(), *_platform()]


def _checked() -> Iterator[Finding]:
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} on {platform.platform()}",
        "decoder": _decoder,
        "engine": _engine,
        "model": _model,
        "catalogue": _catalogue,
        "vectors": lambda: f"lancedb {metadata.version('lancedb')}",
    }
    for name, check in checks.items():
        try:
            yield Finding(name, "ok", check())
        except Exception as error:  # whatever it is, it is the finding  # noqa: BLE001
            yield Finding(name, "missing", f"{error}. Install Soravec again: pip install soravec")


def _decoder() -> str:
    from soravec.video import decoder_version

    return str(decoder_version())


def _engine() -> str:
    import numpy as np

    from soravec.runtime.encoder import load
    from soravec.runtime.engine import available_cores, choose_engine
    from soravec.types import Frames

    encoder = load()
    cnn = encoder.config.cnn
    black = np.zeros((1, cnn.height, cnn.width, 3), np.uint8)
    encoder.features(Frames(black, np.zeros(1)))
    name, precision = encoder.running
    return f"{name}, {precision}, {available_cores()} cores (auto is {choose_engine()})"


def _model() -> str:
    from soravec.runtime.folder import bundled_models, open_folder

    return ", ".join(
        f"{name} {open_folder(path).config.space_id}" for name, path in bundled_models().items()
    )


def _catalogue() -> str:
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='trigram')")
    return f"sqlite {sqlite3.sqlite_version} with full text"


def _sandbox() -> Finding:
    """Start a worker, and ask it what it could give up."""
    from soravec.errors import SoravecError
    from soravec.library.indexer import WORKER
    from soravec.library.worker import setup_message
    from soravec.process import Child, Worker
    from soravec.runtime.encoder import load

    try:
        setup = setup_message(load(), sampling="uniform", num_threads=1)
        child = Child(Worker(WORKER, setup))
    except (SoravecError, OSError, TimeoutError) as error:
        return Finding("sandbox", "missing", f"no worker can be started ({error})")
    child.kill()
    if child.lacking:
        detail = f"{'; '.join(child.lacking)}. Read files of strangers in a container of your own"
        return Finding("sandbox", "absent", detail)
    return Finding(
        "sandbox", "ok", "workers have no network, start no process, write no file, see no other"
    )


def _extras() -> Iterator[Finding]:
    for extra, modules in EXTRAS.items():
        lacking = [module for module in modules if util.find_spec(module) is None]
        if lacking:
            remedy = f'pip install "soravec[{extra}]"'
            yield Finding(f"extra {extra}", "absent", f"lacks {', '.join(lacking)}: {remedy}")
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


def _platform() -> Iterator[Finding]:
    if os.name != "posix":
        yield Finding("durability", "absent", "a rename cannot be synced to disk on this platform")
    if sys.platform != "linux":
        yield Finding("platform", "absent", "tested on Linux only; please report what fails")
