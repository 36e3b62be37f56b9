from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Logprob, Request, Tool
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Counted,
    Ended,
    Event,
    Failed,
    Likely,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.openai_responses.stream_out import Writer
from telemetry.records import Usage
from tests.fakes import official_responses as official

CALL_ID = "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
HEX = CALL_ID.replace("-", "")
ASKED = Request(
    messages=(), tools=(Tool(name="patch", freeform=True), Tool(name="crew__hire", namespace="crew"))
)


def writer() -> Writer:
    return Writer(Answering(call_id=CALL_ID, created_s=1_760_000_000, model="m", request=ASKED))


def stream(*events: Event) -> bytes:
    made = writer()
    return b"".join(made.write([event]) for event in (Started("", "claude"), *events))


def kinds(data: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in official.split(data)]


def test_words_are_told_as_openai_tells_them() -> None:
    said = stream(TextPiece("Hi "), TextPiece("tide"), Stopped("end"), Counted(Usage(output_text=2)), Ended())
    assert kinds(said) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = official.streamed(said)
    assert (response.id, response.model, response.output_text) == (f"resp_{HEX}", "claude", "Hi tide")
    assert response.output[0].id == f"msg_{HEX}00"
    assert response.usage is not None
    assert response.usage.total_tokens == 2


def test_a_thought_its_signature_and_a_call_are_items() -> None:
    said = stream(
        ThinkingPiece("Hm"),
        ThinkingSigned("c2ln", "anthropic"),
        CallStarted(0, "c1", "f", signature="Y2FsbA==", origin="gemini"),
        CallPiece(0, '{"a":'),
        CallPiece(0, "1}"),
        Stopped("tool_calls"),
        Ended(),
    )
    assert kinds(said)[2:-1] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    thought, signature, call = (item.model_dump() for item in official.streamed(said).output)
    assert thought["encrypted_content"] == "tg:anthropic:c2ln"
    assert signature["encrypted_content"] == "tg:gemini:call:Y2FsbA=="
    assert (call["call_id"], call["arguments"]) == ("c1", '{"a":1}')


def test_calls_that_grow_in_turns_keep_their_places() -> None:
    said = stream(
        CallStarted(0, "c1", "f"),
        CallStarted(1, "c2", "patch"),
        CallPiece(0, "{"),
        CallPiece(1, '{"input":'),
        CallPiece(0, "}"),
        CallPiece(1, '"x"}'),
        CallStarted(2, "c3", "crew__hire"),
        Stopped("tool_calls"),
        Ended(),
    )
    output: list[Any] = [item.model_dump() for item in official.streamed(said).output]
    assert [(item["type"], item["call_id"], item["name"]) for item in output] == [
        ("function_call", "c1", "f"),
        ("custom_tool_call", "c2", "patch"),
        ("function_call", "c3", "hire"),
    ]
    assert (output[0]["arguments"], output[1]["input"], output[2]["arguments"]) == ("{}", "x", "{}")
    assert output[2]["namespace"] == "crew"


def test_a_delta_says_how_likely_its_tokens_were() -> None:
    likely = Likely((Logprob(token="é", logprob=-0.5),))
    said = writer().write([Started(), TextPiece("é"), likely, Ended()])
    [delta] = [event for event in official.split(said) if event["type"] == "response.output_text.delta"]
    assert delta["delta"] == "é"
    assert delta["logprobs"] == [{"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []}]
    official.streamed(said)


def test_an_answer_that_was_cut_short_is_incomplete_and_so_is_its_last_item() -> None:
    response = official.streamed(stream(TextPiece("Hi"), Stopped("length"), Ended()))
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].model_dump()["status"] == "incomplete"


def test_an_answer_may_be_empty() -> None:
    assert official.streamed(stream(Ended())).output == []


def test_a_failure_writes_nothing() -> None:
    made = writer()
    assert made.write([Started()])
    assert made.write([Failed("It broke.")]) == b""


def test_every_stage_repeats_the_request() -> None:
    first, *_, last = official.split(stream(TextPiece("Hi"), Ended()))
    same = set(first["response"]) - {"status", "output"}
    assert {name: first["response"][name] for name in same} == {name: last["response"][name] for name in same}
    assert first["response"]["tools"][0] == {"type": "custom", "name": "patch"}
    assert msgspec.json.encode(first["response"]["tool_choice"]) == b'"auto"'
