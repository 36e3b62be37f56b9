"""Carries requests nowhere: plays the sandbox's steps in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain, islice

from gateway.clock import Clock
from gateway.errors import BrokenAnswer, Unreachable, UpstreamTimeout
from gateway.providers.base import Headers, Outgoing
from gateway.providers.sandbox import Bytes, Cut, Head, Step, Wait, play
from gateway.settings import Timeouts

_READ_LIMIT = 1 << 20


class _Clocks:
    """The four clocks of one call, by the time that the script spends. Owned by one call."""

    def __init__(self, timeouts: Timeouts, *, stream: bool) -> None:
        self._left_s = timeouts.total_s
        self._idle_s = timeouts.idle_s
        self._first_byte_s = timeouts.first_byte_s
        self._stream = stream

    async def wait(self, ms: int, *, answered: bool) -> None:
        """Sleep; raise UpstreamTimeout as soon as a clock runs out."""
        wanted_s = ms / 1000
        allowed_s, clock = self._left_s, "total"
        if self._stream:
            own_s, name = (self._idle_s, "idle") if answered else (self._first_byte_s, "first_byte")
            if own_s < allowed_s:
                allowed_s, clock = own_s, name
        await asyncio.sleep(min(wanted_s, allowed_s))
        self._left_s -= wanted_s
        if wanted_s > allowed_s:
            raise UpstreamTimeout(
                f"the sandbox took longer than {clock}_s = {allowed_s:g}", code=f"upstream_timeout_{clock}"
            )


class SandboxAnswer:
    """An answer being played."""

    reused = True
    on_part: Callable[[bytes], bool] | None = None

    def __init__(
        self, head: Head, steps: Iterator[Step], clocks: _Clocks, started_ns: int, now_ns: int
    ) -> None:
        self.status = head.status
        self.headers: Headers = head.headers
        self.connected_ns = started_ns
        self.first_byte_ns = now_ns
        self._steps = steps
        self._clocks = clocks
        self._read = False

    @property
    def whole(self) -> bytes | None:
        """The body, if the script has nothing but one piece of it and none was read."""
        if self._read:
            return None
        left = tuple(islice(self._steps, 2))
        self._steps = chain(left, self._steps)
        return left[0].data if len(left) == 1 and isinstance(left[0], Bytes) else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as the script has it; raise BrokenAnswer where it cuts."""
        self._read = True
        for step in self._steps:
            match step:
                case Bytes(data):
                    yield data
                case Wait(ms):
                    await self._clocks.wait(ms, answered=True)
                case Cut():
                    raise BrokenAnswer("the sandbox broke the connection, as its script says")
                case Head():
                    raise BrokenAnswer("the sandbox's script has two heads")

    async def read(self, limit: int = _READ_LIMIT) -> bytes:
        """Return the rest of the body, at most `limit` bytes."""
        body = b""
        async for chunk in self.chunks():
            body += chunk
            if len(body) >= limit:
                break
        return body[:limit]

    def close(self) -> None:
        """The play may end anywhere."""


class SandboxTransport:
    """The transport of the `sandbox` scheme."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def open(self, outgoing: Outgoing, timeouts: Timeouts, *, stream: bool) -> SandboxAnswer:
        """Play the script up to its head."""
        started_ns = self._clock.monotonic_ns()
        clocks = _Clocks(timeouts, stream=stream)
        steps = play(outgoing.path, outgoing.body, outgoing.method)
        for step in steps:
            match step:
                case Wait(ms):
                    await clocks.wait(ms, answered=False)
                case Head():
                    return SandboxAnswer(step, steps, clocks, started_ns, self._clock.monotonic_ns())
                case Bytes() | Cut():
                    break
        raise Unreachable("the sandbox's script has no head")
