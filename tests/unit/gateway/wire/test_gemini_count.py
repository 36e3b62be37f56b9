from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.wire.gemini_count import GeminiCount

COUNT = GeminiCount()


def test_counting_is_an_operation_of_its_own():
    peek = COUNT.peek(b'{"contents": []}', model="m")

    assert (COUNT.surface, COUNT.operation) == ("gemini.count", "count_tokens")
    assert (peek.model, peek.stream) == ("m", False)
    assert COUNT.words("application/json", b'{"totalTokens": 7}') == ""


def test_a_number_is_a_whole_answer():
    reading = COUNT.reading(stream=False, strip_usage=False)
    reading.feed(b'{"totalTokens": 7, "promptTokensDetails": []}')
    reading.end()

    assert reading.finding().complete
    assert reading.finding().usage is None


def test_the_request_inside_is_renamed():
    body = b'{"generateContentRequest": {"model": "models/a"}}'

    assert (
        COUNT.rewrite(body, model="b", ask_usage=False) == b'{"generateContentRequest":{"model":"models/b"}}'
    )


def test_what_is_no_object_is_refused():
    with pytest.raises(BadRequest):
        COUNT.peek(b"[]", model="m")
