"""Requests of Anthropic clients: what has no place, what is wrong, what is the same as nothing."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.translation.anthropic.request_in import read_request
from gateway.translation.conversation import (
    Cache,
    Format,
    Media,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)

HELLO = [{"role": "user", "content": "Hello"}]


def read(**fields: Any) -> Request:
    return read_request(msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": HELLO, **fields}))


def read_block(role: str = "user", **block: Any) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    request = read(messages=[{"role": role, "content": [block]}])
    return request.messages[0].parts, request.others


def test_a_string_is_one_text_and_a_system_string_too():
    request = read(system="Be kind.")

    assert request.messages == (Message("user", (Text("Hello"),)),)
    assert request.system == (Text("Be kind."),)
    assert (request.others, request.hints, request.reasoning) == ((), (), None)


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("x", Cache("1h")),
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            Media(kind="image", media_type="image/png", data="iVBO"),
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            Media(kind="image", file_id="file_1", origin="anthropic"),
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}, "title": "Y"},
            Media(kind="document", url="https://x/y.pdf", name="Y"),
        ),
        (
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
                "citations": {"enabled": True},
            },
            Media(kind="document", media_type="text/plain", text="a\n\nb", cite=True),
        ),
        (
            {"type": "tool_result", "tool_use_id": "t", "is_error": True},
            ToolResult(id="t", failed=True),
        ),
    ],
)
def test_blocks_become_parts(block, part):
    assert read_block(**block) == ((part,), ())


def test_a_result_knows_the_name_of_its_function():
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "seen"}

    request = read(
        messages=[*HELLO, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    )

    assert request.messages[1].parts == (ToolCall(id="t1", name="look", arguments='{"a":1}'),)
    assert request.messages[2].parts == (ToolResult(id="t1", name="look", parts=(Text("seen"),)),)


def test_signatures_of_others_come_back_to_where_they_were():
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "tg:openai:abc"},
        {"type": "redacted_thinking", "data": "tg:gemini:call:sig"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
        {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
    ]

    request = read(messages=[*HELLO, {"role": "assistant", "content": blocks}])

    assert request.messages[1].parts == (
        Thinking(text="hm", signature="abc", origin="openai"),
        ToolCall(id="t1", name="look", signature="sig", origin="gemini"),
        ToolCall(id="t2", name="look"),
    )
    assert request.others == ()


@pytest.mark.parametrize(
    ("fields", "others"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, ("tools[0]",)),
        ({"mcp_servers": [{"url": "x"}], "container": "c"}, ("mcp_servers", "container")),
        ({"inference_geo": "eu", "brand_new": 1}, ("inference_geo", "brand_new")),
        (
            {"tools": [{"name": "f", "allowed_callers": ["code_execution_20250825"]}]},
            ("tools[0].allowed_callers",),
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": [{"type": "text", "text": "x"}, {"type": "server_tool_use", "id": "s"}],
                    }
                ]
            },
            ("messages[0].content[1]",),
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "t",
                                "content": [{"type": "tool_reference", "tool_name": "f"}],
                            }
                        ],
                    }
                ]
            },
            ("messages[0].content[0].content[0]",),
        ),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, ("context_management",)),
        ({"thinking": {"type": "between_tools"}}, ("thinking.type",)),
    ],
)
def test_what_changes_the_answer_and_has_no_place_is_named(fields, others):
    assert read(**fields).others == others


def test_what_changes_nothing_is_a_hint():
    request = read(
        speed="fast",
        cache_control={"type": "ephemeral"},
        context_management={"edits": [{"type": "clear_thinking_20251015"}]},
        tools=[{"name": "f", "input_schema": {}, "defer_loading": True}],
    )

    assert request.others == ()
    assert set(request.hints) == {"speed", "cache_control", "context_management", "tools[0].defer_loading"}


def test_neutral_values_are_nothing():
    request = read(
        container=None,
        mcp_servers=[],
        service_tier="auto",
        tools=None,
        tool_choice=None,
        temperature=None,
        stop_sequences=[],
        metadata={},
        tool_choice_extra=None,
    )

    assert request == read()


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(budget=2000)),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, Reasoning(budget=0)),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, Reasoning(budget=-1, show=True)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Reasoning(effort="max")),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
    ],
)
def test_thinking_is_an_effort_or_a_budget(fields, reasoning):
    assert read(**fields).reasoning == reasoning


@pytest.mark.parametrize(
    ("said", "choice", "parallel"),
    [
        ({"type": "any"}, ToolChoice(mode="required"), None),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            ToolChoice(mode="tool", name="f"),
            False,
        ),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(mode="auto"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
    ],
)
def test_choices_are_read_with_what_is_said_of_parallel_calls(said, choice, parallel):
    request = read(tool_choice=said)

    assert (request.tool_choice, request.parallel_tool_calls) == (choice, parallel)


def test_the_betas_name_of_the_output_format_still_counts():
    form = {"type": "json_schema", "schema": {"type": "object"}}

    assert read(output_format=form).format == Format(kind="json_schema", schema='{"type":"object"}')
    assert read(output_format=form) == read(output_config={"format": form})


def test_system_messages_are_system_or_stand_between_others():
    request = read(
        messages=[
            {"role": "system", "content": "first"},
            *HELLO,
            {"role": "system", "content": [{"type": "text", "text": "then"}]},
        ]
    )

    assert request.system == (Text("first"),)
    assert request.messages[1] == Message("system", (Text("then"),))


def test_dropped_fields_are_not_looked_at():
    body = b'{"messages":[],"max_tokens":"many","memory":1,"speed":"fast"}'

    request = read_request(body, drop=frozenset({"max_tokens", "memory"}))

    assert (request.max_tokens, request.others, request.hints) == (None, (), ("speed",))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": "many"}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": 5}]}]},
            "messages[0].content[0].source",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
            "messages[0].content[0].source",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": []}]}]},
            "messages[0].content[0].input",
        ),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
    ],
)
def test_what_is_wrong_is_named(fields, param):
    with pytest.raises(BadRequest) as refused:
        read(**fields)

    assert refused.value.param == param


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "text",
                    "role",
                    "content",
                    "source",
                    "input",
                    "name",
                    "id",
                    "data",
                    "citations",
                    "format",
                    "edits",
                    "schema",
                ]
            )
            | st.text(max_size=3),
            inner
            | st.sampled_from(
                ["user", "text", "image", "tool_use", "tool_result", "document", "thinking", "content"]
            ),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "messages",
                "system",
                "tools",
                "tool_choice",
                "thinking",
                "output_config",
                "context_management",
                "metadata",
                "stop_sequences",
            ]
        ),
        _values | st.lists(_values, max_size=2),
        max_size=5,
    )
)
def test_nothing_else_is_ever_raised(body):
    with contextlib.suppress(BadRequest):
        read_request(msgspec.json.encode(body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"messages":[{"role":"user","content":"\xff"}]}',
        b'{"messages":[{"role":"user","content":[{"type":"tool_use","input":{"a":"\xff"}}]}]}',
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_bytes_that_are_no_json_are_refused(body):
    with pytest.raises(BadRequest):
        read_request(body)
