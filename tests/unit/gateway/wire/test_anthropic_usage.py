from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.anthropic_usage import merge_usage, parse_usage, service_tier
from telemetry.records import Usage


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"input_tokens": 19, "output_tokens": 22}, Usage(input_uncached=19, output_text=22)),
        ({"output_tokens": 3}, Usage(output_text=3)),
        (
            {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 3},
            Usage(input_uncached=1, cache_read=2, cache_write_5m=3),
        ),
        (
            {
                "input_tokens": 0,
                "cache_creation_input_tokens": 30,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            },
            Usage(cache_write_5m=10, cache_write_1h=20),
        ),
        (  # the total grew after the detail was told
            {
                "input_tokens": 0,
                "cache_creation_input_tokens": 35,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            },
            Usage(cache_write_5m=15, cache_write_1h=20),
        ),
        (
            {
                "input_tokens": 0,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_5m_input_tokens": 9, "ephemeral_1h_input_tokens": 9},
            },
            Usage(cache_write_1h=5),
        ),
        (
            {"input_tokens": 0, "cache_creation": {"ephemeral_1h_input_tokens": 20}},
            Usage(cache_write_1h=20),
        ),
        (
            {"output_tokens": 92, "output_tokens_details": {"thinking_tokens": 53}},
            Usage(output_text=39, output_reasoning=53),
        ),
        (
            {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 53}},
            Usage(output_reasoning=9),
        ),
        (
            {"input_tokens": None, "output_tokens": "7", "cache_creation": None, "server_tool_use": {"x": 1}},
            Usage(output_text=7),
        ),
        ({"input_tokens": -4, "output_tokens": 1}, Usage(output_text=1)),
    ],
)
def test_every_token_has_one_bucket(said: dict[str, object], usage: Usage) -> None:
    assert parse_usage(msgspec.json.encode(said)) == usage


@pytest.mark.parametrize(
    ("tools", "searches"),
    [
        ({"web_search_requests": 3, "web_fetch_requests": 9}, 3),
        ({"web_search_requests": -3}, 0),
        ({"web_search_requests": "many"}, 0),
        ({}, 0),
        ([1], 0),
        (None, 0),
    ],
)
def test_searches_are_counted_beside_the_tokens(tools: object, searches: int) -> None:
    usage = parse_usage(msgspec.json.encode({"input_tokens": 1, "server_tool_use": tools}))
    assert usage == Usage(input_uncached=1, web_searches=searches)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({"service_tier": "standard", "inference_geo": "global", "speed": "standard"}, ""),
        ({"service_tier": None, "inference_geo": "not_available"}, ""),
        ({"service_tier": "batch"}, "batch"),
        ({"service_tier": "priority", "inference_geo": "us"}, "priority+us"),
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"service_tier": "batch", "inference_geo": "us"}, "batch+us"),
        ({"note": {"service_tier": "batch"}}, ""),
        ({"service_tier": 3, "speed": ["fast"], "inference_geo": "us"}, "us"),
    ],
)
def test_an_unusual_way_to_be_served_is_named(said: dict[str, object], tier: str) -> None:
    assert service_tier(msgspec.json.encode(said)) == tier
    assert service_tier(msgspec.json.encode(said)[:-1]) == ""
    assert service_tier(b"") == ""


def test_a_compaction_is_not_in_the_totals_and_is_added() -> None:
    counted = {"input_tokens": 10, "output_tokens": 5}
    said = {
        **counted,
        "iterations": [
            {"type": "message", **counted},
            {"type": "compaction", "input_tokens": 700, "output_tokens": 30, "cache_read_input_tokens": 4},
            {"type": "advisor_message", "model": "other", "input_tokens": 1000, "output_tokens": 1000},
        ],
    }

    usage = parse_usage(msgspec.json.encode(said))

    assert usage == Usage(input_uncached=710, cache_read=4, output_text=35)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"input_tokens":{}}',
        b'{"input_tokens":99999999999999999}',
        b"\xff",
        b'{"a',
    ],
)
def test_what_is_no_usage_is_none(said: bytes) -> None:
    assert parse_usage(said) is None


def test_the_last_word_counts_and_null_says_nothing() -> None:
    first = b'{"input_tokens":9,"cache_read_input_tokens":4,"output_tokens":1,"service_tier":"standard"}'
    later = b'{"input_tokens":11,"cache_read_input_tokens":null,"output_tokens":50}'

    merged = merge_usage(first, later)

    assert msgspec.json.decode(merged) == {
        "input_tokens": 11,
        "cache_read_input_tokens": 4,
        "output_tokens": 50,
        "service_tier": "standard",
    }
    assert merge_usage(merged, later) == merged


counts = st.none() | st.integers(-3, 1 << 60) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
usages = st.dictionaries(
    st.sampled_from(
        [
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "iterations",
        ]
    )
    | st.text(),
    counts
    | st.lists(st.just({"type": "compaction"}))
    | st.dictionaries(st.sampled_from(["ephemeral_5m_input_tokens", "thinking_tokens"]), counts),
)


@given(usages, usages)
def test_no_usage_is_too_odd_to_be_read(first: dict[str, object], later: dict[str, object]) -> None:
    merged = merge_usage(msgspec.json.encode(first), msgspec.json.encode(later))

    usage = parse_usage(merged)

    assert usage is None or min(msgspec.structs.astuple(usage)) >= 0


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_are_too_odd(first: bytes, later: bytes) -> None:
    parse_usage(merge_usage(first, later))
