from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.conversation import Citation, Text, Thinking, ToolCall
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    MediaPiece,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.openai_chat.stream_in import ChatStreamReader
from tests.fakes.event_streams import reply_of, told


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "model": "m",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": reason}],
        **more,
    }


def read(*chunks: dict[str, Any], done: bool = True) -> list[Event]:
    stream = b"".join(b"data: " + msgspec.json.encode(one) + b"\n\n" for one in chunks)
    return told(ChatStreamReader(), [stream + b"data: [DONE]\n\n" * done])


def call(id_: str | None = None, name: str | None = None, arguments: Any = "", **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"id": id_, "function": {"name": name, "arguments": arguments}, **more}]}


def calls_in(events: list[Event]) -> list[ToolCall]:
    return [part for part in reply_of(events).parts if isinstance(part, ToolCall)]


TWO = [ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="g", arguments='{"y":2}')]


@pytest.mark.parametrize(
    "deltas",
    [
        [call("a", "f", index=0), call(arguments='{"x":', index=0), call("b", "g", index=1),
         call(arguments="1}", index=0), call(arguments='{"y":2}', index=1)],
        [call("a", "f", '{"x":1}'), call("b", "g", '{"y":2}')],
        [call("a", "f", '{"x":1}', index=0), call("b", "g", '{"y":2}', index=0)],
        [call("a", "f"), call(arguments='{"x":1}'), call("b", "g"), call(arguments='{"y":2}')],
        [call("a", "f", {"x": 1}), call("b", "g", {"y": 2})],
        [call("a", "f", '{"x"', index=0), call("a", "f", ":1}", index=0), call("b", "g", '{"y":2}', index=1)],
        [call("a", "f", '{"x"', index=0), call("z", None, ":1}", index=0), call("b", "g", '{"y":2}', index=1)],
        [call("a", "f", '{"x"'), call("a", None, ":1}"), call("b", "g", '{"y":2}')],
    ],
    ids=["openai", "whole", "one index", "no index", "objects", "repeated", "new ids", "ids only"],
)  # fmt: skip
def test_parallel_calls_are_told_apart_in_every_dialect(deltas):
    assert calls_in(read(*map(chunk, deltas), chunk(reason="tool_calls"))) == TWO


def test_calls_without_ids_or_index_are_told_apart_by_their_names():
    said = calls_in(read(chunk(call(None, "f", "{}")), chunk(call(None, "f", "{}")), chunk(reason="stop")))

    assert said == [ToolCall(id="", name="f")] * 2


def test_a_piece_of_no_call_is_passed_over():
    assert calls_in(read(chunk(call(arguments="{}", index=None)), chunk(reason="stop"))) == []


def test_a_deprecated_call_goes_on():
    pieces = [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}]

    events = read(*map(chunk, pieces), chunk(reason="function_call"))

    assert events[1:4] == [CallStarted(0, "", "f"), CallPiece(0, "{}"), Stopped("tool_calls")]


def test_googles_signature_comes_with_the_call():
    signed = call("a", "f", "{}", extra_content={"google": {"thought_signature": "Z2Vt"}})

    assert read(chunk(signed))[1] == CallStarted(0, "a", "f", "Z2Vt", "gemini")


@pytest.mark.parametrize(
    "deltas",
    [
        [{"reasoning_content": "Hm."}, {"content": "A"}],
        [{"reasoning": "Hm.", "content": ""}, {"content": "A"}],
        [{"reasoning_content": "Hm.", "content": "A"}],
        [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, {"content": [{"type": "text", "text": "A"}]}],
        [{"thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]}, {"content": "A"}],
    ],
)  # fmt: skip
def test_thoughts_are_read_in_every_dialect(deltas):
    assert reply_of(read(*map(chunk, deltas))).parts == (Thinking(text="Hm."), Text("A"))


def test_thoughts_are_signed_as_litellm_does_it():
    block = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    signed = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "aGlk"}

    events = read(
        chunk({"reasoning_content": "Hm.", "thinking_blocks": [block]}),
        chunk({"thinking_blocks": [signed]}),
        chunk({"thinking_blocks": [hidden]}),
        chunk({"thinking_blocks": [block | {"signature": "c2ln"}]}),
    )

    assert events[1:-1] == [
        ThinkingPiece("Hm."),
        ThinkingSigned("c2ln", "anthropic"),
        ThinkingSigned("aGlk", "anthropic", hidden=True),
        ThinkingPiece("Hm."),
        ThinkingSigned("c2ln", "anthropic"),
    ]


def test_other_choices_are_not_read():
    other = {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "length"}]}

    assert reply_of(read(chunk({"content": "A"}), other, chunk(reason="stop"))).parts == (Text("A"),)


def test_azures_first_chunk_does_not_begin_the_answer():
    events = read(
        {"id": "", "model": "", "choices": [], "prompt_filter_results": []}, chunk({"content": "A"})
    )

    assert events[0] == Started("1", "m")


def test_usage_is_found_in_groqs_own_field_with_the_tier_told_before():
    usage = {"prompt_tokens": 3, "completion_tokens": 2}

    events = read(chunk({"content": "A"}, service_tier="flex"), chunk(reason="stop", x_groq={"usage": usage}))

    counted = next(event for event in events if isinstance(event, Counted))
    assert (counted.usage.input_uncached, counted.usage.output_text, counted.service_tier) == (3, 2, "flex")
    assert msgspec.json.decode(counted.raw_usage) == usage


def test_citations_pictures_refusals_and_spoken_words_are_told():
    place = {"url": "u", "title": "t", "start_index": 0, "end_index": 1}
    annotation = {"type": "url_citation", "url_citation": place}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

    events = read(
        chunk({"annotations": [annotation]}),
        chunk({"content": "A", "annotations": [annotation]}),
        chunk({"images": [image]}),
        chunk({"refusal": "No"}),
        chunk({"audio": {"transcript": "Hi", "data": "BBBB"}}),
        chunk(reason="stop"),
    )

    assert events[1:-1] == [
        TextPiece("A"),
        Cited(Citation(url="u", title="t", start=0, end=1)),
        MediaPiece("image/png", "AAAA"),
        RefusalPiece("No"),
        TextPiece("Hi"),
        MediaPiece("audio/wav", "BBBB"),
        Stopped("refusal"),
    ]


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ({"error": {"message": "Overloaded", "code": 503}}, Failed("Overloaded", "503")),
        ({"error": {"message": "Overloaded", "code": "busy"}}, Failed("Overloaded", "busy")),
        ({"error": "Overloaded"}, Failed("Overloaded")),
        (chunk(reason="error", error={"message": "Overloaded"}), Failed("Overloaded")),  # OpenRouter
        ({"object": "error", "message": "Overloaded", "code": 400}, Failed("Overloaded")),
    ],
)
def test_an_error_ends_the_stream(said, failed):
    events = read(chunk({"content": "A"}), said, chunk({"content": "B"}))

    assert events[1:] == [TextPiece("A"), failed]


def test_no_error_is_none():
    assert read(chunk({"content": "A"}, error=None))[1:] == [TextPiece("A"), Ended()]


def test_a_stream_without_its_end_is_whole_once_the_model_stopped():
    assert isinstance(read(chunk({"content": "A"}), chunk(reason="stop"), done=False)[-1], Ended)
    assert read(chunk({"content": "A"}), done=False)[-1] == TextPiece("A")


def test_nonsense_is_passed_over():
    stream = b'data: {"choices":[{"index":0,"delta":{"content":"A"}}]}\n\ndata: {"cho\n\n: ping\n\ndata: 3\n\ndata: [DONE]\n\n'

    assert told(ChatStreamReader(), [stream]) == [Started(), TextPiece("A"), Ended()]
