"""Every official client before providers of every other family, through a whole house."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest

from tests.e2e.upstream import model
from tests.fakes import anthropic as claude_fake
from tests.fakes import clouds as bedrock_fake
from tests.fakes import gemini as gemini_fake
from tests.fakes import responses as responses_fake
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.sdks import Chat, City, Failure, Generate, Messages, Responses, Sdk
from tests.fakes.tidegate import Tidegate, eventually

KEY = "of-the-house"
ROOT = Path(__file__).parents[2]
SONNET, FLASH = "anthropic/claude-sonnet-4-6", "gemini/gemini-2.5-flash"
FORMATS = {
    "openai/gpt-4o-mini": "openai.responses",
    "harbour/llama-4": "openai.chat",
    SONNET: "anthropic.messages",
    FLASH: "gemini.generate",
    "bedrock/amazon.nova-pro-v1:0": "bedrock.converse",
}
"""In which each provider is asked, where the client's own format is none of its."""
USAGE = {
    "openai.responses": None,
    "openai.chat": None,
    "anthropic.messages": (247, 12),
    "gemini.generate": (30, 45),
    "bedrock.converse": (9, 3),
}
"""What they say they used; OpenAI's sandbox counts."""
OF_OPENAI = {"openai.chat", "openai.responses"}
CLIENTS = {one.surface: one for one in (Chat, Responses, Messages, Generate)}
PAIRS = [
    (surface, target)
    for surface in CLIENTS
    for target, spoken in FORMATS.items()
    if surface != spoken and not {surface, spoken} <= OF_OPENAI
]
over = pytest.mark.parametrize(("surface", "target"), PAIRS)
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def upstream(request: Received) -> Script:
    """Play all providers; below `/down` they are overloaded, below `/late` they find out after the 200."""
    place, _, path = request.path.removeprefix("/").partition("/")
    if place == "down":
        return Script(status=503, body=b'{"error":{"message":"The tide is out.","type":"server_error"}}')
    if place == "late":
        return _late(msgspec.structs.replace(request, path=f"/{path}"))
    script = model(request)
    if script.status >= 400:
        return msgspec.structs.replace(script, headers=(*script.headers, ("retry-after", "7")))
    if b"stumble" in request.body:
        return _stumbling(script, request)
    return _cut(script) if b"break off" in request.body else script


def _half(script: Script) -> tuple[bytes | float, ...]:
    """The first half of a stream's events."""
    assert isinstance(script.body, tuple), "it is a stream"
    half = script.body[: max(1, len(script.body) // 2)]
    assert len(half) < len(script.body)
    return half


def _stumbling(script: Script, request: Received) -> Script:
    """Say in the middle of the events that there will be no more."""
    return msgspec.structs.replace(script, body=(*_half(script), *_error(request)))


def _cut(script: Script) -> Script:
    """Break off in the middle of the events."""
    half = _half(script)
    cut = msgspec.structs.replace(script, body=half)
    size = sum(len(piece) for piece in cut.wire() if isinstance(piece, bytes))
    return msgspec.structs.replace(cut, cut_at=size - len(b"0\r\n\r\n"))


def _late(request: Received) -> Script:
    """Say after the 200 that there will be no answer."""
    headers = bedrock_fake.EVENT_STREAM if _is_bedrock(request) else (("content-type", "text/event-stream"),)
    start = (bedrock_fake.event("messageStart", role="assistant"),) if _is_bedrock(request) else ()
    return Script(headers=headers, body=(*start, *_error(request)), framing="chunked")


def _is_bedrock(request: Received) -> bool:
    return request.path.startswith("/model/")


def _error(request: Received) -> tuple[bytes, ...]:
    """What each API puts into a stream that fails."""
    if _is_bedrock(request):
        said = b'{"message":"Slow down."}'
        return (bedrock_fake.frame("throttlingException", said, kind="exception"),)
    if ":stream" in request.path:
        error: Any = {"code": 503, "message": "Slow down.", "status": "UNAVAILABLE"}
        return (gemini_fake.line({"error": error}),)
    if request.path.startswith("/v1/messages"):
        error = {"type": "overloaded_error", "message": "Slow down."}
        return (claude_fake.event("error", error=error),)
    if request.path.endswith("/responses"):
        return (responses_fake.event("error", 9, code="server_error", message="Slow down.", param=None),)
    return (b'data: {"error":{"message":"Slow down.","type":"server_error","code":null}}\n\n',)


class Place:
    """A house, what is behind it, and a client of each kind before it."""

    def __init__(self, house: Tidegate, provider: Provider) -> None:
        self.house = house
        self.provider = provider
        self.sdks: dict[str, Sdk] = {name: kind(house.url) for name, kind in CLIENTS.items()}

    def openai(self, key: str = "sk-of-a-client") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.house.url}/v1", api_key=key, max_retries=0)

    def ask(self, name: str, event: str, text: str = "hello tide", **more: Any) -> Any:
        """Ask for a chat completion; return the raw answer."""
        headers = {"x-tidegate-event-id": event, **more.pop("headers", {})}
        said = [{"role": "user", "content": text}]
        return self.house.request(
            "POST", "/v1/chat/completions", {"model": name, "messages": said, **more}, headers
        )

    def record(self, event: str) -> dict[str, Any]:
        (call,) = self.house.await_calls(1, event_id=event)
        found: dict[str, Any] = self.house.get(f"/api/calls/{call['call_id']}").json()
        return found

    def sent(self) -> Any:
        return self.provider.requests[-1].json()


def route(*deployments: str, fallbacks: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {"deployments": [{"model": name} for name in deployments], "fallbacks": list(fallbacks), **more}


APIS = {"openai": "/v1", "anthropic": "", "gemini": "", "bedrock": ""}
ROUTES = {
    **{f"after-down-{api}": route(f"down-{api}/m", fallbacks=(SONNET, FLASH)) for api in APIS},
    **{f"after-late-{api}": route(f"late-{api}/m", fallbacks=(FLASH,)) for api in APIS},
    "lenient": route(SONNET, drop_unsupported=True),
    "lenient-late": route("late-anthropic/m", fallbacks=("harbour/llama-4",), drop_unsupported=True),
    "strict": route(SONNET),
    "strict-then-able": route(SONNET, fallbacks=("harbour/llama-4",)),
    "down-then-strict": route("down-openai/m", fallbacks=(SONNET,)),
    "experiment": route(
        SONNET,
        variants={
            "cold": {"parameters": {"temperature": 0, "max_tokens": 11}},
            "gemini": {"model": FLASH, "parameters": {"temperature": 1, "metadata": None}},
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Provider(upstream).in_thread() as provider:
        url = provider.base_url
        providers: dict[str, Any] = {
            name: {"base_url": url + path, "api_key": KEY} for name, path in APIS.items()
        }
        providers["harbour"] = {"base_url": f"{url}/v1", "api_key": KEY}
        for how in ("down", "late"):
            for api, path in APIS.items():
                mine = {"api": api, "base_url": f"{url}/{how}{path}", "api_key": KEY}
                providers[f"{how}-{api}"] = mine
        config = {"providers": providers, "routes": ROUTES, "retries": {"attempts": 1}}
        with Tidegate(tmp_path_factory.mktemp("translation"), config) as house:
            made = Place(house, provider)
            yield made
            for sdk in made.sdks.values():
                sdk.close()


# --- each client and each provider -----------------------------------------------------------------


@over
@streamed
def test_an_answer_arrives_with_what_the_provider_counted(
    place: Place, surface: str, target: str, *, stream: bool
) -> None:
    said = place.sdks[surface].ask(target, "hello tide", stream=stream)

    assert said.text == "hello tide"
    counted = USAGE[FORMATS[target]]
    assert (said.input_tokens, said.output_tokens) == (counted or (said.input_tokens, said.output_tokens))
    assert said.input_tokens > 0
    assert said.output_tokens > 0


@over
@streamed
def test_a_tool_is_called_and_its_result_comes_back(
    place: Place, surface: str, target: str, *, stream: bool
) -> None:
    called, said = place.sdks[surface].call(target, "How is 'Oslo'?", stream=stream)

    assert called.calls == [("weather", {"city": "Oslo"})]
    assert said.text == "rain in Oslo"
    assert said.calls == []


@over
def test_an_answer_has_the_structure_that_was_asked_for(place: Place, surface: str, target: str) -> None:
    assert isinstance(place.sdks[surface].structured(target, "A city?"), City)


@over
def test_an_image_and_a_system_prompt_reach_the_provider(place: Place, surface: str, target: str) -> None:
    place.sdks[surface].ask(target, "hello tide", system="Be a gull.", image=True)

    asked = place.sent()
    assert SYSTEM[FORMATS[target]](asked) == "Be a gull."
    assert IMAGE in msgspec.json.encode(asked)


IMAGE = b"iVBORw0KGgoAAAANSUhEUg"
SYSTEM: Mapping[str, Any] = {
    "openai.responses": lambda asked: asked.get("instructions") or asked["input"][0]["content"],
    "openai.chat": lambda asked: asked["messages"][0]["content"],
    "anthropic.messages": lambda asked: _one(asked["system"]),
    "gemini.generate": lambda asked: _one(asked["systemInstruction"]["parts"]),
    "bedrock.converse": lambda asked: _one(asked["system"]),
}


def _one(said: Any) -> Any:
    return said if isinstance(said, str) else said[0]["text"]


_EXCEPTIONS = {
    400: ("BadRequestError", "ClientError"),
    401: ("AuthenticationError", "ClientError"),
    404: ("NotFoundError", "ClientError"),
    429: ("RateLimitError", "ClientError"),
    529: ("InternalServerError", "ServerError"),
}


@over
@pytest.mark.parametrize("status", _EXCEPTIONS)
def test_a_refusal_raises_what_the_client_knows_it_as(
    place: Place, surface: str, target: str, status: int
) -> None:
    resting = f"{target}-{status}"  # the model that others ask for is not to rest afterwards
    failure = place.sdks[surface].failure(resting, f"fail with {status}", stream=status == 429)

    kind = _EXCEPTIONS[status][surface == "gemini.generate"]
    if status == 529 and surface == "anthropic.messages":
        kind = "OverloadedError"
    assert failure == Failure(kind, status, "7")


def test_anthropics_client_finds_an_id_of_the_call_whoever_answers(place: Place) -> None:
    messages: Any = [{"role": "user", "content": "fail with 400"}]
    with anthropic.Anthropic(base_url=place.house.url, api_key="sk", max_retries=0) as client:
        with pytest.raises(anthropic.BadRequestError) as refused:
            client.messages.create(model=FLASH, max_tokens=9, messages=messages)
        messages[0]["content"] = "hello tide"
        answer = client.messages.with_raw_response.create(model=FLASH, max_tokens=9, messages=messages)

    call_id = refused.value.response.headers["x-tidegate-call-id"]
    assert refused.value.request_id == call_id
    assert msgspec.json.decode(refused.value.response.content)["request_id"] == call_id
    assert answer.headers["request-id"] == answer.headers["x-tidegate-call-id"]


@over
def test_a_stream_that_breaks_off_raises(place: Place, surface: str, target: str) -> None:
    sdk = place.sdks[surface]

    with pytest.raises(sdk.broken):
        sdk.ask(target, "break off, if you please, in the middle", stream=True)


@over
def test_an_error_in_the_middle_of_a_stream_raises_with_the_providers_words(
    place: Place, surface: str, target: str
) -> None:
    sdk = place.sdks[surface]

    with pytest.raises(sdk.broken, match=r"Slow down\."):
        sdk.ask(target, "stumble on your way, if you please", stream=True)


@pytest.mark.parametrize("target", [one for one in FORMATS if one != FLASH])
def test_googles_other_stream_is_an_array(place: Place, target: str) -> None:
    said = {"contents": [{"role": "user", "parts": [{"text": "hello tide"}]}]}
    path = f"/v1beta/models/{target}:streamGenerateContent"
    reply = place.house.request("POST", path, said, {"x-goog-api-key": "mine"})

    assert reply.headers["content-type"] == "application/json"
    parts = [part for one in reply.json() for part in one["candidates"][0]["content"].get("parts", ())]
    assert "".join(part["text"] for part in parts) == "hello tide"


# --- from one family to another --------------------------------------------------------------------


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("surface", CLIENTS)
@streamed
def test_another_family_answers_for_a_provider_that_is_down(
    place: Place, surface: str, api: str, *, stream: bool
) -> None:
    assert place.sdks[surface].ask(f"after-down-{api}", "hello tide", stream=stream).text == "hello tide"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("surface", CLIENTS)
def test_another_family_answers_for_a_stream_that_fails_before_it_says_anything(
    place: Place, surface: str, api: str
) -> None:
    assert place.sdks[surface].ask(f"after-late-{api}", "hello tide", stream=True).text == "hello tide"


def test_the_record_says_who_was_asked_in_what(place: Place) -> None:
    reply = place.ask("after-down-gemini", "asked-in")

    assert reply.status == 200
    attempts = place.record("asked-in")["attempts"]
    assert [(one["deployment"], one["asked_in"], one["http_status"]) for one in attempts] == [
        ("down-gemini/m", "gemini.generate", 503),
        (SONNET, "anthropic.messages", 200),
    ]


# --- what cannot be carried ------------------------------------------------------------------------


def test_what_a_provider_has_no_place_for_is_refused_by_its_name(place: Place) -> None:
    before = len(place.provider.requests)
    with pytest.raises(openai.BadRequestError, match="seed") as error, place.openai() as client:
        client.chat.completions.create(
            model="strict", messages=[{"role": "user", "content": "hello"}], seed=1, temperature=0.5
        )

    assert (error.value.param, error.value.code) == ("seed", "unsupported_parameter")
    assert len(place.provider.requests) == before, "nobody was asked"


def test_anthropics_client_is_told_the_name_it_used(place: Place) -> None:
    sdk = place.sdks["anthropic.messages"]

    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        sdk.ask("harbour/llama-4", "hello", extra_body={"top_k": 5})


def test_googles_client_is_told_the_name_it_used(place: Place) -> None:
    failure_of = place.sdks["gemini.generate"].ask

    with pytest.raises(Exception, match="topK"):
        failure_of("harbour/llama-4", "hello", top_k=5)


@streamed
def test_a_lenient_route_leaves_it_out_and_says_so(place: Place, *, stream: bool) -> None:
    event = f"lenient-{stream}"
    more: dict[str, Any] = {"seed": 1, "logit_bias": {"5": 1}, "store": True, "stream": stream}
    reply = place.ask("lenient", event, **more)

    assert reply.status == 200
    dropped = reply.headers["x-tidegate-dropped-params"].split(", ")
    assert {"seed", "logit_bias", "store"} == set(dropped)
    (attempt,) = place.record(event)["attempts"]
    assert (attempt["asked_in"], attempt["dropped"]) == ("anthropic.messages", dropped)
    assert not {"seed", "logit_bias", "store"} & set(place.sent())


def test_what_a_provider_that_failed_was_not_told_is_no_news(place: Place) -> None:
    reply = place.ask("lenient-late", "late-drop", seed=1, stream=True)

    assert reply.status == 200
    assert "x-tidegate-dropped-params" not in reply.headers
    first, second = place.record("late-drop")["attempts"]
    assert (first["dropped"], second.get("dropped")) == (["seed"], None)
    assert place.sent()["seed"] == 1


def test_names_that_are_no_header_are_told_as_one(place: Place) -> None:
    odd: dict[str, Any] = {"a\r\nx-evil: 1": 1, "wörter": 2}
    reply = place.ask("lenient", "odd-names", **odd)

    assert reply.status == 200
    assert "x-evil" not in reply.headers
    assert reply.headers["x-tidegate-dropped-params"] == r"a\r\nx-evil: 1, w\xf6rter"


def test_nothing_dropped_is_nothing_said(place: Place) -> None:
    assert "x-tidegate-dropped-params" not in place.ask("lenient", "nothing-dropped").headers


def test_who_can_carry_it_answers_instead_of_who_cannot(place: Place) -> None:
    reply = place.ask("strict-then-able", "able", seed=1)

    assert reply.status == 200
    first, second = place.record("able")["attempts"]
    assert (first["error_type"], first["asked_in"]) == ("unsupported_parameter", "anthropic.messages")
    assert second["deployment"] == "harbour/llama-4"
    assert place.sent()["seed"] == 1


def test_a_fallback_that_cannot_carry_it_does_not_hide_why_it_was_needed(place: Place) -> None:
    reply = place.ask("down-then-strict", "hidden", seed=1)

    assert reply.status == 503
    assert "The tide is out." in reply.body.decode()
    assert [one.get("error_type") for one in place.record("hidden")["attempts"]][1:] == [
        "unsupported_parameter"
    ]


# --- what is known of a call afterwards ------------------------------------------------------------


@streamed
def test_a_call_costs_what_its_provider_takes_for_what_it_counted(place: Place, *, stream: bool) -> None:
    def priced(surface: str, event: str) -> dict[str, Any] | None:
        sdk = place.sdks[surface]
        more: Any = {"extra_headers": {"x-tidegate-event-id": event}}
        sdk.ask(SONNET, "hello tide", stream=stream, **more)
        calls = place.house.await_calls(1, event_id=event)
        return next((call for call in calls if call["cost_reason"] != "no_price_table"), None)

    own = eventually(lambda: priced("anthropic.messages", f"own-{stream}"), what="a price")
    foreign = eventually(lambda: priced("openai.chat", f"foreign-{stream}"), what="a price")

    for name in ("usage", "cost_lines", "cost_nano_usd", "price_row", "provider", "service_tier"):
        assert foreign[name] == own[name], name
    assert foreign["cost_nano_usd"] > 0
    assert foreign["usage"]["cache_read"] == 200
    assert (foreign["surface"], foreign["usage_source"]) == ("openai.chat", "provider")


# --- experiments -----------------------------------------------------------------------------------


def test_a_thread_stays_with_its_variant_whose_parameters_go_out(place: Place) -> None:
    seen: dict[str, str] = {}
    for number in range(12):
        event, headers = f"experiment-{number}", {"x-tidegate-thread-id": f"thread-{number}"}
        more: dict[str, Any] = {"headers": headers, "temperature": 0.5, "max_tokens": 99}
        first = place.ask("experiment", f"{event}-once-more", **more)
        second = place.ask("experiment", event, **more)
        variant = second.headers["x-tidegate-variant"]
        assert first.headers["x-tidegate-variant"] == variant
        _check_parameters(place.sent(), variant)
        seen[variant] = event

    assert set(seen) == {"cold", "gemini"}
    for variant, event in seen.items():
        found = place.record(event)
        assert found["variant"] == variant
        assert found["attempts"][0]["deployment"] == {"cold": SONNET, "gemini": FLASH}[variant]


def _check_parameters(asked: Any, variant: str) -> None:
    """The variant's parameters outweigh the client's, which otherwise stay."""
    if variant == "cold":
        assert (asked["temperature"], asked["max_tokens"]) == (0, 11)
    else:
        config = asked["generationConfig"]
        assert (config["temperature"], config["maxOutputTokens"]) == (1, 99)
