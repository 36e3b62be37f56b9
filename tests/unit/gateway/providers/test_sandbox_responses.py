from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.providers.sandbox_responses import Response, response
from gateway.providers.sandbox_script import script_of

WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OTHER = {"type": "function", "name": "other"}
USER = {"role": "user", "content": [{"type": "input_text", "text": "what is the weather"}]}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "fine"}


def answer(**body: Any) -> Response:
    whole = {"input": "what is the weather", **body}
    return response("echo", whole, script_of("echo", whole), b"seed", "resp_1")


def text(found: Response) -> str:
    return "".join(found.pieces)


def called(found: Response) -> list[tuple[str, Any]]:
    calls = [item for item in found.items if item["type"] == "function_call"]
    return [(call["name"], msgspec.json.decode(call["arguments"])) for call in calls]


def events(found: Response, chunks: int | None = None) -> list[dict[str, Any]]:
    made = found.events(include_usage=False, chunks=chunks)
    return [msgspec.json.decode(event.split(b"\ndata: ")[1]) for event in made]


def test_the_last_user_message_is_echoed():
    assert text(answer()) == "what is the weather"
    assert text(answer(input=[{"role": "user", "content": "a"}, USER, OUTPUT])) == "what is the weather"


def test_the_first_tool_is_called_until_its_output_is_there():
    assert called(answer(tools=[WEATHER, OTHER])) == [("weather", {"city": "text"})]
    assert called(answer(tools=[WEATHER], input=[USER, OUTPUT])) == []


def test_a_named_tool_is_called_if_there_is_one():
    choice = {"type": "function", "name": "other"}

    assert called(answer(tools=[WEATHER, OTHER], tool_choice=choice)) == [("other", {})]
    assert called(answer(tools=[WEATHER], tool_choice="none")) == []
    with pytest.raises(BadRequest):
        answer(tools=[WEATHER], tool_choice=choice)


def test_a_format_is_kept_to():
    wanted = {"type": "json_schema", "name": "w", "schema": WEATHER["parameters"]}

    assert msgspec.json.decode(text(answer(text={"format": wanted}))) == {"city": "text"}
    assert msgspec.json.decode(text(answer(text={"format": {"type": "json_object"}}))) == {
        "echo": "what is the weather"
    }


def test_an_answer_that_is_too_long_is_incomplete():
    found = msgspec.json.decode(answer(max_output_tokens=2).document())

    assert found["status"] == "incomplete"
    assert found["incomplete_details"] == {"reason": "max_output_tokens"}
    assert found["usage"]["output_tokens"] == 2
    assert found["output"][0]["status"] == "incomplete"
    assert events(answer(max_output_tokens=2))[-1]["type"] == "response.incomplete"


def test_a_background_response_is_queued():
    found = msgspec.json.decode(answer(background=True).document())

    assert (found["status"], found["usage"], found["output"]) == ("queued", None, [])


def test_what_the_request_said_is_repeated_with_defaults():
    found = msgspec.json.decode(answer(reasoning={"effort": "low"}, temperature=0.5).document())

    assert found["reasoning"] == {"effort": "low", "summary": None}
    assert (found["temperature"], found["top_p"], found["store"]) == (0.5, 1.0, True)


def test_events_are_numbered_and_add_up_to_the_document():
    found = events(answer(), chunks=3)

    deltas = [event["delta"] for event in found if event["type"] == "response.output_text.delta"]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert (len(deltas), "".join(deltas)) == (3, "what is the weather")
    assert found[-1]["response"] == msgspec.json.decode(answer().document())


def test_arguments_come_in_pieces():
    found = events(answer(tools=[WEATHER]))

    deltas = [e["delta"] for e in found if e["type"] == "response.function_call_arguments.delta"]
    done = next(e for e in found if e["type"] == "response.function_call_arguments.done")
    assert "".join(deltas) == done["arguments"] == '{"city":"text"}'


def test_a_script_has_the_last_word():
    found = answer(sandbox={"text": "no", "finish_reason": "content_filter", "usage": None}, tools=[WEATHER])

    assert text(found) == "no"
    assert found.cut_short == "content_filter"
    assert found.usage is None


@pytest.mark.parametrize("said", [None, 7, ["text"], {}])
def test_an_input_that_is_none_is_refused(said):
    with pytest.raises(BadRequest) as refused:
        answer(input=said)

    assert refused.value.param == "input"


def test_a_follow_up_needs_no_input():
    assert text(answer(input=None, previous_response_id="resp_0")) == ""
