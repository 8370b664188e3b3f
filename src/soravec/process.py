"""Supervised child processes: for everything that may hang, crash or grow.

A child is `python -m MODULE`, spoken to over a framed pipe. It is never started by
multiprocessing, whose spawn re-imports the user's script and whose pools cannot kill one worker.
A frame is a length, a JSON header, and the raw bytes of the arrays that the header lists.
"""

import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from soravec.errors import WorkerError

MAX_HEADER_BYTES = 64 * 2**20
MAX_LAST_WORDS = 20
START_SECONDS = 120.0
"""A child that is not ready by then has failed."""

ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
"""What every child finds in its environment. There is a child per core: threads of BLAS beside them
only wait for one another, busily, and took a third of the time."""

J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Message:
    """What crosses the pipe."""

    header: Mapping[str, Any]
    """JSON."""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays by name; owned by the receiver."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[J]):
    """What became of one job."""

    job: J
    """The job, as submitted."""
    reply: Message | WorkerError
    """The child's last message, or why there is none."""


def supervise(
    module: str,
    setup: Message,
    jobs: Iterable[J],
    *,
    encode: Callable[[J], Message],
    deadline_seconds: Callable[[Mapping[str, Any]], float],
    num_workers: int,
    on_progress: Callable[[J, Mapping[str, Any]], None] | None = None,
) -> Iterator[Outcome[J]]:
    """Yield the outcome of every job, in order of completion.

    A child that dies or overruns its deadline loses only the job that it was at; another child
    takes its place. `jobs` is read, and `on_progress` called, in the caller's thread. Closing the
    generator, or an interrupt, kills every child.

    Args:
        module: What to run: `python -m MODULE`, which calls `serve`.
        setup: First message to every child; it answers `{"kind": "ready"}`.
        jobs: Read only as far as there are workers to take them.
        encode: Turns a job into its message.
        deadline_seconds: Seconds that a job may take from its start, from the header of the last
            progress message (at first an empty one).
        num_workers: Children at most.
        on_progress: Called with a job and the header of each of its progress messages.

    Raises:
        WorkerError: No child could be started.
    """
    waiting: queue.Queue[J | None] = queue.Queue()
    events: queue.Queue[tuple[J, Mapping[str, Any]] | Outcome[J] | WorkerError] = queue.Queue()
    stopping = threading.Event()
    args = module, setup, waiting, events, stopping, encode, deadline_seconds
    threads: list[threading.Thread] = []
    in_flight = 0
    supply = iter(jobs)
    try:
        while True:
            while in_flight < num_workers and (job := next(supply, None)) is not None:
                waiting.put(job)
                in_flight += 1
                if len(threads) < in_flight:
                    threads.append(threading.Thread(target=_tend, args=args, daemon=True))
                    threads[-1].start()
            if not in_flight:
                return
            event = _next_event(events)
            if isinstance(event, WorkerError):
                raise event
            if isinstance(event, Outcome):
                in_flight -= 1
                yield event
            elif on_progress is not None:
                on_progress(*event)
    finally:
        stopping.set()
        for _ in threads:
            waiting.put(None)
        for thread in threads:
            thread.join()


def serve(open_session: Callable[[Message], Callable[[Message, "Tell"], Message]]) -> None:
    """Run the child's side of the pipe until the parent closes it.

    Args:
        open_session: Called once with the setup message; returns the function that does a job,
            which is given the job and a function that reports progress.
    """
    channel = _Channel(*_private_pipe())
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    work = open_session(inbox.get())
    channel.send(Message({"kind": "ready"}))
    while True:
        job = inbox.get()
        channel.send(
            work(job, lambda header: channel.send(Message({"kind": "progress", **header})))
        )


Tell = Callable[[Mapping[str, Any]], None]


class Child:
    """A running `python -m MODULE`."""

    def __init__(self, module: str, setup: Message) -> None:
        self._process = subprocess.Popen(
            # -P: a file of the working directory must not shadow a module of ours.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | ONE_THREAD,
            # Ctrl-C reaches the parent alone, which decides.
            start_new_session=os.name == "posix",
        )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._channel = _Channel(self._process.stdout, self._process.stdin)
        self._inbox: queue.Queue[Message | None] = queue.Queue()
        self._last_words: deque[str] = deque(maxlen=MAX_LAST_WORDS)
        threading.Thread(target=self._pump, daemon=True).start()
        self._ears = threading.Thread(target=self._overhear, daemon=True)
        self._ears.start()
        try:
            self.send(setup)
            self.receive(START_SECONDS)
        except WorkerError:
            self.kill()
            raise

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            WorkerError: The child is dead.
        """
        try:
            self._channel.send(message)
        except OSError as error:
            raise WorkerError(self._obituary()) from error

    def receive(self, timeout_seconds: float) -> Message:
        """Return the next message.

        Raises:
            WorkerError: The child died.
            TimeoutError: There was none in time.
        """
        try:
            message = self._inbox.get(timeout=max(timeout_seconds, 0))
        except queue.Empty as error:
            raise TimeoutError from error
        if message is None:
            raise WorkerError(self._obituary())
        return message

    def kill(self) -> None:
        """End the child at once and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                assert pipe is not None
                pipe.close()
            except OSError:  # what was still buffered for the dead child
                continue

    def _pump(self) -> None:
        while (message := self._channel.receive()) is not None:
            self._inbox.put(message)
        self._inbox.put(None)

    def _overhear(self) -> None:
        assert self._process.stderr is not None
        try:
            for line in self._process.stderr:
                self._last_words.append(line.decode(errors="replace").rstrip())
        except (OSError, ValueError):  # closed by kill
            return

    def _obituary(self) -> str:
        code = self._process.wait()
        self._ears.join(timeout=1)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        words = f" ({self._last_words[-1]})" if self._last_words else ""
        return f"the worker process died: {how}{words}"


def _tend(
    module: str,
    setup: Message,
    waiting: "queue.Queue[J | None]",
    events: "queue.Queue[Any]",
    stopping: threading.Event,
    encode: Callable[[J], Message],
    deadline_seconds: Callable[[Mapping[str, Any]], float],
) -> None:
    """Keep one child at work until the queue holds a None."""
    child: Child | None = None
    while (job := waiting.get()) is not None and not stopping.is_set():
        try:
            child = child or Child(module, setup)
        except (WorkerError, TimeoutError) as error:
            reason = str(error) or f"the worker process was not ready within {START_SECONDS:.0f} s"
            events.put(WorkerError(reason))
            return
        try:
            child.send(encode(job))
            reply = _await_reply(child, job, events, stopping, deadline_seconds)
            events.put(Outcome(job, reply))
        except WorkerError as error:
            child.kill()
            child = None
            events.put(Outcome(job, error))
    if child is not None:
        child.kill()


def _await_reply(
    child: Child,
    job: J,
    events: "queue.Queue[Any]",
    stopping: threading.Event,
    deadline_seconds: Callable[[Mapping[str, Any]], float],
) -> Message:
    """Return the first message that is not progress."""
    started = time.monotonic()
    progress: Mapping[str, Any] = {}
    while not stopping.is_set():
        allowed = deadline_seconds(progress)
        remaining = started + allowed - time.monotonic()
        if remaining <= 0:
            raise WorkerError(
                f"not done within its deadline of {allowed:.0f} s; its worker was killed"
            )
        try:
            message = child.receive(min(remaining, 0.2))
        except TimeoutError:
            continue
        if message.header.get("kind") != "progress":
            return message
        progress = message.header
        events.put((job, progress))
    raise WorkerError("stopped")


def _next_event(events: "queue.Queue[Any]") -> Any:  # noqa: ANN401  # one of three kinds
    """Return the next event, leaving room for an interrupt on every platform."""
    while True:
        try:
            return events.get(timeout=0.5)
        except queue.Empty:
            continue


def _listen(channel: "_Channel", inbox: "queue.Queue[Message]") -> None:
    """Collect jobs; when the parent is gone, go at once, whatever is being decoded."""
    while (message := channel.receive()) is not None:
        inbox.put(message)
    os._exit(0)


def _private_pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Return the pipe's two ends, and point stdout at stderr for libraries that print."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, out


class _Channel:
    """Framed messages over two byte streams."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink

    def send(self, message: Message) -> None:
        arrays = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
        listing = [(name, a.dtype.str, a.shape) for name, a in arrays.items()]
        header = json.dumps({"header": dict(message.header), "arrays": listing}).encode()
        self._sink.write(struct.pack(">I", len(header)))
        self._sink.write(header)
        for array in arrays.values():
            self._sink.write(array.reshape(-1).view(np.uint8))
        self._sink.flush()

    def receive(self) -> Message | None:
        """Return the next message, or None where the other side is gone."""
        try:
            (length,) = struct.unpack(">I", self._read(4))
            if length > MAX_HEADER_BYTES:
                return None
            frame = json.loads(self._read(length))
            arrays = {}
            for name, dtype, shape in frame["arrays"]:
                size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
                arrays[name] = np.frombuffer(self._read(size), dtype).reshape(shape)
            return Message(frame["header"], arrays)
        except (EOFError, OSError, ValueError):
            return None

    def _read(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise EOFError
        return data
