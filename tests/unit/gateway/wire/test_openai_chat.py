from __future__ import annotations

import pytest

from gateway.errors import BadRequest, UnknownModel
from gateway.wire.base import Peek, Wire
from gateway.wire.openai_chat import OpenAIChat

wire: Wire = OpenAIChat()


def test_peek_reads_what_routing_and_recording_need():
    body = (
        b'{"messages":[{"role":"user","content":"hi"}],"model":"gpt-4o","stream":true,'
        b'"stream_options":{"include_usage":true},"temperature":0.5,"max_tokens":7,"n":2,"seed":1,'
        b'"reasoning_effort":"low","service_tier":"flex","response_format":{"type":"json_schema",'
        b'"json_schema":{}},"tools":[{},{}],"unknown":[1,{"a":null}]}'
    )

    assert wire.peek(body) == Peek(
        model="gpt-4o",
        stream=True,
        wants_usage=True,
        parameters={
            "temperature": 0.5,
            "max_tokens": 7,
            "n": 2,
            "seed": 1,
            "reasoning_effort": "low",
            "service_tier": "flex",
            "response_format": "json_schema",
            "tools": 2,
        },
    )


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b'{"messages":[]}', "model", "missing_required_parameter"),
        (b'{"messages":[],"model":""}', "model", "missing_required_parameter"),
        (b'{"messages":[],"model":null}', "model", "missing_required_parameter"),
        (b'{"messages":[],"model":5}', "model", "invalid_type"),
        (b'{"model":"m"}', "messages", "missing_required_parameter"),
        (b'{"model":"m","messages":[],"stream":"yes"}', "stream", "invalid_type"),
        (b"[]", "", "invalid_json"),
        (b"7", "", "invalid_json"),
        (b'{"model":"m"', "", "invalid_json"),
        (b'{"model":"\xff"}', "", "invalid_json"),
    ],
)
def test_what_no_provider_could_understand_is_refused(body, param, code):
    with pytest.raises(BadRequest) as caught:
        wire.peek(body)

    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    "extra",
    [
        b'"temperature":"hot"',
        b'"tools":null',
        b'"tools":7',
        b'"response_format":"json"',
        b'"stream_options":7',
    ],
)
def test_a_wrong_parameter_is_the_providers_business(extra):
    peek = wire.peek(b'{"model":"m","messages":[],"stream":null,' + extra + b"}")

    assert (peek.model, peek.stream, peek.wants_usage) == ("m", False, False)


def test_usage_wanted_without_a_stream_does_not_count():
    body = b'{"model":"m","messages":[],"stream_options":{"include_usage":true}}'

    assert not wire.peek(body).wants_usage


def test_an_error_has_openais_shape():
    error = UnknownModel("no such model", param="model")

    assert wire.error(error) == (
        b'{"error":{"message":"no such model","type":"invalid_request_error","param":"model","code":"model_not_found"}}'
    )
    assert wire.broken(BadRequest("no")) == (
        b'data: {"error":{"message":"no","type":"invalid_request_error","param":null,"code":"invalid_request"}}\n\n'
    )


def test_the_reader_fits_the_answer():
    event = b'data: {"id":"1","choices":[]}\n\n'

    assert wire.reading(stream=True, strip_usage=False).feed(event) == event
    document = wire.reading(stream=False, strip_usage=False)
    document.feed(b'{"id":"1"}')
    document.end()
    assert document.finding().complete
