"""The HTTP client against a real server: bodies, reuse, broken answers; under both event loops."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.errors import BadRequest, BrokenAnswer, Unreachable
from gateway.http1.reply import MAX_UNREAD, Reply
from gateway.providers.base import Outgoing
from gateway.settings import Network, Timeouts
from gateway.tasks import spawn
from gateway.transport import Transport
from gateway.upstream import Upstream
from tests.fakes.client import PATIENT, client, failure, fetched, outgoing
from tests.fakes.loops import on_both_loops
from tests.fakes.provider import Provider, Script, chat, chat_stream, refusal
from tests.fakes.waiting import until

HANGING_UP = Script(body=b"ok", hang_up=True)
SILENT = Script(stall_at=0)


def in_parts(whole: Outgoing, parts: AsyncIterator[bytes], length: int | None = None) -> Outgoing:
    return msgspec.structs.replace(whole, parts=parts, length=length)


def test_it_is_a_transport() -> None:
    transport: Transport = Upstream(SystemClock(), Network())

    assert transport.open is not None


# what goes out and what comes back


@on_both_loops
async def test_the_request_arrives_as_it_was_meant() -> None:
    async with Provider(chat()) as provider, client() as upstream:
        await fetched(
            upstream, outgoing(provider, headers=[(b"authorization", b"Bearer sk"), (b"x-a", b"1")])
        )

        (request,) = provider.requests
        assert (request.method, request.path, request.body) == (
            "POST",
            "/v1/chat/completions",
            b'{"model":"m"}',
        )
        assert request.header_list == [
            ("authorization", "Bearer sk"),
            ("x-a", "1"),
            ("host", f"127.0.0.1:{provider.port}"),
            ("content-length", "13"),
        ]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("dribble", [0, 1])
@on_both_loops
async def test_a_body_comes_out_the_same_in_every_framing(framing: Any, dribble: int) -> None:
    script = Script(body=(b"one ", b"two ", b"three"), framing=framing, dribble=dribble)
    async with Provider(script) as provider, client() as upstream:
        assert await fetched(upstream, outgoing(provider)) == (200, b"one two three")
        assert await fetched(upstream, outgoing(provider)) == (200, b"one two three")

        assert provider.connections == (2 if framing == "close" else 1)


@on_both_loops
async def test_a_gzipped_body_passes_through_as_it_is() -> None:
    async with Provider(Script(body=b"hello" * 100, gzip=True)) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=False)) as answer:
            body = await answer.read()

        assert (b"content-encoding", b"gzip") in answer.headers
        assert gzip.decompress(body) == b"hello" * 100


@on_both_loops
async def test_a_stream_is_delivered_as_it_comes() -> None:
    async with Provider(chat_stream(pause_s=0.01)) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=True)) as answer:
            chunks = [chunk async for chunk in answer.chunks()]

        assert len(chunks) > 3
        assert chunks[-1] == b"data: [DONE]\n\n"
        assert answer.connected_ns <= answer.first_byte_ns


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"])
@on_both_loops
async def test_other_methods_work_and_keep_the_connection(method: str) -> None:
    script = Script(status=204, framing="none") if method == "HEAD" else Script(body=b"ok")
    async with Provider(script) as provider, client() as upstream:
        for _ in range(2):
            await fetched(upstream, outgoing(provider, method=method, body=b""))

        assert [request.method for request in provider.requests] == [method, method]
        assert provider.connections == 1


@on_both_loops
async def test_a_head_request_does_not_wait_for_the_body_its_answer_announces() -> None:
    script = Script(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    async with Provider(script) as provider, client() as upstream:
        for _ in range(2):
            assert await fetched(upstream, outgoing(provider, method="HEAD", body=b"")) == (200, b"")

        assert provider.connections == 1


@pytest.mark.parametrize("size", [100, 70_000, 3_000_000])
@on_both_loops
async def test_request_bodies_of_any_size_arrive_whole(size: int) -> None:
    body = bytes(range(251)) * (size // 251)
    async with Provider(chat()) as provider, client() as upstream:
        assert (await fetched(upstream, outgoing(provider, body=body)))[0] == 200
        assert (await fetched(upstream, outgoing(provider)))[0] == 200

        assert provider.requests[0].body == body
        assert provider.connections == 1


@on_both_loops
async def test_an_early_refusal_of_a_large_body_is_heard() -> None:
    script = Script(status=413, body=b"too large", close=True, before_body=True)
    async with Provider(script) as provider, client() as upstream:
        out = outgoing(provider, body=b"x" * 20_000_000)

        assert await fetched(upstream, out) == (413, b"too large")
        assert not upstream.metrics()["connections_reused"]


@pytest.mark.parametrize(("length", "header"), [(None, "transfer-encoding"), (6, "content-length")])
@on_both_loops
async def test_a_body_in_parts_is_sent_as_it_comes(length: int | None, header: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"abc"
        await asyncio.sleep(0)
        yield b"def"

    async with Provider(chat()) as provider, client() as upstream:
        for _ in range(2):
            out = in_parts(outgoing(provider, method="PUT", body=b""), parts(), length)
            with closing(await upstream.open(out, PATIENT, stream=True)) as answer:
                await answer.read()

        assert [request.body for request in provider.requests] == [b"abcdef", b"abcdef"]
        assert header in provider.requests[0].headers
        assert provider.connections == 1


@on_both_loops
async def test_a_body_whose_source_fails_closes_the_connection() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"abc"
        raise BadRequest("the client went away")

    async with Provider(chat()) as provider, client() as upstream:
        with pytest.raises(BadRequest, match="went away"):
            await upstream.open(in_parts(outgoing(provider), parts()), PATIENT, stream=True)

        await until(lambda: upstream.open_now == 0, "closed")
        assert not provider.requests


@on_both_loops
async def test_a_unix_socket_is_an_origin_too(tmp_path: Path) -> None:
    async with Provider(chat(), path=str(tmp_path / "p.sock")) as provider, client() as upstream:
        for _ in range(2):
            await fetched(upstream, outgoing(provider, headers=[(b"host", b"public.name:4000")]))

        assert [value for name, value in provider.requests[0].header_list if name == "host"] == [
            "public.name:4000"
        ]
        assert provider.connections == 1


@on_both_loops
async def test_reading_with_a_limit_leaves_the_rest() -> None:
    async with Provider(Script(body=b"x" * 3_000_000)) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=False)) as answer:
            assert len(await answer.read()) == 1024 * 1024

        await until(lambda: upstream.open_now == 0, "closed")


@on_both_loops
async def test_a_body_nobody_reads_is_not_read_from_the_wire() -> None:
    async with Provider(Script(body=b"x" * 30_000_000)) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=True)) as answer:
            assert isinstance(answer, Reply)
            await until(lambda: answer._paused, "paused")
            held = answer._unread
            await asyncio.sleep(0.05)
            assert held == answer._unread < 3 * MAX_UNREAD

            assert sum([len(chunk) async for chunk in answer.chunks()]) == 30_000_000

        assert upstream.metrics()["connections_open"] == 1


# reuse


@on_both_loops
async def test_the_connection_used_last_is_used_next() -> None:
    async with Provider(Script(body=b"ok", delay_s=0.03)) as provider, client() as upstream:
        await asyncio.gather(*(fetched(upstream, outgoing(provider)) for _ in range(3)))
        for _ in range(3):
            await fetched(upstream, outgoing(provider))

        assert provider.connections == 3
        assert len({request.connection for request in provider.requests[3:]}) == 1
        assert upstream.metrics() == {
            "connections_opened": 3,
            "connections_reused": 3,
            "connections_open": 3,
            "stale_retries": 0,
        }


@pytest.mark.parametrize(
    "script",
    [
        Script(body=b"ok", close=True),
        Script(body=b"ok", version="HTTP/1.0"),
        Script(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok!"),
        Script(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"),
        Script(body=b"ok", framing="close"),
    ],
    ids=["close", "http/1.0", "surplus", "second answer", "until close"],
)  # fmt: skip
@on_both_loops
async def test_a_connection_that_may_not_be_used_again_is_not(script: Script) -> None:
    async with Provider(script) as provider, client() as upstream:
        for _ in range(2):
            assert await fetched(upstream, outgoing(provider)) == (200, b"ok")

        assert provider.connections == 2
        assert upstream.reused == 0


@on_both_loops
async def test_an_answer_left_before_its_end_takes_the_connection_along() -> None:
    async with Provider(Script(body=(b"half", 5.0, b"rest"))) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=True)) as answer:
            assert await anext(answer.chunks()) == b"half"

        await until(lambda: upstream.open_now == 0, "closed")


@on_both_loops
async def test_a_connection_the_server_closed_meanwhile_is_not_tried() -> None:
    async with Provider([HANGING_UP, chat()]) as provider, client() as upstream:
        await fetched(upstream, outgoing(provider))
        await until(lambda: upstream.open_now == 0, "noticed")

        assert (await fetched(upstream, outgoing(provider)))[0] == 200
        assert upstream.metrics()["stale_retries"] == 0


@pytest.mark.parametrize("cut", ["fin", "rst"])
@pytest.mark.parametrize("size", [10, 500_000])
@on_both_loops
async def test_a_request_that_met_a_dead_connection_is_sent_once_more(cut: Any, size: int) -> None:
    scripts = [chat(), Script(cut_at=0, cut=cut), chat("again")]
    async with Provider(scripts) as provider, client() as upstream:
        await fetched(upstream, outgoing(provider))

        status, body = await fetched(upstream, outgoing(provider, body=b"x" * size))

        assert (status, b"again" in body) == (200, True)
        assert [request.connection for request in provider.requests] == [1, 1, 2]
        assert upstream.metrics()["stale_retries"] == 1


@on_both_loops
async def test_it_is_sent_only_once_more() -> None:
    async with Provider([chat(), Script(cut_at=0)]) as provider, client() as upstream:
        await fetched(upstream, outgoing(provider))

        error = await failure(upstream, outgoing(provider))

        assert isinstance(error, Unreachable)
        assert error.retryable
        assert len(provider.requests) == 3


@on_both_loops
async def test_on_a_fresh_connection_nothing_is_sent_twice() -> None:
    async with Provider(Script(cut_at=0)) as provider, client() as upstream:
        error = await failure(upstream, outgoing(provider))

        assert (error.code, error.retryable) == ("upstream_unreachable", True)
        assert len(provider.requests) == 1


@on_both_loops
async def test_once_a_byte_of_the_answer_came_nothing_is_sent_twice() -> None:
    async with Provider([chat(), Script(cut_at=1), chat()]) as provider, client() as upstream:
        await fetched(upstream, outgoing(provider))

        assert isinstance(await failure(upstream, outgoing(provider)), BrokenAnswer)
        assert len(provider.requests) == 2


@on_both_loops
async def test_a_body_in_parts_is_never_sent_twice() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"abc"

    async with Provider([chat(), Script(cut_at=0), chat()]) as provider, client() as upstream:
        await fetched(upstream, outgoing(provider))

        with pytest.raises(Unreachable):
            await upstream.open(in_parts(outgoing(provider), parts()), PATIENT, stream=True)

        assert len(provider.requests) == 2


@on_both_loops
async def test_idle_connections_are_closed_in_time() -> None:
    async with Provider(chat()) as provider, client(idle_s=0.03) as upstream:
        await fetched(upstream, outgoing(provider))
        assert upstream.open_now == 1

        await until(lambda: upstream.open_now == 0, "expired")


@on_both_loops
async def test_a_connection_too_old_is_not_taken_even_if_nobody_swept() -> None:
    async with Provider(chat()) as provider, client(idle_s=-1) as upstream:
        for _ in range(2):
            await fetched(upstream, outgoing(provider))

        assert provider.connections == 2


@on_both_loops
async def test_only_so_many_idle_connections_are_kept() -> None:
    async with Provider(Script(body=b"ok", delay_s=0.03)) as provider, client(max_idle=2) as upstream:
        await asyncio.gather(*(fetched(upstream, outgoing(provider)) for _ in range(5)))

        await until(lambda: upstream.open_now == 2, "the others closed")


@on_both_loops
async def test_a_cap_on_connections_makes_requests_wait_for_their_turn() -> None:
    scripts = Script(body=b"ok", delay_s=0.005)
    async with Provider(scripts) as provider, client(max_connections=2) as upstream:
        answers = await asyncio.gather(*(fetched(upstream, outgoing(provider)) for _ in range(9)))

        assert answers == [(200, b"ok")] * 9
        assert provider.connections == 2


@on_both_loops
async def test_a_cap_also_moves_on_when_connections_end() -> None:
    script = Script(body=b"ok", close=True)
    async with Provider(script) as provider, client(max_connections=1) as upstream:
        answers = await asyncio.gather(*(fetched(upstream, outgoing(provider)) for _ in range(5)))

        assert answers == [(200, b"ok")] * 5


@on_both_loops
async def test_waiting_for_a_turn_ends_with_the_connect_clock() -> None:
    async with Provider(SILENT) as provider, client(max_connections=1) as upstream:
        first = spawn(fetched(upstream, outgoing(provider)), name="first")
        await until(lambda: bool(provider.requests), "the first is there")

        error = await failure(upstream, outgoing(provider), Timeouts(connect_s=0.03))

        assert error.code == "upstream_timeout_connect"
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


# broken answers


@pytest.mark.parametrize("cut", ["fin", "rst"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@on_both_loops
async def test_a_cut_body_is_broken_after_what_came_of_it(cut: Any, framing: Any) -> None:
    script = Script(body=(b"hello ", 0.02, b"world"), framing=framing, cut_at=10_000, cut=cut)
    whole = sum(len(piece) for piece in script.wire() if isinstance(piece, bytes))
    script = Script(body=script.body, framing=framing, cut_at=whole - 1, cut=cut)
    async with Provider(script) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=True)) as answer:
            assert await anext(answer.chunks()) == b"hello "
            with pytest.raises(BrokenAnswer):
                await answer.read()

        await until(lambda: upstream.open_now == 0, "closed")


@pytest.mark.parametrize("dribble", [0, 1])
@pytest.mark.parametrize(
    "raw",
    [b"SMTP ready\r\n\r\n", b"HTTP/1.1 101 Up\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nxx", b"\x16\x03\x01" * 9],
    ids=["text", "upgrade", "noise"],
)  # fmt: skip
@on_both_loops
async def test_nonsense_is_a_broken_answer(raw: bytes, dribble: int) -> None:
    async with Provider(Script(raw=raw, dribble=dribble)) as provider, client() as upstream:
        assert isinstance(await failure(upstream, outgoing(provider)), BrokenAnswer)
        await until(lambda: upstream.open_now == 0, "closed")


@on_both_loops
async def test_headers_without_end_are_not_collected() -> None:
    script = Script(raw=b"HTTP/1.1 200 OK\r\n" + b"x-a: aaaaaaaaaaaaaaaaaaaa\r\n" * 100_000)
    async with Provider(script) as provider, client() as upstream:
        assert "256 KB" in str(await failure(upstream, outgoing(provider)))


@on_both_loops
async def test_an_error_status_is_an_answer_like_any_other() -> None:
    refused = refusal(429, headers=(("retry-after", "7"),))
    async with Provider(refused) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=True)) as answer:
            assert answer.status == 429
            assert (b"retry-after", b"7") in answer.headers
