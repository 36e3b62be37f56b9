"""Streams of responses, recorded and hand-written, read whole, in odd pieces and byte by byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import yaml

from gateway.wire.openai_completions import OpenAICompletions
from gateway.wire.openai_responses import OpenAIResponses
from tests.golden.test_cassettes import CASSETTES, body_of, chunks_of

FINAL = {"response.completed", "response.incomplete", "response.failed"}


def event(kind: str, **said: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **said}))


def response(status: str, **said: object) -> dict[str, object]:
    return {
        "id": "resp_a",
        "object": "response",
        "model": "gpt-x-2026",
        "status": status,
        "output": [],
        **said,
    }


USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 30},
    "total_tokens": 140,
}
DELTA = event("response.output_text.delta", delta='a "response" and an "error"', sequence_number=2)
BEGIN = event("response.created", response=response("in_progress"), sequence_number=0) + event(
    "response.in_progress", response=response("in_progress"), sequence_number=1
)
CALL = event(
    "response.output_item.done",
    item={"type": "function_call", "name": "f", "arguments": '{"response":{"status":"failed"}}'},
)
COMPLETED = event("response.completed", response=response("completed", usage=USAGE), sequence_number=3)
INCOMPLETE = event(
    "response.incomplete",
    response=response("incomplete", usage=USAGE, incomplete_details={"reason": "max_output_tokens"}),
)
FAILED = event(
    "response.failed",
    response=response("failed", usage=None, error={"code": "server_error", "message": "It broke."}),
)
HAND_WRITTEN = {
    "completed": BEGIN + DELTA * 3 + CALL + COMPLETED,
    "incomplete": BEGIN + DELTA + INCOMPLETE,
    "failed": BEGIN + FAILED,
    "crlf": (BEGIN + DELTA + COMPLETED).replace(b"\n", b"\r\n"),
    "no event lines": b"\n".join(
        line for line in (BEGIN + DELTA + COMPLETED).split(b"\n") if line[:6] != b"event:"
    ),
    "comments": b": waiting\n\n" + BEGIN + b": waiting\n\n" + DELTA + COMPLETED,
    "spaces": b'data:{ "type" : "response.completed" , "response" : {"id" : "resp_b", "status" : "completed"}}\n\n',
    "no last blank line": (BEGIN + DELTA + COMPLETED)[:-2],
}


def recordings() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(CASSETTES.rglob("*responses*.yaml")):
        for i, entry in enumerate(
            yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)["interactions"]
        ):
            if entry["request"]["uri"].endswith("/responses"):
                yield f"{path.stem}-{i}", entry


RECORDED = dict(recordings())
STREAMS = HAND_WRITTEN | {
    name: body for name, entry in RECORDED.items() if b"event:" in (body := body_of(entry))[:200]
}


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[i : i + size] for i in range(0, len(body), size)]


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_a_stream_is_read_right_in_any_pieces(body):
    last = [e for e in chunks_of(body) if e["type"] in FINAL][-1]["response"]
    usage, details = last.get("usage"), last.get("incomplete_details") or {}

    for size in (1, 7, 777, len(body)):
        reading = OpenAIResponses().reading(stream=True, strip_usage=False)

        assert b"".join(map(reading.feed, pieces(body, size))) + reading.end() == body
        finding = reading.finding()
        assert finding.complete
        assert finding.response_id == last["id"]
        assert finding.response_model == last.get("model", "")
        assert finding.finish_reason == (details.get("reason") or last["status"])
        assert finding.error == ((last.get("error") or {}).get("message", ""))
        assert reading.began == (b".delta" in body)
        if usage is None:
            assert finding.usage is None
        else:
            assert finding.usage is not None
            assert finding.usage.input_total == usage["input_tokens"]
            assert finding.usage.cache_read == usage["input_tokens_details"]["cached_tokens"]
            assert finding.usage.output_total == usage["output_tokens"]
            assert finding.usage.output_reasoning == usage["output_tokens_details"]["reasoning_tokens"]
            assert msgspec.json.decode(finding.raw_usage) == usage


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_a_stream_cut_before_its_last_event_is_not_complete(body):
    blank = b"\r\n\r\n" if b"\r" in body else b"\n\n"
    ends = [at for at in range(len(body)) if body.startswith(blank, at)]
    if not body.endswith(blank):
        ends.append(len(body))

    for end in ends[:-1]:
        reading = OpenAIResponses().reading(stream=True, strip_usage=False)
        reading.feed(body[: end + len(blank)])
        reading.end()
        assert not reading.finding().complete


def test_the_id_is_known_with_the_first_event():
    reading = OpenAIResponses().reading(stream=True, strip_usage=False)

    for byte in pieces(BEGIN[: BEGIN.index(b"\n\n") + 1], 1):
        reading.feed(byte)
        assert not reading.finding().response_id
    reading.feed(b"\n")

    assert reading.finding().response_id == "resp_a"


RECORDED_REQUESTS = {
    name: body.encode() if isinstance(body, str) else body
    for name, entry in RECORDED.items()
    if (body := entry["request"]["body"])
}


@pytest.mark.parametrize("body", RECORDED_REQUESTS.values(), ids=RECORDED_REQUESTS)
def test_a_recorded_request_survives_a_change_of_model(body):
    after = OpenAIResponses().rewrite(body, model="another", ask_usage=True)

    assert msgspec.json.decode(after) == {**msgspec.json.decode(body), "model": "another"}


TEXTS: list[dict[str, object]] = [
    {"choices": [{"text": word, "index": 0, "logprobs": None, "finish_reason": None}]}
    for word in ("On", "ce", " upon")
]
TEXTS.append({"choices": [{"text": "", "index": 0, "finish_reason": "length"}]})
TEXTS.append({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}})
COMPLETION = (
    b"".join(
        b"data: "
        + msgspec.json.encode({"id": "cmpl-1", "object": "text_completion", "model": "m", **said})
        + b"\n\n"
        for said in TEXTS
    )
    + b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("size", [1, 13, len(COMPLETION)])
def test_a_legacy_stream_loses_only_the_usage_nobody_asked_for(size):
    reading = OpenAICompletions().reading(stream=True, strip_usage=True)

    passed = b"".join(map(reading.feed, pieces(COMPLETION, size))) + reading.end()

    finding = reading.finding()
    assert chunks_of(passed) == [c for c in chunks_of(COMPLETION) if c["choices"]]
    assert finding.complete
    assert reading.began
    assert (finding.finish_reason, finding.response_id, finding.response_model) == ("length", "cmpl-1", "m")
    assert finding.usage is not None
    assert (finding.usage.input_total, finding.usage.output_total) == (5, 3)
