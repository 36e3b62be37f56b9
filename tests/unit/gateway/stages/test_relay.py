"""How an answer that begins slowly is sent; test_route has what follows from its failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from typing_extensions import override

from gateway.asgi import Headers
from gateway.clock import SystemClock
from gateway.errors import BrokenAnswer
from gateway.exchange import Exchange
from gateway.stages import relay
from tests.fakes.exchanges import caller, chat, exchange
from tests.fakes.waiting import until

HEADERS: Headers = [(b"content-type", b"text/event-stream")]


class Slow:
    """A stream that thinks aloud before it says anything."""

    status = 200
    headers = HEADERS
    reused = False
    connected_ns = first_byte_ns = 1
    whole: bytes | None = None
    on_part: Callable[[bytes], bool] | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b": thinking\n\n"
        yield b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
        yield b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    async def read(self, limit: int = 1 << 20) -> bytes:
        return b""[:limit]

    def close(self) -> None:
        """Nothing to be done."""


async def test_an_id_is_kept_before_the_client_sees_it_even_if_the_time_to_wait_is_up_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "OPENING_S", 0.01)
    call = exchange(chat(stream=True))
    client = caller(call)
    seen: list[bool] = []

    async def keep(_: Exchange, found: str) -> None:
        await until(lambda: client.body != b"", "what was held back to be sent, as its time is up")
        seen.append(found.encode() in client.body)

    call.on_id = keep
    answer = Slow()
    sending = relay.Relay(SystemClock()).pass_on(call, answer, dict(HEADERS), None, strip_usage=False)
    assert not isinstance(sending, bool)

    assert await sending
    assert seen == [False]
    assert client.body.endswith(b"data: [DONE]\n\n")


HI = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
DONE = b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Ending(Slow):
    """A stream whose end comes together with its last part."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    @override
    async def chunks(self) -> AsyncIterator[bytes]:
        for number, part in enumerate(self._parts, 1):
            self.whole = b"" if number == len(self._parts) else None
            yield part


async def test_an_answer_with_an_id_that_is_here_but_not_whole_can_still_be_asked_for_elsewhere() -> None:
    call = exchange(chat(stream=True))
    client = caller(call)

    async def keep(_: Exchange, __: str) -> None:
        """Keep the id."""

    call.on_id = keep
    answer = Slow()
    answer.whole = HI
    sending = relay.Relay(SystemClock()).pass_on(call, answer, dict(HEADERS), None, strip_usage=False)
    assert not isinstance(sending, bool)

    with pytest.raises(BrokenAnswer) as caught:
        await sending
    assert caught.value.retryable
    assert not client.started


@pytest.mark.parametrize("left", [False, True])
async def test_a_last_part_that_comes_with_the_end_goes_out_with_it(*, left: bool) -> None:
    call = exchange(chat(stream=True))
    client = caller(call)

    async def leave(_: Exchange, __: str) -> None:
        client.gone = left

    call.on_id = leave
    answer = Ending(HI, HI, DONE)
    sending = relay.Relay(SystemClock()).pass_on(call, answer, dict(HEADERS), None, strip_usage=False)
    assert not isinstance(sending, bool)

    assert await sending
    assert (client.body, client.last) == ((b"", b"") if left else (HI + HI + DONE, DONE))
    assert b"".join(call.drained if left else call.answer) == HI + HI + DONE


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((HI + DONE,), id="all in one read behind the headers"),
        pytest.param((b": thinking\n\n", HI + DONE), id="content with the end"),
        pytest.param((b": thinking\n\n", DONE), id="no content"),
    ],
)
async def test_a_stream_that_ends_as_it_begins_goes_out_with_its_end(parts: tuple[bytes, ...]) -> None:
    call = exchange(chat(stream=True))
    client = caller(call)
    sending = relay.Relay(SystemClock()).pass_on(call, Ending(*parts), dict(HEADERS), None, strip_usage=False)
    assert not isinstance(sending, bool)

    assert await sending
    assert (client.started, client.body, client.last) == (True, b"".join(parts), b"".join(parts))
    assert b"".join(call.answer) == b"".join(parts)


@pytest.mark.parametrize("parts", [(HI, HI), (HI,)])
async def test_a_last_part_is_sent_even_if_the_stream_may_not_end_with_it(parts: tuple[bytes, ...]) -> None:
    call = exchange(chat(stream=True))
    sending = relay.Relay(SystemClock()).pass_on(call, Ending(*parts), dict(HEADERS), None, strip_usage=False)
    assert not isinstance(sending, bool)

    with pytest.raises(BrokenAnswer):
        await sending
    assert (caller(call).body, caller(call).finished) == (b"".join(parts), False)
