"""Recorded calls of Anthropic, read in any pieces, cut at each event, and passed through a whole house.

The recordings lie beside the repository and are not part of it; without them these tests are skipped.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gateway.wire.anthropic_messages import AnthropicMessages
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Tidegate

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
WIRE = AnthropicMessages()
FRAMING = {"transfer-encoding", "content-length", "connection"}


class Recorded(msgspec.Struct):
    """One call."""

    name: str
    asked: bytes
    status: int
    headers: list[tuple[str, str]]
    sent: bytes
    """The answer's body as it was sent, packed or not."""

    @property
    def body(self) -> bytes:
        return zlib.decompress(self.sent, wbits=47) if self.sent.startswith(b"\x1f\x8b") else self.sent


def recordings() -> Iterator[Recorded]:
    for path in sorted(CASSETTES.rglob("*.yaml*")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if b"/v1/messages" not in data:
            continue
        for i, entry in enumerate(yaml.load(data, Loader=yaml.CSafeLoader)["interactions"]):
            if not entry["request"]["uri"].partition("?")[0].endswith("/v1/messages"):
                continue
            answer = entry["response"]
            headers = [
                (name, value)
                for name, values in answer["headers"].items()
                for value in ([values] if isinstance(values, str) else values)
            ]
            asked, sent = _bytes(entry["request"]["body"]), _bytes(answer["body"]["string"])
            if not sent.startswith(b"\x1f\x8b"):  # some recorders unpack
                headers = [pair for pair in headers if pair[0].lower() != "content-encoding"]
            name = f"{path.parent.name}/{path.name.partition('.')[0]}-{i}"
            yield Recorded(name, asked, answer["status"]["code"], headers, sent)


def _bytes(said: bytes | str) -> bytes:
    return said if isinstance(said, bytes) else said.encode()


CALLS = list(recordings())
STREAMS = [call for call in CALLS if call.body.startswith(b"event:")]
DOCUMENTS = [call for call in CALLS if call.body.startswith(b"{") and call.status == 200]

pytestmark = pytest.mark.skipif(not CALLS, reason="no recordings beside the repository")


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """Decode every event the slow way."""
    lines = stream.decode().splitlines()
    return [msgspec.json.decode(line.removeprefix("data:")) for line in lines if line.startswith("data:")]


def truth(body: bytes) -> tuple[dict[str, Any], str | None, str, str]:
    """Return usage, stop reason, model and id, read the slow way."""
    if not body.startswith(b"event:"):
        said = msgspec.json.decode(body)
        return said["usage"], said["stop_reason"], said["model"], said["id"]
    events = events_of(body)
    start = next(e["message"] for e in events if e["type"] == "message_start")
    usage = dict(start["usage"])
    reason = start["stop_reason"]
    for event in events:
        if event["type"] == "message_delta":
            usage |= {name: count for name, count in event["usage"].items() if count is not None}
            reason = event["delta"]["stop_reason"] or reason
    return usage, reason, start["model"], start["id"]


def input_of(usage: dict[str, Any]) -> int:
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(usage.get(name) or 0 for name in names)


@pytest.mark.parametrize("call", [*STREAMS, *DOCUMENTS], ids=lambda call: call.name)
def test_a_recorded_answer_is_read_right_in_any_pieces(call: Recorded) -> None:
    body = call.body
    usage, reason, model, answer_id = truth(body)
    for size in (1, 13, 777, len(body)):
        reading = WIRE.reading(stream=call in STREAMS, strip_usage=False)
        passed = b"".join(reading.feed(body[i : i + size]) for i in range(0, len(body), size))
        assert passed + reading.end() == body
        finding = reading.finding()
        assert finding.complete
        assert not finding.error
        assert not finding.output_uncounted
        assert finding.usage is not None
        assert finding.usage.input_total == input_of(usage)
        assert finding.usage.cache_read == (usage.get("cache_read_input_tokens") or 0)
        assert finding.usage.output_total == usage["output_tokens"]
        thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)
        assert finding.usage.output_reasoning == thought
        assert msgspec.json.decode(finding.raw_usage) == usage
        assert (finding.finish_reason, finding.response_model, finding.response_id) == (
            reason,
            model,
            answer_id,
        )
        assert reading.began


@pytest.mark.parametrize("call", STREAMS, ids=lambda call: call.name)
def test_a_recorded_stream_that_was_cut_is_incomplete(call: Recorded) -> None:
    events = call.body.split(b"\n\n")[:-1]
    last = next(i for i, event in enumerate(events) if b"message_stop" in event)
    for kept in range(last + 1):
        reading = WIRE.reading(stream=True, strip_usage=False)
        reading.feed(b"".join(event + b"\n\n" for event in events[:kept]) + events[kept][:20])
        reading.end()
        assert not reading.finding().complete


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_recorded_request_survives_a_change_of_model(call: Recorded) -> None:
    before = msgspec.json.decode(call.asked)

    peek = WIRE.peek(call.asked)
    after = msgspec.json.decode(WIRE.rewrite(call.asked, model="another", ask_usage=True, drop=peek.control))

    assert peek.model == before["model"]
    assert peek.stream is bool(before.get("stream"))
    assert peek.parameters["max_tokens"] == before["max_tokens"]
    assert after == before | {"model": "another"}


def test_recorded_calls_pass_through_a_house_unchanged(tmp_path: Path) -> None:
    def answer(request: Received) -> Script:
        if request.method != "POST":
            return Script(status=404)
        call = CALLS[int(request.headers["user-agent"])]
        headers = tuple(pair for pair in call.headers if pair[0].lower() not in FRAMING)
        return Script(status=call.status, headers=headers, body=(call.sent,), framing="chunked")

    with Provider(answer).in_thread() as upstream:
        providers = {"anthropic": {"base_url": upstream.base_url, "api_key": "sk-of-a-test"}}
        with Tidegate(tmp_path, {"providers": providers, "memory": {"enabled": False}}) as house:
            for number, call in enumerate(CALLS):
                said = {"user-agent": str(number), "x-tidegate-event-id": f"call-{number}"}
                reply = house.request("POST", "/v1/messages", call.asked, said)
                assert reply.status == call.status
                assert reply.body == call.sent
                names = {name.lower() for name, _ in call.headers} - FRAMING
                assert names <= set(reply.headers)
                sent = [request for request in upstream.requests if request.method == "POST"][-1]
                assert sent.body == call.asked
            rows = {row["event_id"]: row for row in house.await_calls(len(CALLS))}
    for number, call in enumerate(CALLS):
        usage, reason, model, answer_id = truth(call.body)
        row = rows[f"call-{number}"]
        assert (row["input_tokens"], row["output_tokens"]) == (input_of(usage), usage["output_tokens"])
        assert (row["finish_reason"], row["response_model"], row["response_id"]) == (reason, model, answer_id)
        # on a slow machine the first calls come before the price table
        assert row["cost_nano_usd"] or row["cost_reason"] == "no_price_table"
