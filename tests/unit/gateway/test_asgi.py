"""What a request's client reads of its body and is sent of its answer; below it is a connection without a socket."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway.asgi import Asgi, Client, read_body
from gateway.errors import GatewayError
from tests.fakes.door import Line, chunked, post


async def test_the_head_of_an_answer_in_asgis_words_does_not_wait_for_its_body() -> None:
    go_on = asyncio.Event()

    async def begin(client: Client) -> None:
        send = Asgi(client).send
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"late"})

    line = Line(begin)
    line.hear(post("/", b"x"))
    await line.settle()
    before = bytes(line.wire.written)
    go_on.set()
    await line.settle()

    assert before.startswith(b"HTTP/1.1 200")
    assert before.endswith(b"\r\n\r\n")
    assert bytes(line.wire.written) == before + b"4\r\nlate\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "dates"),
    [([], [b"ours"]), ([(b"date", b"the provider's")], [b"the provider's"])],
    ids=["ours", "the provider's"],
)
async def test_an_answer_has_one_date(said: list[tuple[bytes, bytes]], dates: list[bytes]) -> None:
    async def answer(client: Client) -> None:
        client.answer(200, b"{}", said)

    line = Line(answer)
    line.state.default_headers = [(b"date", b"ours")]
    line.hear(post("/", b""))

    assert re.findall(rb"\r\ndate: (.*?)\r", await line.settle()) == dates


async def test_a_body_over_the_limit_is_refused_also_when_it_came_at_once() -> None:
    refused: list[GatewayError] = []

    async def read(client: Client) -> None:
        try:
            await read_body(client, {}, limit=4, silence_s=1)
        except GatewayError as error:
            refused.append(error)

    line = Line(read)
    line.hear(chunked("/", b"too", b"long"))
    await line.settle()

    assert [error.status for error in refused] == [413]


async def stream(client: Client) -> None:
    await client.start(200, [])
    for part in (b"one", b"", b"two"):
        await client.send(part)
    client.finish(b"end")


@pytest.mark.parametrize(
    ("sent", "end", "closed"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n3\r\nend\r\n0\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"0\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"close\r\n\r\nonetwoend", True),
        (b"HEAD / HTTP/1.1\r\n\r\n", b"\r\nx-request-id: id\r\n\r\n", False),
    ],
    ids=["1.1", "close", "1.0", "HEAD"],
)
async def test_a_stream_ends_as_its_client_understands_it(sent: bytes, end: bytes, *, closed: bool) -> None:
    line = Line(stream)
    line.hear(sent)
    written = await line.settle()

    assert written.endswith(end)
    assert line.wire.is_closing() is closed
    assert (b"connection: close" in written) is closed


@pytest.mark.parametrize("left", [False, True])
async def test_the_end_of_an_answer_that_is_held_goes_out_once_it_is_let_go(*, left: bool) -> None:
    accounted, behind = asyncio.Event(), []

    async def account(client: Client) -> None:
        client.hold_end()
        await stream(client)
        behind.append(client.finished)
        await accounted.wait()
        client.let_go()

    line = Line(account)
    line.hear(b"GET /one HTTP/1.1\r\n\r\n" + b"GET /two HTTP/1.1\r\n\r\n")
    begun = await line.settle()
    if left:
        line.protocol.connection_lost(None)
    accounted.set()
    written = await line.settle()

    assert begun.endswith(b"3\r\ntwo\r\n")
    assert written.count(b"3\r\nend\r\n0\r\n\r\n") == (0 if left else 2)
    assert behind == ([True] if left else [True, True])  # one after the other, as they were asked
    assert not line.state.tasks


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_whose_length_was_said_lacks_its_last_part_until_it_is_let_go(version: bytes) -> None:
    accounted = asyncio.Event()

    async def account(client: Client) -> None:
        client.hold_end()
        client.begin(200, [(b"content-length", b"9")])
        for part in (b"one", b"", b"two", b"end"):
            await client.send(part)
        client.finish()
        await accounted.wait()
        client.let_go()

    line = Line(account)
    line.hear(b"GET / HTTP/%b\r\n\r\n" % version)
    begun = await line.settle()
    accounted.set()
    written = await line.settle()

    assert begun.endswith(b"\r\n\r\nonetwo")
    assert written == begun + b"end"
    assert line.wire.is_closing() is (version == b"1.0")


async def test_a_client_that_does_not_read_holds_the_handler_back() -> None:
    line = Line(stream)
    line.protocol.pause_writing()
    line.hear(b"GET / HTTP/1.1\r\n\r\n")
    assert (await line.settle()).endswith(b"one\r\n")
    line.protocol.resume_writing()

    assert (await line.settle()).endswith(b"0\r\n\r\n")
