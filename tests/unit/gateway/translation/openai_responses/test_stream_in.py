from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translation.conversation import Media, Refusal, Stop, Text, Thinking, ToolCall
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Counted,
    Ended,
    Event,
    Failed,
    Started,
    Stopped,
    TextPiece,
)
from gateway.translation.openai_responses.stream_in import Reader
from tests.fakes.event_streams import reply_of, told
from tests.fakes.responses import USAGE, event, message

BEGUN = event("response.created", 0, response={"id": "resp_1", "model": "gpt-x", "status": "in_progress"})
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f"}


def done(status: str = "completed", **said: object) -> bytes:
    response = {"id": "resp_1", "model": "gpt-x", "status": status, "output": [], "usage": USAGE, **said}
    return event(f"response.{status}", 99, response=response)


def item(place: int, said: Mapping[str, object], *, kind: str = "done") -> bytes:
    return event(f"response.output_item.{kind}", 1, output_index=place, item=said)


def events(*chunks: bytes) -> list[Event]:
    return told(Reader(), chunks)


def test_what_was_told_piece_by_piece_is_not_told_again_at_its_end() -> None:
    stream = (
        BEGUN
        + item(0, {**CALL, "arguments": ""}, kind="added")
        + event("response.function_call_arguments.delta", 2, output_index=0, delta='{"a":')
        + event("response.function_call_arguments.delta", 3, output_index=0, delta="1}")
        + item(0, {**CALL, "arguments": '{"a":1}'})
        + done(output=[{**CALL, "arguments": '{"a":1}'}])
    )
    said = events(stream)
    assert [one for one in said if isinstance(one, CallStarted | CallPiece)] == [
        CallStarted(0, "c1", "f"),
        CallPiece(0, '{"a":'),
        CallPiece(0, "1}"),
    ]
    assert reply_of(said).stop == "tool_calls"


@pytest.mark.parametrize("added", [True, False])
def test_an_item_that_comes_whole_is_told_whole(*, added: bool) -> None:
    call = {**CALL, "arguments": '{"a":1}'}
    stream = BEGUN + (item(0, call, kind="added") if added else b"") + item(0, call) + done()
    assert reply_of(events(stream)).parts == (ToolCall(id="c1", name="f", arguments='{"a":1}'),)


def test_an_answer_that_stands_only_at_the_end_is_told() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    reply = reply_of(events(done(output=[thought, message("Hi tide")])))
    assert (reply.id, reply.model) == ("resp_1", "gpt-x")
    assert reply.parts == (Thinking(text="Hm"), Text("Hi tide"))


def test_thoughts_are_joined_and_signed() -> None:
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    whole = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "s"}
    stream = BEGUN + item(0, {"type": "reasoning", "id": "rs_1", "summary": []}, kind="added")
    for index, part in enumerate(summary):
        at = {"output_index": 0, "item_id": "rs_1", "summary_index": index}
        stream += event(
            "response.reasoning_summary_part.added", 2, **at, part={"type": "summary_text", "text": ""}
        )
        stream += event("response.reasoning_summary_text.delta", 3, **at, delta=part["text"])
    stream += item(0, whole) + item(1, {**whole, "id": "rs_2", "summary": []}) + done()
    assert reply_of(events(stream)).parts == (
        Thinking(text="a\n\nb", signature="s", id="rs_1", origin="openai"),
        Thinking(signature="s", hidden=True, id="rs_2", origin="openai"),
    )


def test_free_form_input_becomes_an_argument() -> None:
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "patch"}
    stream = BEGUN + item(0, {**custom, "input": ""}, kind="added")
    for piece in ('say "', "hi\n", '"'):
        stream += event("response.custom_tool_call_input.delta", 2, output_index=0, delta=piece)
    stream += item(0, {**custom, "input": 'say "hi\n"'}) + done()
    [call] = reply_of(events(stream)).parts
    assert isinstance(call, ToolCall)
    assert msgspec.json.decode(call.arguments) == {"input": 'say "hi\n"'}


def test_refusals_and_pictures_are_read() -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "result": "AAAA", "output_format": "webp"}
    refusal = event("response.refusal.delta", 1, output_index=1, delta="No.")
    reply = reply_of(events(BEGUN + item(0, picture) + refusal + done()))
    assert reply.parts == (Media(kind="image", media_type="image/webp", data="AAAA"), Refusal("No."))
    assert reply.stop == "refusal"


@pytest.mark.parametrize(
    ("reason", "stop"), [("max_output_tokens", "length"), ("content_filter", "filter"), ("tides", "other")]
)
def test_an_incomplete_answer_says_why(reason: str, stop: Stop) -> None:
    said = events(BEGUN + done("incomplete", incomplete_details={"reason": reason}))
    assert said[1] == Stopped(stop)
    assert isinstance(said[2], Counted)
    assert said[2].usage.input_total == USAGE["input_tokens"]
    assert said[3] == Ended()


@pytest.mark.parametrize(
    ("data", "failed"),
    [
        (
            event("response.failed", 1, response={"error": {"code": "server_error", "message": "It broke."}}),
            Failed("It broke.", "server_error"),
        ),
        (event("response.cancelled", 1, response={"error": None}), Failed("cancelled")),
        (
            event("error", 1, code="rate_limit_exceeded", message="Slow down"),
            Failed("Slow down", "rate_limit_exceeded"),
        ),
        (b'data: {"error":{"message":"No","code":"bad"}}\n\n', Failed("No", "bad")),
        (event("error", 1, code=None, message=None), Failed("error")),
    ],
)
def test_a_failure_is_told_and_is_the_last(data: bytes, failed: Failed) -> None:
    assert events(BEGUN + data + done()) == [Started("resp_1", "gpt-x"), failed]


def test_what_nobody_knows_is_passed_over() -> None:
    odd = (
        event("response.moon.rises", 1, output_index=0)
        + item(0, {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}})
        + event("response.output_text.delta", 1, output_index="x", delta=3)
        + b": keep-alive\n\ndata: [DONE]\n\ndata: nonsense\n\n"
    )
    assert events(BEGUN + odd + done()) == events(BEGUN + done())


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_make_it_raise_or_end(chunks: list[bytes]) -> None:
    reader = Reader()
    said = told(reader, [b"data: " + chunk + b"\n\n" for chunk in chunks])
    assert not any(isinstance(one, Ended | TextPiece) for one in said)
