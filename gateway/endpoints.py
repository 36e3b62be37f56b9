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

from gateway import sign_in_pages, surfaces
from gateway.access import check_path, need
from gateway.asgi import Asgi, Client, Headers, Receive, Scope, Send, read_body, whole_body
from gateway.clock import Clock
from gateway.errors import GatewayError, MethodNotAllowed, Unauthenticated, Unavailable, UnknownUrl
from gateway.exchange import Exchange, Identity
from gateway.ids import uuid7
from gateway.keyring import Hold
from gateway.pipeline import Pipeline, refuse
from gateway.principal import Principal
from gateway.providers.upgraded import key_offered
from gateway.route_rules import rule_for
from gateway.sign_in import SignIn, opens_page
from gateway.stages.auth import Auth
from gateway.stages.identity import header_value, read_identity
from gateway.surfaces import Surface
from gateway.upload import Upload, upload_of
from gateway.wire.base import Wire

logger = logging.getLogger(__name__)

Local = Callable[[], Awaitable[tuple[int, bytes]]]
"""A small answer given in the worker: status and JSON."""

Asked = Callable[[Wire, Principal], Awaitable[tuple[int, bytes]]]
"""The same, in the format of who asks, and for that one."""

AskedOne = Callable[[Wire, Principal, str], Awaitable[tuple[int, bytes]]]

READING = frozenset(("GET", "HEAD"))

KEYS_STALE = {"keys_stale": "true"}
"""Property of calls with a key of which nothing has been heard for long."""

EXPOSED = (
    b"x-request-id, x-tidegate-call-id, x-tidegate-event-id, x-tidegate-memory-status, "
    b"x-tidegate-memory-ids, x-tidegate-memory-tokens, x-tidegate-memory-latency-ms, x-tidegate-warning, "
    b"x-tidegate-max-tokens, x-tidegate-budget-warning, "
    b"x-tidegate-dropped-params, x-tidegate-variant, x-tidegate-cache, age, x-should-retry, retry-after, "
    b"retry-after-ms, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)


class Met(msgspec.Struct, frozen=True):
    """What a head asks for, and who that is: found once for all calls with the same head."""

    surface: Surface
    principal: Principal
    secret: str
    """The key the client sent, in open mode."""
    identity: Identity
    """Names no event if the head names none: it is the call's own id then."""
    event_id: bytes
    """The same as a header."""
    hold: Hold
    """For how long it counts."""


class ColdPath(Protocol):
    """Passes a request on to another process; raises Unavailable while nothing was sent."""

    async def pass_on(self, scope: Scope, receive: Receive, send: Send, *, extra_headers: Headers) -> None:
        """Relay request and answer."""
        ...


class App:
    """A worker's application: answers one request after another, each in a task of its own."""

    def __init__(
        self,
        *,
        auth: Auth,
        sign_in: SignIn,
        pipeline: Pipeline,
        public: Mapping[str, Local],
        protected: Mapping[str, Asked],
        one_of: Mapping[str, AskedOne],
        cold: Mapping[str, ColdPath],
        refused: Callable[[str], None],
        max_body_bytes: int,
        body_timeout_s: float,
        clock: Clock,
    ) -> None:
        self._auth = auth
        self._sign_in = sign_in
        self._pipeline = pipeline
        self._public = public
        """`GET` paths that anybody may ask."""
        self._protected = protected
        self._one_of = one_of
        """`GET` paths that end in the name of something; by what stands before it."""
        self._cold = cold
        """By the path they own with all below it, the first that fits; `""` owns everything."""
        self._refused = refused
        """Counts requests that never became a call, by the code of their error."""
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._clock = clock

    async def __call__(self, client: Client) -> None:
        """Answer one request."""
        call_id = uuid7()
        client.request_id = call_id.encode()
        headers = dict(client.headers)
        met: Met | None = client.head.known
        if met is not None and not self._auth.holds(met.hold):
            met = None
        surface = met.surface if met is not None else _surface(client, headers)
        wire = surface.wire if surface is not None else surfaces.default(headers, client.path)
        try:
            if met is None:
                met = await self._meet(client, headers, surface, wire)
            if met is not None:
                silence_s, upload = self._body_timeout_s, None
                if met.surface.place is not None:
                    upload = upload_of(client, headers, silence_s=silence_s)
                if upload is not None or client.upgrade:
                    body = b""
                elif client.complete:
                    body = whole_body(client, limit=self._max_body_bytes)
                else:
                    body = await read_body(client, headers, limit=self._max_body_bytes, silence_s=silence_s)
                await self._pipeline.run(self._exchange(call_id, client, headers, met, upload, body))
        except GatewayError as error:
            self._refused(error.code)
            await refuse(client, wire, error)
        except asyncio.CancelledError:
            # The drain ran out. Not raised on: uvicorn would log a trace for each stream still open.
            await refuse(client, wire, Unavailable("the gateway is stopping"))
        except Exception:  # the top of the stack: a bug becomes a 500 and a log line
            logger.exception("request_failed", extra={"call_id": call_id})
            bug = GatewayError("the gateway failed to answer; its log has the call id")
            await refuse(client, wire, bug)

    async def _meet(
        self, client: Client, headers: dict[bytes, bytes], surface: Surface | None, wire: Wire
    ) -> Met | None:
        """Find out who asks, and return what for; None if it is no call, and was answered."""
        origin = self._auth.admit(headers)
        if origin and await _cors(client, headers, origin):
            return None
        if surface is None:
            await self._elsewhere(client, headers, wire)
            return None
        if client.method != surface.method:
            raise MethodNotAllowed(f"{client.path} takes POST, not {client.method}")
        principal, secret = self._auth.identify(headers)
        need(principal, "call")
        identity = read_identity(headers, principal)
        if principal.stale:
            identity = msgspec.structs.replace(identity, properties={**identity.properties, **KEYS_STALE})
        event_id = header_value(identity.event_id)
        met = Met(surface, principal, secret, identity, event_id, self._auth.hold(principal))
        if not origin and headers == dict(client.headers):  # neither side needs headers that each call adds
            client.head.known = met
        return met

    def _exchange(
        self,
        call_id: str,
        client: Client,
        headers: dict[bytes, bytes],
        met: Met,
        upload: Upload | None,
        body: bytes,
    ) -> Exchange:
        """Return the call."""
        surface, identity = met.surface, met.identity
        client.event_id = met.event_id
        if identity.event_id_made:
            identity = msgspec.structs.replace(identity, event_id=call_id)
        return Exchange(
            call_id=call_id,
            wire=surface.wire,
            headers=headers,
            body=body,
            named=surface.model,
            query=client.head.query,
            place=surface.place,
            upload=upload,
            client=client,
            started_at_us=self._clock.now_us(),
            started_ns=self._clock.monotonic_ns(),
            principal=met.principal,
            client_secret=met.secret,
            identity=identity,
        )

    async def _elsewhere(self, client: Client, headers: dict[bytes, bytes], wire: Wire) -> None:
        path = client.path
        if local := self._public.get(path):
            _for_reading(client)
            client.answer(*await local())
            return
        if await self._sign_in.answer(client, headers):
            return
        try:
            principal = self._sign_in.identify(headers)
        except Unauthenticated:
            if await self._sign_in.invite(client, headers):
                return
            raise
        self._sign_in.check_forgery(client, headers, principal)
        if asked := self._protected.get(path):
            _for_reading(client)
            client.answer(*await asked(wire, principal))
            return
        for prefix, one in self._one_of.items():
            if client.method in READING and path.startswith(prefix):
                client.answer(*await one(wire, principal, path[len(prefix) :]))
                return
        if rule_for(client.method, path) is None and (before := surfaces.too_much(client.method, path)):
            raise _misplaced(path, before)
        check_path(principal, client.method, path)
        if opens_page(client, headers) and not path.startswith("/api/") and rule_for("GET", path) is None:
            client.answer(404, sign_in_pages.unknown(path), sign_in_pages.HEADERS)
            return
        await self._pass_on(client, principal)

    async def _pass_on(self, client: Client, principal: Principal) -> None:
        asgi, path = Asgi(client), client.path
        extra = [principal_header(principal)]
        cold = next(cold for root, cold in self._cold.items() if path == root or path.startswith(f"{root}/"))
        await cold.pass_on(asgi.scope(), asgi.receive, asgi.send, extra_headers=extra)


def _misplaced(path: str, before: str) -> UnknownUrl:
    """Return the refusal of a call whose base URL brings `before` too much."""
    rest = path.removeprefix(before)
    told = f"nothing lives at {path}, but {rest} does: the client's base URL has {before} too much"
    if rest.startswith("/v1/"):
        told += "; a client that adds /v1 itself wants http://HOST:PORT, any other one http://HOST:PORT/v1"
    return UnknownUrl(told)


def _for_reading(client: Client) -> None:
    """Raise MethodNotAllowed unless the client only wants to read."""
    if client.method not in READING:
        raise MethodNotAllowed(f"{client.path} takes GET, not {client.method}")


def _surface(client: Client, headers: dict[bytes, bytes]) -> Surface | None:
    """Return what is asked for, if it is a call; a key in the query, or among a WebSocket's protocols, joins the headers."""
    if client.query and (key := surfaces.key_in(client.path, client.query)):
        headers.setdefault(b"x-goog-api-key", key)
    if client.upgrade:
        if key := key_offered(headers):
            headers.setdefault(b"authorization", b"Bearer " + key)
        return surfaces.find_socket(client.raw_path, client.query)
    surface = surfaces.find(client.path, client.query) or surfaces.find_kept(client.method, client.path)
    if surface is None or client.method != surface.method:
        surface = surfaces.find_passed(client.method, client.raw_path, headers) or surface
    return surface


async def _cors(client: Client, headers: dict[bytes, bytes], origin: bytes) -> bool:
    """Let a configured origin read the answer; True if this was its preflight and is answered."""
    client.extra += [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", EXPOSED),
        (b"vary", b"origin"),
    ]
    if client.method != "OPTIONS" or b"access-control-request-method" not in headers:
        return False
    client.answer(
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
    if principal.models or principal.surfaces:  # were seen to here, and may be long
        principal = msgspec.structs.replace(principal, models=(), surfaces=())
    return (b"x-tidegate-principal", msgspec.json.encode(principal))
