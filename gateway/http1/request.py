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


class Ask(msgspec.Struct, kw_only=True):
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
    path = outgoing.path
    if " " in path or not path.isascii():
        raise UpstreamFailed("the request's path holds a space or a raw non-ASCII letter", retryable=False)
    lines = [b""]
    for name, value in outgoing.headers:
        low = name.lower()
        if low in FRAMING:
            continue
        if low == b"host":
            host = b""
        lines.append(b"%b: %b\r\n" % (name, value))
    lines[0] = b"%b %b%b HTTP/1.1\r\n" % (outgoing.method.encode("ascii"), prefix, path.encode("ascii"))
    if host:
        lines.append(b"host: %b\r\n" % host)
    if proxy_header:
        lines.append(proxy_header)
    if streamed:
        lines.append(
            b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length
        )
    elif outgoing.body or outgoing.method not in BODILESS:
        lines.append(b"content-length: %d\r\n" % len(outgoing.body))
    expected = len(lines) + 1
    lines.append(b"\r\n")
    text = b"".join(lines)
    if text.count(b"\n") != expected or text.count(b"\r") != expected:
        raise UpstreamFailed(
            "a header for the provider holds a line break; look at the end of its key", retryable=False
        )
    return text
