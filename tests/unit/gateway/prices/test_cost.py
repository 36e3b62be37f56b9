from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prices.cost import price
from gateway.prices.table import FREE, PriceRow, Rates, Tier
from telemetry.records import Cost, Usage

ROW = PriceRow(id="r", rates=Rates(input=2_000_000, cache_read=500_000, output=8_000_000))
MILLION = 1_000_000


def test_lines_are_tokens_times_rates():
    cost = price(ROW, Usage(input_uncached=10, cache_read=4, output_text=3), version="v1")

    assert cost == Cost(
        total_nano_usd=46,
        lines={"input_uncached": 20, "cache_read": 2, "output_text": 24},
        price_row="r",
        price_version="v1",
    )


@pytest.mark.parametrize(
    ("tokens", "rate", "line"), [(1, 499_999, 0), (1, 500_000, 1), (3, 500_000, 2), (1, 1_499_999, 1)]
)
def test_a_line_is_rounded_half_up(tokens, rate, line):
    assert (
        price(PriceRow(id="r", rates=Rates(input=rate)), Usage(input_uncached=tokens)).total_nano_usd == line
    )


@pytest.mark.parametrize(
    ("rates", "bucket", "line"),
    [
        (Rates(output=5), "output_reasoning", 5),
        (Rates(output=5, output_reasoning=7), "output_reasoning", 7),
        (Rates(input=5), "cache_read", 5),
        (Rates(input=5), "cache_write_5m", 5),
        (Rates(input=5), "cache_write_1h", 5),
        (Rates(input=5, cache_write_5m=6), "cache_write_1h", None),
        (Rates(input=5, cache_write_5m=6, cache_write_1h=8), "cache_write_1h", 8),
        (Rates(input=5), "input_image", 5),
        (Rates(input=5, input_image=9), "input_image", 9),
        (Rates(input=5), "input_audio", None),
        (Rates(output=5), "output_audio", None),
        (Rates(input=5, input_audio=9), "input_audio", 9),
        (Rates(input=5), "output_text", None),
        (Rates(output=5), "input_uncached", None),
        (Rates(input=0), "input_uncached", 0),
    ],
)
def test_a_missing_rate_follows_the_rules(rates, bucket, line):
    cost = price(PriceRow(id="r", rates=rates), Usage(**{bucket: MILLION}))

    if line is None:
        assert cost == Cost(reason=f"no_rate:{bucket}", price_row="r")
    else:
        assert cost.lines == {bucket: line}


def test_a_long_input_re_rates_the_whole_call():
    tiers = (
        Tier(100, Rates(input=3 * MILLION, output=9 * MILLION)),
        Tier(200, Rates(input=4 * MILLION, output=0)),
    )
    row = PriceRow(id="r", rates=ROW.rates, tiers=tiers)

    assert price(row, Usage(input_uncached=100, output_text=1)).total_nano_usd == 208
    assert price(row, Usage(input_uncached=90, cache_read=11, output_text=1)).total_nano_usd == 312
    assert price(row, Usage(input_uncached=201, output_text=1)).total_nano_usd == 804


def test_a_fee_for_each_call_is_a_line():
    assert price(PriceRow(id="r", rates=Rates(input=0, request=5)), Usage(input_uncached=1)).lines == {
        "input_uncached": 0,
        "request": 5,
    }


def test_what_is_not_known_has_a_reason_and_never_a_zero():
    assert price(None, Usage(input_uncached=1)) == Cost(reason="unknown_model")
    assert price(ROW, None) == Cost(reason="no_usage")


@given(st.lists(st.integers(0, 10**9), min_size=9, max_size=9))
def test_the_total_is_the_sum_of_the_lines(counts):
    usage = Usage(**dict(zip(Usage.__struct_fields__, counts, strict=True)))
    rates = Rates(
        **{name: i * 333_333 for i, name in enumerate(Rates.__struct_fields__, 1) if name != "request"}
    )

    cost = price(PriceRow(id="r", rates=rates), usage)

    assert cost.total_nano_usd == sum(cost.lines.values())
    assert set(cost.lines) == {n for n, c in zip(Usage.__struct_fields__, counts, strict=True) if c}
    assert price(FREE, usage).total_nano_usd == 0
    assert msgspec.json.decode(msgspec.json.encode(cost), type=Cost) == cost
