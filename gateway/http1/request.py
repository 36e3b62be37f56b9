"""A request on its way to the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from gateway.errors import UpstreamFailed
from gateway.providers.base import Outgoing
from gateway.settings import Timeouts

FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
"""Headers that only the client itself may write."""
BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
"""Methods whose empty body needs no Content-Length: 0."""

MOST_KEPT = 1024
LONGEST_KEPT = 256

_STARTS: dict[tuple[str, bytes, str], bytes] = {}
_ORDINARY: set[bytes] = set()
"""Names of headers, as they were written, that need no second look."""


class Ask(msgspec.Struct, kw_only=True, eq=False):
    """One request, ready for the wire."""

    method: str
    head: bytes
    body: bytes = b""
    parts: AsyncIterator[bytes] | None = None
    length: int | None = None
    """Of all parts; None: chunked."""
    timeouts: Timeouts
    stream: bool
    total_at: float
    """When the attempt's total clock runs out, in the loop's time."""


def head(
    outgoing: Outgoing,
    *,
    host: bytes,
    prefix: bytes = b"",
    proxy_header: bytes = b"",
    streamed: bool = False,
    length: int | None = None,
) -> bytes:
    """Return request line and headers; raise UpstreamFailed for what would not stay on its line."""
    method, path = outgoing.method, outgoing.path
    lines = [_STARTS.get((method, prefix, path)) or _start(method, prefix, path)]
    for name, value in outgoing.headers:
        if name not in _ORDINARY:
            special = _special(name)
            if special == b"host":
                host = b""
            elif special:
                continue
        lines.append(name + b": " + value)
    if host:
        lines.append(b"host: " + host)
    if proxy_header:
        lines.append(proxy_header.removesuffix(b"\r\n"))
    if streamed:
        lines.append(b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length)
    elif outgoing.body or method not in BODILESS:
        lines.append(b"content-length: %d" % len(outgoing.body))
    expected = len(lines) + 1
    lines.append(b"\r\n")
    text = b"\r\n".join(lines)
    if text.count(b"\n") != expected or text.count(b"\r") != expected:
        raise UpstreamFailed(
            "a header for the provider holds a line break; look at the end of its key", retryable=False
        )
    return text


def _special(name: bytes) -> bytes:
    """Return the name in lower case if it means something here, else nothing; remember those that do not."""
    low = name.lower()
    if low in FRAMING or low == b"host":
        return low
    if len(_ORDINARY) < MOST_KEPT and len(name) <= LONGEST_KEPT:
        _ORDINARY.add(name)
    return b""


def _start(method: str, prefix: bytes, path: str) -> bytes:
    """Return the request line, and remember it: most requests to a provider begin alike."""
    if " " in path or not path.isascii():
        raise UpstreamFailed("the request's path holds a space or a raw non-ASCII letter", retryable=False)
    line = b"%b %b%b HTTP/1.1" % (method.encode("ascii"), prefix, path.encode("ascii"))
    if len(_STARTS) < MOST_KEPT and len(line) <= LONGEST_KEPT:
        _STARTS[method, prefix, path] = line
    return line
