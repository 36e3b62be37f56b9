"""What a try may be billed with that failed after it was sent: never too little, and nothing for one that was not."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.fakes.callers import CHAT
from tests.fakes.provider import Provider, Received, Script, chat, chat_stream, refusal
from tests.fakes.tidegate import Tidegate, eventually, free_port

RATE_IN, RATE_OUT = 1000, 2000
"""Nano-dollars a token."""
MOST = 50
TEXT = "How high is the tide?"
TOOL = {"type": "function", "function": {"name": "tide", "description": "of the day " * 50, "parameters": {}}}
WHOLE = b"".join(piece for piece in chat().wire() if isinstance(piece, bytes))
STREAM = b"".join(piece for piece in chat_stream(["salt", " water"]).wire() if isinstance(piece, bytes))
SCRIPTS = {
    "fine": chat("fine"),
    "mute": Script(raw=b" ", stall_at=0),
    "reset": Script(raw=b" ", cut_at=0, cut="rst"),
    "half": Script(raw=WHOLE, cut_at=len(WHOLE) - 20),
    "late": Script(raw=STREAM, cut_at=STREAM.index(b"water")),
    "ill": refusal(500),
    "limited": refusal(429),
    "unpriced": Script(raw=b" ", cut_at=0, cut="rst"),
}
SENT = ("mute", "reset", "half")
UNSENT_OR_REFUSED = ("nowhere/m", "deaf/m", "p/ill", "p/limited")


def script(request: Received) -> Script:
    return SCRIPTS[request.json()["model"]] if request.method == "POST" else refusal(404)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(script).in_thread() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    hurry = {"connect_s": 0.3, "first_byte_s": 0.3, "total_s": 0.5}
    failing = [*(f"p/{model}" for model in SCRIPTS), "nowhere/m", "deaf/m"]
    routes: dict[str, Any] = {
        f"after-{model}": {"deployments": [{"model": model}], "fallbacks": ["p/fine"], "timeouts": hurry}
        for model in failing
    }
    routes["varied"] = {**routes["after-p/reset"], "variants": {"tooled": {"parameters": {"tools": [TOOL]}}}}
    rates = {"input": f"{RATE_IN / 1000}", "output": f"{RATE_OUT / 1000}"}
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and says nothing
        config = {
            "providers": {
                "p": {"base_url": provider.base_url, "api_key": "x"},
                "nowhere": {"base_url": f"http://127.0.0.1:{free_port()}", "api_key": "x"},
                "deaf": {"base_url": f"https://127.0.0.1:{deaf.getsockname()[1]}", "api_key": "x"},
            },
            "routes": routes,
            "retries": {"attempts": 1, "retry_timeouts": True},
            "breaker": {"min_calls": 1000},
            "prices": {name: rates for name in failing if name != "p/unpriced"},
        }
        with Tidegate(tmp_path_factory.mktemp("possible"), config) as house:
            eventually(lambda: house.get("/api/calls").status == 200, what="the ledger and its prices")
            yield house


def ask(gateway: Tidegate, model: str, **more: object) -> list[dict[str, Any]]:
    """Ask, and return the attempts as the API shows them."""
    event = f"{model} {more}"
    body = {"model": model, "messages": [{"role": "user", "content": TEXT}], **more}
    with contextlib.suppress(http.client.IncompleteRead):
        gateway.request("POST", CHAT, body, {"x-tidegate-event-id": event, "x-tidegate-timeout": "30"})
    (call,) = gateway.await_calls(1, event_id=event)
    detail = gateway.get(f"/api/calls/{call['call_id']}").json()
    attempts: list[dict[str, Any]] = detail.get("call", detail)["attempts"]
    return attempts


def billed(sent: bytes) -> int:
    """What a provider takes at most for what it was sent: a token for each byte of text, and all it may write."""
    asked = msgspec.json.decode(sent)
    said = sum(len(message["content"]) for message in asked["messages"])
    said += len(msgspec.json.encode(asked["tools"])) if "tools" in asked else 0
    return said * RATE_IN + int(asked["max_tokens"]) * RATE_OUT


def sent(provider: Provider, model: str) -> bytes:
    return next(one.body for one in reversed(provider.requests) if one.body and one.json()["model"] == model)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", SENT)
def test_a_try_that_was_sent_and_not_answered_may_cost_what_its_limits_allow(
    gateway: Tidegate, provider: Provider, model: str, *, stream: bool
) -> None:
    if model == "half" and stream:
        model = "late"
    failed, *answered = ask(gateway, f"after-p/{model}", max_tokens=MOST, stream=stream)

    assert failed["error_type"]
    assert (
        billed(sent(provider, model)) <= failed["possible_cost_nano_usd"] < 10 * billed(sent(provider, model))
    )
    assert [attempt["deployment"] for attempt in answered] == ([] if model == "late" else ["p/fine"])
    assert all("possible_cost_nano_usd" not in attempt for attempt in answered)


@pytest.mark.parametrize("model", UNSENT_OR_REFUSED)
def test_a_try_that_was_refused_or_never_sent_costs_nothing(gateway: Tidegate, model: str) -> None:
    failed, answered = ask(gateway, f"after-{model}", max_tokens=MOST)

    assert failed["error_type"]
    assert "possible_cost_nano_usd" not in failed
    assert answered["http_status"] == 200


def test_what_a_variant_adds_to_the_prompt_counts(gateway: Tidegate, provider: Provider) -> None:
    failed, _ = ask(gateway, "varied", max_tokens=MOST)

    assert b"of the day" in sent(provider, "reset")
    assert billed(sent(provider, "reset")) <= failed["possible_cost_nano_usd"]


@pytest.mark.parametrize(("model", "more"), [("p/reset", {}), ("p/unpriced", {"max_tokens": MOST})])
def test_without_a_limit_or_a_price_nobody_can_say(
    gateway: Tidegate, model: str, more: dict[str, object]
) -> None:
    failed, _ = ask(gateway, f"after-{model}", **more)

    assert failed["error_type"]
    assert "possible_cost_nano_usd" not in failed
