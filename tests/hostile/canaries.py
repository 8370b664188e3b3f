"""Files that name another resource: a video beside them that must not be opened, or an address."""

import ctypes
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def scripts(canary, url):
    """Return the contents of files by name, all of which would have `canary` or `url` opened."""
    near = canary.name
    file = f"file://{canary}"
    found = {}
    for suffix in ("m3u8", "mp4", "ts"):
        for kind, target in (("near", near), ("file", file), ("url", url)):
            found[f"hls-{kind}.{suffix}"] = (
                "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n"
                f"{target}\n#EXT-X-ENDLIST\n"
            )
    found["hls-key.m3u8"] = (
        f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:2.0,\n{near}\n#EXT-X-ENDLIST\n'
    )
    found["hls-map.m3u8"] = (
        f'#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-MAP:URI="{near}"\n#EXTINF:2,\n{near}\n#EXT-X-ENDLIST\n'
    )
    found["hls-master.mp4"] = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n"
    for suffix in ("ffconcat", "mp4", "txt"):
        for kind, target in (("near", near), ("file", str(canary)), ("url", url)):
            found[f"concat-{kind}.{suffix}"] = f"ffconcat version 1.0\nfile '{target}'\n"
    for kind, target in (("near", near), ("file", file), ("url", url)):
        found[f"dash-{kind}.mpd"] = (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
            ' mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">'
            f'<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL><SegmentBase'
            ' indexRange="0-1000"/></Representation></AdaptationSet></Period></MPD>'
        )
    found["session.sdp"] = (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 45000 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n"
    )
    found["session.mp4"] = found["session.sdp"]
    found["playlist.pls"] = f"[playlist]\nFile1={url}\nNumberOfEntries=1\n"
    found["playlist.asx"] = f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>'
    found["playlist.xspf"] = (
        '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>'
        f"<track><location>{file}</location></track></trackList></playlist>"
    )
    found["playlist.ram"] = f"{url}\n"
    found["script.avs"] = f'AviSource("{canary}")\n'
    found["script.vpy"] = f"import os; os.stat({str(canary)!r})\n"
    found["graph.lavfi"] = f"movie={canary}"
    found["list.imf.xml"] = (
        '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/'
        f'2016"><Id>urn:uuid:0</Id><ContentTitle>{url}</ContentTitle></CompositionPlaylist>'
    )
    found["entity.mpd"] = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "{file}">]><MPD>&e;</MPD>'
    )
    return {name: text.encode() for name, text in found.items()} | {
        "external.mov": external_reference(str(canary)),
        "external-url.mov": external_reference(url),
    }


def names(canary, url, folder):
    """Return names that FFmpeg would take for more than a file."""
    return (
        f"concat:{canary}",
        f"subfile,,start,0,end,0,,:{canary}",
        f"cache:{canary}",
        f"async:{canary}",
        f"crypto:{canary}",
        f"data:video/mp4;base64,{'AAAA' * 8}",
        "pipe:0",
        "fd:0",
        f"tee:{canary}",
        f"hls+{url}",
        url,
        url.replace("http:", "tcp:"),
        url.replace("http:", "rtsp:"),
        url.replace("http:", "rtmp:"),
        url.replace("http:", "ftp:"),
        f"file:{canary}",
        f"{folder}/canary%d.mp4",
        f"{folder}/canar?.mp4",
        f"lavfi:movie={canary}",
        f"|cat {canary}",
    )


def external_reference(target):
    """Return a QuickTime movie whose samples lie in another file, by a data reference."""

    def box(name, *parts):
        body = b"".join(parts)
        return struct.pack(">I", len(body) + 8) + name + body

    def full(name, *parts):
        return box(name, b"\0\0\0\0", *parts)

    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    name = target.encode()
    alias = struct.pack(">4sHH", b"\0\0\0\0", 150 + len(name), 2) + bytes(142)
    alias += struct.pack(">hH", 18, len(name)) + name + b"\0" * (len(name) % 2)
    alias += struct.pack(">hH", -1, 0)
    sizes = full(b"stsz", struct.pack(">II", 1000, 1))
    entry = box(
        b"jpeg",
        bytes(6),
        struct.pack(">H", 1),
        bytes(16),
        struct.pack(">HHIIIH", 64, 64, 0x480000, 0x480000, 0, 1),
        bytes(32),
        struct.pack(">Hh", 24, -1),
    )
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        full(b"stts", struct.pack(">III", 1, 1, 1000)),
        full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
        sizes,
        full(b"stco", struct.pack(">II", 1, 0)),
    )
    references = full(
        b"dref", struct.pack(">I", 1), full(b"alis" if "://" not in target else b"url ", alias)
    )
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, 1000, 0, 0)),
        full(b"hdlr", b"mhlrvide", bytes(12), b"\0"),
        box(b"minf", full(b"vmhd", bytes(8)), box(b"dinf", references), table),
    )
    track = box(
        b"trak",
        full(
            b"tkhd",
            struct.pack(">IIIII", 0, 0, 1, 0, 1000),
            bytes(16),
            matrix,
            struct.pack(">II", 64 << 16, 64 << 16),
        ),
        media,
    )
    movie = full(
        b"mvhd",
        struct.pack(">IIIIIH", 0, 0, 1000, 1000, 0x10000, 0x100),
        bytes(10),
        matrix,
        bytes(24),
        struct.pack(">I", 2),
    )
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", movie, track)


class Opened:
    """Tells whether anybody has opened or read a file since (inotify)."""

    OPEN, ACCESS = 0x20, 0x1

    def __init__(self, path):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._fd >= 0
        assert (
            self._libc.inotify_add_watch(self._fd, os.fsencode(path), self.OPEN | self.ACCESS) > 0
        )

    def happened(self):
        """Whether it was, since the last call."""
        try:
            return bool(os.read(self._fd, 65536))
        except BlockingIOError:
            return False

    def close(self):
        os.close(self._fd)


class Listener:
    """A server on this machine that remembers who spoke to it."""

    def __init__(self):
        asked = self.asked = []
        self.headers, self.redirect = [], None
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                listener.headers.append(dict(self.headers))
                if self.path == "/redirect":
                    self.send_response(302)
                    self.send_header("Location", listener.redirect)
                else:
                    self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def get_request(self):
                asked.append("connection")
                return super().get_request()

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/canary.mp4"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
