"""Whole houses in front of clouds that check who asks, and the official clients before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from google import genai
from google.genai import types

from tests.fakes.anthropic import events as claude_events
from tests.fakes.anthropic import message, text
from tests.fakes.anthropic import stream as claude_stream
from tests.fakes.clouds import FakeBedrock, GoogleAccount
from tests.fakes.gemini import gemini
from tests.fakes.provider import Provider, Received, Script, chat, chat_stream
from tests.fakes.tidegate import Tidegate

HELLO: Any = [{"role": "user", "content": "Hello"}]
CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
DEPLOYMENTS = "/openai/deployments/tide/chat/completions"
FILTERED = (
    b'{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,'
    b'"innererror":{"code":"ResponsibleAIPolicyViolation"}}}'
)


class Cloud:
    """All clouds on one socket, and a house before them."""

    def __init__(self) -> None:
        self.google = GoogleAccount()
        self._bedrock = FakeBedrock("AKID", "se/cret", "to/ken", "eu-central-1")

    def __call__(self, request: Received) -> Script:
        if request.path == "/token":
            return self.google.give(request)
        if request.path == "/no-token":
            return Script(status=400, body=b'{"error":"invalid_grant"}')
        if request.path.startswith("/model/"):
            return self._bedrock(request)
        if "/publishers/" in request.path:
            return self._vertex(request)
        return self._azure(request)

    def _azure(self, request: Received) -> Script:
        assert request.headers["api-key"] == "azure-key", "not the client's, and not as a bearer"
        assert "authorization" not in request.headers
        body = request.json()
        if "filtered" in request.body.decode():
            return Script(status=400, body=FILTERED)
        if not request.path.startswith(("/openai/v1/", DEPLOYMENTS)):
            return Script(status=404, body=b'{"error":{"code":"404","message":"Resource not found"}}')
        return _with_prompt_filter(chat_stream()) if body.get("stream") else chat()

    def _vertex(self, request: Received) -> Script:
        if request.headers.get("authorization") != f"Bearer {self.google.token}":
            return Script(
                status=401, body=b'{"error":{"code":401,"message":"who?","status":"UNAUTHENTICATED"}}'
            )
        assert "/projects/harbour/locations/global/publishers/" in request.path
        if "/publishers/google/" in request.path:
            return gemini(request)
        assert "/publishers/anthropic/" in request.path
        body = request.json()
        assert body.pop("anthropic_version") == "vertex-2023-10-16"
        assert "model" not in body
        assert ("stream" in request.path) is bool(body.get("stream"))
        return claude_stream(claude_events(text("Hello!"))) if body.get("stream") else message(text("Hello!"))


def _with_prompt_filter(script: Script) -> Script:
    first = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}\n\n'
    assert isinstance(script.body, tuple)
    return msgspec.structs.replace(script, body=(first, *script.body))


@pytest.fixture(scope="module")
def cloud() -> Iterator[tuple[Cloud, Provider]]:
    made = Cloud()
    with Provider(made).in_thread() as started:
        yield made, started


@pytest.fixture(scope="module")
def house(cloud: tuple[Cloud, Provider], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    google, url = cloud[0].google, cloud[1].base_url
    folder = tmp_path_factory.mktemp("clouds")
    account = folder / "account.json"
    account.write_text(google.file(f"{url}/token"))
    config = {
        "providers": {
            "azure": {"base_url": url},
            "azure-old": {"api": "azure", "base_url": url, "api_key": "azure-key", "api_version": "2024-10-21"},
            "bedrock": {"base_url": url, "region": "eu-central-1"},
            "stranger": {"api": "bedrock", "base_url": url, "api_key": "AKID:wrong", "region": "eu-central-1"},
            "vertex": {"base_url": url},
            "lost": {
                "api": "vertex", "base_url": url, "project": "harbour",
                "credentials_file": str(_unknown(folder, google, url)),
            },
        },
        "routes": {
            "sure": {"deployments": [{"model": "lost/gemini-2.5-pro"}], "fallbacks": [f"bedrock/{CLAUDE}"]},
        },
        "retries": {"attempts": 1},
    }  # fmt: skip
    env = {
        "AZURE_OPENAI_API_KEY": "azure-key",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "se/cret",
        "AWS_SESSION_TOKEN": "to/ken",
        "GOOGLE_APPLICATION_CREDENTIALS": str(account),
    }
    with Tidegate(folder, config, env=env) as started:
        yield started


def _unknown(folder: Path, google: GoogleAccount, url: str) -> Path:
    """An account whose tokens nobody gives."""
    file = folder / "unknown.json"
    file.write_text(google.file(f"{url}/no-token"))
    return file


@pytest.fixture
def by_openai(house: Tidegate) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{house.url}/v1", api_key="mine", max_retries=0)


@pytest.fixture
def by_anthropic(house: Tidegate) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=house.url, api_key="mine", max_retries=0)


@pytest.mark.parametrize("provider", ["azure", "azure-old"])
def test_azure_answers_openais_client(by_openai: openai.OpenAI, provider: str) -> None:
    answer = by_openai.chat.completions.create(model=f"{provider}/tide", messages=HELLO)
    pieces = list(by_openai.chat.completions.create(model=f"{provider}/tide", messages=HELLO, stream=True))

    assert answer.choices[0].message.content == "Hello!"
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "Hello!"


def test_azures_two_apis_name_the_model_in_their_own_way(
    by_openai: openai.OpenAI, cloud: tuple[Cloud, Provider], house: Tidegate
) -> None:
    for provider in ("azure", "azure-old"):
        by_openai.chat.completions.create(model=f"{provider}/tide", messages=HELLO)

    new, old = cloud[1].requests[-2:]
    assert (new.path, new.json()["model"]) == ("/openai/v1/chat/completions", "tide")
    assert old.path == f"{DEPLOYMENTS}?api-version=2024-10-21"


def test_what_azures_filter_refuses_says_so(by_openai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        by_openai.chat.completions.create(
            model="azure/tide", messages=[{"role": "user", "content": "filtered"}]
        )

    assert error.value.code == "content_filter"


def test_azures_usage_is_recorded_though_the_client_did_not_ask(
    by_openai: openai.OpenAI, house: Tidegate
) -> None:
    list(
        by_openai.chat.completions.create(
            model="azure/tide",
            messages=HELLO,
            stream=True,
            extra_headers={"x-tidegate-event-id": "azure-stream"},
        )
    )

    (call,) = house.await_calls(1, event_id="azure-stream")
    assert (call["status"], call["provider"]) == ("ok", "azure")
    assert call["usage"]["input_uncached"] == 9


@pytest.mark.parametrize("stream", [False, True])
def test_bedrock_answers_openais_client(by_openai: openai.OpenAI, stream: Any) -> None:
    model = f"bedrock/{CLAUDE}"
    if stream:
        pieces = by_openai.chat.completions.create(
            model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        found = list(pieces)
        text = "".join(piece.choices[0].delta.content or "" for piece in found if piece.choices)
        usage = found[-1].usage
    else:
        answer = by_openai.chat.completions.create(model=model, messages=HELLO)
        text, usage = str(answer.choices[0].message.content), answer.usage

    assert text == "Hello!"
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (9, 3)


def test_bedrock_answers_anthropics_client(by_anthropic: anthropic.Anthropic) -> None:
    answer = by_anthropic.messages.create(model=f"bedrock/{CLAUDE}", max_tokens=10, messages=HELLO)
    with by_anthropic.messages.stream(model=f"bedrock/{CLAUDE}", max_tokens=10, messages=HELLO) as stream:
        streamed = stream.get_final_message()

    for found in (answer, streamed):
        assert found.content[0].type == "text"
        assert found.content[0].text == "Hello!"
        assert (found.stop_reason, found.usage.output_tokens) == ("end_turn", 3)


def test_who_signs_with_a_wrong_key_is_refused_by_name(by_openai: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as error:
        by_openai.chat.completions.create(model=f"stranger/{CLAUDE}", messages=HELLO)

    assert error.value.code == "InvalidSignatureException"


def test_vertex_serves_googles_client(house: Tidegate, cloud: tuple[Cloud, Provider]) -> None:
    options = types.HttpOptions(base_url=house.url)
    with genai.Client(api_key="mine", http_options=options) as client:
        answer = client.models.generate_content(model="vertex/gemini-2.5-pro", contents="Hello")
        pieces = list(client.models.generate_content_stream(model="vertex/gemini-2.5-pro", contents="Hello"))

    assert answer.text
    assert "".join(piece.text or "" for piece in pieces)
    assert cloud[0].google.given == 1, "one token serves them all"


def test_vertex_serves_anthropics_client(by_anthropic: anthropic.Anthropic) -> None:
    model = "vertex/claude-sonnet-4-5@20250929"

    answer = by_anthropic.messages.create(model=model, max_tokens=10, messages=HELLO)
    with by_anthropic.messages.stream(model=model, max_tokens=10, messages=HELLO) as stream:
        streamed = stream.get_final_message()

    for found in (answer, streamed):
        assert found.content[0].type == "text"
        assert found.content[0].text == "Hello!"


@pytest.mark.parametrize("model", ["claude-sonnet-4-5@20250929", "gemini-2.5-pro"])
def test_both_makers_at_vertex_answer_openais_client(by_openai: openai.OpenAI, model: str) -> None:
    answer = by_openai.chat.completions.create(model=f"vertex/{model}", messages=HELLO)
    pieces = list(by_openai.chat.completions.create(model=f"vertex/{model}", messages=HELLO, stream=True))

    assert str(answer.choices[0].message.content).startswith("Hello")
    streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert streamed.startswith("Hello")


def test_an_account_that_gets_no_token_is_a_failure_like_any_other(
    by_openai: openai.OpenAI, house: Tidegate
) -> None:
    told = {"x-tidegate-event-id": "no-token"}
    answer = by_openai.chat.completions.create(model="sure", messages=HELLO, extra_headers=told)

    assert answer.choices[0].message.content == "Hello!"
    (call,) = house.await_calls(1, event_id="no-token")
    detail = house.get(f"/api/calls/{call['call_id']}").json()
    assert [attempt.get("error_type", "") for attempt in detail["attempts"]] == ["no_access_token", ""]
    assert detail["attempts"][1]["request_id"] == "aws-1"


def test_no_secret_of_a_cloud_is_in_the_log(house: Tidegate) -> None:
    log = house.log()

    assert not [
        secret for secret in ("se/cret", "to/ken", "azure-key", "ya29.", "PRIVATE KEY") if secret in log
    ]
