from __future__ import annotations

import pytest

from gateway.wire.anthropic_answer import read_message
from gateway.wire.base import Finding
from telemetry.records import Usage

MESSAGE = (
    b'{"id":"msg_1","type":"message","model":"m-1","content":[{"type":"text","text":"\\"usage\\":{}"}],'
    b'"stop_reason":"end_turn", "usage" : {"input_tokens":3,"output_tokens":2,"service_tier":"standard"}}'
)


def test_a_message_is_read():
    assert read_message(MESSAGE, True) == Finding(
        complete=True,
        usage=Usage(input_uncached=3, output_text=2),
        raw_usage=b'{"input_tokens":3,"output_tokens":2,"service_tier":"standard"}',
        finish_reason="end_turn",
        response_model="m-1",
        response_id="msg_1",
    )
    assert not read_message(MESSAGE, False).complete


def test_a_count_of_tokens_is_no_usage():
    assert read_message(b'{"input_tokens":14}', True) == Finding(complete=True)


def test_an_error_is_told():
    said = b'{"type":"error","error":{"type":"api_error","message":"Broken"}}'

    assert read_message(said, True).error == "Broken"


@pytest.mark.parametrize("said", [b"", MESSAGE[:-1], b"[]", b"\xff", b"[" * 100_000])
def test_what_does_not_parse_is_not_complete(said):
    assert read_message(said, True) == Finding()


def test_wrong_types_are_left_out():
    said = b'{"id":5,"model":null,"stop_reason":[],"usage":"x","error":null}'

    assert read_message(said, True) == Finding(complete=True)
