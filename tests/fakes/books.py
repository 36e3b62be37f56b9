"""Prices for tests of logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from telemetry.ingest.books import Books
from telemetry.records import Cost, Usage


class OnePrice:
    """Knows one provider, whose tokens cost a nano-dollar each."""

    def usage(self, raw: bytes) -> Usage | None:
        """Read `prompt_tokens`."""
        said = msgspec.json.decode(raw)
        return Usage(input_uncached=said["prompt_tokens"]) if "prompt_tokens" in said else None

    def provider(self, model: str) -> str:
        """Know OpenAI's models."""
        return "openai" if model.startswith("gpt-") else ""

    def price(self, provider: str, model: str, usage: Usage, *, at_us: int, tier: str) -> Cost:
        """Price it, with all that was asked in the name of the row."""
        if provider != "openai":
            return Cost(reason="unknown_model")
        return Cost(usage.input_total + usage.output_total, {"all": 1}, f"{provider}/{model}{tier}@{at_us}")


if TYPE_CHECKING:
    _typed: Books = OnePrice()
