"""A provider that fails in every way there is: what the client sees, and what the ledger says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.callers import Heard, call
from tests.fakes.provider import Provider, Received, Script, chat, chat_stream, refusal
from tests.fakes.tidegate import Tidegate, free_port

LIMITS = (
    ("retry-after", "7"),
    ("x-ratelimit-limit-requests", "60"),
    ("x-ratelimit-remaining-requests", "0"),
    ("x-ratelimit-reset-requests", "7s"),
    ("x-request-id", "req_provider_429"),
)
STREAM = chat_stream(["salt", " ", "water"], pause_s=0.01)
WIRE = b"".join(piece for piece in STREAM.wire() if isinstance(piece, bytes))
CUT = WIRE.index(b"salt") + 60
"""A place in the middle of the stream: the first word has been sent."""
TEXT = chat("whole").wire()[0]
assert isinstance(TEXT, bytes)


def cut(at: int, how: Any = "fin") -> Script:
    return Script(headers=STREAM.headers, body=STREAM.body, framing="chunked", cut_at=at, cut=how)


SCRIPTS: dict[str, Script] = {
    "fine": chat("fine"),
    "stream-rst": cut(CUT, "rst"),
    "stream-fin": cut(WIRE.index(b"\r\n", CUT) + 2),
    "stream-half-a-chunk": cut(CUT),
    "stream-clean-end-too-soon": Script(headers=STREAM.headers, body=STREAM.body[:3], framing="chunked"),
    "stream-idle": Script(headers=STREAM.headers, body=STREAM.body, framing="chunked", stall_at=CUT),
    "json-fin": Script(raw=TEXT, cut_at=len(TEXT) - 20),
    "json-rst": Script(raw=TEXT, cut_at=len(TEXT) - 20, cut="rst"),
    "silent": Script(raw=TEXT, stall_at=0),
    "json-idle": Script(raw=TEXT, stall_at=len(TEXT) - 20),
    "limited": refusal(
        429, "slow down, sk-proj-0123456789abcdefghij", code="rate_limit_exceeded", headers=LIMITS
    ),
    "full": refusal(429, "come back later"),
    "broken": refusal(500, "the provider is ill"),
    "nonsense": Script(raw=b"SMTP ready\r\n\r\n", hang_up=True),
}
"""By the model's name."""
SHORT = {"first_byte_s": 0.3, "idle_s": 0.3, "total_s": 0.6}


def script(request: Received) -> Script:
    return SCRIPTS[request.json()["model"]] if request.method == "POST" else chat()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(script).in_thread() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A gateway whose models fail as their names say, in haste if the name begins so."""
    fake, hasty = [
        {f"{name}{model}": {"deployments": [{"model": f"fake/{model}"}], **limits} for model in SCRIPTS}
        for name, limits in (("", {}), ("hasty-", {"timeouts": SHORT}))
    ]
    config = {
        "retries": {"attempts": 1},  # each failure is looked at by itself: test_routing.py retries
        "providers": {
            "fake": {"base_url": provider.base_url, "api_key": "x"},
            "nowhere": {"base_url": f"http://127.0.0.1:{free_port()}", "api_key": "x"},
        },
        "routes": {
            **fake,
            **hasty,
            "twofold": {"deployments": [{"model": "fake/broken"}, {"model": "fake/fine"}]},
            "threefold": {
                "deployments": [{"model": "nowhere/x"}, {"model": "fake/full"}, {"model": "fake/fine"}]
            },
        },
    }
    with Tidegate(tmp_path_factory.mktemp("faults"), config) as house:
        yield house


def row(gateway: Tidegate, heard: Heard) -> dict[str, Any]:
    """Return the ledger's only row of this call."""
    (found,) = gateway.await_calls(1, event_id=heard.event)
    assert found["call_id"] == heard.call_id
    detail: dict[str, Any] = gateway.get(f"/api/calls/{heard.call_id}").json()
    return {**found, **detail.get("call", detail)}


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("stream-rst", "upstream_broken_answer"),
        ("stream-fin", "upstream_broken_answer"),
        ("stream-half-a-chunk", "upstream_broken_answer"),
        ("stream-clean-end-too-soon", "upstream_broken_answer"),
        ("hasty-stream-idle", "upstream_timeout_idle"),
    ],
)
def test_a_stream_that_dies_ends_in_an_error_event_and_a_broken_connection(
    gateway: Tidegate, model: str, code: str
) -> None:
    heard = call(gateway, model, event=f"stream {model}", stream=True)

    assert heard.status == 200
    assert b"salt" in heard.body
    assert not heard.whole
    assert b"[DONE]" not in heard.body
    assert b'"error"' in heard.data[-1]
    assert code.encode() in heard.data[-1]
    found = row(gateway, heard)
    assert (found["status"], found["error_code"]) == ("error", code)
    assert found["usage_source"] == "estimated"
    assert found["attempts"][0]["error_type"] == code


@pytest.mark.parametrize(
    ("model", "stream", "status", "code", "names"),
    [
        ("json-fin", False, 502, "upstream_broken_answer", "middle of its answer"),
        ("json-rst", False, 502, "upstream_broken_answer", "middle of its answer"),
        ("nonsense", False, 502, "upstream_broken_answer", "not an HTTP answer"),
        ("nowhere/x", False, 502, "upstream_unreachable", "127.0.0.1"),
        ("nowhere/x", True, 502, "upstream_unreachable", "127.0.0.1"),
        ("hasty-silent", True, 504, "upstream_timeout_first_byte", "timeouts.first_byte_s"),
        ("hasty-silent", False, 504, "upstream_timeout_total", "timeouts.total_s"),
        ("hasty-json-idle", False, 504, "upstream_timeout_total", "timeouts.total_s"),
    ],
)
def test_without_a_whole_answer_the_client_gets_an_error_that_says_why(
    gateway: Tidegate, model: str, *, stream: bool, status: int, code: str, names: str
) -> None:
    heard = call(gateway, model, event=f"{model} {stream}", stream=stream)

    assert (heard.status, heard.whole) == (status, True)
    error = heard.json()["error"]
    assert error["code"] == code
    assert names in error["message"]
    found = row(gateway, heard)
    assert (found["status"], found["error_code"], found["http_status"]) == ("error", code, status)
    assert names in found["error_message"]


def test_a_limit_reaches_the_client_as_the_provider_said_it(gateway: Tidegate) -> None:
    heard = call(gateway, "limited", event="limit")

    assert heard.status == 429
    assert heard.body == SCRIPTS["limited"].body
    for name, value in LIMITS:
        assert heard.headers[name] == value
    found = row(gateway, heard)
    assert (found["status"], found["http_status"]) == ("error", 429)
    assert '"code":"rate_limit_exceeded"' in found["error_message"]
    assert "sk-proj-0123456789" not in found["error_message"]
    assert found["attempts"][0]["http_status"] == 429
    assert found["attempts"][0]["request_id"] == "req_provider_429"


@pytest.mark.parametrize(
    ("model", "tries"),
    [
        ("twofold", [("fake/broken", 500), ("fake/fine", 200)]),
        ("threefold", [("nowhere/x", 0), ("fake/full", 429), ("fake/fine", 200)]),
    ],
)
def test_the_next_deployment_answers_and_every_attempt_is_remembered(
    gateway: Tidegate, model: str, tries: list[tuple[str, int]]
) -> None:
    heard = call(gateway, model, event=f"fall {model}")

    assert heard.answered
    assert heard.json()["choices"][0]["message"]["content"] == "fine"
    found = row(gateway, heard)
    assert found["status"] == "ok"
    assert [(try_["deployment"], try_.get("http_status", 0)) for try_ in found["attempts"]] == tries
    assert found["attempts"][0]["error_type"]


def test_when_every_deployment_fails_the_last_failure_is_told(gateway: Tidegate) -> None:
    heard = call(gateway, "broken", event="all broken")

    assert (heard.status, heard.body) == (500, SCRIPTS["broken"].body)
    assert row(gateway, heard)["error_message"] == SCRIPTS["broken"].body.decode()  # type: ignore[union-attr]


def test_after_all_of_that_the_gateway_holds_no_connection_and_answers(
    gateway: Tidegate, provider: Provider
) -> None:
    for model in ("stream-rst", "json-fin", "hasty-silent"):
        call(gateway, model, stream=model.startswith("stream"))

    heard = call(gateway, "fine", event="after all")

    assert heard.answered
    assert gateway.pids("worker")
    assert "Traceback" not in gateway.log()
