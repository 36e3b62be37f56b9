from __future__ import annotations

import asyncio
import contextlib
from contextlib import closing
from typing import Any

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.errors import BrokenAnswer, UpstreamTimeout
from gateway.providers.base import Outgoing
from gateway.providers.sandbox import Sandbox
from gateway.sandbox import SandboxTransport
from gateway.settings import Timeouts
from gateway.tasks import spawn
from gateway.transport import Transport

transport: Transport = SandboxTransport(SystemClock())


def outgoing(model: str = "echo", **body: Any) -> Outgoing:
    said = {"model": model, "messages": [{"role": "user", "content": "hello"}], **body}
    return Sandbox().request(
        "openai.chat", {}, msgspec.json.encode(said), secret="", stream=bool(body.get("stream"))
    )


async def read(request: Outgoing, timeouts: Timeouts | None = None, *, stream: bool = False) -> bytes:
    with closing(await transport.open(request, timeouts or Timeouts(), stream=stream)) as answer:
        return b"".join([chunk async for chunk in answer.chunks()])


async def test_an_answer_is_played():
    with closing(await transport.open(outgoing(), Timeouts(), stream=False)) as answer:
        assert answer.status == 200
        assert dict(answer.headers)[b"content-type"] == b"application/json"
        assert answer.first_byte_ns >= answer.connected_ns
        assert msgspec.json.decode(await answer.read())["choices"][0]["message"]["content"] == "hello"


async def test_a_body_of_one_piece_can_be_had_at_once_and_still_be_read():
    with closing(await transport.open(outgoing(), Timeouts(), stream=False)) as answer:
        whole = answer.whole

        assert whole is not None
        assert answer.whole == whole == await answer.read()
        assert answer.whole is None


async def test_a_body_in_pieces_has_to_be_read():
    with closing(await transport.open(outgoing(stream=True), Timeouts(), stream=True)) as answer:
        assert answer.whole is None
        assert b"".join([chunk async for chunk in answer.chunks()]).endswith(b"data: [DONE]\n\n")


async def test_a_read_is_limited():
    with closing(await transport.open(outgoing(), Timeouts(), stream=False)) as answer:
        assert len(await answer.read(10)) == 10


async def test_events_come_one_by_one():
    with closing(await transport.open(outgoing(stream=True), Timeouts(), stream=True)) as answer:
        chunks = [chunk async for chunk in answer.chunks()]

    assert chunks[-1] == b"data: [DONE]\n\n"
    assert all(chunk.endswith(b"\n\n") for chunk in chunks)


async def test_a_refusal_is_an_answer():
    with closing(await transport.open(outgoing("error-429"), Timeouts(), stream=False)) as answer:
        assert answer.status == 429


async def test_a_cut_is_a_broken_answer():
    got: list[bytes] = []

    async def collect() -> None:
        with closing(await transport.open(outgoing("cut-2", stream=True), Timeouts(), stream=True)) as answer:
            async for chunk in answer.chunks():
                got.append(chunk)  # noqa: PERF401 - what came before the break is wanted

    with pytest.raises(BrokenAnswer):
        await collect()

    assert b"".join(got).count(b"\n\n") == 2


@pytest.mark.parametrize(
    ("script", "timeouts", "stream", "clock"),
    [
        ({"delay_ms": 500}, Timeouts(first_byte_s=0.01), True, "first_byte"),
        ({"delay_ms": 500}, Timeouts(total_s=0.01), True, "total"),
        ({"delay_ms": 500}, Timeouts(total_s=0.01), False, "total"),
        ({"chunk_ms": 500}, Timeouts(idle_s=0.01), True, "idle"),
        ({"chunk_ms": 6, "text": "a b c d"}, Timeouts(total_s=0.02, idle_s=0.01), True, "total"),
    ],
)
async def test_a_clock_that_runs_out_is_a_timeout(script, timeouts, stream, clock):
    with pytest.raises(UpstreamTimeout) as caught:
        await asyncio.wait_for(read(outgoing(stream=stream, sandbox=script), timeouts, stream=stream), 0.4)

    assert caught.value.code == f"upstream_timeout_{clock}"


async def test_without_a_stream_only_the_total_counts():
    tight = Timeouts(first_byte_s=0.001, idle_s=0.001)

    assert await read(outgoing(sandbox={"delay_ms": 5}), tight)


async def test_a_caller_that_leaves_stops_the_play():
    task = spawn(read(outgoing("slow-60000")), name="left")
    await asyncio.sleep(0)

    task.cancel()

    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
