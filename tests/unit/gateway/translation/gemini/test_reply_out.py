from __future__ import annotations

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Media, Message, Refusal, Reply, Request, Text, ToolCall
from gateway.translation.gemini.reply_out import write_reply

ASKED = Request(messages=(Message("user", (Text("Hi"),)),))
ANSWERING = Answering(call_id="call-1", created_s=0, model="gpt-5", request=ASKED)


def test_an_answer_without_words_has_an_empty_part_and_the_names_of_the_call():
    assert msgspec.json.decode(write_reply(Reply(stop="filter"), ANSWERING)) == {
        "candidates": [
            {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "SAFETY", "index": 0}
        ],
        "modelVersion": "gpt-5",
        "responseId": "call-1",
    }


def test_parts_are_written_in_their_order():
    parts = (
        Refusal("No."),
        Media(kind="image", media_type="image/png", data="iVBO"),
        ToolCall(id="", name="f", arguments='{"a'),
    )

    written = msgspec.json.decode(write_reply(Reply(parts=parts, stop="tool_calls"), ANSWERING))

    candidate = written["candidates"][0]
    assert candidate["finishReason"] == "STOP"
    assert candidate["content"]["parts"] == [
        {"text": "No."},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        {"functionCall": {"name": "f", "args": {"arguments": '{"a'}}},
    ]
