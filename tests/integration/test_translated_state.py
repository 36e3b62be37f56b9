"""What the house itself adds to a translated call: responses that no provider keeps, and memories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.upstream import model
from tests.fakes.provider import Provider
from tests.fakes.sdks import Chat, Generate, Messages, Responses, Sdk
from tests.fakes.tidegate import Tidegate, eventually

ROOT = Path(__file__).parents[2]
SONNET, FLASH, NOVA = "anthropic/claude-sonnet-4-6", "gemini/gemini-2.5-flash", "bedrock/amazon.nova-pro-v1:0"
KEPT, UNKEPT, OTHER = "tg-of-a-keeper", "tg-of-nobody", "tg-of-a-stranger"
KEYS = [
    {"name": name, "hash": hashlib.sha256(key.encode()).hexdigest(), **more}
    for name, key, more in (
        ("keeper", KEPT, {}),
        ("nobody", UNKEPT, {"store": "none"}),
        ("stranger", OTHER, {"project": "elsewhere"}),
    )
]
TOOLS: Any = [
    {
        "type": "function",
        "name": "weather",
        "description": "Say what the weather is.",
        "strict": False,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]
everywhere = pytest.mark.parametrize("target", [SONNET, FLASH, NOVA])
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def providers(upstream: Provider) -> dict[str, Any]:
    places = {"openai": "/v1", "anthropic": "", "gemini": "", "bedrock": ""}
    return {
        name: {"base_url": upstream.base_url + path, "api_key": "of-the-house"}
        for name, path in places.items()
    }


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with Provider(model).in_thread() as provider:
        yield provider


@pytest.fixture(scope="module")
def house(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    routes = {"home": {"deployments": [{"model": "openai/gpt-4o-mini"}]}}
    config = {"providers": providers(upstream), "keys": KEYS, "routes": routes, "retries": {"attempts": 1}}
    with Tidegate(tmp_path_factory.mktemp("state"), config) as started:
        yield started


def client_of(house: Tidegate, key: str = KEPT) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0)


def ask(client: openai.OpenAI, target: str, said: Any, *, stream: bool = False, **more: Any) -> Any:
    if not stream:
        return client.responses.create(model=target, input=said, **more)
    with client.responses.stream(model=target, input=said, **more) as events:
        for _ in events:
            pass
        return events.get_final_response()


# --- responses that are kept here ------------------------------------------------------------------


@everywhere
@streamed
def test_a_chain_is_told_anew_to_a_provider_that_keeps_none(
    house: Tidegate, upstream: Provider, target: str, *, stream: bool
) -> None:
    with client_of(house) as client:
        first = ask(client, target, "hello tide", stream=stream, instructions="Be a gull.")
        second = ask(client, target, "and more", stream=stream, previous_response_id=first.id)
        third = ask(client, target, "and most", stream=stream, previous_response_id=second.id)

    assert (second.previous_response_id, third.previous_response_id) == (first.id, second.id)
    assert third.output_text == "and most"
    sent = upstream.requests[-1].body.decode()
    told = [sent.index(f'"{words}"') for words in ("hello tide", "and more", "and most")]
    assert told == sorted(told)
    assert sent.count('"hello tide"') == 2, "once asked, once answered"
    assert "gull" not in sent, "instructions are not inherited"


@everywhere
@streamed
def test_a_tools_result_is_returned_to_a_call_of_the_response_before(
    house: Tidegate, target: str, *, stream: bool
) -> None:
    with client_of(house) as client:
        first = ask(client, target, "How is 'Oslo'?", stream=stream, tools=TOOLS)
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert call.call_id
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain in Oslo"}
        second = ask(client, target, [result], stream=stream, tools=TOOLS, previous_response_id=first.id)

    assert second.output_text == "rain in Oslo"


@everywhere
@streamed
def test_a_response_is_found_listed_and_deleted(house: Tidegate, target: str, *, stream: bool) -> None:
    with client_of(house) as client:
        made = ask(client, target, "hello tide", stream=stream)
        again = client.responses.retrieve(made.id)
        items = client.responses.input_items.list(made.id).data
        with pytest.raises(openai.BadRequestError):
            client.responses.cancel(made.id)
        with client_of(house, OTHER) as stranger, pytest.raises(openai.NotFoundError):
            stranger.responses.retrieve(made.id)
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError, match="not found"):
            ask(client, target, "and more", previous_response_id=made.id)

    assert (again.id, again.output_text, again.usage) == (made.id, "hello tide", made.usage)
    (item,) = items
    assert item.type == "message"
    assert item.id
    assert [part.text for part in item.content if part.type == "input_text"] == ["hello tide"]


@streamed
def test_a_chain_moves_from_one_family_to_another(
    house: Tidegate, upstream: Provider, *, stream: bool
) -> None:
    with client_of(house) as client:
        before = None
        for target in (SONNET, FLASH, NOVA, "home"):
            made = ask(client, target, f"to {target}", stream=stream, previous_response_id=before)
            before = made.id

    sent = upstream.requests[-1]
    assert sent.path == "/v1/responses"
    told = [item["content"] for item in sent.json()["input"]]
    words = [said if isinstance(said, str) else said[0]["text"] for said in told]
    assert words == [f"to {target}" for target in (SONNET, FLASH, NOVA) for _ in range(2)] + ["to home"]


def test_who_stores_nothing_is_told_that_there_is_nothing_to_go_on_from(house: Tidegate) -> None:
    with client_of(house, UNKEPT) as client:
        made = ask(client, SONNET, "hello tide")
        with pytest.raises(openai.BadRequestError) as error:
            ask(client, SONNET, "and more", previous_response_id=made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)

    assert error.value.param == "previous_response_id"


def test_a_response_that_is_not_to_be_stored_is_not(house: Tidegate) -> None:
    with client_of(house) as client:
        made = ask(client, SONNET, "hello tide", store=False)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)

    assert made.store is False


def test_a_chain_is_one_thread(house: Tidegate) -> None:
    with client_of(house) as client:
        told: Any = {"extra_headers": {"x-tidegate-event-id": "chain"}}
        first = ask(client, SONNET, "hello tide", **told)
        ask(client, FLASH, "and more", previous_response_id=first.id, **told)

    calls = house.await_calls(2, {"authorization": f"Bearer {KEPT}"}, event_id="chain")
    assert {call["thread_id"] for call in calls} <= {"", first.id}
    assert calls[0]["thread_id"] == first.id, "the newest comes first"


# --- memories --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def remembering(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    config = {"providers": providers(upstream), "memory": {"deadline_ms": 5000}}
    made = Tidegate(
        tmp_path_factory.mktemp("remembering"),
        config,
        env={"PYTHONPATH": str(ROOT)},
        module="tests.fakes.remembering_hub",
    )

    def ready() -> bool:
        said = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "What do I like?"}]}
        reply = made.request("POST", "/v1/chat/completions", said, {"x-tidegate-user-id": "ada"})
        return reply.headers.get("x-tidegate-memory-status") == "injected"

    with made:
        eventually(ready, what="the hub")
        yield made


@pytest.mark.parametrize(
    ("kind", "target"),
    [(Chat, SONNET), (Responses, FLASH), (Messages, "openai/gpt-4o-mini"), (Generate, NOVA)],
)
@streamed
def test_what_is_remembered_reaches_a_provider_of_another_family(
    remembering: Tidegate, upstream: Provider, kind: type[Any], target: str, *, stream: bool
) -> None:
    sdk: Sdk = kind(remembering.url)
    question = "What do I like to drink in the evening?"
    headers = {"x-tidegate-user-id": "ada", "x-tidegate-event-id": f"{target}-{stream}"}
    more: Any = {"http_options": {"headers": headers}} if kind is Generate else {"extra_headers": headers}
    sdk.ask(target, question, stream=stream, **more)
    sdk.close()

    sent = upstream.requests[-1].body.decode()
    assert "- ada likes tea" in sent
    assert question in sent
    (call,) = remembering.await_calls(1, event_id=headers["x-tidegate-event-id"])
    assert (call["memory"]["status"], call["memory"]["ids"]) == ("injected", ["m-ada"])
