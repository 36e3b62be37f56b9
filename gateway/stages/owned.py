"""Keeps apart what a provider keeps for the whole installation: files, batches, stores of one project are no other's.

It holds where the installation's own key is used. Who owns a thing is written down before its id can be known. Keys
with the scope `owner` see everything, those with `admin` all of their project; others what was made for their
project and environment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from collections.abc import Set as AbstractSet
from functools import partial

import msgspec

from gateway.access import need
from gateway.errors import BadRequest, Forbidden, Unavailable, UnknownResponse
from gateway.exchange import Exchange
from gateway.link import CallFailed, FrameTooLarge, LinkClient, LinkDown
from gateway.owned_ids import CLAIM, DROP, FIND, PUT, Owned, Question, Thing
from gateway.routing.deployments import Deployment, Plan
from gateway.wire.base import Screen
from gateway.wire.batch_output import BatchObject, BatchOutput
from gateway.wire.owned_things import (
    LONGEST_NAMED,
    Target,
    containers_in,
    googles_ids_in,
    ids_in,
    listed,
    made_in,
    may_name,
    runs_code,
    target_of,
)
from telemetry.records import SETTLES

HUB_S = 2.0
"""As long as an answer waits until it is written down whose it is, or a question for the hub's reply."""
PART_BYTES = 64 * 1024
"""Of a larger body parts are looked through, and between them it is the turn of others."""
MOST_NAMED = 1000
"""Ids in one body."""
GOOGLES = "gemini.passthrough"
"""Spoken by providers that keep things as Gemini does."""
NOT_KEPT = (b"x-tidegate-warning", b"owner_not_kept")
"""On an answer whose thing nobody will be known to own."""
BATCHES = frozenset({"batches", "messages/batches"})
_TELLING = BATCHES | {"fine_tuning/jobs"}
"""Things whose own answers tell the ids of what comes of them."""
_NAMING = _TELLING | {"vector_stores", "assistants", "threads", "conversations", "evals", "containers"}
"""Things that are made of others, which a body of JSON names."""
_RESPONSES = "openai.responses"
"""Answers in this format tell of containers that were made for them."""
_AWAY = (LinkDown, CallFailed, FrameTooLarge, TimeoutError)

logger = logging.getLogger(__name__)


class OwnedStage:
    """Looks at what requests name that the provider keeps; one object of it serves all calls."""

    def __init__(self, link: LinkClient) -> None:
        self._link = link

    def concerns(self, exchange: Exchange) -> bool:
        """Say whether `admit` has to look at a call: it might be about what a provider keeps, or is too large to tell."""
        body = exchange.body
        # nothing is sent for a response that a provider keeps
        return exchange.place is not None or not body or len(body) > PART_BYTES or may_name(body)

    async def admit(self, exchange: Exchange, plan: Plan) -> None:
        """Let a request through if all it names is its sender's.

        Raises UnknownResponse, Forbidden, Unavailable, BadRequest.
        """
        body = exchange.body
        if exchange.place is None and len(body) > PART_BYTES and not await _says(body, may_name):
            return
        providers = {way.provider.name: way.provider for way in _ways(plan) if not way.borrowed}
        if not providers:
            return
        target = target_of(exchange.place) if exchange.place is not None else None
        if target is not None:
            _check_key(exchange, target)
        known: dict[str, Owned] = {}
        named: set[str] = set()
        for name, provider in providers.items():
            asked = [target.id] if target is not None and target.id else []
            if "owner" not in exchange.principal.scopes:
                asked += await _named(body, googles_ids_in if GOOGLES in provider.speaks else ids_in)
            named.update(asked)
            if asked:
                found = await self._find(exchange, name, asked)
                _check(exchange, found)
                known |= found
        if target is not None:
            _check_known(exchange, target, known)
            self._follow(exchange, next(iter(providers)), target, known.get(target.id))
        elif exchange.wire.surface == _RESPONSES and (not body or await _says(body, runs_code)):
            exchange.screen = lambda stream: _Containers(partial(self._take, exchange, providers), named)  # noqa: ARG005

    def _follow(self, exchange: Exchange, provider: str, target: Target, owned: Owned | None) -> None:
        """Arrange for what must be done with the answer before its client sees it."""
        batch = _output_of(target, owned)
        if batch and b"range" not in exchange.headers:
            exchange.counting = BatchOutput(batch)
            exchange.on_id = partial(self._claim, provider, owned)
        elif target.act == "list":
            if "owner" not in exchange.principal.scopes:
                _watch(exchange, partial(self._narrow, exchange, provider, target.collection))
        elif target.act == "delete":
            _watch(exchange, partial(self._drop, Thing(provider=provider, id=target.id)))
        elif target.act == "make" or (target.collection in _TELLING and not target.below.endswith("results")):
            _watch(exchange, partial(self._put, exchange, provider, target, owned))
            if owned is not None and target.id.startswith("batches/") and not target.below:  # Gemini's
                exchange.counting = BatchObject(target.id)
                exchange.on_id = partial(self._claim, provider, owned)

    async def _find(self, exchange: Exchange, provider: str, ids: list[str]) -> dict[str, Owned]:
        try:
            found = await self._link.call(FIND, Question(provider=provider, ids=ids), timeout_s=HUB_S)
        except _AWAY as error:
            raise Unavailable("it is not known now whose this is", retry_after_s=1) from error
        if exchange.client.gone:
            raise BadRequest("the client left before its request was sent", code="client_left")
        return {one.thing.id: one for one in msgspec.convert(found, list[Owned])}

    # called with an answer before its client is sent it

    async def _put(
        self, exchange: Exchange, provider: str, target: Target, owned: Owned | None, answer: bytes
    ) -> bytes:
        """Write down whose the things are that an answer tells of; the answer goes on if that fails."""
        principal, (own, *others) = exchange.principal, made_in(answer) or [""]
        batch = target.collection in BATCHES
        of = owned or Owned(
            thing=Thing(provider=provider, id=own),
            project=principal.project,
            environment=exchange.identity.environment,
            key=principal.key_id,
            call_id=exchange.call_id if batch else "",
        )
        made = [of] if own and owned is None else []
        outputs = batch and own
        made += [
            msgspec.structs.replace(of, thing=Thing(provider=provider, id=one), batch=outputs or "")
            for one in others
        ]
        if made and not await self._tell(PUT, made):
            exchange.client.extra.append(NOT_KEPT)
        return answer

    async def _take(self, exchange: Exchange, providers: Container[str], containers: list[str]) -> None:
        """Write down that the caller's code ran in these; what was somebody's already stays theirs."""
        provider, principal = exchange.deployment.partition("/")[0], exchange.principal
        made = [
            Owned(
                thing=Thing(provider=provider, id=one),
                project=principal.project,
                environment=exchange.identity.environment,
                key=principal.key_id,
            )
            for one in containers
        ]
        if provider in providers and not await self._tell(PUT, made):
            exchange.client.extra.append(NOT_KEPT)

    async def _drop(self, thing: Thing, answer: bytes) -> bytes:
        await self._tell(DROP, thing)
        return answer

    async def _narrow(self, exchange: Exchange, provider: str, collection: str, answer: bytes) -> bytes:
        """Return a list with what is its reader's; each thing keeps its bytes."""
        members, name, things = listed(answer, collection)
        if not things:
            return answer
        known = await self._find(exchange, provider, [one for one, _ in things if one])
        kept = [raw for one, raw in things if one in known and _is_theirs(exchange, known[one])]
        if len(kept) == len(things):
            return answer
        return msgspec.json.encode({**members, name: kept})

    async def _claim(self, provider: str, owned: Owned | None, exchange: Exchange, batch: str) -> None:
        """Count what a batch used if this is the first time that its output is seen whole."""
        counting = exchange.counting
        assert counting is not None, "it was asked for with one"
        counting.counted = await self._tell(CLAIM, Thing(provider=provider, id=batch))
        call = exchange.call
        if counting.counted and call is not None and owned is not None:
            said = {"batch": batch, SETTLES: owned.call_id}
            exchange.call = msgspec.structs.replace(call, properties={**call.properties, **said})

    async def _tell(self, method: str, params: object) -> bool:
        try:
            return await self._link.call(method, params, timeout_s=HUB_S) is True
        except _AWAY as error:
            logger.warning("owners_away", extra={"method": method, "why": str(error)})
            return False


class _Watch:
    """A `Screen`: has a whole document looked at before any of it is sent; a stream of events passes."""

    def __init__(self, look: Callable[[bytes], Awaitable[bytes]], *, stream: bool) -> None:
        self._look = look
        self._stream = stream

    @property
    def clear(self) -> bool:
        """Nothing is held back."""
        return True

    async def feed(self, out: bytes, *, last: bool) -> bytes:
        """Return what the client is sent of it."""
        return await self._look(out) if last and not self._stream else out


class _Containers:
    """A `Screen`: takes note of containers before the client knows of them."""

    clear = True

    def __init__(self, take: Callable[[list[str]], Awaitable[None]], known: AbstractSet[str]) -> None:
        self._take = take
        self._known = set(known)
        """Those that the request names: it may be allowed to use what nobody is known to own."""

    async def feed(self, out: bytes, *, last: bool) -> bytes:  # noqa: ARG002 - events come whole
        """Return what came, once it is written down whose the containers are of which it tells."""
        if new := [one for one in containers_in(out) if one not in self._known]:
            self._known.update(new)
            await self._take(new)
        return out


def _watch(exchange: Exchange, look: Callable[[bytes], Awaitable[bytes]]) -> None:
    def screen(stream: bool) -> Screen:  # noqa: FBT001 - as Exchange calls it
        return _Watch(look, stream=stream)

    exchange.screen = screen


async def _named(body: bytes, ids: Callable[[bytes], list[str]]) -> list[str]:
    """Return what might be ids in a body; raise BadRequest if it names too many."""
    found: dict[str, None] = {}
    async for part in _parts(body):
        found |= dict.fromkeys(ids(part))
        if len(found) > MOST_NAMED:
            raise BadRequest(
                f"the body names more than {MOST_NAMED} things that the provider keeps", code="too_many_ids"
            )
    return list(found)


async def _says(body: bytes, look: Callable[[bytes], bool]) -> bool:
    async for part in _parts(body):
        if look(part):
            return True
    return False


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    """Yield parts that overlap by the longest name, and let others have their turn between two of them."""
    for start in range(0, len(body), PART_BYTES):
        if start:
            await asyncio.sleep(0)
        yield body[start : start + PART_BYTES + LONGEST_NAMED]


def _ways(plan: Plan) -> list[Deployment]:
    others = (plan.context_window_fallback, plan.content_filter_fallback)
    return [*plan.deployments, *plan.fallbacks, *(way for way in others if way is not None)]


def _check_key(exchange: Exchange, target: Target) -> None:
    """Raise Forbidden for a key that opens nothing of this kind, whosever it is."""
    if target.act == "govern":
        need(exchange.principal, "owner")
    if exchange.principal.users:
        raise _of_no_user()
    if exchange.upload is not None and target.collection in _NAMING:
        _check_upload(exchange, exchange.upload.content_type)


def _check_upload(exchange: Exchange, content_type: str) -> None:
    """Raise BadRequest for JSON in disguise: what it names is not read."""
    coded = exchange.headers.get(b"content-encoding", b"identity") != b"identity"
    if coded or not content_type.lower().startswith("multipart/"):
        raise BadRequest("send this as application/json, without a content-encoding", code="unread_body")


def _check(exchange: Exchange, known: dict[str, Owned]) -> None:
    """Raise UnknownResponse for a thing that is not the sender's, as if it were not there; Forbidden."""
    for thing_id, owned in known.items():
        if not _is_theirs(exchange, owned):
            raise UnknownResponse(f"No such object: {thing_id}")
    if known and exchange.principal.users:
        raise _of_no_user()


def _check_known(exchange: Exchange, target: Target, known: dict[str, Owned]) -> None:
    """Raise UnknownResponse if it cannot be known whose this is."""
    unknown = target.id and target.id not in known and not target.beside
    if unknown and "owner" not in exchange.principal.scopes:
        raise UnknownResponse(f"No such object: {target.id}")


def _of_no_user() -> Forbidden:
    return Forbidden(
        "this key is for some users only, and what the provider keeps is a whole project's: use another key",
        code="user_not_allowed",
    )


def _is_theirs(exchange: Exchange, owned: Owned) -> bool:
    scopes = exchange.principal.scopes
    if "owner" in scopes:
        return True
    same = owned.project == exchange.principal.project
    return same and ("admin" in scopes or owned.environment == exchange.identity.environment)


def _output_of(target: Target, owned: Owned | None) -> str:
    """Return the batch whose output is asked for, if that is so."""
    if owned is None or target.act != "use":
        return ""
    if target.collection == "files":
        return owned.batch if target.below in {"/content", ":download"} else ""
    return target.id if target.collection == "messages/batches" and target.below == "/results" else ""
