"""What the contract asks of the reader on a file whose truth is known, and whether it does it.

The expected frames are worked out here from the words of docs/video.md alone: the picture for an
instant is the last whose PTS is not after it by more than 0.6 ms, and none is delivered twice.
"""

import math
import random
from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise

from soravec.errors import QueryError
from soravec.video import AtRate, AtSeconds, EveryFrame, Keyframes, Uniform, VideoReader

from .code import TIME_BITS, read

SAME = 0.0006
EXACT = 6e-6
"""How far a claimed time may be from the true one: half a tick of the 90 kHz of a TS."""


def requests(truth, *, num_random, seed=0):
    """Return (sampling, start, end) triples: every kind of sampling, whole and over spans."""
    rng = random.Random(seed)
    first, last = truth.times[0], truth.times[-1]
    length = max(last - first, 0.2)
    rates = (1, 2, 7.3, 25, 60)
    asked = [
        *((sampling, None, None) for sampling in (EveryFrame(), Uniform(1), Uniform(7))),
        *((AtRate(rate), None, None) for rate in rates[: 2 + num_random]),
        (AtRate(2 / length), None, None),
        (AtSeconds((first - 3.0, first, first + 0.61 * length, last + 9.0)), None, None),
        (AtSeconds((first + 0.93 * length,)), None, None),
    ]
    asked.append((Keyframes(), None, None))
    for _ in range(num_random):
        start, end = _span(rng, truth, length)
        samplings = [
            EveryFrame(),
            AtRate(rng.choice(rates)),
            Uniform(rng.randint(1, 9)),
            AtSeconds(tuple(sorted(_instant(rng, truth, length) for _ in range(4)))),
            Keyframes(),
        ]
        asked += [(sampling, start, end) for sampling in samplings]
    return asked


def _instant(rng, truth, length):
    """Return an instant: anywhere, or at the very edge of a frame."""
    if rng.random() < 0.4:
        return truth.times[0] + rng.uniform(-0.1, 1.05) * length
    return rng.choice(truth.times) + rng.choice((0.0, 0.0005, -0.0005, 0.0007, -0.0007, 0.013))


def _span(rng, truth, length):
    start = _instant(rng, truth, length)
    width = rng.choice((0.05, 0.3, 0.8)) * length
    kind = rng.random()
    if kind < 0.2:
        return None, start + width
    if kind < 0.6:
        return start, None
    return start, start + width


def failures(path, truth, asked):
    """Read a file in every way of `asked`; return (frames checked, what was wrong).

    Where the truth leaves room (frames lost, times mended), reading all frames settles it, and
    every other way of reading must agree.
    """
    found, checked = [], 0
    if truth.is_partial or truth.slack:
        truth, found = _settled(path, truth)
        if found:
            return 0, found
    for sampling, start, end in asked:
        what = f"{_name(sampling)} of [{start}, {end})"
        expected = _expected(truth, sampling, start, end)
        try:
            with VideoReader(path) as reader:
                got, claimed_end, wrong = _delivered(reader, truth, sampling, start, end)
                warnings = [*reader.info.warnings, *reader.warnings]
        except QueryError as error:
            if not any(list_ == [] for list_ in expected(None)):
                found.append(f"{what}: refused ({error})")
            continue
        except Exception as error:  # noqa: BLE001  (the judge reports whatever is raised)
            found.append(f"{what}: {type(error).__name__}: {error}")
            continue
        checked += len(got)
        found += [f"{what}: {problem}" for problem in wrong]
        if isinstance(sampling, Keyframes) and truth.keyframes is None:
            wrong = _amiss(got, truth, start)
        else:
            wrong = _compared(got, expected(claimed_end))
        found += [f"{what}: {problem}" for problem in wrong]
        if (sampling, start, end) == (EveryFrame(), None, None):
            found += [f"{what}: {problem}" for problem in _about(truth, claimed_end, warnings)]
    return checked, found


def _name(sampling):
    if isinstance(sampling, AtSeconds):
        return f"AtSeconds(({', '.join(f'{s:.4f}' for s in sampling.seconds)},))"
    return str(sampling)


def _delivered(reader, truth, sampling, start, end):
    """Return [(number, claimed seconds)], the claimed end, and pictures that are not right."""
    got, wrong = [], []
    for batch in reader.read(sampling, batch_size=16, start_seconds=start, end_seconds=end):
        if batch.images.shape[1:3] != truth.size:
            wrong.append(f"pictures are {batch.images.shape[1:3]}, not {truth.size}")
        for image, seconds in zip(batch.images, batch.seconds, strict=True):
            code = read(image)
            number = None if code is None else code[0]
            got.append((number, float(seconds)))
            if code is None and None not in truth.numbers:
                wrong.append(f"no code can be read at {seconds:.4f} s")
            if code is not None and truth.is_as_drawn and not _is_when_drawn(code, truth):
                wrong.append(f"number {number} was drawn for {code[1]:.4f} s")
    return got, float(reader.shots.bounds[-1, 1]), wrong[:3]


def _is_when_drawn(code, truth):
    """Whether the drawn time is the one that the truth has for the drawn number."""
    number, drawn_seconds = code
    true_seconds = truth.times[truth.numbers.index(number)] if number in truth.numbers else math.nan
    off = (true_seconds - drawn_seconds) % (2**TIME_BITS / 1e6)  # the drawn clock wraps around
    return min(off, 2**TIME_BITS / 1e6 - off) <= SAME


def _expected(truth, sampling, start, end):
    """Return a function of the claimed end that gives the lists of which one must come."""
    shown = list(zip(truth.numbers, truth.times, strict=True))
    low, high = truth.ends

    def lists(claimed_end):
        ends = [low, high] if claimed_end is None else [low, high, claimed_end]
        if isinstance(sampling, Uniform) and claimed_end is not None:
            ends = [claimed_end]
        return [_wanted(shown, truth, sampling, start, end, known) for known in ends]

    return lists


def _wanted(shown, truth, sampling, start, end, known_end):
    """Return the frames that must come, if the last one ends at `known_end`."""
    if isinstance(sampling, Keyframes) and truth.keyframes is not None:
        shown = [one for one in shown if one[0] in truth.keyframes]
    begin = -math.inf if start is None else start
    limit = min(math.inf if end is None else end, known_end)
    times = [time for _, time in shown]
    if begin >= known_end:
        return []
    first = max(bisect_right(times, begin + SAME) - 1, 0)
    span = [one for one in shown[first:] if one[1] < (math.inf if end is None else end) - SAME]
    if not span:
        return []
    if span[0][1] <= begin + SAME:
        span[0] = (span[0][0], begin)
    if isinstance(sampling, EveryFrame | Keyframes):
        return span
    return _on_show(span, _instants(sampling, span[0][1], limit, end))


def _instants(sampling, begin, limit, end):
    if isinstance(sampling, AtSeconds):
        return [s for s in sampling.seconds if end is None or s < end]
    if isinstance(sampling, Uniform):
        part = (limit - begin) / sampling.num_frames
        return [begin + (k + 0.5) * part for k in range(sampling.num_frames)]
    count = math.ceil((limit - begin - SAME) * sampling.fps - 1e-9)
    return [begin + k / sampling.fps for k in range(max(count, 1))]


def _on_show(span, instants):
    times = [time for _, time in span]
    places = [max(bisect_right(times, instant + SAME) - 1, 0) for instant in instants]
    return [span[place] for place in dict.fromkeys(places)]


def _compared(got, candidates):
    """Return how what came differs from the last of the lists, if from all that may come."""
    problems = [_difference(got, wanted) for wanted in candidates]
    return [] if None in problems else [problems[-1]]


def _difference(got, wanted):
    for place, ((number, seconds), (true_number, true_seconds)) in enumerate(
        zip(got, wanted, strict=False)
    ):
        if number != true_number or abs(seconds - true_seconds) > EXACT:
            return (
                f"frame {place} is number {number} at {seconds:.6f},"
                f" should be {true_number} at {true_seconds:.6f} ({len(got)}/{len(wanted)} frames)"
            )
    if len(got) != len(wanted):
        more = wanted[len(got) :] or got[len(wanted) :]
        return f"{len(got)} frames, should be {len(wanted)}; the difference begins with {more[0]}"
    return None


def _amiss(got, truth, start):
    """Return what is wrong with frames of which it is not known how many must come."""
    shown = list(zip(truth.numbers, truth.times, strict=True))
    begin = -math.inf if start is None else start
    wrong = [] if got else ["no frames"]
    for place, (number, seconds) in enumerate(got):
        true = [time for known, time in shown if known == number]
        if place == 0:
            true = [begin if time <= begin + SAME else time for time in true]
        if not any(abs(seconds - time) <= EXACT for time in true):
            wrong.append(f"number {number} at {seconds:.6f}, should be at {true}")
    return wrong[:3]


def _settled(path, truth):
    """Read all frames; return the truth with what came, and what of it was wrong.

    The last frame of a file that is cut off may be a guess of the decoder's, if a warning says
    that something is missing.
    """
    try:
        with VideoReader(path) as reader:
            got, _, wrong = _delivered(reader, truth, EveryFrame(), None, None)
            said = reader.warnings
    except Exception as error:  # noqa: BLE001  (the judge reports whatever is raised)
        return truth, [f"all frames: {type(error).__name__}: {error}"]
    times = dict(zip(truth.numbers, truth.times, strict=True))
    if truth.is_partial and said and got[-1][0] not in times:
        wrong = []
    judged = got[:-1] if truth.is_partial and said else got
    wrong += [
        f"number {number} at {seconds:.6f}, should be {times.get(number)}"
        for number, seconds in judged
        if number not in times or abs(seconds - times[number]) > EXACT + truth.slack
    ][:3]
    numbers = tuple(number for number, _ in got)
    claimed = tuple(seconds for _, seconds in got)
    if any(after <= before for before, after in pairwise(claimed)):
        wrong.append("the times do not ascend")
    if not truth.is_partial and numbers != truth.numbers:
        wrong.append(f"{len(got)} frames of {len(truth.numbers)}")
    if not got:
        wrong.append("no frames")
    keyframes = truth.keyframes and tuple(n for n in truth.keyframes if n in times)
    settled = replace(truth, numbers=numbers, times=claimed, keyframes=keyframes)
    return settled, [f"all frames: {problem}" for problem in wrong]


def _about(truth, claimed_end, warnings):
    """Check what is said beside the frames: the end, and the warnings."""
    low, high = truth.ends
    if not low - 0.001 <= claimed_end <= high + 0.001:
        yield f"the end is claimed to be {claimed_end:.4f}, it is {low:.4f} to {high:.4f}"
    if truth.warns is None and warnings:
        yield f"warnings without a cause: {warnings}"
    if truth.warns and not any(truth.warns in warning for warning in warnings):
        yield f"no warning says {truth.warns!r}: {warnings}"
