from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.conversation import Citation, Media, Refusal, Reply, Text, Thinking, ToolCall
from gateway.translation.openai_chat.reply_in import read_reply


def read(message: dict[str, Any], reason: str = "stop", **more: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason, **more}
    return read_reply(msgspec.json.encode({"id": "1", "model": "m", "choices": [choice]}))


@pytest.mark.parametrize(
    "message",
    [
        {"content": "A", "reasoning_content": "Hm."},  # DeepSeek, vLLM
        {"content": "A", "reasoning": "Hm."},  # Groq, OpenRouter
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "A"}]},
        {"content": ["A"], "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}], "reasoning_content": "Hm."},
    ],
)  # fmt: skip
def test_thoughts_are_read_in_every_dialect(message):
    assert read(message).parts == (Thinking(text="Hm."), Text("A"))


def test_calls_may_lack_ids_and_have_objects_as_arguments():
    calls = [
        {"function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "b", "function": {"name": "g", "arguments": ""}},
    ]

    said = read({"content": None, "tool_calls": calls})

    assert said.parts == (ToolCall(id="", name="f", arguments='{"a":1}'), ToolCall(id="b", name="g"))
    assert said.stop == "tool_calls"


def test_a_deprecated_call_is_a_call():
    said = read({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call")

    assert said.parts == (ToolCall(id="", name="f"),)
    assert said.stop == "tool_calls"


def test_a_refusal_in_words_is_one():
    assert read({"content": None, "refusal": "No"}) == Reply(
        id="1", model="m", parts=(Refusal("No"),), stop="refusal"
    )


def test_pictures_and_spoken_words_are_read():
    urls = ["data:image/png;base64,AAAA", "https://a.example/b", "data:nonsense", ""]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]

    said = read({"content": "", "images": images, "audio": {"id": "a", "data": "BBBB", "transcript": "Hi"}})

    assert said.parts == (
        Media(kind="image", media_type="image/png", data="AAAA"),
        Media(kind="image", url="https://a.example/b"),
        Text("Hi"),
        Media(kind="audio", media_type="audio/wav", data="BBBB"),
    )


def test_citations_belong_to_the_first_text():
    annotation = {
        "type": "url_citation",
        "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
    }

    said = read({"content": ["A", "B"], "annotations": [annotation]})

    assert said.parts == (Text("A", citations=(Citation(url="u", title="t", start=0, end=1),)), Text("B"))


def test_a_stop_sequence_that_was_met_is_told():
    said = read({"content": "A"}, stop_reason="END")

    assert (said.stop, said.stop_sequence) == ("stop_sequence", "END")
    assert read({"content": "A"}, stop_reason=128009).stop == "end"


@pytest.mark.parametrize(
    "usage", [{"usage": None, "x_groq": {"usage": {"prompt_tokens": 3}}}, {"usage": {"prompt_tokens": "3"}}]
)
def test_usage_is_found_wherever_it_is(usage):
    said = read_reply(msgspec.json.encode({"choices": [{"message": {"content": "A"}}], **usage}))

    assert said.usage is not None
    assert said.usage.input_uncached == 3
    assert said.stop == "end"


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b'{"error":{"message":"Overloaded"}}', "Overloaded"),
        (b'{"choices":[]}', "choices"),
        (b'{"choices":[{}]}', "choices"),
        (b"<html>", "malformed"),
        (b"[]", "object"),
    ],
)
def test_what_is_no_answer_is_a_value_error(body, match):
    with pytest.raises(ValueError, match=match):
        read_reply(body)
