from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translation.bedrock.format import BedrockFormat
from gateway.translation.bedrock.stream_in import BedrockStreamReader
from gateway.translation.conversation import Text, Thinking, ToolCall
from gateway.translation.events import Ended, Event, Failed, Started, TextPiece
from telemetry.records import Usage
from tests.fakes.clouds import USAGE, converse_stream, event, frame
from tests.fakes.event_streams import cut_off, reply_of, told, ways


def delta(index: int, **said: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=said, p="abc")


def call(index: int, name: str, **more: str) -> bytes:
    start = {"toolUse": {"toolUseId": f"t{index}", "name": name, **more}}
    return event("contentBlockStart", contentBlockIndex=index, start=start)


END = event("messageStop", stopReason="end_turn") + event("metadata", usage=USAGE, metrics={"latencyMs": 1})
BEGIN = event("messageStart", role="assistant")
FULL = b"".join(
    (
        BEGIN,
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"signature": "si"}),
        delta(0, reasoningContent={"signature": "g"}),
        event("contentBlockStop", contentBlockIndex=0),
        delta(1, reasoningContent={"redactedContent": "c2VjcmV0"}),
        event("contentBlockStop", contentBlockIndex=1),
        delta(2, citation={"title": "policy", "location": {"documentChar": {"documentIndex": 0}}}),
        delta(2, text="20 "),
        delta(2, text="days"),
        event("contentBlockStop", contentBlockIndex=2),
        call(3, "weather"),
        delta(3, toolUse={"input": ""}),
        delta(3, toolUse={"input": '{"at":'}),
        delta(3, toolUse={"input": '"sea"}'}),
        event("contentBlockStop", contentBlockIndex=3),
        call(4, "nova_grounding", type="server_tool_use"),
        delta(4, toolUse={"input": "{}"}),
        call(5, "time"),
        event("contentBlockStop", contentBlockIndex=5),
        event("messageStop", stopReason="tool_use"),
        event("metadata", usage=USAGE, metrics={"latencyMs": 1}),
    )
)


def events(*chunks: bytes) -> list[Event]:
    return told(BedrockFormat().stream_reader(), chunks)


def test_a_stream_tells_the_same_however_its_bytes_arrive():
    whole, single, pieces = (reply_of(events(*way)) for way in ways(FULL))

    assert whole == single == pieces
    thought, hidden, text, weather, time = whole.parts
    assert thought == Thinking(text="hmm", signature="sig", origin="anthropic")
    assert hidden == Thinking(signature="c2VjcmV0", hidden=True, origin="bedrock")
    assert isinstance(text, Text)
    assert text.text == "20 days"
    assert [one.title for one in text.citations] == ["policy"]
    assert weather == ToolCall(id="t3", name="weather", arguments='{"at":"sea"}')
    assert time == ToolCall(id="t5", name="time")
    assert whole.stop == "tool_calls"
    assert whole.usage == Usage(input_uncached=9, output_text=3)


def test_a_stream_that_is_cut_off_never_ends():
    for part in cut_off(FULL):
        assert not any(isinstance(one, Ended) for one in events(part))


@pytest.mark.parametrize(
    ("broken", "code", "message"),
    [
        (frame("throttlingException", b'{"message":"slow down"}', kind="exception"), "ThrottlingException", "slow down"),
        (frame("modelStreamErrorException", b"{}", kind="exception"), "ModelStreamErrorException", "ModelStreamErrorException"),
        (frame("InternalFailure", b"oh", kind="error"), "InternalFailure", "oh"),
        (b"HTTP/1.1 500 this is no event stream", "damaged_stream", ""),
    ],
)  # fmt: skip
def test_an_error_ends_it(broken, code, message):
    found = events(BEGIN, broken, END)

    last = found[-1]
    assert isinstance(last, Failed)
    assert last.code == code
    assert last.message.startswith(message)
    assert [type(one) for one in found] == [Started, Failed]


def test_what_is_new_or_nonsense_is_passed_over():
    found = events(
        BEGIN,
        event("somethingNew", contentBlockIndex=0),
        frame("contentBlockDelta", b"not json"),
        frame("contentBlockDelta", b'{"delta":null}'),
        delta(0, somethingNew={"a": 1}),
        delta(0, citation=None, text="Hi"),
        END,
    )

    assert reply_of(found).parts == (Text("Hi"),)
    assert found.count(TextPiece("Hi")) == 1


def test_an_answer_of_nothing_but_a_citation_says_nothing():
    assert reply_of(events(BEGIN, delta(0, citation={"title": "x"}), END)).parts == ()


@given(st.binary(max_size=200), st.integers(0, len(FULL)))
def test_no_bytes_make_it_raise(noise, place):
    reader = BedrockStreamReader()

    reader.feed(FULL[:place])
    reader.feed(noise)
    assert reader.feed(FULL[place:]) is not None
    assert reader.end() == []


def test_the_sequence_that_was_met_is_told():
    stop = event(
        "messageStop", stopReason="stop_sequence", additionalModelResponseFields={"stop_sequence": "|"}
    )

    found = reply_of(events(BEGIN, delta(0, text="x"), stop, event("metadata", usage=USAGE)))

    assert (found.stop, found.stop_sequence) == ("stop_sequence", "|")


def test_the_stream_of_the_fake_is_one():
    body = converse_stream().body
    assert isinstance(body, tuple)

    found = reply_of(events(*(piece for piece in body if isinstance(piece, bytes))))

    assert found.parts == (Text("Hello!"),)


def test_it_takes_a_reason_and_usage_to_end_in_either_order():
    stop, count = event("messageStop", stopReason="end_turn"), event("metadata", usage=USAGE)

    assert not any(isinstance(one, Ended) for one in events(BEGIN, count))
    assert not any(isinstance(one, Ended) for one in events(BEGIN, stop, stop))
    assert isinstance(events(BEGIN, count, delta(0, text="x"), stop)[-1], Ended)
