from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.bedrock.format import BedrockFormat
from gateway.translation.bedrock.reply_in import read_reply, read_usage
from gateway.translation.conversation import Reply, Text, Thinking, ToolCall
from telemetry.records import Usage


def reply(*content: dict[str, Any], **changes: Any) -> Reply:
    message = {"role": "assistant", "content": list(content)}
    said = {"output": {"message": message}, "stopReason": "end_turn", "metrics": {"latencyMs": 1}}
    return read_reply(msgspec.json.encode({**said, **changes}))


def test_words_thoughts_and_calls_are_read_in_their_order():
    found = reply(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "Let me look"},
        {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"at": "sea"}}},
        stopReason="tool_use",
    )

    assert found.parts == (
        Thinking(text="hm", signature="sig", origin="anthropic"),
        Thinking(signature="c2VjcmV0", hidden=True, origin="bedrock"),
        Text("Let me look"),
        ToolCall(id="t1", name="weather", arguments='{"at":"sea"}'),
    )
    assert found.stop == "tool_calls"


def test_a_thought_without_a_signature_is_nobodys():
    assert reply({"reasoningContent": {"reasoningText": {"text": "hm"}}}).parts == (Thinking(text="hm"),)


def test_what_bedrock_does_itself_is_no_call_of_the_clients():
    used = {"toolUseId": "t1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}

    assert reply({"toolUse": used}, {"text": "Found"}).parts == (Text("Found"),)


def test_citations_keep_their_own_words():
    cited: dict[str, Any] = {
        "content": [{"text": "20 days"}],
        "citations": [
            {"title": "policy", "sourceContent": [{"text": "Employees get 20 days"}],
             "location": {"documentPage": {"documentIndex": 1, "start": 2, "end": 3}}},
            {"location": {"web": {"url": "https://example.com"}}},
        ],
    }  # fmt: skip

    (text,) = reply({"citationsContent": cited}).parts

    assert isinstance(text, Text)
    first, second = text.citations
    assert (first.title, first.quote, first.document) == ("policy", "Employees get 20 days", 1)
    assert msgspec.json.decode(first.raw) == cited["citations"][0]
    assert (second.url, second.document, second.origin) == ("https://example.com", -1, "bedrock")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("end_turn", "end"),
        ("max_tokens", "length"),
        ("guardrail_intervened", "filter"),
        ("content_filtered", "filter"),
        ("model_context_window_exceeded", "context"),
        ("malformed_tool_use", "other"),
        ("something_new", "other"),
        (None, "other"),
    ],
)
def test_stop_reasons(said, meant):
    assert reply({"text": "x"}, stopReason=said).stop == meant


def test_the_sequence_that_was_met_is_told_if_it_was_asked_for():
    extra = {"additionalModelResponseFields": {"stop_sequence": "|"}}

    assert reply({"text": "x"}, stopReason="stop_sequence", **extra).stop_sequence == "|"
    assert reply({"text": "x"}, stopReason="stop_sequence").stop_sequence == ""


def test_usage_is_told_in_disjoint_buckets():
    said = {
        "inputTokens": 10, "outputTokens": 5, "totalTokens": 115, "cacheReadInputTokens": 60,
        "cacheWriteInputTokens": 40, "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 10}],
    }  # fmt: skip

    found = reply({"text": "x"}, usage=said, serviceTier={"type": "flex"})

    assert found.usage == Usage(
        input_uncached=10, cache_read=60, cache_write_5m=10, cache_write_1h=30, output_text=5
    )
    assert msgspec.json.decode(found.raw_usage) == said
    assert found.service_tier == "flex"


@pytest.mark.parametrize("raw", [b"null", b"{}", b"[]", b'"x"', b'{"inputTokens":null}'])
def test_what_is_no_usage_is_none(raw):
    assert read_usage(msgspec.Raw(raw)) == (None, b"")


def test_numbers_may_be_text_and_null_is_missing():
    found = reply(
        {"text": None}, {"text": "x"}, usage={"inputTokens": "9", "outputTokens": None}, serviceTier=None
    )

    assert found.parts == (Text("x"),)
    assert found.usage == Usage(input_uncached=9)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":5}', b'{"message":"no"}', b"\xff"])
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        BedrockFormat().read_reply(body)
