"""Lets a call through only if no limit is exceeded by it, and afterwards says what it really took."""

from __future__ import annotations

from functools import partial

import msgspec

from gateway.errors import BadRequest, OverLimit, Unavailable
from gateway.exchange import Exchange
from gateway.limits.base import KINDS, AuthorityAway, Demand, Limiter, Verdict
from gateway.limits.headers import OURS, refused, told
from gateway.limits.rules import Applied, LimitRule, Names, RuleBook
from gateway.prices.ceiling import most_out
from gateway.routing.deployments import Plan

ALLOWED, REFUSED = {"limits_away": "allowed"}, {"limits_away": "refused"}
"""Property of calls whose limits nobody could count."""

_BYTES_PER_TOKEN = 4
_TEXT_BYTES = 16 * 1024
"""Bodies up to this size are taken for text; larger ones may be pictures."""
_LONG_WORD = 1024
"""What goes on for so long without a space, and is ASCII, is no text."""


class LimitStage:
    """Knows the rules and who counts; one object of it serves all calls."""

    def __init__(self, book: RuleBook, limiter: Limiter) -> None:
        self.book = book
        self.limiter = limiter

    def concerns(self, exchange: Exchange) -> bool:
        """Say whether a limit might hold for a call: what the house asks itself stands outside its clients' limits."""
        return not (self.book.empty or exchange.principal.internal)

    async def reserve(self, exchange: Exchange, plan: Plan) -> None:
        """Take what the call needs from each limit that holds for it. Raises OverLimit, BadRequest, Unavailable."""
        book, principal = self.book, exchange.principal
        user = exchange.identity.user_id if book.by_user else ""
        model = plan.route or (plan.deployments[0].id if plan.deployments else "")
        names = Names(principal.project, principal.key_id, user, principal.team, model, plan.route)
        applied = book.find(names)
        if applied is None:
            return
        tokens = 0
        if applied.tpm and (tokens := estimate(exchange)) > applied.tpm:
            raise _too_small(applied, tokens)
        demand = Demand(exchange.call_id, tokens, applied.parts)
        try:
            verdict = await self.limiter.reserve(demand)
        except AuthorityAway as error:
            exchange.took = partial(self.limiter.settle, demand, 0)
            _go_without(exchange, applied, error)
            return
        client = exchange.client
        client.instead = OURS
        client.extra += told(applied.parts, verdict.left)
        if verdict.kind:
            client.extra += refused(verdict.wait_us)
            raise _over(applied.rules[verdict.part], verdict)
        exchange.took = partial(self.limiter.settle, demand, verdict.second)

    def settle(self, exchange: Exchange) -> None:
        """Say what the call took; nobody waits for that."""
        if exchange.took is not None:
            usage = exchange.usage
            # what a batch used, it used long ago
            exchange.took(usage.input_total + usage.output_total if exchange.counting is None else 0)


def estimate(exchange: Exchange) -> int:
    """Return about how many tokens the call will take: its text, and the longest answer that it asks for."""
    assert exchange.peek is not None, "the request was read"
    size = text_bytes(exchange.adapted or exchange.body)
    return -(-size // _BYTES_PER_TOKEN) + (most_out(exchange.peek.parameters) or 0)


def text_bytes(body: bytes) -> int:
    """Return the size of a body without the pictures in it."""
    if len(body) <= _TEXT_BYTES:
        return len(body)
    parts = body.split(b'"')
    return sum(len(one) for one in parts if len(one) < _LONG_WORD or b" " in one or not one.isascii())


def _over(rule: LimitRule, verdict: Verdict) -> OverLimit:
    limit = rule.limit
    what = {
        "requests": f"{limit.rpm} requests per minute",
        "tokens": f"{limit.tpm} tokens per minute",
        "concurrency": f"{limit.concurrency} calls at once",
    }[KINDS[verdict.kind]]
    seconds = verdict.wait_us / 1_000_000
    return OverLimit(
        f"Rate limit reached: {rule.name!r} allows {what}. Please try again in {seconds:.3f}s.",
        retry_after_s=-(-verdict.wait_us // 1_000_000),
    )


def _too_small(applied: Applied, tokens: int) -> BadRequest:
    rule = next(rule for rule in applied.rules if rule.limit.tpm == applied.tpm)
    return BadRequest(
        f"this request may take {tokens} tokens, and {rule.name!r} allows {applied.tpm} per minute: it would never "
        "be let through. Send less, or ask for a shorter answer.",
        code="limit_too_small",
    )


def _go_without(exchange: Exchange, applied: Applied, error: AuthorityAway) -> None:
    """Do what the rules say for when nobody can be asked; the call's row tells of it."""
    refusing, identity = applied.refuse_away, exchange.identity
    away = ALLOWED if refusing is None else REFUSED
    exchange.identity = msgspec.structs.replace(identity, properties={**identity.properties, **away})
    if refusing is not None:
        raise Unavailable(
            f"{refusing.name!r} cannot be counted now: {error}", code="limits_away", retry_after_s=1
        ) from error
