"""Streams of providers, as odd as they come."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translation.anthropic.stream_in import AnthropicStreamReader
from gateway.translation.conversation import Citation, Reply, Text, ToolCall
from gateway.translation.events import (
    Counted,
    Ended,
    Failed,
    Started,
    Stopped,
    TextPiece,
)
from telemetry.records import Usage
from tests.fakes.anthropic import event, events, text
from tests.fakes.event_streams import reply_of, told

START = event("message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 5}})
STOP = event("message_stop")


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    return b"".join(
        [
            event("content_block_start", index=index, content_block=start),
            *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
            event("content_block_stop", index=index),
        ]
    )


def done(reason: str = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 3, **usage}) + STOP


def reply(*pieces: bytes) -> Reply:
    return reply_of(told(AnthropicStreamReader(), [b"".join(pieces)]))


def test_usage_is_first_what_was_read_and_last_what_was_written():
    counted = [
        each for each in told(AnthropicStreamReader(), events(text("Hi"))) if isinstance(each, Counted)
    ]

    assert [each.output_uncounted for each in counted] == [True, False]
    assert counted[-1].usage.input_total == 247
    assert counted[-1].usage.output_reasoning == 4


def test_what_the_end_does_not_repeat_still_counts():
    usage = reply(START, block(0, text("Hi")), done(cache_read_input_tokens=2)).usage

    assert usage == Usage(input_uncached=5, cache_read=2, output_text=3)


def test_citations_follow_their_words_with_their_place_in_the_whole_text():
    location = {"type": "char_location", "cited_text": "q", "document_index": 0, "document_title": "T"}

    said = reply(
        START,
        block(0, text(""), {"type": "text_delta", "text": "So "}),
        block(
            1,
            text(""),
            {"type": "citations_delta", "citation": location},
            {"type": "text_delta", "text": "it is"},
        ),
        done(),
    )

    raw = msgspec.json.encode(location).decode()
    cited = Citation(title="T", quote="q", document=0, start=3, end=8, raw=raw, origin="anthropic")
    assert said.parts == (Text("So it is", None, (cited,)),)


def test_tools_of_the_provider_are_passed_over():
    said = reply(
        START,
        block(
            0,
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query":"x"}'},
        ),
        block(1, {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "x"}]}),
        block(2, text(""), {"type": "text_delta", "text": "Found."}),
        done(server_tool_use={"web_search_requests": 1}),
    )

    assert said.parts == (Text("Found."),)
    assert said.usage is not None
    assert said.usage.web_searches == 1


@pytest.mark.parametrize(
    ("given", "pieces", "arguments"),
    [
        ({}, [], "{}"),
        ({"a": 1}, [], '{"a":1}'),
        ({"a": 1}, ['{"b"', ":2}"], '{"b":2}'),
        ({}, ["", '{"b":2}'], '{"b":2}'),
    ],
)
def test_arguments_come_in_pieces_or_at_once(given, pieces, arguments):
    start = {"type": "tool_use", "id": "t", "name": "f", "input": given}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]

    assert reply(START, block(0, start, *deltas), done("tool_use")).parts == (
        ToolCall(id="t", name="f", arguments=arguments),
    )


def test_an_error_is_the_end():
    failure = event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    told_ = told(AnthropicStreamReader(), [START, failure, STOP])

    assert told_[-1] == Failed("Overloaded", "overloaded_error")
    assert not any(isinstance(each, Ended) for each in told_)


def test_events_nobody_knows_are_passed_over():
    said = told(
        AnthropicStreamReader(),
        [
            event("ping"),
            event("brand_new"),
            b"data: no json\n\n",
            b": comment\n\n",
            event("content_block_delta", index=7, delta={"type": "text_delta", "text": "lost"}),
            event("content_block_start", index=0, content_block=text("Hi")),
            STOP,
        ],
    )

    assert said == [Started(), TextPiece("Hi"), Stopped("end"), Ended()]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(
                    [
                        "message_start",
                        "content_block_start",
                        "content_block_delta",
                        "content_block_stop",
                        "message_delta",
                    ]
                )
            },
            optional={
                "index": st.integers(0, 2),
                "content_block": st.fixed_dictionaries(
                    {"type": st.sampled_from(["text", "tool_use", "thinking", "redacted_thinking", "odd"])},
                    optional={"text": st.text(), "input": st.none() | st.just({}), "data": st.text()},
                ),
                "delta": st.fixed_dictionaries(
                    {
                        "type": st.sampled_from(
                            ["text_delta", "input_json_delta", "thinking_delta", "citations_delta"]
                        )
                    },
                    optional={
                        "text": st.text(),
                        "partial_json": st.text(),
                        "thinking": st.none() | st.text(),
                        "citation": st.none() | st.integers(),
                        "stop_reason": st.text(),
                    },
                ),
                "usage": st.none() | st.dictionaries(st.just("output_tokens"), st.integers() | st.text()),
                "message": st.none() | st.just({}),
            },
        ),
        max_size=8,
    )
)
def test_whatever_comes_is_told_in_order(said):
    pieces = [event(**{"kind": one.pop("type"), **one}) for one in said]

    reply(*pieces, STOP)
