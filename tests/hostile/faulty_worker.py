"""The worker, with files that make it fail in the way that their names say."""

import ctypes
import mmap
import os
import time
from pathlib import Path

from soravec.library import worker
from soravec.process import serve

sound = worker._embed
leaked = []


def segfault():
    ctypes.string_at(0)


def abort():
    os.abort()


def hang():
    while True:
        time.sleep(1)


def spin():
    while True:
        pass


def eat():
    """Take memory until there is no more."""
    taken = []
    while True:
        taken.append(bytearray(2**24))


def hoard():
    """Hold memory that no limit of the kernel counts."""
    region = mmap.mmap(-1, 8 * 2**30, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for begin in range(0, len(region), 4096):
        region[begin] = 1


def leak():
    """Leave files open, and go on."""
    try:
        while True:
            leaked.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return


FAULTS = {one.__name__: one for one in (segfault, abort, hang, spin, eat, hoard, leak)}


def faulty(encoder, job, setup, parent):
    fault = FAULTS.get(Path(job["path"]).stem.partition("-")[0])
    if fault is not None:
        fault()
    return sound(encoder, job, setup, parent)


if __name__ == "__main__":
    worker._embed = faulty
    serve(worker.open_session)
