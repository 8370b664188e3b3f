"""Supervised child processes: for everything that may hang, crash or grow.

A child is `python -m MODULE`, spoken to over a framed pipe. It is never started by
multiprocessing, whose spawn re-imports the user's script and whose pools cannot kill one worker.
"""

import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any, Generic, TypeVar

from soravec.channel import Channel, Message
from soravec.errors import WorkerError
from soravec.sandbox import (
    ChildLimits,
    cap_cpu_seconds,
    child_environment,
    confine,
    memory_of,
    open_files_of,
    withdraw,
)

MAX_LAST_WORDS = 20
START_SECONDS = 120.0
"""A child that is not ready by then has failed."""

SEND_SECONDS = 60.0
"""A child that does not take what it is sent by then is killed."""
LOOK_SECONDS = 0.2
"""How often a child's memory is looked at."""

J = TypeVar("J")
Answer = Callable[[J, Mapping[str, Any], Callable[[], bool]], "Message"]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[J]):
    """What became of one job."""

    job: J
    """The job, as submitted."""
    reply: Message | WorkerError
    """The child's last message, or why there is none."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What to start children of."""

    module: str
    """What to run: `python -m MODULE`, which calls `serve`."""
    setup: Message
    """First message to every child; it answers `{"kind": "ready"}`."""
    limits: ChildLimits | None = ChildLimits()
    """What a child may use; `soravec.sandbox` tells what else it gives up. None trusts it."""


def supervise(
    worker: Worker,
    jobs: Iterable[J],
    *,
    encode: Callable[[J], Message],
    deadline_seconds: Callable[[Mapping[str, Any]], float],
    num_workers: int,
    answer: Answer[J] | None = None,
    on_progress: Callable[[J, Mapping[str, Any]], None] | None = None,
) -> Iterator[Outcome[J]]:
    """Yield the outcome of every job, in order of completion.

    A child that dies or overruns its deadline loses only the job that it was at; another child
    takes its place. `jobs` is read, and `on_progress` called, in the caller's thread. Closing the
    generator, or an interrupt, kills every child.

    Args:
        worker: What to start.
        jobs: Read only as far as there are workers to take them.
        encode: Turns a job into its message.
        deadline_seconds: Seconds that a job may take from its start, from the header of the last
            progress message (at first an empty one).
        num_workers: Children at most.
        answer: Called, in a thread of its own, with a job, the header of what its child asks for,
            and what tells whether the answer is still wanted.
        on_progress: Called with a job and the header of each of its progress messages.

    Raises:
        WorkerError: No child could be started.
    """
    waiting: queue.Queue[J | None] = queue.Queue()
    events: queue.Queue[tuple[J, Mapping[str, Any]] | Outcome[J] | WorkerError] = queue.Queue()
    stopping = threading.Event()
    terms = _Terms(worker, encode, deadline_seconds, answer)
    shared = terms, waiting, events, stopping
    threads: list[threading.Thread] = []
    in_flight = 0
    supply = iter(jobs)
    try:
        while True:
            while in_flight < num_workers and (job := next(supply, None)) is not None:
                waiting.put(job)
                in_flight += 1
                if len(threads) < in_flight:
                    threads.append(threading.Thread(target=_tend, args=shared, daemon=True))
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


class Parent:
    """What a job in a child may say to its parent while it works."""

    def __init__(self, channel: "Channel", inbox: "queue.Queue[Message]") -> None:
        self._channel = channel
        self._inbox = inbox

    def tell(self, header: Mapping[str, Any]) -> None:
        """Report progress."""
        self._channel.send(Message({**header, "kind": "progress"}))

    def ask(self, header: Mapping[str, Any]) -> Message:
        """Ask for something, and wait for the answer of `supervise`'s `answer`."""
        self._channel.send(Message({**header, "kind": "ask"}))
        return self._inbox.get()


def serve(open_session: Callable[[Message], Callable[[Message, Parent], Message]]) -> None:
    """Run the child's side of the pipe until the parent closes it.

    If its parent says so, the process withdraws from others at once, and is confined between the
    call of `open_session` and the first job: what needs sockets, processes or files to write is
    done by then.

    Args:
        open_session: Called once with the setup message; returns the function that does a job,
            which is given the job and the parent to speak to.
    """
    channel = Channel(*_private_pipe())
    first = channel.receive()
    if first is None:  # the parent is gone
        return
    terms = first.header
    limits = None if terms["limits"] is None else ChildLimits(**terms["limits"])
    lacking = [] if limits is None else withdraw()  # before there is a second thread
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    work = open_session(inbox.get())
    if limits is not None:
        lacking += confine(limits, parent_id=terms["parent"])
    channel.send(Message({"kind": "ready", "lacking": lacking}))
    parent = Parent(channel, inbox)
    while True:
        channel.send(work(inbox.get(), parent))


class Child:
    """A running `python -m MODULE`.

    Args:
        worker: What to run.

    Attributes:
        lacking: What it could not give up on this machine, in sentences.

    Raises:
        WorkerError: It died before it was ready.
        TimeoutError: It was not ready in time.
    """

    def __init__(self, worker: Worker) -> None:
        self._limits = worker.limits
        self._looked = 0.0
        self._process = subprocess.Popen(
            # -P: a file of the working directory must not shadow a module of ours.
            [sys.executable, "-P", "-m", worker.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(os.environ),
            # Ctrl-C reaches the parent alone, which decides.
            start_new_session=os.name == "posix",
        )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._channel = Channel(self._process.stdout, self._process.stdin)
        self._inbox: queue.Queue[Message | None] = queue.Queue()
        self._last_words: deque[str] = deque(maxlen=MAX_LAST_WORDS)
        threading.Thread(target=self._pump, daemon=True).start()
        self._ears = threading.Thread(target=self._overhear, daemon=True)
        self._ears.start()
        try:
            limits = None if worker.limits is None else asdict(worker.limits)
            self.send(Message({"limits": limits, "parent": os.getpid()}))
            self.send(worker.setup)
            ready = self.receive(START_SECONDS).header
            self.lacking: tuple[str, ...] = tuple(ready.get("lacking", ()))
            self._held = memory_of(self._process.pid)  # a large model, and no job yet
            self._files = open_files_of(self._process.pid)
        except (WorkerError, TimeoutError):
            self.kill()
            raise

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            WorkerError: The child is dead.
        """
        alarm = threading.Timer(SEND_SECONDS, self._process.kill)  # one that does not listen
        alarm.start()
        try:
            self._channel.send(message)
        except (OSError, ValueError) as error:
            raise WorkerError(self._obituary()) from error
        finally:
            alarm.cancel()

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

    def allow(self, seconds: float) -> None:
        """Let it compute for so long from now on, on as many cores as there are."""
        if self._limits is not None:
            cap_cpu_seconds(self._process.pid, seconds * (os.cpu_count() or 1))

    def look(self) -> None:
        """Look at its memory, now and then.

        Raises:
            WorkerError: It holds more than it may.
        """
        now = time.monotonic()
        if self._limits is None or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        held, most = memory_of(self._process.pid), self._limits.memory_bytes
        if held > most:
            raise WorkerError(
                f"held {held / 2**20:.0f} MiB of memory where {most / 2**20:.0f} are allowed"
                " (--limit memory=BYTES); its worker was killed"
            )

    def is_worn(self) -> bool:
        """Whether it has kept so much of its jobs that another one should take its place."""
        if self._limits is None:
            return False
        held = memory_of(self._process.pid) - self._held
        files = open_files_of(self._process.pid) - self._files
        return held > self._limits.memory_bytes / 2 or files > self._limits.open_files / 2

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
        """Return how it died; one that only fell silent, or spoke nonsense, is killed first."""
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "the worker process spoke nonsense or fell silent, and was killed"
        self._ears.join(timeout=1)
        how = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        words = f" ({self._last_words[-1]})" if self._last_words else ""
        return f"the worker process died: {how}{words}"


@dataclass(frozen=True, slots=True)
class _Terms(Generic[J]):
    """What `supervise` was given, for the threads that tend to children."""

    worker: Worker
    encode: Callable[[J], Message]
    deadline_seconds: Callable[[Mapping[str, Any]], float]
    answer: Answer[J] | None


def _tend(
    terms: _Terms[J],
    waiting: "queue.Queue[J | None]",
    events: "queue.Queue[Any]",
    stopping: threading.Event,
) -> None:
    """Keep one child at work until the queue holds a None."""
    child: Child | None = None
    while (job := waiting.get()) is not None and not stopping.is_set():
        try:
            child = child or Child(terms.worker)
        except (WorkerError, TimeoutError, OSError) as error:
            reason = str(error) or f"the worker process was not ready within {START_SECONDS:.0f} s"
            events.put(WorkerError(reason))
            return
        try:
            child.send(terms.encode(job))
            reply = _await_reply(child, job, terms, events, stopping)
            events.put(Outcome(job, reply))
            is_spent = child.is_worn()
        except WorkerError as error:
            events.put(Outcome(job, error))
            is_spent = True
        except Exception as error:  # noqa: BLE001  # what a child sent must not end its thread
            reason = f"it was not understood ({type(error).__name__}: {error})"
            events.put(Outcome(job, WorkerError(f"{reason}; its worker was killed")))
            is_spent = True
        if is_spent:
            child.kill()
            child = None
    if child is not None:
        child.kill()


def _await_reply(
    child: Child,
    job: J,
    terms: _Terms[J],
    events: "queue.Queue[Any]",
    stopping: threading.Event,
) -> Message:
    """Return the first message that is neither progress nor a question."""
    started = time.monotonic()
    progress: Mapping[str, Any] = {}
    capped = 0.0

    def go_on() -> bool:
        allowed = terms.deadline_seconds(progress)
        return not stopping.is_set() and time.monotonic() < started + allowed

    while not stopping.is_set():
        allowed = terms.deadline_seconds(progress)
        remaining = started + allowed - time.monotonic()
        if allowed != capped:
            child.allow(remaining)
            capped = allowed
        child.look()
        if remaining <= 0:
            raise WorkerError(
                f"not done within its deadline of {allowed:.0f} s; its worker was killed"
            )
        try:
            message = child.receive(min(remaining, LOOK_SECONDS))
        except TimeoutError:
            continue
        kind = message.header.get("kind")
        if kind == "ask":
            if terms.answer is None:
                raise WorkerError("it asked for what it is not given; its worker was killed")
            child.send(terms.answer(job, message.header, go_on))
        elif kind == "progress":
            progress = _checked_progress(message.header)
            events.put((job, progress))
        else:
            return message
    raise WorkerError("stopped")


def _checked_progress(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a child says of its progress.

    Raises:
        ValueError: A number in it is negative or not finite.
        TypeError: Something in it is neither a number nor a text.
    """
    for name, value in header.items():
        if isinstance(value, str | bool):
            continue
        if not isinstance(value, int | float):
            raise TypeError(f"{name} is no number")
        if not (math.isfinite(value) and 0 <= value < 2**53):
            raise ValueError(f"{name} is {value}")
    return header


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a realtime signal
        return f"signal {number}"


def _next_event(events: "queue.Queue[Any]") -> Any:  # noqa: ANN401  # one of three kinds
    """Return the next event, leaving room for an interrupt on every platform."""
    while True:
        try:
            return events.get(timeout=0.5)
        except queue.Empty:
            continue


def _listen(channel: "Channel", inbox: "queue.Queue[Message]") -> None:
    """Collect jobs; when the parent is gone, go at once, whatever is being decoded."""
    while (message := channel.receive()) is not None:
        inbox.put(message)
    os._exit(0)


def _private_pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Return the pipe's two ends, and point stdout at stderr for libraries that print."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, out
