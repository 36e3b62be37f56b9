"""Guardrails and kept answers through a whole house, asked by the official clients."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.fakes.contents import holding
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.sdks import Chat, Generate, Messages, Responses, Sdk
from tests.fakes.tidegate import Reply, Tidegate, eventually

ECHO = [{"model": "sandbox/echo"}]
MAIL = "ada.lovelace@example.com"
SECRET = "sk-proj-" + "Zy9" * 12
TEXT = f"Dear reader, the address is {MAIL}, and there is no other one in this letter."
CLEAN = "Dear reader, the address is [email], and there is no other one in this letter."


class Place(NamedTuple):
    """The house, the service that it asks, and the clients."""

    house: Tidegate
    service: Provider
    sdks: dict[str, Sdk]


def judged(request: Received) -> Script:
    """Find the word `moon` in what is asked about."""
    texts = request.json()["texts"]
    found = [
        {"text": number, "start": text.index("moon"), "end": text.index("moon") + 4, "kind": "rock"}
        for number, text in enumerate(texts)
        if "moon" in text
    ]
    said = {"verdict": "fail" if found else "pass", "matches": found}
    return Script(
        status=500 if any("crash" in text for text in texts) else 200, body=msgspec.json.encode(said)
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    routes = ("asked", "answered", "blocked", "secret", "service", "open", "kept", "tools", "plain")
    with Provider(judged).in_thread() as service:
        url = service.base_url.removesuffix("/v1") + "/check"
        config: dict[str, Any] = {
            "server": {"drain_s": 1},
            "routes": {name: {"deployments": ECHO} for name in routes},
            "guardrails": [
                {
                    "name": "mail",
                    "check": "pii",
                    "when": ["request"],
                    "action": "redact",
                    "routes": ["asked"],
                },
                {
                    "name": "mail-out",
                    "check": "pii",
                    "when": ["answer"],
                    "action": "redact",
                    "routes": ["answered"],
                },
                {"name": "no-mail", "check": "pii", "when": ["answer"], "routes": ["blocked"]},
                {"name": "no-secrets", "check": "secrets", "routes": ["secret"]},
                {
                    "name": "short",
                    "check": "prompt_tokens",
                    "when": ["request"],
                    "max_tokens": 40,
                    "routes": ["tools"],
                },
                {
                    "name": "tools",
                    "check": "tools",
                    "when": ["request"],
                    "tools": ["read_*"],
                    "routes": ["tools"],
                },
                {"name": "service", "check": "http", "url": url, "action": "redact", "routes": ["service"]},
                {
                    "name": "lenient",
                    "check": "http",
                    "url": url,
                    "on_error": "allow",
                    "action": "flag",
                    "routes": ["open"],
                },
            ],
            "cache": {"rules": [{"routes": ["kept"], "ttl_s": 600}]},
            "encryption": {"projects": ["def*"]},
        }
        with Tidegate(tmp_path_factory.mktemp("guarded"), config) as house:
            clients: list[Sdk] = [make(house.url) for make in (Chat, Responses, Messages, Generate)]
            yield Place(house, service, {client.surface: client for client in clients})
            for client in clients:
                client.close()


SURFACES = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate")
everywhere = pytest.mark.parametrize("surface", SURFACES)
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@everywhere
def test_what_is_redacted_in_a_request_reaches_no_provider(place: Place, surface: str) -> None:
    assert place.sdks[surface].ask("asked", TEXT).text.endswith(CLEAN)


@everywhere
@either_way
def test_what_is_redacted_in_an_answer_reaches_no_client(place: Place, surface: str, *, stream: bool) -> None:
    said = place.sdks[surface].ask("answered", TEXT, stream=stream)
    assert said.text.endswith(CLEAN)
    assert said.output_tokens > 0


@everywhere
def test_a_blocked_request_is_an_error_of_the_clients_own_kind(place: Place, surface: str) -> None:
    failure = place.sdks[surface].failure("secret", f"my key is {SECRET}", stream=False)
    assert failure.status == 400


@everywhere
def test_a_blocked_answer_is_an_error_as_well(place: Place, surface: str) -> None:
    assert place.sdks[surface].failure("blocked", TEXT, stream=False).status == 400


@everywhere
def test_a_stream_that_is_blocked_breaks_and_never_ends_well(place: Place, surface: str) -> None:
    sdk = place.sdks[surface]
    more: dict[str, Any] = {"max_tokens": 4000} if surface == "anthropic.messages" else {}
    with pytest.raises(sdk.broken):
        sdk.ask("blocked", "So much was said before that it was sent. " * 20 + TEXT, stream=True, **more)


def stream(house: Tidegate, model: str, text: str, **headers: str) -> Reply:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(_connection(house)) as line:
        line.request("POST", "/v1/chat/completions", msgspec.json.encode(body), names)
        answer = line.getresponse()
        parts = []
        with contextlib.suppress(http.client.IncompleteRead):
            while part := answer.read1():
                parts.append(part)
        return Reply(answer.status, dict(answer.headers.items()), b"".join(parts))


def _connection(house: Tidegate) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)


def test_a_blocked_stream_says_why_and_nothing_of_what_it_found(place: Place) -> None:
    reply = stream(place.house, "blocked", "Much was said before. " * 60 + TEXT)
    assert reply.status == 200
    assert b"guardrail_blocked" in reply.body
    assert b"`no-mail`" in reply.body
    assert b"[DONE]" not in reply.body
    assert MAIL.encode() not in reply.body


def test_the_record_says_what_each_guardrail_did_and_never_what_it_found(place: Place) -> None:
    body = {"model": "asked", "messages": [{"role": "user", "content": TEXT}]}
    house = place.house
    house.request("POST", "/v1/chat/completions", body, {"x-tidegate-event-id": "redacted"})
    body["model"], body["messages"] = "secret", [{"role": "user", "content": f"key {SECRET}"}]
    refused = house.request("POST", "/v1/chat/completions", body, {"x-tidegate-event-id": "refused"})
    assert refused.json()["error"]["code"] == "guardrail_blocked"
    assert "`no-secrets`" in refused.json()["error"]["message"]

    (redacted,) = house.await_calls(1, event_id="redacted")
    (blocked,) = house.await_calls(1, event_id="refused")
    (checked,) = redacted["guardrails"]
    assert (checked["guardrail"], checked["phase"], checked["verdict"]) == ("mail", "request", "redacted")
    assert checked["kinds"] == ["email"]
    assert checked["latency_us"] >= 0
    assert blocked["guardrails"][0]["verdict"] == "blocked"
    assert (blocked["status"], blocked["error_code"], blocked["http_status"]) == (
        "error",
        "guardrail_blocked",
        400,
    )
    for call in (redacted, blocked):
        page = house.get(f"/api/calls/{call['call_id']}").body
        assert MAIL.encode() not in page
        assert SECRET.encode() not in page


def test_tools_and_length_are_looked_at_before_anything_is_asked(place: Place) -> None:
    def tool(name: str) -> list[dict[str, Any]]:
        return [{"type": "function", "function": {"name": name, "parameters": {}}}]

    house = place.house
    assert house.chat("hi", model="tools", tools=tool("read_file")).status == 200
    refused = house.chat("hi", model="tools", tools=tool("send_mail"))
    assert refused.json()["error"]["message"].startswith("The guardrail `tools`")
    assert (
        house.chat("far too long " * 20, model="tools")
        .json()["error"]["message"]
        .startswith("The guardrail `short`")
    )


@either_way
def test_a_service_of_somebody_elses_is_asked_and_believed(place: Place, *, stream: bool) -> None:
    sdk = place.sdks["openai.chat"]
    said = sdk.ask("service", "fly me to the moon and let me play among the stars", stream=stream)
    assert "fly me to the [rock] and let me play" in said.text
    asked = place.service.requests[-1].json()
    assert asked["guardrail"] == "service"
    assert (asked["phase"], asked["surface"], asked["project"]) == ("answer", "openai.chat", "default")


def test_a_service_that_fails_refuses_the_call_or_not_as_its_settings_say(place: Place) -> None:
    refused = place.house.chat("crash", model="service")
    assert (refused.status, refused.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert place.house.chat("crash", model="open", event="crashed").status == 200
    (call,) = place.house.await_calls(1, event_id="crashed")
    assert {checked["verdict"] for checked in call["guardrails"]} == {"failed"}


def test_a_call_without_guardrails_is_not_touched_and_says_nothing_of_them(place: Place) -> None:
    assert (
        place.house.chat(TEXT, model="plain", event="plain")
        .json()["choices"][0]["message"]["content"]
        .endswith(TEXT)
    )
    (call,) = place.house.await_calls(1, event_id="plain")
    assert (call["guardrails"], call["cache"]) == ([], "")


@everywhere
@either_way
def test_the_same_question_is_answered_again_without_anybody_being_asked(
    place: Place, surface: str, *, stream: bool
) -> None:
    more: dict[str, Any] = {"store": False} if surface == "openai.responses" else {}
    text = f"what {surface} says {stream}"
    sdk = place.sdks[surface]
    first = sdk.ask("kept", text, stream=stream, **more)
    again = eventually(lambda: sdk.ask("kept", text, stream=stream, **more), what="an answer")
    assert again == first


def ask(house: Tidegate, text: str, **headers: str) -> Reply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"model": "kept", "messages": [{"role": "user", "content": text}]}
    return house.request("POST", "/v1/chat/completions", body, names)


def ask_until_kept(house: Tidegate, text: str, **headers: str) -> Reply:
    def look() -> Reply | None:
        reply = ask(house, text, **headers)
        return reply if reply.headers["x-tidegate-cache"] == "hit" else None

    return eventually(look, what="a kept answer")


def test_a_kept_answer_costs_nothing_and_says_so(place: Place) -> None:
    first = ask(place.house, "once", x_tidegate_event_id="once")
    assert first.headers["x-tidegate-cache"] == "miss"
    again = ask_until_kept(place.house, "once", x_tidegate_event_id="twice")
    assert again.body == first.body
    assert int(again.headers["age"]) >= 0
    anew = ask(place.house, "once", x_tidegate_cache="refresh")
    assert anew.headers["x-tidegate-cache"] == "miss"
    assert "x-tidegate-cache" not in ask(place.house, "once", x_tidegate_cache="off").headers

    hit = eventually(
        lambda: next((call for call in place.house.calls(event_id="twice") if call["cache"] == "hit"), None),
        what="the hit in the ledger",
    )
    assert (hit["cost_nano_usd"], hit["price_row"], hit["attempts"]) == (0, "kept answer", [])
    assert (hit["status"], hit["input_tokens"]) == ("ok", 0)


def test_no_tenant_is_ever_given_what_another_one_asked(place: Place) -> None:
    canary = "only tenant one may read this"
    one = {"authorization": "Bearer sk-tenant-one"}
    ask_until_kept(place.house, canary, **one)
    for other in ({"authorization": "Bearer sk-tenant-two"}, {"x_tidegate_environment": "elsewhere"}):
        assert ask(place.house, canary, **{**one, **other}).headers["x-tidegate-cache"] == "miss"


def test_words_of_a_sealed_project_lie_nowhere_and_are_read_all_the_same(place: Place) -> None:
    house, canary = place.house, "the canary sings at midnight"
    ask_until_kept(house, canary, x_tidegate_event_id="sealed")
    body = {"model": "plain", "input": canary}
    answer = house.request("POST", "/v1/responses", body, {"x-tidegate-event-id": "sealed"})
    kept = house.get(f"/v1/responses/{answer.json()['id']}")
    assert canary in kept.body.decode()

    house.await_calls(3, event_id="sealed")
    said = eventually(  # rows of bodies come in after their calls' rows
        lambda: next((one for one in house.calls(event_id="sealed") if one["request_preview"]), None),
        what="a call's words",
    )
    assert canary in said["request_preview"]
    detail = house.get(f"/api/calls/{said['call_id']}").json()
    assert canary in detail["request"]["text"]
    assert detail["request"]["bytes_kept"] == detail["request"]["bytes_total"]
    assert holding(house.data, canary.encode()) == []
    assert holding(house.data, b"sealed:1:")
