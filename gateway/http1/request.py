"""The head of a request on its way to the wire."""

from __future__ import annotations

from gateway.errors import UpstreamFailed
from gateway.providers.base import Outgoing, Unchanging

FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
"""Headers that only the client itself may write."""
BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
"""Methods whose empty body needs no Content-Length: 0."""

SIGNED_ANEW = b"\r\nx-amz-date:"
"""Heads with it are never twice the same."""
MOST_KEPT = 256
LONGEST_KEPT = 2048

_HEADS: dict[tuple[object, ...], bytes] = {}
"""Most requests to a provider begin alike: everything before the line that says how long the body is."""


def head(outgoing: Outgoing, host: bytes, prefix: bytes = b"", proxy_header: bytes = b"") -> bytes:
    """Return request line and headers; raise UpstreamFailed for what would not stay on its line."""
    headers = outgoing.headers
    alike = headers if type(headers) is Unchanging else tuple(headers)
    key = outgoing.method, prefix, outgoing.path, host, proxy_header, alike
    start = _HEADS.get(key)
    if start is None:
        start = _start(outgoing, host=host, prefix=prefix, proxy_header=proxy_header)
        if len(start) <= LONGEST_KEPT and SIGNED_ANEW not in start:
            if len(_HEADS) >= MOST_KEPT:
                _HEADS.clear()
            _HEADS[key] = start
    if outgoing.parts is not None:
        if outgoing.length is None:
            return start + b"transfer-encoding: chunked\r\n\r\n"
        return b"%bcontent-length: %d\r\n\r\n" % (start, outgoing.length)
    body = outgoing.body
    if body or outgoing.method not in BODILESS:
        return b"%bcontent-length: %d\r\n\r\n" % (start, len(body))
    return start + b"\r\n"


def _start(outgoing: Outgoing, *, host: bytes, prefix: bytes, proxy_header: bytes) -> bytes:
    """Return the lines that do not depend on the body."""
    path = outgoing.path
    if " " in path or not path.isascii():
        raise UpstreamFailed("the request's path holds a space or a raw non-ASCII letter", retryable=False)
    lines = [b"%b %b%b HTTP/1.1" % (outgoing.method.encode("ascii"), prefix, path.encode("ascii"))]
    for name, value in outgoing.headers:
        low = name.lower()
        if low == b"host":
            host = b""
        if low not in FRAMING:
            lines.append(name + b": " + value)
    if host:
        lines.append(b"host: " + host)
    if proxy_header:
        lines.append(proxy_header.removesuffix(b"\r\n"))
    text = b"\r\n".join(lines) + b"\r\n"
    if text.count(b"\n") != len(lines) or text.count(b"\r") != len(lines):
        raise UpstreamFailed(
            "a header for the provider holds a line break; look at the end of its key", retryable=False
        )
    return text
