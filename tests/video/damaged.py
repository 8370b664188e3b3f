"""The part of the corpus that gets its times wrong, and what the reader is to make of them.

A frame with a good time keeps it. One whose time is missing or does not advance is put evenly
between its good neighbours; a jump back that lasts is carried on from the last time. All frames
here are due at even steps before their file is damaged, so that mending gives the steps back.
"""

from dataclasses import replace

from .corpus import FORMATS, HAS_B_FRAMES, MILLISECONDS
from .making import RATE, Look, Truth, make
from .surgery import edit_mp4, restep_mp4, retime_flv, retime_mkv, retime_ts, zero_mkv

NUM = 250
STEP = 1 / RATE
RETIME = {
    "ts": (retime_ts, 90_000),
    "mkv": (retime_mkv, 1000),
    "webm": (retime_mkv, 1000),
    "flv": (retime_flv, 1000),
}
"""What sets the times of a container, and in how many ticks a second."""

DAMAGED = {}
"""Functions of a folder by name, as `corpus.CASES`."""

INTRA = {"keyframe_every": 1}


def _case(name, function, *arguments, **keywords):
    assert name not in DAMAGED, name
    suffix = name.rsplit(".", 1)[1]

    def write(folder):
        path = folder / name.replace("/", "-")
        return path, function(path, suffix, *arguments, **keywords)

    DAMAGED[name] = write


def _retimed(path, suffix, codec, change, *, shown=None, warns="", slack=0.0, **changes):
    """Write frames from 1 s on, and set the time of frame n, at t s, to `change(n, t)`."""
    truth = make(path, Look(codec, **changes), range(RATE, RATE + NUM), form=FORMATS[suffix])
    retime, scale = RETIME[suffix]

    def ticks(number, before):
        seconds = change(number, before / scale)
        return None if seconds is None else round(seconds * scale)

    assert retime(path, ticks) == NUM, "each frame has a time of its own to be changed"
    times = tuple(shown(n, t) for n, t in enumerate(truth.times)) if shown else truth.times
    return replace(
        truth, times=times, keyframes=None, warns=warns, slack=slack, is_as_drawn=shown is None
    )


def _joined(path, suffix, codec, begins, num=100, **changes):
    """Write recordings one behind the other into one file, each beginning at its own time."""
    look = Look(codec, **changes)
    parts = []
    for place, begin in enumerate(begins):
        part = path.with_name(f"part{place}.{suffix}")
        first, numbers = round(begin * RATE), range(place * num, place * num + num)
        make(part, look, range(first, first + num), form=FORMATS[suffix], numbers=numbers)
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    total = num * len(begins)
    times = tuple(begins[0] + number * STEP for number in range(total))
    return Truth(tuple(range(total)), times, None, warns="jump back", is_as_drawn=False)


def _restepped(path, suffix, deltas, shown, **changes):
    """Write an MP4 whose table of durations says `deltas(n)` steps for frame n."""
    truth = make(path, Look(**changes), form=FORMATS[suffix])
    ticks = _ticks_a_step(path)
    restep_mp4(path, [round(deltas(number) * ticks) for number in range(NUM)])
    return replace(truth, times=tuple(map(shown, range(NUM))), keyframes=None, warns="", end=None)


def _ticks_a_step(path):
    data = path.read_bytes()
    place = data.index(b"mdhd") + 4
    return int.from_bytes(data[place + 12 : place + 16], "big") // RATE


def _before_zero(path, suffix):
    """Write frames from -12 steps on: the edit list of an MP4 leaves out what lies before 0."""
    make(path, Look(), range(-12, 88), form=FORMATS[suffix])
    numbers = tuple(range(12, 100))
    times = tuple((number - 12) * STEP for number in numbers)
    return Truth(numbers, times, None)


def _repeated(path, suffix):
    """Write an edit list that shows frames 0 to 49 twice, then 125 to 174."""
    make(path, Look(time_base=MILLISECONDS), range(0, 10_000, 40), form=FORMATS[suffix])
    edit_mp4(path, [(2000, 0, 1), (2000, 0, 1), (2000, 125 * _ticks_a_step(path), 1)])
    numbers = (*range(50), *range(50), *range(125, 175))
    return Truth(numbers, tuple(n * STEP for n in range(150)), None, is_as_drawn=False)


def _holed(path, suffix, codec, lost, **changes):
    """Write frames that decode alone, and fill some with zeros."""
    truth = make(path, Look(codec, **INTRA, **changes), range(RATE, RATE + NUM), form="matroska")
    zero_mkv(path, lost)
    kept = [n for n in truth.numbers if n not in lost]
    times = tuple(truth.times[number] for number in kept)
    return Truth(tuple(kept), times, None, warns="could not be decoded")


def _every(period, offset, otherwise):
    """Change each `period`-th frame."""
    return lambda n, t: otherwise(t) if n % period == offset else t


SINGLE = {
    "duplicate": _every(10, 5, lambda t: t - STEP),
    "two-duplicates": lambda n, t: t - (n % 20 - 4) * STEP if n % 20 in {5, 6} else t,
    "slightly-back": _every(12, 7, lambda t: t - 1.5 * STEP),
    "far-back": _every(60, 30, lambda t: max(t - 3.0, 0.2)),
    "stray-ahead-50": lambda n, t: t + 50 if n == 120 else t,
    "stray-ahead-5": lambda n, t: t + 5 if n == 120 else t,
    "stray-ahead-1": _every(70, 33, lambda t: t + 1),
}
"""Single wrong times, which mending gives back."""


def _enter_wrong_times():
    kinds = [
        ("mpeg2", "ts", INTRA), ("h264", "ts", {}), ("h264", "flv", {}), ("h264", "mkv", {}),
        ("vp8", "webm", {}), ("mjpeg", "mkv", {}),
    ]  # fmt: skip
    for codec, suffix, changes in kinds:
        for name, change in SINGLE.items():
            if "50" in name and suffix in {"mkv", "webm"}:
                continue  # a block lies within 32 s of its cluster
            _case(f"wrong/{name}-{codec}.{suffix}", _retimed, codec, change, **changes)
        back = _every(10, 4, lambda t: t + STEP)  # as the next, which then does not advance
        _case(f"wrong/as-the-next-{codec}.{suffix}", _retimed, codec, back, slack=STEP, **changes)
        jitter = lambda n, t: t + (n * 7 % 11 - 5) * 0.003  # noqa: E731  (a table of functions)
        _case(f"wrong/jitter-{codec}.{suffix}", _retimed, codec, jitter, shown=jitter, warns=None,
              **changes)  # fmt: skip
        gap = lambda n, t: t + 20 * (n >= 120)  # noqa: E731
        _case(f"wrong/gap-{codec}.{suffix}", _retimed, codec, gap, shown=gap, warns=None,
              **changes)  # fmt: skip
        splice = lambda n, t: t if n < 120 else t - 4.5  # noqa: E731
        _case(f"spliced/back-{codec}.{suffix}", _retimed, codec, splice, warns="jump back",
              **changes)  # fmt: skip
    for codec, changes in (("mpeg2", INTRA), ("h264", {}), ("hevc", {})):
        for name, change in (
            ("single", _every(7, 3, lambda _: None)),
            ("pairs", lambda n, t: None if n % 9 in {3, 4} else t),
            ("keyframes-only", lambda n, t: None if n % 25 else t),
            ("all-but-first", lambda n, t: None if n else t),
            ("the-last-ten", lambda n, t: None if n >= NUM - 10 else t),
        ):
            _case(f"missing/{name}-{codec}.ts", _retimed, codec, change, **changes)


def _enter_joined():
    for codec in ("h264", "mpeg2", "hevc"):
        options = {"options": HAS_B_FRAMES[codec]}
        _case(f"spliced/two-{codec}.ts", _joined, codec, (5.0, 1.0))
        _case(f"spliced/three-{codec}.ts", _joined, codec, (9.0, 5.0, 1.0))
        _case(f"spliced/same-{codec}.ts", _joined, codec, (1.0, 1.0))
        _case(f"spliced/two-{codec}-reordered.ts", _joined, codec, (5.0, 1.0), **options)
    _case("spliced/two-mpeg2.mpg", _joined, "mpeg2", (5.0, 1.0))


def _enter_tables():
    even = lambda n: n * STEP  # noqa: E731
    for suffix in ("mp4", "mov"):
        for name, deltas in (
            ("some-zero", lambda n: 0 if n % 10 == 4 else 2 if n % 10 == 5 else 1),
            ("runs-of-zero", lambda n: (0, 0, 0, 4)[n % 4]),
        ):
            _case(f"table/{name}.{suffix}", _restepped, deltas, even)


def _enter_edges():
    wrap = 2**33 / 90_000  # seconds at which the clock of a TS begins again
    changed = lambda n, _: wrap - 4 + n * STEP  # noqa: E731
    for codec in ("h264", "mpeg2", "hevc"):
        _case(f"wrapped/{codec}.ts", _retimed, codec, changed, shown=lambda n, _: n * STEP - 4,
              warns=None)  # fmt: skip
    for suffix in ("mp4", "mov"):
        _case(f"start/before-zero.{suffix}", _before_zero)
        _case(f"edit-list/repeated.{suffix}", _repeated)


def _enter_holes():
    for codec in ("h264", "vp8", "mjpeg"):
        _case(f"holes/{codec}.mkv", _holed, codec, {0, 30, 31, 32, 100, 249})


_enter_wrong_times()
_enter_joined()
_enter_tables()
_enter_holes()
_enter_edges()
