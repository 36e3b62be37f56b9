"""A stream's parts on their way from the provider's connection to the client, with nothing but bytes."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.errors import BrokenAnswer
from gateway.exchange import Exchange
from gateway.http1.reply import Reply
from gateway.settings import Timeouts
from gateway.stages.flow import Flow
from gateway.wire.base import Finding
from tests.fakes.exchanges import Caller, caller, exchange

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


class Line:
    """A provider's connection without a socket, in the running loop."""

    peer = "api.test:443"
    alarm_at = -math.inf

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def alarm(self, when: float) -> None:
        raise AssertionError("nobody waits so long")

    def leave(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause(self) -> bool:
        return False

    def resume(self) -> None:
        pass


class Shouting:
    """Reads a stream and makes it louder; fails at a word."""

    began = True

    def feed(self, chunk: bytes) -> bytes:
        if b"oops" in chunk:
            raise BrokenAnswer("no such word", retryable=False)
        return chunk.upper()

    def end(self) -> bytes:
        return b""

    def finding(self) -> Finding:
        return Finding()


def coded(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


class Scene:
    """A call whose stream has begun, and a task that takes what must be waited for, as the relay does."""

    def __init__(self) -> None:
        self.exchange: Exchange = exchange()
        self.exchange.first_token_ns = 1
        self.client: Caller = caller(self.exchange)
        self.woken: list[bytes] = []
        self._reading = Shouting()
        self.reply = Reply(Line(), SystemClock(), "POST", Timeouts(), 1e9, True)
        self.reply.sent()
        self.flow = Flow(self.exchange, self._reading)
        self.reply.on_part = self.flow.take
        self.reply.feed(HEAD)
        self.task = asyncio.get_running_loop().create_task(self._relay())

    async def _relay(self) -> None:
        async for chunk in self.reply.chunks():
            self.woken.append(chunk)
            self.flow.send(self._reading.feed(chunk))

    async def waiting(self) -> None:
        """Return once the task has nothing to do."""
        for _ in range(3):
            await asyncio.sleep(0)


async def test_a_part_is_sent_from_where_it_comes_and_the_call_sleeps_on() -> None:
    scene = Scene()
    await scene.waiting()
    for word in (b"one ", b"two "):
        scene.reply.feed(coded(word))
    assert scene.client.body == b"ONE TWO "
    assert scene.exchange.answer == [b"ONE ", b"TWO "]
    scene.reply.feed(coded(b"three") + END)
    await scene.task
    assert scene.woken == [b"three"], "the end is the call's own"
    assert scene.client.body == b"ONE TWO THREE"


async def test_a_part_waits_while_the_client_does_not_read() -> None:
    scene = Scene()
    await scene.waiting()
    scene.client.held_up = True
    scene.reply.feed(coded(b"one "))
    assert scene.client.body == b""
    await scene.waiting()
    assert scene.woken == [b"one "]
    scene.client.held_up = False
    scene.reply.feed(coded(b"two ") + END)
    await scene.task
    assert scene.client.body == b"ONE TWO "


async def test_a_part_waits_for_an_id_that_must_be_kept_first() -> None:
    scene = Scene()
    await scene.waiting()

    async def keep(_: Exchange, __: str) -> None: ...

    scene.exchange.on_id = keep
    scene.reply.feed(coded(b"one "))
    assert scene.client.body == b""
    scene.reply.feed(END)
    await scene.task


async def test_what_cannot_be_read_ends_the_answer_with_its_reason() -> None:
    scene = Scene()
    await scene.waiting()
    scene.reply.feed(coded(b"one "))
    scene.reply.feed(coded(b"oops"))
    with pytest.raises(BrokenAnswer, match="no such word"):
        await scene.task
    assert scene.client.body == b"ONE "


async def test_a_part_that_failed_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    await scene.waiting()
    scene.reply.feed(coded(b"oops"))
    monkeypatch.setattr(Shouting, "feed", lambda _, chunk: chunk)
    with pytest.raises(BrokenAnswer):
        await scene.task
    assert scene.client.body == b""


async def test_what_comes_after_the_client_has_gone_is_only_kept_for_its_usage() -> None:
    scene = Scene()
    scene.client.gone = scene.client.held_up = True
    scene.reply.feed(coded(b"one ") + END)
    await scene.task
    assert (scene.client.body, scene.exchange.drained) == (b"", [b"ONE "])


@given(st.lists(st.sampled_from(["part", "run", "stop", "go"]), max_size=40))
async def test_however_parts_and_waits_fall_the_client_is_sent_all_in_order(steps: list[str]) -> None:
    scene = Scene()
    sent = b""
    for number, step in enumerate(steps):
        if step == "part":
            sent += b"w%d " % number
            scene.reply.feed(coded(b"w%d " % number))
        elif step == "run":
            await scene.waiting()
        else:
            scene.client.held_up = step == "stop"
    scene.reply.feed(END)
    await scene.task
    assert scene.client.body == sent.upper()
    assert b"".join(scene.exchange.answer) == sent.upper()
