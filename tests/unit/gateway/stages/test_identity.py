"""Headers that say who a call is for."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, Forbidden
from gateway.principal import Principal
from gateway.stages.identity import read_identity

OPEN = Principal(key_id="open", open=True)
KEYED = Principal(key_id="ci", environment="test")


def test_an_event_id_is_to_be_made_when_none_is_given() -> None:
    identity = read_identity({}, OPEN)

    assert (identity.event_id, identity.event_id_made) == ("", True)


def test_every_header_finds_its_field() -> None:
    headers = {
        b"x-tidegate-user-id": b" ada ",
        b"x-tidegate-agent-id": b"planner",
        b"x-tidegate-thread-id": b"t-1",
        b"x-tidegate-event-id": b"e-1",
        b"x-tidegate-step": b"retrieval",
        b"x-tidegate-tags": b"a, b,a,,c",
        b"x-tidegate-property-tier": b"gold",
        b"traceparent": b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01",
        b"user-agent": b"x-tidegate-user-id",
    }

    identity = read_identity(headers, OPEN)

    assert identity.user_id == "ada"
    assert identity.agent_id == "planner"
    assert identity.thread_id == "t-1"
    assert (identity.event_id, identity.event_id_made) == ("e-1", False)
    assert identity.step == "retrieval"
    assert identity.tags == ("a", "b", "c")
    assert identity.properties == {"tier": "gold"}
    assert (identity.trace_id, identity.parent_span_id) == ("ab" * 16, "cd" * 8)


@pytest.mark.parametrize("value", ["Zoë", "李雷", "a b", "50%"])
def test_an_id_may_be_percent_encoded_utf8(value: str) -> None:
    encoded = b"".join(b"%%%02X" % byte for byte in value.encode())

    assert read_identity({b"x-tidegate-user-id": encoded}, OPEN).user_id == value


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        (b"x-tidegate-user-id", b"", "1 to 255"),
        (b"x-tidegate-user-id", b"   ", "1 to 255"),
        (b"x-tidegate-thread-id", b"x" * 256, "1 to 255"),
        (b"x-tidegate-event-id", b"*", "not an id"),
        (b"x-tidegate-event-id", b"a%00b", "control"),
        (b"x-tidegate-user-id", b"\xff\xfe", "UTF-8"),
        (b"x-tidegate-tags", b",".join(b"%d" % n for n in range(65)), "at most 64"),
        (b"x-tidegate-property-", b"x", "needs a name"),
    ],
)
def test_a_bad_header_is_refused_by_name(name: bytes, value: bytes, rule: str) -> None:
    with pytest.raises(BadRequest, match=rule) as refused:
        read_identity({name: value}, OPEN)

    assert refused.value.param == name.decode()
    assert refused.value.status == 400


def test_a_key_counts_in_its_own_environment() -> None:
    assert read_identity({}, KEYED).environment == "test"


def test_a_key_cannot_count_in_another_environment() -> None:
    with pytest.raises(Forbidden, match="'test', not 'prod'"):
        read_identity({b"x-tidegate-environment": b"prod"}, KEYED)


def test_open_mode_takes_any_environment() -> None:
    assert read_identity({b"x-tidegate-environment": b"staging"}, OPEN).environment == "staging"


@given(
    st.dictionaries(st.sampled_from([b"x-tidegate-user-id", b"x-tidegate-tags", b"traceparent"]), st.binary())
)
def test_no_header_value_gets_past_as_anything_but_text_or_a_bad_request(headers: dict[bytes, bytes]) -> None:
    try:
        identity = read_identity(headers, OPEN)
    except BadRequest:
        return

    assert identity.user_id.isprintable()
    assert len(identity.user_id) <= 255


def field(headers: dict[bytes, bytes], name: str) -> object:
    return getattr(read_identity(headers, OPEN), name)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"x-litellm-end-user-id", "user_id"),
        (b"x-litellm-customer-id", "user_id"),
        (b"x-litellm-user-id", "user_id"),
        (b"helicone-user-id", "user_id"),
        (b"x-litellm-trace-id", "thread_id"),
        (b"x-litellm-session-id", "thread_id"),
        (b"x-claude-code-session-id", "thread_id"),
        (b"session-id", "thread_id"),
        (b"session_id", "thread_id"),
        (b"thread-id", "thread_id"),
        (b"conversation_id", "thread_id"),
        (b"x-session-id", "thread_id"),
        (b"x-session-affinity", "thread_id"),
        (b"x-parent-session-id", "thread_id"),
        (b"helicone-session-id", "thread_id"),
        (b"x-event-id", "event_id"),
        (b"cf-aig-event-id", "event_id"),
        (b"helicone-request-id", "event_id"),
        (b"x-portkey-trace-id", "trace_id"),
        (b"x-portkey-parent-span-id", "parent_span_id"),
        (b"x-portkey-span-id", "parent_span_id"),
        (b"x-portkey-span-name", "step"),
        (b"helicone-session-path", "step"),
    ],
)
def test_headers_of_other_gateways_find_their_field(header: bytes, name: str) -> None:
    assert field({header: b"X"}, name) == "X"


def test_of_several_headers_the_best_counts_whatever_their_order() -> None:
    best_first = {b"x-litellm-session-id": b"A", b"x-foo-session-id": b"B", b"x-session-id": b"C"}

    assert field(best_first, "thread_id") == "A"
    assert field(dict(reversed(best_first.items())), "thread_id") == "A"
    assert field({**best_first, b"x-tidegate-thread-id": b"ours"}, "thread_id") == "ours"
    assert field({b"baggage": b"a=b, session.id=S;p=1"}, "thread_id") == "S"
    assert field({b"baggage": b"session.id=S", b"x-session-id": b"C"}, "thread_id") == "C"


@pytest.mark.parametrize(
    ("headers", "tags", "properties"),
    [
        ({b"x-litellm-tags": b"a, b"}, ("a", "b"), {}),
        ({b"helicone-property-tier": b"gold"}, (), {"tier": "gold"}),
        ({b"x-bf-dim-team": b"red"}, (), {"team": "red"}),
        ({b"x-portkey-metadata": b'{"tier":"gold","_user":"ada"}'}, (), {"tier": "gold"}),
        ({b"cf-aig-metadata": b'{"n":1}'}, (), {"n": "1"}),
        ({b"x-tfy-metadata": b'{"n":"1"}'}, (), {"n": "1"}),
        ({b"x-litellm-spend-logs-metadata": b'{"n":"1"}'}, (), {"n": "1"}),
        (
            {b"helicone-property-tier": b"theirs", b"x-tidegate-property-tier": b"ours"},
            (),
            {"tier": "ours"},
        ),
    ],
)
def test_tags_and_properties_of_other_gateways_are_taken_in(
    headers: dict[bytes, bytes], tags: tuple[str, ...], properties: dict[str, str]
) -> None:
    assert field(headers, "tags") == tags
    assert field(headers, "properties") == properties


def test_respans_header_is_read_like_its_body() -> None:
    said = base64.b64encode(b'{"customer_identifier":"ada","custom_identifier":"e-1","metadata":{"k":"v"}}')
    identity = read_identity({b"x-data-respan-params": said}, OPEN)

    assert (identity.user_id, identity.event_id, identity.properties) == ("ada", "e-1", {"k": "v"})


@pytest.mark.parametrize(
    "headers",
    [
        {b"x-portkey-metadata": b"{"},
        {b"x-data-respan-params": b"???"},
        {b"x-data-respan-params": base64.b64encode(b"[]")},
        {b"x-session-id": b"*"},
        {b"helicone-property-": b"x"},
    ],
    ids=str,
)
def test_a_header_of_another_gateway_that_makes_no_sense_is_refused_by_name(
    headers: dict[bytes, bytes],
) -> None:
    with pytest.raises(BadRequest) as caught:
        read_identity(headers, OPEN)

    assert caught.value.param == next(iter(headers)).decode()


def test_another_gateways_environment_counts_only_where_no_key_says_it() -> None:
    headers = {b"x-portkey-metadata": b'{"environment":"staging"}'}

    assert read_identity(headers, OPEN).environment == "staging"
    assert read_identity(headers, KEYED).environment == "test"


@pytest.mark.parametrize(
    ("said", "metrics"),
    [
        (b"hit=1, relevance=0.7", {"hit": 1.0, "relevance": 0.7}),
        (b'{"hit": true, "facts": 3, "loss": -1e-3}', {"hit": 1.0, "facts": 3.0, "loss": -0.001}),
        (b"", {}),
        (b"{}", {}),
    ],
)
def test_a_step_tells_what_it_measured(said: bytes, metrics: dict[str, float]) -> None:
    assert read_identity({b"x-tidegate-metrics": said}, OPEN).metrics == metrics


@pytest.mark.parametrize(
    "said",
    [
        b"hit",
        b"hit=many",
        b"hit=nan",
        b"hit=inf",
        b"hit=1e999",
        b"=1",
        b'{"hit": "x"}',
        b'{"hit": [1]}',
        b'{"hit": 1',
        b"m" * 65 + b"=1",
        b",".join(b"m%d=1" % number for number in range(33)),
        b"\xff=1",
    ],
)
def test_what_is_no_measurement_is_refused_by_the_headers_name(said: bytes) -> None:
    with pytest.raises(BadRequest, match="x-tidegate-metrics") as refused:
        read_identity({b"x-tidegate-metrics": said}, OPEN)
    assert refused.value.param == "x-tidegate-metrics"
