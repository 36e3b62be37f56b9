"""What lives at which path of the public port.

Hot paths become an `Exchange` and go through the pipeline in this process; a few small answers are
given here; every other path is relayed to the process that owns it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from gateway.asgi import Client, Headers, Message, Receive, Scope, Send, read_body
from gateway.clock import Clock
from gateway.errors import BadRequest, GatewayError, Unavailable
from gateway.exchange import Exchange
from gateway.ids import uuid7
from gateway.pipeline import Pipeline, refuse
from gateway.principal import Principal
from gateway.stages.auth import Auth
from gateway.stages.identity import read_identity
from gateway.wire.base import Wire

logger = logging.getLogger(__name__)

Local = Callable[[], Awaitable[tuple[int, bytes]]]
"""A small answer given in the worker: status and JSON."""

EXPOSED = b"x-request-id, x-tidegate-call-id, x-tidegate-event-id, retry-after"


class ColdPath(Protocol):
    """Passes a request on to another process; raises Unavailable while nothing was sent."""

    async def pass_on(self, scope: Scope, receive: Receive, send: Send, *, extra_headers: Headers) -> None:
        """Relay request and answer."""
        ...


class App:
    """The ASGI application of a worker."""

    def __init__(
        self,
        *,
        auth: Auth,
        pipeline: Pipeline,
        wires: Mapping[str, Wire],
        default_wire: Wire,
        public: Mapping[str, Local],
        protected: Mapping[str, Local],
        cold: ColdPath,
        max_body_bytes: int,
        body_timeout_s: float,
        clock: Clock,
    ) -> None:
        self._auth = auth
        self._pipeline = pipeline
        self._wires = wires
        """Hot `POST` paths."""
        self._default_wire = default_wire
        """Renders the errors of paths that have no wire of their own."""
        self._public = public
        """`GET` paths that anybody may ask."""
        self._protected = protected
        self._cold = cold
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call_id = uuid7()
        request = _Request(
            call_id=call_id,
            started_at_us=self._clock.now_us(),
            started_ns=self._clock.monotonic_ns(),
            scope=scope,
            receive=receive,
            headers=dict(scope["headers"]),
            client=Client(send, scope.get("connection"), request_id=call_id.encode()),
        )
        client = request.client
        client.extra = [(b"x-tidegate-call-id", client.request_id)]
        wire = self._wires.get(scope["path"])
        try:
            if (origin := self._auth.admit(request.headers)) and await _cors(request, origin):
                return
            if wire is not None:
                await self._hot(request, wire)
            else:
                await self._elsewhere(request, send)
        except GatewayError as error:
            await refuse(client, wire or self._default_wire, error)
        except asyncio.CancelledError:
            # The drain ran out. Not raised on: uvicorn would log a trace for each stream still open.
            await refuse(client, wire or self._default_wire, Unavailable("the gateway is stopping"))
        except Exception:  # the top of the stack: a bug becomes a 500 and a log line
            logger.exception("request_failed", extra={"call_id": request.call_id})
            bug = GatewayError("the gateway failed to answer; its log has the call id")
            await refuse(client, wire or self._default_wire, bug)

    async def _hot(self, request: _Request, wire: Wire) -> None:
        if request.scope["method"] != "POST":
            error = BadRequest(
                f"{request.scope['path']} takes POST, not {request.scope['method']}",
                code="method_not_allowed",
            )
            error.status = 405
            raise error
        headers = request.headers
        principal, secret = self._auth.identify(headers)
        identity = read_identity(headers, principal, uuid7)
        request.client.extra.append((b"x-tidegate-event-id", _header_value(identity.event_id)))
        body = await read_body(
            request.receive,
            headers,
            limit=self._max_body_bytes,
            silence_s=self._body_timeout_s,
        )
        await self._pipeline.run(
            Exchange(
                call_id=request.call_id,
                wire=wire,
                headers=headers,
                body=body,
                client=request.client,
                started_at_us=request.started_at_us,
                started_ns=request.started_ns,
                principal=principal,
                client_secret=secret,
                identity=identity,
            )
        )

    async def _elsewhere(self, request: _Request, send: Send) -> None:
        path, method, client = request.scope["path"], request.scope["method"], request.client
        read = method in {"GET", "HEAD"}
        if read and (local := self._public.get(path)):
            await client.answer(*await local())
            return
        principal, _ = self._auth.identify(request.headers)
        if read and (local := self._protected.get(path)):
            await client.answer(*await local())
            return
        await self._cold.pass_on(
            request.scope,
            request.receive,
            _noting_start(send, client),
            extra_headers=[principal_header(principal)],
        )


class _Request(msgspec.Struct):
    """What came in, before it is known to be a call."""

    call_id: str
    started_at_us: int
    started_ns: int
    scope: Scope
    receive: Receive
    headers: dict[bytes, bytes]
    client: Client


async def _cors(request: _Request, origin: bytes) -> bool:
    """Let a configured origin read the answer; True if this was its preflight and is answered."""
    client, headers = request.client, request.headers
    client.extra += [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", EXPOSED),
        (b"vary", b"origin"),
    ]
    if request.scope["method"] != "OPTIONS" or b"access-control-request-method" not in headers:
        return False
    await client.answer(
        204,
        b"",
        [
            (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"*")),
            (b"access-control-max-age", b"600"),
        ],
    )
    return True


def principal_header(principal: Principal) -> tuple[bytes, bytes]:
    """Return the header by which a worker tells the other processes who is asking."""
    return (b"x-tidegate-principal", msgspec.json.encode(principal))


def _noting_start(send: Send, client: Client) -> Send:
    """Let the client know that an answer has begun, so that an error afterwards cuts it."""

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            client.started = True
            headers: Headers = list(message["headers"])
            message["headers"] = headers + client.ours(headers)
        await send(message)

    return noting


def _header_value(text: str) -> bytes:
    """Return an id as a header value: as it is if it is ASCII, else percent-encoded UTF-8."""
    if text.isascii():
        return text.encode()
    return b"".join(b"%c" % byte if byte < 0x80 else b"%%%02X" % byte for byte in text.encode())
