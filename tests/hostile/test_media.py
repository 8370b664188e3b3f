"""Damaged and lying files through the worker as `index` runs it: a result or a typed error."""

import inspect
import time

import numpy as np
import pytest

from soravec import errors, load
from soravec.errors import WorkerError
from soravec.library.fetching import Fetcher
from soravec.library.indexer import WORKER
from soravec.library.replies import Failed, read_made
from soravec.library.worker import job_message, setup_message
from soravec.process import Worker, supervise
from soravec.sandbox import ChildLimits

from .mutations import SEEDS, mutated, write_seeds

DEADLINE_SECONDS = 30.0
MEMORY_BYTES = 1536 * 2**20
MODEL = load()
FETCHER = Fetcher("private")
TYPED = {name for name, kind in inspect.getmembers(errors, inspect.isclass)} | {"OutOfMemory"}


def outcomes(jobs, *, deadline=DEADLINE_SECONDS, limits=ChildLimits(MEMORY_BYTES), num_workers=2):  # noqa: B008
    """Yield what the worker makes of (path, ...) jobs, as `index` would have it."""
    setup = setup_message(MODEL, sampling="uniform", num_threads=1)
    yield from supervise(
        Worker(WORKER, setup, limits),
        jobs,
        encode=lambda job: job_message(str(job[0]), sidecars=()),
        deadline_seconds=lambda progress: deadline,
        num_workers=num_workers,
        answer=lambda job, header, go_on: FETCHER.answer(str(job[0]), header, go_on),
    )


def wrong_with(reply, figures):
    """Return what is wrong with a reply, or None; and count what became of the file."""
    if isinstance(reply, WorkerError):
        how = "killed at its deadline" if "deadline" in str(reply) else "died"
        figures.note(f"worker {how}, typed error for that file")
        return None
    made = read_made("it", reply, MODEL)
    if isinstance(made, Failed):
        figures.note(f"refused: {made.error_type}")
        is_typed = made.error_type in TYPED and "nonsense" not in made.message
        return None if is_typed else made.message
    features, embedding, _ = made
    figures.note("read")
    if not (np.diff(features.seconds) > 0).all():
        return "times that do not ascend"
    if not all(s.end_seconds > s.start_seconds for s in embedding.segments):
        return "an empty segment"
    return None


@pytest.mark.hostile("mutated media")
def test_a_mutated_file_gives_a_result_or_a_typed_error(tmp_path, figures, is_long):
    assert len(SEEDS) >= 10
    sound = write_seeds(tmp_path / "sound")
    number_of_files = 20_000 if is_long else 1_000

    def jobs():
        for number in range(number_of_files):
            name, data = mutated(sound, number)
            path = tmp_path / name
            path.write_bytes(data)
            yield path, time.monotonic()

    for outcome in outcomes(jobs()):
        path, began = outcome.job
        wrong = wrong_with(outcome.reply, figures)
        if time.monotonic() - began > 2 * DEADLINE_SECONDS:
            wrong = "long after its deadline"
        figures.count(wrong and f"{path.name}: {wrong}")
        path.unlink()
    assert figures.cases == number_of_files
    assert figures.facts["read"] > number_of_files / 10, "hardly a file was read: too much is wrong"


@pytest.mark.hostile("sound media")
def test_the_sound_files_are_all_read(tmp_path, figures):
    """Else the test above would pass with a worker that refuses everything."""
    for outcome in outcomes([(tmp_path / name,) for name in write_seeds(tmp_path)]):
        figures.count(wrong_with(outcome.reply, figures))
    assert figures.facts == {"read": len(SEEDS)}


def test_pictures_before_the_start_cost_no_file(tmp_path):
    """Found by the long form: their progress was negative, and the worker was killed for it."""
    sound = write_seeds(tmp_path / "sound")
    jobs = []
    for number in (1247, 6005, 11846, 15388):
        name, data = mutated(sound, number)
        (tmp_path / name).write_bytes(data)
        jobs.append((tmp_path / name,))
    for outcome in outcomes(jobs):
        assert not isinstance(outcome.reply, WorkerError), (outcome.job, outcome.reply)
        assert not isinstance(read_made("it", outcome.reply, MODEL), Failed), outcome.job
