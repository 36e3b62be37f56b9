from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.base import Answering
from gateway.translation.conversation import (
    Format,
    Media,
    Reasoning,
    Refusal,
    Reply,
    Request,
    Stop,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from gateway.translation.openai_responses.reply_out import write_reply
from telemetry.records import Usage
from tests.fakes import official_responses as official

CALL_ID = "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
HEX = CALL_ID.replace("-", "")


def written(reply: Reply, **asked: Any) -> dict[str, Any]:
    request = Request(**{"messages": (), **asked})
    answering = Answering(call_id=CALL_ID, created_s=1_760_000_000, model="asked-for", request=request)
    body = write_reply(reply, answering)
    official.document(body)
    said: dict[str, Any] = msgspec.json.decode(body)
    return said


def test_an_answer_without_a_name_gets_ours() -> None:
    said = written(Reply(id="msg_abc", parts=(Text("Hi"),)))
    assert (said["id"], said["model"], said["created_at"]) == (f"resp_{HEX}", "asked-for", 1_760_000_000)
    assert written(Reply(id="resp_abc", model="claude"))["id"] == "resp_abc"


def test_the_request_is_repeated() -> None:
    said = written(
        Reply(),
        system=(Text("Be brief"),),
        tools=(
            Tool(name="f", description="F", schema='{"type":"object"}', strict=True),
            Tool(name="p", freeform=True),
        ),
        tool_choice=ToolChoice(mode="tool", name="p"),
        temperature=0.5,
        max_tokens=100,
        format=Format(kind="json_schema", name="n", schema="{}"),
        reasoning=Reasoning(effort="low"),
        hints=("store",),
        parallel_tool_calls=False,
    )
    assert {name: said[name] for name in ("instructions", "temperature", "max_output_tokens", "store")} == {
        "instructions": "Be brief",
        "temperature": 0.5,
        "max_output_tokens": 100,
        "store": False,
    }
    assert said["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "F",
            "strict": True,
            "parameters": {"type": "object"},
        },
        {"type": "custom", "name": "p"},
    ]
    assert said["tool_choice"] == {"type": "custom", "name": "p"}
    assert said["text"] == {
        "format": {"type": "json_schema", "name": "n", "schema": {}},
        "verbosity": "medium",
    }
    assert said["reasoning"] == {"effort": "low", "summary": None}
    assert said["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("end", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_calls", "completed", None),
        ("other", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("context", "incomplete", "max_output_tokens"),
        ("filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_the_status_says_why_it_stopped(stop: Stop, status: str, reason: str | None) -> None:
    said = written(Reply(parts=(Text("Hi"),), stop=stop))
    assert (said["status"], said["output"][0]["status"]) == (status, status)
    assert said["incomplete_details"] == ({"reason": reason} if reason else None)


def test_a_refusal_in_words_is_a_whole_answer() -> None:
    said = written(Reply(parts=(Text("Well. "), Refusal("No.")), stop="refusal"))
    assert said["status"] == "completed"
    [message] = said["output"]
    assert message["content"] == [
        {"type": "output_text", "text": "Well. ", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "No."},
    ]


def test_usage_is_counted_as_openai_counts() -> None:
    usage = Usage(
        input_uncached=10, cache_read=5, cache_write_5m=3, cache_write_1h=1, output_text=7, output_reasoning=2
    )
    assert written(Reply(usage=usage))["usage"] == {
        "input_tokens": 19,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 4},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 28,
    }


def test_a_tier_of_another_provider_is_not_repeated() -> None:
    assert written(Reply(service_tier="standard"))["service_tier"] == "default"


def test_arguments_that_are_no_text_for_a_free_form_tool_are_passed_on() -> None:
    call = ToolCall(id="c", name="p", arguments='{"patch":1}')
    [item] = written(Reply(parts=(call,), stop="tool_calls"), tools=(Tool(name="p", freeform=True),))[
        "output"
    ]
    assert (item["type"], item["input"], item["id"]) == ("custom_tool_call", '{"patch":1}', f"ctc_{HEX}00")


def test_a_picture_is_an_item_and_sound_has_no_place() -> None:
    picture = Media(kind="image", media_type="image/jpeg", data="AAAA")
    said = written(
        Reply(parts=(picture, Media(kind="audio", media_type="audio/wav", data="AAAA")), stop="length")
    )
    [item] = said["output"]
    assert (item["type"], item["result"], item["status"]) == ("image_generation_call", "AAAA", "completed")
