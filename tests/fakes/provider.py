"""A provider on a real socket that does what a script says, and a proxy in front of it.

    async with Provider(lambda request: chat("hello")) as provider:
        ...  # ask provider.base_url; look at provider.requests

    with Provider(chat("hello")).in_thread() as provider:
        ...  # the same for a test without a loop, or whose gateway is another process

A script is one answer; Provider takes one script for every request, a list to be used up in turn (the
last one stays), or a function from the request to a script.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self

import msgspec

from gateway.tasks import spawn

Pieces = Sequence[bytes | float]


class Received(msgspec.Struct, kw_only=True):
    """A request as it arrived. Header names are lower-case; of a repeated header the last value counts."""

    method: str
    path: str
    headers: dict[str, str]
    header_list: list[tuple[str, str]]
    body: bytes
    connection: int
    """Number of the connection it came on, from 1."""

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Script(msgspec.Struct, kw_only=True, frozen=True):
    """One answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    body: bytes | tuple[bytes | float, ...] = b""
    """Bytes, or pieces written one after the other; a float is a pause in seconds."""
    framing: Literal["length", "chunked", "close", "none"] = "length"
    """`none`: the headers say nothing and the connection stays open (204, 304, HEAD)."""
    gzip: bool = False
    delay_s: float = 0
    """Before the first byte."""
    dribble: int = 0
    """Write so many bytes at once; 0: each piece whole."""
    cut_at: int | None = None
    """End the connection after so many bytes of the whole answer, headers included."""
    cut: Literal["fin", "rst"] = "fin"
    stall_at: int | None = None
    """Fall silent after so many bytes, until the client goes away."""
    close: bool = False
    """Say `connection: close` and do it."""
    hang_up: bool = False
    """Close without having said so, once the answer is out."""
    version: str = "HTTP/1.1"
    raw: bytes | None = None
    """Sent as it is instead of all of the above but delay, dribble, cut, stall and hang_up."""
    before_body: bool = False
    """Answer as soon as the request's headers are there; its body is not read, the connection closed."""

    def wire(self) -> list[bytes | float]:
        """Return the answer's bytes and pauses."""
        if self.raw is not None:
            return [self.raw]
        pieces = [self.body] if isinstance(self.body, bytes) else list(self.body)
        headers = list(self.headers)
        if self.gzip:
            pieces = [gzip.compress(b"".join(piece for piece in pieces if isinstance(piece, bytes)))]
            headers.append(("content-encoding", "gzip"))
        if self.framing == "length":
            size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
            headers.append(("content-length", str(size)))
        if self.framing == "chunked":
            headers.append(("transfer-encoding", "chunked"))
            pieces = [
                b"%x\r\n%b\r\n" % (len(piece), piece) if isinstance(piece, bytes) else piece
                for piece in pieces
                if piece != b""
            ]
            pieces.append(b"0\r\n\r\n")
        if self.close:
            headers.append(("connection", "close"))
        lines = [f"{self.version} {self.status} Whatever", *(f"{name}: {value}" for name, value in headers)]
        first = "\r\n".join([*lines, "", ""]).encode()
        if pieces and isinstance(pieces[0], bytes):
            return [first + pieces[0], *pieces[1:]]
        return [first, *pieces]


Scripts = Script | Sequence[Script] | Callable[[Received], Script]


def chat(
    text: str = "Hello!", *, model: str = "gpt-4o-mini", prompt_tokens: int = 9, tokens: int = 3
) -> Script:
    """An OpenAI chat completion."""
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": _usage(prompt_tokens, tokens),
    }
    return Script(body=msgspec.json.encode(answer))


def chat_stream(
    words: Sequence[str] = ("Hel", "lo", "!"),
    *,
    model: str = "gpt-4o-mini",
    usage: bool = True,
    done: bool = True,
    pause_s: float = 0,
) -> Script:
    """An OpenAI chat completion as a stream, with usage at its end."""
    changes: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    changes += [({"content": word}, None) for word in words]
    changes.append(({}, "stop"))
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in changes
    ]
    if usage:
        chunks.append({"choices": [], "usage": _usage(9, len(words))})
    same = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": model}
    events = [b"data: " + msgspec.json.encode(same | chunk) + b"\n\n" for chunk in chunks]
    if done:
        events.append(b"data: [DONE]\n\n")
    return sse(events, pause_s=pause_s)


def sse(events: Sequence[bytes], *, pause_s: float = 0) -> Script:
    """Any server-sent events, one chunk each."""
    pieces: list[bytes | float] = []
    for event in events:
        if pause_s and pieces:
            pieces.append(pause_s)
        pieces.append(event)
    return Script(headers=(("content-type", "text/event-stream"),), body=tuple(pieces), framing="chunked")


def refusal(
    status: int,
    message: str = "No.",
    *,
    code: str | None = None,
    kind: str = "invalid_request_error",
    headers: tuple[tuple[str, str], ...] = (),
) -> Script:
    """An error in OpenAI's shape."""
    error = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Script(
        status=status,
        headers=(("content-type", "application/json"), *headers),
        body=msgspec.json.encode(error),
    )


def openai(request: Received) -> Script:
    """Answer chat requests as they ask: as a stream or whole."""
    asked = request.json() if request.body else {}
    return chat_stream() if asked.get("stream") else chat()


class Provider:
    """A scripted HTTP/1.1 server on a free port of 127.0.0.1, or on a unix socket at `path`."""

    def __init__(
        self, scripts: Scripts = openai, *, tls: ssl.SSLContext | None = None, path: str = ""
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        """Made so far."""
        self.hung_up = 0
        """Connections the client ended while an answer was under way."""
        self.port = 0
        self.path = path
        self._scripts = scripts
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """Scheme, host and port, no slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        if self.path:
            self._server = await asyncio.start_unix_server(self._accept, self.path, ssl=self._tls)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serve from a thread with a loop of its own."""
        ready, stop = threading.Event(), asyncio.Event()
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            async with self:
                loops.append(asyncio.get_running_loop())
                ready.set()
                await stop.wait()

        thread = threading.Thread(target=asyncio.run, args=(serve(),), name="provider")
        thread.start()
        try:
            if not ready.wait(10):
                raise TimeoutError("the provider did not start")
            yield self
        finally:
            if loops:
                loops[0].call_soon_threadsafe(stop.set)
            thread.join(10)

    def _script(self, request: Received) -> Script:
        scripts = self._scripts
        if isinstance(scripts, Script):
            return scripts
        if callable(scripts):
            return scripts(request)
        return scripts[min(len(self.requests), len(scripts)) - 1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = spawn(self._serve(reader, writer, self.connections), name="provider")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            while (request := await _request(reader, number, self._early)) is not None:
                self.requests.append(request)
                if not await self._answer(self._script(request), reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            self.hung_up += 1
        finally:
            writer.transport.abort()

    def _early(self, request: Received) -> bool:
        """Whether the script does not want to see the body."""
        if isinstance(self._scripts, Script):
            return self._scripts.before_body
        return False

    async def _answer(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Play the script; say whether the connection may go on."""
        await asyncio.sleep(script.delay_s)
        sent = 0
        for piece in _split(script.wire(), script.dribble):
            if isinstance(piece, float | int):
                await asyncio.sleep(piece)
                continue
            stops = [at for at in (script.cut_at, script.stall_at) if at is not None]
            part = piece[: max(0, min(stops) - sent)] if stops else piece
            writer.write(part)
            await writer.drain()
            if script.dribble:
                await asyncio.sleep(0)
            sent += len(part)
            if script.stall_at is not None and sent >= script.stall_at:
                await reader.read()
                self.hung_up += 1
                return False
            if script.cut_at is not None and sent >= script.cut_at:
                await _end(writer, script.cut)
                return False
        if script.before_body:
            writer.write_eof()
            await reader.read()
            return False
        if script.close or script.hang_up or script.framing == "close":
            await _end(writer, "fin")
            return False
        return True


async def _request(
    reader: asyncio.StreamReader, number: int, early: Callable[[Received], bool]
) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = [line.split(": ", 1) for line in lines]
    header_list = [(name.lower(), value) for name, value in pairs]
    request = Received(
        method=method,
        path=path,
        headers=dict(header_list),
        header_list=header_list,
        body=b"",
        connection=number,
    )
    if not early(request):
        request.body = await _body(reader, request.headers)
    return request


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def _split(pieces: Pieces, size: int) -> Iterator[bytes | float]:
    for piece in pieces:
        if size and isinstance(piece, bytes):
            yield from (piece[start : start + size] for start in range(0, len(piece), size))
        else:
            yield piece


async def _end(writer: asyncio.StreamWriter, how: Literal["fin", "rst"]) -> None:
    if how == "rst":
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
        await writer.wait_closed()


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class Proxy:
    """An HTTP proxy: CONNECT, and absolute-form requests for plain http. Wants Basic auth if given a login."""

    def __init__(self, login: str = "", *, refuse: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        """First lines of the requests, allowed or not."""
        self.port = 0
        self._wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._refuse = refuse
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, userinfo: str = "") -> str:
        """What goes into HTTPS_PROXY."""
        login = f"{userinfo}@" if userinfo else ""
        return f"{'https' if self._tls else 'http'}://{login}127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = spawn(self._serve(reader, writer), name="proxy")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            self.asked.append(first)
            refused = self._refusal(lines)
            if refused:
                writer.write(f"HTTP/1.1 {refused} No\r\ncontent-length: 0\r\n\r\n".encode())
                await _end(writer, "fin")
                return
            await self._forward(first, lines, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def _refusal(self, lines: list[str]) -> int:
        if self._refuse:
            return self._refuse
        given = [line.partition(": ")[2] for line in lines if line.lower().startswith("proxy-authorization:")]
        return 407 if self._wanted and given != [self._wanted] else 0

    async def _forward(
        self, first: str, lines: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, target, version = first.split(" ")
        authority = target if method == "CONNECT" else target.removeprefix("http://").partition("/")[0]
        host, _, port = authority.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = target.removeprefix(f"http://{authority}")
            kept = [line for line in lines if not line.lower().startswith("proxy-")]
            far_writer.write("\r\n".join([f"{method} {path} {version}", *kept]).encode("latin-1"))
        try:
            await _first_of(_pipe(reader, far_writer), _pipe(far_reader, writer))
        finally:
            far_writer.transport.abort()


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    tasks = [spawn(work, name="pipe") for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(64 * 1024):
        writer.write(data)
        await writer.drain()
