from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.conversation import (
    Cache,
    Citation,
    Media,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.gemini.contents_out import Contents, arguments

UNCHECKED = "skip_thought_signature_validator"
PNG = Media(kind="image", media_type="image/png", data="iVBO")


def write(*messages: Message, new: bool = True) -> tuple[list[Any], list[str]]:
    contents = Contents(new=new)
    for message in messages:
        contents.add(message)
    return msgspec.json.decode(msgspec.json.encode(contents.written)), list(contents.lost)


def said(*parts: Part, new: bool = True) -> list[Any]:
    written, _ = write(Message("assistant", parts), new=new)
    return [part for content in written for part in content["parts"]]


def called(number: str, **more: Any) -> ToolCall:
    return ToolCall(id=number, name="f", **more)


def test_the_first_call_of_each_turn_is_signed_for_gemini_3_one_way_or_the_other():
    foreign = called("1", signature="sig", origin="anthropic")
    own = called("1", signature="AA==", origin="gemini")

    assert [p.get("thoughtSignature") for p in said(foreign, called("2"))] == [UNCHECKED, None]
    assert [p.get("thoughtSignature") for p in said(own, called("2"))] == ["AA==", None]
    assert [p.get("thoughtSignature") for p in said(foreign, called("2"), new=False)] == [None, None]


def test_only_geminis_own_thoughts_go_back_and_nothing_is_said_of_the_others():
    thoughts = (
        Thinking(text="Hm", signature="sig", origin="anthropic"),
        Thinking(text="Hm"),
        Thinking(text="Hm", signature="AA==", origin="gemini"),
        Thinking(signature="BB==", hidden=True, origin="gemini"),
    )

    written, lost = write(Message("assistant", thoughts), Message("assistant", thoughts[:2]))

    assert written == [
        {
            "role": "model",
            "parts": [
                {"text": "Hm", "thought": True, "thoughtSignature": "AA=="},
                {"text": "", "thoughtSignature": "BB=="},
            ],
        }
    ]
    assert lost == []


def test_a_result_gets_the_name_of_its_call_and_results_of_one_turn_come_back_at_once():
    written, _ = write(
        Message("assistant", (called("1"), ToolCall(id="2", name="g"))),
        Message("user", (ToolResult(id="1", parts=(Text("a"), Text("b"))),)),
        Message("user", (ToolResult(id="2", failed=True, parts=(Text("no"),)), Text("So?"))),
    )

    assert written[1:] == [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "id": "1", "response": {"output": "a\nb"}}},
                {"functionResponse": {"name": "g", "id": "2", "response": {"error": "no"}}},
                {"text": "So?"},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("medium", "new", "inside"),
    [
        (PNG, True, True),
        (PNG, False, False),
        (Media(kind="audio", media_type="audio/wav", data="AA=="), True, False),
    ],
)
def test_media_of_a_result_stand_inside_it_where_the_model_can_see_them_there(medium, new, inside):
    ((content,), lost) = write(Message("user", (ToolResult(id="1", parts=(medium,)), Text("So?"))), new=new)

    blob = {"inlineData": {"mimeType": medium.media_type, "data": medium.data}}
    response = content["parts"][0]["functionResponse"]
    assert response.get("parts") == ([blob] if inside else None)
    assert content["parts"][1:] == ([{"text": "So?"}] if inside else [blob, {"text": "So?"}])
    assert lost == []


def test_later_words_of_a_system_are_said_by_the_user_in_their_place():
    written, _ = write(
        Message("user", (Text("a"),)), Message("system", (Text("b"),)), Message("assistant", (Refusal("c"),))
    )

    assert [(c["role"], c["parts"][0]["text"]) for c in written] == [
        ("user", "a"),
        ("user", "b"),
        ("model", "c"),
    ]


def test_what_finds_no_place_is_named_once():
    parts = (
        Text("a", cache=Cache(), citations=(Citation(),)),
        Media(kind="image", file_id="file-1", origin="openai"),
        Media(kind="document", file_id="file-2", origin="anthropic"),
        Media(kind="image", url="https://a.example/b.png", name="b", detail="low", cite=True),
        Text("c", cache=Cache()),
    )

    _, lost = write(Message("user", parts, name="Ann"))

    assert lost == ["name", "cache", "citations", "image", "document", "detail", "cite"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{"a": 1.50}', '{"a": 1.50}'),
        ("", "{}"),
        ('{"a": ', '{"arguments":"{\\"a\\": "}'),
        ("[1]", '{"arguments":"[1]"}'),
    ],
)
def test_broken_arguments_become_the_only_field_of_an_object(text, written):
    assert bytes(arguments(text)).decode() == written
