"""A client's request, its body, and the answer's way to it; also in the words of ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

import httptools
import msgspec

from gateway.errors import BadRequest, TooLarge, TooSlow

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

BODILESS = frozenset({101, 204, 304})
STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}

_LINE = b": ".join
"""Makes a header's pair its line."""
_IDS = b"x-tidegate-call-id: %b\r\nx-tidegate-event-id: %b"
NONE: frozenset[bytes] = frozenset()
JSON_TYPE = (b"content-type", b"application/json")


class Line(Protocol):
    """The connection as a request on it sees it."""

    transport: asyncio.Transport
    write_paused: bool
    """The client does not read: `drain` before more is sent."""

    async def drain(self) -> None:
        """Return when the client has read enough for more to be sent, or is gone."""
        ...

    def resume_reading(self) -> None:
        """Take more from the client."""
        ...

    def stamp(self) -> bytes:
        """Return the header lines every answer has."""
        ...

    def answered(self, client: Client) -> None:
        """Go on to the next request: this one's answer is written."""
        ...

    def linger(self) -> None:
        """Close soon; until then throw away what still comes."""
        ...

    def cut(self) -> None:
        """Close after what was written, without the end the answer still lacks."""
        ...

    def hand_over(self, taker: Taker) -> None:
        """Let another protocol have the connection."""
        ...


class Taker(Protocol):
    """An asyncio protocol that goes on with a connection, in frames."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it."""
        ...

    def shutdown(self) -> None:
        """End what is under way: the process is told to stop."""
        ...


class Head(msgspec.Struct, eq=False):
    """What a request says before its body; one for all requests that say the same, but for the body's length."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: Headers
    """As they came the first time, with names in lower case."""
    modern: bool
    """The client speaks HTTP/1.1: it knows chunks."""
    keep_alive: bool
    known: Any = None
    """What the application found out about it."""


class Client(msgspec.Struct, eq=False):
    """A client's request, and the answer's way to it. One per request, so a struct: setting its fields costs nothing."""

    _connection: Line
    _transport: asyncio.Transport
    head: Head
    headers: Headers
    """As they came, with names in lower case."""
    keep_alive: bool
    complete: bool = False
    """The whole body has arrived."""
    _parts: list[bytes] = []
    _unread: int = 0
    upgrade: bool = False
    """It asks for a WebSocket. Then nothing but its answer, and frames, can follow on this connection."""
    request_id: bytes = b""
    """Goes out as `x-request-id` where the provider gave none of its own."""
    event_id: bytes = b""
    """Goes out as `x-tidegate-event-id`; the request's own id if it names none."""
    extra: Headers = []
    """More headers of ours that go on the answer."""
    instead: frozenset[bytes] = NONE
    """Names of a provider's headers that do not: the client sees ours."""
    started: bool = False
    finished: bool = False
    gone: bool = False
    """The client hung up before the answer was finished."""
    over: bool = False
    """Nothing more can be sent: finished, gone, or broken off."""
    status: int = 0
    task: asyncio.Task[None] | None = None
    _accounted: bool = True
    _end_held: bytes | None = None
    """The end of an answer that is not accounted for yet."""
    _encouraged: bool = False
    """Was told to send its body, if it asked."""
    _news: asyncio.Event | None = None
    _on_gone: Callable[[], None] | None = None
    _chunked: bool = False
    _bodiless: bool = False
    _unsent: bytes = b""
    """Status and headers, until there is something to send with them; also a last part that waits for the end."""
    _missing: int = 0
    """Bytes that an answer lacks whose length was said, while it is not accounted for."""

    # the request's head

    @property
    def method(self) -> str:
        """`GET`, `POST`, ..."""
        return self.head.method

    @property
    def path(self) -> str:
        """The target's path, with what it encodes decoded."""
        return self.head.path

    @property
    def raw_path(self) -> bytes:
        """The target's path as it came."""
        return self.head.raw_path

    @property
    def query(self) -> bytes:
        """What follows the path, without its question mark."""
        return self.head.query

    # the request's body

    def take(self, body: bytes) -> int:
        """Take a part of the body from the connection; return how many bytes nobody has read yet."""
        if self.over:
            return 0
        self._parts.append(body)
        self._unread += len(body)
        if self._news is not None:
            self._news.set()
        return self._unread

    def take_end(self) -> None:
        """Take note that the body is complete."""
        self.complete = True
        if self._news is not None:
            self._news.set()

    def taken(self) -> bytes:
        """Return what came of the body since the last time."""
        parts, self._parts, self._unread = self._parts, [], 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def part(self) -> tuple[bytes, bool]:
        """Return what came of the body, as soon as there is something or all is over; and if it was the last."""
        if not (self.complete or self.over or self.started or self._encouraged):
            self._encourage()
        while not (self._parts or self.complete or self.over):
            self._connection.resume_reading()
            await self._something()
        return self.taken(), self.complete

    async def ended(self) -> None:
        """Return once nothing more can be sent."""
        while not self.over:
            await self._something()

    def _encourage(self) -> None:
        self._encouraged = True
        if any(name == b"expect" and value.lower() == b"100-continue" for name, value in self.headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _something(self) -> None:
        if self._news is None:
            self._news = asyncio.Event()
        self._news.clear()
        await self._news.wait()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()

    def told(self, name: str) -> Any:  # noqa: ANN401 - as asyncio types it
        """Return what the transport knows of the connection: `asyncio.BaseTransport.get_extra_info`."""
        return self._transport.get_extra_info(name)

    # the answer

    def left(self) -> None:
        """Take note that the client hung up."""
        self.gone = self.over = True
        self._tell()
        gone, self._on_gone = self._on_gone, None
        if gone is not None:
            gone()

    def watch(self, on_gone: Callable[[], None] | None) -> None:
        """Call `on_gone` as soon as the client hangs up, or now if it already has."""
        self._on_gone = on_gone
        if self.gone and on_gone is not None:
            on_gone()

    def begin(self, status: int, headers: Headers) -> None:
        """Begin an answer with status and headers, ours added; they go out with the first part of its body."""
        self._unsent = self._head(status, headers)
        if not (self._chunked or self._accounted):  # the last byte is the end
            self._missing = next((int(value) for name, value in headers if name == b"content-length"), 0)

    async def start(self, status: int, headers: Headers) -> None:
        """Do the same."""
        self.begin(status, headers)

    def flush(self) -> None:
        """Send status and headers now, as their body may be long in coming."""
        if self._unsent and not self.gone:
            self._transport.write(self._unsent)
        self._unsent = b""

    async def send(self, chunk: bytes) -> None:
        """Send a part of the body; waits while the client does not read."""
        self.write(chunk)
        if self._connection.write_paused:
            await self._connection.drain()

    async def drain(self) -> None:
        """Wait while the client does not read."""
        await self._connection.drain()

    @property
    def held_up(self) -> bool:
        """Whether to wait before more is sent: the client is gone, or does not read."""
        return self.gone or self._connection.write_paused

    def write(self, chunk: bytes) -> None:
        """Send a part of the body, however much the client has not read yet: see `held_up`."""
        if not chunk or self.gone or self._bodiless:
            return
        if self._chunked:
            chunk = b"%b%x\r\n%b\r\n" % (self._unsent, len(chunk), chunk)
        else:
            size, chunk = len(chunk), self._unsent + chunk
            if self._missing:
                self._missing = max(0, self._missing - size)
                if not self._missing:
                    self._unsent = chunk
                    return
        self._unsent = b""
        self._transport.write(chunk)

    def finish(self, last: bytes = b"") -> None:
        """Send the last part and end the answer."""
        if self._bodiless:
            last = b""
        elif self._chunked:
            last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last) if last else b"0\r\n\r\n"
        self._end(self._unsent + last)

    def answer(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """Send a whole answer; JSON unless `headers` say otherwise."""
        head = self._head(status, headers or [JSON_TYPE], length=len(body))
        self._end(head if self._bodiless else head + body)

    def hold_end(self) -> None:
        """Keep the end of the answer back until `let_go`: whoever has a whole answer finds it in the ledger."""
        self._accounted = False

    def let_go(self) -> None:
        """Send the end of the answer, if there is one, now that it is accounted for."""
        self._accounted = True
        last, self._end_held = self._end_held, None
        if last is not None and not self.gone:
            self._part_with(last)

    def switch(self, headers: Headers, taker: Taker) -> bytes:
        """Agree to the WebSocket and let `taker` have the connection; return what came on it already."""
        self.keep_alive = True
        self._transport.write(self._head(101, headers))
        self._connection.hand_over(taker)
        return self.taken()

    def hang_up(self, *, left: bool) -> None:
        """The WebSocket is over; `left`: the client went without a word."""
        self.gone, self.finished, self.over = left, not left, True
        self._on_gone = None
        self._connection.cut()

    def linger(self) -> None:
        """Let the client finish sending what nobody will read, then close the connection."""
        if not self.gone:
            self._connection.linger()

    def break_off(self) -> None:
        """End the connection so that the client cannot take what it got for a whole answer."""
        self.release()
        if not self.over:
            self.over = True
            self._tell()
            self._connection.cut()

    def release(self) -> None:
        """Stop watching the connection: the next request's client is none of ours."""
        self._on_gone = None

    def _head(self, status: int, headers: Headers, *, length: int | None = None) -> bytes:
        self.started = True
        self.status = status
        self._bodiless = self.head.method == "HEAD" or status in BODILESS
        names = dict(headers)
        if self.instead:
            headers = [pair for pair in headers if pair[0] not in self.instead]
        own = self.request_id
        lines = [*map(_LINE, headers), _IDS % (own, self.event_id or own)]
        if self.extra:
            lines += map(_LINE, self.extra)
        if b"x-request-id" not in names:
            lines.append(b"x-request-id: " + own)
        if b"content-length" not in names and status not in BODILESS:
            if length is not None:
                lines.append(b"content-length: %d" % length)
            elif self._chunks():
                lines.append(b"transfer-encoding: chunked")
        if status == 101:
            lines.append(b"connection: Upgrade\r\nupgrade: websocket")
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        first = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        stamp = b"" if b"date" in names else self._connection.stamp()
        return first + stamp + b"\r\n".join(lines)

    def _chunks(self) -> bool:
        """Choose how the client will know the end of a body of unknown length; True if by chunks."""
        if self._bodiless:
            return False
        self._chunked = self.head.modern
        if not self._chunked:
            self.keep_alive = False  # the body's end is the connection's
        return self._chunked

    def _end(self, last: bytes) -> None:
        self._on_gone = None
        if self.gone:
            return
        self.finished = self.over = True
        if self._accounted:
            self._part_with(last)
        else:
            self._end_held = last

    def _part_with(self, last: bytes) -> None:
        if last:
            self._transport.write(last)
        if self._news is not None:
            self._news.set()
        self._connection.answered(self)


def split_target(url: bytes) -> tuple[str, bytes, bytes]:
    """Return the target's path, the same as it was sent, and the query. Raises for what has no path."""
    raw_path, _, query = url.partition(b"?")
    if raw_path[:1] != b"/" or b"#" in url:
        parsed = httptools.parse_url(url)
        raw_path, query = parsed.path, parsed.query or b""
    path = raw_path.decode("ascii")
    return (unquote(path) if "%" in path else path), raw_path, query


def whole_body(client: Client, *, limit: int) -> bytes:
    """Return the body of a request that is complete, as most are with their headers; raise TooLarge."""
    body = client.taken()
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def read_body(client: Client, headers: dict[bytes, bytes], *, limit: int, silence_s: float) -> bytes:
    """Return the whole body; raise TooLarge, TooSlow, or BadRequest if the client left."""
    if client.complete:
        return whole_body(client, limit=limit)
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(silence_s):
                part, last = await client.part()
        except TimeoutError as error:
            raise TooSlow("the request's body stopped arriving (server.body_timeout_s)") from error
        if client.over and not last:
            raise BadRequest("the client left before its request was complete", code="client_left")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if last:
            return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over {limit >> 20} MB (server.max_body_mb)", param="body")


class Asgi:
    """The same request and answer for code that speaks ASGI."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._read = False

    def scope(self) -> Scope:
        """Return what ASGI calls the connection's scope."""
        client = self._client
        peer = client.told("peername")
        return {
            "type": "http",
            "method": client.method,
            "scheme": "https" if client.told("sslcontext") else "http",
            "path": client.path,
            "raw_path": client.raw_path,
            "query_string": client.query,
            "headers": client.headers,
            "client": (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None,
        }

    async def receive(self) -> Message:
        """Return the next part of the body, then wait for the end."""
        client = self._client
        if not self._read:
            part, self._read = await client.part()
            if self._read or not client.over:
                return {"type": "http.request", "body": part, "more_body": not self._read}
        await client.ended()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the answer's head, or a part of its body."""
        client = self._client
        if message["type"] == "http.response.start":
            await client.start(message["status"], list(message["headers"]))
            client.flush()
        elif message.get("more_body", False):
            await client.send(message.get("body", b""))
        else:
            client.finish(message.get("body", b""))
