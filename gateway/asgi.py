"""Where uvicorn ends and the gateway begins: the connection, the request's body, the answer.

Leans on uvicorn's httptools protocol (hence the pin in pyproject.toml), because ASGI has no way to
hear at once that a client hung up, to limit headers, or to cut an answer short without a log line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
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


async def read_body(receive: Receive, headers: dict[bytes, bytes], *, limit: int, silence_s: float) -> bytes:
    """Return the whole body; raise TooLarge, TooSlow, or BadRequest if the client left."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(silence_s):
                message = await receive()
        except TimeoutError as error:
            raise TooSlow("the request's body stopped arriving (server.body_timeout_s)") from error
        if message["type"] == "http.disconnect":
            raise BadRequest("the client left before its request was complete", code="client_left")
        part: bytes = message["body"]
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not message["more_body"] and not parts:
            return part
        parts.append(part)
        if not message["more_body"]:
            return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over {limit >> 20} MB (server.max_body_mb)", param="body")


class Client:
    """The answer's way to the client. One per request."""

    __slots__ = (
        "_connection",
        "_on_gone",
        "_send",
        "extra",
        "finished",
        "gone",
        "request_id",
        "started",
        "status",
    )

    def __init__(self, send: Send, connection: Connection | None = None, *, request_id: bytes = b"") -> None:
        self._send = send
        self.request_id = request_id
        """Goes out as `x-request-id` where the provider gave none of its own."""
        self._connection = connection
        self._on_gone: Callable[[], None] | None = None
        self.extra: Headers = []
        """Headers of ours that go on every answer."""
        self.started = False
        self.finished = False
        self.gone = False
        """The client hung up before the answer was finished."""
        self.status = 0
        if connection is not None:
            connection.on_gone = self._left

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call `on_gone` as soon as the client hangs up, or now if it already has."""
        self._on_gone = on_gone
        if self.gone:
            on_gone()

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers, ours added."""
        self.started = True
        self.status = status
        await self._send(
            {"type": "http.response.start", "status": status, "headers": headers + self.ours(headers)}
        )

    def ours(self, headers: Headers) -> Headers:
        """Return what the gateway adds to an answer with these headers."""
        if any(name == b"x-request-id" for name, _ in headers):
            return self.extra
        return [(b"x-request-id", self.request_id), *self.extra]

    async def send(self, chunk: bytes) -> None:
        """Send a part of the body; waits while the client does not read."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self, last: bytes = b"") -> None:
        """Send the last part and end the answer."""
        await self._send({"type": "http.response.body", "body": last, "more_body": False})
        self.finished = not self.gone
        self._release()

    async def answer(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """Send a whole answer; JSON unless `headers` say otherwise."""
        head = list(headers or [JSON_TYPE])
        head.append((b"content-length", str(len(body)).encode()))
        await self.start(status, head)
        await self.finish(body)

    def linger(self) -> None:
        """Let the client finish sending what nobody will read, then close the connection."""
        if self._connection is not None and not self.gone:
            self._connection.linger()

    def break_off(self) -> None:
        """End the connection so that the client cannot take what it got for a whole answer."""
        connection = self._connection
        self._release()
        if connection is not None and not self.gone:
            connection.cut()

    def _release(self) -> None:
        if self._connection is not None and not self.gone:
            self._connection.on_gone = None
        self._on_gone = None

    def _left(self) -> None:
        self.gone = True
        gone, self._on_gone = self._on_gone, None
        if gone is not None:
            gone()
