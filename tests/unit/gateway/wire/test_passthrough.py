from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.base import Wire
from gateway.wire.passthrough import PassThrough, wire_of
from gateway.wire.passthrough_paths import find

WIRE: Wire = PassThrough("openai", "images.generations", "untold")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def wire(method: str, path: str) -> Wire:
    place = find(method, path, anthropic=False, gemini=False)
    assert place is not None
    return wire_of(place)


def test_of_a_body_the_model_the_claims_and_small_settings_are_read():
    body = {
        "model": "gpt-image-1", "prompt": "tide", "n": 2, "size": "1024x1024", "stream": True,
        "user": "ann", "customer_identifier": "bob", "previous_response_id": "resp_1",
    }  # fmt: skip

    peek = WIRE.peek(msgspec.json.encode(body))

    assert (peek.model, peek.stream, peek.wants_usage, peek.previous) == ("gpt-image-1", True, True, "resp_1")
    assert peek.parameters == {"n": 2, "size": "1024x1024"}
    assert peek.claims is not None
    assert peek.claims.ids["user_id"] == "ann"
    assert peek.control == ("customer_identifier",)


@pytest.mark.parametrize("body", [b"", b"[1, 2]", b'"text"', b" null "])
def test_what_is_no_object_is_not_looked_into(body):
    assert WIRE.peek(body, model="named").model == "named"
    assert WIRE.rewrite(body, model="m", ask_usage=False, drop=("a",)) == body


@pytest.mark.parametrize("body", [b"{", b"nonsense", b"\xff", b'{"a": 1}}'])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(BadRequest) as caught:
        WIRE.peek(body)
    assert caught.value.code == "invalid_json"


def test_only_the_model_and_a_gateways_fields_are_changed():
    body = b'{"model" : "openai/a", "x": {"y" : 1.0}, "customer_identifier": "u"}'

    sent = WIRE.rewrite(body, model="a", ask_usage=False, drop=("customer_identifier",))

    assert sent == b'{"model":"a","x":{"y" : 1.0}}'
    assert WIRE.rewrite(body, model="openai/a", ask_usage=False) is body
    assert WIRE.rewrite(b'{"x": 1}', model="a", ask_usage=False) == b'{"x": 1}'
    assert WIRE.rewrite(b'{"model": null}', model="a", ask_usage=False) == b'{"model": null}'


@given(st.dictionaries(st.text(), JSON), st.text(min_size=1), st.text(min_size=1))
def test_renaming_the_model_changes_nothing_else(rest, old, new):
    body = {**rest, "model": old}

    sent = WIRE.rewrite(msgspec.json.encode(body), model=new, ask_usage=False)

    assert msgspec.json.decode(sent) == msgspec.json.decode(msgspec.json.encode({**body, "model": new}))


@given(st.binary(max_size=64) | JSON.map(msgspec.json.encode))
def test_no_body_raises_anything_but_our_errors(body):
    try:
        WIRE.peek(body)
        WIRE.rewrite(body, model="m", ask_usage=False, drop=("a",))
    except BadRequest:
        pass


@given(st.binary(max_size=200), st.booleans())
def test_answers_pass_as_they_are_whatever_they_hold(answer, stream):
    reading = WIRE.reading(stream=stream, strip_usage=False)

    assert reading.feed(answer) + reading.end() == answer
    assert reading.finding().complete


@pytest.mark.parametrize(
    ("method", "path", "due"),
    [
        ("GET", "/v1/files", "elsewhere"),
        ("DELETE", "/v1/files/f", "elsewhere"),
        ("GET", "/v1/unheard-of", "untold"),
        ("POST", "/v1/files", "untold"),
        ("POST", "/v1/batches", "batch"),
        ("POST", "/v1/batches/b/cancel", "untold"),
        ("POST", "/v1/messages/batches", "batch"),
        ("POST", "/v1beta/models/m:batchGenerateContent", "batch"),
        ("POST", "/v1beta/models/m:predict", "untold"),
        ("POST", "/v1/vector_stores/v/file_batches", "untold"),
    ],
)
def test_where_usage_is_due_follows_from_method_and_path(method, path, due):
    reading = wire(method, path).reading(stream=False, strip_usage=False)

    assert reading.finding().usage_due == due


@pytest.mark.parametrize(
    ("path", "surface", "error", "event"),
    [
        ("/v1/files", "openai.passthrough", b'{"error":{"message":"no"', b"event: error\ndata: {"),
        ("/anthropic/files", "anthropic.passthrough", b'{"error":{"type":', b"event: error\ndata: {"),
        ("/v1beta/files", "gemini.passthrough", b'{"error":{"code":400', b'data: {"error"'),
    ],
)
def test_errors_are_the_familys(path, surface, error, event):
    made = wire("POST", path)
    no = BadRequest("no")

    assert made.surface == surface
    assert made.error(no).startswith(error)
    assert made.broken(no).startswith(event)


def test_there_is_no_place_for_memories_and_one_format_for_each_operation():
    assert WIRE.conversation(b"{}") is None
    assert wire("GET", "/v1/files/a") is wire("GET", "/v1/files/b")
    assert WIRE.words("application/json", b'{"prompt": "tide"}') == "tide"
