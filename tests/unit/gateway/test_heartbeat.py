from __future__ import annotations

import asyncio
from typing import cast

from gateway.asgi import Client
from gateway.heartbeat import COMMENT, Heartbeat
from tests.fakes.waiting import until


class Listener:
    """As much of a client as a heartbeat looks at; remembers what it was sent."""

    def __init__(self) -> None:
        self.over = self.started = self.gone = False
        self.sent: list[bytes] = []
        self.status = 0

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        assert (b"content-type", b"text/event-stream") in headers
        self.started, self.status = True, status

    def write(self, chunk: bytes) -> bool:
        self.sent.append(chunk)
        return False


def beating(client: Listener, every_s: float) -> Heartbeat:
    return Heartbeat(cast("Client", client), every_s)


async def test_the_first_beat_begins_the_answer_and_the_next_ones_follow() -> None:
    client = Listener()
    heartbeat = beating(client, 0.01)
    await until(lambda: len(client.sent) >= 3)
    heartbeat.stop()

    assert client.status == 200
    assert set(client.sent) == {COMMENT}


async def test_nothing_comes_between_the_halves_of_an_event() -> None:
    client = Listener()
    heartbeat = beating(client, 0.01)
    heartbeat.sent(b'data: {"half":')
    await asyncio.sleep(0.05)
    assert not client.sent

    heartbeat.sent(b"1}\n\n")
    await until(lambda: bool(client.sent))
    heartbeat.stop()


async def test_a_stream_that_talks_needs_no_sign_of_life() -> None:
    client = Listener()
    heartbeat = beating(client, 0.2)
    for _ in range(10):
        heartbeat.sent(b"data: x\n\n")
        await asyncio.sleep(0.03)
    heartbeat.stop()

    assert not client.sent


async def test_after_the_end_it_is_quiet() -> None:
    client = Listener()
    beating(client, 0.01)
    client.over = True
    await asyncio.sleep(0.05)

    stopped = beating(Listener(), 0.01)
    stopped.stop()
    await asyncio.sleep(0.05)

    assert not client.sent
