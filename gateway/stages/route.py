"""Picks deployments and tries them in turn until one answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256

import msgspec

from gateway.asgi import Client
from gateway.clock import Clock
from gateway.errors import (
    BrokenAnswer,
    UnknownModel,
    UpstreamFailed,
)
from gateway.exchange import Exchange
from gateway.heartbeat import Heartbeat
from gateway.providers.base import Outgoing
from gateway.routing.board import Board
from gateway.routing.course import Course
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.failing import blamed, costs_nothing, failed, last, not_asked
from gateway.routing.patience import Limits, limits_of
from gateway.routing.resolve import Resolver
from gateway.routing.strategy import draw
from gateway.stages.relay import Named, Relay, forget
from gateway.tokens import Tokens
from gateway.translation.bridge import Bridge, Crossing
from gateway.translation.foreign import without_foreign
from gateway.transport import Transport
from gateway.wire.base import Peek
from gateway.wire.merging import merge
from telemetry.records import Attempt

AT_ONCE_S = 0.01
"""What is only passed on ends with its client."""
HASH_INLINE_BYTES = 512 * 1024
"""Hashing more than this takes about a millisecond: it goes to a thread."""
CROSS_INLINE_BYTES = 64 * 1024
"""Translating more than this takes about a millisecond, too."""
VARIANT = b"x-tidegate-variant"
"""Tells the client which variant of an experiment it got."""
TIMER_SLACK_S = 0.001
"""uvloop counts time in whole milliseconds; nobody is asked before the pause is over."""
_FAILED_LATE = BrokenAnswer("the stream ended with an error", retryable=False)
_SECOND = 1_000_000_000


class Router:
    """The attempt loop. `plan` says where to try, `answer` tries."""

    def __init__(
        self,
        resolver: Resolver,
        transports: Mapping[str, Transport],
        relay: Relay,
        clock: Clock,
        board: Board,
        tokens: Tokens,
        *,
        drain_s: float,
        dice: random.Random | None = None,
    ) -> None:
        self._resolver = resolver
        self._transports = transports
        """By the scheme of an origin."""
        self._relay = relay
        self._clock = clock
        self._board = board
        self._tokens = tokens
        self._drain_s = drain_s
        self._dice = dice or random.Random()  # noqa: S311 - no secret
        self._leaving: dict[Client, asyncio.TimerHandle] = {}
        """When the calls of clients that left will be given up."""

    def plan(self, exchange: Exchange) -> Plan:
        """Say which deployments may answer the request; raise BadRequest, Unauthenticated, UnknownModel."""
        assert exchange.peek is not None, "the request was read"
        plan = self._resolver.plan(
            exchange.peek.model,
            client_secret=exchange.client_secret,
            open=exchange.principal.open,
            surface=exchange.wire.surface,
        )
        exchange.route, exchange.ceiling, exchange.window = plan.route, plan.ceiling, plan.window
        exchange.memory_default = plan.memory
        return self._vary(exchange, plan) if plan.variants else plan

    def _vary(self, exchange: Exchange, plan: Plan) -> Plan:
        """Draw the call's variant, and return the plan as that has it."""
        identity = exchange.identity
        stick_to = identity.thread_id or identity.user_id
        variant = draw(plan.route, plan.variants, dice=self._dice, stick_to=stick_to)
        exchange.variant = variant.name
        exchange.memory_default = variant.memory or exchange.memory_default
        exchange.client.extra.append((VARIANT, variant.name.encode()))
        if variant.parameters:
            exchange.adapted = merge(exchange.body, variant.parameters)
            exchange.peek = exchange.wire.peek(exchange.adapted, model=exchange.named)
        if variant.deployment is not None:
            return msgspec.structs.replace(plan, deployments=(variant.deployment,))
        return plan

    async def answer(self, exchange: Exchange, plan: Plan, *, opened: Callable[[Exchange], None]) -> None:
        """Relay the first answer that is not an error; call `opened` as soon as one begins.

        Another try is made only while the client has been sent nothing of an answer and still
        waits. Once the client is gone, what it asked for is read on for `drain_s`, as it will be
        billed anyway and its usage stands at the end.
        """
        if not plan.deployments:
            raise UnknownModel(f"no deployment of the model {plan.route!r} is configured")
        client = exchange.client
        limits = limits_of(exchange, plan.timeouts.total_s)
        client.watch(partial(self._left, exchange))
        if plan.heartbeat_s:
            _animate(exchange, plan.heartbeat_s)
        course, way = None, plan.deployments[0]
        told: UpstreamFailed | None = None
        health = self._board.get(way.id)
        choice = plan.strategy != "ordered" and len(plan.deployments) > 1
        if choice or health is None or health.open_until_ns or health.cooling_until_ns:
            course = self._course(exchange, plan, limits)
            way = course.first(self._clock.monotonic_ns()).deployment
        on_id, on_whole = exchange.on_id, exchange.on_whole
        try:
            error = await self._attempt(exchange, way, plan, limits, opened)
            while error is not None:
                if exchange.spending is not None:
                    exchange.spending.failed(free=costs_nothing(error))
                course = course or self._course(exchange, plan, limits, went=way)
                told = blamed(told, exchange, way, error)
                way = await self._next(exchange, course, way, error, told)
                exchange.on_id, exchange.on_whole = on_id, on_whole
                forget(exchange)
                error = await self._attempt(exchange, way, plan, limits, opened)
        except asyncio.CancelledError:
            if not self._has_run_out(client):
                raise
        finally:
            if client.gone and (timer := self._leaving.pop(client, None)) is not None:
                timer.cancel()
            if exchange.heartbeat is not None:
                exchange.heartbeat.stop()

    async def _attempt(
        self,
        exchange: Exchange,
        way: Deployment,
        plan: Plan,
        limits: Limits,
        opened: Callable[[Exchange], None],
    ) -> UpstreamFailed | None:
        """Ask one deployment, and record how it went; return the failure if it was one."""
        peek, provider, clock = exchange.peek, way.provider, self._clock
        assert peek is not None, "plan() comes first"
        started_ns, zero_ns = clock.monotonic_ns(), exchange.started_ns
        exchange.deployment = way.id
        strip_usage = peek.stream and not peek.wants_usage and provider.include_usage
        try:
            outgoing, crossing = await self._prepare(exchange, peek, way, ask_usage=strip_usage)
        except UpstreamFailed as failure:
            return not_asked(exchange, way, failure, (started_ns - zero_ns) // 1000)
        sha = (
            await asyncio.to_thread(sha256, outgoing.body)
            if len(outgoing.body) > HASH_INLINE_BYTES
            else sha256(outgoing.body)
        )
        timeouts = plan.timeouts if not limits.cut_ns else limits.cut(plan.timeouts, started_ns)
        health = self._board.get(way.id) or self._board.of(way, plan.breaker)
        health.began(started_ns)
        answer = error = well = None
        named: Named = {}
        try:
            answer = await self._transports[outgoing.origin.scheme].open(
                outgoing, timeouts, stream=peek.stream
            )
            named = dict(answer.headers)
            if answer.status >= (300 if exchange.place is None else 400):
                raise await self._relay.refusal(provider, answer)
            if not exchange.first_byte_ns:  # no earlier attempt came so far
                opened(exchange)
            exchange.first_byte_ns = answer.first_byte_ns
            sending = self._relay.pass_on(exchange, answer, named, crossing, strip_usage=strip_usage)
            well = sending if isinstance(sending, bool) else await sending
        except UpstreamFailed as failure:
            error = failure
        finally:
            ended_ns = clock.monotonic_ns()
            if answer is not None:
                answer.close()
            if well and answer is not None:
                health.succeeded(ended_ns, (answer.first_byte_ns - started_ns) // 1000)
            elif well is None and (error is None or exchange.client.gone or limits.caused(error)):
                health.ended()
            else:
                self._board.failed(way, plan.breaker, error or _FAILED_LATE, ended_ns)
            attempt = Attempt(  # by position: 13 names would take several times as long
                way.id,
                provider.name,
                way.model,
                (started_ns - zero_ns) // 1000,
                (answer.connected_ns - zero_ns) // 1000 if answer else 0,
                (answer.first_byte_ns - zero_ns) // 1000 if answer else 0,
                (ended_ns - zero_ns) // 1000,
                answer.reused if answer else False,
                answer.status if answer else 0,
                _request_id(named),
                "",  # what failed, and how: see `failed`
                "",
                sha.hexdigest() if exchange.upload is None else "",
                crossing.surface if crossing else "",
                crossing.dropped if crossing else (),
            )
            exchange.attempts.append(failed(exchange, attempt, error) if error else attempt)
        return error

    async def _prepare(
        self, exchange: Exchange, peek: Peek, way: Deployment, *, ask_usage: bool
    ) -> tuple[Outgoing, Crossing | None]:
        """Return the request for one deployment, and how it was translated, if it was.

        Raises NotCarried, or UpstreamFailed if its account is given no access.
        """
        wire, provider, crossing = exchange.wire, way.provider, None
        secret = way.secret if way.account is None else await self._tokens.of(way.account)
        if way.bridge is None:
            surface, headers, query = wire.surface, exchange.headers, exchange.query
            body = wire.rewrite(
                without_foreign(surface, exchange.enriched or exchange.adapted or exchange.body),
                model=way.model,
                ask_usage=ask_usage,
                drop=peek.control,
            )
        else:
            crossing = await _cross(exchange, peek, way, way.bridge)
            surface, headers, body, query = crossing.surface, {}, crossing.body, crossing.query
        if exchange.spending is not None:
            body = await exchange.spending.admit(surface, provider.name, way.model, body)
        outgoing = provider.request(
            surface, headers, body, secret=secret, stream=peek.stream, model=way.model, query=query
        )
        return outgoing, crossing

    def _course(
        self, exchange: Exchange, plan: Plan, limits: Limits, *, went: Deployment | None = None
    ) -> Course:
        """Set out a call's way through its plan; `went`: the first step was made without it."""
        self._board.cover(plan)
        identity = exchange.identity
        course = Course(
            plan,
            self._board,
            dice=self._dice,
            deadline_ns=limits.deadline_ns or exchange.started_ns + int(plan.timeouts.total_s * _SECOND),
            stick_to=identity.thread_id or identity.user_id,
        )
        if went is not None:
            course.went(went)
        return course

    async def _next(
        self,
        exchange: Exchange,
        course: Course,
        failed: Deployment,
        error: UpstreamFailed,
        told: UpstreamFailed,
    ) -> Deployment:
        """Return where to go after a failure, once it is time; raise what the client is told if it is the last."""
        step = None
        if not (exchange.client.gone or exchange.committed or _is_spent(exchange)):
            step = course.after(error, failed, self._clock.monotonic_ns())
        if step is None or not await self._pause(exchange, step.wait_s):
            raise last(exchange, told)
        return step.deployment

    async def _pause(self, exchange: Exchange, seconds: float) -> bool:
        """Wait; return at once if the client leaves meanwhile, and say whether it still waits."""
        client = exchange.client
        if seconds > 0:
            left = asyncio.Event()
            client.watch(left.set)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds + TIMER_SLACK_S):
                    await left.wait()
            client.watch(partial(self._left, exchange))
        return not client.gone

    def _has_run_out(self, client: Client) -> bool:
        """Say whether a cancellation that arrived is ours, and take it back if so."""
        timer = self._leaving.get(client)
        if timer is None or timer.when() > asyncio.get_running_loop().time() or client.task is None:
            return False
        client.task.uncancel()
        return True

    def _left(self, exchange: Exchange) -> None:
        """Give the call of a client that left some time to learn its usage."""
        task = exchange.client.task
        if task is not None:
            seconds = self._drain_s if exchange.place is None else AT_ONCE_S
            self._leaving[exchange.client] = asyncio.get_running_loop().call_later(seconds, task.cancel)


async def _cross(exchange: Exchange, peek: Peek, way: Deployment, bridge: Bridge) -> Crossing:
    """Translate the request for a provider of another API; raise NotCarried."""
    body = exchange.enriched or exchange.adapted or exchange.body
    cross = partial(
        bridge.cross,
        exchange.wire,
        body,
        model=way.model,
        stream=peek.stream,
        wants_usage=peek.wants_usage,
        include_usage=way.provider.include_usage,
        drop=peek.control,
        call_id=exchange.call_id,
        created_s=exchange.started_at_us // 1_000_000,
        previous=peek.previous,
    )
    return cross() if len(body) <= CROSS_INLINE_BYTES else await asyncio.to_thread(cross)


def _request_id(named: Named) -> str:
    """Return the provider's own id of a request: OpenAI's, Anthropic's or AWS's header has it."""
    said = named.get(b"x-request-id") or named.get(b"request-id") or named.get(b"x-amzn-requestid") or b""
    return said.decode("latin-1")


def _animate(exchange: Exchange, seconds: float) -> None:
    """Give the call's stream a heartbeat, if it is one of events."""
    peek = exchange.peek
    if peek is not None and peek.stream and exchange.wire.stream_type == "text/event-stream":
        exchange.heartbeat = Heartbeat(exchange.client, seconds)


def _is_spent(exchange: Exchange) -> bool:
    """Say whether a body that is only passed on is gone: it was never held."""
    return exchange.upload is not None and exchange.upload.size > 0
