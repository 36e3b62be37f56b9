"""Sends whoever comes back with a response's id to the deployment that keeps the response.

An id is written down before the client can know it, and means something only in the project and environment it was
made for; in open mode, where everybody is this machine's user, the client's own key makes no difference.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs

import msgspec

from gateway.access import matches
from gateway.errors import BadRequest, Unavailable, UnknownResponse
from gateway.exchange import Exchange
from gateway.link import CallFailed, FrameTooLarge, LinkClient, LinkDown
from gateway.providers.held import HeldResponse
from gateway.providers.kept import KeptAt
from gateway.response_ids import CLAIM, DERIVED, DROP, GET, PUT, Held, Kept, Name, unpacked
from gateway.routing.deployments import Plan
from gateway.translation.openai_responses.chain import final_response, input_items, output_items, with_history
from gateway.wire.openai_response import ResponseDocument
from gateway.wire.openai_responses import KeptResponse

HUB_S = 2.0
"""As long as an answer waits until its id is written down, or a question for the hub's reply."""
INLINE_BYTES = 32 * 1024
"""Packing more than this, or unpacking so much, takes a good part of a millisecond."""
NOT_KEPT = (b"x-tidegate-warning", b"response_not_kept")
"""On an answer whose id will not be known later."""

THREAD_DERIVED = {DERIVED: "previous_response_id"}
"""Property of calls whose thread the client did not name: it is called after the first response of the chain."""

_AWAY = (LinkDown, CallFailed, FrameTooLarge, TimeoutError)

logger = logging.getLogger(__name__)


class KeptStage:
    """Plans the calls that make, continue or ask for a response that its provider keeps."""

    def __init__(self, link: LinkClient) -> None:
        self._link = link
        self._trouble = ""

    async def plan(self, exchange: Exchange, by_model: Callable[[Exchange], Plan]) -> Plan:
        """Say which deployments may answer; raise what `by_model` raises, UnknownResponse, BadRequest, Unavailable."""
        peek = exchange.peek
        assert peek is not None, "the request was read"
        if isinstance(exchange.wire, KeptResponse):
            return await self._fetch(exchange, exchange.wire, by_model)
        plan = by_model(exchange)
        if peek.previous:
            kept = await self._find(exchange, peek.previous)
            if kept is not None:
                _follow(exchange, kept)
            if kept is not None and kept.held:
                body = exchange.adapted or exchange.body
                exchange.adapted = await _aside(partial(_continued, body, kept.held), len(kept.held))
            else:
                plan = _pinned(plan, kept.deployment if kept is not None else "")
                exchange.shown = kept.shown if kept is not None else ()
            if not plan.deployments:
                raise BadRequest(
                    f"Previous response with id '{peek.previous}' not found.",
                    code="previous_response_not_found",
                    param="previous_response_id",
                )
        if peek.keep:
            exchange.on_id, exchange.on_whole = self._put, self._hold
        return plan

    async def _fetch(
        self, exchange: Exchange, wire: KeptResponse, by_model: Callable[[Exchange], Plan]
    ) -> Plan:
        assert exchange.peek is not None, "the request was read"
        response_id = exchange.peek.previous
        kept = await self._find(exchange, response_id)
        if kept is None:
            raise UnknownResponse(f"Response with id '{response_id}' not found.")
        stream = not kept.held and parse_qs(exchange.query.decode("latin-1")).get("stream") == ["true"]
        exchange.peek = msgspec.structs.replace(exchange.peek, model=kept.deployment, stream=stream)
        if wire.method == "DELETE":
            exchange.on_id = self._drop
        elif kept.uncounted:
            exchange.on_id = self._claim
        plan = by_model(exchange)
        if kept.held:
            return _here(plan, wire, unpacked(kept.held))
        plan = _pinned(plan, kept.deployment)
        place = f"/{response_id}{wire.below}"
        asked = tuple(
            msgspec.structs.replace(one, provider=KeptAt(one.provider, wire.method, place))
            for one in plan.deployments
        )
        return msgspec.structs.replace(plan, deployments=asked)

    async def _find(self, exchange: Exchange, response_id: str) -> Kept | None:
        """Ask the hub; what the key's users did not have made is not there. Raises Unavailable, BadRequest."""
        try:
            found = await self._link.call(GET, _name(exchange, response_id), timeout_s=HUB_S)
        except _AWAY as error:
            raise Unavailable(
                "it is not known now which provider keeps this response", retry_after_s=1
            ) from error
        if exchange.client.gone:
            raise BadRequest("the client left before its request was sent", code="client_left")
        kept = None if found is None else msgspec.convert(found, Kept)
        users = exchange.principal.users
        return kept if kept is not None and (not users or matches(users, kept.user)) else None

    # called with an answer's id before the client is sent it

    async def _put(self, exchange: Exchange, response_id: str) -> None:
        """Write the id down; the answer goes on if that fails."""
        reading = exchange.reading
        kept = Kept(
            name=_name(exchange, response_id),
            deployment=exchange.deployment,
            key=exchange.principal.key_id,
            user=exchange.identity.user_id,
            thread=exchange.identity.thread_id or response_id,
            uncounted=isinstance(reading, ResponseDocument) and reading.finding().usage_due == "later",
            shown=exchange.shown,
        )
        if not await self._tell(PUT, kept):
            exchange.client.extra.append(NOT_KEPT)

    async def _claim(self, exchange: Exchange, response_id: str) -> None:
        """Count what a background response used if this answer is the first that says it."""
        reading = exchange.reading
        if isinstance(reading, ResponseDocument) and reading.tells_usage:
            reading.counted = await self._tell(CLAIM, _name(exchange, response_id))

    async def _hold(self, exchange: Exchange, last: bytes) -> None:
        """Keep here what no provider keeps: the response, and the conversation up to it."""
        if exchange.principal.store != "full":
            return
        body = exchange.adapted or exchange.body
        held = await _aside(partial(_held, body, last), len(body) + len(last))
        assert exchange.reading is not None, "an answer came"
        response_id = exchange.reading.finding().response_id
        kept = Kept(
            name=_name(exchange, response_id),
            deployment=exchange.deployment,
            key=exchange.principal.key_id,
            user=exchange.identity.user_id,
            thread=exchange.identity.thread_id or response_id,
            held=held,
        )
        await self._tell(PUT, kept)

    async def _drop(self, exchange: Exchange, response_id: str) -> None:
        await self._tell(DROP, _name(exchange, response_id))

    async def _tell(self, method: str, params: object) -> bool:
        try:
            done = await self._link.call(method, params, timeout_s=HUB_S)
        except _AWAY as error:
            if (why := str(error)) != self._trouble:  # said once, not by every call
                self._trouble = why
                logger.warning("response_ids_away", extra={"method": method, "why": why})
            return False
        self._trouble = ""
        return done is True


async def _aside(work: Callable[[], bytes], size: int) -> bytes:
    """Do it in a thread if there is so much of it that others would have to wait."""
    return work() if size <= INLINE_BYTES else await asyncio.to_thread(work)


def _continued(body: bytes, held: bytes) -> bytes:
    """Return the request with the conversation that is held here before its input."""
    before = unpacked(held)
    return with_history(body, [*before.input, *output_items(before.response)])


def _held(body: bytes, last: bytes) -> bytes:
    """Return what is to be held of a request and its answer's last part."""
    return Held(input=input_items(body), response=final_response(last)).packed()


def _follow(exchange: Exchange, kept: Kept) -> None:
    """Count the call to the thread of the response it goes on from, unless it names one."""
    identity = exchange.identity
    if kept.thread and not identity.thread_id:
        exchange.identity = msgspec.structs.replace(
            identity, thread_id=kept.thread, properties={**identity.properties, **THREAD_DERIVED}
        )


def _name(exchange: Exchange, response_id: str) -> Name:
    return Name(project=exchange.principal.project, environment=exchange.identity.environment, id=response_id)


def _pinned(plan: Plan, deployment: str) -> Plan:
    """Leave only the provider that keeps the response, and first of all the deployment that made it."""
    provider = deployment.partition("/")[0]
    there = [one for one in plan.deployments if one.provider.name == provider]
    there.sort(key=lambda one: one.id != deployment)
    return msgspec.structs.replace(
        plan,
        deployments=tuple(there),
        strategy="ordered",
        fallbacks=(),
        context_window_fallback=None,
        content_filter_fallback=None,
    )


def _here(plan: Plan, wire: KeptResponse, held: Held) -> Plan:
    """Plan to answer with what is kept here."""
    way = plan.deployments[0]
    answering = HeldResponse(way.provider, wire.method, wire.below, held.response, held.input)
    here = msgspec.structs.replace(way, provider=answering, bridge=None)
    return _pinned(msgspec.structs.replace(plan, deployments=(here,)), here.id)
