"""A client's connection without a socket: what it hears is given by hand, and its transport remembers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from typing_extensions import override
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.asgi import Client, read_body
from gateway.errors import GatewayError
from gateway.http1.heads import Heads
from gateway.http1.server import Connection, connection_class

LIMIT = 2_000
Handler = Callable[[Client], Awaitable[None]]


class Wire(asyncio.Transport):
    """Remembers what was written and whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.ended = False
        self.reading = True
        self.protocol: asyncio.BaseProtocol | None = None

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += data

    @override
    def write_eof(self) -> None:
        self.ended = True

    @override
    def close(self) -> None:
        self.closed = True

    @override
    def is_closing(self) -> bool:
        return self.closed

    @override
    def is_reading(self) -> bool:
        return self.reading

    @override
    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    @override
    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


class Upgraded(asyncio.Protocol):
    """Where WebSockets go."""

    got: bytes = b""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self.config = config

    @override
    def data_received(self, data: bytes) -> None:
        self.got += data


class Line:
    """A connection with its handler and its transport; `heads`: what other connections have read."""

    def __init__(self, handler: Handler, heads: Heads | None = None) -> None:
        async def app(client: Client) -> None:
            client.request_id = b"id"
            await handler(client)

        config = Config(app, ws=Upgraded, lifespan="off", log_config=None, timeout_keep_alive=5)
        config.load()
        self.state = ServerState()
        kind = connection_class(max_header_bytes=LIMIT, render=lambda error: error.code.encode())
        if heads is not None:
            kind.heads = heads
        self.protocol: Connection = kind(config, self.state, {})
        self.wire = Wire()
        self.protocol.connection_made(self.wire)

    def hear(self, *pieces: bytes) -> None:
        """Take bytes as they were cut."""
        for piece in pieces:
            self.protocol.data_received(piece)

    async def settle(self, turns: int = 200) -> bytes:
        """Let every request run; return what was written."""
        for _ in range(turns):
            await asyncio.sleep(0)
        return bytes(self.wire.written)


async def tell(client: Client) -> None:
    """Answer with what was asked."""
    try:
        body = await read_body(client, dict(client.headers), limit=1_000_000, silence_s=5)
    except GatewayError as error:
        body = error.code.encode()
    words = (client.method, client.path, client.raw_path, client.query, client.headers, body)
    client.answer(200, repr(words).encode())


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Return a request with a body."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(path: str, *parts: bytes) -> bytes:
    """Return a request whose body comes in chunks."""
    head = f"PUT {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nx-late: 1\r\n\r\n"


def cut(sent: bytes, places: list[int]) -> list[bytes]:
    """Return the bytes in pieces that begin at these places."""
    edges = [0, *sorted({place % len(sent) for place in places} - {0}), len(sent)]
    return [sent[start:end] for start, end in itertools.pairwise(edges)]
