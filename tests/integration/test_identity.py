"""Whose call it was, told in the words of another gateway; and what of them a provider gets to see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.provider import Provider, chat
from tests.fakes.tidegate import Tidegate


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(lambda _: chat("hello")).in_thread() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    folder: Path = tmp_path_factory.mktemp("identity")
    config = {"providers": {"fake": {"base_url": provider.base_url}}}
    started = Tidegate(folder, config).start()
    yield started
    assert started.stop() == 0, started.log()


HEADERS = {
    "x-tidegate-thread-id": "thread-of-ours",
    "x-litellm-session-id": "not-this-one",
    "helicone-property-tier": "gold",
    "x-portkey-metadata": '{"team":"red"}',
    "baggage": "session.id=nor-this",
    "traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01",
}
BODY = {
    "model": "fake/gpt-4o-mini",
    "messages": [{"role": "user", "content": "hi"}],
    "metadata": {"session_id": "nor-that", "tags": ["blue"]},
    "customer_identifier": "ada",
    "custom_identifier": "run-7",
    "thread_identifier": "nor-that-one",
    "respan_params": {"properties": {"step": "1"}},
    "mem0_params": {"user_id": "nobody"},
}


def test_a_call_told_in_the_words_of_others_is_found(gateway: Tidegate, provider: Provider) -> None:
    reply = gateway.request("POST", "/api/chat/completions", BODY, HEADERS)

    assert reply.status == 200
    assert reply.headers["x-tidegate-event-id"] == "run-7"
    (call,) = gateway.await_calls(1, event_id="run-7")
    assert (call["user_id"], call["thread_id"]) == ("ada", "thread-of-ours")
    assert call["tags"] == ["blue"]
    assert call["properties"] == {"tier": "gold", "team": "red", "step": "1"}
    assert call["trace_id"] == "ab" * 16

    sent = provider.requests[-1]
    assert set(sent.json()) == {"model", "messages", "metadata"}
    assert sent.json()["metadata"] == BODY["metadata"]
    assert not set(HEADERS) & set(sent.headers)


def test_a_wrong_id_in_the_body_is_refused_by_its_name(gateway: Tidegate) -> None:
    reply = gateway.request("POST", "/v1/chat/completions", {**BODY, "customer_identifier": "*"})

    assert reply.status == 400
    assert reply.json()["error"]["param"] == "customer_identifier"
