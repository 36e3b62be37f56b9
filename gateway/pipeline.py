"""The life of a request, in the order in which it happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.asgi import JSON_TYPE, Client, Headers
from gateway.errors import GatewayError, Refused
from gateway.exchange import Exchange
from gateway.stages.budget import BudgetStage
from gateway.stages.cache import AnswerCache
from gateway.stages.guardrails import Guardrails
from gateway.stages.identity import adopt_claims
from gateway.stages.kept import KeptStage
from gateway.stages.limits import LimitStage
from gateway.stages.memory import MemoryStage
from gateway.stages.meter import Meter
from gateway.stages.owned import OwnedStage
from gateway.stages.passing import Passing
from gateway.stages.permit import permit
from gateway.stages.record import Recorder
from gateway.stages.route import Router
from gateway.wire.base import Wire

logger = logging.getLogger(__name__)


class Pipeline:
    """Every field is a stage; `run` is the only place that knows their order.

    Who is asking was settled before: the endpoint makes an exchange only for an admitted request. Most calls need
    few stages: one that may have to wait says first, in a plain function, whether it takes part in a call, and
    afterwards it hears only of those in which it did.
    """

    def __init__(
        self,
        *,
        kept: KeptStage,
        passing: Passing,
        owned: OwnedStage,
        limits: LimitStage,
        guardrails: Guardrails,
        cache: AnswerCache,
        memory: MemoryStage,
        budgets: BudgetStage,
        router: Router,
        meter: Meter,
        recorder: Recorder,
    ) -> None:
        self._kept = kept
        self._passing = passing
        self._owned = owned
        self._limits = limits
        self._guardrails = guardrails
        self._cache = cache
        self._memory = memory
        self._budgets = budgets
        self._router = router
        self._meter = meter
        self._recorder = recorder
        self._under_way = 0
        """Calls: one alone has nobody to share a write with, and waits for none."""
        self._ended: list[Exchange] = []
        """Calls that wait for `account`."""

    async def run(self, exchange: Exchange) -> None:
        """Answer the request, but for the end of the answer, and leave the call to `account`."""
        client, answered = exchange.client, False
        client.hold_end()
        self._under_way += 1
        try:
            peek = exchange.peek = exchange.wire.peek(exchange.body, model=exchange.named)
            if peek.claims is not None:
                adopt_claims(exchange)
            by_model = self._router.plan if exchange.place is None else self._passing.plan
            keeps = peek.keep or peek.previous
            plan = await self._kept.plan(exchange, by_model) if keeps else by_model(exchange)
            permit(exchange, plan)
            if self._owned.concerns(exchange):
                await self._owned.admit(exchange, plan)
            if self._limits.concerns(exchange):
                await self._limits.reserve(exchange, plan)
            if guards := self._guardrails.of(exchange):
                await self._guardrails.check(exchange, guards)
            if self._memory.concerns(exchange):
                await self._memory.recall(exchange)
            self._budgets.apply(exchange)
            rule = self._cache.rule(exchange)
            kept = await self._cache.find(exchange, rule, guards) if rule is not None else None
            await self._recorder.open(exchange, alone=self._under_way == 1)
            if kept is not None:
                await self._cache.answer(exchange, kept)
            else:
                await self._router.answer(exchange, plan, opened=self._memory.confirm)
            answered = True
        except GatewayError as error:
            exchange.error = error
            stream = exchange.peek is not None and exchange.peek.stream
            await refuse(client, exchange.wire, error, stream=stream)
            answered = True
        finally:
            self._end(exchange, answered=answered)

    def _end(self, exchange: Exchange, *, answered: bool) -> None:
        """Have the call accounted for: now, if our caller has to answer, as that would look like the call's answer."""
        self._ended.append(exchange)
        if self._under_way == 1 or not answered:
            self.account()
        elif len(self._ended) == 1:
            asyncio.get_running_loop().call_soon(self.account)

    def account(self) -> None:
        """Account for the calls that have ended, then send the ends of their answers.

        Whoever has a whole answer finds its cost in the journal, even if this process dies in between. It is done
        by plain functions, which only count and enqueue, so a client that hangs up cannot make us skip one of them;
        once for all calls that ended in a turn of the loop, as that takes half the time, and one write.
        """
        ended, self._ended = self._ended, []
        self._under_way -= len(ended)
        try:
            with self._recorder.together:
                _for_each(ended, self._settle)
        finally:
            _for_each(ended, _let_go)

    def _settle(self, exchange: Exchange) -> None:
        """Account for a call that is over."""
        self._meter.settle(exchange)
        if exchange.took is not None:
            self._limits.settle(exchange)
        if exchange.spending is not None:
            self._budgets.settle(exchange)
        self._recorder.settle(exchange)
        if exchange.reuse is not None:
            self._cache.keep(exchange)


def _let_go(exchange: Exchange) -> None:
    exchange.client.let_go()


def _for_each(ended: list[Exchange], step: Callable[[Exchange], None]) -> None:
    """Take a step for each call; a bug in one of them does not take the others' answers."""
    for exchange in ended:
        try:
            step(exchange)
        except Exception:
            logger.exception("account_failed", extra={"call_id": exchange.call_id})


async def refuse(client: Client, wire: Wire, error: GatewayError, *, stream: bool = False) -> None:
    """Send the error the way the client's own format does; a begun answer is cut, never ended."""
    if client.gone:
        return
    error.request_id = client.request_id.decode()
    if client.started:
        if stream:
            await client.send(wire.broken(error))
        client.break_off()
    elif isinstance(error, Refused):
        client.answer(error.status, error.body, error.headers)
    else:
        client.answer(error.status, wire.error(error), _headers(client, error))
        if error.status == 413:  # the rest of the body is not read
            client.linger()


def _headers(client: Client, error: GatewayError) -> Headers:
    headers = [JSON_TYPE, (b"request-id", client.request_id)]  # where Anthropic's clients look for it
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    return headers
