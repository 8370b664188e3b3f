"""URLs that would lead into the own network, and names and archives that would lead elsewhere."""

import io
import itertools
import os
import socket
import sys
import tarfile
import urllib.request

import psutil
import pytest

from soravec import IndexOptions, Library, probe
from soravec.errors import NotAllowed, SoravecError, VideoError
from soravec.video import addresses, remote
from tests.video.making import Look, make

from .canaries import Listener, Opened

FORMS = (
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "017700000001", "0177.0.0.1"),
    *("0x7f.1", "127.255.255.254", "0.0.0.0", "0", "localhost", "LOCALHOST", "localhost.", "[::1]"),
    *("[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::]"),
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.1.254"),
    *("169.254.169.254", "169.254.0.1", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00::1]"),
    *("[fec0::1]", "100.64.0.1", "198.18.0.1", "192.0.0.1", "192.0.2.1", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "[ff02::1]"),
    *("[2001:db8::1]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "3232235521", "0xc0a80001"),
    *("0xA9FEA9FE", "2852039166", "0251.0376.0251.0376", "[::ffff:169.254.169.254]"),
    *("[::ffff:10.0.0.1]", "[::ffff:c0a8:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b:1::7f00:1]"),
    *("[100::1]", "127.0.0.1.", "①②⑦.⓪.⓪.①", "ip6-localhost", "0x7f.0x0.0x0.0x1"),
)
"""Hosts of this machine, of private networks, or of nobody: none belongs to the internet."""


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    remote._opener.cache_clear()
    yield
    remote._opener.cache_clear()


@pytest.fixture
def listener():
    server = Listener()
    yield server
    server.close()


@pytest.mark.hostile("SSRF: forms of private addresses")
def test_no_form_of_a_private_address_is_spoken_to(listener, figures, monkeypatch):
    port = listener.url.rpartition(":")[2].partition("/")[0]
    monkeypatch.setattr("soravec.video.remote.TIMEOUT_SECONDS", 3.0)
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: connected.append(place))
    for scheme, host in itertools.product(("http", "https"), FORMS):
        url = f"{scheme}://{host}:{port}/canary.mp4"
        try:
            wrong = f"it was read: {probe(url, allow_urls=True)}"
        except NotAllowed as error:
            wrong = None if "private network" in str(error) else str(error)
        except VideoError as error:  # not even a name here
            wrong = None
            figures.note(f"not resolved: {type(error).__name__}")
        figures.count((listener.asked or connected or wrong) and f"{url}: {wrong} {connected}")
        connected.clear()
        listener.asked.clear()
    assert figures.cases >= 120
    assert figures.facts.get("not resolved: UnreadableVideo", 0) < 24


@pytest.mark.hostile("SSRF: redirects, rebinding, proxies, passwords")
def test_no_way_round_leads_into_the_own_network(listener, figures, monkeypatch):  # noqa: PLR0915
    port = int(listener.url.rpartition(":")[2].partition("/")[0])
    resolve = socket.getaddrinfo
    public = ("93.184.215.14", port)
    answers = []

    def resolving(host, *rest, **named):
        if host == "rebinding.example":  # public when it is looked at, and private ever after
            answers.append(public if not answers else ("127.0.0.1", port))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", answers[-1])]
        if host == "mixed.example":
            places = (public, ("127.0.0.1", port))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        if host == "public.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", public)]
        return resolve(host, *rest, **named)

    connect = socket.socket.connect
    reached = []

    def connecting(self, place):
        reached.append(place)
        if place == public:  # the one public server there is stands here
            place = ("127.0.0.1", port)
        return connect(self, place)

    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    monkeypatch.setattr(addresses.socket, "getaddrinfo", resolving)
    monkeypatch.setattr(socket.socket, "connect", connecting)

    def tried(url):
        reached.clear()
        try:
            probe(url, allow_urls=True)
        except SoravecError as error:
            return str(error)
        return "it was read"

    tried(f"http://public.example:{port}/canary.mp4")
    figures.count(None if reached == [public] else f"public: {reached}")
    tried(f"http://rebinding.example:{port}/canary.mp4")
    figures.count(None if reached == [public] and len(answers) == 1 else f"rebinding: {reached}")
    said = tried(f"http://mixed.example:{port}/canary.mp4")
    figures.count(None if not reached and "private" in said else f"mixed: {reached} {said}")

    for target in (f"http://127.0.0.1:{port}/x", f"http://[::1]:{port}/x", "file:///etc/passwd"):
        listener.redirect = target
        said = tried(f"http://public.example:{port}/redirect")
        was = reached == [public] and "was read" not in said
        figures.count(None if was else f"redirect to {target}: {reached} {said}")
    listener.redirect = f"http://other.example:{port}/canary.mp4"
    monkeypatch.setattr(
        addresses, "check_host", lambda host, port: [(socket.AF_INET, 1, 6, "", public)]
    )
    listener.headers.clear()
    tried(f"http://me:hush@public.example:{port}/redirect")
    given = [headers.get("Authorization") for headers in listener.headers]
    figures.count(None if given[0] and given[1:] == [None] else f"a password went on: {given}")
    monkeypatch.undo()

    monkeypatch.setenv("http_proxy", listener.url.rpartition("/")[0])
    remote._opener.cache_clear()
    listener.asked.clear()
    try:
        with pytest.raises(VideoError, match="private"):
            probe("http://169.254.169.254/latest", allow_urls=True)
        figures.count(listener.asked and "the proxy was asked for a private address")
    finally:
        remote._opener.cache_clear()


def test_a_private_address_is_read_when_that_is_asked_for(listener):
    """Else the tests above would pass with a reader that opens nothing."""
    with pytest.raises(VideoError, match="404"):
        probe(listener.url, allow_urls="private")
    assert listener.asked


@pytest.mark.hostile("names that lead elsewhere")
def test_no_name_leads_out_of_its_place(tmp_path, figures):
    outside = tmp_path / "outside"
    outside.mkdir()
    canary = outside / "canary.mp4"
    make(canary, Look("mpeg4"), range(10))
    inside = tmp_path / "inside"
    inside.mkdir()
    names = [
        *("../outside/canary.mp4", "a/../../outside/canary.mp4", f"{canary}", f"./{canary}"),
        *("..\\outside\\canary.mp4", "%2e%2e/outside/canary.mp4", "....//outside/canary.mp4"),
        *(
            "/../outside/canary.mp4",
            "../outside/canary.mp4\0.mp4",
            "file:../outside/canary.mp4",
            "~/../outside/canary.mp4",
        ),
    ]
    for number, name in enumerate(names):
        for kind in (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            archive = inside / f"{number}-{kind.decode()}.tar"
            with tarfile.open(archive, "w") as tar:
                one = tarfile.TarInfo("clip.mp4" if kind != tarfile.REGTYPE else name)
                one.type, one.linkname = kind, name if kind != tarfile.REGTYPE else ""
                tar.addfile(one, io.BytesIO(b""))
            watched = Opened(canary) if sys.platform == "linux" else None
            try:
                info = probe(f"{archive}/{one.name}")
                wrong = f"read {info}"
            except VideoError:
                wrong = None
            if watched is not None and watched.happened():
                wrong = "the file outside was opened"
            if watched is not None:
                watched.close()
            figures.count(wrong and f"{archive.name} {name}: {wrong}")
    for name in ("../outside", "/outside", "..", ".", "a/b", "x" * 5000, "\0", "nul\ud800.mp4"):
        folder = inside / "model"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        from soravec import load

        try:
            load(str(folder / name))
            wrong = "a model was loaded"
        except (SoravecError, OSError, ValueError):
            wrong = None
        figures.count(wrong and f"model {name!r}: {wrong}")
    with Library(tmp_path / "x.library") as library:
        report = library.add(inside, options=IndexOptions(), progress=False)
        figures.count(f"{report}" if report.indexed else None)
    assert figures.cases >= 50
    assert os.listdir(outside) == ["canary.mp4"]  # noqa: PTH208


@pytest.mark.hostile("archives that are bombs")
def test_an_archive_costs_what_it_weighs(tmp_path, figures):  # noqa: C901  # one writer each
    make(tmp_path / "clip.mp4", Look("mpeg4"), range(10))
    clip = (tmp_path / "clip.mp4").read_bytes()

    def archive(name, write):
        path = tmp_path / name
        write(path)
        return path

    def lying(size):
        def write(path):
            one = tarfile.TarInfo("clip.mp4")
            one.size = size
            path.write_bytes(one.tobuf(tarfile.GNU_FORMAT) + clip)

        return write

    def many(count):
        def write(path):
            with tarfile.open(path, "w") as tar:
                for number in range(count):
                    tar.addfile(tarfile.TarInfo(f"{number}.mp4"))

        return write

    def sparse(path):
        one = tarfile.TarInfo("clip.mp4")
        one.type, one.size = tarfile.GNUTYPE_SPARSE, 0
        path.write_bytes(one.tobuf(tarfile.GNU_FORMAT) + bytes(1024))

    def long_name(path):
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(tarfile.TarInfo("d/" * 50_000 + "clip.mp4"))

    def packed(mode):
        def write(path):
            with tarfile.open(path, f"w:{mode}") as tar:
                one = tarfile.TarInfo("clip.mp4")
                one.size = 2**27
                tar.addfile(one, io.BytesIO(bytes(2**27)))

        return write

    def inside_itself(path):
        path.write_bytes(b"")
        for _ in range(3):
            content = path.read_bytes()
            with tarfile.open(path, "w") as tar:
                one = tarfile.TarInfo("again.tar")
                one.size = len(content)
                tar.addfile(one, io.BytesIO(content))

    def cut(length):
        return lambda path: path.write_bytes(b"clip.mp4".ljust(length, b"\0"))

    writers = {
        **{f"size-{size}.tar": lying(size) for size in (2**33, 2**40, 2**62, len(clip) + 1)},
        **{f"packed-{mode}.tar": packed(mode) for mode in ("gz", "bz2", "xz")},
        **{f"many-{count}.tar": many(count) for count in (1, 20_000)},
        **{"sparse.tar": sparse, "long.tar": long_name, "itself.tar": inside_itself},
        **{f"cut-{length}.tar": cut(length) for length in (1, 100, 511, 512, 513, 1024)},
        "zeros.tar": lambda path: path.write_bytes(bytes(2**20)),
        "noise.tar": lambda path: path.write_bytes(os.urandom(2**16)),
    }
    assert len(writers) >= 20
    for name, write in writers.items():
        path = archive(name, write)
        before = psutil.Process().memory_info().rss
        try:
            probe(f"{path}/clip.mp4")
            figures.note("read")
            wrong = None if name.startswith("size") else "it was read"
        except VideoError as error:
            figures.note(f"refused: {type(error).__name__}")
            wrong = None
        grown = psutil.Process().memory_info().rss - before
        figures.count(wrong or (f"{grown / 2**20:.0f} MiB" if grown > 2**28 else None))


def test_the_opener_is_the_checked_one():
    from soravec.video.remote import _opener

    kinds = {type(handler) for handler in _opener(allow_private=False).handlers}
    assert not {urllib.request.HTTPHandler, urllib.request.HTTPSHandler} & kinds
