"""Gives an answer again to who asks exactly the same; off unless a rule of `cache:` says otherwise."""

from __future__ import annotations

import logging

import msgspec

from gateway.access import matches
from gateway.cache.key import key_of
from gateway.cache.words import GET, PUT, Kept, Wanted
from gateway.clock import Clock
from gateway.errors import BadRequest
from gateway.exchange import Exchange, Reuse
from gateway.guardrails.rules import Guard
from gateway.link import CallFailed, FrameTooLarge, LinkClient, LinkDown
from gateway.settings import Cache, CacheRule

HEADER = b"x-tidegate-cache"
SURFACES = frozenset(
    {"openai.chat", "openai.completions", "openai.responses", "openai.embeddings"}
    | {"anthropic.messages", "gemini.generate", "gemini.embed"}
)
"""Surfaces whose answers depend on nothing but the request; not those on which something is made, kept or fetched."""
HUB_S = 0.1
"""An answer that is not found so soon is asked for anew."""
_SWITCHES = (b"on", b"off", b"refresh")
_AWAY = (LinkDown, CallFailed, FrameTooLarge, TimeoutError, msgspec.ValidationError)
_OK = 200
_CUT = ("length", "max_tokens", "max_output_tokens", "MAX_TOKENS", "incomplete")
"""Ends of answers that were too long; under a budget the limit may have been the budget's."""

logger = logging.getLogger(__name__)


class AnswerCache:
    """Asks the hub for answers before a call is made, and brings it those that were made."""

    def __init__(self, settings: Cache, link: LinkClient, clock: Clock) -> None:
        self._settings = settings
        self._link = link
        self._clock = clock
        self._trouble = ""

    def rule(self, exchange: Exchange) -> CacheRule | None:
        """Return how long the call's answer may be kept, if it may; raise BadRequest for an unknown switch."""
        if not self._settings.rules or exchange.wire.surface not in SURFACES or exchange.place is not None:
            return None
        peek = exchange.peek
        principal = exchange.principal
        if peek is None or peek.keep or peek.previous or principal.store != "full" or principal.internal:
            return None
        found = next((rule for rule in self._settings.rules if _holds(rule, exchange)), None)
        if found is None:
            return None
        switch = exchange.headers.get(HEADER, found.default.encode()).strip().lower()
        if switch not in _SWITCHES:
            raise BadRequest("x-tidegate-cache takes on, off or refresh", code="invalid_header")
        return found if switch != b"off" else None

    async def find(self, exchange: Exchange, rule: CacheRule, guards: tuple[Guard, ...]) -> Kept | None:
        """Return the answer, if there is one; say so in a header. Raises BadRequest if the client left meanwhile."""
        key = key_of(exchange, tuple(guard.settings for guard in guards))
        if key is None:
            return None
        refresh = exchange.headers.get(HEADER, b"").strip().lower() == b"refresh"
        exchange.reuse = reuse = Reuse(key=key, ttl_s=rule.ttl_s, outcome="refresh" if refresh else "miss")
        found = None if refresh else await self._ask(_wanted(exchange, key))
        if exchange.client.gone:
            raise BadRequest("the client left before its request was sent", code="client_left")
        if found is not None:
            reuse.outcome, reuse.saved_nano_usd = "hit", found.cost_nano_usd
            age_s = max(0, self._clock.now_us() - found.made_us) // 1_000_000
            exchange.client.extra.append((b"age", b"%d" % age_s))
        exchange.client.extra.append((HEADER, b"miss" if found is None else b"hit"))
        return found

    async def answer(self, exchange: Exchange, kept: Kept) -> None:
        """Send an answer that was kept, byte for byte."""
        stream = kept.content_type.startswith(exchange.wire.stream_type)
        reading = exchange.reading = exchange.wire.reading(stream=stream, strip_usage=False)
        reading.feed(kept.body)
        reading.end()
        exchange.content_type = kept.content_type
        exchange.first_byte_ns = exchange.first_token_ns = self._clock.monotonic_ns()
        exchange.answer.append(kept.body)
        exchange.answer_bytes = len(kept.body)
        headers = [(b"content-type", kept.content_type.encode("latin-1"))]
        if exchange.peek is not None and exchange.peek.stream:
            exchange.client.begin(_OK, headers)
            exchange.client.finish(kept.body)
        else:
            exchange.client.answer(_OK, kept.body, headers)

    def keep(self, exchange: Exchange) -> None:
        """Have the answer kept if it is whole, without fault and not too long. Called once the call is settled."""
        reuse, finding = exchange.reuse, exchange.finding
        if reuse is None or reuse.outcome == "hit" or not exchange.client.finished:
            return
        whole = finding.complete and not finding.error and exchange.client.status == _OK
        cut = exchange.spending is not None and finding.finish_reason in _CUT
        unchecked = any(checked.verdict == "failed" for checked in exchange.checks)
        if exchange.error is not None or cut or unchecked or not whole:
            return
        body = b"".join(exchange.answer)
        if len(body) != exchange.answer_bytes or len(body) > self._settings.max_answer_kb << 10:
            return
        now_us = self._clock.now_us()
        kept = Kept(
            wanted=_wanted(exchange, reuse.key),
            content_type=exchange.content_type,
            body=body,
            cost_nano_usd=exchange.cost.total_nano_usd or 0,
            made_us=now_us,
            expires_us=now_us + int(reuse.ttl_s * 1_000_000),
        )
        try:
            self._link.notify(PUT, kept)
        except _AWAY as error:
            self._note(error)

    async def _ask(self, wanted: Wanted) -> Kept | None:
        try:
            said = await self._link.call(GET, wanted, timeout_s=HUB_S)
            found = None if said is None else msgspec.convert(said, Kept)
        except _AWAY as error:
            self._note(error)
            return None
        self._trouble = ""
        return found

    def _note(self, error: Exception) -> None:
        if (why := str(error)) != self._trouble:  # said once, not by every call
            self._trouble = why
            logger.warning("cache_away", extra={"why": why})


def _holds(rule: CacheRule, exchange: Exchange) -> bool:
    principal, peek = exchange.principal, exchange.peek
    route = exchange.route or (peek.model if peek is not None else "")
    asked = ((rule.routes, route), (rule.keys, principal.key_id), (rule.projects, principal.project))
    return all(not patterns or matches(patterns, name) for patterns, name in asked)


def _wanted(exchange: Exchange, key: bytes) -> Wanted:
    return Wanted(
        key=key,
        project=exchange.principal.project,
        environment=exchange.identity.environment,
        user=exchange.identity.user_id,
    )
