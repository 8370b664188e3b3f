"""Files that were sound, and one to a few things wrong with each: the same for the same seed."""

import random
import struct

from tests.video.corpus import FORMATS
from tests.video.making import Look, make

SEEDS = {
    "h264.mp4": {},
    "h264.mkv": {},
    "h264.ts": {},
    "h264.flv": {},
    "hevc.mp4": {},
    "hevc.ts": {},
    "vp8.webm": {},
    "vp9.webm": {},
    "av1.mp4": {},
    "av1.mkv": {},
    "mpeg4.avi": {},
    "mpeg2.mpg": {},
    "mpeg1.mpg": {},
    "mjpeg.mov": {},
    "prores.mov": {},
    "ffv1.mkv": {},
    "wmv2.asf": {},
    "flv1.flv": {},
    "gif.gif": {},
    "apng.apng": {},
    "webp.webp": {},
    "huffyuv.avi": {},
    "qtrle.mov": {},
    "dnxhd.mxf": {"height": 128, "width": 256},
    "h264.h264": {},
}
"""Codec and container, and how it must differ from the usual to be encoded."""

NUM_FRAMES = 40
EXTREMES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
NAMES = (
    *(b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"ctts", b"stsc", b"stsz"),
    *(b"stco", b"stss", b"tkhd", b"mvhd", b"mdhd", b"elst", b"edts", b"avcC", b"hvcC", b"av1C"),
    *(b"hdlr", b"mdat", b"ftyp", b"RIFF", b"LIST", b"hdrl", b"strl", b"strh", b"strf", b"idx1"),
    *(b"movi", b"IHDR", b"IDAT", b"fdAT", b"fcTL", b"acTL", b"VP8X", b"ANMF", b"ANIM", b"esds"),
    *(b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"),
    *(b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b", b"\x11\x4d\x9b\x74", b"\x00\x00\x01\x67"),
    *(b"\x00\x00\x01\x65", b"\x00\x00\x01\xb3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xe0"),
)
"""Boxes, chunks, elements and start codes, whose sizes and fields are lied about."""


def write_seeds(folder):
    """Draw one sound file of each kind, and return their bytes by name."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = {}
    for name, changes in SEEDS.items():
        codec, _, suffix = name.partition(".")
        path = folder / name
        make(path, Look(codec, **changes), range(NUM_FRAMES), form=FORMATS[suffix])
        sound[name] = path.read_bytes()
    return sound


def mutated(sound, number, seed=0):
    """Return the name and the bytes of one hostile file: the same for the same numbers."""
    rng = random.Random(f"{seed}/{number}")
    name = rng.choice(sorted(sound))
    data = bytearray(sound[name])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        change = rng.choice(CHANGES)
        change(data, rng, sound)
        if not data:
            data[:] = b"\0"
    stem, _, suffix = name.partition(".")
    return f"{number:06}-{stem}.{suffix}", bytes(data)


def flip_bits(data, rng, sound):
    for _ in range(rng.choice((1, 1, 4, 32, 256))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_bits_of_the_header(data, rng, sound):
    for _ in range(rng.choice((1, 2, 8))):
        data[rng.randrange(min(len(data), 2048))] ^= 1 << rng.randrange(8)


def overwrite(data, rng, sound):
    begin = rng.randrange(len(data))
    length = rng.choice((1, 4, 16, 256, 4096))
    filling = rng.choice((b"\0", b"\xff", None))
    end = min(len(data), begin + length)
    data[begin:end] = filling * (end - begin) if filling else rng.randbytes(end - begin)


def truncate(data, rng, sound):
    del data[rng.randrange(len(data)) :]


def remove(data, rng, sound):
    begin = rng.randrange(len(data))
    del data[begin : begin + rng.choice((1, 3, 16, 512, 8192))]


def repeat(data, rng, sound):
    begin = rng.randrange(len(data))
    part = data[begin : begin + rng.choice((1, 8, 188, 1024, 16384))]
    at = rng.randrange(len(data))
    data[at:at] = part * rng.choice((1, 1, 2, 50))


def splice(data, rng, sound):
    other = sound[rng.choice(sorted(sound))]
    begin = rng.randrange(len(other))
    part = other[begin : begin + rng.choice((16, 512, 4096, 65536))]
    at = rng.randrange(len(data))
    data[at : at + rng.choice((0, len(part)))] = part


def exchange(data, rng, sound):
    size = rng.choice((4, 188, 1024))
    first, second = rng.randrange(len(data)), rng.randrange(len(data))
    if abs(first - second) >= size and max(first, second) + size <= len(data):
        one, two = data[first : first + size], data[second : second + size]
        data[first : first + size], data[second : second + size] = two, one


def lie_about_a_box(data, rng, sound):
    """Set the size before a name, or a number after it, to something extreme."""
    places = [at for name in NAMES for at in _places(data, name)]
    if not places:
        flip_bits_of_the_header(data, rng, sound)
        return
    at = rng.choice(places)
    offset = rng.choice((-4, 4, 8, 12, 16, 20, 24, 28, rng.randrange(4, 128)))
    width = rng.choice((1, 2, 4, 4, 4, 8))
    value = rng.choice((*EXTREMES, rng.getrandbits(32), len(data), len(data) - at))
    order = rng.choice((">", ">", "<"))
    form = order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
    begin = max(0, at + offset)
    if begin + width <= len(data):
        struct.pack_into(form, data, begin, value & (2 ** (8 * width) - 1))


def move_a_box(data, rng, sound):
    """Put a box, with its stated size, somewhere else: into itself, for one."""
    places = [at - 4 for name in NAMES for at in _places(data, name) if at >= 4]
    if not places:
        return
    begin = rng.choice(places)
    (size,) = struct.unpack_from(">I", data, begin)
    part = data[begin : begin + min(size, 65536)]
    at = rng.choice((rng.randrange(len(data)), begin + 8))
    data[at:at] = part


def _places(data, name):
    at = data.find(name)
    while at >= 0:
        yield at
        at = data.find(name, at + 1)


CHANGES = (
    *(flip_bits, flip_bits_of_the_header, overwrite, truncate, remove, repeat, splice, exchange),
    *(lie_about_a_box, lie_about_a_box, lie_about_a_box, move_a_box),
)
