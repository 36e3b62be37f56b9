from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.translation.conversation import (
    Cache,
    Format,
    Media,
    Message,
    Reasoning,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway.translation.openai_responses.request_in import read_request


def read(**said: object) -> Request:
    return read_request(msgspec.json.encode({"model": "m", "input": "Hi", **said}))


def parts(*items: dict[str, Any]) -> list[Message]:
    return list(read(input=list(items)).messages)


def test_a_string_is_what_the_user_says() -> None:
    assert read(instructions="Be brief") == Request(
        messages=(Message("user", (Text("Hi"),)),), system=(Text("Be brief"),)
    )


def test_what_the_system_says_first_stands_before_all_and_later_where_it_is() -> None:
    asked = read(
        instructions="One",
        input=[
            {"role": "developer", "content": "Two"},
            {"role": "system", "content": [{"type": "input_text", "text": "Three"}]},
            {"role": "user", "content": "Hi"},
            {"role": "developer", "content": "Later"},
        ],
    )
    assert asked.system == (Text("One"), Text("Two"), Text("Three"))
    assert asked.messages == (Message("user", (Text("Hi"),)), Message("system", (Text("Later"),)))


def test_neighbouring_items_of_one_side_are_one_message() -> None:
    messages = parts(
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Do"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "x",
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "Yes", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": ""},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}],
        },
        {"role": "user", "content": "Go on"},
    )
    assert messages == [
        Message("user", (Text("Do"),)),
        Message(
            "assistant",
            (
                Thinking(text="a\n\nb", signature="x", id="rs_1", origin="openai"),
                Text("Yes"),
                ToolCall(id="c1", name="f", arguments='{"a": 1}'),
                ToolCall(id="c2", name="g"),
            ),
        ),
        Message(
            "user",
            (
                ToolResult(id="c1", name="f", parts=(Text("1"),)),
                ToolResult(
                    id="c2", name="g", parts=(Media(kind="image", media_type="image/png", data="AAAA"),)
                ),
                Text("Go on"),
            ),
        ),
    ]


def test_images_and_files_are_read_from_wherever_they_are() -> None:
    [message] = parts(
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "high"},
                {"type": "input_image", "file_id": "file-1", "detail": "auto"},
                {"type": "input_file", "file_url": "https://x.example/a.pdf"},
                {
                    "type": "input_file",
                    "file_data": "data:application/pdf;base64,AAAA",
                    "filename": "a.pdf",
                    "prompt_cache_breakpoint": {"mode": "explicit"},
                },
                {"type": "input_file", "file_data": "data:text/plain;base64,SGk=", "filename": "a.txt"},
                {"type": "input_file", "file_data": "AAAA", "filename": "b.pdf"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ],
        }
    )
    assert message.parts == (
        Media(kind="image", url="https://x.example/a.png", detail="high"),
        Media(kind="image", file_id="file-1", origin="openai"),
        Media(kind="document", url="https://x.example/a.pdf"),
        Media(kind="document", media_type="application/pdf", data="AAAA", name="a.pdf", cache=Cache()),
        Media(kind="document", media_type="text/plain", text="Hi", name="a.txt"),
        Media(kind="document", media_type="application/pdf", data="AAAA", name="b.pdf"),
        Media(kind="audio", media_type="audio/wav", data="AAAA"),
    )


def test_settings_are_read() -> None:
    asked = read(
        max_output_tokens=100,
        temperature=0.5,
        top_p=1,
        top_logprobs=2,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        reasoning={"effort": "high", "summary": "concise"},
        parallel_tool_calls=False,
        stream=True,
        user="ada",
        service_tier="flex",
    )
    assert asked == Request(
        messages=(Message("user", (Text("Hi"),)),),
        max_tokens=100,
        temperature=0.5,
        top_p=1.0,
        logprobs=True,
        top_logprobs=2,
        format=Format(kind="json_schema", name="n", schema='{"type":"object"}', strict=True),
        reasoning=Reasoning(effort="high", summary="concise", show=True),
        parallel_tool_calls=False,
        stream=True,
        user="ada",
        service_tier="flex",
    )


NEUTRAL = {
    "background": False,
    "truncation": "disabled",
    "previous_response_id": None,
    "conversation": None,
    "store": True,
    "metadata": {},
    "service_tier": "auto",
    "top_logprobs": 0,
    "tools": [],
    "include": [],
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "reasoning": {"effort": None, "mode": "standard", "context": "auto"},
    "max_tool_calls": None,
    "user": None,
}


def test_what_goes_without_saying_is_not_said() -> None:
    assert read(**NEUTRAL) == read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("background", True),
        ("truncation", "auto"),
        ("previous_response_id", "resp_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
        ("context_management", [{"type": "compaction"}]),
        ("min_p", 0.1),
    ],
)
def test_what_changes_the_answer_is_told_by_its_name(name: str, value: object) -> None:
    assert read(**{name: value}).others == (name,)


def test_ways_to_think_that_only_openai_has_are_told() -> None:
    assert read(reasoning={"mode": "pro", "context": "all_turns"}).others == (
        "reasoning.mode",
        "reasoning.context",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store", False),
        ("metadata", {"a": "b"}),
        ("prompt_cache_key", "k"),
        ("safety_identifier", "s"),
        ("client_metadata", {"a": "b"}),
        ("stream_options", {"include_obfuscation": False}),
        ("include", ["file_search_call.results"]),
    ],
)
def test_what_changes_nothing_is_a_hint(name: str, value: object) -> None:
    asked = read(**{name: value})
    assert (asked.hints, asked.others) == ((name,), ())


def test_dropped_fields_are_not_read_whatever_they_are() -> None:
    body = msgspec.json.encode({"model": "m", "input": "Hi", "user": {"odd": 1}, "min_p": 1})
    assert read_request(body, drop=frozenset({"user", "min_p"})) == read()


def test_a_client_runs_functions_free_form_tools_and_those_in_namespaces() -> None:
    asked = read(
        tools=[
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
            {"type": "web_search"},
            {
                "type": "custom",
                "name": "patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "s: X"},
            },
            {
                "type": "namespace",
                "name": "crew",
                "tools": [{"type": "function", "name": "hire", "parameters": None}],
            },
            {"type": "mcp", "server_label": "x"},
        ],
        tool_choice={"type": "custom", "name": "patch"},
    )
    function, patch, hire = asked.tools
    assert function == Tool(name="f", schema='{"type":"object"}', strict=True)
    assert (patch.name, patch.freeform) == ("patch", True)
    assert "lark" in patch.description
    assert "s: X" in patch.description
    assert msgspec.json.decode(patch.schema)["required"] == ["input"]
    assert hire == Tool(name="crew__hire", namespace="crew")
    assert asked.others == ("tools[1]", "tools[4]")
    assert asked.tool_choice == ToolChoice(mode="tool", name="patch")


def test_calls_of_special_tools_are_read_under_the_names_they_are_carried_by() -> None:
    [message, results] = parts(
        {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": 'a "b"'},
        {"type": "function_call", "call_id": "c2", "namespace": "crew", "name": "hire", "arguments": "{}"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    )
    assert message.parts == (
        ToolCall(id="c1", name="patch", arguments='{"input":"a \\"b\\""}'),
        ToolCall(id="c2", name="crew__hire"),
    )
    assert results.parts == (ToolResult(id="c1", name="patch", parts=(Text("ok"),)),)


def test_a_signature_belongs_to_the_call_right_after_it() -> None:
    def sealed(signature: str) -> dict[str, Any]:
        return {"type": "reasoning", "summary": [], "encrypted_content": f"tg:gemini:call:{signature}"}

    def call(number: int) -> dict[str, Any]:
        return {"type": "function_call", "call_id": f"c{number}", "name": "f", "arguments": "{}"}

    [message] = parts(
        sealed("a"),
        call(1),
        call(2),
        sealed("b"),
        {"role": "assistant", "content": "Hm"},
        call(3),
        sealed("c"),
    )
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    assert [(one.signature, one.origin) for one in calls] == [("a", "gemini"), ("", ""), ("", "")]


def test_allowed_tools_are_all_that_is_offered() -> None:
    tools = [{"type": "function", "name": name, "parameters": {}} for name in "fgh"]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    asked = read(tools=tools, tool_choice=allowed)
    assert [tool.name for tool in asked.tools] == ["g"]
    assert asked.tool_choice == ToolChoice(mode="required")


def test_a_choice_of_openais_own_tools_is_told() -> None:
    assert read(tool_choice={"type": "web_search_preview"}).others == ("tool_choice",)


def test_items_of_openais_own_tools_are_told_by_their_place() -> None:
    asked = read(
        input=[{"role": "user", "content": "Hi"}, {"type": "web_search_call", "id": "ws_1", "action": {}}]
    )
    assert asked.others == ("input[1]",)


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}])
def test_an_item_that_openai_keeps_is_refused_by_its_place(item: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match=r"input\[0\].*Send the item itself") as caught:
        read(input=[item])
    assert caught.value.param == "input[0]"


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": 3}]}, "tools[0].parameters"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format"),
        ({"input": [{"role": "king", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input[0].content[0].file_data",
        ),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0]"),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**said)
    assert caught.value.param == param
