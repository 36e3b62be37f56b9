from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.conversation import Citation, Logprob, Refusal, Reply, Stop, Text, Thinking, ToolCall
from gateway.translation.openai_responses.reply_in import read_reply
from telemetry.records import Usage
from tests.fakes.responses import USAGE, message


def read(*output: dict[str, Any], **said: object) -> Reply:
    whole = {"id": "resp_1", "model": "gpt-x", "status": "completed", "output": list(output), "usage": USAGE}
    return read_reply(msgspec.json.encode({**whole, **said}))


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {**message(""), "content": list(parts)}


def test_an_answer_is_read() -> None:
    reply = read(
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x", "content": None},
        message("Hi tide"),
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
        service_tier="flex",
    )
    assert msgspec.structs.replace(reply, raw_usage=b"") == Reply(
        id="resp_1",
        model="gpt-x",
        parts=(
            Thinking(signature="x", hidden=True, id="rs_1", origin="openai"),
            Text("Hi tide"),
            ToolCall(id="c1", name="f"),
        ),
        stop="tool_calls",
        usage=Usage(input_uncached=12, cache_read=8, output_text=4, output_reasoning=2),
        service_tier="flex",
    )
    assert msgspec.json.decode(reply.raw_usage) == USAGE


def test_citations_and_logprobs_are_read() -> None:
    url = {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 2}
    path = {"type": "file_path", "file_id": "file-1", "index": 0}
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}
    reply = read(
        said(
            {
                "type": "output_text",
                "text": "Hi",
                "annotations": [url, path, 3],
                "logprobs": [{**token, "top_logprobs": [token]}],
            },
            {"type": "hologram", "text": "?"},
            {"type": "refusal", "refusal": "No."},
        )
    )
    raw = msgspec.json.encode(path).decode()
    citations = (
        Citation(url="https://x.example", title="X", start=0, end=2),
        Citation(raw=raw, origin="openai"),
    )
    assert reply.parts == (Text("Hi", citations=citations), Refusal("No."))
    one = Logprob(token="Hi", logprob=-0.5)
    assert reply.logprobs == (msgspec.structs.replace(one, top=(one,)),)
    assert reply.stop == "refusal"


@pytest.mark.parametrize(
    ("reason", "stop"), [("max_output_tokens", "length"), ("content_filter", "filter"), (None, "other")]
)
def test_an_incomplete_answer_says_why(reason: str | None, stop: Stop) -> None:
    assert read(status="incomplete", incomplete_details={"reason": reason}).stop == stop


def test_what_openais_own_tools_did_is_passed_over() -> None:
    assert read({"type": "web_search_call", "id": "ws_1", "action": {}}, message("Hi")).parts == (Text("Hi"),)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b"{}", "without output"),
        (b'{"error":{"message":"No such model"}}', "No such model"),
        (b'{"status":"failed","output":[],"error":{"message":"It broke."}}', "It broke"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_reply(body)
