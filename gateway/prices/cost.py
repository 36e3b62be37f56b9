"""What a call cost, in whole nano-dollars.

Each line is rounded half up to a nano-dollar, once; the total is the sum of the lines. A long-context tier re-rates
the whole call. Tokens that have no rate make the cost unknown, with the reason, and never 0.
"""

from __future__ import annotations

import msgspec

from gateway.prices.table import STANDARD, Plan, PriceRow, Rates
from telemetry.records import Cost, Usage

_PER = 1_000_000
_HALF = _PER // 2

_used = msgspec.to_builtins
"""Returns a usage's buckets that have tokens; the others hold their default."""


def price(row: PriceRow | None, usage: Usage | None, *, version: str = "", tier: str = "") -> Cost:
    """Price the usage at a service tier, named as the provider's answer names it."""
    if usage is None:
        return Cost(reason="no_usage", price_version=version)
    if row is None:
        return Cost(reason="unknown_model", price_version=version)
    plan: Plan | None = row if tier in STANDARD else row.services.get(tier)
    if plan is None:
        return Cost(None, {}, row.id, version, f"no_tier:{tier}")
    rates = _rates(plan, usage.input_total) if plan.tiers else plan.rates
    lines: dict[str, int] = {}
    total = 0
    for bucket, count in _used(usage).items():
        rate = rates.get(bucket)
        if rate is None:
            return Cost(None, {}, plan.id, version, f"no_rate:{bucket}")
        lines[bucket] = line = (count * rate + _HALF) // _PER
        total += line
    if "request" in rates:
        lines["request"] = line = (rates["request"] + _HALF) // _PER
        total += line
    if "cache_read" in lines:
        return Cost(total, lines, plan.id, version, "", _saved(rates, usage.cache_read, lines["cache_read"]))
    return Cost(total, lines, plan.id, version)


def _rates(plan: Plan, input_total: int) -> Rates:
    rates = plan.rates
    for tier in plan.tiers:
        if input_total > tier.above:
            rates = tier.rates
    return rates


def _saved(rates: Rates, tokens: int, paid: int) -> int:
    """Return what the tokens would have cost uncached, less what was paid for them."""
    rate = rates.get("input_uncached")
    return 0 if rate is None else (tokens * rate + _HALF) // _PER - paid
