"""Sessions over WebSockets with providers, through a whole house, by the official clients and by hand."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from google import genai
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.fakes.sockets import SocketProvider
from tests.fakes.tidegate import Tidegate, eventually

OURS, FEW, POOR = "tg-a-key-of-this-gateway", "tg-one-at-a-time", "tg-with-a-budget"
HOUSE_KEY, GOOGLES = "sk-of-the-house", "AIza-of-the-house"
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
CREATE = '{"type":"response.create"}'


@pytest.fixture(scope="module")
def upstream() -> Iterator[SocketProvider]:
    with SocketProvider() as provider:
        yield provider


def config(upstream: SocketProvider) -> dict[str, Any]:
    url = f"http://127.0.0.1:{upstream.port}"
    keys = {"app": OURS, "few": FEW, "poor": POOR}
    return {
        "providers": {
            "openai": {"base_url": f"{url}/v1", "api_key": HOUSE_KEY},
            "gemini": {"base_url": url, "api_key": GOOGLES},
        },
        "keys": [{"name": n, "hash": hashlib.sha256(key.encode()).hexdigest()} for n, key in keys.items()],
        "routes": {"voice": {"deployments": [{"model": "openai/gpt-realtime"}]}},
        "limits": {"one at a time": {"keys": ["few"], "concurrency": 1}},
        "budgets": {"little": {"per": "key", "match": "poor", "hard_usd": "1.00"}},
    }


@pytest.fixture(scope="module")
def gate(upstream: SocketProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    with Tidegate(tmp_path_factory.mktemp("realtime"), config(upstream)) as house:
        eventually(lambda: house.get("/health/ready").status == 200, what="the price table")
        yield house


@pytest.fixture
def event() -> str:
    return str(uuid.uuid4())


@asynccontextmanager
async def session(
    gate: Tidegate,
    path: str = "/v1/realtime?model=gpt-realtime",
    *,
    key: str = OURS,
    event: str = "",
    **more: Any,
) -> AsyncIterator[ClientConnection]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if event:
        headers["x-tidegate-event-id"] = event
    url = f"ws://127.0.0.1:{gate.port}{path}"
    async with connect(url, additional_headers=headers, proxy=None, max_size=None, **more) as opened:
        yield opened


def row(gate: Tidegate, event: str) -> dict[str, Any]:
    return gate.await_calls(1, {"authorization": f"Bearer {OURS}"}, event_id=event)[0]


async def test_openais_client_talks_and_its_session_is_one_priced_call(
    gate: Tidegate, upstream: SocketProvider, event: str
) -> None:
    headers = {"x-tidegate-event-id": event, "x-tidegate-user-id": "ann"}
    async with (
        openai.AsyncOpenAI(base_url=f"{gate.url}/v1", api_key=OURS) as client,
        client.realtime.connect(model="gpt-realtime", extra_headers=headers) as talk,
    ):
        heard = [await talk.recv()]
        for _ in range(2):
            await talk.response.create()
            heard += [await talk.recv(), await talk.recv()]

    assert [one.type for one in heard] == [
        "session.created",
        *["response.output_audio.delta", "response.done"] * 2,
    ]
    path, sent = upstream.asked[-1]
    assert (path, sent["authorization"]) == ("/v1/realtime?model=gpt-realtime", f"Bearer {HOUSE_KEY}")
    assert not [name for name in sent if name.startswith("x-tidegate")]
    assert "sec-websocket-extensions" not in sent
    call = row(gate, event)
    assert (call["surface"], call["operation"], call["user_id"]) == ("openai.passthrough", "realtime", "ann")
    assert (call["status"], call["http_status"], call["finish_reason"]) == ("ok", 101, "close_1000")
    assert (call["provider"], call["response_id"], call["response_model"]) == (
        "openai",
        "sess_1",
        "gpt-realtime",
    )
    assert call["usage"] == {
        "input_uncached": 116,
        "cache_read": 128,
        "input_audio": 20,
        "output_text": 60,
        "output_audio": 182,
    }
    assert call["usage_source"] == "provider"
    assert call["cost_nano_usd"] > 0
    assert call["response_bytes"] > 10_000
    assert call["request_bytes"] > 50


async def test_a_browser_brings_its_key_among_the_subprotocols_and_it_goes_no_further(
    gate: Tidegate, upstream: SocketProvider
) -> None:
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{OURS}")]
    async with session(gate, key="", subprotocols=offered) as talk:
        assert talk.subprotocol == "realtime"
        assert talk.response is not None
        assert "x-tidegate-call-id" in talk.response.headers

    sent = upstream.asked[-1][1]
    assert (sent["sec-websocket-protocol"], sent["authorization"]) == ("realtime", f"Bearer {HOUSE_KEY}")


async def test_geminis_client_talks_and_names_its_model_in_its_first_message(
    gate: Tidegate, upstream: SocketProvider, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_tls(uri: str, **options: Any) -> connect:
        return connect(uri.replace("wss://", "ws://"), **{**options, "ssl": None, "proxy": None})

    # it asks for TLS whatever the base URL says
    monkeypatch.setattr("google.genai.live.ws_connect", without_tls)
    named = {"x-tidegate-event-id": event}
    options: Any = {"base_url": gate.url, "api_version": "v1beta", "headers": named}
    client = genai.Client(api_key=OURS, http_options=options)
    async with client.aio.live.connect(model="gemini-2.5-flash", config={}) as talk:
        await talk.send_client_content(turns={"role": "user", "parts": [{"text": "tide?"}]})
        told = [message.usage_metadata async for message in talk.receive()]

    assert told[-1] is not None
    assert told[-1].total_token_count == 65
    path, sent = upstream.asked[-1]
    assert (path, sent["x-goog-api-key"]) == (LIVE, GOOGLES)
    call = row(gate, event)
    assert (call["provider"], call["operation"], call["model"]) == ("gemini", "realtime", "gemini-2.5-flash")
    assert call["usage"] == {"input_uncached": 30, "input_audio": 10, "output_audio": 25}
    assert call["raw_usage"].startswith('[{"promptTokenCount":40')


async def test_a_key_in_geminis_query_counts_and_stays_here(gate: Tidegate, upstream: SocketProvider) -> None:
    async with session(gate, f"{LIVE}?key={OURS}&alt=json", key=""):
        pass

    assert upstream.asked[-1][0] == f"{LIVE}?alt=json"


async def test_a_route_names_the_model_that_is_asked_for(
    gate: Tidegate, upstream: SocketProvider, event: str
) -> None:
    async with session(gate, "/v1/realtime?model=voice&x=1", event=event):
        pass

    assert upstream.asked[-1][0] == "/v1/realtime?model=gpt-realtime&x=1"
    assert (row(gate, event)["route"], row(gate, event)["deployment"]) == ("voice", "openai/gpt-realtime")


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v1/realtime?model=gpt-realtime", "", 401),
        ("/v1/realtime?model=gpt-realtime", "tg-nobodys", 401),
        ("/v1/realtime?model=gpt-realtime", POOR, 403),
        ("/v1/realtime?model=no-such-thing/x", OURS, 101),
        ("/v1/realtime?model=gpt-realtime&refused", OURS, 401),
        ("/v1/responses", OURS, 501),
    ],
)
async def test_who_may_not_open_one_is_told_why(gate: Tidegate, path: str, key: str, status: int) -> None:
    if status == 101:  # the provider knows its own names
        async with session(gate, path, key=key):
            return
    with pytest.raises(InvalidStatus) as caught:
        async with session(gate, path, key=key):
            pass

    answer = caught.value.response
    assert answer.status_code == status
    assert msgspec.json.decode(answer.body or b"")["error"]["message"]
    if "refused" in path:
        assert (answer.headers["retry-after"], b"Incorrect key." in (answer.body or b"")) == ("7", True)


async def test_a_session_counts_as_one_call_at_once_until_it_is_over(gate: Tidegate) -> None:
    async with session(gate, key=FEW):
        with pytest.raises(InvalidStatus) as caught:
            async with session(gate, key=FEW):
                pass
        assert caught.value.response.status_code == 429

    for _ in range(100):  # the first one's end is told after its client has gone
        try:
            async with session(gate, key=FEW):
                return
        except InvalidStatus:
            await asyncio.sleep(0.02)
    pytest.fail("the limit was never given back")


async def test_messages_of_all_sizes_arrive_as_they_were_sent_both_ways(gate: Tidegate) -> None:
    async with session(gate) as talk:
        await talk.recv()
        for size in (0, 1, 125, 126, 65_535, 65_536, 3_000_000):
            for said in ("echo:" + "é" * (size // 2), b"echo:" + bytes(size)):
                await talk.send(said)
                assert await talk.recv() == said
        await talk.send(["ec", "ho", ":in three"])
        assert await talk.recv() == "echo:in three"


async def test_a_client_that_does_not_read_holds_the_provider_back(
    gate: Tidegate, upstream: SocketProvider
) -> None:
    size, upstream.sent = 64 << 20, 0
    async with session(gate, max_queue=1) as talk:
        await talk.recv()
        await talk.send(f"flood:{size}")
        seen = -1
        while upstream.sent != seen or not seen:  # until nothing moves any more
            seen = upstream.sent
            await asyncio.sleep(0.3)
        assert 0 < seen < size
        got = 0
        while got < size:
            got += len(await talk.recv())

    assert upstream.sent == size


@pytest.mark.parametrize(
    ("command", "code", "status", "finish"),
    [
        ("close:1000", 1000, "ok", "close_1000"),
        ("close:4001", 4001, "ok", "close_4001"),
        ("close:1011", 1011, "error", "close_1011"),
        ("die", 1014, "error", "close_1006"),
    ],
)
async def test_how_the_provider_ends_it_is_what_the_client_and_the_record_say(
    gate: Tidegate, event: str, command: str, code: int, status: str, finish: str
) -> None:
    async with session(gate, event=event) as talk:
        await talk.recv()
        await talk.send(command)
        with pytest.raises(ConnectionClosed) as caught:
            await talk.recv()

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == code
    call = row(gate, event)
    assert (call["status"], call["finish_reason"]) == (status, finish)


async def test_a_client_that_dies_ends_the_providers_side(
    gate: Tidegate, upstream: SocketProvider, event: str
) -> None:
    await asyncio.to_thread(eventually, lambda: upstream.open == 0, what="the talks before to end")
    upstream.closed.clear()
    async with session(gate, event=event) as talk:
        await talk.recv()
        talk.transport.abort()

    call = row(gate, event)
    assert (call["status"], call["finish_reason"]) == ("cancelled", "close_1006")
    await asyncio.to_thread(eventually, lambda: upstream.closed == [1001], what="the provider to be told")


async def test_a_killed_worker_leaves_an_interrupted_call_and_a_stopped_one_says_goodbye(
    upstream: SocketProvider, tmp_path: Path
) -> None:
    killed, stopped = str(uuid.uuid4()), str(uuid.uuid4())
    with Tidegate(tmp_path, config(upstream)) as house:
        async with session(house, event=killed) as talk:
            await talk.recv()
            house.kill("worker")
            with pytest.raises(ConnectionClosed):
                await talk.recv()
        await asyncio.to_thread(eventually, lambda: house.pids("worker"), what="another worker")
        assert row(house, killed)["status"] == "interrupted"
        async with session(house, event=stopped) as talk:
            await talk.recv()
            await asyncio.to_thread(eventually, lambda: upstream.open == 1, what="the talks before to end")
            upstream.closed.clear()
            house.say_stop()
            with pytest.raises(ConnectionClosed) as caught:
                await talk.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
        await asyncio.to_thread(eventually, lambda: upstream.closed == [1001], what="the provider to be told")
    with Tidegate(tmp_path, config(upstream)) as again:
        call = row(again, stopped)
        assert (call["status"], call["error_code"], call["finish_reason"]) == (
            "error",
            "unavailable",
            "close_1001",
        )
