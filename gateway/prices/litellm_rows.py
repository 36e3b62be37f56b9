"""Price rows from litellm's JSON file, for models that genai-prices does not have.

The file has many mistakes, so it is a fallback only, and a model that it calls free is left out: unknown is
better than 0. Source: https://github.com/BerriAI/litellm, model_prices_and_context_window.json (2026-11).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from gateway.prices.table import PriceRow, Rates, Tier

_PER_TOKEN = Decimal(10) ** 15
"""From dollars per token to nano-dollars per million tokens."""

_MODES = frozenset({"chat", "completion", "responses", "embedding"})
_NAMES = {
    "cohere_chat": "cohere",
    "codestral": "mistral",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "gemini": "google",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "voyage": "voyageai",
}
_KEYS = {
    "input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "input_audio": "input_cost_per_audio_token",
    "input_image": "input_cost_per_image_token",
    "output": "output_cost_per_token",
    "output_reasoning": "output_cost_per_reasoning_token",
    "output_audio": "output_cost_per_audio_token",
}
_ABOVE = re.compile(r"_above_(\d+)k_tokens$")

_decoder = msgspec.json.Decoder(dict[str, dict[str, Any]], float_hook=Decimal)


def spare_rows(data: bytes) -> dict[str, dict[str, PriceRow]]:
    """Return rows by provider and lower-case model name; raise ValueError if this is not litellm's file."""
    books: dict[str, dict[str, PriceRow]] = {}
    for name, said in _decoder.decode(data).items():
        provider = said.get("litellm_provider")
        if not isinstance(provider, str) or said.get("mode") not in _MODES:
            continue
        rates = _rates(said, "")
        if not rates.input and not rates.output:
            continue
        model = name.removeprefix(provider + "/").lower()
        row = PriceRow(id=f"litellm:{name}", rates=rates, tiers=_tiers(said))
        books.setdefault(_NAMES.get(provider, provider), {}).setdefault(model, row)
    return books


def _tiers(said: dict[str, Any]) -> tuple[Tier, ...]:
    thousands = sorted({int(found[1]) for key in said if (found := _ABOVE.search(key))})
    return tuple(Tier(k * 1000, _rates(said, f"_above_{k}k_tokens")) for k in thousands)


def _rates(said: dict[str, Any], suffix: str) -> Rates:
    """Return the rates; a tier that does not name a price keeps the ordinary one."""
    found = {name: _nano(said.get(key + suffix, said.get(key))) for name, key in _KEYS.items()}
    return Rates(**found)


def _nano(price: object) -> int | None:
    if isinstance(price, bool) or not isinstance(price, int | Decimal) or price < 0:
        return None
    return int((price * _PER_TOKEN).to_integral_value(ROUND_HALF_UP))
