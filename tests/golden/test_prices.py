"""Costs against the providers' own price lists, and against genai-prices' own arithmetic."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage as GenaiUsage
from genai_prices import calc_price

from gateway.prices.compile import compile_table
from gateway.prices.cost import price
from gateway.prices.table import PriceTable
from telemetry.records import Usage

CASES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("prices.toml").read_text("utf-8"))[
    "case"
]
NANO = 1_000_000_000


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PriceTable:
    path = tmp_path_factory.mktemp("prices") / "prices.msgpack"
    compile_table(path, {})
    return PriceTable.load(path)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_call_costs_what_the_price_list_says(case, table):
    provider, _, model = case["model"].partition("/")
    at = datetime.combine(case["at"], time(12), tzinfo=UTC)
    usage = Usage(**case["usage"])
    expected = Decimal(case["total"])

    row = table.find(provider, model, int(at.timestamp() * 1_000_000))
    cost = price(row, usage, version=table.version)

    assert cost.reason == ""
    assert cost.total_nano_usd == expected * NANO
    assert by_hand(case, usage) == expected
    assert by_genai(provider, model, usage, at) == expected


def by_hand(case: dict[str, Any], usage: Usage) -> Decimal:
    """Multiply the documented rates."""
    names = {"input_uncached": "input", "output_text": "output", "output_reasoning": "output"}
    rates = case["rates"]
    return sum(
        (Decimal(rates[names.get(b, b)]) * n / 1_000_000 for b, n in case["usage"].items()), start=Decimal(0)
    )


def by_genai(provider: str, model: str, usage: Usage, at: datetime) -> Decimal:
    """Ask genai-prices."""
    said = {
        "input_tokens": usage.input_total,
        "output_tokens": usage.output_total,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_write_1h_tokens": usage.cache_write_1h,
    }
    found = calc_price(GenaiUsage(**said), model, provider_id=provider, genai_request_timestamp=at)
    return found.total_price
