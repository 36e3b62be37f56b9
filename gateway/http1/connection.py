"""One connection and what is sent on it, whoever opened its transport."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import cast

from typing_extensions import override

from gateway.clock import Clock
from gateway.errors import BadRequest, UpstreamFailed
from gateway.http1.reply import Reply, timed_out
from gateway.providers.base import Outgoing
from gateway.settings import Timeouts

PIECE = 64 * 1024
"""Larger request bodies are written piece by piece, at the peer's pace."""


class Connection(asyncio.Protocol):
    """A connection and the answer it is waiting for, if any."""

    def __init__(self, peer: str, clock: Clock) -> None:
        self.peer = peer
        self.loop = asyncio.get_running_loop()
        self.lost = False
        self.carried = 0
        """Requests sent on it."""
        self.idle_since = 0.0
        self.alarm_at = math.inf
        self.on_free: Callable[[Connection], None] | None = None
        """Called when it may carry another request."""
        self.on_lost: Callable[[Connection], None] | None = None
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._reply: Reply | None = None
        self._blocked = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Whether the peer is still there, as far as one can know."""
        transport = self._transport
        return transport is not None and not self.lost and not transport.is_closing()

    def ask(
        self, outgoing: Outgoing, head: bytes, timeouts: Timeouts, total_at: float, *, stream: bool
    ) -> Reply:
        """Send a request, which begins with this head, and return its answer, which may be long in coming.

        A long request is left to `send`. Whoever gets the answer closes it.
        """
        reply = self._reply = Reply(
            self, self._clock, outgoing.method, timeouts, total_at, stream, self.carried > 0
        )
        self.carried += 1
        if self.lost or self._transport is None:
            reply.lost(None)
        elif outgoing.parts is None and len(outgoing.body) <= PIECE:
            self._transport.write(head + outgoing.body)
            reply.sent()
        return reply

    async def send(self, outgoing: Outgoing, head: bytes, reply: Reply) -> None:
        """Send a long request at the peer's pace; stop early when the answer is an error or over before the request is."""
        reply.sending()
        await self._put(head, reply)
        if outgoing.parts is None:
            whole = await self._send_whole(outgoing.body, reply)
        else:
            try:
                async with asyncio.timeout_at(reply.total_at):
                    whole = await self._send_parts(outgoing.parts, outgoing.length, reply)
            except TimeoutError as error:
                raise timed_out("total", reply.timeouts.total_s, self.peer) from error
        if whole:
            reply.sent()

    def leave(self) -> bool:
        """Be done with the answer; say whether the connection may carry another request. Closes it if not."""
        reply = self._reply
        self._reply = None
        if reply is not None and reply.leave() and not self.lost and not self._blocked:
            if self.on_free is not None:
                self.on_free(self)
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Close now; an answer under way has failed or is no longer wanted."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: UpstreamFailed) -> None:
        """Close, and let whoever waits for an answer have this error."""
        if self._reply is not None:
            self._reply.fail(error)
        self.abort()

    def pause(self) -> bool:
        """Stop reading; say whether that was possible."""
        if not self.usable or self._transport is None:
            return False
        self._transport.pause_reading()
        return True

    def resume(self) -> None:
        """Read on."""
        if self.usable and self._transport is not None:
            self._transport.resume_reading()

    def alarm(self, when: float) -> None:
        """Have the answer look at its clocks at this time.

        The timer outlives its answer: clocks only move on, so that a busy connection hardly ever sets one.
        """
        if self._timer is not None:
            self._timer.cancel()
        self.alarm_at = when
        self._timer = self.loop.call_at(when, self._ring)

    # asyncio

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            self.abort()
        else:
            reply.feed(data)

    @override
    def pause_writing(self) -> None:
        self._blocked = True

    @override
    def resume_writing(self) -> None:
        self._blocked = False
        if self._reply is not None:
            self._reply.wake()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reply is not None:
            self._reply.lost(exc)
        if self.on_lost is not None:
            self.on_lost(self)

    # inside

    def _ring(self) -> None:
        self._timer = None
        self.alarm_at = math.inf
        if self._reply is not None:
            self._reply.ring()

    async def _send_whole(self, body: bytes, reply: Reply) -> bool:
        view = memoryview(body)
        for start in range(0, len(view), PIECE):
            if not await self._put(view[start : start + PIECE], reply):
                return False
        return True

    async def _send_parts(self, parts: AsyncIterator[bytes], length: int | None, reply: Reply) -> bool:
        sent = 0
        async for part in parts:
            sent += len(part)
            if length is not None and sent > length:
                break
            framed = part if length is not None else b"%x\r\n%b\r\n" % (len(part), part)
            if part and not await self._put(framed, reply):
                return False
        if length is None:
            return await self._put(b"0\r\n\r\n", reply)
        if sent != length:
            raise BadRequest(f"the body has not the {length} bytes its Content-Length says")
        return True

    async def _put(self, data: bytes | memoryview, reply: Reply) -> bool:
        """Write as soon as the peer takes more; say whether it still makes sense."""
        while self._blocked and not reply.over and not self.lost:
            await reply.news()
        if self.lost or self._transport is None or reply.over:
            return False
        self._transport.write(data)
        return True
