"""Where uvicorn ends and the gateway begins: the connection, the request's body, the answer.

Leans on uvicorn's httptools protocol (hence the pin in pyproject.toml), because ASGI has no way to
hear at once that a client hung up, to limit headers, or to cut an answer short without a log line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, ClassVar

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.errors import BadRequest, GatewayError, TooLarge, TooSlow

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

LINGER_S = 2.0

PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
BODILESS = frozenset({204, 304})

JSON_TYPE = (b"content-type", b"application/json")


class Connection(HttpToolsProtocol):
    """One client connection: bounds its headers and tells the running request when it is gone."""

    max_header_bytes = 65_536
    render: Callable[[GatewayError], bytes]
    """Turns an error that no endpoint saw into a body; set by `connection_class`."""

    everyone: ClassVar[set[Connection]] = set()
    """Every open connection of the class."""

    on_gone: Callable[[], None] | None = None
    """Called once if the client hangs up. uvicorn runs one request of a connection at a time."""
    reading_since: float | None = None
    """Loop time at which the headers now being read began (or the connection, before its first byte)."""
    _refused = False
    _header_bytes = 0
    _in_headers = True

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.everyone.add(self)
        self.reading_since = self.loop.time()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.everyone.discard(self)
        gone, self.on_gone = self.on_gone, None
        if gone is not None:
            gone()

    @override
    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self.reading_since is None:
                self.reading_since = self.loop.time()
        super().data_received(data)
        if self._in_headers and self._header_bytes > self.max_header_bytes:
            self._refuse_headers()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["connection"] = self  # type: ignore[typeddict-unknown-key]

    @override
    def on_headers_complete(self) -> None:
        self._in_headers = False
        self.reading_since = None
        if self._header_bytes > self.max_header_bytes:
            # The chunk may hold a body too: count what really is header.
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.max_header_bytes:
                self._refuse_headers()
        if not self._refused:
            super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._refused:
            return
        super().on_message_complete()
        self._in_headers = True
        self._header_bytes = 0

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest("the request is not valid HTTP/1.1", code="invalid_http"))

    def too_slow(self) -> None:
        """Give up on headers that do not arrive."""
        self._refuse(TooSlow("the request's headers did not arrive in time (server.header_timeout_s)"))

    def linger(self) -> None:
        """Close soon: until then what still comes is thrown away, so that the answer is not lost to a reset."""
        self.loop.call_later(LINGER_S, self.transport.close)

    def cut(self) -> None:
        """Close after what was written, without the end the answer still lacks."""
        if self.cycle is not None:
            self.cycle.response_complete = True  # or uvicorn logs an incomplete answer as an error
        self.transport.close()

    def _refuse_headers(self) -> None:
        error = BadRequest(
            f"the request's headers are over {self.max_header_bytes} bytes (server.max_header_kb)",
            code="headers_too_large",
        )
        error.status = 431
        self._refuse(error)

    def _refuse(self, error: GatewayError) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._refused, self.reading_since = True, None
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete:
            body = self.render(error)
            self.transport.write(
                b"HTTP/1.1 %d \r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (error.status, len(body), body)
            )
            self.transport.write_eof()
            self.linger()
        else:
            self.transport.close()


def connection_class(*, max_header_bytes: int, render: Callable[[GatewayError], bytes]) -> type[Connection]:
    """Return the protocol class to give to uvicorn's `Config(http=...)`."""
    return type(
        "ConfiguredConnection",
        (Connection,),
        {"max_header_bytes": max_header_bytes, "render": staticmethod(render), "everyone": set()},
    )


def close_slow(connections: Iterable[Connection], *, now: float, limit_s: float) -> None:
    """Close every connection whose headers have been arriving for longer than `limit_s`."""
    for connection in list(connections):
        since = connection.reading_since
        if since is not None and now - since > limit_s:
            connection.too_slow()


async def read_body(
    cycle: RequestResponseCycle, headers: dict[bytes, bytes], *, limit: int, silence_s: float
) -> bytes:
    """Return the whole body; raise TooLarge, TooSlow, or BadRequest if the client left."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    if not cycle.more_body:  # it came together with the headers
        return bytes(cycle.body)
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(silence_s):
                message: Message = dict(await cycle.receive())
        except TimeoutError as error:
            raise TooSlow("the request's body stopped arriving (server.body_timeout_s)") from error
        if message["type"] == "http.disconnect":
            raise BadRequest("the client left before its request was complete", code="client_left")
        size += len(message["body"])
        if size > limit:
            raise _too_large(limit)
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over {limit >> 20} MB (server.max_body_mb)", param="body")


class Client:
    """The answer's way to the client. One per request.

    It writes to the transport itself: uvicorn's `send` looks at every header with two regular
    expressions, which cost as much as a tenth of a call, and ours come from a parser or from us.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_cycle",
        "_on_gone",
        "_transport",
        "_unsent",
        "event_id",
        "extra",
        "finished",
        "gone",
        "request_id",
        "started",
        "status",
    )

    def __init__(self, cycle: RequestResponseCycle, connection: Connection, request_id: bytes) -> None:
        self._cycle = cycle
        self._connection = connection
        self._transport = cycle.transport
        self._on_gone: Callable[[], None] | None = None
        self._chunked = False
        self._unsent = b""
        """Status and headers, until there is something to send with them."""
        self.request_id = request_id
        """Goes out as `x-request-id` where the provider gave none of its own."""
        self.event_id = b""
        """Goes out as `x-tidegate-event-id` on the answers to calls."""
        self.extra: Headers = []
        """More headers of ours that go on the answer."""
        self.started = False
        self.finished = False
        self.gone = False
        """The client hung up before the answer was finished."""
        self.status = 0
        connection.on_gone = self._left

    def watch(self, on_gone: Callable[[], None] | None) -> None:
        """Call `on_gone` as soon as the client hangs up, or now if it already has."""
        self._on_gone = on_gone
        if self.gone and on_gone is not None:
            on_gone()

    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer with status and headers, ours added; they go out with the first part of its body."""
        self._unsent = self._head(status, headers)

    async def send(self, chunk: bytes) -> None:
        """Send a part of the body; waits while the client does not read."""
        if not chunk or self.gone:
            return
        if self._chunked:
            chunk = b"%b%x\r\n%b\r\n" % (self._unsent, len(chunk), chunk)
        elif self._unsent:
            chunk = self._unsent + chunk
        self._unsent = b""
        self._write(chunk)
        if self._cycle.flow.write_paused:
            await self._cycle.flow.drain()

    async def finish(self, last: bytes = b"") -> None:
        """Send the last part and end the answer."""
        if self._chunked:
            last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last) if last else b"0\r\n\r\n"
        self._end(self._unsent + last)

    async def answer(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """Send a whole answer; JSON unless `headers` say otherwise."""
        head = self._head(status, headers or [JSON_TYPE], length=len(body))
        self._end(head if self._cycle.scope["method"] == "HEAD" else head + body)

    def ours(self, headers: Headers) -> Headers:
        """Return what the gateway adds to an answer with these headers."""
        ours = [(b"x-tidegate-call-id", self.request_id), *self.extra]
        if not any(name == b"x-request-id" for name, _ in headers):
            ours.append((b"x-request-id", self.request_id))
        return ours

    def linger(self) -> None:
        """Let the client finish sending what nobody will read, then close the connection."""
        if not self.gone:
            self._connection.linger()

    def break_off(self) -> None:
        """End the connection so that the client cannot take what it got for a whole answer."""
        self.release()
        if not self.gone:
            self._connection.cut()

    def release(self) -> None:
        """Stop watching the connection: the next request's client is none of ours."""
        self._on_gone = None
        if not self.gone:
            self._connection.on_gone = None

    def _head(self, status: int, headers: Headers, *, length: int | None = None) -> bytes:
        self.started = True
        self.status = status
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b""))]
        names = set()
        for name, value in headers:
            names.add(name)
            lines.append(b"%b: %b\r\n" % (name, value))
        for name, value in cycle.default_headers:
            lines.append(b"%b: %b\r\n" % (name, value))
        for name, value in self.extra:
            lines.append(b"%b: %b\r\n" % (name, value))
        lines.append(b"x-tidegate-call-id: %b\r\n" % self.request_id)
        if self.event_id:
            lines.append(b"x-tidegate-event-id: %b\r\n" % self.event_id)
        if b"x-request-id" not in names:
            lines.append(b"x-request-id: %b\r\n" % self.request_id)
        if b"content-length" not in names and status not in BODILESS:
            lines.append(self._without_length() if length is None else b"content-length: %d\r\n" % length)
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _without_length(self) -> bytes:
        """Choose how the client will know the end of a body of unknown length; return the header for it."""
        if self._cycle.scope["http_version"] == "1.1":
            self._chunked = True
            return b"transfer-encoding: chunked\r\n"
        self._cycle.keep_alive = False  # the body's end is the connection's
        return b""

    def _write(self, data: bytes) -> None:
        if not self.gone:
            self._transport.write(data)

    def _end(self, last: bytes) -> None:
        self._write(last)
        self.finished = not self.gone
        self.release()
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()

    def _left(self) -> None:
        self.gone = True
        gone, self._on_gone = self._on_gone, None
        if gone is not None:
            gone()
