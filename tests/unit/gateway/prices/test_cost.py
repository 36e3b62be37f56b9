from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prices.cost import price
from gateway.prices.table import FREE, Plan, PriceRow, Rates, Tier
from telemetry.records import Cost, Usage

MILLION = 1_000_000
ROW = PriceRow(
    id="r", rates={"input_uncached": 2 * MILLION, "cache_read": MILLION // 2, "output_text": 8 * MILLION}
)
BUCKETS = Usage.__struct_fields__
TOKENS = [name for name in BUCKETS if name != "web_searches"]

counts = st.integers(0, 10**9)
rates = st.integers(0, 10**15)
usages = st.builds(Usage, **dict.fromkeys(BUCKETS, counts))
whole_rates = st.fixed_dictionaries(dict.fromkeys(BUCKETS, rates), optional={"request": rates})


def row(rates: Rates, **more: Any) -> PriceRow:
    return PriceRow(id="r", rates=rates, **more)


def total(cost: Cost) -> int:
    assert cost.total_nano_usd is not None
    return cost.total_nano_usd


def test_lines_are_tokens_times_rates():
    cost = price(ROW, Usage(input_uncached=10, cache_read=4, output_text=3), version="v1")

    assert cost == Cost(
        total_nano_usd=46,
        lines={"input_uncached": 20, "cache_read": 2, "output_text": 24},
        price_row="r",
        price_version="v1",
        cache_saved_nano_usd=6,
    )


@pytest.mark.parametrize(
    ("tokens", "rate", "line"), [(1, 499_999, 0), (1, 500_000, 1), (3, 500_000, 2), (1, 1_499_999, 1)]
)
def test_a_line_is_rounded_half_up(tokens, rate, line):
    assert price(row({"input_uncached": rate}), Usage(input_uncached=tokens)).total_nano_usd == line


@pytest.mark.parametrize("bucket", BUCKETS)
def test_tokens_without_a_rate_make_the_cost_unknown(bucket):
    known = row(dict.fromkeys((name for name in BUCKETS if name != bucket), 1))

    assert price(known, Usage(**dict.fromkeys(BUCKETS, 1))) == Cost(reason=f"no_rate:{bucket}", price_row="r")


def test_a_rate_of_nothing_is_a_price():
    assert price(row({"input_uncached": 0}), Usage(input_uncached=9)).lines == {"input_uncached": 0}
    assert price(FREE, Usage(**dict.fromkeys(BUCKETS, 9))).total_nano_usd == 0


def test_a_long_input_re_rates_the_whole_call():
    tiers = (
        Tier(100, {"input_uncached": 3 * MILLION, "cache_read": 3 * MILLION, "output_text": 9 * MILLION}),
        Tier(200, {"input_uncached": 4 * MILLION, "output_text": 0}),
    )
    tiered = row(ROW.rates, tiers=tiers)

    assert price(tiered, Usage(input_uncached=100, output_text=1)).total_nano_usd == 208
    assert price(tiered, Usage(input_uncached=90, cache_read=11, output_text=1)).total_nano_usd == 312
    assert price(tiered, Usage(input_uncached=201, output_text=1)).total_nano_usd == 804


@pytest.mark.parametrize("tier", ["", "default", "standard", "on_demand", "auto"])
def test_the_standard_tier_has_many_names(tier):
    served = row(ROW.rates, services={"flex": Plan(id="f", rates={"input_uncached": MILLION})})

    assert price(served, Usage(input_uncached=5), tier=tier).total_nano_usd == 10


def test_another_tier_has_a_plan_of_its_own_or_no_price():
    flex = Plan(id="f", rates={"input_uncached": MILLION}, tiers=(Tier(9, {"input_uncached": 3 * MILLION}),))
    served = row(ROW.rates, services={"flex": flex})

    assert price(served, Usage(input_uncached=5), tier="flex") == Cost(5, {"input_uncached": 5}, "f")
    assert price(served, Usage(input_uncached=10), tier="flex").total_nano_usd == 30
    assert price(served, Usage(output_text=1), tier="flex") == Cost(
        reason="no_rate:output_text", price_row="f"
    )
    assert price(served, Usage(input_uncached=5), tier="scale") == Cost(reason="no_tier:scale", price_row="r")


def test_a_search_and_a_fee_for_each_call_are_lines():
    fees = row({"input_uncached": 0, "web_searches": 10_000 * 10**9, "request": 5 * MILLION})

    assert price(fees, Usage(input_uncached=1, web_searches=2)).lines == {
        "input_uncached": 0,
        "web_searches": 20_000_000,
        "request": 5,
    }


def test_what_is_not_known_has_a_reason_and_never_a_zero():
    assert price(None, Usage(input_uncached=1)) == Cost(reason="unknown_model")
    assert price(ROW, None) == Cost(reason="no_usage")


@given(usages, whole_rates)
def test_the_total_is_the_sum_of_the_lines_and_no_bucket_is_counted_twice(usage, rates):
    cost = price(row(rates), usage)

    assert cost.total_nano_usd == sum(cost.lines.values())
    used = {name for name in BUCKETS if getattr(usage, name)}
    assert set(cost.lines) == used | ({"request"} & rates.keys())
    assert msgspec.json.decode(msgspec.json.encode(cost), type=Cost) == cost


@given(usages, whole_rates, st.sampled_from(BUCKETS), st.integers(1, 10**6))
def test_more_tokens_never_cost_less(usage, rates, bucket, more):
    grown = msgspec.structs.replace(usage, **{bucket: getattr(usage, bucket) + more})
    before, after = price(row(rates), usage), price(row(rates), grown)

    assert total(after) >= total(before)
    others = {name: line for name, line in before.lines.items() if name != bucket}
    assert {name: line for name, line in after.lines.items() if name != bucket} == others


@given(st.integers(1, 10**6), st.integers(1, 1000), st.integers(0, 10**12), st.sampled_from(TOKENS))
def test_many_times_the_tokens_cost_as_many_times_the_price(tokens, times, rate, bucket):
    whole = row({bucket: rate * MILLION})
    once = total(price(whole, Usage(**{bucket: tokens})))

    assert total(price(whole, Usage(**{bucket: tokens * times}))) == once * times


@given(usages, whole_rates)
def test_what_the_cache_saved_is_the_difference_to_the_same_call_uncached(usage, rates):
    same = rates | {"cache_read": rates["input_uncached"]}

    cost = price(row(rates), usage)

    assert cost.cache_saved_nano_usd == total(price(row(same), usage)) - total(cost)
