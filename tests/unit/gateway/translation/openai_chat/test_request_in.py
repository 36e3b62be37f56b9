from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.translation.conversation import Cache, Format, Reasoning, Request, Text, Tool, ToolChoice
from gateway.translation.openai_chat.request_in import read_request

TIDE = {"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}
HELLO = [{"role": "user", "content": "Hello"}]


def read(*, drop: frozenset[str] = frozenset(), **fields: Any) -> Request:
    return read_request(msgspec.json.encode({"model": "m", "messages": HELLO, **fields}), drop)


def test_settings_are_read_under_our_names():
    said = read(
        max_tokens=5, max_completion_tokens=7, stop="END", logprobs=True, top_logprobs=2, seed=1, temperature=1,
        safety_identifier="ada", service_tier="flex", verbosity="low", stream=True, parallel_tool_calls=False,
    )  # fmt: skip

    assert (said.max_tokens, said.stop, said.temperature, said.user) == (7, ("END",), 1.0, "ada")
    assert (said.service_tier, said.verbosity, said.stream) == ("flex", "low", True)
    assert (said.logprobs, said.top_logprobs, said.seed, said.parallel_tool_calls) == (True, 2, 1, False)
    assert said.others == said.hints == ()


def test_what_has_no_place_is_named():
    said = read(
        n=2, logit_bias={"1": 2}, store=True, metadata={"a": "b"}, min_p=0.1, modalities=["text", "audio"],
        prompt_cache_key="k", tools=[TIDE, {"type": "web_search"}], stream_options={"include_usage": True},
    )  # fmt: skip

    assert set(said.others) == {"n", "logit_bias", "min_p", "modalities", "tools[1]"}
    assert set(said.hints) == {"store", "metadata", "prompt_cache_key"}


def test_neutral_values_are_not_worth_a_word():
    said = read(
        n=1, logit_bias={}, store=False, modalities=["text"], prediction=None, service_tier="auto", logprobs=False,
        tools=[], stop=[], response_format={"type": "text"},
    )  # fmt: skip

    assert said == read()


def test_fields_to_drop_are_not_even_read():
    assert read(n=2, temperature="hot", drop=frozenset({"n", "temperature"})) == read()


@pytest.mark.parametrize(
    ("choice", "read_as"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("any", ToolChoice(mode="required")),
        ({"type": "function", "function": {"name": "tide"}}, ToolChoice(mode="tool", name="tide")),
        (None, None),
    ],
)
def test_a_choice_of_tools_is_read(choice, read_as):
    assert read(tools=[TIDE], tool_choice=choice).tool_choice == read_as


def test_a_choice_among_some_tools_has_no_place():
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}

    assert read(tools=[TIDE], tool_choice=allowed).others == ("tool_choice",)


def test_deprecated_functions_are_tools():
    said = read(functions=[{"name": "tide", "description": "When"}], function_call={"name": "tide"})

    assert said.tools == (Tool(name="tide", description="When"),)
    assert said.tool_choice == ToolChoice(mode="tool", name="tide")


def test_a_cache_point_of_a_tool_may_stand_in_or_beside_its_function():
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}

    said = read(tools=[TIDE | mark, {"type": "function", "function": {"name": "b"} | mark}])

    assert [tool.cache for tool in said.tools] == [Cache("1h"), Cache("1h")]


def test_a_schema_keeps_its_text():
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"function":{"name":"t","parameters":{ "b": 1e2,"a":"\xc3\xbc"}}}]}'

    assert read_request(body, frozenset()).tools[0].schema == '{ "b": 1e2,"a":"ü"}'


def test_a_response_format_is_read():
    schema = {"name": "a", "schema": {"type": "object"}, "strict": True}

    assert read(response_format={"type": "json_schema", "json_schema": schema}).format == Format(
        kind="json_schema", name="a", schema='{"type":"object"}', strict=True
    )
    assert read(response_format={"type": "grammar"}).others == ("response_format",)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        ({"reasoning": {"max_tokens": 2000, "exclude": True}}, Reasoning(budget=2000, show=False)),
        ({"reasoning": {"effort": "high"}}, Reasoning(effort="high")),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(budget=1024)),
        ({"thinking": {"type": "enabled"}}, Reasoning(budget=-1)),
        ({"thinking": {"type": "disabled"}}, Reasoning(budget=0)),
        ({"reasoning": {"enabled": True}}, Reasoning(budget=-1)),
        ({"reasoning": {"enabled": False}}, Reasoning(budget=0)),
        ({"reasoning": {}}, None),
    ],
)
def test_how_much_to_think_is_read_in_every_dialect(fields, reasoning):
    assert read(**fields).reasoning == reasoning


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"temperature": "hot"}, "temperature"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function.name"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"messages": [{"role": "captain", "content": "x"}]}, "messages[0].role"),
        ({"messages": [*HELLO, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
    ],
)
def test_a_mistake_is_named(fields, named):
    with pytest.raises(BadRequest) as raised:
        read(**fields)

    assert raised.value.param == named
    assert named in str(raised.value) or "Supported values" in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"messages":[{"role":"user","content":"x"}],"n":' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"messages":[{"role":"user","content":"x"}],"n":"\xff"}',
        b'{"messages":[{"role":"user","content":"x"}],"tools":[{"function":{"name":"t","parameters":"\xff"}}]}',
    ],
)
def test_what_is_no_json_is_a_bad_request(body):
    with pytest.raises(BadRequest):
        read_request(body, frozenset())


def test_the_system_is_what_stands_before_all_messages():
    said = read(messages=[{"role": "system", "content": "A"}, {"role": "developer", "content": [{"type": "text", "text": "B"}]}, *HELLO])  # fmt: skip

    assert said.system == (Text("A"), Text("B"))
    assert len(said.messages) == 1
