"""URLs for children without a network: the child asks its parent for bytes, the parent fetches.

What decodes bytes of strangers speaks to nobody; what speaks to servers decodes nothing. The parent
fetches from the URL of the job alone, whatever the child asks.
"""

import io
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import numpy as np

from soravec import errors
from soravec.channel import Message
from soravec.errors import NotAllowed, SoravecError, UnreadableVideo, VideoError
from soravec.video import AllowUrls, find_input, is_url
from soravec.video.inputs import Input, Span
from soravec.video.remote import shown_url

NONSENSE = (LookupError, TypeError, ValueError, ArithmeticError)
"""What a question that is none raises."""
BUFFER_BYTES = 2**18
MAX_ASKED_BYTES = 2**24
"""What is fetched at one request at most."""

Ask = Callable[[Mapping[str, Any]], Message]


class Fetcher:
    """The parent's side: keeps one URL open for every thread that tends to a child.

    Args:
        allow_urls: Whether http and https URLs are opened; "private": also of private networks.
    """

    def __init__(self, allow_urls: AllowUrls) -> None:
        self._allow_urls = allow_urls
        self._mine = threading.local()

    def answer(self, url: str, header: Mapping[str, Any], go_on: Callable[[], bool]) -> Message:
        """Return what a child asks of the URL of its job: its size, or some bytes.

        Args:
            url: As it was given, with its password.
            header: What the child asks.
            go_on: Whether the answer is still wanted.
        """
        try:
            where, file = self._opened(url, go_on)
            if header.get("what") == "size":
                return Message({"name": where.name, "size_bytes": where.size_bytes})
            position, wanted = int(header["position"]), int(header["num_bytes"])
            if position < 0 or not 0 < wanted <= MAX_ASKED_BYTES:
                raise ValueError("no such bytes")
            file.seek(position)
            return Message({}, {"bytes": np.frombuffer(file.read(wanted), np.uint8)})
        except VideoError as error:
            self._close()
            return _failed(type(error).__name__, error.path, error.cause, error.remedy)
        except (SoravecError, OSError, *NONSENSE) as error:
            self._close()
            cause = f"cannot be fetched ({error})"
            return _failed(UnreadableVideo.__name__, shown_url(url), cause, "Try again.")

    def _opened(self, url: str, go_on: Callable[[], bool]) -> tuple[Input, BinaryIO]:
        if not is_url(url):
            raise NotAllowed(url, "its bytes are not passed on", "A worker reads files itself.")
        if getattr(self._mine, "url", None) != url:
            self._close()
            where = find_input(url, allow_urls=self._allow_urls, go_on=go_on)
            self._mine.where, self._mine.file, self._mine.url = where, where.open(), url
        return self._mine.where, self._mine.file

    def _close(self) -> None:
        if getattr(self._mine, "url", None) is not None:
            self._mine.url = None
            with suppress(OSError):
                self._mine.file.close()


class Fetched:
    """The child's side: an `Input` whose bytes the parent fetches.

    Args:
        ask: Asks the parent.

    Raises:
        VideoError: The parent cannot fetch it, or may not.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        said = _checked(ask({"what": "size"})).header
        self.name = str(said["name"])
        self.size_bytes = int(said["size_bytes"])

    def open(self) -> BinaryIO:
        """Return a new seekable file."""
        return io.BufferedReader(_FetchedSpan(self._ask, self), BUFFER_BYTES)

    def for_ffmpeg(self) -> BinaryIO:
        """Return the same: FFmpeg reads through it."""
        return self.open()

    def head(self, num_bytes: int) -> bytes:
        """Return the first bytes."""
        with self.open() as file:
            return file.read(num_bytes)


class _FetchedSpan(Span):
    def __init__(self, ask: Ask, of: Fetched) -> None:
        super().__init__(of.size_bytes)
        self.name = urlsplit(of.name).path.rpartition("/")[2]
        self._ask = ask

    def _at(self, position: int, num_bytes: int) -> bytes:
        wanted = min(num_bytes, MAX_ASKED_BYTES)
        answer = self._ask({"what": "bytes", "position": position, "num_bytes": wanted})
        return _checked(answer).arrays["bytes"].tobytes()


def _failed(kind: str, path: str, cause: str, remedy: str) -> Message:
    return Message({"failed": kind, "path": path, "cause": cause, "remedy": remedy})


def _checked(answer: Message) -> Message:
    """Return an answer, or raise the error that it tells of."""
    said = answer.header
    if "failed" in said:
        raise getattr(errors, said["failed"])(said["path"], said["cause"], said["remedy"])
    return answer
