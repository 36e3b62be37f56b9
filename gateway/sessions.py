"""A client's WebSocket and a provider's: bytes go to and fro as they come, and are read as they pass."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import cast

from typing_extensions import override

from gateway.errors import BrokenAnswer, GatewayError, Unavailable
from gateway.exchange import Exchange
from gateway.providers.base import Headers
from gateway.wire.realtime import RealtimeReading
from gateway.wire.websocket_frames import FrameReader, close_frame

GOING_AWAY, ABNORMAL, POLICY, BAD_GATEWAY = 1001, 1006, 1008, 1014
"""Close codes; `ABNORMAL` is never sent. Source: RFC 6455, section 7.4.1, and IANA's registry (2026-11)."""
PROVIDERS_FAULT = frozenset({1011, 1012, 1013, 1014})
LINGER_S = 5.0
"""After a close frame, or the loss of one side, the other has so long to end it."""
SILENCE_S = 60
"""A side that says nothing for so long is asked by TCP whether it is still there."""


class Side(asyncio.Protocol):
    """One end of a session: what comes here goes out at the other, at its pace."""

    masked = False
    """What we say here is said as a client."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.frames = FrameReader()
        self.other: Side = self
        self.lost = False
        self.early = b""
        """What came with the handshake of its first frames."""
        self._transport: asyncio.Transport | None = None
        self._last_word = b""
        """To be sent as soon as the frame under way is complete."""
        self._said = False
        """The last word was sent: nothing follows it."""

    # asyncio

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        _watch_over(transport)

    @override
    def data_received(self, data: bytes) -> None:
        assert self.session is not None, "it is read once both are there"
        self.session.passed(self, data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.session is not None:
            self.session.ended(self)

    @override
    def pause_writing(self) -> None:
        self.other.hold()

    @override
    def resume_writing(self) -> None:
        self.other.release()

    def shutdown(self) -> None:
        """End it; called when the process is told to stop."""
        if self.session is not None:
            self.session.close(GOING_AWAY, "the gateway is stopping", Unavailable("the gateway is stopping"))

    # the session

    def write(self, data: bytes) -> None:
        """Send bytes to whoever is at this end."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def forward(self, data: bytes) -> None:
        """Send what the other end said, up to the last word if there is one."""
        if self._said:
            return
        if not self._last_word:
            self.write(data)
        elif boundary := self.other.frames.boundary:
            self.write(data[:boundary])
            self._say()
        else:
            self.write(data)

    def part(self, code: int, reason: str) -> bool:
        """Say a last word here, between two frames, and then nothing more; return whether it is said already."""
        if not (self._last_word or self.other.frames.closed):
            self._last_word = close_frame(code, reason, mask=os.urandom(4) if self.masked else b"")
            if self.other.frames.whole:
                self._say()
        return self._said

    def hold(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Close after what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def _say(self) -> None:
        self._said = True
        self.write(self._last_word)


class Session:
    """A client's socket and a provider's, and what was seen of both."""

    def __init__(self, exchange: Exchange, provider: Side, reading: RealtimeReading) -> None:
        self.exchange = exchange
        self.size = 0
        """Bytes that the client sent."""
        self._reading = reading
        self._client, self._provider = Side(), provider
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._error: GatewayError | None = None
        self._left = False
        """The client went without a word."""
        self._parting = False
        """The last word was ours."""
        self._ending: asyncio.TimerHandle | None = None
        """Runs since the first side said, or showed, that it is over."""
        for side, other, frames in (
            (self._client, provider, reading.asked),
            (provider, self._client, reading.answered),
        ):
            side.session, side.other, side.frames = self, other, frames

    @property
    def model(self) -> str:
        """As the client's first message names it."""
        return self._reading.model

    async def run(self, headers: Headers) -> None:
        """Answer the client's handshake, and return when all is over; raise GatewayError if it ended badly."""
        exchange, client = self.exchange, self.exchange.client
        exchange.reading, exchange.sent = self._reading, self
        if client.gone:
            return
        provider = self._provider
        try:
            early = client.switch(headers, self._client)
            provider.release()
            for side, data in ((provider, provider.early), (self._client, early)):
                if data:
                    self.passed(side, data)
            if provider.lost:
                self.ended(provider)
            await self._over
        finally:
            if self._ending is not None:
                self._ending.cancel()
            self._abort()
            client.hang_up(left=self._left)
        if self._error is not None:
            raise self._error

    def passed(self, side: Side, data: bytes) -> None:
        """Read what came at one side and send it on."""
        if side is self._provider:
            self._reading.feed(data)
            self.exchange.answer_bytes += len(data)
        else:
            self._reading.heard(data)
            self.size += len(data)
        side.other.forward(data)
        if side.frames.closed:
            self._note_close(side)

    def ended(self, side: Side) -> None:
        """One side's connection is gone: the other is told, unless it knows."""
        other = side.other
        if other.lost or self._reading.close_code:
            other.close()
        elif side is self._provider:
            self._error = BrokenAnswer("the provider broke the session off", retryable=False)
            self._part([other], BAD_GATEWAY, "the provider broke the session off")
        else:
            self._left = True
            self._part([other], GOING_AWAY, "the client is gone")
        if other.lost and not self._over.done():
            self._over.set_result(None)

    def close(self, code: int, reason: str, error: GatewayError) -> None:
        """End the session from here, with a close frame to each side; `error` is what its record says."""
        if not self._reading.close_code:
            self._error = error
            self._part([self._client, self._provider], code, reason)

    def _note_close(self, side: Side) -> None:
        """A side has said its last: it has the other's answer, or will have it soon."""
        if self._parting:
            side.close()
        elif side is self._provider and self._reading.close_code in PROVIDERS_FAULT:
            code = self._reading.close_code
            self._error = BrokenAnswer(f"the provider closed the session with {code}", retryable=False)
        self._wait_for_the_end()

    def _part(self, sides: list[Side], code: int, reason: str) -> None:
        self._parting = True
        self._reading.close_code = ABNORMAL if len(sides) == 1 else code
        for side in sides:
            if not side.part(code, reason) and side.other.lost:
                side.close()
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        if self._ending is None:
            self._ending = self._loop.call_later(LINGER_S, self._abort)

    def _abort(self) -> None:
        self._client.abort()
        self._provider.abort()


def _watch_over(transport: asyncio.BaseTransport) -> None:
    """Have TCP find out when a silent peer is gone."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE_S)
