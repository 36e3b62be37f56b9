"""Picks deployments and tries them in turn until one answers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

import msgspec

from gateway.clock import Clock
from gateway.errors import UnknownModel, UpstreamFailed
from gateway.exchange import Exchange
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.resolve import Resolver
from gateway.settings import Timeouts
from gateway.stages.relay import Relay
from gateway.transport import Answer, Transport
from telemetry.records import Attempt

HASH_INLINE_BYTES = 512 * 1024
"""Hashing more than this takes about a millisecond: it goes to a thread."""


class Router:
    """The attempt loop. `plan` says where to try, `answer` tries."""

    def __init__(
        self,
        resolver: Resolver,
        transports: Mapping[str, Transport],
        relay: Relay,
        clock: Clock,
        *,
        drain_s: float,
    ) -> None:
        self._resolver = resolver
        self._transports = transports
        """By the scheme of an origin."""
        self._relay = relay
        self._clock = clock
        self._drain_s = drain_s

    def plan(self, exchange: Exchange) -> Plan:
        """Read the request and say which deployments may answer it; raise BadRequest, UnknownModel."""
        exchange.peek = exchange.wire.peek(exchange.body, model=exchange.named)
        plan = self._resolver.plan(
            exchange.peek.model,
            client_secret=exchange.client_secret,
            open=exchange.principal.open,
            surface=exchange.wire.surface,
        )
        exchange.route = plan.route
        return plan

    async def answer(self, exchange: Exchange, plan: Plan) -> None:
        """Relay the first answer that is not an error.

        A second deployment is tried only while the client has not been sent a byte and still
        waits. Once the client is gone, what it asked for is read on for `drain_s`, as it will be
        billed anyway and its usage stands at the end.
        """
        client = exchange.client
        patience = _Patience(self._drain_s)
        client.watch(patience.begin)
        failure: UpstreamFailed | None = None
        try:
            for deployment in plan.deployments:
                try:
                    return await self._attempt(exchange, deployment, plan.timeouts)
                except UpstreamFailed as error:
                    if client.started or client.gone or not error.retryable:
                        raise
                    failure = error
        except asyncio.CancelledError:
            if not patience.ran_out():
                raise
            return None
        finally:
            patience.end()
        raise failure or UnknownModel(f"no deployment of the model {plan.route!r} is configured")

    async def _attempt(self, exchange: Exchange, deployment: Deployment, timeouts: Timeouts) -> None:
        peek, provider = exchange.peek, deployment.provider
        assert peek is not None, "plan() comes first"
        strip_usage = peek.stream and not peek.wants_usage and provider.include_usage
        body = exchange.wire.rewrite(
            exchange.body, model=deployment.model, ask_usage=strip_usage, drop=peek.control
        )
        outgoing = provider.request(
            exchange.wire.surface,
            exchange.headers,
            body,
            secret=deployment.secret,
            stream=peek.stream,
            model=deployment.model,
            query=exchange.query,
        )
        small = len(body) <= HASH_INLINE_BYTES
        digest = hashlib.sha256(body) if small else await asyncio.to_thread(hashlib.sha256, body)
        trial = _Trial(deployment, digest.hexdigest(), self._clock.monotonic_ns())
        transport = self._transports[outgoing.origin.scheme]
        try:
            async with transport.open(outgoing, timeouts, stream=peek.stream) as answer:
                trial.answer = answer
                if answer.status >= 300:
                    raise await self._relay.refusal(provider, answer)
                exchange.first_byte_ns = answer.first_byte_ns
                await self._relay.pass_on(exchange, answer, strip_usage=strip_usage)
        except UpstreamFailed as failure:
            trial.error = failure
            raise
        finally:
            exchange.attempts.append(trial.attempt(exchange.started_ns, self._clock.monotonic_ns()))


class _Patience:
    """Cancels the task that made it some time after `begin`; an `asyncio.timeout` that costs nothing until then."""

    __slots__ = ("_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        assert self._task is not None, "made inside a task"
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._task.cancel)

    def ran_out(self) -> bool:
        """Say whether a cancellation that arrived is ours, and take it back if so."""
        timer = self._timer
        if timer is None or timer.when() > asyncio.get_running_loop().time() or self._task is None:
            return False
        self._task.uncancel()
        return True

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Trial(msgspec.Struct):
    """What is known of an attempt while it runs."""

    deployment: Deployment
    sent_sha256: str
    started_ns: int
    answer: Answer | None = None
    error: UpstreamFailed | None = None

    def attempt(self, zero_ns: int, ended_ns: int) -> Attempt:
        """Return the attempt as it is recorded; times are relative to `zero_ns`."""
        answer, error = self.answer, self.error
        return Attempt(
            deployment=self.deployment.id,
            provider=self.deployment.provider.name,
            model=self.deployment.model,
            started_us=(self.started_ns - zero_ns) // 1000,
            connected_us=max(0, answer.connected_ns - zero_ns) // 1000 if answer else 0,
            first_byte_us=(answer.first_byte_ns - zero_ns) // 1000 if answer else 0,
            ended_us=(ended_ns - zero_ns) // 1000,
            reused=answer.reused if answer else False,
            http_status=answer.status if answer else 0,
            request_id=_request_id(answer) if answer else "",
            error_type=error.code if error else "",
            error_message=str(error) if error else "",
            sent_sha256=self.sent_sha256,
        )


def _request_id(answer: Answer) -> str:
    for name, value in answer.headers:
        if name == b"x-request-id":
            return value.decode("latin-1")
    return ""
