"""The hub's side of the line: answers calls, and tells every worker what has changed."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from typing_extensions import override

from gateway.clock import Clock, SystemClock
from gateway.link import TOKEN_LENGTH, VERSION, CallFailed, Framed, FrameTooLarge, frame

logger = logging.getLogger(__name__)

Handler = Callable[[Any], Awaitable[object]]
"""Takes the parameters, returns the result, or raises CallFailed."""

_MOST_AT_ONCE = 1024
"""Calls of one worker that may be in work; those beyond wait in its socket."""


class Counters(msgspec.Struct):
    """What the line has carried since the start."""

    calls: int = 0
    failures: int = 0
    cancelled: int = 0
    pushes: int = 0
    last_success_us: int = 0
    """When a call was last answered as it should be."""


class LinkServer:
    """Listens for workers. `handlers` is asked anew at each call, so it may grow."""

    def __init__(
        self, handlers: dict[str, Handler], *, token: bytes = b"", clock: Clock | None = None
    ) -> None:
        self.handlers = {"ping": _ping, **handlers}
        self.clock = clock or SystemClock()
        self.counters = Counters()
        self._token = token
        self._guests: set[_Guest] = set()
        self._latest: dict[str, bytes] = {}
        self._server: asyncio.Server | None = None  # dropped, it would stop listening

    @property
    def guests(self) -> int:
        """How many workers are connected."""
        return len(self._guests)

    async def listen(self, door: socket.socket) -> None:
        """Serve at this listening socket, unix or TCP."""
        loop = asyncio.get_running_loop()

        def guest() -> _Guest:
            return _Guest(self, self._token)

        if door.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(guest, sock=door)
        else:
            self._server = await loop.create_server(guest, sock=door)

    async def close(self) -> None:
        """Stop listening and hang up on every worker."""
        if self._server is not None:
            self._server.close()
        for guest in list(self._guests):
            if guest.transport is not None:
                guest.transport.abort()

    def publish(self, topic: str, payload: object) -> None:
        """Send the value to every worker, now and when it connects. May raise FrameTooLarge."""
        message = frame(0, msgspec.msgpack.encode((topic, payload)))
        self._latest[topic] = message
        self.counters.pushes += 1
        for guest in self._guests:
            guest.push(topic, message)

    def welcome(self, guest: _Guest) -> None:
        """Take in a worker whose hello was right."""
        self._guests.add(guest)
        for topic, message in self._latest.items():
            guest.push(topic, message)

    def forget(self, guest: _Guest) -> None:
        """It hung up."""
        self._guests.discard(guest)


async def _ping(params: object) -> object:
    return params


class _Guest(Framed):
    """One worker's connection."""

    def __init__(self, house: LinkServer, token: bytes) -> None:
        super().__init__()
        self._house = house
        self._token = token
        self._tasks: dict[int, asyncio.Task[None]] = {}
        """Under the number of their call; those of what is only told count downwards."""
        self._told = 0
        self._unsent: dict[str, bytes] = {}
        self._reading = True
        self._decode = msgspec.msgpack.Decoder(tuple[str, Any]).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._loop = asyncio.get_running_loop()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._house.forget(self)
        for task in self._tasks.values():
            task.cancel()

    @override
    def greeting(self, received: bytearray) -> int:
        begin = len(VERSION) + TOKEN_LENGTH.size
        if not received.startswith(VERSION):
            self.broken(f"version {received[0]}, ours is {VERSION[0]}")
            return 0
        if len(received) < begin:
            return 0
        (length,) = TOKEN_LENGTH.unpack_from(received, len(VERSION))
        end = begin + length
        if len(received) < end:
            return 0
        if not hmac.compare_digest(bytes(received[begin:end]), self._token):
            self.broken("a wrong token")
            return 0
        self.greeted = True
        self._write(VERSION)
        self._house.welcome(self)
        return int(end)

    @override
    def received(self, number: int, body: bytes | bytearray) -> None:
        if not body:
            task = self._tasks.get(number)
            if task is not None:
                task.cancel()
            return
        method, params = self._decode(body)
        key = number
        if not number:  # it is told, and waits for no answer
            self._told -= 1
            key = self._told
        # a plain task: `spawn` would name and track it for 10 us more, and `_answer` lets nothing escape
        task = self._loop.create_task(self._answer(number, method, params))
        self._tasks[key] = task
        task.add_done_callback(partial(self._done, key))
        if len(self._tasks) >= _MOST_AT_ONCE:
            self._read(False)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._read(False)  # who does not take answers may not ask

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        unsent, self._unsent = self._unsent, {}
        for topic, message in unsent.items():
            self.push(topic, message)
        self._read(True)

    def push(self, topic: str, message: bytes) -> None:
        """Send it; a worker that is slow gets only the latest value of each topic."""
        if self.paused:
            self._unsent[topic] = message
        else:
            self._write(message)

    async def _answer(self, number: int, method: str, params: object) -> None:
        counters = self._house.counters
        counters.calls += 1
        try:
            message = await self._result(number, method, params)
        except asyncio.CancelledError:
            counters.cancelled += 1
            raise
        if number:
            self._write(message)

    def _done(self, key: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not self._reading:
            self._read(True)

    async def _result(self, number: int, method: str, params: object) -> bytes:
        handler = self._house.handlers.get(method)
        if handler is None:
            return self._failure(number, "unknown_method", method)
        try:
            message = frame(number, self._encode(("", await handler(params))))
            self._house.counters.last_success_us = self._house.clock.now_us()
            return message
        except CallFailed as error:
            return self._failure(number, error.code, error.message)
        except FrameTooLarge as error:
            return self._failure(number, "answer_too_large", str(error))
        except Exception as error:
            # a bug in one handler must not leave its caller waiting
            logger.exception("handler_failed", extra={"method": method})
            return self._failure(number, "internal_error", type(error).__name__)

    def _failure(self, number: int, code: str, message: str) -> bytes:
        self._house.counters.failures += 1
        return frame(number, self._encode((code, message)))

    def _write(self, message: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(message)

    def _read(self, wanted: bool) -> None:  # noqa: FBT001 - says what the transport shall do
        if self.transport is None or self.transport.is_closing():
            return
        if wanted and (self.paused or len(self._tasks) >= _MOST_AT_ONCE):
            return
        if wanted != self._reading:
            self._reading = wanted
            with contextlib.suppress(RuntimeError):  # it was closing after all
                (self.transport.resume_reading if wanted else self.transport.pause_reading)()
