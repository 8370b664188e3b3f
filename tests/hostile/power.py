"""What a disk holds after the power went: replayed from a log of `shim.c`, unsynced writes dropped.

Two disks: a *strict* one keeps names only where their folder, or the file itself, was synced, and
the folders above; a *loose* one keeps all names, as journals do, and of each file what it held when
it was synced last.
"""

import struct
from pathlib import Path


def read_log(path):
    """Return (what, path, other, offset, data) of every change, in order."""
    data = path.read_bytes()
    at, ops = 0, []
    while at + 25 <= len(data):
        what = chr(data[at])
        first, second, offset, size = struct.unpack_from("<IIqq", data, at + 1)
        at += 25
        name = data[at : at + first].decode()
        at += first
        other = data[at : at + second].decode()
        at += second
        body = b""
        if what == "W":
            body = data[at : at + size]
            at += size
        ops.append((what, name, other, offset, body))
    return ops


class File:
    def __init__(self):
        self.now = bytearray()
        self.synced = b""


class Disk:
    """Names and files below a root, as they are and as they would survive."""

    def __init__(self, root):
        self.root = root
        self.names = {root: None}  # path to File, or None of a folder
        self.durable = {root: None}

    def apply(self, op):
        what, name, other, offset, data = op
        if what == "C":
            self.names[name] = File()
        elif what == "M":
            self.names[name] = None
        elif what == "W" and self.names.get(name) is not None:
            now = self.names[name].now
            if len(now) < offset:
                now.extend(bytes(offset - len(now)))
            now[offset : offset + len(data)] = data
        elif what == "T" and self.names.get(name) is not None:
            now = self.names[name].now
            del now[offset:]
            now.extend(bytes(offset - len(now)))
        elif what == "S":
            self.sync(name)
        elif what == "R":
            self.rename(name, other)
        elif what == "L":
            self.names[other] = self.names.get(name)
        elif what == "U":
            self.names.pop(name, None)

    def rename(self, old, new):
        for path in [p for p in self.names if p == old or p.startswith(f"{old}/")]:
            self.names[new + path[len(old) :]] = self.names.pop(path)

    def sync(self, name):
        file = self.names.get(name)
        if file is not None:  # its content and its name, not the folders that lead to it
            file.synced = bytes(file.now)
            self.durable[name] = file
        elif name in self.names:  # what lies in a folder, and what lies there no longer
            for path in list(self.durable):
                if _parent(path) == name and path not in self.names:
                    for gone in [p for p in self.durable if p == path or p.startswith(f"{path}/")]:
                        del self.durable[gone]
            for path, one in self.names.items():
                if _parent(path) == name:
                    self.durable[path] = one

    def write(self, target, *, strict):
        """Write what survives to a folder."""
        names = self.durable if strict else self.names
        for path in sorted(names):
            above = _parent(path)
            while above != self.root and above in names:
                above = _parent(above)
            if self.root not in (above, path):
                continue  # a folder that leads to it is gone
            place = target / path[len(self.root) + 1 :]
            file = names[path]
            if file is None:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.synced)

    def differs_from_files(self):
        """Return the names whose files are not what was written to them: what the log missed."""
        wrong = []
        for path in Path(self.root).rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                file = self.names.get(str(path))
                if file is None or bytes(file.now) != path.read_bytes():
                    wrong.append(str(path))
        return wrong + [p for p, f in self.names.items() if f is not None and not Path(p).exists()]


def _parent(path):
    return str(Path(path).parent)
