"""The attempt loop over a transport that a test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from typing import Any, cast

import pytest

from gateway.asgi import Client, Headers
from gateway.clock import SystemClock
from gateway.errors import BrokenAnswer, Unreachable, UpstreamFailed, UpstreamTimeout
from gateway.exchange import Exchange, Identity
from gateway.principal import Principal
from gateway.providers.base import Outgoing
from gateway.providers.openai import OpenAICompatible
from gateway.routing.board import Board
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.resolve import Resolver
from gateway.settings import Breaker, Retries, Settings, Timeouts
from gateway.stages.relay import Relay
from gateway.stages.route import Router
from gateway.tokens import Tokens
from gateway.upload import Upload
from gateway.wire.openai_chat import OpenAIChat
from tests.fakes.provider import chat_stream

EVENTS = [piece for piece in chat_stream(["hello"]).body if isinstance(piece, bytes)]
BODY = b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}'
TIMEOUTS = Timeouts(total_s=60)

Step = bytes | UpstreamFailed


class Answer:
    """A stream as a script says: bytes, and perhaps a failure."""

    status = 200
    reused = False
    connected_ns = first_byte_ns = 1
    whole = None
    on_part: Callable[[bytes], bool] | None = None

    def __init__(self, steps: Sequence[Step], status: int = 200, headers: Headers | None = None) -> None:
        self.status = status
        self.headers = headers or [(b"content-type", b"text/event-stream")]
        self._steps = steps

    async def chunks(self) -> AsyncIterator[bytes]:
        for step in self._steps:
            if isinstance(step, UpstreamFailed):
                raise step
            yield step

    async def read(self, limit: int = 1 << 20) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])[:limit]

    def close(self) -> None:
        """Nothing to be done."""


class Wires:
    """A transport whose answers are used up in turn; remembers what was asked with which clocks."""

    def __init__(self, *answers: Answer | UpstreamFailed) -> None:
        self.asked: list[tuple[Outgoing, Timeouts]] = []
        self._answers = list(answers)

    async def open(self, outgoing: Outgoing, timeouts: Timeouts, *, stream: bool) -> Answer:
        assert stream
        self.asked.append((outgoing, timeouts))
        answer = self._answers.pop(0)
        if isinstance(answer, UpstreamFailed):
            raise answer
        return answer


class Caller:
    """As much of a client as the stages look at."""

    def __init__(self) -> None:
        self.extra: Headers = []
        self.gone = self.started = self.finished = self.held_up = False
        self.task = asyncio.current_task()
        self.sent = b""

    def watch(self, on_gone: object) -> None:
        pass

    def begin(self, status: int, headers: Headers) -> None:
        assert not self.started, "one answer, one head"
        self.started = True

    def write(self, chunk: bytes) -> None:
        self.sent += chunk

    def finish(self, last: bytes = b"") -> None:
        self.sent += last
        self.finished = True


class Scene:
    """A router over these answers, and one call of two deployments."""

    def __init__(self, *answers: Answer | UpstreamFailed, borrowed: bool = False, **headers: str) -> None:
        self.wires = Wires(*answers)
        clock = SystemClock()
        self.board = Board(clock, lambda _topic, _what: None)
        self.router = Router(
            Resolver(Settings(), {}),
            {"http": self.wires},
            Relay(clock),
            clock,
            self.board,
            Tokens(self.wires, clock),
            drain_s=1,
            dice=Random(1),
        )
        self.caller = Caller()
        wire = OpenAIChat()
        self.exchange = Exchange(
            call_id="c",
            wire=wire,
            headers={name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
            body=BODY,
            client=cast("Client", self.caller),
            started_at_us=clock.now_us(),
            started_ns=clock.monotonic_ns(),
            principal=Principal(project="p", environment="e", key_id="k"),
            identity=Identity(event_id="e"),
        )
        self.exchange.peek = wire.peek(BODY)
        self.opened = 0
        self._ways = tuple(
            Deployment(
                id=f"{name}/m",
                provider=OpenAICompatible(name, f"http://{name}.example/v1"),
                model="m",
                borrowed=borrowed,
            )
            for name in ("a", "b")
        )

    def count(self, exchange: Exchange) -> None:
        assert exchange is self.exchange
        self.opened += 1

    async def play(self, **said: Any) -> None:
        plan = Plan(
            deployments=self._ways,
            timeouts=TIMEOUTS,
            retries=Retries(attempts=1),
            breaker=Breaker(min_calls=1),
            **said,
        )
        try:
            await self.router.answer(self.exchange, plan, opened=self.count)
        finally:
            assert all(health.in_flight == 0 for health in self.board.values())

    @property
    def asked(self) -> list[str]:
        return [outgoing.origin.host.partition(".")[0] for outgoing, _ in self.wires.asked]


def whole() -> Answer:
    return Answer(EVENTS)


def broken_early() -> Answer:
    return Answer([EVENTS[0], BrokenAnswer("cut")])


async def test_an_answer_that_breaks_off_before_its_first_word_leaves_no_trace_with_the_client() -> None:
    scene = Scene(broken_early(), whole())
    await scene.play()

    assert scene.asked == ["a", "b"]
    assert scene.caller.sent == b"".join(EVENTS)
    assert scene.opened == 1
    assert [attempt.error_type for attempt in scene.exchange.attempts] == ["upstream_broken_answer", ""]
    assert scene.board["a/m"].failure_ratio == 1
    assert scene.board["b/m"].failure_ratio == 0


async def test_whoever_wants_the_id_is_told_that_of_the_answer_that_was_sent() -> None:
    told: list[tuple[str, str]] = []

    async def tell(exchange: Exchange, found: str) -> None:
        told.append((exchange.deployment, found))

    scene = Scene(broken_early(), whole())
    scene.exchange.on_id = tell
    await scene.play()

    assert told[-1] == ("b/m", "chatcmpl-1")


async def test_after_the_first_word_nobody_else_goes_on() -> None:
    scene = Scene(Answer([*EVENTS[:2], BrokenAnswer("cut")]), whole())
    with pytest.raises(BrokenAnswer):
        await scene.play()

    assert scene.asked == ["a"]
    assert scene.caller.sent == b"".join(EVENTS[:2])
    assert not scene.caller.extra


async def test_an_upload_that_has_begun_is_not_sent_again() -> None:
    scene = Scene(Unreachable("gone"), whole())
    scene.exchange.upload = Upload(cast("Client", scene.caller), {}, silence_s=1)
    scene.exchange.upload.size = 1
    with pytest.raises(Unreachable):
        await scene.play()

    assert scene.asked == ["a"]


async def test_for_a_client_that_left_nothing_is_tried_again_and_nobody_is_blamed() -> None:
    scene = Scene(Unreachable("gone"), whole())
    scene.caller.gone = True
    with pytest.raises(Unreachable):
        await scene.play()

    assert scene.asked == ["a"]
    assert scene.board["a/m"].failure_ratio == 0


async def test_a_clients_own_sick_key_is_no_fault_of_the_deployment() -> None:
    scene = Scene(Answer([b"{}"], 401), whole(), borrowed=True)
    await scene.play()

    assert scene.asked == ["a", "b"]
    assert scene.board["a/m"].well


async def test_our_own_sick_key_is() -> None:
    scene = Scene(Answer([b"{}"], 401), whole())
    await scene.play()

    assert not scene.board["a/m"].well


async def test_the_callers_impatience_is_no_fault_of_the_deployment() -> None:
    late = UpstreamTimeout("late", code="upstream_timeout_total", retryable=False)
    scene = Scene(late, x_tidegate_timeout="2")
    with pytest.raises(UpstreamTimeout):
        await scene.play()

    assert scene.board["a/m"].well
    ((_, timeouts),) = scene.wires.asked
    assert 1 < timeouts.total_s <= 2
    assert timeouts.idle_s == TIMEOUTS.idle_s


async def test_an_sdks_patience_does_not_cut_a_stream() -> None:
    scene = Scene(whole(), x_stainless_timeout="2")
    await scene.play()

    assert scene.wires.asked[0][1] is TIMEOUTS


async def test_the_last_failure_asks_clients_not_to_try_again() -> None:
    refusal = Answer([b"{}"], 503, [(b"x-should-retry", b"true"), (b"content-type", b"application/json")])
    scene = Scene(Unreachable("gone"), refusal)
    with pytest.raises(UpstreamFailed) as caught:
        await scene.play()

    assert scene.caller.extra == [(b"x-should-retry", b"false")]
    assert getattr(caught.value, "headers", None) == [(b"content-type", b"application/json")]


async def test_a_deployment_that_is_left_alone_is_passed_over() -> None:
    scene = Scene(Unreachable("gone"), whole(), whole())
    await scene.play()
    again = Scene(whole())
    again.router, again.wires, again.board = scene.router, scene.wires, scene.board
    await again.play()

    assert scene.asked == ["a", "b", "b"]
