"""The public port's own protocol, under uvicorn's server.

uvicorn keeps the sockets, the signals and the drain. Its protocol costs twice as much a request, and
cannot limit headers, nor say at once that a client hung up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar, cast

import httptools
from typing_extensions import override
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.asgi import STATUS_LINES, Client, Head, Headers, Taker, split_target
from gateway.errors import BadRequest, GatewayError, TooSlow
from gateway.http1.heads import Heads, Known
from gateway.ids import uuid7

logger = logging.getLogger(__name__)

LINGER_S = 2.0
MUCH = 65_536
"""Bytes that may wait for a handler before the connection is read no further."""


class Connection(asyncio.Protocol):
    """One client connection: bounds its headers, queues its requests, tells the running one when it is gone.

    A request runs as soon as its headers are here; usually its body has come with them. Requests sent
    ahead of their turn are read, so that a hang-up is noticed, and wait.
    """

    max_header_bytes = 65_536
    render: Callable[[GatewayError], bytes]
    """Turns an error that no endpoint saw into a body; set by `connection_class`."""
    upgrades: Callable[[bytes], bool]
    """Says whether a WebSocket to this target is the application's; the others are handed over at once."""

    everyone: ClassVar[set[Connection]] = set()
    """Every open connection of the class."""
    heads: ClassVar[Heads] = Heads()
    """What its connections have read before."""
    _stamp: ClassVar[tuple[Headers, bytes]] = ([], b"")
    """uvicorn's default headers (it makes a new list each second) and how they are sent."""

    transport: asyncio.Transport
    _parser: httptools.HttpRequestParser

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._app: Callable[[Client], Awaitable[None]] = cast(
            "Any", config.app
        )  # not `loaded_app`, which may be wrapped for ASGI
        self._app_state = app_state
        self._state = server_state
        self._tasks = server_state.tasks
        self._connections: set[Any] = server_state.connections
        self._loop = _loop or asyncio.get_running_loop()
        self.reading_since: float | None = None
        """Loop time at which the headers now being read began (or the connection, before its first byte)."""
        self.idle_since: float | None = None
        """Loop time at which the sweep first saw that nothing is asked."""
        self.write_paused = False
        self._read_paused = False
        self._writable = asyncio.Event()
        self._refused = False
        self._last_word: GatewayError | None = None
        self._unused_bytes = 0
        """Of headers, or of a body's framing: what came since something was last made of it."""
        self._between = True
        """The next byte begins a request."""
        self._beginning = b""
        """What was read at once of a request with its first byte, until its head is complete."""
        self._known: Known | None = None
        """The head of its last request, if it was known."""
        self._url = b""
        self._headers: Headers = []
        self._upgrade: bytes | None = None
        self._upgrading: Client | None = None
        """What comes is no HTTP any more: it is what this one asked for."""
        self._taker: Taker | None = None
        self._arriving: Client | None = None
        """The request whose body is not complete."""
        self._active: Client | None = None
        """The request being answered."""
        self._queue: deque[Client] = deque()
        self._ahead_bytes = 0

    # what the loop calls

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._parser = httptools.HttpRequestParser(self)
        # or the parser's error would come before the answer to a last request that more bytes follow
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._connections.add(self)
        self.everyone.add(self)
        self.reading_since = self._loop.time()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._queue.clear()
        self.resume_writing()
        active, self._active = self._active, None
        if active is not None:
            active.left()

    @override
    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._upgrading is not None:
            if self._upgrading.take(data) > MUCH:
                self._pause_reading()
            return
        if self._between and self._active is None and (again := self.heads.find(data, self._known)):
            self._known, headers, body, end = again
            self._repeat(self._known.head, headers, body)
            if end == len(data):
                return
            data = data[end:]
        self._beginning = data if self._between else b""
        self._feed(data)
        if self._queue:
            self._ahead_bytes += len(data)
            if self._ahead_bytes > MUCH:
                self._pause_reading()
        if self._unused_bytes > self.max_header_bytes:
            self._refuse_headers()
        elif self._unused_bytes and self._arriving is None and self.reading_since is None:
            self.reading_since = self._loop.time()

    @override
    def pause_writing(self) -> None:
        self.write_paused = True
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        self.write_paused = False
        self._writable.set()

    # what the parser calls

    def on_message_begin(self) -> None:
        """Take note of the first byte of a request."""
        self._between = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's target."""
        self._url += url
        # the chunk's own count is void if another request ended in it
        self._unused_bytes = self._unused_bytes or len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which nobody reads."""
        if self._arriving is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Let the request run, if it is its turn. What is raised here becomes a 400."""
        if self._refused:
            return
        url, headers = self._url, self._headers
        self._url, self._headers, self.reading_since = b"", [], None
        if self._unused_bytes > self.max_header_bytes:
            # The chunk may hold a body too: count what really is header.
            size = len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
            if size > self.max_header_bytes:
                self._refuse_headers()
                return
        self._unused_bytes = 0
        parser = self._parser
        upgrade = parser.should_upgrade() and self._is_for_websocket(headers)
        ours = upgrade and self.upgrades(url)
        if upgrade and not ours:
            lines = [b"%b: %b\r\n" % pair for pair in headers]
            self._upgrade = b"".join([parser.get_method(), b" ", url, b" HTTP/1.1\r\n", *lines, b"\r\n"])
            return
        modern = parser.get_http_version() == "1.1"
        keep_alive = modern and parser.should_keep_alive() and not ours
        head = Head(parser.get_method().decode(), *split_target(url), headers, modern, keep_alive)
        if self._beginning:
            head, self._beginning = self.heads.learn(self._beginning, head), b""
        client = Client(self, self.transport, head, headers, keep_alive, upgrade=ours)
        self._arriving = client
        if self._active is None:
            self._start(client)
        else:
            self._queue.append(client)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unused_bytes = 0
        client = self._arriving
        if client is not None and client.take(body) > MUCH:
            self._pause_reading()

    def on_message_complete(self) -> None:
        """Take note that the body is complete."""
        client, self._arriving = self._arriving, None
        self._unused_bytes = 0
        if client is not None:
            self._between = client.keep_alive  # after the last one the parser ignores what comes
            client.take_end()
            if client is self._active:  # nothing can be gained by waiting, and a hang-up would go unnoticed
                self.resume_reading()

    # what uvicorn and the sweep call

    def shutdown(self) -> None:
        """Close, but first answer what was asked."""
        if self._taker is not None:
            self._taker.shutdown()
        elif self._active is None:
            self.transport.close()
        else:
            (self._queue[-1] if self._queue else self._active).keep_alive = False

    def sweep(self, *, now: float, limit_s: float) -> None:
        """Give up on headers that take longer than `limit_s`, and close what nobody has used for long."""
        if self._active is not None:
            return
        if self.reading_since is not None:
            if now - self.reading_since > limit_s:
                self._refuse(
                    TooSlow("the request's headers did not arrive in time (server.header_timeout_s)")
                )
        elif self.idle_since is None:
            self.idle_since = now
        elif now - self.idle_since > self._config.timeout_keep_alive:
            self.transport.close()

    # what a request calls

    async def drain(self) -> None:
        """Return when the client has read enough for more to be sent, or is gone."""
        await self._writable.wait()

    def resume_reading(self) -> None:
        """Take more from the client."""
        if self._read_paused:
            self._read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def stamp(self) -> bytes:
        """Return the header lines every answer has."""
        headers = self._state.default_headers
        known, lines = Connection._stamp
        if known is not headers:
            lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
            Connection._stamp = (headers, lines)
        return lines

    def answered(self, client: Client) -> None:
        """Go on to the next request: this one's answer is written."""
        self._active = self.idle_since = None
        self._state.total_requests += 1
        if not client.keep_alive:
            self.transport.close()
        elif not self.transport.is_closing():
            if self._queue:
                self._start(self._queue.popleft())
            elif self._last_word is not None:
                self._say(self._last_word)
            elif self._unused_bytes:
                self.reading_since = self._loop.time()
            if not self._queue:
                self._ahead_bytes = 0
                if self._read_paused:
                    self.resume_reading()

    def linger(self) -> None:
        """Close soon: until then what still comes is thrown away, so that the answer is not lost to a reset."""
        self._refused = True
        self.resume_reading()
        self._loop.call_later(LINGER_S, self.transport.close)

    def cut(self) -> None:
        """Close after what was written, without the end the answer still lacks."""
        self._active = None
        if self._taker is not None:
            self._connections.discard(self)
        self.transport.close()

    def hand_over(self, taker: Taker) -> None:
        """Let another protocol have the connection; uvicorn goes on to know it by this one until its call is over."""
        self._taker, self._refused = taker, True
        self.everyone.discard(self)
        self.transport.set_protocol(cast("asyncio.BaseProtocol", taker))
        taker.connection_made(self.transport)
        self.resume_reading()

    def _start(self, client: Client) -> None:
        self._active = client
        # not `tasks.spawn`: uvicorn waits for these itself, and `_serve` cannot fail
        task = client.task = self._loop.create_task(self._serve(client))
        self._tasks.add(task)

    async def _serve(self, client: Client) -> None:
        try:
            await self._app(client)
        except Exception:  # the last resort: the application answers its own errors
            logger.exception("request_failed")
        finally:
            if client.task is not None:
                self._tasks.discard(client.task)
            if not client.over:
                client.break_off()

    def _repeat(self, head: Head, headers: Headers, body: bytes) -> None:
        """Take a request that came whole, with a head that was read before; its parser does not see it."""
        self._unused_bytes, self.reading_since = 0, None
        self._start(Client(self, self.transport, head, headers, head.keep_alive, True, [body]))

    def _feed(self, data: bytes) -> None:
        self._unused_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._between = False
            if self._upgrade is not None:
                self._hand_over(self._upgrade)
            elif self._active is not None and self._active.upgrade:
                self._upgrading = self._active
                if rest := data[stop.args[0] :]:
                    self._upgrading.take(rest)
            elif rest := data[stop.args[0] :]:  # to another protocol than ours: it stays HTTP
                self._unused_bytes = 0
                self._feed(rest)
        except httptools.HttpParserError:
            self._refuse(BadRequest("the request is not valid HTTP/1.1", code="invalid_http"))

    def _is_for_websocket(self, headers: Headers) -> bool:
        known = dict(headers)
        return (
            self._config.ws_protocol_class is not None and known.get(b"upgrade", b"").lower() == b"websocket"
        )

    def _hand_over(self, request: bytes) -> None:
        if self._active is not None:  # sent ahead of an answer: what comes would be mixed with it
            self._refuse(BadRequest("an upgrade must wait for the answer before it", code="invalid_http"))
            return
        make = cast("Callable[..., asyncio.Protocol]", self._config.ws_protocol_class)
        protocol = make(config=self._config, server_state=self._state, app_state=self._app_state)
        self._forget()
        protocol.connection_made(self.transport)
        protocol.data_received(request)
        self.transport.set_protocol(protocol)

    def _forget(self) -> None:
        self._connections.discard(self)
        self.everyone.discard(self)
        self._refused = True
        del self._parser  # it holds on to our methods, and we to it

    def _pause_reading(self) -> None:
        if not self._read_paused and not self.transport.is_closing():
            self._read_paused = True
            self.transport.pause_reading()

    def _refuse_headers(self) -> None:
        error = BadRequest(
            f"the request's headers are over {self.max_header_bytes} bytes (server.max_header_kb)",
            code="headers_too_large",
        )
        error.status = 431
        self._refuse(error)

    def _refuse(self, error: GatewayError) -> None:
        """Take no more from this client. The answers to what it asked before come first."""
        if self._refused or self.transport.is_closing():
            return
        self._refused, self.reading_since = True, None
        if self._active is None:
            self._say(error)
        elif self._active is self._arriving:  # its body will never be complete
            self._abandon(self._active, error)
        else:
            if self._arriving is not None:
                self._queue.pop()
            self._last_word = error

    def _abandon(self, client: Client, error: GatewayError) -> None:
        """Let the running request go, as if its client had left; tell the client why, unless its answer has begun."""
        client.left()
        self._active = None
        if client.started:
            self.transport.close()
        else:
            self._say(error)

    def _say(self, error: GatewayError) -> None:
        """Answer what never became a request; its answer names a call all the same, for who asks about it."""
        own, body = uuid7().encode(), self.render(error)
        names = b"x-request-id", b"x-tidegate-call-id", b"x-tidegate-event-id"
        ids = b"".join([b"%b: %b\r\n" % (name, own) for name in names])
        self.transport.write(
            STATUS_LINES[error.status]
            + self.stamp()
            + ids
            + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (len(body), body)
        )
        self.transport.write_eof()
        self.linger()


def connection_class(
    *,
    max_header_bytes: int,
    render: Callable[[GatewayError], bytes],
    upgrades: Callable[[bytes], bool] = lambda _: False,
) -> type[Connection]:
    """Return the protocol class to give to uvicorn's `Config(http=...)`."""
    return type(
        "ConfiguredConnection",
        (Connection,),
        {
            "max_header_bytes": max_header_bytes,
            "render": staticmethod(render),
            "upgrades": staticmethod(upgrades),
            "everyone": set(),
            "heads": Heads(),
        },
    )


def close_slow(connections: Iterable[Connection], *, now: float, limit_s: float) -> None:
    """Close every connection whose headers take longer than `limit_s`, or that was idle for too long."""
    for connection in list(connections):
        connection.sweep(now=now, limit_s=limit_s)
