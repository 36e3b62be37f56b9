from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.anthropic_words import words

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"}]}', "one"),
        (
            b'{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{}},'
            b'{"type":"tool_result","tool_use_id":"t","content":"b"},'
            b'{"type":"tool_result","content":[{"type":"text","text":"c"},{"type":"image"}]}]}]}',
            "a b c",
        ),
        (b'{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"yes"}]}', "yes"),
        (b'{"content":[{"type":"tool_use","id":"t","name":"add","input":{"a": 1}}]}', 'add({"a": 1})'),
        (b'{"messages":[{"role":"user","content":null}]}', ""),
        (b'{"input_tokens":14}', ""),
        (b"not json", ""),
    ],
)
def test_a_document_has_its_words(body: bytes, said: str) -> None:
    assert words(JSON, body) == said


def delta(kind: str, name: str, said: str) -> bytes:
    return (
        f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":0,'
        f'"delta":{{"type":"{kind}","{name}":"{said}"}}}}\n\n'
    ).encode()


STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"content":[]}}\n\n'
    + delta("thinking_delta", "thinking", "hm, ")
    + delta("signature_delta", "signature", "xyz")
    + delta("text_delta", "text", "Let me see. ")
    + b'data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"add","input":{}}}\n\n'
    + delta("input_json_delta", "partial_json", "")
    + delta("input_json_delta", "partial_json", "[1]")
)


def test_a_stream_has_the_words_it_carried() -> None:
    assert words(SSE, STREAM) == "Let me see. add[1]"
    assert words(SSE, STREAM, thoughts=True) == "hm, Let me see. add[1]"


def test_a_stream_that_was_cut_off_has_the_words_that_came() -> None:
    assert words(SSE, STREAM[: STREAM.index(b'"Let me') + 60]) == "Let me see. "
    assert words(SSE, STREAM[:-20]) == "Let me see. add"


@given(st.binary(max_size=200), st.sampled_from([JSON, SSE, ""]))
def test_no_body_is_too_odd(body: bytes, content_type: str) -> None:
    words(content_type, body)
