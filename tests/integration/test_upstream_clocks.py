"""The four clocks, cancellation and closing of the HTTP client; under both event loops."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import Any

import pytest

from gateway.errors import Unreachable, UpstreamTimeout
from gateway.providers.base import Origin, Outgoing
from gateway.settings import Network, Timeouts
from gateway.tasks import spawn
from tests.fakes.client import PATIENT, client, failure, fetched, outgoing
from tests.fakes.loops import on_both_loops
from tests.fakes.provider import Provider, Received, Script, chat
from tests.fakes.waiting import until

SILENT = Script(stall_at=0)


# the four clocks


CLOCKS: list[tuple[str, Timeouts, Script]] = [
    ("first_byte", Timeouts(first_byte_s=0.05), SILENT),
    ("idle", Timeouts(idle_s=0.05), Script(body=b"x" * 1000, stall_at=500)),
    ("idle", Timeouts(idle_s=0.05), Script(body=b"x" * 1000, stall_at=20)),
    ("total", Timeouts(total_s=0.05), SILENT),
    ("total", Timeouts(total_s=0.05), Script(body=(b"x", 0.01) * 100, framing="chunked")),
]


@pytest.mark.parametrize(
    ("name", "timeouts", "script"), CLOCKS, ids=["silent", "body", "headers", "total", "talkative"]
)
@on_both_loops
async def test_each_clock_ends_the_attempt_by_its_name(name: str, timeouts: Timeouts, script: Script) -> None:
    async with Provider(script) as provider, client() as upstream:
        error = await failure(upstream, outgoing(provider), timeouts, stream=True)

        assert isinstance(error, UpstreamTimeout)
        assert (error.status, error.code) == (504, f"upstream_timeout_{name}")
        assert not error.retryable
        assert "0.05 s" in str(error)
        assert f"timeouts.{name}_s" in str(error)
        assert len(provider.requests) == 1
        await until(lambda: upstream.open_now == 0, "closed")


@pytest.mark.parametrize(
    ("name", "timeouts"), [("connect", Timeouts(connect_s=0.05)), ("total", Timeouts(total_s=0.05))]
)
@on_both_loops
async def test_a_handshake_that_never_ends_may_be_tried_elsewhere(name: str, timeouts: Timeouts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with client() as upstream:
            out = Outgoing("POST", Origin("https", *mute.getsockname()), "/", [], b"")

            error = await failure(upstream, out, timeouts)

            assert (error.code, error.retryable) == (f"upstream_timeout_{name}", True)


@on_both_loops
async def test_a_call_that_is_no_stream_has_only_the_total() -> None:
    timeouts = Timeouts(first_byte_s=0.01, idle_s=0.01, total_s=5)
    script = Script(body=(b"x", 0.05, b"y"), delay_s=0.05)
    async with Provider(script) as provider, client() as upstream:
        assert await fetched(upstream, outgoing(provider), timeouts) == (200, b"xy")


@on_both_loops
async def test_a_finished_call_leaves_no_timer_behind() -> None:
    async with Provider(chat()) as provider, client() as upstream:
        await fetched(upstream, outgoing(provider), stream=True)

        loop = asyncio.get_running_loop()
        timers = [timer for timer in getattr(loop, "_scheduled", []) if not timer.cancelled()]
        assert [timer for timer in timers if "Reply" in repr(timer)] == []


# leaving


async def cancelled(work: asyncio.Task[Any]) -> None:
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


@pytest.mark.parametrize("stall", [0, 500], ids=["open", "chunks"])
@on_both_loops
async def test_cancelling_closes_the_connection(stall: int) -> None:
    async with Provider(Script(body=b"x" * 1000, stall_at=stall)) as provider, client() as upstream:
        asking = spawn(fetched(upstream, outgoing(provider), stream=True), name="ask")
        await until(lambda: bool(provider.requests), "asked")
        await asyncio.sleep(0.01)

        await cancelled(asking)

        await until(lambda: provider.hung_up == 1, "the provider noticed")
        assert upstream.open_now == 0


@on_both_loops
async def test_cancelling_an_upload_closes_the_connection() -> None:
    async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        reading.set()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append((spawn(stalled(reader, writer), name="stalled"), writer))

    reading = asyncio.Event()
    peers: list[tuple[asyncio.Task[None], asyncio.StreamWriter]] = []
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with client() as upstream:
        out = Outgoing("POST", Origin("http", "127.0.0.1", port), "/", [], b"x" * 30_000_000)
        asking = spawn(fetched(upstream, out), name="ask")
        await reading.wait()

        await cancelled(asking)

        await until(lambda: upstream.open_now == 0, "closed")
    server.close()
    for task, writer in peers:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.transport.abort()
    await server.wait_closed()


@pytest.mark.parametrize("tunnel", [False, True], ids=["tls", "tunnel"])
@on_both_loops
async def test_cancelling_while_connecting_leaves_nothing(*, tunnel: bool) -> None:
    async with Provider(SILENT) as provider:
        network = Network(https_proxy=provider.base_url if tunnel else "")
        async with client(network) as upstream:
            out = Outgoing("POST", Origin("https", "127.0.0.1", provider.port), "/", [], b"")
            asking = spawn(fetched(upstream, out), name="ask")
            await until(lambda: provider.connections == 1, "connected")
            await asyncio.sleep(0.01)

            await cancelled(asking)

            await until(lambda: provider.hung_up == 1, "the far end noticed")


@on_both_loops
async def test_one_who_waits_for_a_turn_may_give_up() -> None:
    async with Provider(Script(body=(b"x", 0.03, b"y"))) as provider, client(max_connections=1) as upstream:
        first = spawn(fetched(upstream, outgoing(provider)), name="first")
        await until(lambda: bool(provider.requests), "asked")
        second = spawn(fetched(upstream, outgoing(provider)), name="second")
        third = spawn(fetched(upstream, outgoing(provider)), name="third")
        await asyncio.sleep(0)

        await cancelled(second)

        assert await first == await third == (200, b"xy")


@on_both_loops
async def test_giving_up_on_the_next_piece_does_not_lose_it() -> None:
    async with Provider(Script(body=(b"x", 0.05, b"y"))) as provider, client() as upstream:
        with closing(await upstream.open(outgoing(provider), PATIENT, stream=True)) as answer:
            chunks = answer.chunks()
            assert await anext(chunks) == b"x"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await anext(chunks)

            assert await anext(chunks) == b"y"


@on_both_loops
async def test_closing_ends_what_is_under_way_and_refuses_what_comes() -> None:
    script = Script(body=b"half", framing="close", stall_at=60)
    async with Provider(script) as provider, client() as upstream:
        asking = spawn(fetched(upstream, outgoing(provider), stream=True), name="ask")
        await until(lambda: bool(provider.requests), "asked")
        await asyncio.sleep(0.01)

        await upstream.close()

        with pytest.raises(Unreachable, match="stopping"):
            await asking
        assert "stopping" in str(await failure(upstream, outgoing(provider)))


@on_both_loops
async def test_closing_ends_those_who_wait_for_a_turn() -> None:
    async with Provider(SILENT) as provider, client(max_connections=1) as upstream:
        busy = [spawn(fetched(upstream, outgoing(provider)), name="ask") for _ in range(2)]
        await until(lambda: bool(provider.requests), "asked")

        await upstream.close()

        results = await asyncio.gather(*busy, return_exceptions=True)
        assert [type(result) for result in results] == [Unreachable, Unreachable]


@on_both_loops
async def test_a_connection_made_after_the_closing_is_closed_too() -> None:
    async with Provider(chat()) as provider, client() as upstream:
        asking = spawn(fetched(upstream, outgoing(provider)), name="ask")
        await asyncio.sleep(0)

        await upstream.close()

        with pytest.raises(Unreachable, match="stopping"):
            await asking
        await until(lambda: upstream.open_now == 0, "closed")
        assert not provider.requests


def test_the_provider_also_serves_from_a_thread() -> None:
    def script(request: Received) -> Script:
        return chat(request.json()["model"])

    async def scene(provider: Provider) -> tuple[int, bytes]:
        async with client() as upstream:
            return await fetched(upstream, outgoing(provider))

    with Provider(script).in_thread() as provider:
        status, body = asyncio.run(scene(provider))

    assert (status, b'"content":"m"' in body) == (200, True)
