"""The part of the corpus whose index, flags or edit lists mislead, and codecs seldom met.

A jump lands by what the container says of its keyframes: here it lies about them, leaves them out,
or begins in the middle. What is delivered must be what reading straight through gives.
"""

import struct
from dataclasses import replace
from fractions import Fraction

import av

from .corpus import FORMATS, FROM_ZERO, HAS_B_FRAMES
from .making import ENCODERS, RATE, Look, Truth, coded, make, mux
from .surgery import TS_PACKET_BYTES, box, ebml, edit_mp4, replaced, vint

NUM = 250
WRAP_SECONDS = Fraction(2**33, 90_000)
"""When the clock of a TS begins again at 0: after 26.5 hours."""

CIF = {"height": 144, "width": 176}
TELEVISION = {"height": 576, "width": 720, "num": 12, "aspect": Fraction(16, 15)}
LARGER = {"height": 128, "width": 192}
SELDOM = (
    ("jpeg2000", "yuv420p", "mov mxf mkv avi", {}),
    ("cinepak", "rgb24", "avi mov", {}),
    ("utvideo", "yuv420p", "avi", {}),
    ("ffvhuff", "yuv420p", "avi", {}),
    ("magicyuv", "yuv420p", "avi", {}),
    ("svq1", "yuv410p", "mov", LARGER),
    ("h263", "yuv420p", "3gp avi mov", {**CIF, "aspect": Fraction(12, 11)}),
    ("h263p", "yuv420p", "avi", {**CIF, "aspect": Fraction(12, 11)}),
    ("h261", "yuv420p", "avi", CIF),
    ("snow", "yuv420p", "avi mkv", {}),
    ("dvvideo", "yuv420p", "avi mov dv", TELEVISION),
    ("dvvideo", "yuv422p", "mxf", TELEVISION),
    ("msmpeg4v2", "yuv420p", "avi", LARGER),
    ("wmv1", "yuv420p", "asf avi", {}),
    ("flashsv", "bgr24", "flv", {}),
    ("flashsv2", "bgr24", "flv", {}),
    ("zmbv", "bgr0", "avi", {}),
    ("zlib", "bgr24", "avi", {}),
    ("msvideo1", "rgb555le", "avi", {}),
    ("rpza", "rgb555le", "mov", {}),
    ("png", "rgb24", "mov avi", {}),
    ("targa", "bgr24", "mov avi", {}),
    ("tiff", "rgb24", "mov", {}),
    ("dpx", "rgb24", "mov", {}),
    ("v210", "yuv422p10le", "mov avi", {}),
    ("r210", "gbrp10le", "mov", {}),
    ("cfhd", "yuv422p10le", "mov avi", LARGER),
    ("dxv", "rgba", "mov", LARGER),
    ("asv2", "yuv420p", "avi", {}),
    ("amv", "yuvj420p", "avi", {"num": 40}),
    ("rv10", "yuv420p", "rm", CIF),
    ("rv20", "yuv420p", "rm", CIF),
    ("speedhq", "yuv422p", "avi", {}),
    ("libx264rgb", "rgb24", "mp4 mkv", {"options": {"crf": "12", "bf": "0"}}),
)
"""FFmpeg's encoder, pixel format, containers and look of what is seldom met."""

MISLED = {}
"""Functions of a folder by name, as `corpus.CASES`."""


def _case(name, function, *arguments, **keywords):
    assert name not in MISLED, name
    suffix = name.rsplit(".", 1)[1]

    def write(folder):
        path = folder / name.replace("/", "-")
        return path, function(path, suffix, *arguments, **keywords)

    MISLED[name] = write


def _lied(path, suffix, codec, lie, **changes):
    """Write frames of long GOPs, then let `lie` change the file in place."""
    first = 0 if suffix in FROM_ZERO else RATE
    look = Look(codec, **changes)
    truth = make(path, look, range(first, first + NUM), form=FORMATS[suffix])
    before = path.read_bytes()
    lie(path)
    assert path.read_bytes() != before, "the file is changed"
    return replace(truth, keyframes=None, warns="")


def _sync_table(wanted):
    """Return a lie: the samples of an MP4 that are said to be keyframes; None for no table."""
    path = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stss")
    body = b"" if wanted is None else b"".join(struct.pack(">I", n + 1) for n in wanted)
    count = 0 if wanted is None else len(wanted)
    table = b"" if wanted is None else box(b"stss", struct.pack(">II", 0, count) + body)
    return lambda file: file.write_bytes(replaced(file.read_bytes(), path, table))


def _mkv_flags(flag_of):
    """Return a lie: the keyframe flag of each block of a Matroska file."""

    def lie(path):
        data = bytearray(path.read_bytes())
        blocks = [begin for name, begin, _ in ebml(data, 0, len(data)) if name == 0xA3]
        for number, begin in enumerate(blocks):
            place = begin + vint(data, begin)[1] + 2
            data[place] = data[place] & 0x7F | 0x80 * flag_of(number)
        path.write_bytes(data)

    return lie


def _flv_flags(flag_of):
    """Return a lie: the keyframe flag of each picture of an FLV."""

    def lie(path):
        data = bytearray(path.read_bytes())
        begin, number = 13, 0
        while begin + 11 <= len(data):
            if data[begin] == 9 and data[begin + 12] == 1:
                kind = 0x10 if flag_of(number) else 0x20
                data[begin + 11] = data[begin + 11] & 0x0F | kind
                number += 1
            begin += 11 + int.from_bytes(data[begin + 1 : begin + 4], "big") + 4
        path.write_bytes(data)

    return lie


def _avi_flags(flag_of):
    """Return a lie: the keyframe flag of each picture in the index of an AVI."""

    def lie(path):
        data = bytearray(path.read_bytes())
        begin = data.rindex(b"idx1")
        (size,) = struct.unpack("<I", data[begin + 4 : begin + 8])
        for number, place in enumerate(range(begin + 8, begin + 8 + size, 16)):
            data[place + 4] = data[place + 4] & 0xEF | 0x10 * flag_of(number)
        path.write_bytes(data)

    return lie


def _renamed(old, new, *, last=True):
    """Return a lie: a chunk of another name, so that nobody looks into it."""

    def lie(path):
        data = path.read_bytes()
        place = data.rindex(old) if last else data.index(old)
        path.write_bytes(data[:place] + new + data[place + len(old) :])

    return lie


def _late_cues(path):
    """Let every cue of a Matroska file point to a time 3 s after that of its cluster."""
    data = bytearray(path.read_bytes())
    place = data.rindex(b"\x1c\x53\xbb\x6b")
    while (place := data.find(b"\xbb", place + 1)) >= 0:
        if data[place + 2] == 0xB3:  # CueTime within CuePoint
            length = data[place + 3] & 0x7F
            field = slice(place + 4, place + 4 + length)
            later = int.from_bytes(data[field], "big") + 3000
            data[field] = min(later, 256**length - 1).to_bytes(length, "big")
    path.write_bytes(data)


def _begun_late(path, suffix, codec, part, **changes):
    """Write a file and cut off its beginning, in the middle of a GOP."""
    truth = make(path, Look(codec, **changes), range(RATE, RATE + NUM), form=FORMATS[suffix])
    data = path.read_bytes()
    begin = int(len(data) * part)
    if suffix == "ts":
        begin -= begin % TS_PACKET_BYTES
    path.write_bytes(data[begin:])
    return replace(truth, keyframes=None, is_partial=True, warns="")


def _begun_at_keyframe(path, suffix, codec, **changes):
    """Write from the second keyframe of an open GOP on: what leans on the first is lost."""
    look = Look(codec, **changes)
    packets = coded(look, range(RATE, RATE + NUM))
    second = [place for place, packet in enumerate(packets) if packet.is_keyframe][1]
    mux(path, look, packets[second:], form=FORMATS[suffix])
    numbers = tuple(range(NUM))
    times = tuple((RATE + number) / RATE for number in numbers)
    return Truth(numbers, times, None, is_partial=True, warns="")


def _rescaled(path, suffix, codec, **changes):
    """Write a Matroska file whose ticks are half a millisecond long."""
    truth = make(path, Look(codec, **changes), range(RATE, RATE + NUM), form=FORMATS[suffix])
    data = path.read_bytes()
    scale = b"\x2a\xd7\xb1\x83" + (1_000_000).to_bytes(3, "big")
    assert data.count(scale) == 1
    path.write_bytes(data.replace(scale, scale[:4] + (500_000).to_bytes(3, "big")))
    times = tuple(time / 2 for time in truth.times)
    return replace(truth, times=times, keyframes=None, end=None, is_as_drawn=False)


def _segments(path, suffix, segments, *, delay=0, **changes):
    """Write an edit list of several parts of the video: (first frame, number of frames).

    `delay` is by how many frames showing comes after decoding.
    """
    look = Look(time_base=Fraction(1, 1000), **changes)
    make(path, look, range(0, NUM * 40, 40), form=FORMATS[suffix])
    with av.open(str(path)) as container:
        scale = container.streams.video[0].time_base.denominator
    edit_mp4(path, [(num * 40, (first + delay) * scale // RATE, 1) for first, num in segments])
    numbers = [number for first, num in segments for number in range(first, first + num)]
    times = tuple(place / RATE for place in range(len(numbers)))
    keyframes = (0, 25) if segments[0] == segments[1] else None  # where a number stands twice
    return Truth(tuple(numbers), times, keyframes, is_as_drawn=False)


def _wrapped(path, suffix, codec, lead_seconds, **changes):
    """Write a TS whose clock begins anew after `lead_seconds`."""
    first = int((WRAP_SECONDS - lead_seconds) * RATE)
    look = Look(codec, **changes)
    truth = make(path, look, range(first, first + NUM), form=FORMATS[suffix])
    begin = float(Fraction(first, RATE) - WRAP_SECONDS)
    times = tuple(begin + number / RATE for number in truth.numbers)
    return replace(truth, times=times, keyframes=None, is_as_drawn=False)


def _few(path, suffix, codec, ticks, **changes):
    first = 0 if suffix in FROM_ZERO else RATE
    return make(path, Look(codec, **changes), [first + tick for tick in ticks],
                form=FORMATS[suffix], keyframes=None)  # fmt: skip


def _seldom(path, suffix, encoder, pixel_format, num=100, **changes):
    """Write with an encoder that the rest of the corpus does not use."""
    options = changes.pop("options", {})
    ENCODERS[encoder] = (encoder, pixel_format, options)
    first = 0 if suffix in FROM_ZERO | {"dv", "rm"} else RATE
    look = Look(encoder, **changes)
    truth = make(path, look, range(first, first + num), form=FORMATS.get(suffix, suffix))
    return replace(truth, keyframes=None, warns="")


def _enter_lies():
    tenth = [0, *range(7, NUM, 10)]
    every = {"keyframe_every": 50}
    for codec in ("h264", "hevc", "mpeg4"):
        for name, options in (("", {}), ("-reordered", {"options": HAS_B_FRAMES[codec]})):
            for lie, wanted in (("all-sync", None), ("wrong-sync", tenth), ("one-sync", [0])):
                _case(f"lies/{lie}-{codec}{name}.mp4", _lied, codec, _sync_table(wanted),
                      **every, **options)  # fmt: skip
    for codec, suffix in (("h264", "mkv"), ("vp9", "webm"), ("vp8", "webm"), ("hevc", "mkv")):
        for lie, flag_of in (("all", lambda _: 1), ("wrong", lambda n: n % 10 == 7)):
            _case(f"lies/{lie}-flagged-{codec}.{suffix}", _lied, codec, _mkv_flags(flag_of),
                  **every)  # fmt: skip
        cues = _renamed(b"\x1c\x53\xbb\x6b", b"\x1c\x53\xbb\x6f")
        _case(f"lies/no-cues-{codec}.{suffix}", _lied, codec, cues, **every)
        _case(f"lies/late-cues-{codec}.{suffix}", _lied, codec, _late_cues, **every)
    for lie, flag_of in (("all", lambda _: 1), ("wrong", lambda n: n % 10 == 7)):
        _case(f"lies/{lie}-flagged-h264.flv", _lied, "h264", _flv_flags(flag_of), **every)
        for codec in ("h264", "mpeg4"):
            _case(f"lies/{lie}-flagged-{codec}.avi", _lied, codec, _avi_flags(flag_of), **every)
    for codec in ("h264", "mpeg4", "mjpeg"):
        _case(f"lies/no-index-{codec}.avi", _lied, codec, _renamed(b"idx1", b"JUNK"), **every)


def _enter_beginnings():
    for codec in ("h264", "hevc", "mpeg2"):  # of MPEG-4 FFmpeg gives smears before the keyframe
        for name, options in (("", {}), ("-reordered", {"options": HAS_B_FRAMES[codec]})):
            _case(f"mid-gop/{codec}{name}.ts", _begun_late, codec, 0.17, **options)
    _case("mid-gop/mpeg2.mpg", _begun_late, "mpeg2", 0.17, noise=60)
    open_gops = {
        "h264": {"bf": "3", "x264-params": "open-gop=1:b-pyramid=normal:scenecut=0"},
        "hevc": {"bf": "3", "x265-params": "open-gop=1:bframes=3:scenecut=0"},
        "mpeg2": {"bf": "2", "b_strategy": "0"},
    }
    for codec, options in open_gops.items():
        for suffix in ("ts", "mkv"):
            _case(f"open-start/{codec}.{suffix}", _begun_at_keyframe, codec, options=options)
    for codec in ("h264", "hevc", "mpeg2"):
        _case(f"wrap/{codec}.ts", _wrapped, codec, 5)
        _case(f"wrap/{codec}-reordered.ts", _wrapped, codec, 5, options=HAS_B_FRAMES[codec])


def _enter_edits():
    for suffix in ("mp4", "mov"):
        _case(f"edits/swapped.{suffix}", _segments, [(100, 50), (25, 75)])
        _case(f"edits/twice.{suffix}", _segments, [(0, 50), (0, 50)])
        _case(f"edits/with-a-hole.{suffix}", _segments, [(0, 50), (150, 75)])
        _case(f"edits/inside-gops.{suffix}", _segments, [(10, 47), (163, 61)])
        _case(f"edits/inside-reordered.{suffix}", _segments, [(10, 47), (163, 61)],
              delay=2, options=HAS_B_FRAMES["h264"])  # fmt: skip


def _enter_few():
    hour = 3600 * RATE
    for codec, suffix in (
        ("h264", "mp4"), ("h264", "mkv"), ("h264", "ts"), ("h264", "flv"), ("vp9", "webm"),
        ("mpeg4", "avi"), ("hevc", "mov"), ("gif", "gif"), ("mjpeg", "avi"),
    ):  # fmt: skip
        _case(f"few/one-{codec}.{suffix}", _few, codec, [0])
        if suffix != "ts":  # FFmpeg itself opens no TS of two such small frames
            _case(f"few/two-{codec}.{suffix}", _few, codec, [0, 1])
        if suffix not in {"avi", "gif", "ts"}:
            _case(f"few/hours-apart-{codec}.{suffix}", _few, codec,
                  [0, 1, 2, hour, hour + 1, 2 * hour])  # fmt: skip
    _case("scale/half-ms-h264.mkv", _rescaled, "h264")
    _case("scale/half-ms-vp9.webm", _rescaled, "vp9")


def _enter_seldom():
    for encoder, pixel_format, suffixes, changes in SELDOM:
        for suffix in suffixes.split():
            name = f"seldom/{encoder}-{pixel_format}.{suffix}"
            _case(name, _seldom, encoder, pixel_format, **changes)


_enter_lies()
_enter_beginnings()
_enter_edits()
_enter_few()
_enter_seldom()
