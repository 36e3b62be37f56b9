from __future__ import annotations

from typing import Any

import pytest

from gateway.translation.conversation import (
    Cache,
    Citation,
    Media,
    Message,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from gateway.translation.openai_chat.messages_out import Messages

PICTURE = Media(kind="image", media_type="image/png", data="AAAA")
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def user(*parts: Part) -> Message:
    return Message("user", parts)


def model(*parts: Part) -> Message:
    return Message("assistant", parts)


def write(*messages: Message, model: str = "gpt-4o", **fields: Any) -> Messages:
    return Messages(Request(messages=messages, **fields), model)


def test_pictures_in_results_follow_all_results():
    said = write(
        user(
            ToolResult(id="a", parts=(Text("seen"), PICTURE)),
            ToolResult(id="b", failed=True),
            Text("And?"),
        )
    )

    assert said.written == [
        {"role": "tool", "content": "seen", "tool_call_id": "a"},
        {"role": "tool", "content": "", "tool_call_id": "b"},
        {"role": "user", "content": [SHOWN, {"type": "text", "text": "And?"}]},
    ]
    assert list(said.lost) == ["failed"]


def test_an_assistants_parts_have_their_own_fields():
    said = write(
        model(Thinking(text="Hm.", signature="s", origin="anthropic"), Text("A"), Refusal("No"), ToolCall(id="a", name="f")),
        model(ToolCall(id="b", name="f", arguments='{"a":1}')),
        model(),
    ).written  # fmt: skip

    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert said[0] == {"role": "assistant", "content": "A", "refusal": "No", "tool_calls": [call]}
    assert said[1]["content"] is None
    assert said[2] == {"role": "assistant", "content": ""}


def test_deepseek_gets_its_thoughts_back_and_strings_only():
    said = write(
        user(Text("A"), Text("B")),
        model(Thinking(text="Hm."), ToolCall(id="a", name="f")),
        user(ToolResult(id="a", parts=(Text("ok"),))),
        model(Thinking(text="Foreign", signature="s", origin="anthropic"), Text("C")),
        model="deepseek-reasoner",
        tools=(Tool(name="f"),),
    ).written

    assert said[0]["content"] == "A\n\nB"
    assert said[1]["reasoning_content"] == "Hm."
    assert said[3]["reasoning_content"] == " "


def test_others_get_no_thoughts():
    said = write(model(Thinking(text="Hm."), Text("A")), model="gpt-5")

    assert said.written == [{"role": "assistant", "content": "A"}]
    assert not said.lost


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        (Media(kind="video", media_type="video/mp4", data="AAAA"), "video"),
        (Media(kind="document", url="https://a.example/b"), "document"),
        (Media(kind="document", file_id="f", origin="anthropic"), "document"),
        (Media(kind="image", file_id="f", origin="openai"), "image"),
        (Media(kind="audio", url="https://a.example/b"), "audio"),
        (Media(kind="document", data="AAAA", cite=True), "cite"),
        (Text("x", Cache("5m")), "cache"),
        (Text("x", citations=(Citation(url="u"),)), "citations"),
    ],
)
def test_what_has_no_place_is_told_once(part, lost):
    assert list(write(user(part, part)).lost) == [lost]


def test_a_picture_of_the_models_own_is_lost():
    assert list(write(model(Text("A"), PICTURE)).lost) == ["image"]


def test_spoken_words_of_openais_own_are_named_by_their_id():
    said = write(model(Media(kind="audio", file_id="audio_1", origin="openai"))).written

    assert said == [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}]


def test_documents_are_files_or_words():
    said = write(
        user(
            Media(kind="document", media_type="application/pdf", data="AAAA", name="a.pdf"),
            Media(kind="document", file_id="file-1", origin="openai"),
            Media(kind="document", text="Words", name="Title"),
            Media(kind="audio", media_type="audio/mpeg", data="AAAA"),
        )
    ).written[0]["content"]

    assert said == [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": "Title\n\nWords"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    ]


def test_long_ids_are_shortened_alike_in_calls_and_results():
    id_ = "x" * 41

    said = write(model(ToolCall(id=id_, name="f")), user(ToolResult(id=id_, parts=(Text("ok"),)))).written

    assert said[0]["tool_calls"][0]["id"] == said[1]["tool_call_id"] != id_
    assert len(said[1]["tool_call_id"]) == 40


def test_system_text_stands_first_and_between():
    said = write(user(Text("A")), Message("system", (Text("B"),)), system=(Text("S"), Text("T"))).written

    assert [message["role"] for message in said] == ["system", "user", "system"]
    assert said[0]["content"] == [{"type": "text", "text": "S"}, {"type": "text", "text": "T"}]
