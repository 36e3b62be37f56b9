"""One pipelined connection to Redis, for scripts only: a tenth of a general client's CPU (measured, November 2026).

A script gets one msgpack document and answers with one; all keys are below `PREFIX`, whose braces keep them in one
slot of a cluster.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from typing_extensions import override

from gateway.limits.base import PATIENCE_S
from gateway.tasks import spawn

PREFIX = b"{tidegate}:limits"

_CONNECT_S = 1.0
_SILENCE_S = 1.0
"""A connection that owes an answer for so long is given up."""
_BACKOFF_S = 0.02
_LONGEST_BACKOFF_S = 0.5
_TOGETHER_S = 0.001
"""What nobody waits for is sent with what somebody does, if that comes so soon: half the system calls."""
_SECOND_LOOK_S = 0.002
"""An answer that came while our own loop was busy is read before it is called late."""

logger = logging.getLogger(__name__)


class RedisAway(Exception):
    """Redis cannot be reached, does not answer in time, or refuses."""


class Script:
    """A Lua script, known to the server by its digest."""

    def __init__(self, path: Path, prefix: bytes = PREFIX) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.prefix = prefix
        """Its only key: what it touches has names that begin so."""
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        words = (b"EVALSHA", self.sha.encode(), b"1", prefix)
        self.load = command(b"SCRIPT", b"LOAD", self.text.encode())
        """The command that makes it known."""
        self._head = b"*5\r\n" + b"".join(map(_word, words))

    def call(self, document: bytes) -> bytes:
        """Return the command that runs it."""
        return b"%b$%d\r\n%b\r\n" % (self._head, len(document), document)


class ScriptLine(Protocol):
    """What can run scripts in Redis."""

    async def ask(self, script: Script, document: bytes) -> bytes:
        """Return the script's answer; raise RedisAway, at the latest after `PATIENCE_S`."""
        ...

    def tell(self, script: Script, document: bytes) -> None:
        """Run it, and let nobody wait; nothing happens while Redis is away."""
        ...

    def when_up(self, callback: Callable[[], None]) -> None:
        """Call back whenever Redis can be asked again."""
        ...

    def start(self) -> None:
        """Begin to connect, in the background and for ever."""
        ...

    async def close(self) -> None:
        """Hang up for good."""
        ...


class Address(msgspec.Struct, frozen=True):
    """Where a server is and how to be let in."""

    host: str = ""
    port: int = 6379
    path: str = ""
    """Of a unix socket, instead of host and port."""
    user: str = ""
    password: str = ""
    database: int = 0

    @classmethod
    def read(cls, url: str) -> Address | None:
        """Read `redis://user:password@host:6379/0` or `unix:///path?db=0`; None: `RespLine` does not speak that."""
        parts = urlsplit(url)
        asked = parse_qs(parts.query)
        if parts.scheme not in ("redis", "unix") or set(asked) - {"db"}:
            return None
        number = asked["db"][0] if "db" in asked else parts.path.strip("/") if parts.scheme == "redis" else ""
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or 6379,
            path=unquote(parts.path) if parts.scheme == "unix" else "",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=int(number or 0),
        )


def command(*words: bytes) -> bytes:
    """Return a command as it goes over the line."""
    return b"*%d\r\n" % len(words) + b"".join(map(_word, words))


def _word(word: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(word), word)


class RespLine:
    """A `ScriptLine` of our own. Commands are written as they come, and answered in their order."""

    def __init__(
        self, address: Address, scripts: Sequence[Script], *, patience_s: float = PATIENCE_S
    ) -> None:
        self._address = address
        self._scripts = scripts
        self._patience_s = patience_s
        self._line: _Line | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._on_up: list[Callable[[], None]] = []

    async def ask(self, script: Script, document: bytes) -> bytes:
        """Return the script's answer. Raises RedisAway."""
        line = self._line
        if line is None or line.silent:
            raise RedisAway("Redis is not connected" if line is None else "Redis does not answer")
        answer = await line.ask(script.call(document), self._patience_s)
        if isinstance(answer, Refusal) and answer.text.startswith(
            "NOSCRIPT"
        ):  # somebody has emptied its memory
            for one in self._scripts:
                line.tell(one.load)
            answer = await line.ask(script.call(document), self._patience_s)
        if isinstance(answer, Refusal):
            raise RedisAway(answer.text)
        return answer

    def tell(self, script: Script, document: bytes) -> None:
        """Run it, and let nobody wait; nothing happens while Redis is away."""
        line = self._line
        if line is not None and not line.paused:
            line.tell(script.call(document))

    def when_up(self, callback: Callable[[], None]) -> None:
        """Call back whenever a connection has come up."""
        self._on_up.append(callback)

    def start(self) -> None:
        """Begin to connect, in the background and for ever."""
        self._keeper = spawn(self._keep(), name="redis")

    async def close(self) -> None:
        """Hang up for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def _keep(self) -> None:
        backoff_s, trouble = _BACKOFF_S, ""
        while True:
            line = _Line()
            try:
                await self._connect(line)
                backoff_s, trouble = _BACKOFF_S, ""
                await self._hold(line)
                logger.warning("redis_lost")
            except (OSError, TimeoutError, RedisAway) as error:
                if (why := str(error)) != trouble:  # said once
                    trouble = why
                    logger.warning("redis_away", extra={"why": why})
                backoff_s = min(_LONGEST_BACKOFF_S, backoff_s * 2)
            finally:
                self._line = None
                line.hang_up()
                await asyncio.wait([line.lost])
            await asyncio.sleep(backoff_s)

    async def _hold(self, line: _Line) -> None:
        """Use the connection until it is lost."""
        self._line = line
        for callback in self._on_up:
            callback()
        await asyncio.wait([line.lost])

    async def _connect(self, line: _Line) -> None:
        """Connect, be let in, and make the scripts known. Raises OSError, TimeoutError, RedisAway."""
        loop, at = asyncio.get_running_loop(), self._address
        first = [one.load for one in self._scripts]
        if at.database:
            first.insert(0, command(b"SELECT", b"%d" % at.database))
        if at.password:
            user = (at.user.encode(),) if at.user else ()
            first.insert(0, command(b"AUTH", *user, at.password.encode()))
        async with asyncio.timeout(_CONNECT_S):
            if at.path:
                await loop.create_unix_connection(lambda: line, at.path)
            else:
                await loop.create_connection(lambda: line, at.host, at.port)
            for one in first:
                answer = await line.ask(one)
                if isinstance(answer, Refusal):
                    raise RedisAway(answer.text)


class Refusal(msgspec.Struct, frozen=True):
    """An error that Redis answers with."""

    text: str


Answer = bytes | Refusal


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.silent = False
        """Owes an answer for too long; nobody waits for it until it comes."""
        self.paused = False
        self._transport: asyncio.Transport | None = None
        self._owed: deque[tuple[asyncio.Future[Answer] | None, float]] = deque()
        """Who waits for the next answers, and until when."""
        self._untold: list[bytes] = []
        self._watching = False
        self._rest = b""

    async def ask(self, message: bytes, patience_s: float = 0) -> Answer:
        """Send a command, and return what it is answered; 0: whenever that comes. Raises RedisAway.

        The patience of all who wait at the same time is the same.
        """
        waiting: asyncio.Future[Answer] = self._loop.create_future()
        until = self._loop.time() + patience_s
        self._write(message)
        self._owed.append((waiting, until))
        if patience_s and not self._watching:
            self._watching = True
            self._loop.call_at(until, self._look)
        return await waiting

    def tell(self, message: bytes) -> None:
        """Send a command whose answer is for nobody: with the next question, or in a moment."""
        if not self._untold:
            self._loop.call_later(_TOGETHER_S, self._send_rest)
        self._untold.append(message)
        self._owed.append((None, 0.0))

    def _send_rest(self) -> None:
        if self._untold and not self.lost.done():
            self._write(b"")

    def _write(self, message: bytes) -> None:
        if self._transport is None or self.lost.done():
            raise RedisAway("the connection to Redis broke")
        if self._untold:
            message = b"".join(self._untold) + message
            self._untold.clear()
        self._transport.write(message)

    def hang_up(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        elif not self.lost.done():
            self.lost.set_result(None)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        owed, self._owed = self._owed, deque()
        for waiting, _ in owed:
            if waiting is not None and not waiting.done():
                waiting.set_exception(RedisAway("the connection to Redis broke"))
        if not self.lost.done():
            self.lost.set_result(None)

    @override
    def pause_writing(self) -> None:
        self.paused = True

    @override
    def resume_writing(self) -> None:
        self.paused = False

    @override
    def data_received(self, data: bytes) -> None:
        self.silent = False
        if self._rest:
            data = self._rest + data
        start = 0
        while start < len(data):
            line_end = data.find(b"\r\n", start)
            if line_end < 0:
                break
            kind, end = data[start], line_end + 2
            said = data[start + 1 : line_end]
            answer: Answer = said
            if kind == 0x24:  # $: so many bytes follow
                body, end = end, end + int(said) + 2
                if end > len(data):
                    break
                answer = data[body : end - 2]
            elif kind == 0x2D:  # -: an error
                answer = Refusal(said.decode("utf-8", "replace"))
            elif kind not in b"+:":
                self.hang_up()
                return
            start = end
            waiting, _ = self._owed.popleft()
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        self._rest = data[start:]

    def _look(self) -> None:
        self._loop.call_later(_SECOND_LOOK_S, self._judge)

    def _judge(self) -> None:
        """Let nobody wait longer than they wanted."""
        self._watching = False
        now = self._loop.time()
        for waiting, until in self._owed:
            if waiting is None or waiting.done():
                continue
            if until > now:
                self._watching = True
                self._loop.call_at(until, self._look)
                break
            if not self.silent:
                self.silent = True
                self._loop.call_later(_SILENCE_S, self._give_up)
            waiting.set_exception(RedisAway("Redis does not answer"))

    def _give_up(self) -> None:
        if self.silent:
            self.hang_up()
