"""A provider's answer as guardrails let it pass, in the client's format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from gateway.errors import BrokenAnswer
from gateway.providers.base import Headers
from gateway.transport import Answer
from gateway.wire.base import Reading, Screen
from gateway.wire.packed import Packed

_FRAMING = frozenset({b"content-length", b"content-encoding"})


class Screened:
    """Stands for the answer and for what reads it: what comes out of `chunks` was read and looked through."""

    on_part: Callable[[bytes], bool] | None = None

    def __init__(self, answer: Answer, reading: Reading | Packed, screen: Screen) -> None:
        self.status = answer.status
        self.headers: Headers = [pair for pair in answer.headers if pair[0] not in _FRAMING]
        self.reused = answer.reused
        self.connected_ns = answer.connected_ns
        self.first_byte_ns = answer.first_byte_ns
        self.whole = None
        self.plain = b""
        """What the last part held."""
        self._answer = answer
        self._reading = reading
        self._screen = screen
        self._rest = b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what may be seen, as soon as it may."""
        async for chunk in self._answer.chunks():
            yield await self._screen.feed(self._reading.feed(chunk), last=False)
        self._rest = await self._screen.feed(self._end(), last=True)

    async def read_all(self, limit: int) -> None:
        """Take the whole answer at once; it comes out of `end`. Raises BrokenAnswer if it is over the limit."""
        body = await self.read(limit)
        if len(body) >= limit:
            raise BrokenAnswer("the answer is too long to be checked", retryable=False)
        self._rest = await self._screen.feed(self._reading.feed(body) + self._end(), last=True)

    async def read(self, limit: int = 0) -> bytes:
        """Return the provider's bytes, which nobody has looked through."""
        return await self._answer.read(limit)

    def close(self) -> None:
        """Be done with the answer."""
        self._answer.close()

    def _end(self) -> bytes:
        rest = self._reading.end()
        return self._reading.plain if isinstance(self._reading, Packed) else rest

    # as a Reading

    @property
    def began(self) -> bool:
        """Whether content has come that need not be held back."""
        return self._reading.began and self._screen.clear

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        self.plain = chunk
        return chunk

    def end(self) -> bytes:
        """Return what was held back."""
        self.plain, self._rest = self._rest, b""
        return self.plain


class _InTurn:
    """Two screens, the second of which is shown what the first lets pass."""

    def __init__(self, first: Screen, then: Screen) -> None:
        self._first = first
        self._then = then

    @property
    def clear(self) -> bool:
        """Neither holds words back."""
        return self._first.clear and self._then.clear

    async def feed(self, out: bytes, *, last: bool) -> bytes:
        """Return what both let pass."""
        return await self._then.feed(await self._first.feed(out, last=last), last=last)


def in_turn(
    first: Callable[[bool], Screen] | None, then: Callable[[bool], Screen]
) -> Callable[[bool], Screen]:
    """Return what makes both screens, if there is a first one."""
    if first is None:
        return then

    def both(stream: bool) -> Screen:  # noqa: FBT001 - as Exchange calls it
        return _InTurn(first(stream), then(stream))

    return both
