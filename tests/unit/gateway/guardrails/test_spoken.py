"""The words of bodies: found wherever they stand, changed without touching anything else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.guardrails.spoken import answered, asked, changed, without_shadows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def said(body: bytes) -> list[str]:
    return [piece.text for piece in asked(body)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"model":"m","messages":[{"role":"user","content":"hi"}],"user":"ada"}', ["hi"]),
        (b'{"messages":[{"content":[{"type":"text","text":"a\\n\\u00e9"}]}]}', ["a\n\u00e9"]),
        (b'{"input":"one"}', ["one"]),
        (b'{"input":[{"type":"function_call_output","call_id":"c","output":"done"}]}', ["done"]),
        (b'{"prompt":["a","b"]}', ["a", "b"]),
        (b'{"system":[{"text":"s"}],"messages":[]}', ["s"]),
        (
            b'{"messages":[{"content":[{"type":"tool_use","id":"t","name":"f","input":{"name":"Bob"}}]}]}',
            ["Bob"],
        ),
        (
            b'{"contents":[{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"id":"7"}}}]}]}',
            ["7"],
        ),
        (b'{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,AAAA"}}]}]}', []),
        (b'{"messages":[{"content":[{"source":{"type":"base64","data":"AAAA"}}]}]}', []),
        (b'{"messages":[],"messages":[{"content":"twice"}]}', ["twice"]),
    ],
)
def test_every_api_says_its_words_where_it_does(body: bytes, words: list[str]) -> None:
    assert said(body) == words


def test_a_string_that_is_no_text_is_refused_and_not_overlooked() -> None:
    with pytest.raises(BadRequest):
        asked(b'{"messages":[{"content":"\xff"}]}')


def test_an_answer_says_words_calls_and_refusals_and_not_its_ids() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a":"b"}'}}
    message = {"role": "assistant", "content": "hi", "refusal": "no", "tool_calls": [call]}
    body = msgspec.json.encode({"id": "x", "model": "m", "choices": [{"index": 0, "message": message}]})
    assert [piece.text for piece in answered(body)] == ["hi", "no", '{"a":"b"}']


def test_what_is_no_json_says_nothing() -> None:
    assert answered(b"<html>") == []


@given(JSON, JSON)
def test_changing_words_changes_nothing_else(content: object, other: object) -> None:
    body = msgspec.json.format(msgspec.json.encode({"messages": content, "other": other}), indent=1)
    pieces = asked(body)
    assert changed(body, {}) == body
    assert changed(body, {piece: piece.text for piece in pieces if piece.text.isascii()}).count(
        b"\n"
    ) == body.count(b"\n")
    after = changed(body, dict.fromkeys(pieces, "X"))
    assert [piece.text for piece in asked(after)] == ["X"] * len(pieces)
    outside = body[: pieces[0].start] if pieces else body
    assert after.startswith(outside)
    assert msgspec.json.decode(after)["other"] == other


def test_tokens_that_repeat_the_words_go_when_the_words_change() -> None:
    body = b'{"choices":[{"logprobs":{"content":[{"token":"ada"}]}}]}'
    assert without_shadows(body) == b'{"choices":[{"logprobs":null}]}'
    assert without_shadows(b'{"a": 1}') == b'{"a": 1}'
