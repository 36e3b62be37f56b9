"""What Anthropic sends, byte for byte, and what is to be read in it."""

from __future__ import annotations

import pytest

from gateway.wire.anthropic_messages import AnthropicMessages
from telemetry.records import Usage

WIRE = AnthropicMessages()

TEXT = b"""event: message_start
data: {"type":"message_start","message":{"model":"claude-opus-4-6","id":"msg_01","type":"message","role":"assistant",\
"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":34,"cache_creation_input_tokens":300,\
"cache_read_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},\
"output_tokens":1,"service_tier":"standard","inference_geo":"global"}}   }

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}         }

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"an error: message_stop"}        }

event: content_block_stop
data: {"type":"content_block_stop","index":0         }

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":36,\
"cache_creation_input_tokens":300,"cache_read_input_tokens":5,"output_tokens":92,\
"output_tokens_details":{"thinking_tokens":53}}}

event: message_stop
data: {"type":"message_stop"      }

"""
EARLY = TEXT[: TEXT.index(b"event: message_delta")]
ERROR = b"""event: error
data: {"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"}}

"""
DOCUMENT = b"""{"model":"claude-opus-4-6","id":"msg_02","type":"message","role":"assistant","content":[{"type":"text",\
"text":"Hi"}],"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":19,"output_tokens":22}}"""


def variants(stream: bytes) -> list[bytes]:
    """The same events with other line ends, spaced JSON, comments, no event names, no last blank line."""
    names = (b"start", b"delta", b"stop")
    unnamed = stream
    for name in names:
        unnamed = unnamed.replace(b"event: message_" + name + b"\n", b"")
        unnamed = unnamed.replace(b"event: content_block_" + name + b"\n", b"")
    untyped = stream
    for name in names:
        untyped = untyped.replace(b'{"type":"message_' + name + b'"', b'{"x":1')
    return [
        stream,
        stream.replace(b"\n", b"\r\n"),
        stream.replace(b"\n", b"\r"),
        stream.replace(b'":', b'" : ').replace(b"data: ", b"data:   "),
        stream.replace(b"event: ping\n", b": comment\n\nevent:ping\nid: 4\n"),
        unnamed,
        untyped,
        stream.rstrip(b"\n"),
    ]


@pytest.mark.parametrize(
    "stream",
    variants(TEXT),
    ids=["lf", "crlf", "cr", "spaced", "comments", "unnamed", "untyped", "open"],
)
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_stream_is_read_right_and_passes_unchanged(stream, size):
    reading = WIRE.reading(stream=True, strip_usage=True)
    passed = b"".join(reading.feed(stream[i : i + size]) for i in range(0, len(stream), size)) + reading.end()
    finding = reading.finding()

    assert passed == stream
    assert finding.complete
    assert finding.usage == Usage(
        input_uncached=36,
        cache_read=5,
        cache_write_5m=100,
        cache_write_1h=200,
        output_text=39,
        output_reasoning=53,
    )
    assert not finding.output_uncounted
    assert (finding.finish_reason, finding.error) == ("end_turn", "")
    assert (finding.response_model, finding.response_id) == ("claude-opus-4-6", "msg_01")
    assert b'"service_tier"' in finding.raw_usage
    assert b'"thinking_tokens"' in finding.raw_usage
    assert reading.began


def test_a_stream_that_ends_early_is_incomplete_and_its_output_not_counted():
    reading = WIRE.reading(stream=True, strip_usage=False)

    reading.feed(EARLY)
    reading.end()

    finding = reading.finding()
    assert not finding.complete
    assert finding.output_uncounted
    assert finding.usage is not None
    assert (finding.usage.input_total, finding.usage.output_total) == (339, 1)


@pytest.mark.parametrize("before", [b"", EARLY], ids=["first", "later"])
def test_an_error_in_a_stream_is_told(before):
    reading = WIRE.reading(stream=True, strip_usage=False)

    assert reading.feed(before + ERROR) == before + ERROR
    assert reading.finding().error == "Overloaded"
    assert not reading.finding().complete


def test_a_document_is_read_right():
    reading = WIRE.reading(stream=False, strip_usage=False)

    assert reading.feed(DOCUMENT[:40]) + reading.feed(DOCUMENT[40:]) + reading.end() == DOCUMENT

    finding = reading.finding()
    assert finding.complete
    assert finding.usage == Usage(input_uncached=19, output_text=22)
    assert finding.raw_usage == b'{"input_tokens":19,"output_tokens":22}'
    assert (finding.finish_reason, finding.response_id) == ("max_tokens", "msg_02")
    assert finding.response_model == "claude-opus-4-6"


def test_a_renamed_request_keeps_every_other_value():
    body = (
        b'{"model": "a", "max_tokens": 1e2, "messages": [{"role":"user", "content": "\\u00e9 \xc3\xa9"}], '
        b'"metadata":{"user_id":"u"}, "unheard_of": {"b":1, "a":[1.0,2]}}'
    )

    renamed = WIRE.rewrite(body, model="b", ask_usage=True)

    assert renamed == (
        b'{"model":"b","max_tokens":1e2,"messages":[{"role":"user", "content": "\\u00e9 \xc3\xa9"}],'
        b'"metadata":{"user_id":"u"},"unheard_of":{"b":1, "a":[1.0,2]}}'
    )
    assert WIRE.rewrite(body, model="a", ask_usage=True) == body
