"""Connections to public addresses only: a URL of a stranger must not reach into the own network.

An address is looked at when it is connected to, after its name has been resolved and after every
redirect, so neither another notation (decimal, octal, mapped into IPv6) nor a name that resolves to
something else the second time leads around it.
"""

import http.client
import ipaddress
import socket
import urllib.request
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from soravec.errors import NotAllowed

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ALSO_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "3fff::/20"),
    )
)
"""Special ranges that some versions of Python take for public, and a cloud's address of itself."""
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6 (IANA); the rest is private, special, or a disguise of IPv4."""


def is_public(text: str) -> bool:
    """Whether a numeric address belongs to the internet, whatever it is wrapped in.

    >>> is_public("93.184.215.14"), is_public("::ffff:127.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if any(address.version == net.version and address in net for net in _ALSO_SPECIAL):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if address.ipv4_mapped is not None or address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    carried = [address.sixtofour, *(address.teredo or ())]
    if not all(is_public(str(one)) for one in carried if one is not None):
        return False
    return address in _UNICAST and address.is_global


def check_host(host: str, port: int) -> list[tuple[Any, ...]]:
    """Return what `getaddrinfo` says of a host, all of it public.

    Raises:
        NotAllowed: One of its addresses is not.
        OSError: The host cannot be resolved.
    """
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    for *_, place in found:
        if not is_public(str(place[0])):
            cause = f"it lies in a private network ({place[0]})"
            remedy = "If you trust it: --allow-private-urls, allow_urls='private'."
            raise NotAllowed(host, cause, remedy)
    return found


def public_handlers() -> tuple[urllib.request.BaseHandler, ...]:
    """Return handlers for `urllib` that connect to public addresses only."""
    return _PublicHttpHandler(), _PublicHttpsHandler()


def _connect(
    address: tuple[str, int], timeout: float | None, source_address: Any = None
) -> socket.socket:
    """Connect to the first address that answers: those that were looked at, and no others."""
    problem: OSError = OSError(f"{address[0]} has no address")
    for family, kind, protocol, _, place in check_host(*address):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(place)
        except OSError as error:
            connection.close()
            problem = error
            continue
        return connection
    raise problem


class _PublicConnection(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._create_connection = _connect


class _PublicTlsConnection(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._create_connection = _connect


class _PublicHttpHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return _opened(self, _PublicConnection, http.client.HTTPConnection, request)


class _PublicHttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return _opened(self, _PublicTlsConnection, http.client.HTTPSConnection, request)


def _opened(
    handler: urllib.request.AbstractHTTPHandler,
    public: Any,
    plain: Any,
    request: urllib.request.Request,
) -> http.client.HTTPResponse:
    """Open a request; by a proxy, whose own address is the user's choice, its target is checked."""
    kind = public
    if request.has_proxy() or getattr(request, "_tunnel_host", None):
        parts = urlsplit(request.full_url)
        with suppress(OSError):  # where the proxy alone can resolve names
            check_host(parts.hostname or "", parts.port or 80)
        kind = plain
    response: http.client.HTTPResponse = handler.do_open(kind, request)
    return response
