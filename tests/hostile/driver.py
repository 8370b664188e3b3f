"""A process that changes a library and acknowledges what it has done: to be killed, or starved.

python -m tests.hostile.driver LIBRARY VIDEOS ACKNOWLEDGED STEP...
"""

import os
import sys
from pathlib import Path

from soravec import IndexOptions, Library
from soravec.library import lance, vectors


def main():
    library, videos, acknowledged, *steps = sys.argv[1:]
    if steps[0] == "forget-to-sync":  # to see that this would be seen
        os.fsync = lambda descriptor: None
        del steps[0]
    boasts = steps[0] == "boast"  # acknowledges before anything is done, for the same reason
    steps = steps[boasts:]
    # Few videos do here what many do elsewhere: flush often, and build the approximate index.
    vectors.FLUSH_ROWS, vectors.FLUSH_SECONDS = 8, 0.5
    lance.ANN_MIN_ROWS = 300
    with Path(acknowledged).open("a", encoding="utf-8") as file, Library(library) as store:

        def tell(what, path):
            file.write(f"{what} {path}\n")
            file.flush()

        store.catalogue.spaces()
        tell("begin", "")
        for step in steps:
            what, _, name = step.partition("=")
            if what == "add":
                paths = [Path(videos) / part for part in name.split(",")]
                for path in paths if boasts else ():
                    tell("indexed", path)
                store.add(
                    paths,
                    options=IndexOptions(num_workers=2),
                    on_result=lambda result: tell(result.status, result.path),
                    progress=False,
                )
            elif what == "forget":
                tell("forgetting", Path(videos) / name)
                store.forget(Path(videos) / name)
                tell("forgotten", Path(videos) / name)
            elif what == "repair":
                tell("repaired", store.repair())
            elif what == "many":
                many(store, int(name), tell)


def many(store, num_rows, tell):
    """Put rows into the index, build it anew and take them out again, over and over."""
    import numpy as np

    from soravec.library.store import VectorRows

    rng = np.random.default_rng(0)
    with store._lock.held():
        space = store.space()
        index = store.stores.open(space)
        while True:
            rows = rng.normal(size=(num_rows, space.dim)).astype(np.float32)
            keys = np.arange(1_000_000, 1_000_000 + num_rows)
            index.replace(VectorRows(keys, np.zeros(num_rows, np.int32), rows))
            tell("filled", num_rows)
            index.optimise()
            tell("built", num_rows)
            index.remove([int(key) for key in keys])
            index.optimise()
            tell("emptied", num_rows)


if __name__ == "__main__":
    main()
