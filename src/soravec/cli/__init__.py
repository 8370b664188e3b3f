"""The command line: one module per group of commands; heavy libraries load inside commands."""

import os
import sys

from soravec.cli import (
    answer,
    describe,
    edit,
    events,
    explain,
    ingest,
    inspect,
    keep,
    learn,
    model,
    recommend,
    repeats,
    summarize,
    teach,
)
from soravec.cli.app import app, fail

__all__ = ["app", "main"]

_GROUPS = (
    *(inspect, edit, ingest, answer),
    *(repeats, summarize, recommend, describe, explain),
    *(learn, teach, events, model, keep),
)


def main() -> None:
    """Run `soravec`; an error is one line with its remedy, a traceback comes with --debug."""
    debug = "--debug" in sys.argv[1:] or bool(os.environ.get("SORAVEC_DEBUG"))
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app()
    except KeyboardInterrupt:
        fail("interrupted; what was done is kept", code=130)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # top of the command line  # noqa: BLE001
        if debug:
            raise
        from soravec.errors import SoravecError

        if isinstance(error, SoravecError):
            fail(str(error))
        fail(f"{type(error).__name__}: {error}. This is a bug; see it whole with --debug.")
