"""WebSockets to providers: after both handshakes, bytes go to and fro as they come and are read as they pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import httptools
import msgspec
from typing_extensions import override

from gateway.clock import Clock
from gateway.dial import Dialer, Way
from gateway.errors import BrokenAnswer, GatewayError, Unavailable
from gateway.exchange import Exchange
from gateway.http1.reply import timed_out
from gateway.http1.request import head
from gateway.providers.base import Headers, Outgoing
from gateway.sessions import POLICY, Session, Side
from gateway.settings import Timeouts
from gateway.wire.realtime import RealtimeReading

SWITCHED = 101
READ_S = 5.0
"""A refusal's body has so long to come."""
MOST_HEAD = 256 * 1024
MOST_BODY = 1 << 20
"""Bytes of a refusal."""
_SCHEMES = {"ws": "http", "wss": "https"}
_OURS_TO_SAY = frozenset({b"connection", b"upgrade", b"date", b"content-length", b"transfer-encoding"})


class Sockets:
    """The transport of the schemes `ws` and `wss`, and the list of the sessions that are open."""

    def __init__(self, dialer: Dialer, clock: Clock) -> None:
        self._dialer = dialer
        self._clock = clock
        self.everyone: set[Session] = set()

    async def open(
        self,
        outgoing: Outgoing,
        timeouts: Timeouts,
        *,
        stream: bool,  # noqa: ARG002 - it always is
    ) -> Switched:
        """Send the handshake and wait for its answer; raise UpstreamFailed."""
        origin = msgspec.structs.replace(outgoing.origin, scheme=_SCHEMES[outgoing.origin.scheme])
        way = self._dialer.way(origin)
        side = await self._dial(way, timeouts)
        answer = Switched(self, side, self._clock.monotonic_ns())
        try:
            start = head(outgoing, host=way.host, prefix=way.prefix, proxy_header=way.proxy_header)
            side.write(start[:-2] + b"connection: Upgrade\r\n\r\n")
            try:
                async with asyncio.timeout(timeouts.first_byte_s):
                    await side.handshake
            except TimeoutError as error:
                raise timed_out("first_byte", timeouts.first_byte_s, way.peer) from error
        except BaseException:
            side.abort()
            raise
        answer.heard(self._clock.monotonic_ns())
        return answer

    def check_again(self, identify: Callable[[dict[bytes, bytes]], object]) -> None:
        """Close the sessions of whoever would not be let in any more: `identify` raises then."""
        for session in list(self.everyone):
            try:
                identify(session.exchange.headers)
            except Unavailable:  # nobody knows now
                continue
            except GatewayError as error:
                session.close(POLICY, "the key is no longer valid", error)

    async def _dial(self, way: Way, timeouts: Timeouts) -> _ProviderSide:
        try:
            async with asyncio.timeout(timeouts.connect_s):
                return await self._dialer.connect(way, lambda: _ProviderSide(way.peer))
        except TimeoutError as error:
            raise timed_out("connect", timeouts.connect_s, way.peer) from error


class Switched:
    """A provider's answer to a handshake: `gateway.transport.Answer`; if it is a yes, the way to the session."""

    reused = False
    whole: bytes | None = None
    on_part: Callable[[bytes], bool] | None = None

    def __init__(self, sockets: Sockets, side: _ProviderSide, connected_ns: int) -> None:
        self.status = 0
        self.headers: Headers = []
        self.connected_ns = self.first_byte_ns = connected_ns
        self._sockets = sockets
        self._side = side

    def heard(self, now_ns: int) -> None:
        """Take what came."""
        self.first_byte_ns = now_ns
        self.status, self.headers = self._side.status, self._side.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield a refusal's body, once."""
        if body := await self.read():
            yield body

    async def read(self, limit: int = MOST_BODY) -> bytes:
        """Return a refusal's body; what came of it, if it does not end in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_S):
                await self._side.complete.wait()
        return bytes(self._side.body[:limit])

    def close(self) -> None:
        """Close the connection, whoever still talks."""
        self._side.abort()

    async def splice(self, exchange: Exchange) -> bool:
        """Let client and provider talk until one of them ends it, and say it went well; raise GatewayError if not."""
        assert exchange.place is not None, "sockets are only passed on"
        session = Session(exchange, self._side, RealtimeReading(exchange.place.family))
        self._sockets.everyone.add(session)
        try:
            await session.run([pair for pair in self.headers if pair[0] not in _OURS_TO_SAY])
            return True
        finally:
            self._sockets.everyone.discard(session)


class _ProviderSide(Side):
    """The provider's end; first it reads the answer to the handshake."""

    masked = True

    def __init__(self, peer: str) -> None:
        super().__init__()
        self.status = 0
        self.headers: Headers = []
        self.body = bytearray()
        self.complete = asyncio.Event()
        """A refusal is all there."""
        self.handshake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._peer = peer
        self._size = 0
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    @override
    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            super().data_received(data)
            return
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._parser = None
            self.early = data[stop.args[0] :]
            self.hold()
            self._settle()
        except httptools.HttpParserError as error:
            self._fail(f"sent something that is not an HTTP answer: {error}")
        if self._size > MOST_HEAD + MOST_BODY or (self._size > MOST_HEAD and not self.status):
            self._fail("answered a handshake with too much")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.complete.set()
        self._fail("closed the connection before it answered")
        super().connection_lost(exc)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take note of the status; what it means is known once the parser is done."""
        assert self._parser is not None, "it calls this"
        status = self._parser.get_status_code()
        if status < 200 and status != SWITCHED:
            self.headers = []
            return
        self.status = status
        if status != SWITCHED:
            self._settle()

    def on_body(self, body: bytes) -> None:
        """Keep a part of a refusal."""
        self.body += body

    def on_message_complete(self) -> None:
        """Take note that a refusal is all there."""
        if self.status:
            self.complete.set()

    def _settle(self) -> None:
        extension = any(name == b"sec-websocket-extensions" for name, _ in self.headers)
        if 200 <= self.status < 400 or (self.status == SWITCHED and extension):
            self._fail("did not agree to a WebSocket as it was asked for")
        elif not self.handshake.done():
            self.handshake.set_result(None)

    def _fail(self, what: str) -> None:
        if not self.handshake.done():
            self.handshake.set_exception(BrokenAnswer(f"{self._peer} {what}"))
            self.handshake.exception()  # whoever waited may be gone
            self.abort()
