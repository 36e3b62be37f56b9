"""WebSockets to a provider in one process: handshakes that fail, TLS, proxies, and who ends it how."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from gateway.asgi import Client
from gateway.clock import SystemClock
from gateway.dial import Dialer
from gateway.errors import BrokenAnswer, GatewayError, Unauthenticated, Unavailable, UpstreamFailed
from gateway.exchange import Exchange
from gateway.http1.server import connection_class
from gateway.processes.serving import http_config
from gateway.providers.base import Origin, Outgoing
from gateway.settings import Network, Timeouts
from gateway.sockets import Sockets, Switched
from gateway.splice import splice_to
from gateway.surfaces import is_socket
from gateway.wire.passthrough_paths import find_socket
from gateway.wire.websocket_frames import FrameReader, close_code
from tests.fakes.exchanges import exchange
from tests.fakes.provider import Proxy
from tests.fakes.server import InProcess, serving
from tests.fakes.tidegate import free_port
from tests.fakes.waiting import until

QUICK = Timeouts(connect_s=5, first_byte_s=0.2)
ASKED = [
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
    (b"upgrade", b"websocket"),
]
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
AGREEMENT = AGREED + b"sec-websocket-accept: ACCEPT\r\n\r\n"
HELLO = Frame(Opcode.TEXT, b"hello").serialize(mask=False)
Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]
"""Takes the answer to the handshake's key besides the connection."""


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sessions.LINGER_S", 0.3)


def outgoing(port: int, *, scheme: str = "ws", ca_file: str = "", headers: Any = ASKED) -> Outgoing:
    return Outgoing("GET", Origin(scheme, "127.0.0.1", port, ca_file), "/v1/realtime", headers, b"")


def sockets(network: Network | None = None) -> Sockets:
    return Sockets(Dialer(network or Network()), SystemClock())


@asynccontextmanager
async def raw(speak: Speak) -> AsyncIterator[int]:
    """A provider that reads the handshake and then does as it likes."""
    open_now = 0

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        with suppress(ConnectionError):
            asked = re.search(rb"sec-websocket-key: (\S+)", await reader.readuntil(b"\r\n\r\n"))
            assert asked is not None
            # the answer to a key. Source: RFC 6455, section 1.3
            digest = hashlib.sha1(asked[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
            await speak(reader, writer, base64.b64encode(digest.digest()))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        open_now -= 1

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await until(lambda: not open_now, "its connections to end")


def saying(*parts: bytes, wait: bool = True) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, accept: bytes) -> None:
        for part in parts:
            writer.write(part.replace(b"ACCEPT", accept))
            await writer.drain()
        if wait:
            await reader.read()

    return speak


async def failure(speak: Speak) -> UpstreamFailed:
    async with raw(speak) as port:
        with pytest.raises(UpstreamFailed) as caught:
            await sockets().open(outgoing(port), QUICK, stream=False)
    return caught.value


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ((), "upstream_timeout_first_byte"),
        ((b"HTTP/1.1 103 Early\r\n\r\n",), "upstream_timeout_first_byte"),
        ((b"no HTTP at all\r\n\r\n",), "upstream_broken_answer"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",), "upstream_broken_answer"),
        ((AGREED + b"sec-websocket-extensions: permessage-deflate\r\n\r\n",), "upstream_broken_answer"),
        ((b"HTTP/1.1 101 S\r\n" + b"a: " + b"b" * 300_000,), "upstream_broken_answer"),
    ],
)
async def test_an_answer_that_is_no_agreement_is_a_failure(said: tuple[bytes, ...], code: str) -> None:
    error = await failure(saying(*said))

    assert (error.code, error.retryable) == (code, code == "upstream_broken_answer")


async def test_a_provider_that_hangs_up_on_a_handshake_may_be_asked_again() -> None:
    error = await failure(saying(wait=False))

    assert isinstance(error, BrokenAnswer)
    assert error.retryable


async def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(UpstreamFailed, match="no connection"):
        await sockets().open(outgoing(free_port()), QUICK, stream=False)


@pytest.mark.parametrize(
    "body",
    [b"content-length: 7\r\n\r\nrefused", b"transfer-encoding: chunked\r\n\r\n7\r\nrefused\r\n0\r\n\r\n"],
)
async def test_a_refusal_is_read_with_its_body(body: bytes) -> None:
    async with raw(saying(b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\n", body)) as port:
        with closing(await sockets().open(outgoing(port), QUICK, stream=False)) as answer:
            assert answer.status == 429
            assert (b"retry-after", b"3") in answer.headers
            assert [part async for part in answer.chunks()] == [b"refused"]


async def test_tls_through_a_connect_proxy(tmp_path: Path) -> None:
    authority = trustme.CA()
    file = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def nothing(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(nothing, "127.0.0.1", 0, ssl=context) as server, Proxy("me:x") as proxy:
        port = server.sockets[0].getsockname()[1]
        way = sockets(Network(ca_file=file, https_proxy=proxy.url("me:x")))
        with closing(await way.open(outgoing(port, scheme="wss"), Timeouts(), stream=False)) as answer:
            assert answer.status == 101

        assert proxy.asked == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"]


class House:
    """The public port with nothing behind it but one provider."""

    def __init__(self, provider_port: int) -> None:
        self.port = provider_port
        self.sockets = sockets()
        self.exchange: Exchange | None = None
        self.client: Client | None = None
        self.error: GatewayError | None = None
        self.finished = asyncio.Event()
        self.server: InProcess | None = None

    async def __call__(self, client: Client) -> None:
        headers = dict(client.headers)
        call = exchange(headers=headers)
        call.client, call.place = client, find_socket("/v1/realtime")
        self.exchange, self.client = call, client
        names = [name for name, _ in ASKED[:2]]
        asked = outgoing(self.port, headers=[(name, headers[name]) for name in names] + ASKED[2:])
        try:
            with closing(await self.sockets.open(asked, Timeouts(), stream=False)) as answer:
                assert isinstance(answer, Switched)
                await answer.splice(call)
        except GatewayError as error:
            self.error = error
            client.break_off()
        finally:
            self.finished.set()

    def finding(self) -> str:
        assert self.exchange is not None
        assert self.exchange.reading is not None
        return self.exchange.reading.finding().finish_reason


@asynccontextmanager
async def spliced(speak: Speak) -> AsyncIterator[tuple[House, ClientConnection]]:
    async with raw(speak) as provider_port:
        house = House(provider_port)
        port = free_port()
        config = http_config(
            house,
            drain_s=5,
            http=connection_class(max_header_bytes=65_536, render=lambda _: b"{}", upgrades=is_socket),
            ws=splice_to(Path("/nowhere"), lambda _, __: None),
        )
        door = socket.create_server(("127.0.0.1", port))
        async with serving(config, door) as server:
            house.server = server
            url = f"ws://127.0.0.1:{port}/v1/realtime"
            async with connect(url, proxy=None, compression=None) as client:
                yield house, client
            await house.finished.wait()
            assert not house.sockets.everyone
            await until(lambda: not server.server_state.connections, "uvicorn to forget it")


async def test_frames_that_come_with_the_handshake_arrive() -> None:
    async with spliced(saying(AGREEMENT + HELLO, HELLO)) as (house, client):
        assert [await client.recv(), await client.recv()] == ["hello", "hello"]

    assert house.finding() == "close_1000"
    assert house.error is None


async def test_a_side_that_does_not_answer_a_close_is_not_waited_for() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, accept: bytes) -> None:
        writer.write(AGREEMENT.replace(b"ACCEPT", accept))
        while await reader.read(100):
            pass

    async with spliced(deaf) as (house, client):
        began = asyncio.get_running_loop().time()
        await client.close(4000)
        await house.finished.wait()
        assert asyncio.get_running_loop().time() - began < 5

    assert house.finding() == "close_4000"


async def test_a_stop_waits_for_the_frame_under_way_and_says_goodbye_to_both() -> None:
    go_on, told = asyncio.Event(), FrameReader()
    codes: list[int] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, accept: bytes) -> None:
        writer.write(AGREEMENT.replace(b"ACCEPT", accept) + HELLO + HELLO[:4])
        await go_on.wait()
        writer.write(HELLO[4:] + HELLO[:3])
        while data := await reader.read(100):
            codes.extend(close_code(message.payload) for message in told.feed(data))

    async with spliced(speak) as (house, client):
        assert await client.recv() == "hello"
        assert house.server is not None
        (session,) = house.sockets.everyone
        for connection in list(house.server.server_state.connections):
            connection.shutdown()
        go_on.set()
        assert await client.recv() == "hello"
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, codes) == (1001, [1001])
    assert isinstance(house.error, Unavailable)
    assert session.exchange is house.exchange


async def test_who_would_not_be_let_in_any_more_is_put_out() -> None:
    def unknown(_: dict[bytes, bytes]) -> None:
        raise Unavailable("nobody knows now")

    def revoked(headers: dict[bytes, bytes]) -> None:
        assert b"sec-websocket-key" in headers
        raise Unauthenticated("no such key")

    async with spliced(saying(AGREEMENT + HELLO)) as (house, client):
        await client.recv()
        house.sockets.check_again(unknown)
        house.sockets.check_again(lambda _: None)
        assert not house.finished.is_set()
        house.sockets.check_again(revoked)
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008
    assert isinstance(house.error, Unauthenticated)
    assert house.finding() == "close_1008"


async def test_a_provider_that_dies_within_a_frame_leaves_no_clean_end() -> None:
    async with spliced(saying(AGREEMENT + HELLO + HELLO[:4], wait=False)) as (house, client):
        assert await client.recv() == "hello"
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()

    assert caught.value.rcvd is None
    assert isinstance(house.error, BrokenAnswer)
    assert house.finding() == "close_1006"
