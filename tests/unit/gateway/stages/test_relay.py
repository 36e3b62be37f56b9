"""How an answer that begins slowly is sent; test_route has what follows from its failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from gateway.asgi import Headers
from gateway.clock import SystemClock
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
    whole = None
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

    assert await sending
    assert seen == [False]
    assert client.body.endswith(b"data: [DONE]\n\n")
