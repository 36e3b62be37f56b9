from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.base import HINTS
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
from gateway.translation.openai_chat.request_out import write_request

HELLO = (Message("user", (Text("Hello"),)),)


def write(
    model: str = "gpt-4o", *, usage: bool = True, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = write_request(Request(messages=HELLO, **fields), model=model, usage=usage)
    return msgspec.json.decode(written.body), written.lost


@pytest.mark.parametrize(
    ("model", "name"), [("gpt-5-mini", "max_completion_tokens"), ("gpt-4o", "max_tokens"), ("llama", "max_tokens")]
)  # fmt: skip
def test_the_limit_has_the_name_that_the_model_takes(model, name):
    said, _ = write(model, max_tokens=9)

    assert {key: value for key, value in said.items() if key.startswith("max")} == {name: 9}


def test_usage_is_asked_for_only_in_streams_that_may_be_asked():
    assert write(stream=True)[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in write(stream=True, usage=False)[0]
    assert set(write()[0]) == {"model", "messages"}


def test_efforts_go_to_models_that_reason():
    reasoning = Reasoning(budget=2048)

    assert write("gpt-5", reasoning=reasoning)[0]["reasoning_effort"] == "low"
    assert write("gpt-4o", reasoning=reasoning) == (write()[0], ("reasoning",))
    assert write("gpt-4o", reasoning=Reasoning(budget=0)) == write()
    assert "reasoning_effort" not in write("gpt-5", reasoning=Reasoning(budget=-1))[0]
    assert write("o3", reasoning=Reasoning(budget=0))[0]["reasoning_effort"] == "low"
    assert write("deepseek-chat", reasoning=Reasoning(budget=0))[0]["thinking"] == {"type": "disabled"}


def test_what_has_no_place_is_told():
    tools = (Tool(name="tide", cache=Cache()),)

    said, lost = write(top_k=3, service_tier="standard_only", tools=tools)

    assert set(lost) == {"top_k", "service_tier", "cache"}
    assert "top_k" not in said
    assert "service_tier" not in said
    assert set(lost) - HINTS == {"top_k"}


def test_tools_their_choice_and_the_form_are_written():
    tool = Tool(name="tide", description="When", schema='{"type":"object"}', strict=True)
    choice = ToolChoice(mode="tool", name="tide")

    said, _ = write(tools=(tool,), tool_choice=choice, format=Format(kind="json_schema", schema="{}"))

    assert said["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "tide",
                "description": "When",
                "parameters": {"type": "object"},
                "strict": True,
            },
        }
    ]
    assert said["tool_choice"] == {"type": "function", "function": {"name": "tide"}}
    assert said["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}}


def test_nobody_chooses_among_no_tools():
    assert write(tool_choice=ToolChoice(mode="auto"), parallel_tool_calls=False) == write()


def test_a_temperature_of_zero_is_said():
    assert write(temperature=0.0)[0]["temperature"] == 0
