"""What a list shows of a recorded body."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.openai_words import words
from gateway.wire.preview import preview

CHAT = "openai.chat"
JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"

CALL = b'{"function": {"name": "add", "arguments": "{\\"a\\":1}"}}'


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (
            b'{"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}',
            "one",
        ),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]}',
            "a",
        ),
        (b'{"choices": [{"message": {"role": "assistant", "content": "yes"}}]}', "yes"),
        (b'{"choices": [{"message": {"content": null, "tool_calls": [' + CALL + b"]}}]}", 'add({"a":1})'),
        (b'{"model": "e", "input": ["high", "low"]}', "high low"),
        (b'{"model": "e", "input": "tide"}', "tide"),
        (b'{"model": "e", "input": [[1, 2]]}', '{"model": "e", "input": [[1, 2]]}'),
        (b"not json", "not json"),
    ],
)
def test_a_document_shows_its_words(body: bytes, shown: str) -> None:
    assert preview(CHAT, JSON, body) == shown


def test_a_stream_shows_the_text_it_carried() -> None:
    events = [b'{"choices": [{"delta": {"role": "assistant", "content": ""}}]}']
    events += [b'{"choices": [{"delta": {"content": "%d "}}]}' % number for number in range(3)]
    events += [b'{"choices": []}', b"[DONE]"]

    assert preview(CHAT, SSE, b"".join(b"data: " + event + b"\n\n" for event in events)) == "0 1 2 "


def test_a_preview_is_short_however_long_the_body() -> None:
    body = b'{"messages": [{"role": "user", "content": "' + b"x" * 100_000 + b'"}]}'

    assert preview(CHAT, JSON, body) == "x" * 300


@given(st.binary(max_size=200), st.sampled_from([JSON, SSE, ""]))
def test_no_body_is_too_odd_to_be_shown(body: bytes, content_type: str) -> None:
    assert len(preview(CHAT, content_type, body)) <= 300


def test_a_stream_that_was_cut_off_has_the_words_that_came() -> None:
    event = b'data: {"choices": [{"delta": {"content": "high "}}]}\n\n'

    assert words(SSE, event * 3 + event[:30]) == "high high high "
