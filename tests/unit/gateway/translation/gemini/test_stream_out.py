from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Citation, Message, Request, Text
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.gemini.stream_out import GeminiStreamWriter
from telemetry.records import Usage

ASKED = Request(messages=(Message("user", (Text("Hi"),)),))
ANSWERING = Answering(call_id="call-1", created_s=0, model="gpt-5", request=ASKED)


def written(*events: Event) -> list[dict[str, Any]]:
    stream = GeminiStreamWriter(ANSWERING, array=False).write(events)
    return [msgspec.json.decode(line[6:]) for line in stream.split(b"\r\n\r\n") if line]


def parts(*events: Event) -> list[dict[str, Any]]:
    return [part for said in written(*events) for part in said["candidates"][0]["content"]["parts"]]


def test_each_piece_is_a_whole_response_and_the_last_tells_reason_and_usage():
    said = written(
        Started("resp-1", "gpt-5-2025"),
        TextPiece("Hel"),
        TextPiece("lo"),
        Stopped("length"),
        Counted(Usage(input_uncached=3, output_text=2)),
        Ended(),
    )

    named = {"modelVersion": "gpt-5-2025", "responseId": "resp-1"}
    assert said[:2] == [
        {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}], **named}
        for text in ("Hel", "lo")
    ]
    assert said[2]["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert said[2]["candidates"][0]["content"]["parts"] == [{"text": ""}]
    assert said[2]["usageMetadata"]["totalTokenCount"] == 5
    assert said[2]["responseId"] == "resp-1"


def test_who_has_no_name_gets_those_of_the_call():
    (said,) = written(Started(), Ended())

    assert (said["modelVersion"], said["responseId"]) == ("gpt-5", "call-1")


def test_a_call_is_written_once_all_its_arguments_are_there():
    writer = GeminiStreamWriter(ANSWERING, array=False)

    begun = writer.write([CallStarted(0, "c1", "f"), CallPiece(0, '{"a"'), CallPiece(0, ":1}")])
    after = writer.write([TextPiece("So")])

    assert begun == b""
    assert after.index(b'"functionCall"') < after.index(b'"So"')
    assert b'{"name":"f","args":{"a":1},"id":"c1"}' in after


def test_thoughts_and_their_signatures_are_written():
    said = parts(
        ThinkingPiece("Hm"),
        ThinkingSigned("AA==", "gemini"),
        ThinkingSigned("BB==", "gemini", hidden=True),
        Ended(),
    )

    assert said[:-1] == [
        {"text": "Hm", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "AA=="},
        {"text": "", "thoughtSignature": "BB=="},
    ]


def test_citations_stand_where_their_text_ends():
    citation = Citation(url="https://a.example", start=0, end=2)

    said = written(TextPiece("Ja"), CallStarted(0, "c", "f"), TextPiece("So"), Cited(citation), Ended())

    support = said[-1]["candidates"][0]["groundingMetadata"]["groundingSupports"][0]
    assert support["segment"] == {"startIndex": 2, "endIndex": 4, "text": "So"}


def test_a_refusal_is_words():
    assert parts(RefusalPiece("No."), Ended())[0] == {"text": "No."}


def test_a_failure_is_left_to_others_and_an_array_stays_open():
    array = GeminiStreamWriter(ANSWERING, array=True).write([TextPiece("a"), Failed("no")])

    assert array.startswith(b"[{")
    assert array.endswith(b"}")
