"""What a call cost, in whole nano-dollars.

Rules where a row has no rate for tokens that were used:

* reasoning is billed as output, images as input: providers that name no price bill them so
* cached tokens are billed as input where the row knows no cache price at all: no discount is invented
* anything else, audio first of all, makes the cost unknown: `no_rate:<bucket>`, never a guess
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from gateway.prices.table import PriceRow, Rates
from telemetry.records import Cost, Usage

_PER = 1_000_000


def price(row: PriceRow | None, usage: Usage | None, *, version: str = "") -> Cost:
    """Price the usage; each line is rounded half up to a nano-dollar, the total is their sum."""
    if usage is None:
        return Cost(reason="no_usage", price_version=version)
    if row is None:
        return Cost(reason="unknown_model", price_version=version)
    rates = _rates(row, usage.input_total) if row.tiers else row.rates
    by_bucket = _by_bucket(rates)
    lines: dict[str, int] = {}
    total = 0
    for bucket, tokens in zip(_BUCKETS, msgspec.structs.astuple(usage), strict=True):
        if tokens:
            rate = by_bucket[bucket]
            if rate is None:
                return Cost(reason=f"no_rate:{bucket}", price_row=row.id, price_version=version)
            lines[bucket] = line = (tokens * rate + _PER // 2) // _PER
            total += line
    if rates.request:
        lines["request"] = rates.request
        total += rates.request
    return Cost(total_nano_usd=total, lines=lines, price_row=row.id, price_version=version)


def _rates(row: PriceRow, input_total: int) -> Rates:
    rates = row.rates
    for tier in row.tiers:
        if input_total > tier.above:
            rates = tier.rates
    return rates


_BUCKETS = Usage.__struct_fields__


@lru_cache(maxsize=1024)
def _by_bucket(rates: Rates) -> dict[str, int | None]:
    return {bucket: _rate(rates, bucket) for bucket in _BUCKETS}


def _rate(rates: Rates, bucket: str) -> int | None:
    match bucket:
        case "input_uncached":
            rate = rates.input
        case "output_text":
            rate = rates.output
        case "output_reasoning":
            rate = rates.output if rates.output_reasoning is None else rates.output_reasoning
        case "input_image":
            rate = rates.input if rates.input_image is None else rates.input_image
        case "cache_read":
            rate = rates.input if rates.cache_read is None else rates.cache_read
        case "cache_write_5m" | "cache_write_1h":
            rate = _write_rate(rates, bucket)
        case _:
            rate = getattr(rates, bucket)
    return rate


def _write_rate(rates: Rates, bucket: str) -> int | None:
    if rates.cache_write_5m is None and rates.cache_write_1h is None:
        return rates.input
    return rates.cache_write_5m if bucket == "cache_write_5m" else rates.cache_write_1h
