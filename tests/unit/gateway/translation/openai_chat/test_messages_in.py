from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.conversation import (
    Cache,
    Media,
    Message,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.openai_chat.messages_in import Messages, Said

MARK = {"cache_control": {"type": "ephemeral"}}


def taken(*said: dict[str, Any]) -> Messages:
    messages = Messages()
    for number, message in enumerate(said):
        messages.take(msgspec.convert(message, Said), f"messages[{number}]")
    messages.end()
    return messages


def call(id_: str | None, name: str = "tide", **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": "{}"}, **more}


def test_results_and_the_words_after_them_are_one_message():
    said = taken(
        {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b", "wind")]},
        {"role": "tool", "tool_call_id": "a", "content": "high"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "strong"}]},
        {"role": "user", "content": "And now?"},
        {"role": "user", "content": "Well?"},
    )

    assert said.messages[1:] == [
        Message(
            "user",
            (
                ToolResult(id="a", name="tide", parts=(Text("high"),)),
                ToolResult(id="b", name="wind", parts=(Text("strong"),)),
                Text("And now?"),
            ),
        ),
        Message("user", (Text("Well?"),)),
    ]


def test_results_stay_apart_from_a_speaker_with_a_name():
    said = taken(
        {"role": "tool", "tool_call_id": "a", "content": "high"},
        {"role": "user", "name": "ada", "content": "And now?"},
    )

    assert [message.name for message in said.messages] == ["", "ada"]


def test_system_text_between_messages_stays_there():
    said = taken(
        {"role": "developer", "content": "First"},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Later"},
    )

    assert said.system == [Text("First")]
    assert said.messages[1] == Message("system", (Text("Later"),))


def test_deprecated_calls_and_their_results_find_each_other():
    called = {"role": "assistant", "content": None, "function_call": {"name": "tide", "arguments": '{"a":1}'}}

    said = taken(
        called,
        {"role": "function", "name": "tide", "content": "high"},
        called,
        {"role": "function", "name": "tide", "content": "low"},
    )

    parts = [part for message in said.messages for part in message.parts]
    assert parts == [
        ToolCall(id="call_1", name="tide", arguments='{"a":1}'),
        ToolResult(id="call_1", name="tide", parts=(Text("high"),)),
        ToolCall(id="call_2", name="tide", arguments='{"a":1}'),
        ToolResult(id="call_2", name="tide", parts=(Text("low"),)),
    ]


def test_an_assistant_brings_back_its_thoughts():
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "tg:bedrock:aGlk"},
    ]
    said = taken(
        {"role": "assistant", "content": "A", "reasoning_content": "Hm.", "thinking_blocks": blocks},
        {"role": "assistant", "content": "B", "reasoning_content": "So."},
    )

    assert said.messages[0].parts == (
        Thinking(text="Hm.", signature="c2ln", origin="anthropic"),
        Thinking(signature="aGlk", hidden=True, origin="bedrock"),
        Text("A"),
    )
    assert said.messages[1].parts == (Thinking(text="So."), Text("B"))


def test_a_signed_call_says_whose_signature_it_has():
    signed = [{"google": {"thought_signature": one}} for one in ("Z2Vt", "tg:openai:b3Bl")]

    said = taken(
        {
            "role": "assistant",
            "tool_calls": [call(str(n), extra_content=extra) for n, extra in enumerate(signed)],
        }
    )

    calls = [part for part in said.messages[0].parts if isinstance(part, ToolCall)]
    assert [(one.signature, one.origin) for one in calls] == [("Z2Vt", "gemini"), ("b3Bl", "openai")]


def test_calls_of_tools_that_are_no_functions_are_named():
    said = taken(
        {"role": "assistant", "tool_calls": [call("a"), {"id": "b", "type": "custom", "custom": {}}]}
    )

    assert said.others == ["messages[0].tool_calls[1]"]


def test_an_assistant_refuses_and_speaks():
    said = taken(
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
        {"role": "assistant", "refusal": "Never", "audio": {"id": "audio_1"}},
    )

    assert said.messages[0].parts == (Refusal("No"),)
    assert said.messages[1].parts == (
        Refusal("Never"),
        Media(kind="audio", file_id="audio_1", origin="openai"),
    )


def test_cache_points_stand_on_parts_messages_results_and_calls():
    text = {"type": "text", "text": "x"}
    said = taken(
        {"role": "system", "content": [text | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": "y"} | MARK,
        {"role": "assistant", "tool_calls": [call("a") | MARK]},
        {"role": "tool", "tool_call_id": "a", "content": "z"} | MARK,
        {"role": "user", "content": [text | {"prompt_cache_breakpoint": {"mode": "explicit"}}]},
    )

    assert said.system == [Text("x", Cache("1h"))]
    assert said.messages[0].parts == (Text("y", Cache()),)
    assert said.messages[1].parts == (ToolCall(id="a", name="tide", cache=Cache()),)
    assert said.messages[2].parts == (
        ToolResult(id="a", name="tide", parts=(Text("z"),), cache=Cache()),
        Text("x", Cache()),
    )


def test_empty_words_are_none():
    said = taken(
        {"role": "user", "content": ""},
        {"role": "assistant", "content": "", "tool_calls": [call(None)]},
        {"role": "user", "content": [{"type": "text", "text": ""}]},
    )

    assert [message.parts for message in said.messages] == [(), (ToolCall(id="call_1", name="tide"),), ()]
