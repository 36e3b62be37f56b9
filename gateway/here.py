"""Carries what this installation answers itself to where a provider's answer would come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from gateway.clock import Clock
from gateway.providers.base import Headers, Outgoing
from gateway.settings import Timeouts


class HereAnswer:
    """An answer that is all there."""

    status = 200
    reused = True
    on_part: Callable[[bytes], bool] | None = None

    def __init__(self, body: bytes, now_ns: int) -> None:
        self.headers: Headers = [(b"content-type", b"application/json")]
        self.connected_ns = self.first_byte_ns = now_ns
        self.whole: bytes | None = body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, once."""
        body, self.whole = self.whole, None
        if body:
            yield body

    async def read(self, limit: int = 1 << 30) -> bytes:
        """Return the body."""
        body, self.whole = self.whole, None
        return (body or b"")[:limit]

    def close(self) -> None:
        """Nothing holds it."""


class HereTransport:
    """The transport of the `here` scheme."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def open(
        self,
        outgoing: Outgoing,
        timeouts: Timeouts,  # noqa: ARG002 - it takes no time
        *,
        stream: bool,  # noqa: ARG002 - it is none
    ) -> HereAnswer:
        """Send back what was sent."""
        return HereAnswer(outgoing.body, self._clock.monotonic_ns())
