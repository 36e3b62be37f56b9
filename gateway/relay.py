"""Passes requests for cold paths on to the process that owns them, and its answers back, as they arrive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from gateway.asgi import Receive, Scope, Send
from gateway.errors import BrokenAnswer, Unavailable, Unreachable, UpstreamTimeout
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.settings import Timeouts
from gateway.tasks import spawn
from gateway.transport import Transport

_WEEK_S = 7 * 24 * 3600
PATIENCE = Timeouts(connect_s=10, first_byte_s=60, idle_s=3600, total_s=_WEEK_S)
"""A request waits in the socket while the other process restarts; a page may be silent for long."""
_RETRY_AFTER_S = 1.0

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
"""Headers about one connection, not about the request. Source: RFC 9110, section 7.6.1."""
_OURS_TO_SAY = (b"x-forwarded-", b"forwarded", b"x-tidegate-principal", b"x-real-ip")
"""The process behind believes these, so nobody outside may send them."""
_RESTATED = frozenset((b"content-length", b"expect"))
"""The transport says these itself."""
_OF_THE_SERVER = frozenset((b"date", b"server"))
"""The worker's own server says these."""
_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS"))
"""Sent again, if they have no body, when a kept connection turns out to be dead."""


class Relay:
    """The way to one process behind, at a unix socket. `name` is what clients read when it is away."""

    def __init__(self, carrier: Transport, path: Path, name: str) -> None:
        self._carrier = carrier
        self._origin = Origin("unix", str(path), 0)
        self._name = name

    async def pass_on(self, scope: Scope, receive: Receive, send: Send, *, extra_headers: Headers) -> None:
        """Relay the request and its answer; return early if the client leaves.

        Raises Unavailable if nothing was sent yet, else UpstreamFailed: then the client's connection
        must be cut, for its answer is not whole.
        """
        body = _Body(scope, receive)
        outgoing = Outgoing(
            scope["method"],
            self._origin,
            _target(scope),
            forwarded(scope["headers"], _peer(scope), scope["scheme"].encode()) + extra_headers,
            b"",
            parts=body.parts() if body.streamed else None,
            length=body.length,
        )
        leash = asyncio.timeout(None)
        try:
            async with leash:
                watcher = spawn(_let_go(body, leash), name="relay watch")
                try:
                    await self._exchange(outgoing, send)
                finally:
                    watcher.cancel()
        except TimeoutError:
            if leash.expired():
                return
            raise
        # not under the leash: uvicorn tells whoever waits that the client left once the answer is complete
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _exchange(self, outgoing: Outgoing, send: Send) -> None:
        started = False
        try:
            with contextlib.closing(await self._carrier.open(outgoing, PATIENCE, stream=True)) as answer:
                headers = [pair for pair in answer.headers if pair[0] not in _OF_THE_SERVER]
                started = True
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                async for chunk in answer.chunks():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except (Unreachable, UpstreamTimeout, BrokenAnswer) as error:
            if started:
                raise
            raise Unavailable(
                f"the {self._name} process is away or starting; ask again in a moment",
                code=f"{self._name}_unavailable",
                retry_after_s=_RETRY_AFTER_S,
            ) from error


class _Body:
    """The request's body as it arrives, and then the news that the client left."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        chunked = b"transfer-encoding" in headers
        declared = int(headers.get(b"content-length", b"0"))
        # a body, even an empty one, that comes in parts cannot be sent twice: so only these are repeated
        self.streamed = chunked or declared > 0 or scope["method"] not in _REPEATABLE
        self.length = declared if self.streamed and not chunked else None
        self._receive = receive
        self._over = asyncio.Event()
        self._left = False
        if not self.streamed:
            self._over.set()

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield it. A client that leaves half-way makes this wait until the relay is let go."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._left = True
                self._over.set()
                await asyncio.Event().wait()
            if message["body"]:
                yield message["body"]
            if not message["more_body"]:
                self._over.set()
                return

    async def client_left(self) -> None:
        """Return once the client has hung up."""
        await self._over.wait()
        while not self._left:
            self._left = (await self._receive())["type"] == "http.disconnect"


async def _let_go(body: _Body, leash: asyncio.Timeout) -> None:
    await body.client_left()
    with contextlib.suppress(RuntimeError):  # the answer was complete
        leash.reschedule(asyncio.get_running_loop().time())


def forwarded(headers: Iterable[tuple[bytes, bytes]], peer: bytes, scheme: bytes) -> Headers:
    """Return a client's headers as the process behind may see them. Names are lower-case."""
    headers = list(headers)
    named = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    dropped = HOP_BY_HOP | _RESTATED | named - {b"host"}
    kept = [
        (name, value) for name, value in headers if name not in dropped and not name.startswith(_OURS_TO_SAY)
    ]
    return [*kept, (b"x-forwarded-for", peer), (b"x-forwarded-proto", scheme)]


def _target(scope: Scope) -> str:
    # `path` has lost the difference between %2F and a slash
    target: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return (target + b"?" + query if query else target).decode("latin-1")


def _peer(scope: Scope) -> bytes:
    client = scope.get("client")
    return str(client[0]).encode() if client else b"unknown"
