"""Clients that hang up: their call is cancelled, and still costs what it cost."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.callers import call, posted, question, raw
from tests.fakes.provider import Provider, Received, Script, chat, chat_stream
from tests.fakes.tidegate import Tidegate, eventually

DRAIN_S = 1.0
WORDS = ("ebb", " and", " flow", " and", " ebb")
STREAM = chat_stream(WORDS, pause_s=0.05)
FIRST = sum(len(piece) for piece in STREAM.wire()[:5] if isinstance(piece, bytes))
"""The headers and two events: the role, and the first word."""
LONG = "x" * 100_000
SCRIPTS = {
    "stream": STREAM,
    "stall": Script(headers=STREAM.headers, body=STREAM.body, framing="chunked", stall_at=FIRST),
    "endless": chat_stream([LONG] * 400),
    "late": Script(body=chat().body, delay_s=0.3),
    "mute": Script(body=chat().body, stall_at=0),
    "fine": chat("fine"),
}


def script(request: Received) -> Script:
    return SCRIPTS[request.json()["model"]] if request.method == "POST" else chat()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(script).in_thread() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A gateway that reads on for a second when nobody listens any more."""
    config = {
        "providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}},
        "server": {"drain_s": DRAIN_S},
    }
    with Tidegate(tmp_path_factory.mktemp("hangups"), config) as house:
        yield house


def hang_up(
    gateway: Tidegate, provider: Provider, model: str, event: str, *, stream: bool, reset: bool = False
) -> dict[str, Any]:
    """Ask, wait for the first word (or, without a stream, for the provider to be asked), leave; return the row."""
    body = question(f"fake/{model}", event, stream=stream)
    with raw(gateway) as connection:
        connection.sendall(posted(body, f"x-tidegate-event-id: {event}"))
        if stream:
            received = b""
            while b"content" not in received:
                received += connection.recv(65536)
        else:
            eventually(lambda: _was_asked(provider, event), what="the provider to be asked")
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    (row,) = gateway.await_calls(1, event_id=event)
    return row


def _was_asked(provider: Provider, event: str) -> bool:
    return any(event.encode() in request.body for request in provider.requests)


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize(("model", "stream"), [("stream", True), ("late", False)])
def test_a_client_that_hangs_up_leaves_a_cancelled_call_with_the_providers_usage(
    gateway: Tidegate, provider: Provider, model: str, *, stream: bool, reset: bool
) -> None:
    row = hang_up(gateway, provider, model, f"left-{model}-{reset}", stream=stream, reset=reset)

    assert (row["status"], row["error_type"]) == ("cancelled", "client_left")
    assert row["usage_source"] == "provider"
    assert (row["input_tokens"], row["output_tokens"]) == (9, len(WORDS) if stream else 3)
    assert len(row["attempts"]) == 1


@pytest.mark.parametrize(("model", "stream"), [("stall", True), ("mute", False)])
def test_a_provider_that_falls_silent_after_the_hang_up_is_given_up(
    gateway: Tidegate, provider: Provider, model: str, *, stream: bool
) -> None:
    before = provider.hung_up

    row = hang_up(gateway, provider, model, f"silent-{model}", stream=stream)

    eventually(lambda: provider.hung_up > before, what="the gateway to hang up on the provider")
    assert (row["status"], row["error_type"]) == ("cancelled", "client_left")
    assert DRAIN_S <= row["total_us"] / 1e6 < DRAIN_S + 5
    if stream:
        assert row["usage_source"] == "estimated"
        assert row["input_tokens"] > 0
        assert row["output_tokens"] > 0


def test_a_provider_that_never_ends_is_not_read_for_long(gateway: Tidegate, provider: Provider) -> None:
    row = hang_up(gateway, provider, "endless", "endless", stream=True)

    assert (row["status"], row["usage_source"]) == ("cancelled", "estimated")
    assert row["total_us"] < 30e6
    eventually(lambda: provider.hung_up, what="the gateway to hang up on the provider")


def test_a_client_that_leaves_between_calls_has_cancelled_nothing(gateway: Tidegate) -> None:
    heard = call(gateway, "fake/fine", event="polite")

    assert heard.answered
    assert gateway.await_calls(1, event_id="polite")[0]["status"] == "ok"


def test_hundreds_who_hang_up_hold_nothing_back(gateway: Tidegate, provider: Provider) -> None:
    started = time.monotonic()
    for number in range(100):
        with raw(gateway) as connection:
            body = question("fake/stream", f"crowd-{number}", stream=True)
            connection.sendall(posted(body, "x-tidegate-thread-id: crowd"))
            connection.recv(100)

    rows = gateway.await_calls(100, thread_id="crowd")
    assert time.monotonic() - started < 30
    assert {row["status"] for row in rows} == {"cancelled"}
    assert {row["usage_source"] for row in rows} == {"provider"}
    assert "Traceback" not in gateway.log()
