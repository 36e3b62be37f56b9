"""Anthropic's own client, unchanged, through a whole house to an upstream that plays Anthropic."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.fakes import anthropic as fake
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Tidegate, eventually

MODEL = fake.MODEL
ASK: Any = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
TOOLS: Any = [
    {
        "name": "weather",
        "description": "The weather of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
KEY = "sk-ant-of-the-house"


def script(request: Received) -> Script:
    """Play Anthropic; what the system prompt says goes wrong does so."""
    wrong = request.json().get("system") if request.body else None
    if wrong == "cut":
        return fake.stream(fake.events()[:5])
    if wrong == "fail":
        sick = fake.event("error", error={"type": "overloaded_error", "message": "Overloaded"})
        return fake.stream([*fake.events()[:5], sick])
    if isinstance(wrong, str) and wrong.isdigit():
        kind = {"400": "invalid_request_error", "429": "rate_limit_error"}.get(wrong, "api_error")
        return fake.refusal(int(wrong), kind, headers=(("retry-after", "7"),) if wrong == "429" else ())
    return fake.anthropic(request)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with Provider(script).in_thread() as provider:
        yield provider


@pytest.fixture(scope="module")
def gate(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    providers = {"anthropic": {"base_url": upstream.base_url, "api_key": KEY}}
    config = {
        "providers": providers,
        "memory": {"enabled": False},
        "retries": {"attempts": 1},  # a refusal is looked at by itself
    }
    with Tidegate(tmp_path_factory.mktemp("anthropic"), config) as house:
        eventually(lambda: _paid(house), what="the price table")
        yield house


def _paid(house: Tidegate) -> bool:
    event = str(uuid.uuid4())
    house.request("POST", "/v1/messages", ASK, {"x-tidegate-event-id": event})
    return bool(event_of(house, event)["cost_nano_usd"])


@pytest.fixture
def client(gate: Tidegate) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gate.url, api_key="none", max_retries=0) as made:
        yield made


def event_of(gate: Tidegate, event: str) -> dict[str, Any]:
    return gate.await_calls(1, event_id=event)[0]


def previews_of(gate: Tidegate, event: str) -> tuple[str, str]:
    """Payloads are stored apart from the call, a moment later."""
    call = eventually(
        lambda: next((c for c in gate.calls(event_id=event) if c["answer_preview"]), None), what="the answer"
    )
    return call["request_preview"], call["answer_preview"]


def test_a_call_is_answered_and_recorded_with_its_cost(
    gate: Tidegate, upstream: Provider, client: anthropic.Anthropic
) -> None:
    raw = client.messages.with_raw_response.create(**ASK, extra_headers={"x-tidegate-event-id": "plain"})

    answer = raw.parse()
    assert answer.content[0].text == "Hello, world!"
    assert answer._request_id == "req_1"
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "7"
    assert raw.headers["x-tidegate-call-id"]
    sent = upstream.requests[-1]
    assert sent.headers["x-api-key"] == KEY
    assert sent.headers["anthropic-version"] == raw.http_request.headers["anthropic-version"]
    assert sent.headers["x-stainless-lang"] == "python"
    assert not any(name.startswith("x-tidegate") or name == "authorization" for name in sent.headers)
    call = event_of(gate, "plain")
    assert (call["surface"], call["provider"], call["model"]) == ("anthropic.messages", "anthropic", MODEL)
    assert (call["finish_reason"], call["status"]) == ("end_turn", "ok")
    assert (call["input_tokens"], call["output_tokens"]) == (247, 12)
    assert call["usage_source"] == "provider"
    # 17 at 3 dollars, 200 at 0.30, 10 at 3.75, 20 at 6, 12 at 15, each per million
    assert call["cost_nano_usd"] == 17 * 3000 + 200 * 300 + 10 * 3750 + 20 * 6000 + 12 * 15000
    assert previews_of(gate, "plain") == ("hello", "Hello, world!")


def test_a_stream_is_answered_and_recorded(gate: Tidegate, client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASK, extra_headers={"x-tidegate-event-id": "stream"}) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()

    assert said == "Hello, world!"
    assert final.usage.output_tokens == 12
    call = event_of(gate, "stream")
    assert (call["input_tokens"], call["output_tokens"], call["finish_reason"]) == (247, 12, "end_turn")
    assert call["stream"] is True
    assert call["response_id"] == "msg_1"
    assert call["attempts"][0]["request_id"] == "req_1"
    assert previews_of(gate, "stream") == ("hello", "Hello, world!")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_tool_is_called_and_its_result_taken_back(
    client: anthropic.Anthropic,
    streamed: bool,  # noqa: FBT001
) -> None:
    def turn(messages: list[Any]) -> anthropic.types.Message:
        ask = {**ASK, "messages": messages, "tools": TOOLS}
        if not streamed:
            whole: anthropic.types.Message = client.messages.create(**ask)
            return whole
        with client.messages.stream(**ask) as stream:
            return stream.get_final_message()

    messages: list[Any] = [{"role": "user", "content": "weather in Oslo?"}]
    first = turn(messages)
    call = first.content[-1]
    assert call.type == "tool_use"
    assert (first.stop_reason, call.input) == ("tool_use", {"city": "Oslo"})
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]},
    ]
    assert turn(messages).stop_reason == "end_turn"


def test_the_beta_flag_and_headers_reach_the_provider(
    upstream: Provider, client: anthropic.Anthropic
) -> None:
    client.beta.messages.create(**ASK, betas=["context-1m-2025-08-07"], extra_query={"beta": "true"})

    assert upstream.requests[-1].path == "/v1/messages?beta=true"
    assert upstream.requests[-1].headers["anthropic-beta"] == "context-1m-2025-08-07"


def test_counting_tokens_is_recorded_and_free(gate: Tidegate, client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(
        model=MODEL, messages=ASK["messages"], extra_headers={"x-tidegate-event-id": "count"}
    )

    assert counted.input_tokens == 14
    call = event_of(gate, "count")
    assert (call["surface"], call["operation"]) == ("anthropic.count_tokens", "count_tokens")
    assert (call["usage_source"], call["input_tokens"], call["cost_nano_usd"]) == ("none", 0, 0)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
def test_a_refusal_reaches_the_client_as_it_was(
    client: anthropic.Anthropic, status: int, error: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(error) as raised:
        client.messages.create(**ASK, system=str(status))

    assert raised.value.request_id == "req_1"
    assert raised.value.status_code == status
    assert raised.value.api_message == "No."
    assert raised.value.response.headers["anthropic-ratelimit-requests-remaining"] == "7"
    assert raised.value.response.headers.get("retry-after") == ("7" if status == 429 else None)


def test_an_error_of_ours_is_one_of_anthropics(gate: Tidegate, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(**{**ASK, "model": "unheard-of"})

    assert raised.value.type == "not_found_error"
    assert raised.value.error_code == "model_not_found"
    assert raised.value.request_id == raised.value.response.headers["x-request-id"]
    assert raised.value.response.json()["request_id"] == raised.value.request_id


def test_a_stream_that_is_cut_raises(gate: Tidegate, client: anthropic.Anthropic) -> None:
    headers = {"x-tidegate-event-id": "cut"}
    with (
        pytest.raises(anthropic.APIError),
        client.messages.stream(**ASK, system="cut", extra_headers=headers) as s,
    ):
        s.until_done()

    call = event_of(gate, "cut")
    assert (call["status"], call["usage_source"]) == ("error", "estimated")
    assert call["input_tokens"] == 247


def test_an_error_in_a_stream_reaches_the_client(gate: Tidegate, client: anthropic.Anthropic) -> None:
    headers = {"x-tidegate-event-id": "fail"}
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(**ASK, system="fail", extra_headers=headers) as s,
    ):
        s.until_done()

    call = event_of(gate, "fail")
    assert (call["error_type"], call["error_message"]) == ("provider_stream_error", "Overloaded")


def test_models_are_listed_in_anthropics_shape(gate: Tidegate, client: anthropic.Anthropic) -> None:
    name = f"anthropic/{fake.MODEL}"
    listed = eventually(
        lambda: [m.id for m in client.models.list() if m.id == name], what="the provider's models"
    )

    assert listed == [name]
    assert client.models.retrieve(name).display_name == name
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.models.retrieve("unheard-of")
    assert raised.value.type == "not_found_error"
    assert gate.get("/v1/models").json()["object"] == "list"


@pytest.mark.parametrize("base", ["/anthropic", "/v1", "/api/anthropic"])
def test_other_base_urls_work(gate: Tidegate, base: str) -> None:
    with anthropic.Anthropic(base_url=gate.url + base, api_key="none", max_retries=0) as client:
        assert client.messages.create(**ASK).content[0].text == "Hello, world!"


def test_the_clients_own_key_goes_on_in_the_header_in_which_it_came(
    tmp_path: Path, upstream: Provider
) -> None:
    config = {
        "providers": {"anthropic": {"base_url": upstream.base_url, "api_key_env": "OF_NOBODY"}},
        "memory": {"enabled": False},
    }
    ask = {**ASK, "model": f"anthropic/{MODEL}"}
    with Tidegate(tmp_path, config) as gate:
        for name, value in (("authorization", "Bearer sk-ant-oat01-x"), ("x-api-key", "sk-ant-api03-y")):
            assert gate.request("POST", "/v1/messages", ask, {name: value}).status == 200
            sent = upstream.requests[-1].headers
            assert {n: v for n, v in sent.items() if n in {"authorization", "x-api-key"}} == {name: value}
            assert sent["anthropic-version"] == "2023-06-01"
        unpaid = gate.request("POST", "/v1/messages", ask)
    assert unpaid.status == 401
    assert unpaid.json()["error"]["type"] == "authentication_error"
