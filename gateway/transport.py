"""What the attempt loop needs of anything that can carry a request to a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from gateway.providers.base import Headers, Outgoing
from gateway.settings import Timeouts


class Answer(Protocol):
    """A provider's answer whose headers have arrived."""

    status: int
    headers: Headers
    """Lower-case names, hop-by-hop headers removed; content-length kept if the provider sent one."""
    reused: bool
    """The connection had carried a request before."""
    connected_ns: int
    """`Clock.monotonic_ns()` when the connection was ready."""
    first_byte_ns: int
    """... when the first byte of the answer came."""
    on_part: Callable[[bytes], bool] | None
    """May be given what comes while somebody waits for the next of `chunks()`, as soon as it comes; says whether it
    took it. The wait goes on then. What it raises, an UpstreamFailed, ends the answer."""

    @property
    def whole(self) -> bytes | None:
        """What was not read of the body, if all of it has arrived: then `chunks()` need not be asked. None says nothing."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, transfer coding removed, content coding kept. May raise UpstreamFailed."""
        ...

    async def read(self, limit: int = ...) -> bytes:
        """Return the rest of the body, at most `limit` bytes."""
        ...

    def close(self) -> None:
        """Be done with it; before the body's end that closes the connection."""
        ...


class Transport(Protocol):
    """Carries requests: over the network (`gateway.upstream`), or nowhere at all (`gateway.sandbox`)."""

    async def open(self, outgoing: Outgoing, timeouts: Timeouts, *, stream: bool) -> Answer:
        """Send the request and wait for the answer's headers; raise UpstreamFailed.

        Whoever gets the answer closes it.
        """
        ...
