"""The corpus: codecs x containers x cases, each a function that writes a file and tells its truth.

`CASES` maps a name such as `plain/h264.mp4` to its function of a folder; the first word is the
group. What a muxer refuses is not in it: every pair below was tried. Times that the files get wrong
on purpose are in `damaged.py`.
"""

import random
from dataclasses import replace
from fractions import Fraction

import av
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace

from .making import (
    RATE,
    Look,
    Truth,
    add_stream,
    coded,
    drawn,
    encoded,
    make,
    make_many,
    mux,
)
from .surgery import edit_mp4, turn_mp4

FORMATS = {
    "mp4": "mp4",
    "mov": "mov",
    "mkv": "matroska",
    "webm": "webm",
    "avi": "avi",
    "ts": "mpegts",
    "flv": "flv",
    "mxf": "mxf",
    "asf": "asf",
    "ogg": "ogg",
    "nut": "nut",
    "mpg": "vob",
    "3gp": "3gp",
    "gif": "gif",
    "apng": "apng",
    "webp": "webp",
    "h264": "h264",
    "hevc": "hevc",
    "m4v": "m4v",
    "m2v": "mpeg2video",
    "ivf": "ivf",
    "obu": "obu",
    "mjpeg": "mjpeg",
}
"""FFmpeg's muxer by file name suffix."""

PAIRS = {
    "h264": "mp4 mov mkv avi ts flv nut 3gp",
    "hevc": "mp4 mov mkv ts flv",
    "vp8": "mkv webm avi ogg nut ivf",
    "vp9": "mp4 mkv webm avi flv ivf",
    "av1": "mp4 mkv webm avi flv ivf",
    "mpeg1": "mp4 mov mkv avi ts mpg",
    "mpeg2": "mp4 mov mkv avi ts mpg mxf",
    "mpeg4": "mp4 mov mkv avi ts nut 3gp",
    "mjpeg": "mp4 mov mkv avi nut",
    "prores": "mov mkv mxf",
    "ffv1": "mp4 mkv avi nut",
    "gif": "gif mov",
    "msmpeg4": "avi mkv asf",
    "wmv2": "asf avi",
    "flv1": "flv",
    "dnxhd": "mov mxf",
    "huffyuv": "avi",
    "qtrle": "mov",
    "raw": "avi mkv nut",
    "apng": "apng",
}
"""Containers by codec, where they go together."""

HAS_B_FRAMES = {
    "h264": {"bf": "3", "x264-params": "b-pyramid=normal:b-adapt=0"},
    "hevc": {"bf": "3", "x265-params": "bframes=3:b-adapt=0:b-pyramid=1"},
    "mpeg1": {"bf": "2"},
    "mpeg2": {"bf": "2"},
    "mpeg4": {"bf": "2"},
    "vp9": {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "16"},
    "vp8": {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "16"},
}
"""Options for frames out of order, or for hidden ones, by codec."""

FROM_ZERO = {"avi", "gif", "apng", "mxf", "ivf", "mp4", "mov", "3gp", "webp"}
"""These begin at 0 here; the others begin at 1 s, or their muxers would shift what lies before."""

STATE_LAST_DURATION = {"mp4", "mov", "3gp"}
MILLISECONDS = Fraction(1, 1000)

CASES = {}


def _case(name, function, *arguments, **keywords):
    """Enter a file: `function(path, suffix, ...)` writes it and returns its truth."""
    assert name not in CASES, name
    suffix = name.rsplit(".", 1)[1]

    def write(folder):
        path = folder / name.replace("/", "-")
        return path, function(path, suffix, *arguments, **keywords)

    CASES[name] = write


def _coded(path, suffix, codec="h264", *, ticks=None, num=250, more=None, **changes):
    """Write frames of one look; by default at even steps, from where the container begins."""
    look = _look(codec, suffix, **changes)
    if ticks is None:
        first = 0 if suffix in FROM_ZERO else int(1 / look.time_base)
        ticks = range(first, first + num)
        if suffix in STATE_LAST_DURATION:
            more = {"end": (float(ticks.stop * look.time_base),) * 2, **(more or {})}
    return make(path, look, ticks, form=FORMATS[suffix], **(more or {}))


def _coded_late(path, suffix, num_steps, **changes):
    truth = _coded(path, suffix, **changes)
    late = num_steps / RATE
    end = None if num_steps else truth.end
    return replace(truth, times=tuple(time + late for time in truth.times), end=end,
                   is_as_drawn=not num_steps)  # fmt: skip


def _look(codec, suffix, **changes):
    if suffix == "3gp":
        changes = {"height": 144, "width": 176, **changes}
    if suffix == "mxf" and codec == "mpeg2":
        changes = {"pixel_format": "yuv422p", **changes}
    if codec == "dnxhd":
        changes = {"height": 128, "width": 256, **changes}
    if codec == "msmpeg4":
        changes = {"height": 128, "width": 192, **changes}
    return Look(codec, **changes)


def _uneven(suffix, num=200):
    """Return ticks of a millisecond clock: gaps of 10 to 400 ms, and two of seconds."""
    rng = random.Random(num)
    ticks = [0 if suffix in FROM_ZERO else 1000]
    for number in range(num - 1):
        gap = rng.randint(1200, 3000) if number in {60, 140} else rng.randint(10, 120)
        ticks.append(ticks[-1] + (rng.randint(200, 400) if number % 37 == 5 else gap))
    return ticks


def _variable(path, suffix, codec, **changes):
    ticks, time_base = _uneven(suffix), MILLISECONDS
    if codec in {"mpeg1", "mpeg2"}:  # these know a few rates alone: frames are left out instead
        ticks, time_base = [tick // 10 for tick in ticks], Fraction(1, RATE)
    return _coded(path, suffix, codec, ticks=ticks, time_base=time_base, **changes)


def _turned(path, suffix, quarter_turns, mirrored):
    look = Look(quarter_turns=quarter_turns, mirrored=mirrored)
    first = 0 if suffix in FROM_ZERO else RATE
    truth = make(path, look, range(first, first + 60), form=FORMATS[suffix])
    turn_mp4(path, quarter_turns, mirrored=mirrored)
    return truth


def _edited(path, suffix, entries, first, *, at, num=None):
    """Write 250 frames at 25/s with an edit list that begins with frame `first`, at `at` s."""
    look = Look(time_base=MILLISECONDS)
    truth = make(path, look, range(0, 10000, 40), form=FORMATS[suffix])
    scale = _media_scale(path)
    edit_mp4(path, [(ms, round(m * scale) if m >= 0 else -1, 1) for ms, m in entries])
    numbers = truth.numbers[first : None if num is None else first + num]
    times = tuple(at + (number - first) * 0.04 for number in numbers)
    return Truth(numbers, times, None, is_as_drawn=False)


def _media_scale(path):
    with av.open(str(path)) as container:
        return container.streams.video[0].time_base.denominator


def _several(path, suffix, looks, chosen, *, prepare=lambda _: None, tones=False):
    first = 0 if suffix in FROM_ZERO else RATE
    ticks = range(first, first + 100)
    make_many(path, looks, ticks, form=FORMATS[suffix], prepare=prepare, tones=tones)
    numbers = tuple(range(1000 * chosen, 1000 * chosen + 100))
    times = tuple(tick / RATE for tick in ticks)
    warns = "video streams" if len(looks) > 1 else None
    return Truth(numbers, times, None, size=looks[chosen].shown, warns=warns)


def _mark_second_as_default(streams):
    streams[0].disposition = Disposition(0)
    streams[1].disposition = Disposition.default


def _covered(path, suffix):
    """Write a file whose first stream is its cover, larger than the film."""
    film, cover = Look(), Look("mjpeg", height=256, width=256)
    ticks = range(RATE, RATE + 100)
    with av.open(str(path), "w", format=FORMATS[suffix]) as output:
        streams = [add_stream(output, cover), add_stream(output, film)]
        streams[0].disposition = Disposition.attached_pic
        for packet in encoded(streams[0], cover, [RATE], [999]):
            output.mux(packet)
        for packet in encoded(streams[1], film, ticks, range(100)):
            output.mux(packet)
    return Truth(tuple(range(100)), tuple(tick / RATE for tick in ticks), None)


def _resized(path, suffix, codec, *, lost=frozenset()):
    """Write three stretches of other sizes, each from a keyframe with its own headers."""
    small, tall = Look(codec), Look(codec, height=128, width=64)
    packets = []
    for stretch, look in enumerate((small, tall, small)):
        ticks = range(RATE + 60 * stretch, RATE + 60 * stretch + 60)
        packets += coded(look, ticks, range(60 * stretch, 60 * stretch + 60))
    mux(path, small, packets, form=FORMATS[suffix])
    numbers = tuple(number for number in range(180) if number not in lost)
    times = tuple((RATE + number) / RATE for number in numbers)
    return Truth(numbers, times, None, warns="change their size")


def _bare(path, suffix, codec, **changes):
    """Write a stream without timestamps, which is counted on at 25 frames a second."""
    truth = make(path, _look(codec, suffix, **changes), form=FORMATS[suffix])
    return replace(truth, warns="")


def _cut_off(path, suffix, codec, part, **changes):
    truth = _coded(path, suffix, codec, **changes)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return replace(truth, keyframes=None, end=None, is_partial=True, warns="")


class _NoSeeking:
    """A file that can only be appended to, as a pipe."""

    def __init__(self, path):
        self._file = path.open("wb")

    def write(self, data):
        return self._file.write(data)

    def close(self):
        self._file.close()


def _piped(path, suffix, codec, **changes):
    """Write to a pipe: no index, no duration, for the muxer cannot go back."""
    look = _look(codec, suffix, **changes)
    pipe = _NoSeeking(path)
    truth = make(pipe, look, range(RATE, RATE + 250), form=FORMATS[suffix])
    pipe.close()
    return truth


def _folder(path, suffix, *, is_timed):
    """Write PNG files, with a table of times or at 25 a second."""
    folder = path
    folder.mkdir()
    times = [round(n * 0.04 + (n % 3) * 0.01 if is_timed else n * 0.04, 3) for n in range(40)]
    for number, seconds in enumerate(times):
        _write_picture(folder / f"frame{number}.{suffix}", number, seconds)
    if is_timed:
        rows = [f"frame{number}.{suffix},{seconds}" for number, seconds in enumerate(times)]
        (folder / "frames.csv").write_text("\n".join(["file,seconds", *rows]) + "\n")
    return Truth(tuple(range(40)), tuple(times))


def _picture(path, suffix):
    _write_picture(path, 5, 0.0)
    return Truth((5,), (0.0,), (5,))


def _write_picture(path, number, seconds):
    kind, pixel_format = {"png": ("png", "rgb24"), "jpg": ("mjpeg", "yuvj420p")}[path.suffix[1:]]
    encoder = av.CodecContext.create(kind, "w")
    look = Look()
    encoder.width, encoder.height, encoder.pix_fmt = look.width, look.height, pixel_format
    encoder.time_base = Fraction(1, RATE)
    frame = drawn(look, number, seconds, pixel_format)
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    path.write_bytes(b"".join(map(bytes, packets)))


def _holds_any_time(codec, suffix):
    """Whether a container keeps uneven times as they are; AVI keeps the order of decoding."""
    if suffix == "avi" and codec in {"mpeg1", "mpeg2"}:
        return False
    return suffix not in {"mxf", "gif", "apng", "mpg", "ogg"} and codec != "dnxhd"


def _enter_codecs():
    for codec, suffixes in PAIRS.items():
        for suffix in suffixes.split():
            more = {"keyframes": None} if codec == "apng" else None
            _case(f"plain/{codec}.{suffix}", _coded, codec, more=more)
            if _holds_any_time(codec, suffix):
                _case(f"uneven/{codec}.{suffix}", _variable, codec)
            if codec in HAS_B_FRAMES:
                options = HAS_B_FRAMES[codec]
                _case(f"reordered/{codec}.{suffix}", _coded, codec, options=options)
                if suffix not in {"mxf", "avi", "mpg", "ogg"}:
                    _case(f"uneven/{codec}-reordered.{suffix}", _variable, codec, options=options)
    _case("uneven/gif.gif", _coded, "gif", ticks=[n * 7 + n % 3 for n in range(120)],
          time_base=Fraction(1, 100))  # fmt: skip
    whole = {"keyframes": tuple(range(60))}  # each is decoded as a picture of its own
    _case("plain/webp.webp", _coded, "webp", num=60, more=whole)
    _case("uneven/webp.webp", _coded, "webp", ticks=[n * 70 + n % 3 for n in range(60)],
          time_base=MILLISECONDS, more=whole)  # fmt: skip


def _enter_keyframes():
    for codec, suffixes in {
        "h264": "mp4 mkv ts avi flv", "hevc": "mp4 mkv ts", "vp9": "webm mp4", "vp8": "webm",
        "av1": "mp4 webm", "mpeg2": "ts mpg mkv", "mpeg4": "avi mp4",
    }.items():  # fmt: skip
        for suffix in suffixes.split():
            for every in (1, 10, 250):
                name = f"keyframes/{codec}-every-{every}.{suffix}"
                _case(name, _coded, codec, keyframe_every=every)
    opened = {"bf": "3", "x264-params": "open-gop=1:b-pyramid=normal:scenecut=0"}
    for suffix in ["mp4", "mov", "mkv", "ts", "flv", "avi"]:
        _case(f"open-gop/h264.{suffix}", _coded, options=opened, more={"keyframes": None})
        refresh = {"x264-params": "intra-refresh=1:scenecut=0"}
        _case(f"intra-refresh/h264.{suffix}", _coded, options=refresh, more={"keyframes": None})
    opened = {"bf": "3", "x265-params": "open-gop=1:bframes=3:scenecut=0"}
    for suffix in ["mp4", "mkv", "ts"]:
        _case(f"open-gop/hevc.{suffix}", _coded, "hevc", options=opened, more={"keyframes": None})
    for suffix in ["mp4", "mkv", "ts", "mpg"]:  # without closed_gop MPEG-2 opens its own
        more = {"keyframes": None}
        _case(f"open-gop/mpeg2.{suffix}", _coded, "mpeg2", options={"bf": "2", "b_strategy": "0"},
              more=more)  # fmt: skip


def _enter_starts():
    for suffix in ["mp4", "mov", "mkv", "ts", "flv", "nut"]:
        for first in (0, 125, 90_000):
            ticks = range(first, first + 250)
            _case(f"start/h264-at-{first // RATE}.{suffix}", _coded, ticks=ticks)
    _case("start/vp9-at-5.webm", _coded, "vp9", ticks=range(125, 375))
    _case("start/mpeg2-at-5.mpg", _coded, "mpeg2", ticks=range(125, 375))
    for suffix in ("mp4", "mov"):
        name = f"edit-list/{{}}.{suffix}"
        _case(name.format("late"), _edited, [(2000, -1), (10_000, 0)], 0, at=2.0)
        _case(name.format("from-keyframe"), _edited, [(8000, 2.0)], 50, at=0.0)
        _case(name.format("inside-gop"), _edited, [(8480, 1.52)], 38, at=0.0)
        _case(name.format("ends-early"), _edited, [(5000, 1.0)], 25, at=0.0, num=125)
        _case(name.format("late-and-inside"), _edited, [(1500, -1), (8480, 1.52)], 38, at=1.5)


def _enter_pixels():
    wide = Fraction(4, 3)
    mild = {"options": {"crf": "10"}}  # at 2, 10 bits of SVT-AV1 fall apart
    pq = {"matrix": Colorspace.BT2020, "primaries": 9, "pixel_format": "yuv420p10le"}
    for name, suffix, codec, changes in (
        ("10-bit", "mkv", "h264", {"pixel_format": "yuv420p10le"}),
        ("10-bit", "mp4", "hevc", {"pixel_format": "yuv420p10le"}),
        ("10-bit", "mp4", "av1", {"pixel_format": "yuv420p10le", **mild}),
        ("12-bit", "mp4", "hevc", {"pixel_format": "yuv420p12le"}),
        ("422", "mp4", "h264", {"pixel_format": "yuv422p"}),
        ("422", "ts", "mpeg2", {"pixel_format": "yuv422p"}),
        ("422-10", "mkv", "h264", {"pixel_format": "yuv422p10le"}),
        ("444", "mp4", "h264", {"pixel_format": "yuv444p"}),
        ("444", "webm", "vp9", {"pixel_format": "yuv444p"}),
        ("444-10", "mkv", "hevc", {"pixel_format": "yuv444p10le"}),
        ("440", "mkv", "vp9", {"pixel_format": "yuv440p"}),
        ("gray", "mp4", "h264", {"pixel_format": "gray"}),
        ("gray-10", "mkv", "h264", {"pixel_format": "gray10le"}),
        ("gray", "mkv", "ffv1", {"pixel_format": "gray"}),
        ("gray-16", "mkv", "ffv1", {"pixel_format": "gray16le"}),
        ("rgb", "mkv", "ffv1", {"pixel_format": "bgr0"}),
        ("rgb-planar", "mp4", "hevc", {"pixel_format": "gbrp"}),
        ("alpha", "mov", "prores", {"pixel_format": "yuva444p10le", "transparent": True,
                                    "options": {"profile": "4444"}}),
        ("alpha", "mkv", "ffv1", {"pixel_format": "yuva420p", "transparent": True}),
        ("alpha-rgb", "mov", "qtrle", {"pixel_format": "argb", "transparent": True}),
        ("full-range", "mp4", "h264", {"range": ColorRange.JPEG}),
        ("limited-range", "mp4", "h264", {"range": ColorRange.MPEG}),
        ("bt709", "mp4", "h264", {"matrix": Colorspace.ITU709, "primaries": 1, "transfer": 1}),
        ("bt601", "mkv", "h264", {"matrix": Colorspace.ITU601, "primaries": 5, "transfer": 6}),
        ("bt2020", "mp4", "hevc", {"matrix": Colorspace.BT2020, "primaries": 9, "transfer": 14}),
        ("pq", "mp4", "hevc", {**pq, "transfer": 16}),
        ("hlg", "mkv", "hevc", {**pq, "transfer": 18}),
        ("hlg", "mp4", "av1", {**pq, "transfer": 18, **mild}),
        ("interlaced", "mp4", "h264", {"interlaced": True, "options": {"x264-params": "tff=1"}}),
        ("interlaced", "ts", "h264", {"interlaced": True, "options": {"x264-params": "bff=1"}}),
        ("interlaced", "ts", "mpeg2", {"interlaced": True, "options": {"bf": "2"}}),
        ("interlaced", "mpg", "mpeg2", {"interlaced": True, "options": {"bf": "2"}}),
        ("wide", "mp4", "h264", {"aspect": wide}),
        ("wide", "mkv", "h264", {"aspect": wide}),
        ("wide", "ts", "mpeg2", {"aspect": Fraction(16, 9) / Fraction(96, 64)}),
        ("narrow", "mov", "h264", {"aspect": 1 / wide}),
        ("narrow", "avi", "mpeg4", {"aspect": 1 / wide}),
        ("odd-size", "mkv", "h264", {"height": 65, "width": 97, "pixel_format": "yuv444p"}),
        ("odd-size", "webm", "vp9", {"height": 65, "width": 97}),
        ("odd-size", "webm", "vp8", {"height": 65, "width": 97}),
        ("odd-size", "mp4", "av1", {"height": 65, "width": 97}),
        ("odd-size", "avi", "mpeg4", {"height": 65, "width": 97}),
        ("odd-size", "avi", "mjpeg", {"height": 65, "width": 97}),
        ("odd-size", "mkv", "ffv1", {"height": 65, "width": 97}),
        ("odd-size", "gif", "gif", {"height": 65, "width": 97}),
        ("tiny", "mp4", "h264", {"height": 16, "width": 16, "options": {"crf": "1"}}),
        ("tiny", "mkv", "ffv1", {"height": 16, "width": 16}),
        ("column", "mkv", "h264", {"height": 512, "width": 16, "options": {"crf": "1"}}),
    ):  # fmt: skip
        _case(f"pixels/{name}-{codec}.{suffix}", _coded, codec, num=60, **changes)
    for turns in range(4):
        for mirrored in (False, True):
            name = f"turned/{90 * turns}{'-mirrored' * mirrored}"
            _case(f"{name}.mp4", _turned, turns, mirrored)
            _case(f"{name}.mov", _turned, turns, mirrored)


def _enter_containers():
    small, large = Look(), Look(height=128, width=192)
    for suffix in ("mp4", "mov", "mkv", "ts"):
        # A muxer of MP4 marks the first stream as the one to be shown, the others mark none.
        larger = 0 if suffix in {"mp4", "mov"} else 1
        _case(f"streams/second-larger.{suffix}", _several, [small, large], larger)
        _case(f"streams/with-sound.{suffix}", _several, [small], 0, tones=True)
    for suffix in ("mkv", "mov"):
        _case(f"streams/second-default.{suffix}", _several, [large, small], 1,
              prepare=_mark_second_as_default)  # fmt: skip
    for suffix in ("mp4", "mov"):
        _case(f"streams/cover-first.{suffix}", _covered)
    for flags in ("frag_keyframe+empty_moov", "frag_every_frame+empty_moov+default_base_moof",
                  "frag_keyframe+delay_moov", "dash", "cmaf", "faststart"):  # fmt: skip
        more = {"container_options": {"movflags": flags}}
        _case(f"fragmented/{flags}.mp4", _coded, more=more)
        # Where the header goes out before the first frame, there is no edit list that takes
        # back the two steps by which B-frames let the clock begin before 0.
        late = 0 if "delay_moov" in flags or flags == "faststart" else 2
        _case(f"fragmented/{flags}-reordered.mp4", _coded_late, late, more=more,
              options=HAS_B_FRAMES["h264"])  # fmt: skip
    for codec, suffix, changes in (
        ("h264", "mkv", {}), ("vp9", "webm", {}), ("h264", "ts", {}), ("h264", "flv", {}),
        ("h264", "nut", {}), ("vp8", "webm", {}), ("mpeg2", "mpg", {}),
        ("hevc", "mkv", {"options": HAS_B_FRAMES["hevc"]}),
    ):  # fmt: skip
        named = "-reordered" if changes else ""
        _case(f"piped/{codec}{named}.{suffix}", _piped, codec, **changes)
    _case("slow-motion/240.mp4", _coded, time_base=Fraction(1, 240), rate=Fraction(240), num=1200)
    _case("slow-motion/240.mkv", _coded, time_base=Fraction(1, 240), rate=Fraction(240), num=1200)
    _case("slow-motion/1000.mp4", _coded, time_base=MILLISECONDS, rate=Fraction(1000), num=2000)
    for rate in (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60), Fraction(1, 2)):
        for suffix in ("mp4", "mkv", "ts", "avi", "flv"):
            name = f"rates/{float(rate):.3f}.{suffix}"
            _case(name, _coded, time_base=1 / rate, rate=rate, num=min(250, int(20 * rate)))
    for suffix in ("ts", "mkv"):
        _case(f"resized/h264.{suffix}", _resized, "h264")
    _case("resized/vp9.webm", _resized, "vp9")
    _case("resized/vp8.webm", _resized, "vp8")
    # FFmpeg's decoder loses the picture that it holds back where the size changes.
    _case("resized/mpeg2.ts", _resized, "mpeg2", lost={59, 119})


def _enter_bare():
    for codec, suffix in (
        ("h264", "h264"), ("hevc", "hevc"), ("mpeg4", "m4v"), ("mpeg2", "m2v"), ("av1", "obu"),
        ("mjpeg", "mjpeg"),
    ):  # fmt: skip
        _case(f"bare/{codec}.{suffix}", _bare, codec)
        if codec in HAS_B_FRAMES:
            _case(f"bare/{codec}-reordered.{suffix}", _bare, codec, options=HAS_B_FRAMES[codec])
    _case("stills/timed.png", _folder, is_timed=True)
    _case("stills/counted.png", _folder, is_timed=False)
    _case("stills/one.jpg", _picture)
    for codec, suffix, changes in (
        ("h264", "mkv", {}), ("h264", "ts", {}), ("h264", "flv", {}), ("h264", "avi", {}),
        ("mpeg2", "mpg", {}), ("vp9", "webm", {}), ("vp8", "ivf", {}), ("mpeg4", "avi", {}),
        ("mjpeg", "avi", {}), ("gif", "gif", {}), ("ffv1", "mkv", {}),
        ("h264", "mp4", {"more": {"container_options": {"movflags": "frag_keyframe+empty_moov"}}}),
        ("h264", "mov", {"more": {"container_options": {"movflags": "faststart"}}}),
    ):  # fmt: skip
        _case(f"cut-off/{codec}.{suffix}", _cut_off, codec, 0.6, **changes)


def _enter_large():
    fast = {"options": {"preset": "ultrafast", "crf": "20"}}
    _case("large/4k-h264.mp4", _coded, num=12, height=2160, width=3840, keyframe_every=4, **fast)
    _case("large/4k-vp9.webm", _coded, "vp9", num=6, height=2160, width=3840)
    _case("large/8k-h264.mp4", _coded, num=3, height=4320, width=7680, keyframe_every=2, **fast)


_enter_codecs()
_enter_keyframes()
_enter_starts()
_enter_pixels()
_enter_containers()
_enter_bare()
_enter_large()
