from __future__ import annotations

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.wire.anthropic_count import AnthropicCount
from gateway.wire.base import Finding, Wire

wire: Wire = AnthropicCount()
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"x": 1}'


def test_a_request_names_its_model():
    assert wire.peek(BODY).model == "m"
    assert not wire.peek(BODY).stream
    assert wire.conversation(BODY) is None
    with pytest.raises(BadRequest):
        wire.peek(b"{}")


def test_a_renamed_request_keeps_the_rest():
    sent = wire.rewrite(BODY, model="n", ask_usage=True)

    assert msgspec.json.decode(sent) == msgspec.json.decode(BODY) | {"model": "n"}


def test_the_count_is_no_usage_and_says_nothing():
    reading = wire.reading(stream=False, strip_usage=False)

    assert reading.feed(b'{"input_tokens":14}') + reading.end() == b'{"input_tokens":14}'
    assert reading.finding() == Finding(complete=True)
    assert wire.words("application/json", b'{"input_tokens":14}') == ""


def test_errors_are_anthropics():
    assert msgspec.json.decode(wire.error(BadRequest("no")))["error"]["type"] == "invalid_request_error"
    assert wire.broken(BadRequest("no")).startswith(b"event: error\n")
