from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.translation.conversation import Media, Message, Text, Thinking, ToolCall, ToolResult
from gateway.translation.gemini import asked
from gateway.translation.gemini.contents_in import Contents


def read(*contents: dict[str, Any]) -> tuple[Message, ...]:
    talk = Contents()
    for at, content in enumerate(contents):
        talk.take(msgspec.json.decode(msgspec.json.encode(content), type=asked.Content), at)
    return talk.messages()


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def call(name: str, **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}, **more}}


def result(name: str, **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"output": name.upper()}, **more}}


def test_a_streamed_answer_that_was_kept_in_pieces_is_one_turn():
    messages = read(
        user({"text": "Hi"}),
        model({"text": "H", "thought": True}),
        model({"text": "m", "thought": True}),
        model({"text": "", "thought": True, "thoughtSignature": "AA=="}),
        model({"text": "Hel"}),
        model({"text": "lo"}),
        model({"text": "", "thoughtSignature": "BB=="}),
        user({"text": "And?"}),
    )

    assert messages[1] == Message(
        "assistant",
        (
            Thinking(text="Hm", signature="AA==", origin="gemini"),
            Text("Hello"),
            Thinking(signature="BB==", hidden=True, origin="gemini"),
        ),
    )


def test_parts_of_one_turn_stay_apart():
    (message,) = read(model({"text": "a"}, {"text": "b"}))

    assert message.parts == (Text("a"), Text("b"))


def test_a_signature_without_words_signs_the_thought_before():
    (message,) = read(model({"text": "Hm", "thought": True}, {"text": "", "thoughtSignature": "AA=="}))

    assert message.parts == (Thinking(text="Hm", signature="AA==", origin="gemini"),)


def test_a_signature_on_words_is_a_hidden_thought_after_them():
    (message,) = read(model({"text": "Hello", "thoughtSignature": "AA=="}))

    assert message.parts == (Text("Hello"), Thinking(signature="AA==", hidden=True, origin="gemini"))


def test_results_without_ids_belong_to_calls_of_their_name_in_order():
    messages = read(
        model(call("a"), call("b"), call("a")),
        {"role": "function", "parts": [result("a"), result("b"), result("a")]},
    )

    calls = [part for part in messages[0].parts if isinstance(part, ToolCall)]
    results = [part for part in messages[1].parts if isinstance(part, ToolResult)]
    assert len({c.id for c in calls}) == 3
    assert [r.id for r in results] == [calls[0].id, calls[1].id, calls[2].id]
    assert [r.parts for r in results] == [(Text("A"),), (Text("B"),), (Text("A"),)]
    assert messages[1].role == "user"


def test_ids_are_kept_and_give_results_their_names():
    messages = read(
        model(call("a", id="1"), call("a", id="2")),
        user({"functionResponse": {"id": "2"}}, result("a", id="1")),
    )

    results = [part for part in messages[1].parts if isinstance(part, ToolResult)]
    assert [(r.id, r.name) for r in results] == [("2", "a"), ("1", "a")]


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"output": "sun"}, "sun", False),
        ({"result": {"c": 1.50}}, '{"c":1.5}', False),
        ({"error": "no"}, "no", True),
        ({"error": "no", "code": 1}, '{"error":"no","code":1}', False),
        ({"c": 1}, '{"c":1}', False),
        ({}, "{}", False),
        ({"output": None}, "", False),
        ("as text", "as text", False),
        (None, "", False),
    ],
)
def test_what_a_function_returned_is_words(response, text, failed):
    (message,) = read(user({"functionResponse": {"name": "f", "response": response}}))

    expected = ToolResult(id="f", name="f", parts=(Text(text),) if text else (), failed=failed)
    assert message.parts == (expected,)


def test_media_are_read_where_they_stand():
    png = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
    file = {"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.example/b"}}

    messages = read(
        user({"text": "Look"}, png, file), user({"functionResponse": {"name": "f", "parts": [png]}})
    )

    picture = Media(kind="image", media_type="image/png", data="iVBO")
    document = Media(kind="document", media_type="application/pdf", url="https://a.example/b")
    assert messages[0].parts == (Text("Look"), picture, document)
    assert messages[1].parts == (ToolResult(id="f", name="f", parts=(picture,)),)


def test_turns_that_say_nothing_are_left_out():
    assert read(user(), user({"text": ""}), model({"text": ""}), {"parts": [{"text": "a"}]}) == (
        Message("user", (Text("a"),)),
    )


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ({"role": "assistant", "parts": []}, "contents[0].role"),
        (model(result("a")), "contents[0].parts[0].functionResponse"),
        (user({"text": "a"}, call("a")), "contents[0].parts[1].functionCall"),
        (model({"functionCall": {}}), "contents[0].parts[0].functionCall.name"),
        (model(call("a", args=[1])), "contents[0].parts[0].functionCall.args"),
        (user({"functionResponse": {"response": {}}}), "contents[0].parts[0].functionResponse.name"),
    ],
)
def test_what_nobody_could_say_is_a_bad_request(content, param):
    with pytest.raises(BadRequest) as caught:
        read(content)

    assert caught.value.param == param
