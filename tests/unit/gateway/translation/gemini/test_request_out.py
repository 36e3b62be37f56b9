from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.conversation import (
    Cache,
    Format,
    Message,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolChoice,
)
from gateway.translation.gemini.request_out import write_request

MESSAGES = (Message("user", (Text("Hi"),)),)


def write(model: str = "gemini-2.5-flash", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = write_request(Request(messages=MESSAGES, **fields), model=model)
    return msgspec.json.decode(written.body), written.lost


def test_a_plain_request_holds_nothing_else():
    assert write() == ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, ())


def test_schemas_go_as_json_schema_word_for_word():
    schema = '{ "type": "object", "$defs": {} }'
    request = Request(
        messages=MESSAGES,
        tools=(Tool(name="f", description="F", schema=schema), Tool(name="g")),
        format=Format(kind="json_schema", name="x", schema=schema, strict=True),
    )

    written = write_request(request, model="gemini-2.5-flash")

    assert written.body.count(schema.encode()) == 2
    body = msgspec.json.decode(written.body)
    functions = body["tools"][0]["functionDeclarations"]
    assert functions[0] == {
        "name": "f",
        "description": "F",
        "parametersJsonSchema": {"type": "object", "$defs": {}},
    }
    assert functions[1] == {"name": "g"}
    assert body["generationConfig"]["responseMimeType"] == "application/json"
    assert written.lost == ()


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="tool", name="f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_who_chooses_is_written(choice, config):
    body, _ = write(tools=(Tool(name="f"),), tool_choice=choice)

    assert body["toolConfig"] == {"functionCallingConfig": config}


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"user": "ann"}, ("user",)),
        ({"verbosity": "high"}, ("verbosity",)),
        ({"verbosity": "medium", "service_tier": "auto", "parallel_tool_calls": True, "logprobs": False}, ()),
        ({"parallel_tool_calls": False}, ("parallel_tool_calls",)),
        ({"service_tier": "scale"}, ("service_tier",)),
        ({"system": (Text("a", cache=Cache()),)}, ("cache",)),
        ({"tools": (Tool(name="f", strict=True, cache=Cache()),)}, ("cache", "strict")),
        ({"model": "gemini-2.0-flash", "reasoning": Reasoning(effort="low")}, ("reasoning",)),
        ({"model": "gemini-2.0-flash", "reasoning": Reasoning(effort="none")}, ()),
    ],
)
def test_what_has_no_place_is_named_unless_it_is_usual(fields, lost):
    assert write(**fields)[1] == lost


def test_thinking_is_asked_for_as_the_model_takes_it():
    reasoning = Reasoning(effort="low", show=True)

    assert write("gemini-3-flash", reasoning=reasoning)[0]["generationConfig"] == {
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}
    }
    assert write("gemini-2.5-flash", reasoning=reasoning, max_tokens=10_000)[0]["generationConfig"] == {
        "maxOutputTokens": 10_000,
        "thinkingConfig": {"thinkingBudget": 2000, "includeThoughts": True},
    }


def test_a_tier_that_google_has_is_asked_for():
    assert write(service_tier="flex")[0]["serviceTier"] == "flex"
