from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.conversation import Citation
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.gemini.stream_in import GeminiStreamReader
from tests.fakes.event_streams import told


def response(*parts: dict[str, Any], reason: str = "", tokens: int = 0, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, **more}
    if reason:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 4, "candidatesTokenCount": tokens, "totalTokenCount": 4 + tokens}
    return {"candidates": [candidate], "usageMetadata": usage}


def events(*responses: object) -> list[Event]:
    stream = b"".join(b"data: %b\r\n\r\n" % msgspec.json.encode(said) for said in responses)
    return told(GeminiStreamReader(), [stream])


def test_usage_is_told_at_the_beginning_and_at_the_end():
    said = events(
        response({"text": "a"}, tokens=1),
        response({"text": "b"}, tokens=2),
        response(reason="STOP", tokens=3),
    )

    assert [type(event) for event in said] == [
        Started, TextPiece, Counted, TextPiece, Stopped, Counted, Ended,
    ]  # fmt: skip
    assert [event.usage.output_text for event in said if isinstance(event, Counted)] == [1, 3]


def test_of_an_answer_that_broke_off_the_last_count_is_told_and_no_end():
    said = events(response({"text": "a"}), response({"text": "b", "thoughtSignature": "AA=="}, tokens=2))

    assert said[-2:] == [ThinkingSigned("AA==", "gemini", hidden=True), said[-1]]
    assert isinstance(said[-1], Counted)
    assert said[-1].usage.output_text == 2
    assert not said[-1].output_uncounted


def test_before_any_output_is_counted_this_is_said():
    said = events(response({"text": "a"}))

    assert isinstance(said[2], Counted)
    assert said[2].output_uncounted


def test_usage_that_follows_the_end_counts():
    said = events(
        response({"text": "a"}, reason="STOP"),
        {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 9}},
    )

    counted = [event for event in said if isinstance(event, Counted)]
    assert counted[-1].usage.output_text == 9
    assert isinstance(said[-1], Ended)


def test_usage_that_counts_nothing_does_not_replace_what_was_counted():
    said = events(response({"text": "a"}, tokens=3), {"usageMetadata": {"trafficType": "ON_DEMAND"}})

    assert [event.usage.output_text for event in said if isinstance(event, Counted)] == [3]


def test_words_are_cited_before_their_signature_is_told():
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.example"}}],
        "groundingSupports": [{"segment": {"endIndex": 3}, "groundingChunkIndices": [0]}],
    }

    said = events(
        response({"text": "Hm", "thought": True}),
        response({"text": "Grü"}),
        response({"text": "ße", "thoughtSignature": "AA=="}),
        response({"text": ""}, reason="STOP", groundingMetadata=grounding),
    )

    assert [event for event in said if not isinstance(event, Counted | Started)] == [
        ThinkingPiece("Hm"),
        TextPiece("Grü"),
        TextPiece("ße"),
        Cited(Citation(url="https://a.example", start=0, end=2)),
        ThinkingSigned("AA==", "gemini", hidden=True),
        Stopped("end"),
        Ended(),
    ]


def test_calls_are_counted_and_come_whole():
    said = events(
        response({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "AA=="}),
        response({"functionCall": {"name": "g", "id": "2"}}, reason="STOP"),
    )

    assert [event for event in said if isinstance(event, CallStarted | CallPiece | Stopped)] == [
        CallStarted(0, "", "f", "AA==", "gemini"),
        CallPiece(0, '{"a":1}'),
        CallStarted(1, "2", "g"),
        CallPiece(1, "{}"),
        Stopped("tool_calls"),
    ]


def test_a_reason_in_every_event_means_nothing_before_the_last():
    said = events(
        response({"text": "a"}, reason="STOP"),
        response({"text": "b"}, reason="STOP"),
        response(reason="MAX_TOKENS"),
    )

    assert [event for event in said if not isinstance(event, Counted | Started)] == [
        TextPiece("a"),
        TextPiece("b"),
        Stopped("length"),
        Ended(),
    ]


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER"])
def test_a_blocked_prompt_is_a_whole_answer(reason):
    said = events({"promptFeedback": {"blockReason": reason}})

    assert said == [Started(), Stopped("filter"), Ended()]


def test_an_error_in_place_of_an_event_is_the_last_that_is_told():
    error = {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}

    said = events(response({"text": "a"}), {"error": error}, response({"text": "b"}, reason="STOP"))

    assert said[-1] == Failed("Overloaded.", "UNAVAILABLE")
