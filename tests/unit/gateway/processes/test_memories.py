"""The hub's open memory: its embedder over the hub's own client, and what workers and the collector ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.processes.memories import Memories, embedder_of, former_of, redacted
from gateway.recollection import Asker, Question, Used
from gateway.settings import Embedder, Network
from gateway.settings import Memory as MemorySettings
from gateway.upstream import Upstream
from memory.errors import BadScope, EmbedderAway
from memory.local import embedder_here, former_here
from telemetry.records import Payload
from tests.fakes.provider import Provider
from tests.fakes.remembered import Embeddings

ALICE = Asker(project="p", environment="prod", user_id="alice")


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream(SystemClock(), Network())
    yield made
    await made.close()


@pytest.fixture
async def embeddings() -> Embeddings:
    return Embeddings()


@pytest.fixture
async def provider(embeddings: Embeddings) -> AsyncIterator[Provider]:
    async with Provider(embeddings) as started:
        yield started


def endpoint(provider: Provider, *, dimensions: int = 384) -> Embedder:
    return Embedder(
        base_url=f"{provider.base_url}/v1/", model="words", api_key="sk-words", dimensions=dimensions
    )


def said(text: str, **changes: object) -> Payload:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": text}]})
    one = Payload(
        call_id=f"call {text}",
        project="p",
        environment="prod",
        started_at_us=1,
        surface="openai.chat",
        body=body,
        remember=True,
        user_id="alice",
    )
    return msgspec.structs.replace(one, **changes)


async def test_without_an_endpoint_the_local_model_embeds(upstream: Upstream) -> None:
    assert embedder_of(Embedder(), upstream, asyncio.get_running_loop()) is embedder_here


async def test_an_embedder_of_before_is_asked_for_behind_the_same_endpoint(
    provider: Provider, upstream: Upstream, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    assert former_of(Embedder(), upstream, loop) is former_here
    former = former_of(endpoint(provider), upstream, loop)(tmp_path, "endpoint-older-384")
    await asyncio.to_thread(former.embed, ["my dog"])
    assert provider.requests[-1].json()["model"] == "older"


async def test_an_endpoint_is_asked_with_its_key(
    provider: Provider, upstream: Upstream, tmp_path: Path
) -> None:
    embedder = embedder_of(endpoint(provider), upstream, asyncio.get_running_loop())(tmp_path)
    (vector,) = await asyncio.to_thread(embedder.embed, ["my dog"])

    assert vector.shape == (384,)
    (asked,) = provider.requests
    assert (asked.path, asked.headers["authorization"]) == ("/v1/embeddings", "Bearer sk-words")
    assert asked.json()["model"] == "words"


async def test_an_endpoint_that_refuses_or_is_not_there_is_an_embedder_away(
    provider: Provider, embeddings: Embeddings, upstream: Upstream, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    embeddings.away = True
    with pytest.raises(EmbedderAway, match="503"):
        await asyncio.to_thread(embedder_of(endpoint(provider), upstream, loop)(tmp_path).embed, ["x"])
    nowhere = Embedder(base_url="http://127.0.0.1:1/v1", model="words", dimensions=384)
    with pytest.raises(EmbedderAway, match="failed"):
        await asyncio.to_thread(embedder_of(nowhere, upstream, loop)(tmp_path).embed, ["x"])


async def test_what_was_captured_is_recalled_confirmed_and_the_callers_alone(
    provider: Provider, upstream: Upstream, tmp_path: Path
) -> None:
    memories = await Memories.open(tmp_path, MemorySettings(embedder=endpoint(provider)), upstream)
    batch = [said("my boat is called Albatross"), said("no user said this", body=b"{")]
    captured = await memories.capture(msgspec.msgpack.encode(batch))
    again = await memories.capture(msgspec.msgpack.encode(batch))
    async with asyncio.timeout(20):
        backlog = await memories.backlog()
        while backlog:
            backlog = await memories.backlog()
    question = Question(asker=ALICE, query="What is my boat called?")
    found = await memories.recall(question)
    assert (len(captured.added), again.added) == (1, ())
    assert (found.status, found.ids) == ("injected", captured.added)
    assert "Albatross" in found.block
    assert len(found.scores) == 1
    assert found.tokens > 0
    for stranger in (
        Asker(project="p", environment="prod", user_id="bob"),
        Asker(project="q", environment="prod", user_id="alice"),
        Asker(project="p", environment="test", user_id="alice"),
        Asker(project="p", environment="prod", agent_id="alice"),
    ):
        nothing = await memories.recall(msgspec.structs.replace(question, asker=stranger))
        assert (nothing.status, nothing.block) == ("empty", "")
    read = msgspec.structs.replace(question, window=("My boat is called Albatross!",))
    assert (await memories.recall(read)).status == "empty"
    assert await memories.confirm(Used(asker=ALICE, call_id="c2", ids=found.ids)) == 1
    await memories.close()


async def test_a_call_of_nobody_is_refused(provider: Provider, upstream: Upstream, tmp_path: Path) -> None:
    memories = await Memories.open(tmp_path, MemorySettings(embedder=endpoint(provider)), upstream)
    with pytest.raises(BadScope):
        await memories.capture(msgspec.msgpack.encode([said("hello"), said("x", user_id="*")]))
    with pytest.raises(BadScope):
        await memories.recall(Question(asker=Asker(project="p", environment="prod"), query="x"))
    await memories.close()


def test_secrets_of_texts_are_replaced() -> None:
    assert redacted(f"my token is ghp_{'a1' * 18}, keep it") == "my token is [secret:github_token], keep it"
    assert redacted("Ich heiße Ünsal") == "Ich heiße Ünsal"
