"""From a log as Respan's clients send it to the record of a call."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.ingest.fields import Wrong
from telemetry.ingest.log import Reader, Sender
from telemetry.journal import Told
from telemetry.records import Cost, Usage
from tests.fakes.books import OnePrice

NOW_US = 1_795_000_000_000_000
SENDER = Sender("shop", "prod", key_id="k1")


def read(log: object, sender: Sender = SENDER, *, cut_bytes: int = 1 << 20) -> Told:
    raw = log if isinstance(log, bytes) else msgspec.json.encode(log)
    return Reader(OnePrice(), now_us=lambda: NOW_US, cut_bytes=cut_bytes, version="1").read(raw, sender)


def test_identity_finds_its_columns() -> None:
    call = read(
        {
            "unique_id": "u",
            "customer_identifier": "ann",
            "custom_identifier": "order",
            "session_identifier": "weakest",
            "thread_identifier": "thread",
            "trace_unique_id": "trace",
            "span_unique_id": "span",
            "span_parent_id": "parent",
            "span_name": "search",
            "tags": ["a", "b", "a"],
            "model": "gpt-4o",
            "stream": True,
            "temperature": 0.5,
            "max_tokens": 7,
            "log_type": "synthesis",
        }
    ).call
    assert (call.project, call.environment, call.key_id) == ("shop", "prod", "k1")
    assert (call.user_id, call.event_id, call.thread_id) == ("ann", "order", "thread")
    assert (call.trace_id, call.span_id, call.parent_span_id, call.span_name) == (
        "trace",
        "span",
        "parent",
        "search",
    )
    assert (call.step, call.operation, call.kind, call.log_id) == ("synthesis", "synthesis", "log", "u")
    assert call.tags == ("a", "b")
    assert call.parameters == {"temperature": 0.5, "max_tokens": 7}
    assert not call.event_id_made


def test_the_group_of_a_trace_outweighs_the_thread() -> None:
    said = {"trace_group_identifier": "group", "thread_identifier": "thread"}
    assert read(said).call.thread_id == "group"


def test_an_event_is_made_for_a_log_that_names_none() -> None:
    call = read({"unique_id": "u"}).call
    assert (call.event_id, call.event_id_made) == (call.call_id, True)


@pytest.mark.parametrize(
    ("said", "started_us", "took_us"),
    [
        ({}, NOW_US, 0),
        ({"latency": 2}, NOW_US - 2_000_000, 2_000_000),
        ({"generation_time": 2}, NOW_US - 2_000_000, 2_000_000),
        ({"start_time": 1_794_000_000}, 1_794_000_000_000_000, 0),
        ({"start_time": 1_794_000_000, "timestamp": 1_794_000_003}, 1_794_000_000_000_000, 3_000_000),
        (
            {"start_time": 1_794_000_000, "timestamp": 1_794_000_003, "latency": 1},
            1_794_000_000_000_000,
            1_000_000,
        ),
        ({"timestamp": 1_794_000_003, "latency": 1}, 1_794_000_002_000_000, 1_000_000),
    ],
)
def test_when_it_began_follows_from_what_is_told(said: dict[str, Any], started_us: int, took_us: int) -> None:
    told = read(said)
    assert (told.call.started_at_us, told.outcome.total_us) == (started_us, took_us)


def test_an_end_before_the_beginning_is_refused() -> None:
    with pytest.raises(Wrong, match="timestamp: is before start_time"):
        read({"start_time": 1_794_000_003, "timestamp": 1_794_000_000})


def test_the_first_token_has_two_names() -> None:
    assert read({"ttft": 0.5}).outcome.first_token_us == 500_000
    assert read({"ttft": 0.5, "time_to_first_token": 0}).outcome.first_token_us == 0


tokens = st.integers(0, 10**12)


@given(tokens, tokens, tokens, tokens, tokens)
def test_flat_counts_become_buckets_that_never_exceed_their_totals(
    prompt: int, completion: int, hit: int, creation: int, reasoning: int
) -> None:
    usage = read(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_cache_hit_tokens": hit,
            "prompt_cache_creation_tokens": creation,
            "reasoning_tokens": reasoning,
        }
    ).outcome.usage
    assert (usage.input_total, usage.output_total) == (prompt, completion)
    assert usage.cache_read == min(hit, prompt)
    assert usage.output_reasoning == min(reasoning, completion)
    assert min(msgspec.structs.astuple(usage)) >= 0


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({"cost": 0.1, "prompt_tokens": 5}, Cost(100_000_000, {"total": 100_000_000}, "sender")),
        ({"cost": 0, "model": "gpt-4o"}, Cost(0, {}, "sender")),
        (
            {"prompt_tokens": 5, "model": "gpt-4o", "start_time": 1_794_000_000},
            Cost(5, {"all": 1}, "openai/gpt-4o@1794000000000000"),
        ),
        (
            {
                "usage": {"prompt_tokens": 5},
                "model": "x",
                "provider_id": "openai",
                "start_time": 1_794_000_000,
                "service_tier": "flex",
            },
            Cost(5, {"all": 1}, "openai/xflex@1794000000000000"),
        ),
        ({"prompt_tokens": 5, "model": "llama"}, Cost(reason="unknown_model")),
        ({"model": "gpt-4o"}, Cost(reason="no_usage")),
        ({"log_type": "workflow"}, Cost(0, {}, "no_model")),
        ({"cost": 5, "usage": {"prompt_tokens": 5}, "respan.gateway.log_id": "c"}, Cost(0, {}, "linked")),
        ({"cost": 5, "metadata": {"respan.gateway.log_id": "c"}}, Cost(0, {}, "linked")),
        ({"cost": 5, "respan": {"gateway": {"log_id": "c"}}}, Cost(0, {}, "linked")),
    ],
)
def test_what_it_cost_is_the_senders_word_or_a_price_or_unknown_with_a_reason(
    said: dict[str, Any], cost: Cost
) -> None:
    outcome = read(said).outcome
    assert outcome.cost == cost
    if cost.price_row == "linked":
        assert (outcome.usage, outcome.usage_source) == (Usage(), "none")


@pytest.mark.parametrize("usage", [{"nothing": 1}, {"prompt_tokens": 10**12 + 1}])
def test_a_usage_object_that_nobody_understands_is_refused(usage: object) -> None:
    with pytest.raises(Wrong, match=r"^usage: "):
        read({"usage": usage})


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, "ok"),
        ({"status_code": 200, "error_message": "warned"}, "ok"),
        ({"status_code": 429}, "error"),
        ({"error_message": "no"}, "error"),
        ({"status": "error"}, "error"),
        ({"status": "success"}, "ok"),
    ],
)
def test_how_it_ended(said: dict[str, Any], status: str) -> None:
    assert read(said).outcome.status == status


def test_what_has_no_column_becomes_a_property_if_it_is_plain() -> None:
    secret = "sk-proj-" + "aB3" * 12
    properties = read(
        {
            "metadata": {
                "n": 1,
                "yes": True,
                "deep": {"a": [1]},
                "none": None,
                "long": "x" * 5000,
                "key": secret,
            },
            "properties": {"n": 2, "p": 1.5},
            "customer_params": {"email": "a@example.org", "name": "Ann", "period_budget": 5},
            "group_identifier": "g",
            "note": "fine",
            "unheard_of": "kept",
            "nested_unheard_of": {"only": "in the payload"},
            "input": "not a property",
            "output": "neither",
        }
    ).call.properties
    assert properties == {
        "n": "1",
        "yes": "true",
        "deep": '{"a":[1]}',
        "long": "x" * 1024,
        "key": "[secret:api_key]",
        "p": "1.5",
        "customer_email": "a@example.org",
        "customer_name": "Ann",
        "group_identifier": "g",
        "note": "fine",
        "unheard_of": "kept",
    }


def test_more_metadata_than_a_row_holds_is_in_the_payload() -> None:
    told = read({"metadata": {f"m{n}": n for n in range(100)}})
    assert len(told.call.properties) == 64
    assert b'"m99":99' in told.bodies[0][1].chunks[0]


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=12).map(lambda name: f"x_{name}"), json, max_size=8), json, json)
def test_nothing_that_was_sent_is_lost(unknown: dict[str, Any], asked: Any, answered: Any) -> None:
    log = {**unknown, "input": asked, "output": answered}
    kept: dict[str, Any] = {}
    for _, body in read(log).bodies:
        kept |= msgspec.json.decode(b"".join(body.chunks))
    assert kept == {name: value for name, value in log.items() if value is not None}


@pytest.mark.parametrize(
    ("sender", "said"),
    [
        (msgspec.structs.replace(SENDER, store="metadata"), {"input": "x"}),
        (msgspec.structs.replace(SENDER, store="none"), {"input": "x"}),
        (SENDER, {"input": "x", "disable_log": True}),
    ],
)
def test_bodies_are_left_out_where_they_are_not_wanted(sender: Sender, said: dict[str, Any]) -> None:
    told = read(said, sender)
    assert told.bodies == []
    assert told.outcome.capture == "none"
    assert told.call.request_bytes > 0


def test_a_body_that_is_too_long_says_so_and_has_its_long_fields_last() -> None:
    told = read({"input": "x" * 100, "small": 1}, cut_bytes=50)
    assert told.outcome.capture == "cut"
    assert told.bodies[0][1].chunks[0].startswith(b'{"small":1,')


def test_only_in_open_mode_a_log_names_its_environment() -> None:
    assert read({"environment": "test"}).call.environment == "prod"
    opened = msgspec.structs.replace(SENDER, open=True)
    assert read({"environment": "test"}, opened).call.environment == "test"


def test_without_an_id_each_log_is_another() -> None:
    assert read({}).call.call_id != read({}).call.call_id
