"""Price rows from litellm's JSON file: models that genai-prices does not have, and everybody's service tiers.

The file has many mistakes, so it is a fallback only, and a model that it calls free is left out: unknown is
better than 0. Source: https://github.com/BerriAI/litellm, model_prices_and_context_window.json (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from gateway.prices.table import LITELLM_NAMES, SAME, Plan, PriceRow, Rates, Tier, complete

_PER_TOKEN = Decimal(10) ** 15
"""From dollars per token to nano-dollars per million tokens."""

_MODES = frozenset({"chat", "completion", "responses", "embedding"})
_NAMES = {
    **LITELLM_NAMES,
    "fireworks_ai-embedding-models": "fireworks",
    "vertex_ai-anthropic_models": "vertex",
    "vertex_ai-language-models": "vertex",
}
_KEYS = {
    "input_uncached": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "input_audio": "input_cost_per_audio_token",
    "input_image": "input_cost_per_image_token",
    "output_text": "output_cost_per_token",
    "output_reasoning": "output_cost_per_reasoning_token",
    "output_audio": "output_cost_per_audio_token",
    "output_image": "output_cost_per_image_token",
}
_ABOVE = re.compile(r"_above_(\d+)k_tokens")
_SERVICE = re.compile(r"input_cost_per_token_(?:above_\d+k_tokens_)?([a-z]+)")
"""Of keys like `input_cost_per_token_flex` and `input_cost_per_token_above_200k_tokens_batches`."""
_SERVICES = {"batches": "batch"}

_INCLUSIVE = frozenset({"xai"})
"""Whose tier begins at the number itself. Source: litellm 1.106.2, cost calculation (2026-11)."""

_BATCH = 50
"""Per cent: what Anthropic takes for every token of a batch; its other factors come on top.

Source: https://platform.claude.com/docs/en/about-claude/pricing (2026-11).
"""

_decoder = msgspec.json.Decoder(dict[str, dict[str, Any]], float_hook=Decimal)


def spare_rows(data: bytes) -> dict[str, dict[str, PriceRow]]:
    """Return rows by provider and lower-case model name; raise ValueError if this is not litellm's file."""
    books: dict[str, dict[str, PriceRow]] = {}
    for name, said in _decoder.decode(data).items():
        provider = said.get("litellm_provider")
        if not isinstance(provider, str) or said.get("mode") not in _MODES:
            continue
        rates = _rates(said, "")
        if not rates.get("input_uncached") and not rates.get("output_text"):
            continue
        model = name.removeprefix(provider + "/").removeprefix("vertex_ai/").lower()
        row = _row(f"litellm:{name}", said, rates, provider)
        books.setdefault(_NAMES.get(provider, provider), {}).setdefault(model, row)
    return books


def _row(row_id: str, said: dict[str, Any], rates: Rates, provider: str) -> PriceRow:
    anthropic = provider == "anthropic"
    return PriceRow(
        id=row_id,
        rates=_with_fees(complete(rates), said),
        tiers=tuple(Tier(tier.above, _with_fees(complete(tier.rates), said)) for tier in _tiers(said, "")),
        services={} if anthropic else _services(row_id, said, rates),
        factors=_factors(said) if anthropic else {},
        window=window if isinstance(window := said.get("max_input_tokens"), int) else 0,
    )


def _tiers(said: dict[str, Any], service: str) -> Iterator[Tier]:
    """Say what is told of long inputs; a price that a tier does not name is the ordinary one."""
    rates = _rates(said, service)
    inclusive = said.get("litellm_provider") in _INCLUSIVE
    for k in sorted({int(found[1]) for key in said if (found := _ABOVE.search(key))}):
        if above := _rates(said, f"_above_{k}k_tokens{service}"):
            yield Tier(k * 1000 - inclusive, rates | above)


def _services(row_id: str, said: dict[str, Any], standard: Rates) -> dict[str, Plan]:
    """Return the plans of the service tiers; what has a price of its own at the standard one keeps none there."""
    apart = {name for name, rate in standard.items() if rate != standard.get(SAME.get(name, ""))}

    def known(rates: Rates) -> Rates:
        return {n: rate for n, rate in complete(rates).items() if n in rates or n not in apart}

    plans = {}
    for suffix in sorted({found[1] for key in said if (found := _SERVICE.fullmatch(key))}):
        rates = _rates(said, f"_{suffix}")
        if "input_uncached" in rates:
            name = _SERVICES.get(suffix, suffix)
            tiers = tuple(Tier(tier.above, known(tier.rates)) for tier in _tiers(said, f"_{suffix}"))
            plans[name] = Plan(id=f"{row_id} {name}", rates=known(rates), tiers=tiers)
    return plans


def _factors(said: dict[str, Any]) -> dict[str, int]:
    """Return Anthropic's factors, in per cent: of batches, of fast answers, of answers computed in the US."""
    factors = {"batch": _BATCH} if "input_cost_per_token_batches" in said else {}
    named = said.get("provider_specific_entry") or {}
    if "fast" in named:
        factors["fast"] = int(named["fast"] * 100)
    if "us" in named:
        us = int(named["us"] * 100)
        factors |= {f"{name}+us": percent * us // 100 for name, percent in factors.items()} | {"us": us}
    return factors


def _rates(said: dict[str, Any], suffix: str) -> Rates:
    found = ((name, _nano(said.get(key + suffix))) for name, key in _KEYS.items())
    return {name: rate for name, rate in found if rate is not None}


def _with_fees(rates: Rates, said: dict[str, Any]) -> Rates:
    """Add the price of a web search if it is the same whatever its context size."""
    sizes = said.get("search_context_cost_per_query")
    fees = {_nano(fee) for fee in sizes.values()} if isinstance(sizes, dict) else set()
    fee = fees.pop() if len(fees) == 1 else None
    return rates if fee is None else {**rates, "web_searches": fee}


def _nano(price: object) -> int | None:
    if isinstance(price, bool) or not isinstance(price, int | Decimal) or price < 0:
        return None
    return int((price * _PER_TOKEN).to_integral_value(ROUND_HALF_UP))
