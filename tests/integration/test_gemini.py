"""Google's own client, unchanged, through a whole house to an upstream that plays Gemini."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from google import genai
from google.genai import errors, types

from tests.fakes import gemini as fake
from tests.fakes.contents import contents, holding
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Reply, Tidegate, eventually

MODEL = fake.MODEL
KEY = "AIza-of-the-house"
OURS = "tg-a-key-of-this-gateway"
WITH_KEY = {"x-goog-api-key": OURS}
BODY = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def script(request: Received) -> Script:
    """Play Gemini; what the system instruction says goes wrong does so."""
    body = request.json() if request.body else {}
    wrong = (body.get("systemInstruction") or {"parts": [{"text": ""}]})["parts"][0]["text"]
    streamed = ":streamGenerateContent" in request.path
    match wrong:
        case "cut":
            return fake.stream(fake.events()[:2], request.path, pause_s=0.2, end=False)
        case "slow":
            return fake.stream(fake.events(), request.path, pause_s=0.2)
        case "fail":
            sick = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}
            return fake.stream([*fake.events()[:2], sick], request.path)
        case "blocked":
            blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": fake.PROMPT}
            return fake.stream([blocked], request.path)
        case "400" | "429" | "503":
            status = int(wrong)
            name = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}[status]
            details = [fake.RETRY] if status == 429 else []
            array = streamed and "alt=sse" not in request.path
            return fake.refusal(status, name, *details, wrapped=array)
        case _:
            return fake.gemini(request)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with Provider(script).in_thread() as provider:
        yield provider


@pytest.fixture(scope="module")
def gate(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    config = {
        "providers": {"gemini": {"base_url": upstream.base_url, "api_key": KEY}},
        "keys": [{"name": "app", "hash": hashlib.sha256(OURS.encode()).hexdigest()}],
        "routes": {"smart": {"deployments": [{"model": f"gemini/{MODEL}"}]}},
        "memory": {"enabled": False},
        "retries": {"attempts": 1},  # a refusal is looked at by itself
    }
    with Tidegate(tmp_path_factory.mktemp("gemini"), config) as house:
        yield house


@pytest.fixture
def client(gate: Tidegate) -> Iterator[genai.Client]:
    with genai.Client(api_key=OURS, http_options=options(gate.url)) as made:
        yield made


def options(base_url: str, event: str = "") -> types.HttpOptions:
    headers = {"x-tidegate-event-id": event} if event else {}
    return types.HttpOptions(base_url=base_url, headers=headers)


def config(gate: Tidegate, event: str = "", **more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(http_options=options(gate.url, event), **more)


def call_of(gate: Tidegate, event: str) -> dict[str, Any]:
    return gate.await_calls(1, WITH_KEY, event_id=event)[0]


def previews_of(gate: Tidegate, event: str) -> tuple[str, str]:
    """Payloads are stored apart from the call, a moment later."""
    call = eventually(
        lambda: next((c for c in gate.calls(WITH_KEY, event_id=event) if c["answer_preview"]), None),
        what="the answer",
    )
    return call["request_preview"], call["answer_preview"]


def post(gate: Tidegate, path: str, body: object = BODY) -> Reply:
    return gate.request("POST", path, body, WITH_KEY)


# 10 fresh at 0.30 dollars, 20 cached at 0.03, 45 written at 2.50, each per million
COST = 10 * 300 + 20 * 30 + 45 * 2500


def test_a_call_is_answered_and_recorded_with_its_cost(
    gate: Tidegate, upstream: Provider, client: genai.Client
) -> None:
    answer = client.models.generate_content(
        model=MODEL, contents="hello", config=config(gate, "plain", temperature=0.5, max_output_tokens=9)
    )

    assert answer.text == "Hello, world!"
    assert answer.response_id == "resp-1"
    sent = upstream.requests[-1]
    assert sent.path == f"/v1beta/models/{MODEL}:generateContent"
    assert sent.headers["x-goog-api-key"] == KEY
    assert sent.headers["x-goog-api-client"].startswith("google-genai-sdk/")
    assert not any(name.startswith("x-tidegate") or name == "authorization" for name in sent.headers)
    call = call_of(gate, "plain")
    assert (call["surface"], call["provider"], call["model"]) == ("gemini.generate", "gemini", MODEL)
    assert (call["finish_reason"], call["status"], call["response_id"]) == ("STOP", "ok", "resp-1")
    assert (call["input_tokens"], call["output_tokens"]) == (30, 45)
    assert (call["usage_source"], call["cost_nano_usd"]) == ("provider", COST)
    assert call["parameters"] == {"temperature": 0.5, "maxOutputTokens": 9}
    assert previews_of(gate, "plain") == ("hello", "Hello, world!")


def test_a_stream_is_answered_and_recorded(gate: Tidegate, upstream: Provider, client: genai.Client) -> None:
    chunks = list(
        client.models.generate_content_stream(model=MODEL, contents="hello", config=config(gate, "stream"))
    )

    assert "".join(chunk.text or "" for chunk in chunks) == "Hello, world!"
    assert upstream.requests[-1].path == f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
    call = call_of(gate, "stream")
    assert (call["finish_reason"], call["status"], call["stream"]) == ("STOP", "ok", True)
    assert (call["input_tokens"], call["output_tokens"]) == (30, 45)
    assert call["cost_nano_usd"] == COST
    assert previews_of(gate, "stream") == ("hello", "Hello, world!")


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")  # the client's own
async def test_the_asynchronous_client_works_too(gate: Tidegate, client: genai.Client) -> None:
    said = ""
    async with client.aio as ours:
        async for chunk in await ours.models.generate_content_stream(model=MODEL, contents="hello"):
            said += chunk.text or ""

    assert said == "Hello, world!"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_function_is_called_and_its_result_taken_back(
    gate: Tidegate,
    client: genai.Client,
    streamed: bool,  # noqa: FBT001
) -> None:
    declared = types.FunctionDeclaration(name="weather", parameters_json_schema={"type": "object"})
    asked = config(gate, tools=[types.Tool(function_declarations=[declared])])

    def turn(contents: list[Any]) -> list[types.Part]:
        if not streamed:
            answers = [client.models.generate_content(model=MODEL, contents=contents, config=asked)]
        else:
            answers = list(
                client.models.generate_content_stream(model=MODEL, contents=contents, config=asked)
            )
        return [part for answer in answers for part in answer.parts or ()]

    contents: list[Any] = [types.UserContent("weather in Oslo?")]
    call = turn(contents)[-1].function_call
    assert call is not None
    assert (call.name, call.args) == ("weather", fake.CALL["functionCall"]["args"])
    contents += [
        types.ModelContent(types.Part(function_call=call)),
        types.UserContent(types.Part.from_function_response(name="weather", response={"is": "rain"})),
    ]
    assert "".join(part.text or "" for part in turn(contents) if not part.thought) == "Hello, world!"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("wrong", "kind", "name"),
    [
        ("400", errors.ClientError, "INVALID_ARGUMENT"),
        ("429", errors.ClientError, "RESOURCE_EXHAUSTED"),
        ("503", errors.ServerError, "UNAVAILABLE"),
    ],
)
def test_a_refusal_reaches_the_client_as_the_provider_said_it(
    gate: Tidegate,
    client: genai.Client,
    wrong: str,
    kind: type[errors.APIError],
    name: str,
    streamed: bool,  # noqa: FBT001
) -> None:
    event = f"refused-{wrong}-{streamed}"
    asked = config(gate, event, system_instruction=wrong)

    def ask() -> None:
        if streamed:
            list(client.models.generate_content_stream(model=MODEL, contents="hello", config=asked))
        else:
            client.models.generate_content(model=MODEL, contents="hello", config=asked)

    with pytest.raises(kind) as raised:
        ask()

    assert (raised.value.code, raised.value.status) == (int(wrong), name)
    assert raised.value.message == f"{name} it is."
    call = call_of(gate, event)
    assert (call["http_status"], call["attempts"][0]["error_type"]) == (int(wrong), name)


@pytest.mark.parametrize("wrong", ["cut", "fail"])
def test_a_stream_that_breaks_raises_in_the_client(gate: Tidegate, client: genai.Client, wrong: str) -> None:
    asked = config(gate, wrong, system_instruction=wrong)
    said: list[str] = []

    with pytest.raises((errors.APIError, httpx.TransportError)):
        said += (
            chunk.text or ""
            for chunk in client.models.generate_content_stream(model=MODEL, contents="hello", config=asked)
        )

    call = call_of(gate, wrong)
    assert call["status"] == "error"
    assert call["error_type"] == ("provider_stream_error" if wrong == "fail" else "BrokenAnswer")
    assert call["input_tokens"] == 30


def test_a_blocked_prompt_is_a_whole_answer(gate: Tidegate, client: genai.Client) -> None:
    asked = config(gate, "blocked", system_instruction="blocked")

    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hello", config=asked))

    assert chunks[0].prompt_feedback is not None
    call = call_of(gate, "blocked")
    assert (call["status"], call["finish_reason"], call["input_tokens"]) == ("ok", "PROHIBITED_CONTENT", 30)


def test_embeddings_are_answered_and_priced(gate: Tidegate, upstream: Provider, client: genai.Client) -> None:
    answer = client.models.embed_content(
        model="gemini/gemini-embedding-001",
        contents=["one", "two"],
        config=types.EmbedContentConfig(http_options=options(gate.url, "embed")),
    )

    assert [embedding.values for embedding in answer.embeddings or ()] == [[0.5, -0.25]] * 2
    sent = upstream.requests[-1]
    assert sent.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert {request["model"] for request in sent.json()["requests"]} == {"models/gemini-embedding-001"}
    call = call_of(gate, "embed")
    assert (call["surface"], call["input_tokens"], call["output_tokens"]) == ("gemini.batch_embed", 4, 0)
    assert call["cost_nano_usd"] == 4 * 150


def test_one_text_is_embedded(gate: Tidegate, upstream: Provider) -> None:
    body = {"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 2}

    reply = post(gate, "/v1beta/models/gemini-embedding-001:embedContent", body)

    assert reply.json()["embedding"]["values"] == [0.5, -0.25]
    assert upstream.requests[-1].path == "/v1beta/models/gemini-embedding-001:embedContent"


def test_counting_tokens_costs_nothing_and_counts_nothing(gate: Tidegate, client: genai.Client) -> None:
    counted = client.models.count_tokens(
        model=MODEL,
        contents="hello",
        config=types.CountTokensConfig(http_options=options(gate.url, "count")),
    )

    assert counted.total_tokens == 7
    call = call_of(gate, "count")
    assert (call["surface"], call["operation"]) == ("gemini.count", "count_tokens")
    assert (call["usage_source"], call["input_tokens"], call["output_tokens"]) == ("none", 0, 0)


def test_models_are_listed_the_way_gemini_does(gate: Tidegate, client: genai.Client) -> None:
    names = eventually(
        lambda: [name for m in client.models.list() if (name := m.name or "").startswith("models/gemini/")],
        what="the provider's own list",
    )

    assert names == [f"models/gemini/{MODEL}"]
    listed = gate.get(f"/gemini/v1/models?pageSize=1&key={OURS}").json()["models"]
    assert listed[0]["name"] == "models/smart"
    assert listed[0]["supportedGenerationMethods"]
    assert client.models.get(model=names[0]).display_name == f"gemini/{MODEL}"
    with pytest.raises(errors.ClientError) as raised:
        client.models.get(model="nobody")
    assert raised.value.status == "NOT_FOUND"
    assert gate.get("/v1/models", {"authorization": f"Bearer {OURS}"}).json()["object"] == "list"


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/models/{MODEL}",
        f"/v1alpha/models/{MODEL}",
        f"/gemini/v1beta/models/{MODEL}",
        f"/api/google/gemini/v1beta/models/{MODEL}",
        f"/v1beta/models/gemini/{MODEL}",
        f"/v1beta/models/gemini%2F{MODEL}",
        "/v1beta/models/smart",
    ],
)
def test_the_model_stands_in_the_path(gate: Tidegate, upstream: Provider, path: str) -> None:
    assert post(gate, f"{path}:generateContent").json()["responseId"] == "resp-1"
    assert upstream.requests[-1].path == f"/v1beta/models/{MODEL}:generateContent"
    assert upstream.requests[-1].json() == BODY


def test_a_tuned_model_keeps_its_place(gate: Tidegate, upstream: Provider) -> None:
    post(gate, "/v1beta/tunedModels/mine-1:generateContent")

    assert upstream.requests[-1].path == "/v1beta/tunedModels/mine-1:generateContent"


def test_unknown_models_are_refused_in_geminis_words(gate: Tidegate) -> None:
    whole = post(gate, "/v1beta/models/nobody:generateContent")
    array = post(gate, "/v1beta/models/nobody:streamGenerateContent")

    assert whole.status == array.status == 404
    assert whole.json()["error"]["status"] == "NOT_FOUND"
    assert [item["error"]["code"] for item in array.json()] == [404]
    assert whole.json()["error"]["details"][0]["reason"] == "MODEL_NOT_FOUND"


def test_a_json_array_arrives_piece_by_piece_and_unchanged(upstream: Provider, gate: Tidegate) -> None:
    expected = fake.array(fake.events())
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)
    connection.request(
        "POST",
        f"/v1beta/models/{MODEL}:streamGenerateContent",
        body=msgspec.json.encode(BODY),
        headers={**WITH_KEY, "content-type": "application/json", "x-tidegate-event-id": "array"},
    )

    answer = connection.getresponse()

    assert answer.read() == b"".join(expected)
    connection.close()
    assert upstream.requests[-1].path == f"/v1beta/models/{MODEL}:streamGenerateContent"
    call = call_of(gate, "array")
    assert (call["finish_reason"], call["cost_nano_usd"], call["stream"]) == ("STOP", COST, True)
    assert previews_of(gate, "array") == ("hello", "Hello, world!")


def test_the_first_piece_of_an_array_does_not_wait_for_the_last(gate: Tidegate) -> None:
    body = {**BODY, "systemInstruction": {"parts": [{"text": "slow"}]}}

    url = f"{gate.url}/v1beta/models/{MODEL}:streamGenerateContent"
    with httpx.stream("POST", url, json=body, headers=WITH_KEY) as answer:
        pieces = list(answer.iter_raw())

    assert len(pieces) >= len(fake.events())
    assert b"".join(pieces) == b"".join(fake.array(fake.events()))


def test_an_array_that_is_cut_is_never_closed(gate: Tidegate) -> None:
    body = {**BODY, "systemInstruction": {"parts": [{"text": "cut"}]}}

    pieces: list[bytes] = []

    url = f"{gate.url}/v1beta/models/{MODEL}:streamGenerateContent"
    with (
        httpx.stream("POST", url, json=body, headers=WITH_KEY) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        pieces.extend(answer.iter_raw())

    said = b"".join(pieces)

    assert b'"status":"UNAVAILABLE"' in said
    assert not said.rstrip().endswith(b"]")


def test_a_key_of_the_gateway_may_stand_in_the_query(gate: Tidegate) -> None:
    path = f"/v1beta/models/{MODEL}:generateContent"

    assert gate.request("POST", path, BODY).json()["error"]["status"] == "UNAUTHENTICATED"
    assert gate.request("POST", f"{path}?key=wrong", BODY).status == 401
    assert gate.request("POST", f"{path}?key={OURS}", BODY).status == 200
    assert (
        gate.request("POST", f"/v1/chat/completions?key={OURS}", {"model": "m", "messages": []}).status == 401
    )


def test_a_key_in_the_query_is_used_and_goes_nowhere_else(tmp_path: Path, upstream: Provider) -> None:
    secret = "AIzaSyOnlyForTheOneWhoSentIt0123456789"
    providers = {"gemini": {"base_url": upstream.base_url}}
    with Tidegate(tmp_path, {"providers": providers, "memory": {"enabled": False}}) as gate:
        path = f"/v1beta/models/{MODEL}:streamGenerateContent?key={secret}&alt=sse&%24prettyPrint=false"
        reply = gate.request("POST", path, BODY, {"x-tidegate-event-id": "query"})
        gate.get(f"/v1beta/models?key={secret}")
        gate.get(f"/v1beta/nowhere?key={secret}")
        call = gate.await_calls(1, event_id="query")[0]
        log = gate.log()
    sent = next(request for request in upstream.requests if "prettyPrint" in request.path)

    assert reply.status == 200
    assert sent.path == f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse&%24prettyPrint=false"
    assert sent.headers["x-goog-api-key"] == secret
    assert call["key_id"].startswith("fp-")
    assert not any(secret in request.path for request in upstream.requests)
    assert secret not in log
    assert contents(tmp_path / "data")
    assert holding(tmp_path / "data", secret.encode()) == []
