"""Many clients at once, slow clients, and clients with HTTP habits of their own."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.fakes.callers import CHAT, call, posted, question, raw
from tests.fakes.provider import Provider, Received, Script, chat_stream, openai
from tests.fakes.tidegate import Tidegate, eventually

CROWD = 200
BIG = chat_stream(["x" * 65_000] * 500)
"""A stream of 32 MB."""
BIG_BYTES = 500 * 65_000
MAY_GROW_MB = 16


def script(request: Received) -> Script:
    model = request.json()["model"] if request.method == "POST" else ""
    return (
        BIG
        if model == "big"
        else chat_stream(["so"] * 10, pause_s=0.03)
        if model == "slow"
        else openai(request)
    )


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(script).in_thread() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    config = {"providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}}}
    with Tidegate(tmp_path_factory.mktemp("crowds"), config) as house:
        yield house


def rss_mb(gateway: Tidegate) -> float:
    (worker,) = gateway.pids("worker")
    pages = int(Path(f"/proc/{worker}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def content(stream: bytes) -> str:
    """Return the text of a chat stream."""
    events = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    choices = [choice for event in events for choice in msgspec.json.decode(event)["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


async def test_two_hundred_streams_at_once_are_all_whole_and_all_their_own(gateway: Tidegate) -> None:
    begun = asyncio.Semaphore(0)
    together = asyncio.Event()

    async def one(number: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        body = question("sandbox/pace-100", f"call {number} of the crowd", stream=True)
        writer.write(posted(body, "connection: close", "x-tidegate-thread-id: crowd"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        begun.release()
        await together.wait()
        stream = await reader.read()
        writer.close()
        assert stream.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        return content(stream)

    async def all_begun() -> None:
        for _ in range(CROWD):
            await begun.acquire()
        together.set()

    *texts, _ = await asyncio.gather(*(one(number) for number in range(CROWD)), all_begun())

    assert texts == [f"call {number} of the crowd" for number in range(CROWD)]
    rows = gateway.await_calls(CROWD, thread_id="crowd")
    assert {row["status"] for row in rows} == {"ok"}


def test_a_client_that_does_not_read_is_not_read_for(gateway: Tidegate, provider: Provider) -> None:
    before = rss_mb(gateway)
    with raw(gateway) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        slow.sendall(
            posted(question("fake/big", stream=True), "x-tidegate-event-id: slow", "connection: close")
        )
        received = slow.recv(100)
        for number in range(20):
            assert call(gateway, "fake/gpt-4o-mini", event=f"beside-{number}").answered
        assert rss_mb(gateway) < before + MAY_GROW_MB
        assert gateway.calls(event_id="slow") == []

        while part := slow.recv(1 << 20):
            received += part

    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert received.count(b"x") >= BIG_BYTES
    (row,) = gateway.await_calls(1, event_id="slow")
    assert (row["status"], row["output_tokens"]) == ("ok", 500)
    assert rss_mb(gateway) < before + 2 * MAY_GROW_MB


def test_pipelined_requests_are_answered_in_order(gateway: Tidegate) -> None:
    asked = [
        posted(question("sandbox/echo" if number % 2 else "sandbox/slow-50", f"number {number}"))
        for number in range(6)
    ]
    with raw(gateway) as connection, closing(connection.makefile("rb")) as incoming:
        connection.sendall(b"".join(asked))
        heard = []
        for _ in asked:
            assert incoming.readline().startswith(b"HTTP/1.1 200")
            headers = http.client.parse_headers(incoming)
            heard.append(msgspec.json.decode(incoming.read(int(headers["content-length"]))))

    assert [answer["choices"][0]["message"]["content"] for answer in heard] == [
        f"number {number}" for number in range(6)
    ]


def test_one_connection_carries_many_calls(gateway: Tidegate, provider: Provider) -> None:
    connections = provider.connections
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)) as connection:
        connection.connect()
        ours = connection.sock
        for number in range(50):
            stream = number % 2 == 0
            connection.request("POST", CHAT, question("fake/gpt-4o-mini", stream=stream))
            answer = connection.getresponse()
            assert answer.status == 200
            assert b"[DONE]" in answer.read() if stream else b"usage" in answer.read()
            assert connection.sock is ours

    assert provider.connections - connections <= 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_http_1_0_client_gets_an_answer_that_ends_with_the_connection(
    gateway: Tidegate, *, stream: bool
) -> None:
    with raw(gateway) as connection, closing(connection.makefile("rb")) as incoming:
        connection.sendall(
            posted(question("fake/slow" if stream else "fake/x", stream=stream), version="HTTP/1.0")
        )
        assert b" 200 " in incoming.readline()
        headers = http.client.parse_headers(incoming)
        body = incoming.read()

    assert "transfer-encoding" not in headers
    if stream:
        assert body.endswith(b"data: [DONE]\n\n")
        assert content(body) == "so" * 10
    else:
        assert msgspec.json.decode(body)["usage"]["total_tokens"] == 12


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health/live", 200), ("/v1/models", 200), ("/v1/embeddings", 405), ("/nothing", 404)],
)
def test_head_is_answered_without_a_body(gateway: Tidegate, path: str, status: int) -> None:
    with raw(gateway) as connection, closing(connection.makefile("rb")) as incoming:
        connection.sendall(f"HEAD {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        assert int(incoming.readline().split()[1]) == status
        headers = http.client.parse_headers(incoming)
        assert incoming.read() == b""

    assert headers["x-tidegate-call-id"]


def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(gateway: Tidegate) -> None:
    body = question("fake/gpt-4o-mini")
    head, _, _ = posted(body, "expect: 100-continue", "connection: close").partition(b"\r\n\r\n")
    with raw(gateway) as connection, closing(connection.makefile("rb")) as incoming:
        connection.sendall(head + b"\r\n\r\n")
        assert incoming.readline().startswith(b"HTTP/1.1 100")
        assert incoming.readline() == b"\r\n"
        connection.sendall(body)
        assert incoming.readline().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("size", [1, 7])
def test_a_request_that_arrives_in_crumbs_is_understood(gateway: Tidegate, size: int) -> None:
    sent = posted(question("sandbox/echo", "crumbs"), "connection: close")
    with raw(gateway) as connection, closing(connection.makefile("rb")) as incoming:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            connection.sendall(sent[start : start + size])
        answer = incoming.read()

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"crumbs" in answer


def test_after_the_crowd_nothing_is_left_open(gateway: Tidegate) -> None:
    call(gateway, "fake/gpt-4o-mini", event="last")

    def open_calls() -> bool:
        sinks = {sink["name"]: sink for sink in gateway.get("/health/ready").json()["sinks"]}
        return bool(sinks["collector"]["detail"]["open_calls"] == 0)

    gateway.await_calls(1, event_id="last")
    eventually(open_calls, what="every call to be settled")
    assert "Traceback" not in gateway.log()
