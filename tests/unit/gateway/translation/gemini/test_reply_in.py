from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.conversation import Citation, Reply, Text, ToolCall
from gateway.translation.gemini.reply_in import read_reply


def read(candidate: dict[str, Any] | None = None, **more: Any) -> Reply:
    body = {**({"candidates": [candidate]} if candidate is not None else {}), **more}
    return read_reply(msgspec.json.encode(body))


def test_a_prompt_that_was_blocked_was_filtered():
    usage = {"promptTokenCount": 6, "totalTokenCount": 6}

    reply = read(promptFeedback={"blockReason": "PROHIBITED_CONTENT"}, usageMetadata=usage)

    assert (reply.stop, reply.parts) == ("filter", ())
    assert reply.usage is not None
    assert reply.usage.input_uncached == 6


def test_only_the_first_alternative_is_read_wherever_it_stands():
    other = {"index": 1, "content": {"parts": [{"text": "No"}]}, "finishReason": "MAX_TOKENS"}
    first = {"content": {"parts": [{"text": "Yes"}]}, "finishReason": "STOP"}

    reply = read(candidates=[other, first])

    assert (reply.parts, reply.stop) == ((Text("Yes"),), "end")


def test_a_call_without_an_id_or_arguments_is_a_call():
    reply = read(
        {"content": {"parts": [{"functionCall": {"name": "f"}}, {"functionCall": None, "text": ""}]}}
    )

    assert reply.parts == (ToolCall(id="", name="f"),)


def test_what_the_provider_ran_itself_is_passed_over():
    parts = [
        {"executableCode": {"code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
        {"toolCall": {"x": 1}},
        {"text": "2", "new": {}},
    ]

    assert read({"content": {"parts": parts}, "finishReason": "STOP", "new": 1}).parts == (Text("2"),)


def test_citations_go_to_the_text_in_which_they_begin():
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 2}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 3, "endIndex": 4}, "groundingChunkIndices": [0]},
        ],
        "webSearchQueries": ["a"],
    }
    parts = [{"text": "Ja."}, {"functionCall": {"name": "f"}}, {"text": "So."}]

    reply = read({"content": {"parts": parts}, "groundingMetadata": grounding})

    first = Citation(url="https://a.example", title="A", start=0, end=2)
    assert reply.parts[0] == Text("Ja.", citations=(first,))
    assert reply.parts[2] == Text("So.", citations=(msgspec.structs.replace(first, end=1),))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"error": {"code": 500}}', b'{"candidates": 5}', b"\xff"]
)
def test_what_is_no_answer_is_a_value_error(body):
    with pytest.raises(ValueError, match=r"."):
        read_reply(body)
