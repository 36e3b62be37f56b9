from __future__ import annotations

import msgspec
import pytest

from gateway.wire.gemini_words import words
from tests.fakes import gemini as fake

EVENTS = "text/event-stream"
JSON = "application/json; charset=UTF-8"


def test_the_last_thing_the_user_said_is_shown():
    turns = [
        {"role": "user", "parts": [{"text": "first"}]},
        {"role": "model", "parts": [{"text": "answer"}]},
        {"parts": [{"text": "and"}, {"inlineData": {"data": "AA=="}}, {"text": "second"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ]

    assert words("application/json", msgspec.json.encode({"contents": turns})) == "and second"


def test_texts_to_embed_are_shown():
    one = {"content": {"parts": [{"text": "one"}]}}
    two = {"content": {"parts": [{"text": "two"}]}}

    assert words(JSON, msgspec.json.encode(one)) == "one"
    assert words(JSON, msgspec.json.encode({"requests": [one, two]})) == "one two"


def test_an_answer_is_shown_without_its_thoughts_and_counted_with_them():
    body = fake.pretty(fake.response([{"text": "Hm. ", "thought": True}, {"text": "Hello"}]))

    assert words(JSON, body) == "Hello"
    assert words(JSON, body, thoughts=True) == "Hm. Hello"


def test_a_call_of_a_function_is_shown():
    body = msgspec.json.encode(
        fake.response([{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}])
    )

    assert words(JSON, body) == 'weather({"city":"Oslo"})'


def test_streams_are_shown_as_far_as_they_came():
    said = b"".join(fake.line(event) for event in fake.events())
    array = b"".join(fake.array(fake.events()))

    assert words(EVENTS, said) == words(JSON, array) == "Hello, world!"
    assert words(EVENTS, said[: said.index(b"world")]) == "Hello, "
    assert words(JSON, array[: array.index(b"world")]) == "Hello, "


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[", b"7", b'{"contents": 7}', b"\xff", b'data: {"candidates": 7}\n\n']
)
@pytest.mark.parametrize("kind", [JSON, EVENTS])
def test_nonsense_has_no_words(kind, body):
    assert words(kind, body) == ""
