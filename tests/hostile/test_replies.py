"""What a child answers whose decoder was taken over: nothing of it is believed."""

import copy

import numpy as np
import pytest

from soravec.channel import Message
from soravec.library.replies import Failed, Made, read_made, read_said

from .test_media import MODEL, outcomes


@pytest.fixture(scope="module")
def sound(videos):
    (outcome,) = outcomes([(videos / "0.mp4",)])
    assert isinstance(read_made("x", outcome.reply, MODEL), Made)
    return outcome.reply


WRONG = (None, [], {}, "\ud800", -1, 1e400, float("nan"), [[1]], "x", True, 2**70, ["\ud800"])


@pytest.mark.hostile("answers of children")
def test_no_answer_that_is_wrong_is_believed_or_ends_the_run(sound, figures):
    """Each part is replaced by each of what it must not be; some are harmless, none may raise."""
    for part in sound.header:
        for value in WRONG:
            header = {**copy.deepcopy(dict(sound.header)), part: value}
            figures.count(_wrong(Message(header, sound.arrays), f"{part} = {value!r}"))
        header = {name: value for name, value in sound.header.items() if name != part}
        figures.count(_wrong(Message(header, sound.arrays), f"no {part}"))
    for part in sound.header["info"]:
        for value in WRONG:
            header = copy.deepcopy(dict(sound.header))
            header["info"][part] = value
            figures.count(_wrong(Message(header, sound.arrays), f"info: {part} = {value!r}"))
    for lines in ([["a"]], [[1, "\ud800", 0, 1, ""]], [[1, 2, 3, 4, 5]], [[1, "a", "x", 1, ""]], 5):
        header = {**sound.header, "words": {"lines": lines, "warnings": []}}
        made = read_made("x", Message(header, sound.arrays), MODEL)
        figures.count(None if isinstance(made, Failed) else f"words {lines} were believed")


def _wrong(reply, what):
    try:
        made = read_made("x", reply, MODEL)
        read_said("x", reply)
    except Exception as error:  # noqa: BLE001  # it would end the run
        return f"{what}: {type(error).__name__}: {error}"
    if isinstance(made, Made) and ("\\ud800" in repr(made.embedding) or made.words is None):
        return f"{what}: it was believed"
    return None


@pytest.mark.parametrize("name", ["features", "seconds", "shots", "bounds", "vectors"])
def test_arrays_of_another_kind_are_refused(sound, name):
    array = sound.arrays[name]
    others = (
        array[:0],
        array[None],
        np.full_like(array, np.nan),
        np.full_like(array, 1e4),
        array.astype(object),
        np.zeros(3, "U3"),
        array[:, :1] if array.ndim == 2 else array[:1],
    )
    for other in others:
        made = read_made("x", Message(sound.header, {**sound.arrays, name: other}), MODEL)
        if name in ("features", "seconds", "shots", "bounds") and isinstance(made, Made):
            assert np.isfinite(np.asarray(other, np.float64)).all()  # of the right kind, and wrong
        else:
            assert isinstance(made, Failed), (name, other)
    made = read_made("x", Message(sound.header, {}), MODEL)
    assert isinstance(made, Failed)
