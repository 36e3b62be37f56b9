"""Recorded requests and answers of Bedrock, read and written again.

The recordings lie beside the repository and are not part of it; without them these tests are skipped.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gateway.errors import Refused
from gateway.providers.bedrock import Bedrock
from gateway.translation.bedrock.format import BedrockFormat
from gateway.translation.conversation import Message, Reply, Request, Text, Thinking, ToolCall
from gateway.translation.events import Ended
from tests.fakes.clouds import check_converse, frames_by_aws
from tests.fakes.event_streams import cut_off, reply_of, told, ways

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
FORMAT = BedrockFormat()
STOPS = {"end_turn": "end", "tool_use": "tool_calls", "max_tokens": "length"}


def recordings() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for repository in ("langchain-aws", "opentelemetry-python-contrib"):
        for path in sorted((CASSETTES / repository).rglob("*.yaml*")):
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            if b"/converse" not in data:
                continue
            tape = yaml.load(data, Loader=yaml.CSafeLoader)
            pairs = [(one["request"], one["response"]) for one in tape.get("interactions", ())]
            pairs += list(zip(tape.get("requests", ()), tape.get("responses", ()), strict=True))
            for place, (request, response) in enumerate(pairs):
                yield f"{path.name.partition('.')[0]}-{place}", request, response


def body_of(response: dict[str, Any]) -> bytes:
    said = response["body"]["string"]
    return said if isinstance(said, bytes) else said.encode()


TAPES = [(name, request, body_of(response)) for name, request, response in recordings()
         if response["status"]["code"] == 200]  # fmt: skip
STREAMS = [(name, body) for name, _, body in TAPES if not body.startswith(b"{")]
DOCUMENTS = [(name, body) for name, _, body in TAPES if body.startswith(b"{")]
REFUSALS = [(name, response) for name, _, response in recordings() if response["status"]["code"] != 200]

pytestmark = pytest.mark.skipif(not TAPES, reason="no recordings beside the repository")


def check(reply: Reply, blocks: list[dict[str, Any]], stop: str, usage: dict[str, int]) -> None:
    """Compare a reply with the blocks of an answer, read slowly."""
    text = "".join(block.get("text", "") for block in blocks)
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    thoughts = [block["reasoningContent"]["reasoningText"] for block in blocks if "reasoningContent" in block]
    assert "".join(part.text for part in reply.parts if isinstance(part, Text)) == text
    assert [
        (part.id, part.name, msgspec.json.decode(part.arguments))
        for part in reply.parts
        if isinstance(part, ToolCall)
    ] == [(call["toolUseId"], call["name"], call["input"]) for call in calls]
    assert [
        {"text": part.text, "signature": part.signature} for part in reply.parts if isinstance(part, Thinking)
    ] == thoughts
    assert reply.stop == STOPS[stop]
    assert reply.usage is not None
    assert (reply.usage.input_uncached, reply.usage.output_total) == (
        usage["inputTokens"],
        usage["outputTokens"],
    )


def plain(block: dict[str, Any]) -> dict[str, Any]:
    cited = block.get("citationsContent")
    return {"text": "".join(one["text"] for one in cited["content"])} if cited else block


@pytest.mark.parametrize("body", [b for _, b in DOCUMENTS], ids=[n for n, _ in DOCUMENTS])
def test_a_recorded_answer_is_read_right(body):
    said = msgspec.json.decode(body)
    blocks = [plain(block) for block in said["output"]["message"]["content"]]

    check(FORMAT.read_reply(body), blocks, said["stopReason"], said["usage"])


def slowly(stream: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Put the blocks of a stream together from what AWS's own library reads."""
    blocks: dict[int, dict[str, Any]] = {}
    last: dict[str, Any] = {}
    for headers, payload in frames_by_aws(stream):
        said = msgspec.json.decode(payload)
        block = blocks.setdefault(said.get("contentBlockIndex", -1), {})
        change = said.get("delta", {})
        if headers[":event-type"] == "contentBlockStart":
            block["toolUse"] = {**said["start"]["toolUse"], "input": ""}
        if "text" in change:
            block["text"] = block.get("text", "") + change["text"]
        if "toolUse" in change:
            block["toolUse"]["input"] += change["toolUse"]["input"]
        for name, piece in change.get("reasoningContent", {}).items():
            thought = block.setdefault("reasoningContent", {"reasoningText": {}})["reasoningText"]
            thought[name] = thought.get(name, "") + piece
        last |= {name: said[name] for name in ("stopReason", "usage") if name in said}
    found = [block for index, block in sorted(blocks.items()) if index >= 0]
    for block in found:
        if "toolUse" in block:
            block["toolUse"]["input"] = msgspec.json.decode(block["toolUse"]["input"] or "{}")
    return found, last


@pytest.mark.parametrize("body", [b for _, b in STREAMS], ids=[n for n, _ in STREAMS])
def test_a_recorded_stream_is_read_right_in_any_pieces(body):
    blocks, last = slowly(body)

    replies = [reply_of(told(FORMAT.stream_reader(), way)) for way in ways(body)]

    assert replies[0] == replies[1] == replies[2]
    check(replies[0], blocks, last["stopReason"], last["usage"])


@pytest.mark.parametrize("body", [b for _, b in STREAMS[:6]], ids=[n for n, _ in STREAMS[:6]])
def test_a_recorded_stream_that_is_cut_off_never_ends(body):
    for part in cut_off(body):
        assert not any(isinstance(event, Ended) for event in told(FORMAT.stream_reader(), [part]))


@pytest.mark.parametrize(("request_", "body"), [(q, b) for _, q, b in TAPES], ids=[n for n, _, _ in TAPES])
def test_what_was_answered_can_be_sent_back(request_, body):
    model = request_["uri"].rsplit("/", 2)[1].replace("%3A", ":")
    if body.startswith(b"{"):
        reply = FORMAT.read_reply(body)
    else:
        reply = reply_of(told(FORMAT.stream_reader(), [body]))
    history = (
        Message("user", (Text("?"),)),
        Message("assistant", reply.parts),
        Message("user", (Text("!"),)),
    )

    said = check_converse(
        FORMAT.write_request(Request(messages=history), model=model, usage=True).body, model
    )

    blocks = said["messages"][1]["content"]
    if body.startswith(b"{"):
        before = msgspec.json.decode(body)["output"]["message"]["content"]
        for block in before:
            block.get("toolUse", {}).pop("type", None)  # told, but not asked for
        assert blocks == before
    assert len(blocks) == len(reply.parts)


@pytest.mark.parametrize("response", [r for _, r in REFUSALS], ids=[n for n, _ in REFUSALS])
def test_a_recorded_refusal_is_named(response):
    headers = [(name.lower().encode(), values[0].encode()) for name, values in response["headers"].items()]
    provider = Bedrock("bedrock", now_us=lambda: 0)

    error = provider.failure(response["status"]["code"], headers, body_of(response))

    assert isinstance(error, Refused)
    assert error.code == "ValidationException"
    assert str(error) == "The provided model identifier is invalid."
    assert not error.retryable
