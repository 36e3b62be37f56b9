"""An answer as it arrives: parsing, limits, clocks. Bytes come in by `feed`; no socket is touched here."""

from __future__ import annotations

import asyncio
import math
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol, Self

import httptools
import msgspec

from gateway.clock import Clock
from gateway.errors import BrokenAnswer, Unreachable, UpstreamFailed, UpstreamTimeout
from gateway.providers.base import Headers
from gateway.settings import Timeouts

MAX_HEAD = 256 * 1024
"""Bytes of status line and headers, and of the framing between two pieces of a body."""
MAX_UNREAD = 256 * 1024
"""Bytes of a body that may lie unread before the connection is no longer read."""
DEFAULT_READ = 1024 * 1024
TIMER_SLACK_S = 0.002
"""uvloop counts time in whole milliseconds."""

HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
"""With everything that begins with `proxy-`, and what Connection names. Source: RFC 9110, section 7.6.1."""
MOST_NAMES = 1024
LONGEST_NAME = 128
_CHUNKED: Headers = [(b"transfer-encoding", b"chunked")]
"""What most answers say of their connection."""
_IGNORE: Callable[[tuple[bytes, bytes]], None] = deque[tuple[bytes, bytes]](maxlen=0).append
"""Takes headers nobody wants."""


class _Names(dict[bytes, bytes]):
    """By a header's name as it came: in lower case, or empty for one of the connection."""

    def __missing__(self, name: bytes) -> bytes:
        low = name.lower()
        kept = b"" if low in HOP_BY_HOP or low.startswith(b"proxy-") else low
        if len(self) < MOST_NAMES and len(name) <= LONGEST_NAME:
            self[name] = kept
        return kept


_KEPT = _Names()


class Stale(Unreachable):
    """The connection ended before anything of an answer came; on a reused one, worth a second sending."""


class Line(Protocol):
    """What an answer needs of the connection that brings it."""

    peer: str
    """Who is at the other end, for messages."""
    loop: asyncio.AbstractEventLoop
    alarm_at: float
    """When it will ring next, in the loop's time; infinity if nobody asked."""

    def alarm(self, when: float) -> None:
        """Call `ring()` of the answer under way at this time, which is before `alarm_at`."""
        ...

    def leave(self) -> object:
        """Be done with the answer under way."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...

    def pause(self) -> bool:
        """Stop reading; say whether that was possible."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...


class Reply(msgspec.Struct, eq=False):
    """One answer as it arrives: `gateway.transport.Answer`, and httptools' callbacks.

    A struct because one is made for each call: twenty fields cost as much to set as two assignments.
    """

    line: Line
    clock: Clock
    method: str
    timeouts: Timeouts
    total_at: float
    """When the attempt's total clock runs out, in the loop's time."""
    stream: bool
    reused: bool = False
    status: int = 0
    headers: Headers = []
    connected_ns: int = 0
    first_byte_ns: int = 0
    asked: bool = False
    """The whole request is written."""
    on_body: Callable[[bytes], None] | None = None
    """httptools calls it for each piece of the body."""
    on_part: Callable[[bytes], bool] | None = None
    _parser: httptools.HttpResponseParser | None = None
    _add: Callable[[tuple[bytes, bytes]], None] = _IGNORE
    """Takes the headers that come; what comes after the body does not concern the client."""
    _named: Headers = []
    _pieces: list[bytes] = []
    _unread: int = 0
    _end: int = sys.maxsize
    """How many pieces belong to the answer, once it is complete."""
    _quiet: int = 0
    _begun: bool = False
    _complete: bool = False
    _keep: bool = False
    _surplus: bool = False
    _paused: bool = False
    _error: UpstreamFailed | None = None
    _waiter: asyncio.Future[None] | None = None
    _last: float = math.inf

    def __post_init__(self) -> None:
        self.connected_ns = self.clock.monotonic_ns()
        self._add = self.headers.append
        # Streams come in many small chunks, and each is a call: not a frame of ours, then. What follows a
        # complete answer is a message of its own, which `on_message_begin` has noticed.
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)

    # what the caller sees

    @property
    def whole(self) -> bytes | None:
        """What was not taken of the body, if all of it has come."""
        if not self._complete:
            return None
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, everything that lies ready as one piece."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._complete:
                raise StopAsyncIteration
            await self.news()
        pieces = self._pieces
        if len(pieces) == 1:
            piece = pieces.pop()
        else:
            piece = b"".join(pieces)
            pieces.clear()
        self._unread = 0
        if self._paused:
            self._resume()
        return piece

    async def read(self, limit: int = DEFAULT_READ) -> bytes:
        """Return the rest of the body; what goes on beyond `limit` is left, with the connection."""
        parts: list[bytes] = []
        size = 0
        async for part in self:
            parts.append(part)
            size += len(part)
            if size >= limit and not self._complete:
                self.line.abort()
                break
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        return whole[:limit]

    def close(self) -> None:
        """Be done with it; the connection is closed if this was not the end."""
        if self._parser is not None:
            self.line.leave()

    # what the connection does with it

    @property
    def over(self) -> bool:
        """Nothing sent from here on could change the answer."""
        return self._complete or self._error is not None or self.status >= 400

    def news(self) -> asyncio.Future[None]:
        """Return what is done once something arrives, the peer takes more, or it all ends; raise what ended it."""
        if self._error is not None:
            raise self._error
        waiter = self._waiter = self.line.loop.create_future()
        return waiter

    def wake(self) -> None:
        """Let `news()` return."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def sending(self) -> None:
        """Only the total clock runs while a long request is on its way."""
        self._alarm(self.total_at)

    def sent(self) -> None:
        """Everything is written: the provider's silence counts from here."""
        self.asked = True
        if self._complete or self._error is not None:
            return
        line, when = self.line, self.total_at
        if self.stream:  # without a stream nobody asks how long the silence is
            now = self._last = line.loop.time()
            when = min(now + (self.timeouts.idle_s if self._begun else self.timeouts.first_byte_s), when)
        if when < line.alarm_at:
            line.alarm(when)

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire."""
        parser = self._parser
        if parser is None:
            return
        if not self._begun:
            self._begin()
        pieces = self._pieces
        held = len(pieces)
        if self._complete:
            self._end = held
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._nonsense(str(error))
        if self._complete:
            if len(pieces) > self._end:
                del pieces[self._end :]  # of a second message, or the body of an answer to HEAD
                self._surplus = True
        elif self._error is None:
            if self.on_part is not None and self._hand_on(self.on_part):
                return  # sent, or failed: nobody is left to be woken
            self._count(len(data), held)
        waiter = self._waiter
        if waiter is not None and self.status and not waiter.done():
            waiter.set_result(None)

    def lost(self, error: Exception | None) -> None:
        """Take note that the connection has ended."""
        if self._complete or self._error is not None:
            return
        peer = self.line.peer
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
        self.line.abort()
        self.wake()

    def leave(self) -> bool:
        """Let go of everything; say whether the connection may carry another request."""
        self._parser = None
        if not self._complete:
            self._error = self._error or BrokenAnswer("the answer was left before its end")
            return False
        clean = self._keep and self.asked and not self._surplus
        if clean and self._paused:
            self._resume()
        return clean

    # httptools

    def on_message_begin(self) -> None:
        """Notice an answer nobody asked for."""
        if self._complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what concerns the client."""
        kept = _KEPT[name]
        if kept:
            self._add((kept, value))
        elif value != b"keep-alive" and not self.status:
            self._named.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin the body, or forget an interim answer."""
        parser = self._parser
        assert parser is not None
        if self._complete:
            return
        status = parser.get_status_code()
        if status < 200:
            self.headers, self._named = [], []
            self._add = self.headers.append
            if status == 101:
                self._nonsense("an upgrade nobody asked for")
            return
        self._add = _IGNORE
        if self._named and self._named != _CHUNKED and not self._drop_named():
            return
        self.status = status
        if self.method == "HEAD":
            self._keep = parser.should_keep_alive()
            self._complete = True
            self._end = len(self._pieces)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        parser = self._parser
        if self.status and not self._complete and parser is not None:
            self._keep = parser.should_keep_alive()
            self._complete = True
            self._end = len(self._pieces)

    # inside

    def _begin(self) -> None:
        self._begun = True
        self.first_byte_ns = self.clock.monotonic_ns()
        if self.stream and self.asked:
            self._alarm(self.line.loop.time() + self.timeouts.idle_s)

    def _hand_on(self, take: Callable[[bytes], bool]) -> bool:
        """Offer what has come to who need not be woken for it; say whether nobody must be."""
        pieces, waiter = self._pieces, self._waiter
        if not pieces or waiter is None or waiter.done():
            return False
        try:
            taken = take(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        except UpstreamFailed as error:
            pieces.clear()  # they were read
            self.fail(error)
            return True  # as `fail` woke who waits
        if taken:
            pieces.clear()
            self._quiet = 0
            if self.asked:
                self._last = self.line.loop.time()
        return taken

    def _count(self, size: int, held: int) -> None:
        """After bytes that did not end the answer: the idle clock, the limits, the brake."""
        if self.stream and self.asked:
            self._last = self.line.loop.time()
        if self.status and len(self._pieces) != held:
            self._quiet = 0
            self._unread += size  # with its framing, until that matters
            if self._unread > MAX_UNREAD and not self._paused:
                self._unread = sum(map(len, self._pieces))
                self._paused = self._unread > MAX_UNREAD and self.line.pause()
            return
        self._quiet += size
        if self._quiet > MAX_HEAD and not self.status:
            self._nonsense(f"more than {MAX_HEAD // 1024} KB of headers")
        elif self._quiet > 2 * MAX_HEAD:
            self._nonsense("framing without a body")

    def _nonsense(self, what: str) -> None:
        """Give up on an answer, or on the connection if the answer was over before."""
        self._surplus = True
        self.fail(BrokenAnswer(f"{self.line.peer} sent something that is not an HTTP answer: {what}"))

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
        self._last = self.line.loop.time()
        self.line.resume()

    def _alarm(self, when: float) -> None:
        if when < self.line.alarm_at:
            self.line.alarm(when)

    def _due(self) -> float:
        """When the clock of the current silence runs out."""
        if not self.stream:
            return math.inf
        timeouts = self.timeouts
        if self._paused:
            return self.line.loop.time() + timeouts.idle_s
        return self._last + (timeouts.idle_s if self._begun else timeouts.first_byte_s)

    def ring(self) -> None:
        """See which clock has run out, if any; the line calls this at the time it was asked for, or earlier."""
        if self._complete or self._error is not None:
            return
        now = self.line.loop.time() + TIMER_SLACK_S
        due = self._due()
        timeouts, peer = self.timeouts, self.line.peer
        if now >= self.total_at:
            self.fail(timed_out("total", timeouts.total_s, peer))
        elif now < due:
            self._alarm(min(due, self.total_at))
        elif self._begun:
            self.fail(timed_out("idle", timeouts.idle_s, peer))
        else:
            self.fail(timed_out("first_byte", timeouts.first_byte_s, peer))


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
