"""WebSockets for the process behind: after the handshake's check their bytes pass through unread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
from typing_extensions import override
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.errors import Forbidden, GatewayError, Unavailable
from gateway.providers.base import Headers
from gateway.relay import forwarded
from gateway.tasks import spawn

logger = logging.getLogger(__name__)

Allow = Callable[[Headers, bytes], Headers | None]
"""Takes the handshake's headers and its path; returns headers to add, or None, or raises GatewayError, to refuse."""

_CONNECT_S = 10.0


def splice_to(path: Path, allow: Allow) -> type[Splice]:
    """Return the class to give to uvicorn's `Config(ws=...)`: every upgrade goes to the socket at `path`."""
    given = {"path": str(path), "allow": staticmethod(allow), "everyone": set()}
    return type("ConfiguredSplice", (Splice,), given)


class Splice(asyncio.Protocol):
    """The client's side. uvicorn hands over the connection together with the whole upgrade request."""

    path: str
    allow: Allow
    everyone: set[Splice]
    """Those that are open."""

    def __init__(
        self,
        config: Config,  # noqa: ARG002 - uvicorn passes it
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002 - uvicorn passes it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._connections: set[Any] = server_state.connections
        self._client: asyncio.Transport | None = None
        self._behind: _Behind | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._asked: tuple[Headers, bytes] = ([], b"")
        """The handshake's headers and path."""

    @classmethod
    def check_again(cls) -> None:
        """Hang up on those that would not be let in any more."""
        for one in list(cls.everyone):
            if not one.still_allowed():
                one.hang_up()

    def still_allowed(self) -> bool:
        """Whether this handshake would be answered now as it was then."""
        try:
            return self.allow(*self._asked) is not None
        except GatewayError:
            return False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._connections.add(self)

    @override
    def data_received(self, data: bytes) -> None:
        if self._behind is not None:
            self._behind.write(data)
        elif self._connecting is not None:
            self._early.append(data)
        else:
            self._handshake(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self.everyone.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._behind is not None:
            self._behind.close()

    @override
    def pause_writing(self) -> None:
        if self._behind is not None:
            self._behind.pause()

    @override
    def resume_writing(self) -> None:
        if self._behind is not None:
            self._behind.resume()

    def shutdown(self) -> None:
        """End it; uvicorn calls this when the process is told to stop."""
        self.hang_up()

    def write(self, data: bytes) -> None:
        """Pass bytes on to the client."""
        if self._client is not None and not self._client.is_closing():
            self._client.write(data)

    def hang_up(self) -> None:
        """Close the client's connection after what was written."""
        if self._client is not None:
            self._client.close()

    def hold(self) -> None:
        """Take no more from the client for now."""
        if self._client is not None and not self._client.is_closing():
            self._client.pause_reading()

    def release(self) -> None:
        """Take more from the client."""
        if self._client is not None and not self._client.is_closing():
            self._client.resume_reading()

    def _handshake(self, request: bytes) -> None:
        assert self._client is not None
        first, headers = _parse(request)
        self._asked = headers, first.split(b" ")[1]
        try:
            added = self.allow(*self._asked)
        except GatewayError as error:
            self._refuse(error)
            return
        if added is None:
            self._refuse(Forbidden("this WebSocket may not be opened from here"))
            return
        self.everyone.add(self)
        peer = self._client.get_extra_info("peername")
        scheme = b"https" if self._client.get_extra_info("sslcontext") else b"http"
        address = str(peer[0]).encode() if isinstance(peer, tuple) else b"unknown"
        passed = forwarded(headers, address, scheme) + added
        upgrade = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
        lines = [b"%b: %b\r\n" % pair for pair in passed + upgrade]
        self.hold()
        self._connecting = spawn(self._connect(b"".join([first, b"\r\n", *lines, b"\r\n"])), name="splice")

    async def _connect(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, behind = await loop.create_unix_connection(lambda: _Behind(self), self.path)
        except (OSError, TimeoutError) as error:
            logger.debug("splice_failed", extra={"error": str(error)})
            self._refuse(Unavailable("the process behind is away", retry_after_s=1))
            return
        behind.write(request)
        for data in self._early:
            behind.write(data)
        self._early.clear()
        self._behind = behind
        self.release()

    def _refuse(self, error: GatewayError) -> None:
        body = msgspec.json.encode(
            {"error": {"message": str(error), "type": error.type, "param": None, "code": error.code}}
        )
        retry = b"retry-after: %d\r\n" % error.retry_after_s if error.retry_after_s else b""
        self.write(
            b"HTTP/1.1 %d \r\ncontent-type: application/json\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n%b"
            % (error.status, len(body), retry, body)
        )
        self.hang_up()


class _Behind(asyncio.Protocol):
    """The other side. What comes from here goes to the client, and the other way round."""

    def __init__(self, front: Splice) -> None:
        self._front = front
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._front.write(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._front.hang_up()

    @override
    def pause_writing(self) -> None:
        self._front.hold()

    @override
    def resume_writing(self) -> None:
        self._front.release()

    def write(self, data: bytes) -> None:
        """Pass bytes on to the process behind."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close after what was written."""
        if self._transport is not None:
            self._transport.close()

    def pause(self) -> None:
        """Take no more for now: the client does not read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take more."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


def _parse(request: bytes) -> tuple[bytes, Headers]:
    """Split the upgrade request as uvicorn wrote it: one header a line, names in lower case."""
    first, *lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return first, [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
