"""What a client's connection makes of bytes, however they are cut; its transport is a fake that remembers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.asgi import Asgi, Client
from gateway.http1.server import MUCH, close_slow
from tests.fakes.door import LIMIT, Handler, Line, Upgraded, chunked, cut, post, tell


async def heard(*pieces: bytes, handler: Handler = tell) -> bytes:
    line = Line(handler)
    line.hear(*pieces)
    return await line.settle()


MANY = (
    post("/a%20b?q=1#f", b"one")
    + b"GET /two HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    + b"HEAD http://host/three?x HTTP/1.1\r\n\r\n"
    + chunked("/four", b"fo", b"u" * 50, b"r")
    + post("/five", b"")
)


@settings(deadline=None, max_examples=150)
@given(places=st.lists(st.integers(0, len(MANY)), max_size=12))
def test_requests_mean_the_same_wherever_their_bytes_are_cut(places: list[int]) -> None:
    whole = asyncio.run(heard(MANY))

    assert asyncio.run(heard(*cut(MANY, places))) == whole
    for number, said in enumerate([b"/a b", b"b'/two'", b"fo" + b"u" * 50 + b"r", b"b'/five'"]):
        assert said in whole, number
    assert whole.count(b"HTTP/1.1 200 OK\r\n") == 5
    assert b"x-late" not in whole


@settings(deadline=None)
@given(junk=st.binary(min_size=1, max_size=200), places=st.lists(st.integers(0, 400), max_size=4))
def test_whatever_arrives_nothing_is_raised_and_good_requests_before_it_are_answered(
    junk: bytes, places: list[int]
) -> None:
    sent = post("/good", b"one") + junk

    written = asyncio.run(heard(*cut(sent, places)))

    assert written.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_a_400_after_the_answers_before_it(junk: bytes) -> None:
    line = Line(tell)
    line.hear(junk)
    behind = Line(tell)
    behind.hear(post("/good", b"") + junk)

    assert (await line.settle()).startswith(b"HTTP/1.1 400 ")
    assert line.wire.ended
    first, last = (await behind.settle()).split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200")
    assert last.startswith(b"400")
    assert last.endswith(b"invalid_http")


BROKEN = (b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n")


@pytest.mark.parametrize("late", [False, True], ids=["at once", "while it is read"])
async def test_a_body_whose_framing_breaks_is_refused_and_its_handler_let_go(*, late: bool) -> None:
    line = Line(tell)
    line.hear(BROKEN[0])
    if late:
        await line.settle()
    line.hear(BROKEN[1])
    answer = await line.settle()

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"invalid_http")
    assert answer.count(b"HTTP/1.1") == 1
    assert line.wire.ended
    assert not line.state.tasks


async def test_an_answer_that_has_begun_is_broken_off_when_its_requests_framing_breaks() -> None:
    async def early(client: Client) -> None:
        client.begin(200, [])
        await client.send(b"so far")
        await client.part()
        await client.part()

    line = Line(early)
    line.hear(BROKEN[0])
    before = await line.settle()
    line.hear(BROKEN[1])

    assert before.endswith(b"so far\r\n")
    assert await line.settle() == before
    assert line.wire.is_closing()


@pytest.mark.parametrize(
    "sent", [b"no HTTP\r\n\r\n", b"".join(BROKEN), b"GET / HTTP/1.1\r\nx: " + b"y" * LIMIT * 2]
)
async def test_what_never_became_a_request_is_answered_with_ids_of_its_own(sent: bytes) -> None:
    first, second = fields(await heard(sent)), fields(await heard(sent))

    names = ("x-request-id", "x-tidegate-call-id", "x-tidegate-event-id")
    assert len({first[name] for name in names}) == 1
    assert len(first[names[0]]) == 36
    assert first[names[0]] != second[names[0]]


def fields(answer: bytes) -> dict[str, str]:
    head = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name: value for name, _, value in (line.partition(": ") for line in head)}


async def test_a_request_sent_ahead_whose_framing_breaks_is_refused_in_its_turn() -> None:
    line = Line(tell)
    line.hear(post("/good", b""), b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
    first, last = (await line.settle()).split(b"HTTP/1.1 ")[1:]

    assert first.startswith(b"200")
    assert last.startswith(b"400")
    assert not line.state.tasks


@pytest.mark.parametrize("size", [1, 700, 5_000])
@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nx: " + b"y" * LIMIT + b"\r\n\r\n",
        b"GET /" + b"y" * LIMIT + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * LIMIT * 2,
    ],
)
async def test_headers_over_the_limit_are_refused_however_they_arrive(sent: bytes, size: int) -> None:
    pieces = [sent[start : start + size] for start in range(0, len(sent), size)]

    assert (await heard(*pieces)).startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_comes_with_its_headers_does_not_count_as_one() -> None:
    assert (await heard(post("/", b"x" * LIMIT * 3))).startswith(b"HTTP/1.1 200 ")


async def test_trailers_without_end_are_not_kept() -> None:
    line = Line(tell)
    line.hear(b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", *[b"y" * 500] * 10)

    assert (await line.settle()).startswith(b"HTTP/1.1 431 ")
    assert line.wire.ended


async def test_an_unread_body_is_not_read_on_until_the_handler_asks() -> None:
    go = asyncio.Event()

    async def late(client: Client) -> None:
        await go.wait()
        await tell(client)

    line = Line(late)
    sent = post("/", b"x" * MUCH * 2)
    line.hear(sent[:1000])
    assert line.wire.is_reading()
    line.hear(sent[1000 : MUCH + 1000])
    await line.settle()
    assert not line.wire.is_reading()
    go.set()
    await line.settle()
    assert line.wire.is_reading()
    line.hear(sent[MUCH + 1000 :])
    assert repr(b"x" * MUCH * 2).encode() in await line.settle()


async def test_once_a_large_body_is_here_the_connection_is_read_so_that_a_hang_up_is_noticed() -> None:
    line = Line(Client.ended)
    sent = post("/", b"x" * MUCH * 2)
    line.hear(sent)
    await line.settle()
    at_once = line.wire.is_reading()
    in_parts = Line(Client.ended)
    in_parts.hear(sent[: MUCH + 1000])
    assert not in_parts.wire.is_reading()
    in_parts.hear(sent[MUCH + 1000 :])

    assert at_once
    assert in_parts.wire.is_reading()


async def test_requests_sent_ahead_wait_and_are_not_read_without_end() -> None:
    go = asyncio.Event()

    async def late(client: Client) -> None:
        await go.wait()
        await tell(client)

    line = Line(late)
    line.hear(post("/0", b""), post("/1", b"x" * MUCH), post("/2", b""))
    await line.settle()
    assert len(line.state.tasks) == 1
    assert not line.wire.is_reading()
    go.set()
    answers = (await line.settle()).split(b"HTTP/1.1 ")[1:]

    assert [b"'/%d'" % number in answer for number, answer in enumerate(answers)] == [True] * 3
    assert line.wire.is_reading()
    assert not line.state.tasks
    assert line.state.total_requests == 3


async def test_a_hang_up_reaches_the_handler_at_once_also_with_requests_behind_it() -> None:
    told = []

    async def forever(client: Client) -> None:
        client.watch(lambda: told.append(client.path))
        await client.ended()
        client.answer(200, b"")

    line = Line(forever)
    line.hear(post("/a", b""), post("/b", b""))
    await line.settle()
    line.protocol.connection_lost(None)

    assert told == ["/a"]
    assert await line.settle() == b""
    assert not line.state.tasks
    assert not line.state.connections
    assert not line.protocol.everyone


async def test_a_client_that_leaves_in_its_body_is_noticed() -> None:
    found = []

    async def look(client: Client) -> None:
        asgi = Asgi(client)
        found.append(await asgi.receive())
        found.append(await asgi.receive())

    line = Line(look)
    line.hear(post("/", b"long")[:-2])
    await line.settle()
    line.protocol.connection_lost(None)
    await line.settle()

    assert found == [
        {"type": "http.request", "body": b"lo", "more_body": True},
        {"type": "http.disconnect"},
    ]


async def test_who_asks_before_the_body_is_told_to_go_on_once() -> None:
    line = Line(tell)
    sent = post("/", b"body", "Expect: 100-continue")
    line.hear(sent[:-4])
    assert await line.settle() == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.hear(b"bo")
    await line.settle()
    line.hear(b"dy")

    assert (await line.settle()).count(b"100 Continue") == 1


@pytest.mark.parametrize("begun", [False, True])
async def test_a_handler_that_fails_or_forgets_leaves_no_answer_that_looks_whole(*, begun: bool) -> None:
    async def forget(client: Client) -> None:
        if begun:
            await client.start(200, [])
            await client.send(b"half")

    line = Line(forget)
    line.hear(post("/", b""))

    assert not (await line.settle()).endswith(b"0\r\n\r\n")
    assert line.wire.is_closing()
    assert not line.state.tasks


async def test_a_shutdown_closes_the_idle_and_lets_the_busy_finish() -> None:
    idle, busy = Line(tell), Line(tell)
    idle.hear(post("/", b""))
    await idle.settle()
    busy.hear(post("/a", b""), post("/b", b""))
    idle.protocol.shutdown()
    busy.protocol.shutdown()
    assert idle.wire.is_closing()
    assert not busy.wire.is_closing()

    written = await busy.settle()
    assert written.count(b"HTTP/1.1 200 OK") == 2
    assert written.count(b"connection: close") == 1
    assert busy.wire.is_closing()


async def test_the_sweep_refuses_slow_headers_and_closes_the_idle() -> None:
    _silent, half, glued, idle, used = lines = [Line(tell) for _ in range(5)]
    for line in (half, idle, used):
        line.hear(post("/", b""))
        await line.settle()
    half.hear(b"GET / HT")
    glued.hear(post("/", b"") + b"GET / HT")
    await glued.settle()
    now = asyncio.get_running_loop().time()

    def sweep(after: float) -> list[bool]:
        for line in lines:
            close_slow(line.protocol.everyone, now=now + after, limit_s=3)
        return [b"HTTP/1.1 408" in line.wire.written for line in lines]

    assert sweep(1) == [False] * 5
    assert sweep(4.5) == [True, True, True, False, False]
    used.hear(post("/", b""))
    await used.settle()
    sweep(7)
    assert idle.wire.is_closing()
    assert not used.wire.is_closing()


async def test_the_sweep_leaves_who_waits_for_an_answer_alone() -> None:
    go = asyncio.Event()

    async def late(client: Client) -> None:
        await go.wait()
        client.answer(200, b"")

    line = Line(late)
    line.hear(post("/", b""), b"GET / HT")
    now = asyncio.get_running_loop().time()
    for after in (10, 20, 30):
        close_slow(line.protocol.everyone, now=now + after, limit_s=3)
    line.protocol.reading_since = now - 100
    go.set()
    await line.settle()
    close_slow(line.protocol.everyone, now=now + 1, limit_s=3)
    line.hear(b"TP/1.1\r\n\r\n")

    assert (await line.settle()).count(b"HTTP/1.1 200 OK") == 2


async def test_a_websocket_goes_to_its_own_protocol_with_the_whole_request() -> None:
    sent = b"GET /ws?a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
    line = Line(tell)
    line.hear(sent[:30], sent[30:])
    await line.settle()

    assert isinstance(line.wire.protocol, Upgraded)
    assert line.wire.protocol.got == (
        b"GET /ws?a HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\r\n"
    )
    assert not line.protocol.everyone
    assert not line.state.connections
