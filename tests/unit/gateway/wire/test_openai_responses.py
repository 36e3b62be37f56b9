from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.claims import Claims
from gateway.errors import BadRequest, UpstreamTimeout
from gateway.wire.base import Peek, Wire
from gateway.wire.openai_responses import KeptResponse, OpenAIResponses

wire: Wire = OpenAIResponses()


def test_peek_reads_what_routing_and_recording_need():
    body = (
        b'{"input":[{"role":"user","content":"hi"}],"model":"gpt-5","stream":true,"temperature":0.5,'
        b'"max_output_tokens":7,"service_tier":"flex","reasoning":{"effort":"low","summary":"auto"},'
        b'"text":{"format":{"type":"json_schema","schema":{}},"verbosity":"low"},"tools":[{},{}],'
        b'"previous_response_id":"resp_1","unknown":[1,{"a":null}],"store":true}'
    )

    assert wire.peek(body) == Peek(
        model="gpt-5",
        stream=True,
        wants_usage=True,
        parameters={
            "temperature": 0.5,
            "max_output_tokens": 7,
            "service_tier": "flex",
            "store": True,
            "reasoning_effort": "low",
            "response_format": "json_schema",
            "verbosity": "low",
            "tools": 2,
        },
        keep=True,
        previous="resp_1",
    )


@pytest.mark.parametrize(
    ("said", "keep"),
    [(b"", True), (b',"store":null', True), (b',"store":true', True), (b',"store":false', False)],
)
def test_a_response_is_kept_unless_the_request_says_no(said, keep):
    assert wire.peek(b'{"model":"m"' + said + b"}").keep is keep


def test_peek_reads_whom_the_request_is_for_and_what_no_provider_is_to_see():
    peek = wire.peek(b'{"model":"m","user":"ada","customer_identifier":"grace","metadata":{"k":"v"}}')

    assert isinstance(peek.claims, Claims)
    assert peek.claims.ids["user_id"] == "ada"
    assert peek.control == ("customer_identifier",)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b'{"input":"x"}', "model", "missing_required_parameter"),
        (b'{"model":7}', "model", "invalid_type"),
        (b'{"model":"m","stream":"yes"}', "stream", "invalid_type"),
        (b"[]", "", "invalid_json"),
        (b"{", "", "invalid_json"),
    ],
)
def test_what_no_provider_could_understand_is_refused(body, param, code):
    with pytest.raises(BadRequest) as refused:
        wire.peek(body)

    assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize(
    "name", ["reasoning", "text", "tools", "store", "previous_response_id", "background"]
)
@pytest.mark.parametrize("value", [b"null", b"7", b'"x"', b"[]", b"{}"])
def test_an_odd_value_is_left_to_the_provider(name, value):
    assert wire.peek(b'{"model":"m","%b":%b}' % (name.encode(), value)).model == "m"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values), st.booleans())
def test_another_model_changes_nothing_else(said, ask_usage):
    body = msgspec.json.encode({**said, "model": "m", "stream": True})

    after = wire.rewrite(body, model="another", ask_usage=ask_usage)

    assert msgspec.json.decode(after) == {**msgspec.json.decode(body), "model": "another"}
    assert wire.rewrite(body, model="m", ask_usage=ask_usage) is body


@given(st.binary() | st.dictionaries(st.text(), values).map(msgspec.json.encode))
def test_a_body_is_read_or_refused(body):
    with contextlib.suppress(BadRequest):
        wire.peek(body)


def test_what_asks_no_model_has_no_place_for_memories():
    assert KeptResponse("retrieve", "GET").conversation(b"") is None


def test_an_error_in_a_stream_is_typed_and_raises_in_openais_client():
    said = wire.broken(UpstreamTimeout("too\nslow"))

    assert said.startswith(b"event: error\ndata: {")
    assert said.endswith(b"}\n\n")
    assert msgspec.json.decode(said[len(b"event: error\ndata: ") :]) == {
        "type": "error",
        "code": "upstream_timeout",
        "message": "too\nslow",
        "param": None,
        "error": {
            "message": "too\nslow",
            "type": "server_error",
            "param": None,
            "code": "upstream_timeout",
        },
    }


def test_what_is_asked_of_a_kept_response_stands_in_its_path():
    kept: Wire = KeptResponse("cancel", "POST", "/cancel")

    assert kept.peek(b"", model="resp_1") == Peek(model="", previous="resp_1")
    assert kept.rewrite(b"{}", model="m", ask_usage=True) == b"{}"
    assert (kept.surface, kept.operation) == ("openai.responses", "responses.cancel")
    for stream in (False, True):
        assert kept.reading(stream=stream, strip_usage=False).finding().usage_due == "elsewhere"
