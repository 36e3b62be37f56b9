from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.base import Finding, Reading
from gateway.wire.openai_response import ResponseDocument, ResponseStream

USAGE = b'{"input_tokens":7,"output_tokens":2,"total_tokens":9}'
DONE = b'{"id":"resp_1","status":"completed","model":"m","usage":' + USAGE + b"}"


def read(reading: Reading, *pieces: bytes) -> Finding:
    assert b"".join(map(reading.feed, pieces)) + reading.end() == b"".join(pieces)
    return reading.finding()


def test_a_document_is_read_at_its_end():
    finding = read(ResponseDocument(), DONE[:20], DONE[20:])

    assert finding.complete
    assert (finding.response_id, finding.response_model, finding.finish_reason) == (
        "resp_1",
        "m",
        "completed",
    )
    assert finding.usage is not None
    assert (finding.usage.input_uncached, finding.usage.output_text) == (7, 2)
    assert finding.raw_usage == USAGE
    assert finding.usage_due == "here"


def test_the_id_of_a_document_is_known_before_its_end():
    reading = ResponseDocument()
    reading.feed(b' {"id": "resp_1", "object": "resp')

    assert reading.finding().response_id == "resp_1"
    assert not reading.finding().complete


def test_why_a_response_is_incomplete_is_its_finish_reason():
    body = b'{"id":"r","status":"incomplete","incomplete_details":{"reason":"content_filter"}}'

    assert read(ResponseDocument(), body).finish_reason == "content_filter"


def test_a_failed_response_is_an_error():
    body = b'{"id":"r","status":"failed","error":{"code":"server_error","message":"It broke."}}'

    finding = read(ResponseDocument(), body)

    assert (finding.complete, finding.error, finding.finish_reason) == (True, "It broke.", "failed")


@pytest.mark.parametrize("status", [b"queued", b"in_progress"])
def test_usage_of_a_background_response_is_told_later(status):
    reading = ResponseDocument()

    finding = read(reading, b'{"id":"r","status":"%b","background":true,"usage":null}' % status)

    assert (finding.usage, finding.usage_due) == (None, "later")
    assert not reading.tells_usage


def test_usage_of_a_kept_response_is_not_counted_again_unless_told_to():
    reading = ResponseDocument(counted=False)
    finding = read(reading, DONE)
    assert (finding.usage, finding.raw_usage, finding.usage_due) == (None, b"", "elsewhere")
    assert reading.tells_usage

    reading.counted = True

    assert reading.finding().usage is not None


@pytest.mark.parametrize(
    "said",
    [
        b'{"type":"error","code":"x","message":"It broke.","param":null,"sequence_number":3}',
        b'{"type":"error","error":{"message":"It broke."}}',
        b'{"error":{"message":"It broke."}}',
        b'{"type":"response.failed","response":{"id":"r","status":"failed","error":{"message":"It broke."}}}',
    ],
)
def test_an_error_in_a_stream_is_found_however_it_is_worded(said):
    assert read(ResponseStream(), b"data: " + said + b"\n\n").error == "It broke."


def test_half_an_event_is_held_back_until_the_rest_is_there():
    reading = ResponseStream()

    assert reading.feed(b'data: {"type":"a"}\n\ndata: {"ty') == b'data: {"type":"a"}\n\n'
    assert reading.feed(b'pe":"b"}\n') == b""
    assert reading.feed(b"\n") == b'data: {"type":"b"}\n\n'
    assert reading.feed(b"data: c") == b""
    assert reading.end() == b"data: c"


def test_an_error_without_words_is_an_error():
    assert read(ResponseStream(), b'event: error\ndata: {"type":"error"}\n\n').error == "error"


def test_text_that_looks_like_an_event_is_none():
    text = b'{\\"type\\":\\"response.completed\\",\\"response\\":{}}'
    event = b'data: {"type":"response.output_text.delta","delta":"' + text + b'"}\n\n'

    finding = read(ResponseStream(), event)

    assert not finding.complete
    assert not finding.error


def test_another_events_response_member_is_not_the_response():
    event = b'data: {"type":"x.completed","response":{"id":"no","status":"completed"}}\n\n'

    assert read(ResponseStream(), event) == Finding()


def test_a_last_event_of_many_megabytes_is_still_read():
    picture = b"A" * (9 << 20)
    event = (
        b'data: {"type":"response.completed","response":{"id":"resp_1","output":[{"result":"'
        + picture
        + b'"}],"status":"completed","usage":'
        + USAGE
        + b"}}\n\n"
    )

    finding = read(ResponseStream(), *(event[i : i + 65536] for i in range(0, len(event), 65536)))

    assert finding.complete
    assert finding.usage is not None


def test_what_the_last_event_leaves_out_is_known_from_the_first():
    first = b'data: {"type":"response.created","response":{"id":"resp_1","model":"m"}}\n\n'
    last = b'data: {"type":"response.completed","response":{"status":"completed"}}\n\n'

    finding = read(ResponseStream(), first, last)

    assert (finding.response_id, finding.response_model) == ("resp_1", "m")


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("id", "model", "status", "error", "usage", "incomplete_details", "response", "type"), json
    ),
)


@given(fields, st.sampled_from([b"\n\n", b"\r\n\r\n", b""]))
def test_no_shape_makes_a_reader_fail(said, end):
    body = msgspec.json.encode(said)
    event = msgspec.json.encode({"type": "response.completed", "response": said})

    read(ResponseDocument(), body)
    read(ResponseStream(), b"data: " + body + end, b"data: " + event + end)


@given(st.binary())
def test_no_bytes_make_a_reader_fail(body):
    read(ResponseDocument(), body)
    read(ResponseStream(), body, b'data: {"response"' + body + b"\n\n")


@pytest.mark.parametrize(
    ("tools", "searches"),
    [
        (b'{"image_gen":{"total_tokens":0},"web_search":{"num_requests":2}}', 2),
        (b'{"web_search":{"num_requests":-2}}', 0),
        (b'{"web_search":{"num_requests":"2"}}', 0),
        (b'{"web_search":null,"num_requests":1}', 0),
        (b"null", 0),
        (b"7", 0),
    ],
)
def test_searches_that_are_told_beside_the_usage_are_counted(tools, searches):
    body = DONE[:-1] + b',"service_tier":"flex","tool_usage":' + tools + b"}"
    event = b'event: response.completed\ndata: {"type":"response.completed","response":' + body + b"}\n\n"

    for finding in (read(ResponseDocument(), body), read(ResponseStream(), event)):
        assert finding.usage is not None
        assert (finding.usage.web_searches, finding.usage.input_uncached) == (searches, 7)
        assert finding.service_tier == "flex"
