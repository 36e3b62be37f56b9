"""What a connection writes, and when; its transport is a fake that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
from typing_extensions import override

from gateway.clock import SystemClock
from gateway.errors import BadRequest, BrokenAnswer, Unreachable, UpstreamTimeout
from gateway.http1.connection import PIECE, Connection
from gateway.http1.reply import Reply, Stale
from gateway.providers.base import Origin, Outgoing
from gateway.settings import Timeouts
from gateway.tasks import spawn
from tests.fakes.waiting import until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Wire(asyncio.Transport):
    """Remembers what was written; `full_after` bytes it asks to pause."""

    def __init__(self, connection: Connection, full_after: int = 2**60) -> None:
        super().__init__()
        self.written = bytearray()
        self.aborted = False
        self.full_after = full_after
        self._connection = connection
        connection.connection_made(self)

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        if len(self.written) >= self.full_after:
            self._connection.pause_writing()

    @override
    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    @override
    def is_closing(self) -> bool:
        return self.aborted


class Timers:
    """The running loop, as far as a connection uses it; remembers the timers."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.time = self._loop.time
        self.create_future = self._loop.create_future
        self.made: list[asyncio.TimerHandle] = []

    def call_at(self, when: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        self.made.append(self._loop.call_at(when, call))
        return self.made[-1]


async def ask(
    connection: Connection,
    body: bytes = b"",
    *,
    parts: AsyncIterator[bytes] | None = None,
    length: int | None = None,
    total_s: float = 5,
) -> Reply:
    outgoing = Outgoing("POST", Origin("http", "api.test", 80), "/", [], body, parts, length)
    total_at = asyncio.get_running_loop().time() + total_s
    head = b"HEAD\r\n\r\n"
    reply = connection.ask(outgoing, head, Timeouts(total_s=total_s), total_at, stream=False)
    try:
        if not (reply.asked or reply.over):
            await connection.send(outgoing, head, reply)
        while not reply.status:
            await reply.news()
    except BaseException:
        reply.close()
        raise
    return reply


def connected(full_after: int = 2**60) -> tuple[Connection, Wire]:
    connection = Connection("api.test", SystemClock())
    return connection, Wire(connection, full_after)


async def these(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_small_request_is_one_write_and_its_answer_frees_the_connection() -> None:
    connection, wire = connected()
    asking = spawn(ask(connection, b"{}"), name="ask")
    await until(lambda: bool(wire.written), "written")

    connection.data_received(OK)
    answer = await asking

    assert bytes(wire.written) == b"HEAD\r\n\r\n{}"
    assert await answer.read() == b"ok"
    assert connection.leave()
    assert not wire.aborted


async def test_a_large_body_waits_for_the_peer() -> None:
    connection, wire = connected(full_after=2 * PIECE)
    body = bytes(range(256)) * 2048
    asking = spawn(ask(connection, body), name="ask")
    await until(lambda: len(wire.written) >= 2 * PIECE, "the first pieces")
    await asyncio.sleep(0)
    assert len(wire.written) < 4 * PIECE

    wire.full_after = 2**60
    connection.resume_writing()
    await until(lambda: len(wire.written) == 8 + len(body), "all of it")
    connection.data_received(OK)
    await asking

    assert bytes(wire.written[8:]) == body
    assert connection.leave()


async def test_an_early_refusal_stops_the_sending_and_the_connection() -> None:
    connection, wire = connected(full_after=PIECE)
    asking = spawn(ask(connection, b"x" * 10 * PIECE), name="ask")
    await until(lambda: len(wire.written) >= PIECE, "the first piece")

    connection.data_received(b"HTTP/1.1 413 Too large\r\ncontent-length: 2\r\n\r\nno")
    answer = await asking

    assert (answer.status, await answer.read()) == (413, b"no")
    assert len(wire.written) < 3 * PIECE
    assert not connection.leave()
    assert wire.aborted


async def test_a_connection_lost_while_sending_is_stale() -> None:
    connection, wire = connected(full_after=PIECE)
    asking = spawn(ask(connection, b"x" * 10 * PIECE), name="ask")
    await until(lambda: len(wire.written) >= PIECE, "the first piece")

    connection.connection_lost(ConnectionResetError())

    with pytest.raises(Stale):
        await asking


@pytest.mark.parametrize(
    ("length", "wanted"),
    [(None, b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"), (5, b"abcde")],
    ids=["chunked", "length"],
)
async def test_parts_are_sent_as_they_come(length: int | None, wanted: bytes) -> None:
    connection, wire = connected()
    asking = spawn(ask(connection, parts=these(b"ab", b"", b"cde"), length=length), name="ask")
    await until(lambda: bytes(wire.written).endswith(wanted), "the parts")

    connection.data_received(OK)
    await asking

    assert bytes(wire.written) == b"HEAD\r\n\r\n" + wanted
    assert connection.leave()


@pytest.mark.parametrize("length", [3, 9], ids=["too long", "too short"])
async def test_parts_of_another_length_than_promised_end_the_connection(length: int) -> None:
    connection, wire = connected()

    with pytest.raises(BadRequest):
        await ask(connection, parts=these(b"ab", b"cde"), length=length)

    assert wire.aborted


async def test_what_the_parts_raise_comes_out() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise KeyError("gone")

    connection, wire = connected()

    with pytest.raises(KeyError):
        await ask(connection, parts=failing())

    assert wire.aborted


async def test_parts_that_never_come_end_with_the_total_clock() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    connection, wire = connected()

    with pytest.raises(UpstreamTimeout) as caught:
        await ask(connection, parts=never(), total_s=0.03)

    assert caught.value.code == "upstream_timeout_total"
    assert wire.aborted


async def test_bytes_nobody_asked_for_close_an_idle_connection() -> None:
    connection, wire = connected()

    connection.data_received(b"HTTP/1.1 408 Too slow\r\n\r\n")

    assert wire.aborted
    assert not connection.usable


async def test_asking_a_dead_connection_says_so() -> None:
    connection, _ = connected()
    connection.connection_lost(None)

    with pytest.raises(Stale):
        await ask(connection)


async def test_an_answer_is_ended_from_outside_by_the_error_given() -> None:
    connection, wire = connected()
    asking = spawn(ask(connection), name="ask")
    await until(lambda: bool(wire.written), "written")
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    answer = await asking

    connection.fail(Unreachable("stopping"))
    await asyncio.sleep(0)

    assert await anext(answer.chunks()) == b"half"
    with pytest.raises(Unreachable, match="stopping"):
        await anext(answer.chunks())
    assert not connection.leave()


async def test_a_cancelled_question_closes_the_connection() -> None:
    connection, wire = connected()
    asking = spawn(ask(connection), name="ask")
    await until(lambda: bool(wire.written), "written")

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert wire.aborted


async def test_a_connection_closed_in_the_middle_of_an_answer_tells_its_reader() -> None:
    connection, wire = connected()
    asking = spawn(ask(connection), name="ask")
    await until(lambda: bool(wire.written), "written")
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
    answer = await asking
    reading = spawn(answer.read(), name="read")
    await asyncio.sleep(0)

    connection.connection_lost(None)

    with pytest.raises(BrokenAnswer):
        await reading


async def test_a_busy_connection_keeps_one_timer_which_goes_when_it_goes() -> None:
    connection, wire = connected()
    timers = Timers()
    connection.loop = cast("asyncio.AbstractEventLoop", timers)
    for _ in range(3):
        asking = spawn(ask(connection, b"{}"), name="ask")
        wire.written.clear()
        await until(lambda: bool(wire.written), "written")
        connection.data_received(OK)
        await asking
        assert connection.leave()

    (timer,) = timers.made
    assert not timer.cancelled()
    connection.connection_lost(None)
    assert timer.cancelled()


async def test_a_timer_of_an_earlier_answer_does_not_end_the_next() -> None:
    connection, wire = connected()
    asking = spawn(ask(connection, total_s=0.02), name="ask")
    await until(lambda: bool(wire.written), "written")
    connection.data_received(OK)
    await asking
    assert connection.leave()

    asking = spawn(ask(connection, total_s=0.06), name="ask")

    with pytest.raises(UpstreamTimeout, match=r"within 0.06 s"):
        await asyncio.wait_for(asking, 5)
