"""A video on a web server, read by ranges: only what is looked at is fetched.

FFmpeg never touches the network here. A server that knows no ranges is read once, from its
beginning, into a temporary file.
"""

import base64
import http.client
import io
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit, urlunsplit
from weakref import finalize

from soravec.errors import MissingVideo, NotAllowed, UnreadableVideo, VideoError
from soravec.video.addresses import public_handlers
from soravec.video.inputs import Span

TIMEOUT_SECONDS = 30.0
"""How long a server may be silent."""
COPY_SECONDS = 600.0
MAX_COPY_BYTES = 16 * 2**30
"""How long, and how much, is copied from a server that knows no ranges."""
MAX_SKIP_BYTES = 2**20
"""Over fewer bytes it is quicker to read on than to ask anew."""
NUM_ATTEMPTS = 3
"""How often a connection that broke is made again before the file is given up."""


def shown_url(url: str) -> str:
    """Return a URL without the user's name and password, whatever is wrong with it."""
    try:
        parts = urlsplit(url)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        shown = url
    # A password with a slash or a number sign in it ends the host too early.
    protocol, mark, rest = shown.partition("://")
    return f"{protocol}{mark}{rest.rpartition('@')[2]}" if "@" in rest else shown


class RemoteFile:
    """A file behind an http or https URL.

    Args:
        url: Where; a name and password in it are sent as basic authentication and never shown.
        allow_private: Whether it may lie in a private network.
        go_on: Asked while it is copied whether it is still wanted.

    Raises:
        MissingVideo: The server has no such file.
        NotAllowed: The server refuses it.
        UnreadableVideo: The server cannot be reached.
    """

    def __init__(
        self,
        url: str,
        *,
        allow_private: bool = False,
        go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._allow_private = allow_private
        self.go_on = go_on
        parts = urlsplit(url)
        self.name = shown_url(url)
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "soravec"}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
        self._copy: BinaryIO | None = None
        with self.request(0) as answer:
            self.size_bytes = _served(answer, 0)
            self.version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            if not self.size_bytes:
                self._copy = self._downloaded(answer)

    def open(self) -> BinaryIO:
        """Return a new seekable file."""
        if self._copy is not None:
            return io.BufferedReader(_Ranges(self, self.size_bytes, self._copy))
        return io.BufferedReader(_Ranges(self, self.size_bytes, None), 2**16)

    def for_ffmpeg(self) -> BinaryIO:
        """Return the same: FFmpeg reads through it."""
        return self.open()

    def head(self, num_bytes: int) -> bytes:
        """Return the first bytes."""
        with self.open() as file:
            return file.read(num_bytes)

    def request(self, first_byte: int) -> http.client.HTTPResponse:
        """Ask for the file from a byte on."""
        headers = {**self._headers, "Range": f"bytes={first_byte}-"}
        try:
            answer = _opener(allow_private=self._allow_private).open(
                urllib.request.Request(self.name, headers=headers),  # noqa: S310
                timeout=TIMEOUT_SECONDS,
            )
        except NotAllowed as error:  # raised of a host, maybe after a redirect
            raise NotAllowed(self.name, error.cause, error.remedy) from error
        except urllib.error.HTTPError as error:
            error.close()
            raise self._refused(error.code, error.reason) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = getattr(error, "reason", None) or error
            remedy = "Check the address and the network, and try again."
            raise UnreadableVideo(self.name, f"cannot be fetched ({cause})", remedy) from error
        assert isinstance(answer, http.client.HTTPResponse)
        return answer

    def broken(self, error: BaseException) -> UnreadableVideo:
        """Return the error for a connection that broke for good."""
        return UnreadableVideo(self.name, f"the connection broke ({error})", "Try again.")

    def _refused(self, code: int, reason: str) -> VideoError:
        if code in (404, 410):
            return MissingVideo(self.name, f"the server has no such file ({code})", "Check it.")
        if code in (401, 403, 407):
            remedy = "Give a URL that may be read, or download it first."
            return NotAllowed(self.name, f"the server refuses it ({code} {reason})", remedy)
        return UnreadableVideo(self.name, f"the server answered {code} {reason}", "Try later.")

    def _endless(self, num_bytes: int) -> UnreadableVideo:
        cause = f"the server knows no ranges, and was not done after {num_bytes / 2**20:.0f} MiB"
        return UnreadableVideo(self.name, cause, "Download it first.")

    def _downloaded(self, answer: http.client.HTTPResponse) -> BinaryIO:
        copy = TemporaryFile()  # noqa: SIM115  # open as long as this object lives
        until = time.monotonic() + COPY_SECONDS
        try:
            while data := answer.read1(2**18):
                copy.write(data)
                if time.monotonic() > until or copy.tell() > MAX_COPY_BYTES or not self.go_on():
                    raise self._endless(copy.tell())
        except (OSError, http.client.HTTPException, VideoError) as error:
            copy.close()
            if isinstance(error, VideoError):
                raise
            raise self.broken(error) from error
        stated = answer.headers.get("Content-Length")
        self.size_bytes = copy.tell()
        if stated is not None and stated.isdigit() and int(stated) != self.size_bytes:
            copy.close()
            raise self.broken(EOFError(f"{self.size_bytes} of {stated} bytes"))
        finalize(self, copy.close)
        return copy


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; a password goes to nobody but the host that it was given for."""

    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        before, new = arguments[0], super().redirect_request(*arguments)
        if new is not None and _origin(new.full_url) != _origin(before.full_url):
            new.remove_header("Authorization")
        return new


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


@cache
def _opener(*, allow_private: bool) -> urllib.request.OpenerDirector:
    """Return what follows no redirect to ftp:, file: or data:."""
    any_address = urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        *(any_address if allow_private else public_handlers()),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Ranges(Span):
    """The file as one connection after another gives it, or as it was copied."""

    def __init__(self, remote: RemoteFile, size_bytes: int, copy: BinaryIO | None) -> None:
        super().__init__(size_bytes)
        self.name = urlsplit(remote.name).path.rpartition("/")[2]
        self._remote = remote
        self._copy = copy
        self._answer: http.client.HTTPResponse | None = None
        self._answer_position = 0

    def close(self) -> None:
        self._disconnect()
        super().close()

    def _at(self, position: int, num_bytes: int) -> bytes:
        if self._copy is not None:
            self._copy.seek(position)
            return self._copy.read(num_bytes)
        problem: BaseException = EOFError("the server ended it early")
        for _ in range(NUM_ATTEMPTS):
            if not self._remote.go_on():
                raise self._remote.broken(TimeoutError("it took too long"))
            try:
                data = self._connected(position).read1(num_bytes)
            except (OSError, http.client.HTTPException) as error:
                problem, data = error, b""
            if data:
                self._answer_position += len(data)
                return data
            self._disconnect()
        raise self._remote.broken(problem)

    def _connected(self, position: int) -> http.client.HTTPResponse:
        """Return a connection that stands at a position."""
        skip = position - self._answer_position
        if self._answer is not None and 0 <= skip <= MAX_SKIP_BYTES:
            if skip:
                self._answer_position += len(self._answer.read(skip))
            if self._answer_position == position:
                return self._answer
        self._disconnect()
        answer = self._remote.request(position)
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if _served(answer, position) != self._size or version != self._remote.version:
            answer.close()
            cause = "it changed on the server while it was read"
            raise UnreadableVideo(self._remote.name, cause, "Try again.")
        self._answer, self._answer_position = answer, position
        return answer

    def _disconnect(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None


def _served(answer: http.client.HTTPResponse, first_byte: int) -> int:
    """Return the size of the whole file; 0 where it is not served from `first_byte` on."""
    stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range") or "")
    if answer.status != http.client.PARTIAL_CONTENT or stated is None:
        return 0
    return int(stated[2]) if int(stated[1]) == first_byte else 0
