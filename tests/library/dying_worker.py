"""The worker, struck dead when it comes to the words of a file."""

import os
import signal

from soravec.library import worker
from soravec.process import serve


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    worker.read_words = die
    serve(worker.open_session)
