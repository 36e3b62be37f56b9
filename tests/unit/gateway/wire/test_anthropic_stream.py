from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.anthropic_stream import StreamReading
from gateway.wire.base import Finding
from telemetry.records import Usage

START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"m-1",'
    b'"stop_reason":null,"usage":{"input_tokens":12,"output_tokens":1}}}\n\n'
)
BLOCK = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
WORD = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"error: \\"type\\":\\"message_stop\\""}}\n\n'
)
HELD = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":1,"content_block":'
    b'{"type":"tool_result","content":{"type":"error","error":"x"},"nested":{"type":"message_stop"}}}\n\n'
)
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
LAST = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"tool_use"},'
    b'"usage":{"output_tokens":5}}\n\n'
)
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
STREAM = START + BLOCK + PING + WORD * 3 + HELD + LAST + STOP
FOUND = Finding(
    complete=True,
    usage=Usage(input_uncached=12, output_text=5),
    raw_usage=b'{"input_tokens":12,"output_tokens":5}',
    finish_reason="tool_use",
    response_model="m-1",
    response_id="msg_1",
)


def read(chunks: list[bytes]) -> Finding:
    reading = StreamReading()
    assert b"".join(reading.feed(chunk) for chunk in chunks) + reading.end() == b"".join(chunks)
    return reading.finding()


@given(
    st.lists(st.sampled_from([START, BLOCK, WORD, HELD, PING, LAST, STOP, b": x\n\n"]), max_size=12),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.data(),
)
def test_any_stream_in_any_pieces_reads_the_same(events, line_end, data):
    stream = b"".join(events).replace(b"\n", line_end)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    finding = read(pieces)

    assert finding == read(events)
    assert finding.complete is (STOP in events)
    assert finding.finish_reason == ("tool_use" if LAST in events else "")
    assert not finding.error


def test_the_four_events_that_count_are_read():
    assert read([STREAM]) == FOUND


def test_counts_are_totals_that_are_never_summed():
    assert read([START, LAST, LAST, STOP]) == FOUND


def test_a_last_usage_that_repeats_the_input_replaces_it():
    last = LAST.replace(b'{"output_tokens":5}', b'{"input_tokens":20,"output_tokens":5}')

    assert read([START, last, STOP]).usage == Usage(input_uncached=20, output_text=5)


def test_output_that_was_never_counted_is_said_to_be_so():
    assert read([START, WORD]).output_uncounted
    assert not read([WORD]).output_uncounted
    assert not read([START, LAST]).output_uncounted


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Full"}}\n\n',
            "Full",
        ),
        (b'data: {"type":"error","error":{"type":"overloaded_error"}}\n\n', "overloaded_error"),
        (b'data: {"error":{"message":"Full"}}\n\n', "Full"),
        (b"event: error\ndata: oh no\n\n", "error"),
        (b"event: error\ndata: {}\n\n", "error"),
        (b'event:error\r\ndata:{"type":"error","error":"Full"}\r\n\r\n', "Full"),
    ],
)
@pytest.mark.parametrize("before", [b"", START + WORD], ids=["first", "later"])
def test_an_error_after_the_200_is_told(before, event, said):
    assert read([before + event]).error == said


@pytest.mark.parametrize(
    ("events", "began"),
    [
        ([START, BLOCK, PING], False),
        ([START, BLOCK, WORD], True),
        ([b'data: {"type":"content_block_stop","index":0}\n\n'], True),
        ([START, LAST], False),
    ],
)
def test_content_has_begun_with_the_first_delta(events, began):
    reading = StreamReading()

    reading.feed(b"".join(events))

    assert reading.began is began


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"type":"message_start","message":5}\n\n',
        b'data: {"type":"message_start","message":{"usage":[]}}\n\n',
        b'data: {"type":"message_start","message":null}\n\n',
        b'data: {"type":"message_start"}\n\n',
        b'data: {"type":"message_delta","delta":"x","usage":null}\n\n',
        b'data: {"type":"message_delta","delta":{"stop_reason":5}}\n\n',
        b'data: {"type":"message_unheard_of"}\n\n',
        b"event: message_stop\n\n",
        b"data: [message_stop\n\n",
    ],
)
def test_an_odd_event_changes_nothing(event):
    assert read([event, STREAM]) == FOUND
    assert read([START, LAST, event, STOP]) == FOUND


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"message_stop", b"error", b"\n\n", b"data: {"])))
def test_no_bytes_are_too_odd(chunks):
    read(chunks)


def test_only_events_that_may_say_something_are_decoded(monkeypatch):
    noted: list[bytes] = []
    note = StreamReading._note

    def noting(self: StreamReading, event: bytes) -> None:
        noted.append(event)
        note(self, event)

    monkeypatch.setattr(StreamReading, "_note", noting)
    plain = WORD.replace(b"error", b"words").replace(b"message_stop", b"")

    read([START + BLOCK + plain * 50 + LAST + STOP])

    assert [event + b"\n\n" for event in noted] == [START, LAST, STOP]


def test_line_ends_may_be_mixed():
    last = LAST.replace(b"}}\n\n", b"}}\rid: 5\n\n")

    assert last != LAST
    assert read([START, last, STOP]) == FOUND
