"""An answer as it arrives: parsing, limits, clocks. Bytes come in by `feed`; no socket is touched here."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Protocol, Self

import httptools

from gateway.clock import Clock
from gateway.errors import BrokenAnswer, Unreachable, UpstreamFailed, UpstreamTimeout
from gateway.http1.request import Ask
from gateway.providers.base import Headers

MAX_HEAD = 256 * 1024
"""Bytes of status line and headers, and of the framing between two pieces of a body."""
MAX_UNREAD = 256 * 1024
"""Bytes of a body that may lie unread before the connection is no longer read."""
DEFAULT_READ = 1024 * 1024
TIMER_SLACK_S = 0.002
"""uvloop counts time in whole milliseconds."""

HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
"""With everything that begins with `proxy-`, and what Connection names. Source: RFC 9110, section 7.6.1."""


class Stale(Unreachable):
    """The connection ended before anything of an answer came; on a reused one, worth a second sending."""


class Line(Protocol):
    """What an answer needs of the connection that brings it."""

    peer: str
    """Who is at the other end, for messages."""
    loop: asyncio.AbstractEventLoop

    def abort(self) -> None:
        """Close now."""
        ...

    def pause(self) -> bool:
        """Stop reading; say whether that was possible."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...


class Reply:
    """One answer as it arrives: `gateway.transport.Answer`, and httptools' callbacks."""

    __slots__ = (
        "_armed_at",
        "_asked",
        "_begun",
        "_clock",
        "_complete",
        "_error",
        "_head_only",
        "_keep",
        "_last",
        "_line",
        "_loop",
        "_named",
        "_parser",
        "_paused",
        "_pieces",
        "_quiet",
        "_stream",
        "_surplus",
        "_timeouts",
        "_timer",
        "_total_at",
        "_unread",
        "_waiter",
        "connected_ns",
        "first_byte_ns",
        "headers",
        "reused",
        "status",
    )  # fmt: skip

    def __init__(self, line: Line, ask: Ask, clock: Clock, *, reused: bool) -> None:
        self.status = 0
        self.headers: Headers = []
        self.reused = reused
        self.connected_ns = clock.monotonic_ns()
        self.first_byte_ns = 0
        self._line = line
        self._loop = line.loop
        self._clock = clock
        self._head_only = ask.method == "HEAD"
        self._stream = ask.stream
        self._timeouts = ask.timeouts
        self._total_at = ask.total_at
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._named: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._unread = 0
        self._quiet = 0
        self._begun = self._complete = self._keep = self._surplus = self._paused = self._asked = False
        self._error: UpstreamFailed | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_at = math.inf
        self._last = math.inf

    # what the caller sees

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, everything that lies ready as one piece."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._complete:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            await self.news()
        pieces = self._pieces
        self._pieces = []
        self._unread = 0
        if self._paused:
            self._resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read(self, limit: int = DEFAULT_READ) -> bytes:
        """Return the rest of the body; what goes on beyond `limit` is left, with the connection."""
        parts: list[bytes] = []
        size = 0
        async for part in self:
            parts.append(part)
            size += len(part)
            if size >= limit and not self._complete:
                self._line.abort()
                break
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        return whole[:limit]

    # what the connection does with it

    @property
    def over(self) -> bool:
        """Nothing sent from here on could change the answer."""
        return self._complete or self._error is not None or self.status >= 400

    async def headed(self) -> None:
        """Wait for status and headers; raise UpstreamFailed."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self.news()

    async def news(self) -> None:
        """Wait until something arrives, the peer takes more, or it all ends."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Let `news()` return."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def sending(self) -> None:
        """Only the total clock runs while a long request is on its way."""
        self._arm(self._total_at)

    def sent(self) -> None:
        """Everything is written: the provider's silence counts from here."""
        self._asked = True
        if self._complete or self._error is not None:
            return
        self._last = self._loop.time()
        self._arm(min(self._due(), self._total_at))

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire."""
        parser = self._parser
        if parser is None:
            return
        if not self._begun:
            self._begin()
        held = self._unread
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._nonsense(str(error))
        if not self._complete and self._error is None:
            self._count(len(data), held)
        if self.status and self._waiter is not None:
            self.wake()

    def lost(self, error: Exception | None) -> None:
        """Take note that the connection has ended."""
        if self._complete or self._error is not None:
            return
        peer = self._line.peer
        if self.status and error is None and self._until_close():
            self._complete = True
        elif not self._begun:
            self._error = Stale(f"{peer} closed the connection before it answered")
        else:
            self._error = BrokenAnswer(f"{peer} closed the connection in the middle of its answer")
        self.wake()

    def fail(self, error: UpstreamFailed) -> None:
        """End the answer here, unless it is over already."""
        if self._complete or self._error is not None:
            return
        self._error = error
        self._line.abort()
        self.wake()

    def leave(self) -> bool:
        """Let go of everything; say whether the connection may carry another request."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        clean = self._complete and self._keep and self._asked and not self._surplus
        if clean and self._paused:
            self._resume()
        if not self._complete and self._error is None:
            self._error = BrokenAnswer("the answer was left before its end")
        self._parser = None
        return clean

    # httptools

    def on_message_begin(self) -> None:
        """Notice an answer nobody asked for."""
        if self._complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what concerns the client; after the body come trailers, which do not."""
        if self.status:
            return
        name = name.lower()
        if name in HOP_BY_HOP or name.startswith(b"proxy-"):
            if value != b"keep-alive":
                self._named.append((name, value))
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin the body, or forget an interim answer."""
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if status < 200:
            self.headers = []
            self._named = []
            if status == 101:
                self._nonsense("an upgrade nobody asked for")
            return
        if self._complete:
            return
        if self._named and not self._drop_named():
            return
        self.status = status
        if self._head_only:
            self._keep = parser.should_keep_alive()
            self._complete = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece."""
        if self._complete:
            self._surplus = True
            return
        self._pieces.append(body)
        self._unread += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        parser = self._parser
        if self.status and not self._complete and parser is not None:
            self._keep = parser.should_keep_alive()
            self._complete = True

    # inside

    def _begin(self) -> None:
        self._begun = True
        self.first_byte_ns = self._clock.monotonic_ns()
        if self._stream and self._asked:
            idle_at = self._loop.time() + self._timeouts.idle_s
            if idle_at < self._armed_at:
                self._arm(idle_at)

    def _count(self, size: int, held: int) -> None:
        """After bytes that did not end the answer: the idle clock, the limits, the brake."""
        if self._asked:
            self._last = self._loop.time()
        if self.status and self._unread != held:
            self._quiet = 0
            if self._unread > MAX_UNREAD and not self._paused:
                self._paused = self._line.pause()
            return
        self._quiet += size
        if self._quiet > MAX_HEAD and not self.status:
            self._nonsense(f"more than {MAX_HEAD // 1024} KB of headers")
        elif self._quiet > 2 * MAX_HEAD:
            self._nonsense("framing without a body")

    def _nonsense(self, what: str) -> None:
        """Give up on an answer, or on the connection if the answer was over before."""
        self._surplus = True
        self.fail(BrokenAnswer(f"{self._line.peer} sent something that is not an HTTP answer: {what}"))

    def _drop_named(self) -> bool:
        """Drop what Connection names; say whether the body is coded in a way we can undo."""
        named = {
            token.strip().lower()
            for name, value in self._named
            if name == b"connection"
            for token in value.split(b",")
        } - {b"keep-alive", b"close"}
        if named:
            self.headers = [header for header in self.headers if header[0] not in named]
        codings = [value.strip().lower() for name, value in self._named if name == b"transfer-encoding"]
        if codings and codings != [b"chunked"]:
            self._nonsense("a transfer coding other than chunked")
            return False
        return True

    def _until_close(self) -> bool:
        """Say whether only the connection's end could end this body."""
        return not any(name == b"transfer-encoding" for name, _ in self._named) and not any(
            name == b"content-length" for name, _ in self.headers
        )

    def _resume(self) -> None:
        self._paused = False
        self._last = self._loop.time()
        self._line.resume()

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_at = when
        self._timer = self._loop.call_at(when, self._tick)

    def _due(self) -> float:
        """When the clock of the current silence runs out."""
        if not self._stream:
            return math.inf
        if self._paused:
            return self._loop.time() + self._timeouts.idle_s
        return self._last + (self._timeouts.idle_s if self._begun else self._timeouts.first_byte_s)

    def _tick(self) -> None:
        self._timer = None
        if self._complete or self._error is not None:
            return
        now = self._loop.time() + TIMER_SLACK_S
        due = self._due()
        if now >= self._total_at:
            self.fail(timed_out("total", self._timeouts.total_s, self._line.peer))
        elif now < due:
            self._arm(min(due, self._total_at))
        elif self._begun:
            self.fail(timed_out("idle", self._timeouts.idle_s, self._line.peer))
        else:
            self.fail(timed_out("first_byte", self._timeouts.first_byte_s, self._line.peer))


def timed_out(clock: str, seconds: float, peer: str) -> UpstreamTimeout:
    """Return the error of one of the four clocks, by name; only a connection is tried again."""
    what = {
        "connect": "could not be connected to",
        "first_byte": "sent nothing of an answer",
        "idle": "fell silent in the middle of its answer",
        "total": "was not done",
    }[clock]
    return UpstreamTimeout(
        f"{peer} {what} within {seconds:g} s (timeouts.{clock}_s)",
        retryable=clock == "connect",
        code=f"upstream_timeout_{clock}",
    )
