from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from gateway.translation.base import HINTS
from gateway.translation.conversation import (
    Cache,
    Citation,
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
from gateway.translation.openai_responses.request_out import write_request

HI = Message("user", (Text("Hi"),))
_PARAMS: TypeAdapter[Any] = TypeAdapter(response_create_params.ResponseCreateParamsNonStreaming)


def written(*, model: str = "gpt-4o", **fields: Any) -> dict[str, Any]:
    request = Request(**{"messages": (HI,), **fields})
    body: dict[str, Any] = msgspec.json.decode(write_request(request, model=model).body)
    _PARAMS.validate_python(body)
    return body


def lost(*, model: str = "gpt-4o", **fields: Any) -> tuple[str, ...]:
    return write_request(Request(**{"messages": (HI,), **fields}), model=model).lost


def test_nothing_is_kept_at_the_provider() -> None:
    assert written() == {
        "model": "gpt-4o",
        "store": False,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    }


def test_the_system_speaks_in_instructions_and_what_is_more_before_all() -> None:
    body = written(system=(Text("One"), Text("Two")))
    assert body["instructions"] == "One"
    assert body["input"][0] == {
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": "Two"}],
    }


@pytest.mark.parametrize(
    ("model", "reasoning", "asked"),
    [
        ("gpt-5", None, True),
        ("o3-mini", None, True),
        ("openai/gpt-5.1-codex", None, True),
        ("gpt-5-chat-latest", None, False),
        ("gpt-4o", None, False),
        ("gpt-4.1-mini", None, False),
        ("my-deployment", Reasoning(effort="low"), True),
    ],
)
def test_encrypted_thoughts_are_asked_of_models_that_have_them(
    model: str, reasoning: Reasoning | None, *, asked: bool
) -> None:
    body = written(model=model, reasoning=reasoning)
    assert body.get("include", []) == (["reasoning.encrypted_content"] if asked else [])


def test_only_openais_signed_thoughts_go_back() -> None:
    thoughts = (
        Thinking(text="a", signature="s", id="rs_1", origin="openai"),
        Thinking(signature="h", hidden=True, id="rs_2", origin="openai"),
        Thinking(text="b", signature="t", origin="anthropic"),
        Thinking(text="c"),
    )
    request: dict[str, Any] = {"messages": (HI, Message("assistant", (*thoughts, Text("Ho"))), HI)}
    assert [item for item in written(**request)["input"] if item["type"] == "reasoning"] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}],
            "encrypted_content": "s",
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "h"},
    ]
    assert lost(**request) == ()


def test_a_thought_whose_id_was_lost_goes_without_one() -> None:
    thought = Thinking(text="a", signature="s", origin="openai")
    request = Request(messages=(HI, Message("assistant", (thought,))))
    body = msgspec.json.decode(write_request(request, model="gpt-5").body)
    assert "id" not in body["input"][-1]


def test_a_function_is_strict_only_if_somebody_said_so() -> None:
    tools = (Tool(name="f", description="F", schema='{"type":"object"}'), Tool(name="g", strict=True))
    assert written(tools=tools, tool_choice=ToolChoice(mode="tool", name="f")) | {"input": None} == {
        "model": "gpt-4o",
        "store": False,
        "input": None,
        "tools": [
            {
                "type": "function",
                "name": "f",
                "description": "F",
                "strict": False,
                "parameters": {"type": "object"},
            },
            {
                "type": "function",
                "name": "g",
                "strict": True,
                "parameters": {"type": "object", "properties": {}},
            },
        ],
        "tool_choice": {"type": "function", "name": "f"},
    }


def test_results_keep_their_images() -> None:
    image = Media(kind="image", media_type="image/png", data="AAAA")
    results = (
        ToolResult(id="c1", parts=(Text("1"),)),
        ToolResult(id="c2"),
        ToolResult(id="c3", parts=(Text("see"), image), failed=True),
    )
    messages = (HI, Message("assistant", (ToolCall(id="c1", name="f"),)), Message("user", results))
    assert [item.get("output") for item in written(messages=messages)["input"][2:]] == [
        "1",
        "",
        [
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
        ],
    ]
    assert lost(messages=messages) == ("failed",)


def test_cache_points_are_marked_where_the_model_knows_them() -> None:
    cached = Text("Long", Cache())
    fields: dict[str, Any] = {"system": (cached,), "messages": (Message("user", (cached,)),)}
    body = written(model="gpt-5.6-mini", **fields)
    assert "instructions" not in body
    assert [item["content"][0]["prompt_cache_breakpoint"] for item in body["input"]] == [
        {"mode": "explicit"}
    ] * 2
    assert lost(model="gpt-5.6-mini", **fields) == ()
    assert "prompt_cache_breakpoint" not in str(written(model="gpt-5.1", **fields))
    assert lost(model="gpt-5.1", **fields) == ("cache",)


def test_fewer_tokens_than_openai_takes_become_as_few_as_it_does() -> None:
    assert written(max_tokens=1)["max_output_tokens"] == 16


def test_a_budget_for_thinking_becomes_an_effort() -> None:
    body = written(reasoning=Reasoning(budget=2000, show=True), max_tokens=16_000)
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", 3),
        ("stop", ("x",)),
        ("seed", 0),
        ("frequency_penalty", 0.5),
        ("presence_penalty", 0.5),
        ("service_tier", "standard_only"),
    ],
)
def test_settings_without_a_place_are_told(name: str, value: Any) -> None:
    fields: dict[str, Any] = {name: value}
    assert lost(**fields) == (name,)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (Message("user", (Media(kind="audio", media_type="audio/wav", data="AAAA"),)), "audio"),
        (Message("user", (Media(kind="image", file_id="f", origin="anthropic"),)), "image"),
        (Message("assistant", (Media(kind="image", data="AAAA"), Text("Ho"))), "image"),
        (Message("assistant", (Text("Ho", citations=(Citation(document=1),)),)), "citations"),
        (Message("user", (Text("Hi"),), name="ada"), "name"),
        (Message("user", (Media(kind="document", data="AAAA", name="a.pdf", cite=True),)), "cite"),
    ],
)
def test_parts_without_a_place_are_told(message: Message, name: str) -> None:
    assert lost(messages=(HI, message)) == (name,)


def test_what_makes_no_difference_is_known_as_a_hint() -> None:
    assert {"cache", "name", "cite", "failed", "service_tier"} <= HINTS
