"""Fields of a log: what they mean, and what is no such field."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.ingest import fields
from telemetry.ingest.fields import Wrong

NOW_US = 1_795_000_000_000_000


def item(value: object) -> fields.Item:
    return fields.item_of(msgspec.json.encode({"x": value}))


@given(st.integers(0, fields.MOST_TOKENS))
def test_tokens_are_whole_numbers(count: int) -> None:
    assert fields.tokens(item(count), "x") == count
    assert fields.tokens(item(str(count)), "x") == count


@pytest.mark.parametrize("count", [-1, 2**63, 2**64, 1.5, 10**12 + 1, 1e300, "many", [1], {}])
def test_what_no_call_takes_is_no_count_of_tokens(count: object) -> None:
    with pytest.raises(Wrong, match=r"^x: must be a whole number"):
        fields.tokens(item(count), "x")


@given(st.decimals(0, 1_000_000, places=9))
def test_dollars_are_nano_dollars_exactly(amount: Decimal) -> None:
    raw = msgspec.Raw(str(amount).encode())
    assert fields.dollars({"x": raw}, "x") == int(amount * 10**9)


@pytest.mark.parametrize("raw", [b"-0.1", b"1000001", b"1e99999", b'"NaN"', b'"Infinity"', b'"free"', b"[1]"])
def test_what_is_no_amount_is_refused(raw: bytes) -> None:
    with pytest.raises(Wrong, match=r"^x: must be"):
        fields.dollars({"x": msgspec.Raw(raw)}, "x")


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-18T11:06:40Z",
        "2026-11-18T12:06:40+01:00",
        "2026-11-18 11:06:40",
        1_795_000_000,
        1_795_000_000.0,
        1_795_000_000_000,
        NOW_US,
    ],
)
def test_a_time_may_be_told_in_many_ways(told: object) -> None:
    assert fields.moment(item(told), "x", now_us=NOW_US) == NOW_US


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("yesterday", "ISO 8601"),
        ("3026-01-01", "a day ahead"),
        (NOW_US + fields.AHEAD_US + 1, "a day ahead"),
        (5, "before the year 2000"),
        ("0001-01-01T00:00:00+23:59", "before the year 2000"),
        (1e308, "a day ahead"),
    ],
)
def test_a_clock_that_cannot_be_right_is_named(told: object, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        fields.moment(item(told), "x", now_us=NOW_US)


@pytest.mark.parametrize("told", [-0.001, 1e10, "soon"])
def test_a_duration_is_neither_negative_nor_endless(told: object) -> None:
    with pytest.raises(Wrong, match=r"^x: must be"):
        fields.seconds(item(told), "x")


def test_seconds_become_microseconds() -> None:
    assert fields.seconds(item(1.5), "x") == 1_500_000
    assert fields.seconds(item("0.25"), "x") == 250_000
    assert fields.seconds({}, "x") is None


@given(st.text())
def test_an_id_is_printable_and_not_everybody(told: str) -> None:
    try:
        found = fields.identifier(item(told), "x")
    except Wrong:
        assert told.strip() == "*" or len(told.strip()) > 255 or not told.strip().isprintable()
    else:
        assert found == told.strip()


def test_numbers_are_ids_too() -> None:
    assert fields.identifier(item(7), "x") == "7"


@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64),
        st.floats(allow_nan=False, allow_infinity=False),
        max_size=32,
    )
)
def test_metrics_are_finite_numbers(told: dict[str, float]) -> None:
    assert fields.metrics(item(told), "x") == told


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1e999}',
        b'{"a":"x"}',
        b'{"":1}',
        b'{"a":[1]}',
        b"[1]",
        msgspec.json.encode({str(n): n for n in range(33)}),
    ],
)
def test_what_are_no_metrics_is_refused(raw: bytes) -> None:
    with pytest.raises(Wrong, match=r"^x: "):
        fields.metrics({"x": msgspec.Raw(raw)}, "x")


def test_yes_and_no_are_metrics() -> None:
    assert fields.metrics(item({"hit": True, "miss": False}), "x") == {"hit": 1.0, "miss": 0.0}


def test_what_is_wrapped_counts_where_the_log_itself_says_nothing() -> None:
    found = fields.item_of(
        b'{"respan_params": {"a": 1, "b": 2}, "keywordsai_params": {"b": 3, "c": 4}, "a": 0, "d": null}'
    )
    assert {name: bytes(found[name]) for name in "abc"} == {"a": b"0", "b": b"2", "c": b"4"}
    assert "d" not in found


@pytest.mark.parametrize(
    ("raw", "why"),
    [(b'{"a": "\xff"}', "byte 7 .* UTF-8"), (b"[]", "JSON object"), (b'{"a":' * 5000, "JSON object")],
)
def test_what_is_no_log_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        fields.item_of(raw)


@pytest.mark.parametrize("code", [99, 600, "ok"])
def test_a_status_is_one_of_http(code: object) -> None:
    with pytest.raises(Wrong, match="HTTP status"):
        fields.status_code(item(code), "x")
