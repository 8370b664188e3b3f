"""What no muxer writes: times taken out or set wrong, turned pictures, rewritten edit lists.

Each function changes a finished file in place, by the specification of its container.
"""

import struct

TS_PACKET_BYTES = 188
_MKV_MASTERS = {0x18538067, 0x1F43B675, 0xA0}  # Segment, Cluster, BlockGroup


def retime_ts(path, change, *, pid=0x100):
    """Set the PTS of every PES packet of a TS: `change(n, pts)` gives 90 kHz ticks or None.

    A DTS goes with it: it is dropped, as the PTS stands for both where a file is intra-only.
    """
    data = bytearray(path.read_bytes())
    number = 0
    for begin in range(0, len(data), TS_PACKET_BYTES):
        packet_pid = (data[begin + 1] & 0x1F) << 8 | data[begin + 2]
        if packet_pid != pid or not data[begin + 1] & 0x40:
            continue
        pes = begin + 4 + (data[begin + 4] + 1 if data[begin + 3] & 0x20 else 0)
        assert data[pes : pes + 3] == b"\0\0\1", "a PES packet begins here"
        flags, room = data[pes + 7] >> 6, data[pes + 8]
        if flags:
            wanted = change(number, _pes_ticks(data[pes + 9 : pes + 14]))
            field = b"" if wanted is None else _pes_time(2, wanted)
            data[pes + 7] = data[pes + 7] & 0x3F | (0 if wanted is None else 0x80)
            data[pes + 9 : pes + 9 + room] = field + b"\xff" * (room - len(field))
        number += 1
    path.write_bytes(data)
    return number


def _pes_ticks(field):
    high, middle, low = field[0] >> 1 & 7, struct.unpack(">H", field[1:3])[0] >> 1, field[3:5]
    return high << 30 | middle << 15 | struct.unpack(">H", low)[0] >> 1


def _pes_time(prefix, ticks):
    ticks %= 2**33
    first = prefix << 4 | (ticks >> 30) << 1 | 1
    rest = (ticks >> 15 & 0x7FFF) << 1 | 1, (ticks & 0x7FFF) << 1 | 1
    return struct.pack(">BHH", first, *rest)


def retime_mkv(path, change):
    """Set the time of every block of a Matroska file: `change(n, ms)` gives milliseconds."""
    data = bytearray(path.read_bytes())
    cluster, number = 0, 0
    for name, begin, end in list(ebml(data, 0, len(data))):
        if name == 0xE7:
            cluster = int.from_bytes(data[begin:end], "big")
        elif name in {0xA3, 0xA1}:
            _, skip = vint(data, begin)
            place = begin + skip
            ms = cluster + struct.unpack(">h", data[place : place + 2])[0]
            data[place : place + 2] = struct.pack(">h", change(number, ms) - cluster)
            number += 1
    path.write_bytes(data)
    return number


def ebml(data, begin, end):
    """Yield (name, begin, end) of the contents of every element, also inside the masters."""
    while begin < end:
        name, length = vint(data, begin, keep_marker=True)
        size, more = vint(data, begin + length)
        unknown = size == 2 ** (7 * more) - 1
        inside = begin + length + more
        after = end if unknown else min(inside + size, end)
        yield name, inside, after
        if name in _MKV_MASTERS:
            yield from ebml(data, inside, after)
        begin = after


def vint(data, begin, *, keep_marker=False):
    length = 9 - data[begin].bit_length()
    value = int.from_bytes(data[begin : begin + length], "big")
    return (value if keep_marker else value & (1 << 7 * length) - 1), length


def retime_flv(path, change):
    """Set the time of every video tag with a picture: `change(n, ms)` gives milliseconds."""
    data = bytearray(path.read_bytes())
    begin, number = 13, 0
    while begin + 11 <= len(data):
        kind, size = data[begin], int.from_bytes(data[begin + 1 : begin + 4], "big")
        is_header = data[begin + 11] & 15 == 7 and data[begin + 12] != 1
        if kind == 9 and not is_header:
            ms = int.from_bytes(data[begin + 4 : begin + 7], "big") | data[begin + 7] << 24
            wanted = change(number, ms)
            data[begin + 4 : begin + 7] = (wanted & 0xFFFFFF).to_bytes(3, "big")
            data[begin + 7] = wanted >> 24
            number += 1
        begin += 11 + size + 4
    path.write_bytes(data)
    return number


def turn_mp4(path, quarter_turns, *, mirrored=False):
    """Write a display matrix into the track header: turned clockwise, after mirroring."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter_turns % 4]
    flip = -1 if mirrored else 1
    rows = (cosine * flip, sine * flip, 0), (-sine, cosine, 0), (0, 0, 1)
    fixed = [round(v * (1 << (30 if c == 2 else 16))) for row in rows for c, v in enumerate(row)]
    data = bytearray(path.read_bytes())
    begin = data.index(b"tkhd") + 4
    place = begin + (52 if data[begin] == 1 else 40)
    data[place : place + 36] = struct.pack(">9i", *fixed)
    path.write_bytes(data)


def edit_mp4(path, entries):
    """Replace the edit list: (duration in ms, media time in ticks or -1, rate) of each entry."""
    data = path.read_bytes()
    moov = data.index(b"moov") - 4
    assert data.index(b"mdat") < moov, "nothing behind moov has a place of its own to keep"
    head = data.index(b"mvhd") + 16
    scale = struct.unpack(">I", data[head : head + 4])[0]
    total = struct.pack(">I", round(sum(ms for ms, _, _ in entries) * scale / 1000))
    data = data[: head + 4] + total + data[head + 8 :]
    track = data.index(b"tkhd") + 24
    data = data[:track] + total + data[track + 4 :]
    body = b"".join(
        struct.pack(">Iii", round(ms * scale / 1000), media, round(rate * 65536))
        for ms, media, rate in entries
    )
    edit = box(b"edts", box(b"elst", struct.pack(">II", 0, len(entries)) + body))
    trak = data.index(b"trak") - 4
    boxes = [
        part for part in _boxes(data, trak + 8, trak + _size(data, trak)) if part[4:8] != b"edts"
    ]
    new_trak = box(b"trak", boxes[0] + edit + b"".join(boxes[1:]))
    parts = _boxes(data, moov + 8, moov + _size(data, moov))
    new_moov = box(b"moov", b"".join(new_trak if p[4:8] == b"trak" else p for p in parts))
    path.write_bytes(data[:moov] + new_moov + data[moov + _size(data, moov) :])


def _boxes(data, begin, end):
    found = []
    while begin < end:
        found.append(data[begin : begin + _size(data, begin)])
        begin += _size(data, begin)
    return found


def _size(data, begin):
    return struct.unpack(">I", data[begin : begin + 4])[0]


def box(name, body):
    return struct.pack(">I", len(body) + 8) + name + body


def restep_mp4(path, deltas):
    """Replace the durations of the samples (`stts`): one of `deltas` for each, in ticks."""
    data = path.read_bytes()
    body = b"".join(struct.pack(">II", 1, delta) for delta in deltas)
    table = box(b"stts", struct.pack(">II", 0, len(deltas)) + body)
    path.write_bytes(replaced(data, (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"), table))


def replaced(data, names, new):
    """Return boxes with the one at the end of the path `names` replaced, sizes mended."""
    if not names:
        return new
    out = []
    for child in _boxes(data, 0, len(data)):
        if child[4:8] == names[0]:
            out.append(
                new if len(names) == 1 else box(names[0], replaced(child[8:], names[1:], new))
            )
        else:
            out.append(child)
    return b"".join(out)


def zero_mkv(path, lost):
    """Fill the contents of the blocks with these numbers with zeros."""
    data = bytearray(path.read_bytes())
    blocks = [(b, e) for name, b, e in ebml(data, 0, len(data)) if name in {0xA3, 0xA1}]
    for number in lost:
        begin, end = blocks[number]
        begin += vint(data, begin)[1] + 3
        data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
