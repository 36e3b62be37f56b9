from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.providers.sandbox_chat import Completion, completion, text_of
from gateway.providers.sandbox_script import script_of

USER = {"role": "user", "content": "what is the weather"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
OTHER = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}


def answer(**body: Any) -> Completion:
    whole = {"messages": [USER], **body}
    return completion("echo", whole, script_of("echo", whole), b"seed")


def called(found: Completion) -> list[tuple[str, Any]]:
    return [
        (c["function"]["name"], msgspec.json.decode(c["function"]["arguments"])) for c in found.tool_calls
    ]


def test_the_first_tool_is_called_with_arguments_that_fit():
    found = answer(tools=[WEATHER, OTHER])

    assert called(found) == [("weather", {"city": "text"})]
    assert found.finish_reason == "tool_calls"
    message = msgspec.json.decode(found.document())["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["id"].startswith("call_")


def test_a_named_tool_is_called():
    assert called(
        answer(tools=[WEATHER, OTHER], tool_choice={"type": "function", "function": {"name": "other"}})
    ) == [("other", {})]


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [WEATHER], "tool_choice": "none"},
        {"tools": [WEATHER], "messages": [USER, {"role": "tool", "content": "rain"}]},
        {"tools": [WEATHER], "sandbox": {"text": "said"}},
        {},
    ],
    ids=["none", "after the result", "scripted text", "no tools"],
)
def test_otherwise_there_is_text(body):
    assert answer(**body).tool_calls == []


def test_streamed_arguments_add_up():
    events = list(answer(tools=[WEATHER]).events(include_usage=False, chunks=None))

    deltas = [msgspec.json.decode(e[6:])["choices"][0]["delta"] for e in events[:-1]]
    calls = [d["tool_calls"][0] for d in deltas if "tool_calls" in d]
    assert calls[0]["function"] == {"name": "weather", "arguments": ""}
    assert "".join(c["function"]["arguments"] for c in calls) == '{"city":"text"}'


def test_scripted_tool_calls_win():
    found = answer(sandbox={"tool_calls": [{"name": "a", "arguments": {"x": 1}}, {"name": "b"}]})

    assert called(found) == [("a", {"x": 1}), ("b", {})]


def test_structured_answers_fit_their_schema():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    assert msgspec.json.decode("".join(answer(response_format=wanted).pieces)) == {"n": 3}
    assert msgspec.json.decode("".join(answer(response_format={"type": "json_object"}).pieces)) == {
        "echo": "what is the weather"
    }


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_an_answer_stops_at_its_length(field):
    found = answer(**{field: 2})

    assert (len(found.pieces), found.finish_reason) == (2, "length")


@pytest.mark.parametrize(
    "body",
    [
        {"n": 0},
        {"n": True},
        {"n": 1000},
        {"max_tokens": "2"},
        {"messages": "hi"},
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "nobody"}}},
    ],
)
def test_what_openai_would_refuse_is_refused(body):
    with pytest.raises(BadRequest):
        answer(**body)


def test_text_parts_are_text():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]

    assert text_of({"content": parts}) == "a\nb"
    assert text_of({"content": None}) == text_of(None) == ""


def test_chunks_cut_the_text_in_equal_parts():
    events = list(answer(sandbox={"text": "abcdefgh"}).events(include_usage=False, chunks=4))

    assert len(events) == 1 + 4 + 1 + 1
