"""Frames become rows, each without the others."""

from __future__ import annotations

import msgspec
import pytest

from telemetry.records import Answer, Attempt, Cost, Injection, Opened, Outcome, Request, Usage
from telemetry.rows import PAYLOADS, SPANS, Row, begin, interrupted, row_of
from telemetry.store.base import StoreRefused
from tests.fakes.ledger import call, outcome, payload, settled


def plain(row: Row | None) -> dict[str, object]:
    assert row is not None
    table = SPANS if row.table == "spans" else PAYLOADS
    (found,) = table.block([row]).to_pylist()
    return dict(found)


def test_a_settled_call_is_a_row_with_everything() -> None:
    row = plain(row_of(settled(7), origin="here", preview=begin))
    assert row["call_id"] == call(7).call_id
    assert row["kind"] == "llm"
    assert row["served_model"] == "gpt-4o-2024-08-06"
    assert row["attempt_count"] == 1
    assert (row["input_tokens"], row["output_tokens"]) == (10, 5)
    assert (row["cost_nano_usd"], row["cost_lower_nano_usd"], row["cost_upper_nano_usd"]) == (12_345,) * 3
    assert row["origin"] == "here"


def test_every_field_of_a_call_and_its_outcome_reaches_a_column() -> None:
    values = {"call_id": "c", "user_id": "u", "agent_id": "a", "event_id": "e", "event_id_made": True,
              "thread_id": "t", "trace_id": "tr", "parent_span_id": "ps", "step": "retrieval", "route": "smart",
              "environment": "env", "key_id": "key", "project": "pr", "surface": "s", "operation": "op",
              "model": "m", "request_bytes": 9, "gateway": "0.1"}  # fmt: skip
    how = {"status": "error", "http_status": 502, "error_type": "et", "error_code": "ec", "error_message": "em",
           "provider": "pv", "deployment": "d", "response_model": "rm", "response_id": "ri",
           "finish_reason": "stop", "first_byte_us": 1, "first_token_us": 2, "total_us": 3, "overhead_us": 4,
           "response_bytes": 5, "capture": "cut", "usage_source": "estimated"}  # fmt: skip
    row = plain(row_of(settled(1, how=outcome(**how), **values), origin="", preview=begin))
    assert {name: row[name] for name in values} == values
    assert {name: row[name] for name in how} == how


def test_what_was_remembered_in_a_call_is_on_its_row() -> None:
    memory = Injection(
        status="injected",
        ids=("m-1", "m-2"),
        scores=(0.9, 0.5),
        tokens=40,
        latency_us=3_000,
        block="- Ada lives in Lisbon",
        anchor=2,
    )
    row = plain(row_of(settled(1, how=outcome(memory=memory), memory="read"), origin="", preview=begin))
    assert row["memory_switch"] == "read"
    found = {name.removeprefix("memory_"): row[name] for name in row if name.startswith("memory_")}
    del found["switch"]
    assert found == msgspec.structs.asdict(memory) | {"ids": ["m-1", "m-2"], "scores": [0.9, 0.5]}


def test_usage_buckets_stay_apart_and_add_up() -> None:
    buckets = dict(
        zip(
            (
                *("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio"),
                *("input_image", "output_text", "output_reasoning", "output_audio", "output_image"),
            ),
            (2**n for n in range(10)),
            strict=True,
        )
    )
    row = plain(row_of(settled(1, how=outcome(usage=Usage(**buckets))), origin="", preview=begin))
    assert {name: row[name] for name in buckets} == buckets
    assert (row["input_tokens"], row["output_tokens"]) == (0b111111, 0b1111000000)


def test_what_a_price_depends_on_and_what_a_cache_saved_are_on_the_row() -> None:
    how = outcome(
        usage=Usage(web_searches=3),
        service_tier="flex",
        cost=Cost(5, {"web_searches": 5}, cache_saved_nano_usd=7),
    )
    row = plain(row_of(settled(1, how=how), origin="", preview=begin))
    assert (row["web_searches"], row["service_tier"], row["cache_saved_nano_usd"]) == (3, "flex", 7)
    assert (row["input_tokens"], row["output_tokens"]) == (0, 0)


def test_an_unknown_price_is_null_and_not_nothing() -> None:
    row = plain(row_of(settled(1, how=outcome(cost=Cost(reason="unknown_model"))), origin="", preview=begin))
    assert row["cost_nano_usd"] is None
    assert row["cost_upper_nano_usd"] is None
    assert row["cost_reason"] == "unknown_model"


def test_embeddings_are_their_own_kind() -> None:
    assert plain(row_of(settled(1, operation="embeddings"), origin="", preview=begin))["kind"] == "embedding"


def test_attempts_are_kept_as_json() -> None:
    tries = (
        Attempt(deployment="a/m", provider="a", model="m", error_type="rate_limited"),
        Attempt(deployment="b/m2", provider="b", model="m2"),
    )
    row = plain(row_of(settled(1, how=outcome(attempts=tries)), origin="", preview=begin))
    assert row["attempt_count"] == 2
    assert row["served_model"] == "m2"
    assert b'"rate_limited"' in bytes(str(row["attempts"]), "utf-8")


def test_an_opened_call_has_no_row_until_it_is_known_to_be_lost() -> None:
    opened = Opened(call(3))
    assert row_of(opened, origin="", preview=begin) is None
    row = plain(interrupted(opened, origin="here"))
    assert row["status"] == "interrupted"
    assert row["usage_source"] == "none"
    assert row["cost_nano_usd"] is None
    assert (row["cost_lower_nano_usd"], row["cost_upper_nano_usd"]) == (0, None)
    assert row["event_id"] == opened.call.event_id


def test_payloads_know_their_call_and_have_a_preview() -> None:
    body = "größer ".encode() * 200
    for frame, kind in ((Request(payload(1, body)), "request"), (Answer(payload(1, body)), "answer")):
        row = plain(row_of(frame, origin="", preview=begin))
        assert row["kind"] == kind
        assert row["body"] == body
        assert row["bytes_total"] == len(body)
        assert row["preview"] == ("größer " * 200)[:300]


def test_a_preview_that_fails_costs_itself_only(caplog: pytest.LogCaptureFixture) -> None:
    def fail(surface: str, content_type: str, body: bytes) -> str:
        raise ZeroDivisionError(body.decode())

    row = row_of(Request(payload(1, b"nobody may log this")), origin="o", preview=fail)

    assert plain(row)["preview"] == ""
    assert [record.message for record in caplog.records] == ["preview_failed"]
    assert "nobody may log this" not in caplog.text


def test_the_preview_is_somebody_elses_business() -> None:
    def shout(surface: str, content_type: str, body: bytes) -> str:
        return f"{surface}|{content_type}|{len(body)}" + "!" * 1000

    row = plain(row_of(Request(payload(1, b"12345")), origin="", preview=shout))
    assert str(row["preview"]).startswith("openai.chat|application/json|5!")
    assert len(str(row["preview"])) == 300


@pytest.mark.parametrize(
    "how",
    [
        outcome(cost=Cost(total_nano_usd=2**63)),
        outcome(usage=Usage(output_text=-1)),
        outcome(http_status=70_000),
    ],
)
def test_a_value_that_does_not_fit_refuses_the_row(how: Outcome) -> None:
    row = row_of(settled(1, how=how), origin="", preview=begin)
    assert row is not None
    with pytest.raises(StoreRefused):
        SPANS.block([row])


def test_an_interrupted_call_costs_at_most_what_was_known_before_it_was_made() -> None:
    bounded, unbounded = (
        plain(interrupted(Opened(call(1, cost_upper_nano_usd=most)), origin="here")) for most in (500, None)
    )
    assert (bounded["cost_nano_usd"], bounded["cost_lower_nano_usd"], bounded["cost_upper_nano_usd"]) == (
        None,
        0,
        500,
    )
    assert unbounded["cost_upper_nano_usd"] is None
    done = settled(1, cost_upper_nano_usd=500)
    assert plain(row_of(done, origin="here", preview=begin))["cost_upper_nano_usd"] == 12_345
