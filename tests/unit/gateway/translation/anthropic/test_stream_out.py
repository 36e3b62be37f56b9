"""Streams for clients: blocks one after another, whatever order things are told in."""

from gateway.translation.anthropic.stream_in import AnthropicStreamReader
from gateway.translation.anthropic.stream_out import AnthropicStreamWriter
from gateway.translation.conversation import Citation, Reply, ToolCall
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Ended,
    Event,
    Failed,
    Likely,
    MediaPiece,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from telemetry.records import Usage
from tests.fakes.anthropic_conversations import answering, sdk_message
from tests.fakes.event_streams import events_of, reply_of, told


def written(*events: Event) -> bytes:
    return AnthropicStreamWriter(answering()).write(events)


def test_every_byte_of_the_shortest_stream():
    stream = written(Started("msg_1", "claude"), TextPiece("Hi"), Stopped("length"), Ended())

    assert stream.decode().split("\n\n") == [
        'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
        '"role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,'
        '"usage":{"input_tokens":0,"output_tokens":0}}}',
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        '"content_block":{"type":"text","text":""}}',
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        '"delta":{"type":"text_delta","text":"Hi"}}',
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}',
        'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"max_tokens",'
        '"stop_sequence":null},"usage":{"input_tokens":0,"output_tokens":0}}',
        'event: message_stop\ndata: {"type":"message_stop"}',
        "",
    ]


def test_the_first_of_two_calls_goes_on_while_the_second_waits():
    writer = AnthropicStreamWriter(answering())
    writer.write([Started("m", "x"), CallStarted(0, "a", "f"), CallPiece(0, '{"x"')])

    assert writer.write([CallStarted(1, "b", "g"), CallPiece(1, '{"y":')]) == b""
    assert b'":1}' in writer.write([CallPiece(0, ":1}")])
    assert b'"index":1' in writer.write([CallPiece(1, "2}")])


def test_a_whole_call_does_not_keep_the_next_one_waiting():
    writer = AnthropicStreamWriter(answering())
    writer.write([Started("m", "x"), CallStarted(0, "a", "f"), CallPiece(0, '{"x":1}')])

    assert b'"name":"g"' in writer.write([CallStarted(1, "b", "g")])
    assert b'{\\"y\\"' in writer.write([CallPiece(1, '{"y"')])


def test_three_calls_in_turns_are_three_blocks():
    calls = tuple(ToolCall(id=f"c{n}", name="f", arguments=f'{{"n":[{n},{n}]}}') for n in range(3))
    reply = Reply(id="m", model="x", parts=calls, stop="tool_calls", usage=Usage(output_text=3))

    stream = written(*events_of(reply, size=2, interleaved=True))

    assert [block.input for block in sdk_message(stream).content if block.type == "tool_use"] == [
        {"n": [n, n]} for n in range(3)
    ]


def test_calls_without_an_id_get_one_and_a_reason_to_stop():
    stream = written(Started(), CallStarted(0, "", "f"), CallStarted(1, "", "f"), Stopped("end"), Ended())

    message = sdk_message(stream)
    assert [block.id for block in message.content if block.type == "tool_use"] == [
        "toolu_0197cafe_0",
        "toolu_0197cafe_1",
    ]
    assert (message.stop_reason, message.id, message.model) == ("tool_use", "msg_0197cafe", "gpt-5")


def test_text_after_calls_closes_them_all():
    stream = written(
        Started("m", "x"), CallStarted(0, "a", "f"), CallStarted(1, "b", "g"), TextPiece("so"), Ended()
    )

    assert [block.type for block in sdk_message(stream).content] == ["tool_use", "tool_use", "text"]


def test_words_after_a_citation_are_a_block_of_their_own():
    cited = Citation(url="https://x", title="X", quote="q")

    stream = written(
        Started("m", "x"),
        TextPiece("It is"),
        Cited(cited),
        Cited(cited),
        TextPiece(" so"),
        Cited(Citation()),
        Ended(),
    )

    first, second = sdk_message(stream).content
    assert first.type == "text"
    assert [each.url for each in first.citations or () if each.type == "web_search_result_location"] == [
        "https://x",
        "https://x",
    ]
    assert second.type == "text"
    assert (second.text, second.citations) == (" so", None)


def test_thoughts_end_with_their_signature_and_foreign_ones_are_marked():
    stream = written(
        Started("m", "x"),
        ThinkingPiece("a"),
        ThinkingSigned("s1", "openai"),
        ThinkingPiece("b"),
        ThinkingSigned("", "openai", id="rs_1"),
        ThinkingSigned("", "openai", id="rs_2"),
        ThinkingSigned("s2", "anthropic"),
        ThinkingSigned("s3", "openai", hidden=True),
        Ended(),
    )

    said = [block.model_dump() for block in sdk_message(stream).content]
    assert [each.get("signature", each.get("data")) for each in said] == [
        "tg:openai:s1",
        "",
        "s2",
        "tg:openai:s3",
    ]


def test_a_refusal_is_text_with_its_reason():
    message = sdk_message(written(Started("m", "x"), RefusalPiece("No."), Stopped("end"), Ended()))

    assert (message.content[0].model_dump()["text"], message.stop_reason) == ("No.", "refusal")


def test_what_has_no_place_and_a_failure_write_nothing():
    writer = AnthropicStreamWriter(answering())
    writer.write([Started("m", "x")])

    assert writer.write([Likely(()), MediaPiece("image/png", "YQ=="), Failed("gone")]) == b""


def test_a_call_that_nobody_began_is_passed_over():
    stream = written(Started("m", "x"), CallPiece(3, "{}"), TextPiece("x"), Ended())

    assert (
        reply_of(told(AnthropicStreamReader(), [stream])).parts[0]
        == reply_of([Started(), TextPiece("x"), Ended()]).parts[0]
    )
