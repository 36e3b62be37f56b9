"""Picks deployments and tries them in turn until one answers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import msgspec

from gateway.asgi import Client
from gateway.clock import Clock
from gateway.errors import BadRequest, BrokenAnswer, Refused, StreamRefused, UnknownModel, UpstreamFailed
from gateway.exchange import Exchange, full_text
from gateway.heartbeat import Heartbeat
from gateway.routing.board import Board
from gateway.routing.course import Course
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.resolve import Resolver
from gateway.settings import Timeouts
from gateway.stages.relay import Named, Relay
from gateway.transport import Answer, Transport
from telemetry.records import Attempt

AT_ONCE_S = 0.01
"""What is only passed on ends with its client."""
HASH_INLINE_BYTES = 512 * 1024
"""Hashing more than this takes about a millisecond: it goes to a thread."""
LIMIT_HEADER = b"x-tidegate-timeout"
STAINLESS_HEADER = b"x-stainless-timeout"
"""How long OpenAI's and Anthropic's own clients wait for an answer's headers: the whole of it, if it is no stream."""
LONGEST_LIMIT_S = 86_400.0
TIMER_SLACK_S = 0.001
"""uvloop counts time in whole milliseconds; nobody is asked before the pause is over."""
_ENOUGH = (b"x-should-retry", b"false")
"""Tells OpenAI's and Anthropic's clients not to multiply our attempts. Source: their `_should_retry` (2026-11)."""
_FAILED_LATE = BrokenAnswer("the stream ended with an error", retryable=False)
_SECOND = 1_000_000_000


class Limits(NamedTuple):
    """What the caller says of its patience, as `Clock.monotonic_ns()`; 0: nothing."""

    deadline_ns: int = 0
    """No try begins after it."""
    cut_ns: int = 0
    """No answer goes on after it."""

    def cut(self, timeouts: Timeouts, now_ns: int) -> Timeouts:
        """Return the clocks of an attempt that begins now."""
        left_s = max(0.001, (self.cut_ns - now_ns) / _SECOND)
        if left_s >= timeouts.total_s:
            return timeouts
        return msgspec.structs.replace(timeouts, total_s=left_s)


_NO_LIMITS = Limits()


class Router:
    """The attempt loop. `plan` says where to try, `answer` tries."""

    def __init__(
        self,
        resolver: Resolver,
        transports: Mapping[str, Transport],
        relay: Relay,
        clock: Clock,
        board: Board,
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
        exchange.route = plan.route
        return plan

    async def answer(self, exchange: Exchange, plan: Plan, *, opened: Callable[[Exchange], None]) -> None:
        """Relay the first answer that is not an error; call `opened` as soon as one begins.

        Another try is made only while the client has been sent nothing of an answer and still
        waits. Once the client is gone, what it asked for is read on for `drain_s`, as it will be
        billed anyway and its usage stands at the end.
        """
        if not plan.deployments:
            raise UnknownModel(f"no deployment of the model {plan.route!r} is configured")
        client, headers = exchange.client, exchange.headers
        limits = _NO_LIMITS
        if LIMIT_HEADER in headers or STAINLESS_HEADER in headers:
            limits = _limits(exchange, plan.timeouts.total_s)
        client.watch(partial(self._left, exchange))
        if plan.heartbeat_s:
            _animate(exchange, plan.heartbeat_s)
        course, way = None, plan.deployments[0]
        health = self._board.get(way.id)
        choice = plan.strategy != "ordered" and len(plan.deployments) > 1
        if choice or health is None or health.open_until_ns or health.cooling_until_ns:
            course = self._course(exchange, plan, limits)
            way = course.first(self._clock.monotonic_ns()).deployment
        on_id = exchange.on_id
        try:
            error = await self._attempt(exchange, way, plan, limits, opened)
            while error is not None:
                course = course or self._course(exchange, plan, limits, went=way)
                way = await self._next(exchange, course, way, error)
                exchange.on_id, exchange.reading, exchange.first_token_ns = on_id, None, 0
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
        body = exchange.wire.rewrite(
            exchange.enriched or exchange.body,
            model=way.model,
            ask_usage=strip_usage,
            drop=peek.control,
        )
        outgoing = provider.request(
            exchange.wire.surface,
            exchange.headers,
            body,
            secret=way.secret,
            stream=peek.stream,
            model=way.model,
            query=exchange.query,
        )
        small = len(body) <= HASH_INLINE_BYTES
        digest = hashlib.sha256(body) if small else await asyncio.to_thread(hashlib.sha256, body)
        timeouts = plan.timeouts if not limits.cut_ns else limits.cut(plan.timeouts, started_ns)
        health = self._board.get(way.id) or self._board.of(way, plan.breaker)
        health.began(started_ns)
        answer: Answer | None = None
        error: UpstreamFailed | None = None
        named: Named = {}
        well: bool | None = None
        try:
            transport = self._transports[outgoing.origin.scheme]
            async with transport.open(outgoing, timeouts, stream=peek.stream) as answer:
                named = dict(answer.headers)
                if answer.status >= (300 if exchange.place is None else 400):
                    raise await self._relay.refusal(provider, answer)
                if not exchange.first_byte_ns:  # no earlier attempt came so far
                    opened(exchange)
                exchange.first_byte_ns = answer.first_byte_ns
                well = await self._relay.pass_on(exchange, answer, named, strip_usage=strip_usage)
        except UpstreamFailed as failure:
            error = failure
        finally:
            ended_ns = clock.monotonic_ns()
            if well and answer is not None:
                health.succeeded(ended_ns, (answer.first_byte_ns - started_ns) // 1000)
            elif well is None and (error is None or exchange.client.gone or _cut_off(error, limits)):
                health.ended()
            else:
                self._board.failed(way, plan.breaker, error or _FAILED_LATE, ended_ns)
            exchange.attempts.append(
                Attempt(  # by position: 13 names would take several times as long
                    way.id,
                    provider.name,
                    way.model,
                    (started_ns - zero_ns) // 1000,
                    max(0, answer.connected_ns - zero_ns) // 1000 if answer else 0,
                    (answer.first_byte_ns - zero_ns) // 1000 if answer else 0,
                    (ended_ns - zero_ns) // 1000,
                    answer.reused if answer else False,
                    answer.status if answer else 0,
                    (named.get(b"x-request-id") or named.get(b"request-id") or b"").decode("latin-1"),
                    error.code if error else "",
                    full_text(error) if error else "",
                    digest.hexdigest() if exchange.upload is None else "",
                )
            )
        return error

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
        self, exchange: Exchange, course: Course, failed: Deployment, error: UpstreamFailed
    ) -> Deployment:
        """Return where to go after a failure, once it is time; raise the failure if it is the last."""
        step = None
        if not (exchange.client.gone or exchange.committed or _is_spent(exchange)):
            step = course.after(error, failed, self._clock.monotonic_ns())
        if step is None or not await self._pause(exchange, step.wait_s):
            raise _last(exchange, error)
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


def _limits(exchange: Exchange, total_s: float) -> Limits:
    """Read how long the caller waits, which may be longer than one attempt; raise BadRequest for nonsense of ours."""
    headers, began_ns = exchange.headers, exchange.started_ns
    if (said := headers.get(LIMIT_HEADER)) is not None:
        seconds = _seconds(said)
        if seconds is None:
            raise BadRequest(
                f"header {LIMIT_HEADER.decode()}: {said.decode('latin-1')!r} is not a number of seconds above 0",
                code="invalid_header",
                param=LIMIT_HEADER.decode(),
            )
        until_ns = began_ns + int(seconds * _SECOND)
        return Limits(until_ns, until_ns)
    seconds = _seconds(headers[STAINLESS_HEADER])
    if seconds is None or seconds >= total_s:
        return _NO_LIMITS
    until_ns = began_ns + int(seconds * _SECOND)
    stream = exchange.peek is not None and exchange.peek.stream
    return Limits(until_ns, 0 if stream else until_ns)


def _seconds(said: bytes) -> float | None:
    try:
        seconds = float(said)
    except ValueError:
        return None
    return min(seconds, LONGEST_LIMIT_S) if seconds > 0 else None  # not a number is not above 0


def _animate(exchange: Exchange, seconds: float) -> None:
    """Give the call's stream a heartbeat, if it is one of events."""
    peek = exchange.peek
    if peek is not None and peek.stream and exchange.wire.stream_type == "text/event-stream":
        exchange.heartbeat = Heartbeat(exchange.client, seconds)


def _is_spent(exchange: Exchange) -> bool:
    """Say whether a body that is only passed on is gone: it was never held."""
    return exchange.upload is not None and exchange.upload.size > 0


def _cut_off(error: UpstreamFailed, limits: Limits) -> bool:
    """Say whether the caller's own impatience was what ended it."""
    return limits.cut_ns > 0 and error.code == "upstream_timeout_total"


def _last(exchange: Exchange, error: UpstreamFailed) -> UpstreamFailed:
    """Prepare the failure that the client will be told."""
    client = exchange.client
    client.watch(None)
    if not client.started:
        client.extra.append(_ENOUGH)
    if isinstance(error, Refused):
        error.headers = [pair for pair in error.headers if pair[0] != _ENOUGH[0]]
    if isinstance(error, StreamRefused):
        exchange.answer, exchange.answer_bytes = [error.body], len(error.body)
    return error
