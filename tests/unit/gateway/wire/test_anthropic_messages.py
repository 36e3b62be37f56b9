from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, UpstreamTimeout
from gateway.wire.anthropic_messages import AnthropicMessages
from gateway.wire.base import Wire

wire: Wire = AnthropicMessages()
ASK: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def body(**fields: object) -> bytes:
    return msgspec.json.encode(ASK | fields)


def test_what_routing_needs_is_read():
    peek = wire.peek(body(stream=True, metadata={"user_id": "ada"}))

    assert (peek.model, peek.stream, peek.wants_usage) == ("m", True, False)
    assert peek.claims is not None
    assert peek.claims.ids["user_id"] == "ada"
    assert peek.control == ()


def test_settings_worth_a_place_are_kept():
    peek = wire.peek(
        body(
            temperature=0.5,
            top_k=3,
            service_tier="auto",
            thinking={"type": "enabled", "budget_tokens": 1024},
            output_config={"effort": "high", "format": {}},
            tools=[{}, {}],
            stop_sequences=["x"],
            top_p=None,
        )
    )

    assert peek.parameters == {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_k": 3,
        "service_tier": "auto",
        "thinking": "enabled",
        "thinking_budget_tokens": 1024,
        "effort": "high",
        "tools": 2,
    }


@pytest.mark.parametrize("odd", [{"thinking": None}, {"tools": 5}, {"output_config": []}, {"max_tokens": {}}])
def test_odd_settings_are_the_providers_to_refuse(odd):
    assert wire.peek(body(**odd)).model == "m"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"messages":[]}', "missing_required_parameter"),
        (b'{"model":"","messages":[]}', "missing_required_parameter"),
        (b'{"model":"m"}', "missing_required_parameter"),
        (b'{"model":5,"messages":[]}', "invalid_type"),
        (b'{"model":"m","messages":[],"stream":"yes"}', "invalid_type"),
    ],
)
def test_what_no_provider_could_understand_is_refused(said, code):
    with pytest.raises(BadRequest) as raised:
        wire.peek(said)

    assert raised.value.code == code


def test_fields_of_a_gateway_are_named_and_taken_out():
    said = body(customer_identifier="ada", metadata={"user_id": "u"})

    peek = wire.peek(said)
    sent = wire.rewrite(said, model="m", ask_usage=True, drop=peek.control)

    assert peek.control == ("customer_identifier",)
    assert msgspec.json.decode(sent) == ASK | {"metadata": {"user_id": "u"}}


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json, max_size=5), st.text(min_size=1))
def test_renaming_the_model_changes_nothing_else(fields, model):
    said = fields | ASK

    renamed = wire.rewrite(msgspec.json.encode(said), model=model, ask_usage=True)

    assert msgspec.json.decode(renamed) == said | {"model": model}
    assert list(msgspec.json.decode(renamed)) == list(said)


@given(
    st.binary(max_size=80) | st.dictionaries(st.sampled_from([*ASK, "stream"]), json).map(msgspec.json.encode)
)
def test_no_request_is_too_odd(said):
    try:
        peek = wire.peek(said)
        wire.rewrite(said, model="x", ask_usage=False, drop=peek.control)
    except BadRequest:
        pass
    wire.conversation(said)


@given(
    st.binary(max_size=80) | json.map(msgspec.json.encode),
    st.sampled_from(["text/event-stream", "application/json"]),
)
def test_no_answer_is_too_odd(said, kind):
    reading = wire.reading(stream=kind.startswith("text"), strip_usage=False)

    assert reading.feed(said) + reading.end() == said
    reading.finding()
    wire.words(kind, said)


def test_memories_go_behind_what_the_user_said():
    parts = [
        {"type": "tool_result", "tool_use_id": "t", "content": "x"},
        {"type": "text", "text": "and now?"},
    ]
    said = body(
        messages=[
            *ASK["messages"],
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": parts},
        ]
    )

    conversation = wire.conversation(said)

    assert conversation is not None
    assert conversation.turns == ["hi", "and now?"]
    remembered = msgspec.json.decode(conversation.remember([(-1, "block")]))
    assert remembered["messages"][-1]["content"] == [*parts, {"type": "text", "text": "block"}]


def test_an_error_in_a_stream_is_an_event_of_its_own():
    said = wire.broken(UpstreamTimeout("a\nb", code="upstream_timeout_idle"))

    assert said.startswith(b"event: error\ndata: {")
    assert said.endswith(b"}\n\n")
    assert said.count(b"\n") == 3
    assert msgspec.json.decode(said.partition(b"data: ")[2])["error"]["type"] == "timeout_error"
