"""A provider fails and its callers do not notice; and what they notice when they must."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.fakes.callers import Heard, call, posted, question, raw
from tests.fakes.provider import Provider, Received, Script, chat, chat_stream, refusal, sse
from tests.fakes.tidegate import Tidegate, eventually

KEY = "sk-proj-0123456789abcdefghij"
ROLE = b"".join(piece for piece in chat_stream().body[:1] if isinstance(piece, bytes))
EVENTS = [piece for piece in chat_stream(["fine"]).body if isinstance(piece, bytes)]
ERROR = b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'
WIRE = b"".join(piece for piece in chat_stream(["salt", " water"]).wire() if isinstance(piece, bytes))
NOTHING_BUT_ROLES = sse([ROLE] * (70_000 // len(ROLE)))
TOO_LONG = refusal(400, "maximum context length is 9 tokens", code="context_length_exceeded")
RETRY_AFTER_S = 0.5
TWO = {"workers": 2, "drain_s": 1}

ALWAYS: dict[str, Script] = {
    "fine": chat("fine"),
    "fine-stream": chat_stream(["fine"]),
    "bad": refusal(400, "what?"),
    "ill": refusal(500, f"no key {KEY} here"),
    "absent": Script(raw=b" ", cut_at=0, cut="rst"),
    "mute": Script(raw=b" ", stall_at=0),
    "error-event": sse([ROLE, ERROR]),
    "client-error-event": sse([ROLE, ERROR.replace(b"overloaded_error", b"invalid_request_error")]),
    "half-event": Script(raw=WIRE, cut_at=WIRE.index(b"salt") + 2),
    "after-commit": Script(raw=WIRE, cut_at=WIRE.index(b"water")),
    "late": sse(EVENTS, pause_s=0.35),
    "thinking": Script(headers=chat_stream().headers, body=(ROLE, 2.6, *EVENTS[1:]), framing="chunked"),
    "wordless": Script(
        headers=NOTHING_BUT_ROLES.headers, body=NOTHING_BUT_ROLES.body, framing="chunked", stall_at=69_000
    ),
    "slow-ill": Script(status=500, body=b"{}", delay_s=0.5),
    "long": TOO_LONG,
    "limited": refusal(429, "slow down", headers=(("retry-after-ms", "500"),)),
    "closed": refusal(429, "come back tomorrow", headers=(("retry-after", "30"),)),
    "slow": chat_stream(["tide"] * 30, pause_s=0.05),
}
"""By the model's name; `once-` before it: only the first time for each caller, then fine."""


class Place:
    """A provider that remembers when it was asked for what by whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, str]] = []
        self.provider = Provider(self._script)

    def times(self, event: str) -> list[float]:
        return [at for at, _, who in self.asked if who == event]

    def models(self, event: str) -> list[str]:
        return [model for _, model, who in self.asked if who == event]

    def _script(self, request: Received) -> Script:
        if request.method != "POST":
            return refusal(404)
        if "multipart" in request.headers.get("content-type", ""):
            self.asked.append((time.monotonic(), "upload", "upload"))
            return ALWAYS["ill"]
        body = request.json()
        model, who = body["model"], body["messages"][0]["content"]
        seen = model in self.models(who)
        self.asked.append((time.monotonic(), model, who))
        if model.startswith("once-"):
            model = "fine" if seen else model.removeprefix("once-")
        if model == "fine" and body.get("stream"):
            model = "fine-stream"
        return ALWAYS[model]


def route(*models: str, **said: Any) -> dict[str, Any]:
    return {"deployments": [{"model": f"p/{model}"} for model in models], **said}


ROUTES = {
    "error-first": route("error-event", "fine"),
    "cut-first": route("half-event", "fine"),
    "thinking": route("thinking", "fine"),
    "beating": route("late", heartbeat_s=0.1),
    "beating-ill": route("slow-ill", heartbeat_s=0.1, retries={"attempts": 1}),
    "beating-on": route("slow-ill", "fine", heartbeat_s=0.1, retries={"attempts": 1}),
    "short": route("long", context_window_fallback="p/fine"),
    "cheap": route("dear", "fine", strategy="cheapest"),
    "guarded": route("closed", "fine"),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = Place()
    with place.provider.in_thread():
        yield place


def config(place: Place, **said: Any) -> dict[str, Any]:
    return {
        "providers": {"p": {"base_url": place.provider.base_url, "api_key": "x"}},
        "routes": ROUTES,
        "retries": {"backoff_ms": [10, 50]},
        "breaker": {"min_calls": 1000},
        "server": {"drain_s": 1},
        "prices": {"p/dear": {"input": "10", "output": "10"}, "p/fine": {"input": "1", "output": "1"}},
        **said,
    }


@pytest.fixture(scope="module")
def gateway(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    with Tidegate(tmp_path_factory.mktemp("routing"), config(place)) as house:
        yield house


def row(gateway: Tidegate, event: str) -> dict[str, Any]:
    (found,) = gateway.await_calls(1, event_id=event)
    detail: dict[str, Any] = gateway.get(f"/api/calls/{found['call_id']}").json()
    return {**found, **detail.get("call", detail)}


def text(heard: Heard) -> str:
    assert heard.answered, heard
    if not heard.data:
        said: str = heard.json()["choices"][0]["message"]["content"]
        return said
    return "fine" if b'"fine"' in heard.body else repr(heard.body)


# another try


def test_a_failure_is_tried_again_and_each_attempt_is_recorded_in_full(
    gateway: Tidegate, place: Place
) -> None:
    heard = call(gateway, "p/once-ill", event="again")

    assert text(heard) == "fine"
    first, second = row(gateway, "again")["attempts"]
    assert (first["http_status"], second["http_status"]) == (500, 200)
    assert '"message":"no key' in first["error_message"]
    assert KEY not in first["error_message"]
    pause_us = second["started_us"] - first["ended_us"]
    assert 0 <= pause_us < 1e6
    assert len(place.times("again")) == 2


def test_a_pause_that_the_provider_asked_for_is_kept(gateway: Tidegate, place: Place) -> None:
    heard = call(gateway, "p/once-limited", event="patient")

    assert text(heard) == "fine"
    first, second = place.times("patient")
    assert second - first + 0.005 >= RETRY_AFTER_S  # its answer took a moment
    attempts = row(gateway, "patient")["attempts"]
    pause_s = (attempts[1]["started_us"] - attempts[0]["ended_us"]) / 1e6
    assert RETRY_AFTER_S <= pause_s <= RETRY_AFTER_S * 1.1 + 0.1  # and a busy machine oversleeps


def test_a_bad_request_is_asked_once(gateway: Tidegate, place: Place) -> None:
    assert call(gateway, "p/bad", event="bad").status == 400
    assert len(place.times("bad")) == 1


@pytest.mark.parametrize("model", ["p/ill", "p/absent"])
def test_when_nothing_is_left_to_try_clients_are_told_not_to_try_again(gateway: Tidegate, model: str) -> None:
    heard = call(gateway, model, event=f"all of {model}")

    assert heard.status >= 500
    assert heard.headers["x-should-retry"] == "false"
    assert len(row(gateway, f"all of {model}")["attempts"]) == 3


def test_a_prompt_that_is_too_long_goes_where_there_is_room(gateway: Tidegate, place: Place) -> None:
    assert text(call(gateway, "short", event="short")) == "fine"
    assert place.models("short") == ["long", "fine"]


def test_the_cheapest_is_asked_first(gateway: Tidegate, place: Place) -> None:
    def priced() -> bool:
        event = f"priced {time.monotonic()}"
        assert call(gateway, "p/fine", event=event).answered
        return row(gateway, event)["cost_nano_usd"] is not None

    eventually(priced, what="the prices to be known")

    assert text(call(gateway, "cheap", event="cheap")) == "fine"
    assert place.models("cheap") == ["fine"]


def test_an_upload_is_sent_once_whatever_becomes_of_it(gateway: Tidegate, place: Place) -> None:
    form = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--b--\r\n'
    reply = gateway.request(
        "POST",
        "/v1/audio/transcriptions",
        form,
        {"content-type": "multipart/form-data; boundary=b", "x-tidegate-provider": "p"},
    )

    assert reply.status == 500
    assert len(place.times("upload")) == 1


# the caller's patience


def test_a_caller_says_how_long_it_waits(gateway: Tidegate) -> None:
    began = time.monotonic()
    heard = call(gateway, "p/mute", event="impatient", headers={"x-tidegate-timeout": "0.4"})

    assert (heard.status, heard.json()["error"]["code"]) == (504, "upstream_timeout_total")
    assert 0.4 <= time.monotonic() - began < 3


def test_the_sdks_own_patience_counts_where_it_is_shorter(gateway: Tidegate) -> None:
    heard = call(gateway, "p/mute", event="stainless", headers={"x-stainless-timeout": "0.4"})

    assert heard.json()["error"]["code"] == "upstream_timeout_total"


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan"])
def test_a_patience_that_makes_no_sense_is_refused(gateway: Tidegate, said: str) -> None:
    heard = call(gateway, "p/fine", event=f"nonsense {said}", headers={"x-tidegate-timeout": said})

    assert (heard.status, heard.json()["error"]["param"]) == (400, "x-tidegate-timeout")
    assert call(gateway, "p/fine", headers={"x-stainless-timeout": said}).answered


def test_a_pause_that_is_longer_than_the_patience_is_not_begun(gateway: Tidegate, place: Place) -> None:
    heard = call(gateway, "p/limited", event="hurried", headers={"x-tidegate-timeout": "0.3"})

    assert heard.status == 429
    assert len(place.times("hurried")) == 1


def test_a_caller_that_leaves_in_a_pause_is_not_tried_for(gateway: Tidegate, place: Place) -> None:
    with raw(gateway) as connection:
        connection.sendall(posted(question("p/limited", "left"), "x-tidegate-event-id: left"))
        eventually(lambda: place.times("left"), what="the provider to be asked")

    assert row(gateway, "left")["status"] == "cancelled"
    assert len(place.times("left")) == 1


# the first event


@pytest.mark.parametrize("model", ["error-first", "cut-first"])
def test_a_stream_that_fails_before_its_first_word_is_answered_by_another(
    gateway: Tidegate, place: Place, model: str
) -> None:
    heard = call(gateway, model, event=model, stream=True)

    assert text(heard) == "fine"
    assert b"overloaded" not in heard.body
    assert b"salt" not in heard.body
    assert heard.body.count(b'"role"') == 1
    attempts = row(gateway, model)["attempts"]
    assert attempts[-1]["deployment"] == "p/fine"
    assert all(attempt["error_type"] for attempt in attempts[:-1])
    assert place.models(model).count("fine") == 1


def test_an_error_in_the_first_event_that_nothing_helps_against_reaches_the_client_as_it_was(
    gateway: Tidegate, place: Place
) -> None:
    heard = call(gateway, "p/client-error-event", event="said", stream=True)

    assert heard.status == 200
    assert heard.headers["content-type"] == "text/event-stream"
    assert heard.body == ROLE + ERROR.replace(b"overloaded_error", b"invalid_request_error")
    assert len(place.times("said")) == 1
    found = row(gateway, "said")
    assert (found["status"], found["error_code"]) == ("error", "provider_stream_error")


def test_after_two_seconds_without_a_word_the_beginning_is_sent(gateway: Tidegate) -> None:
    came: list[float] = []
    began = time.monotonic()
    heard = call(
        gateway,
        "thinking",
        event="thinking",
        stream=True,
        on_first=lambda: came.append(time.monotonic() - began),
    )

    assert text(heard) == "fine"
    assert 1.9 <= came[0] <= 2.55
    assert heard.body.count(b'"role"') == 1


def test_more_than_64_kb_without_a_word_are_sent(gateway: Tidegate) -> None:
    with raw(gateway) as connection:
        connection.sendall(posted(question("p/wordless", stream=True)))
        connection.settimeout(1.8)
        received = b""
        while len(received) < 65_536:
            received += connection.recv(65536)

    assert b"200 OK" in received


def test_after_its_first_word_a_failure_is_the_sdks_error_with_what_it_cost(
    gateway: Tidegate, place: Place
) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0)
    words: list[str | None] = []
    with pytest.raises(openai.APIError):  # noqa: PT012 - what came before the failure matters
        for event in client.chat.completions.create(
            model="p/after-commit",
            messages=[{"role": "user", "content": "broken late"}],
            stream=True,
            extra_headers={"x-tidegate-event-id": "late"},
        ):
            words += [choice.delta.content for choice in event.choices]

    assert "salt" in words
    found = row(gateway, "late")
    assert (found["status"], found["usage_source"]) == ("error", "estimated")
    assert found["output_tokens"] > 0
    assert len(place.times("broken late")) == 1


# heartbeats


def test_a_silent_stream_shows_signs_of_life(gateway: Tidegate) -> None:
    heard = call(gateway, "beating", event="beats", stream=True)

    assert text(heard) == "fine"
    assert heard.body.startswith(b": ") or b"\n: " in heard.body
    assert heard.body.count(b": still waiting\n\n") >= 3
    events = [event for event in heard.body.split(b"\n\n") if event and not event.startswith(b":")]
    assert all(event.startswith(b"data: {") or event == b"data: [DONE]" for event in events)


def test_with_a_heartbeat_another_deployment_still_answers(gateway: Tidegate) -> None:
    heard = call(gateway, "beating-on", event="beats on", stream=True)

    assert heard.body.startswith(b": still waiting\n\n")
    assert text(heard) == "fine"


def test_a_failure_after_a_heartbeat_is_an_event(gateway: Tidegate) -> None:
    heard = call(gateway, "beating-ill", event="beats ill", stream=True)

    assert (heard.status, heard.whole) == (200, False)
    assert b'"error"' in heard.data[-1]
    assert row(gateway, "beats ill")["status"] == "error"


def test_a_call_that_is_no_stream_has_no_heartbeat(gateway: Tidegate) -> None:
    assert call(gateway, "beating-ill", event="no beats").status == 500


# several workers


def _slots(gateway: Tidegate) -> dict[int, dict[str, Any]]:
    """Ask until both workers answered; return what they say of the guarded route's first deployment."""
    found: dict[int, dict[str, Any]] = {}

    def look() -> bool:
        report = gateway.get("/api/routes").json()
        found[report["slot"]] = next(
            way for way in report["routes"] if way["route"] == "guarded" and way["deployment"] == "p/closed"
        )
        return len(found) == 2

    eventually(look, what="both workers to answer")
    return found


def test_what_one_worker_learns_all_of_them_know(tmp_path: Any) -> None:
    place = Place()
    with place.provider.in_thread(), Tidegate(tmp_path, config(place, server=TWO)) as house:
        assert text(call(house, "guarded", event="first")) == "fine"
        eventually(lambda: all(way["cooldown_s"] > 0 for way in _slots(house).values()), what="both to know")
        for number in range(12):
            assert text(call(house, "guarded", event=f"next-{number}")) == "fine"

        assert [model for _, model, _ in place.asked].count("closed") == 1
        ready = house.get("/health/ready").json()
        sinks = {sink["name"]: sink for sink in ready["sinks"]}
        assert (sinks["routes"]["ok"], sinks["routes"]["detail"]) == (True, {"p/closed": "cooling"})
        command = [sys.executable, "-m", "gateway", "routes", "--url", house.url]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "guarded" in shown
        assert "cooling" in shown

        house.kill("hub")
        assert text(call(house, "guarded", event="without a hub")) == "fine"
        assert text(call(house, "error-first", event="falls without a hub", stream=True)) == "fine"


def test_an_open_breaker_shows_and_closes_again(tmp_path: Any) -> None:
    place = Place()
    breaker = {"min_calls": 4, "open_s": 1.5}
    routes = {"one": route("moody", retries={"attempts": 1})}
    with (
        place.provider.in_thread(),
        Tidegate(tmp_path, config(place, breaker=breaker, routes=routes)) as house,
    ):
        ALWAYS["moody"] = ALWAYS["ill"]
        for number in range(4):
            assert call(house, "one", event=f"ill-{number}").status == 500
        ready = house.get("/health/ready").json()
        assert ready["status"] == "degraded"
        assert {"name": "routes", "ok": False, "detail": {"p/moody": "open"}} in ready["sinks"]

        ALWAYS["moody"] = ALWAYS["fine"]
        assert text(call(house, "one", event="nobody else is there")) == "fine"
        eventually(
            lambda: call(house, "one").answered and house.get("/health/ready").json()["status"] == "ready",
            what="the breaker to close",
        )


def test_a_killed_worker_breaks_its_own_streams_only(tmp_path: Any) -> None:
    place = Place()
    with place.provider.in_thread(), Tidegate(tmp_path, config(place, server=TWO)) as house:
        heard: list[Heard] = []
        begun = threading.Semaphore(0)

        def ask(number: int) -> None:
            heard.append(call(house, "p/slow", event=f"s-{number}", stream=True, on_first=begun.release))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert begun.acquire(timeout=30)
        os.kill(house.pids("worker")[0], signal.SIGKILL)
        for thread in threads:
            thread.join(30)

        assert len(heard) == 16
        whole = [one for one in heard if one.answered]
        assert 0 < len(whole) < 16
        assert all(one.body.count(b'"tide"') == 30 for one in whole)
        assert all(b"[DONE]" not in one.body for one in heard if not one.answered)
        assert text(call(house, "p/fine", event="later")) == "fine"
