"""The stage of kept answers against a real line to a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.errors import BadRequest
from gateway.exchange import Exchange
from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.processes.answer_store import AnswerStore
from gateway.processes.doors import bind_unix
from gateway.settings import Cache, CacheRule
from gateway.stages.cache import AnswerCache
from gateway.stages.meter import Meter
from gateway.surfaces import KEPT
from gateway.wire.openai_responses import OpenAIResponses
from telemetry.records import Attempt, Checked, Cost
from telemetry.sealed import UNSEALED
from tests.fakes.exchanges import caller, chat, exchange

ANSWER = b'{"id":"a","model":"m","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'
STREAM = b'data: {"id":"a","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
RULE = CacheRule()
OFF = CacheRule(default="off", routes=("m",))


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[LinkClient]:
    store = AnswerStore(tmp_path / "cache.sqlite", SystemClock(), max_bytes=1 << 20, sealer=UNSEALED)
    server = LinkServer(store.handlers)
    await server.listen(bind_unix(tmp_path / "link.sock"))
    client = LinkClient(str(tmp_path / "link.sock"))
    client.start()
    assert await client.wait_connected(5)
    yield client
    await client.close()
    await server.close()
    await store.close()


def stage(link: LinkClient, *rules: CacheRule) -> AnswerCache:
    return AnswerCache(Cache(rules=rules or (RULE,)), link, SystemClock())


def answered(call: Exchange, body: bytes = ANSWER, *, content_type: str = "application/json") -> None:
    """Let a provider have answered."""
    call.reading = call.wire.reading(stream=content_type != "application/json", strip_usage=False)
    call.reading.feed(body)
    call.reading.end()
    call.content_type, call.answer, call.answer_bytes = content_type, [body], len(body)
    call.attempts.append(Attempt(deployment="d", provider="p", model="m"))
    caller(call).status, caller(call).finished = 200, True
    Meter().settle(call)
    call.cost = Cost(total_nano_usd=42)


async def asked_again(cache: AnswerCache, call: Exchange) -> bool:
    """Say whether a call gets an answer that was kept."""
    return await cache.find(call, RULE, ()) is not None


async def made(cache: AnswerCache, call: Exchange) -> None:
    """Let a call miss, be answered, and its answer be kept."""
    assert not await asked_again(cache, call)
    answered(call)
    cache.keep(call)


async def test_the_second_call_gets_the_bytes_of_the_first_for_nothing(link: LinkClient) -> None:
    cache = stage(link)
    first, second = exchange(), exchange(user="bob")
    await made(cache, first)
    assert (b"x-tidegate-cache", b"miss") in caller(first).extra

    kept = None
    while kept is None:
        second = exchange(user="bob")
        kept = await cache.find(second, RULE, ())
    await cache.answer(second, kept)
    Meter().settle(second)

    client = caller(second)
    assert (client.status, client.body, client.finished) == (200, ANSWER, True)
    assert (b"x-tidegate-cache", b"hit") in client.extra
    assert (b"age", b"0") in client.extra
    assert (second.cost.total_nano_usd, second.cost.cache_saved_nano_usd) == (0, 42)
    assert second.usage.input_total == 0
    assert second.finding.finish_reason == "stop"


async def test_a_stream_is_said_again_as_it_was(link: LinkClient) -> None:
    cache = stage(link)
    call = exchange(chat(stream=True))
    assert not await asked_again(cache, call)
    answered(call, STREAM, content_type="text/event-stream")
    cache.keep(call)
    again, kept = exchange(chat(stream=True)), None
    while kept is None:
        again = exchange(chat(stream=True))
        kept = await cache.find(again, RULE, ())
    await cache.answer(again, kept)
    assert caller(again).body == STREAM
    assert caller(again).headers == [(b"content-type", b"text/event-stream")]
    assert not await asked_again(cache, exchange())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda call: setattr(caller(call), "finished", False),
        lambda call: setattr(caller(call), "status", 206),
        lambda call: setattr(call, "error", BadRequest("x")),
        lambda call: setattr(call, "finding", msgspec.structs.replace(call.finding, complete=False)),
        lambda call: setattr(call, "finding", msgspec.structs.replace(call.finding, error="no")),
        lambda call: setattr(call, "answer_bytes", 1 << 30),
        lambda call: call.checks.append(
            Checked(guardrail="g", check="pii", phase="answer", verdict="failed")
        ),
    ],
)
async def test_only_what_was_answered_whole_and_without_fault_is_kept(
    link: LinkClient, spoil: object
) -> None:
    cache = stage(link)
    spoilt, good = exchange(chat("spoilt")), exchange(chat("good"))
    assert not await asked_again(cache, spoilt)
    answered(spoilt)
    assert callable(spoil)
    spoil(spoilt)
    cache.keep(spoilt)
    await made(cache, good)

    async def good_is_there() -> bool:
        return await asked_again(cache, exchange(chat("good")))

    while not await good_is_there():  # the line keeps the order
        pass
    assert not await asked_again(cache, exchange(chat("spoilt")))


async def test_refresh_asks_anew_and_keeps_the_newer_answer(link: LinkClient) -> None:
    cache = stage(link)
    await made(cache, exchange())
    refresh = exchange(headers={b"x-tidegate-cache": b"refresh"})
    assert cache.rule(refresh) is RULE or cache.rule(refresh) == RULE
    assert not await asked_again(cache, refresh)
    newer = ANSWER.replace(b'"hi"', b'"ho"')
    answered(refresh, newer)
    cache.keep(refresh)
    assert refresh.reuse is not None
    assert refresh.reuse.outcome == "refresh"
    body = b""
    while body != newer:
        found = await cache.find(exchange(), RULE, ())
        body = found.body if found is not None else b""


def test_who_says_nothing_gets_what_the_rule_says(link: LinkClient) -> None:
    on, off = {b"x-tidegate-cache": b"on"}, {b"x-tidegate-cache": b" OFF "}
    assert stage(link).rule(exchange()) == RULE
    assert stage(link).rule(exchange(headers=off)) is None
    assert stage(link, OFF).rule(exchange()) is None
    assert stage(link, OFF).rule(exchange(headers=on)) == OFF
    assert (
        stage(link, CacheRule(routes=("other",)), CacheRule(keys=("x",))).rule(exchange(headers=on)) is None
    )
    with pytest.raises(BadRequest, match="x-tidegate-cache"):
        stage(link).rule(exchange(headers={b"x-tidegate-cache": b"yes"}))
    assert AnswerCache(Cache(), link, SystemClock()).rule(exchange(headers=on)) is None


def test_what_is_kept_by_a_provider_or_may_not_be_stored_is_not_kept_here(link: LinkClient) -> None:
    cache = stage(link)
    asking = b'{"model":"m","input":"hi"}'
    assert cache.rule(exchange(asking, wire=OpenAIResponses())) is None
    assert cache.rule(exchange(asking[:-1] + b',"store":false}', wire=OpenAIResponses())) == RULE
    assert cache.rule(exchange(store="metadata")) is None
    assert cache.rule(exchange(wire=KEPT["GET", ""])) is None


async def test_without_a_hub_every_call_is_asked_anew_and_none_waits(tmp_path: Path) -> None:
    away = LinkClient(str(tmp_path / "nobody.sock"))
    cache = AnswerCache(Cache(rules=(RULE,)), away, SystemClock())
    call = exchange()
    assert not await asked_again(cache, call)
    answered(call)
    cache.keep(call)
    assert caller(call).extra == [(b"x-tidegate-cache", b"miss")]
