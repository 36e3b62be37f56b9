"""Requests and WebSockets through a worker-like server to a process behind a unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from gateway.clock import SystemClock
from gateway.errors import GatewayError
from gateway.processes.doors import bind_unix
from gateway.processes.serving import http_config
from gateway.providers.base import Headers
from gateway.relay import Relay
from gateway.settings import Network
from gateway.splice import splice_to
from gateway.tasks import spawn
from gateway.upstream import Upstream
from tests.fakes.server import serving
from tests.fakes.waiting import until

LOOPS = ("uvloop",)

Message = dict[str, Any]
BIG = os.urandom(3_000_000)


class Behind:
    """The process behind: raw ASGI, so that nothing is buffered for it."""

    def __init__(self) -> None:
        self.seen: list[Message] = []
        self.cancelled = 0

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        self.seen.append(scope)
        await getattr(self, scope["path"].strip("/").split("/")[0])(scope, receive, send)

    async def echo(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer with the body; with its length, or chunked if the query says so."""
        body = await _whole(receive)
        headers = [(b"server", b"behind"), (b"keep-alive", b"timeout=5"), (b"x-own", b"1")]
        if scope["query_string"] != b"chunked":
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        for start in range(0, len(body), 70_000):
            piece = body[start : start + 70_000]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def told(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer with what was asked."""
        body = await _whole(receive)
        said = {
            "method": scope["method"],
            "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "client": scope["client"],
            "scheme": scope["scheme"],
            "size": len(body),
        }
        answer = msgspec.json.encode(said)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def cut(self, scope: Message, receive: Any, send: Any) -> None:
        """Break off in the middle."""
        headers = [] if scope["query_string"] == b"chunked" else [(b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        scope["state"]["cut"] = True
        raise ConnectionAbortedError

    async def endless(self, scope: Message, receive: Any, send: Any) -> None:
        """Send an event whenever asked for, until the other side leaves."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.cancelled += 1


async def _whole(receive: Any) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            return body


class World:
    """A front server that relays everything, and what is behind it."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "behind.sock"
        self.behind = Behind()
        self.upstream = Upstream(SystemClock(), Network())
        self.relay = Relay(self.upstream, self.path, "telemetry")
        self.allow: Callable[[Headers, bytes], Headers | None] = lambda headers, path: []
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.door.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Relay; render what the relay raises before anything was sent."""
        try:
            await self.relay.pass_on(scope, receive, send, extra_headers=[(b"x-tidegate-principal", b"me")])
        except GatewayError as error:
            if error.retry_after_s is None:
                raise
            headers = [(b"retry-after", b"%d" % error.retry_after_s)]
            await send({"type": "http.response.start", "status": error.status, "headers": headers})
            await send({"type": "http.response.body", "body": error.code.encode()})

    def serve_behind(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """Start the process behind."""
        return serving(http_config(self.behind, drain_s=1, behind_worker=True), bind_unix(self.path))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)

    def allow(headers: Headers, path: bytes) -> Headers | None:
        return world.allow(headers, path)

    ws = splice_to(world.path, allow)
    async with serving(http_config(world, drain_s=1, ws=ws), world.door):
        yield world
        await world.upstream.close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


@pytest.mark.parametrize("asked", ["content-length", "chunked"])
@pytest.mark.parametrize("answered", ["content-length", "chunked"])
async def test_three_megabytes_come_back_byte_for_byte(
    world: World, client: aiohttp.ClientSession, asked: str, answered: str
) -> None:
    async with world.serve_behind():
        body = io.BytesIO(BIG) if asked == "content-length" else _pieces(BIG)
        async with client.post(f"{world.base}/echo?{answered}", data=body) as answer:
            assert answer.status == 201
            assert hashlib.sha256(await answer.read()).digest() == hashlib.sha256(BIG).digest()
            assert ("content-length" in answer.headers) == (answered == "content-length")
        request = dict(world.behind.seen[0]["headers"])
        assert (b"transfer-encoding" in request) == (asked == "chunked")


async def test_the_request_arrives_as_sent_and_nobody_outside_can_pretend(world: World) -> None:
    request = (
        b"GET /told/a%2Fb//c?x=%20&y HTTP/1.1\r\nHost: gate.example:99\r\nX-Forwarded-For: 6.6.6.6\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=evil\r\n"
        b"X-Tidegate-Principal: root\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 3\r\n"
        b"TE: trailers\r\nX-Kept: a\r\nX-Kept: b\r\n\r\n"
    )
    async with world.serve_behind():
        said = msgspec.json.decode((await _raw(world, request)).partition(b"\r\n\r\n")[2])
    assert said["raw_path"] == "/told/a%2Fb//c"
    assert said["query"] == "x=%20&y"
    assert said["client"][0] == "127.0.0.1"
    assert said["scheme"] == "http"
    assert sorted(map(tuple, said["headers"])) == [
        ("host", "gate.example:99"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-kept", "a"),
        ("x-kept", "b"),
        ("x-tidegate-principal", "me"),
    ]


async def _raw(world: World, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_the_answers_headers_pass_but_those_of_the_connection_and_the_server(world: World) -> None:
    async with world.serve_behind():
        answer = await _raw(world, b"GET /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"x-own: 1" in head
    assert b"server:" not in head
    assert b"keep-alive" not in head
    assert head.count(b"\r\ndate:") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT"])
async def test_every_method_passes_also_without_a_body_and_the_connection_is_used_again(
    world: World, client: aiohttp.ClientSession, method: str
) -> None:
    async with world.serve_behind():
        for _ in range(3):
            async with client.request(method, f"{world.base}/told") as answer:
                assert answer.status == 200
                body = await answer.read()
                assert bool(body) == (method != "HEAD")
                assert int(answer.headers["content-length"]) > 0
        assert [scope["method"] for scope in world.behind.seen] == [method] * 3


async def test_a_client_that_waits_for_100_continue_gets_it(world: World) -> None:
    async with world.serve_behind():
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert b" 201 " in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(5) == b"hello"
        writer.close()


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
async def test_an_answer_cut_in_the_middle_does_not_look_whole(world: World, framing: str) -> None:
    async with world.serve_behind():
        answer = await _raw(world, f"GET /cut?{framing} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert b" 200 " in answer
    assert b"half" in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def test_while_the_process_is_away_the_answer_is_503_with_retry_after(
    world: World, client: aiohttp.ClientSession
) -> None:
    for method, body in (("GET", None), ("POST", b"x" * 100_000)):
        async with client.request(method, f"{world.base}/told", data=body) as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert await answer.text() == "telemetry_unavailable"


async def test_a_request_waits_in_a_held_socket_until_the_process_is_back(
    world: World, client: aiohttp.ClientSession
) -> None:
    held = bind_unix(world.path)
    early = spawn(_status(client, f"{world.base}/told"), name="early")
    await until(lambda: world.upstream.opened == 1)
    assert not early.done()
    async with serving(http_config(world.behind, drain_s=1, behind_worker=True), held):
        assert await early == 200


async def _status(client: aiohttp.ClientSession, url: str) -> int:
    async with client.get(url) as answer:
        return answer.status


async def test_a_restart_between_two_requests_is_not_noticed_by_a_get(
    world: World, client: aiohttp.ClientSession
) -> None:
    async with world.serve_behind():
        assert await _status(client, f"{world.base}/told") == 200
    async with world.serve_behind():
        assert await _status(client, f"{world.base}/told") == 200


async def test_a_client_that_leaves_ends_the_answer_behind(world: World) -> None:
    async with world.serve_behind():
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"data: 1")
        writer.close()
        await until(lambda: world.behind.cancelled == 1)


async def test_a_client_that_leaves_in_the_middle_of_its_body_ends_the_request_behind(world: World) -> None:
    async with world.serve_behind():
        _, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"POST /endless HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhal")
        await until(lambda: len(world.behind.seen) == 1)
        writer.close()
        await until(lambda: world.behind.cancelled == 1)


# --- WebSockets ---------------------------------------------------------------------------------


class Sockets:
    """A WebSocket server of another make."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.sent = 0
        self.closed: list[int | None] = []

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        """Send back what comes."""
        self.requests.append(request)
        answer = web.WebSocketResponse(max_msg_size=0)
        await answer.prepare(request)
        async for message in answer:
            if message.type == aiohttp.WSMsgType.TEXT:
                await answer.send_str(message.data)
            else:
                await answer.send_bytes(message.data)
        self.closed.append(answer.close_code)
        return answer

    async def flood(self, request: web.Request) -> web.WebSocketResponse:
        """Send 100 MB as fast as they are taken."""
        answer = web.WebSocketResponse(compress=False)
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                await answer.send_bytes(bytes(100_000))
                self.sent += 1
        return answer


@pytest.fixture
async def sockets(world: World) -> AsyncIterator[Sockets]:
    sockets = Sockets()
    app = web.Application()
    app.add_routes([web.get("/echo", sockets.echo), web.get("/flood", sockets.flood)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, bind_unix(world.path)).start()
    yield sockets
    await runner.cleanup()


async def test_a_websocket_carries_text_and_megabytes_and_its_close_code(
    world: World, sockets: Sockets, client: aiohttp.ClientSession
) -> None:
    async with client.ws_connect(f"{world.base}/echo?a=1", compress=15, max_msg_size=0) as ws:
        await ws.send_str("hello")
        assert await ws.receive_str(timeout=5) == "hello"
        await ws.send_bytes(BIG)
        assert await ws.receive_bytes(timeout=5) == BIG
        await ws.close(code=4001)
    await until(lambda: sockets.closed == [4001])
    assert sockets.requests[0].path_qs == "/echo?a=1"


async def test_a_websockets_handshake_is_checked_and_cannot_pretend(
    world: World, sockets: Sockets, client: aiohttp.ClientSession
) -> None:
    asked: list[bytes] = []

    def allow(headers: Headers, path: bytes) -> Headers | None:
        asked.append(path)
        return [(b"x-tidegate-principal", b"me")] if (b"x-key", b"right") in headers else None

    world.allow = allow
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect(f"{world.base}/echo?q")
    assert refused.value.status == 403
    pretence = {
        "x-key": "right",
        "x-tidegate-principal": "root",
        "x-forwarded-for": "6.6.6.6",
        "forwarded": "x",
    }
    async with client.ws_connect(f"{world.base}/echo?q", headers=pretence) as ws:
        await ws.send_str("in")
        assert await ws.receive_str(timeout=5) == "in"
    assert asked == [b"/echo?q", b"/echo?q"]
    headers = sockets.requests[0].headers
    assert headers.getall("x-tidegate-principal") == ["me"]
    assert headers.getall("x-forwarded-for") == ["127.0.0.1"]
    assert headers["x-forwarded-proto"] == "http"
    assert headers["host"] == f"127.0.0.1:{world.port}"
    assert "forwarded" not in headers


async def test_a_websocket_to_a_process_that_is_away_is_refused_with_503(
    world: World, client: aiohttp.ClientSession
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect(f"{world.base}/echo")
    assert refused.value.status == 503
    assert refused.value.headers is not None
    assert refused.value.headers["retry-after"] == "1"


async def test_a_client_that_does_not_read_holds_the_process_behind_back(
    world: World, sockets: Sockets
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=1024)
    writer.write(
        b"GET /flood HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    before = 0
    while not before or sockets.sent != before:
        before = sockets.sent
        await asyncio.sleep(0.1)
    assert before < 300
    for _ in range(300):
        await reader.readexactly(100_000)
    await until(lambda: sockets.sent > before)
    writer.close()


async def test_a_client_that_vanishes_is_gone_behind_too(world: World, sockets: Sockets) -> None:
    async with aiohttp.ClientSession() as session:
        ws = await session.ws_connect(f"{world.base}/echo")
        await ws.send_str("here")
        assert await ws.receive_str(timeout=5) == "here"
        with socket.socket(fileno=os.dup(ws.get_extra_info("socket").fileno())) as own:
            own.shutdown(socket.SHUT_RDWR)
        await until(lambda: sockets.closed == [1006])


async def test_a_server_that_ends_ends_its_websockets(tmp_path: Path) -> None:
    world = World(tmp_path)
    sockets = Sockets()
    app = web.Application()
    app.add_routes([web.get("/echo", sockets.echo)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, bind_unix(world.path)).start()
    async with aiohttp.ClientSession() as session:
        ws_class = splice_to(world.path, lambda headers, path: [])
        async with serving(http_config(world, drain_s=30, ws=ws_class), world.door):
            ws = await session.ws_connect(f"{world.base}/echo")
            await ws.send_str("here")
            assert await ws.receive_str(timeout=5) == "here"
        # `serving` returned long before its 30 seconds
        assert (await ws.receive(timeout=5)).type == aiohttp.WSMsgType.CLOSED
    await runner.cleanup()
    await world.upstream.close()
