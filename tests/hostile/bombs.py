"""Small files that ask for much: pixels, frames, tracks, time, memory."""

import struct
import zlib
from fractions import Fraction

import av

from tests.video.making import Look, make


def write_bombs(folder):
    """Write all of them, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for make_one in BOMBS:
        path = folder / make_one.__name__.replace("__", ".")
        make_one(path)
        paths.append(path)
    return paths


# 16000x16000 pixels and more


def wide__gif(path):
    make(path, Look("gif"), range(3), form="gif")
    data = bytearray(path.read_bytes())
    struct.pack_into("<HH", data, 6, 16000, 16000)
    at = data.find(b"\x2c\0\0\0\0")
    struct.pack_into("<HH", data, at + 5, 16000, 16000)
    path.write_bytes(data)


def wide__apng(path):
    make(path, Look("apng"), range(3), form="apng")
    path.write_bytes(resized_png(path.read_bytes(), 16000, 16000))


def wide__png(path):
    path.write_bytes(png(60000, 60000))


def wide__mov(path):
    make(path, Look("mjpeg"), range(3), form="mov")
    data = bytearray(path.read_bytes())
    at = data.find(b"\xff\xc0")
    while at >= 0:
        struct.pack_into(">HH", data, at + 5, 16000, 16000)
        at = data.find(b"\xff\xc0", at + 1)
    path.write_bytes(data)


def wide__ivf(path):
    make(path, Look("vp8"), range(3), form="ivf")
    data = bytearray(path.read_bytes())
    at = data.find(b"\x9d\x01\x2a")
    while at >= 0:
        struct.pack_into("<HH", data, at + 3, 16000, 16000)
        at = data.find(b"\x9d\x01\x2a", at + 1)
    path.write_bytes(data)


def wide__y4m(path):
    path.write_bytes(b"YUV4MPEG2 W16000 H16000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(10_000))


def wide__avi(path):
    make(path, Look("raw"), range(3), form="avi")
    data = bytearray(path.read_bytes())
    at = data.find(b"strf")
    struct.pack_into("<ii", data, at + 12, 16000, 16000)
    path.write_bytes(data)


def wide__webp(path):
    make(path, Look("webp"), range(3), form="webp")
    data = bytearray(path.read_bytes())
    at = data.find(b"VP8X")
    data[at + 12 : at + 18] = (2**24 - 1).to_bytes(3, "little") * 2
    path.write_bytes(data)


# A million frames a second, and a picture that is another size each time


def fast__mp4(path):
    timed(path, "mp4", 20_000, Fraction(1, 10**6), 1)


def fast__nut(path):
    timed(path, "nut", 20_000, Fraction(1, 10**6), 1)


def timed(path, form, num_pictures, time_base, step):
    """Write small pictures, one every `step` of a time base."""
    with av.open(str(path), "w", format=form) as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        stream.time_base = time_base
        number = 0
        for picture in range(num_pictures + 1):
            frame = None if picture == num_pictures else av.VideoFrame(32, 32, "yuv420p")
            if frame is not None:
                frame.pts = picture
            for packet in stream.encode(frame):
                packet.time_base = time_base
                packet.pts = packet.dts = number * step
                packet.duration = step
                number += 1
                output.mux(packet)


def sizes__mjpeg(path):
    parts = []
    for number in range(100):
        size = 32 + 16 * (number * 7 % 50)
        part = path.with_suffix(".part")
        make(part, Look("mjpeg", size, 832 - size), range(1), form="mjpeg")
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))


def sizes__h264(path):
    parts = []
    for number in range(60):
        size = 64 + 64 * (number % 8)
        part = path.with_suffix(".part")
        make(part, Look("h264", size, 640 - size), range(1), form="h264")
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))


# Tracks and samples


def tracks__mp4(path):
    make(path, Look("mpeg4"), range(3), form="mp4")
    data = path.read_bytes()
    begin = data.find(b"trak") - 4
    (size,) = struct.unpack_from(">I", data, begin)
    track = data[begin : begin + size]
    moov = data.find(b"moov") - 4
    (length,) = struct.unpack_from(">I", data, moov)
    more = track * 99_999
    grown = struct.pack(">I", length + len(more)) + data[moov + 4 : begin] + track + more
    path.write_bytes(data[:moov] + grown + data[begin + size :])


def tracks__mkv(path):
    make(path, Look("mpeg4"), range(3), form="matroska")
    data = path.read_bytes()
    begin = data.find(b"\x16\x54\xae\x6b")
    size = int.from_bytes(data[begin + 4 : begin + 12], "big") & (2**56 - 1)
    tracks = data[begin + 12 : begin + 12 + size] * 100_000
    element = data[begin : begin + 4] + (len(tracks) | 1 << 56).to_bytes(8, "big") + tracks
    path.write_bytes(data[:begin] + element + data[begin + 12 + size :])


def samples__mp4(path):
    """Two thousand million samples of no bytes."""
    make(path, Look("mpeg4"), range(3), form="mp4")
    data = bytearray(path.read_bytes())
    at = data.find(b"stsz")
    struct.pack_into(">II", data, at + 8, 1, 2**31 - 2)
    at = data.find(b"stts")
    struct.pack_into(">II", data, at + 12, 2**31 - 2, 1)
    path.write_bytes(data)


def entries__mp4(path):
    make(path, Look("h264"), range(30), form="mp4")
    data = bytearray(path.read_bytes())
    for name in (b"stts", b"stsc", b"stco", b"stss", b"ctts"):
        at = data.find(name)
        if at >= 0:
            struct.pack_into(">I", data, at + 8, 2**30)
    path.write_bytes(data)


# Time


def long__mp4(path):
    make(path, Look("mpeg4"), range(30), form="mp4")
    data = bytearray(path.read_bytes())
    for name, place in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        struct.pack_into(">I", data, data.find(name) + place, 2**32 - 2)
    path.write_bytes(data)


def long__mkv(path):
    make(path, Look("mpeg4"), range(30), form="matroska")
    data = bytearray(path.read_bytes())
    at = data.find(b"\x44\x89\x88")
    struct.pack_into(">d", data, at + 3, 1e300)
    path.write_bytes(data)


def ages__mkv(path):
    """A picture every eleven days."""
    timed(path, "matroska", 100, Fraction(1, 1000), 10**9)


# Compressed


def header__mov(path):
    """A compressed movie header (cmov) of 4 GB of zeros' worth."""
    packed = zlib.compress(bytes(2**26), 9)
    dcom = struct.pack(">I4s4s", 12, b"dcom", b"zlib")
    cmvd = struct.pack(">I4sI", 12 + len(packed), b"cmvd", 2**32 - 1) + packed
    cmov = struct.pack(">I4s", 8 + len(dcom) + len(cmvd), b"cmov") + dcom + cmvd
    moov = struct.pack(">I4s", 8 + len(cmov), b"moov") + cmov
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", b"qt  ", 0) + moov)


def comment__mkv(path):
    """A title of a hundred megabytes."""
    with av.open(str(path), "w", format="matroska") as output:
        output.metadata["title"] = "x" * 100_000_000
        stream = output.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        frame = av.VideoFrame(32, 32, "yuv420p")
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)


def png(width, height):
    rows = zlib.compress(bytes(2**26), 9)

    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def resized_png(data, width, height):
    data = bytearray(data)
    struct.pack_into(">II", data, 16, width, height)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    at = data.find(b"fcTL")
    while at >= 0:
        struct.pack_into(">II", data, at + 8, width, height)
        struct.pack_into(">I", data, at + 30, zlib.crc32(data[at : at + 30]))
        at = data.find(b"fcTL", at + 1)
    return bytes(data)


BOMBS = (
    *(wide__gif, wide__apng, wide__png, wide__mov, wide__ivf, wide__y4m, wide__avi, wide__webp),
    *(fast__mp4, fast__nut, sizes__mjpeg, sizes__h264, tracks__mp4, tracks__mkv, samples__mp4),
    *(entries__mp4, long__mp4, long__mkv, ages__mkv, header__mov, comment__mkv),
)
