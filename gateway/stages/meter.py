"""How many tokens a call took and what they cost."""

from __future__ import annotations

from gateway.exchange import KEEP_BYTES, Exchange
from gateway.prices.cost import price
from gateway.prices.table import PriceTable
from telemetry.records import Cost, Usage

BYTES_PER_TOKEN = 4
"""Rule of thumb for English, source: OpenAI, "What are tokens and how to count them?", 2026."""


class Meter:
    """Reads usage off an answer and prices it."""

    def __init__(self, table: PriceTable | None = None) -> None:
        self.table = table
        """Replaced by the worker whenever a newer one was compiled."""

    def settle(self, exchange: Exchange) -> None:
        """Fill in usage and cost. What no provider told is estimated and says so."""
        if exchange.reading is None:  # no answer, no tokens that anybody told us of
            exchange.cost = Cost(reason="no_answer")
            return
        finding = exchange.reading.finding()
        exchange.finding = finding
        if finding.usage is not None:
            exchange.usage, exchange.usage_source = finding.usage, "provider"
        else:
            exchange.usage, exchange.usage_source = _estimate(exchange), "estimated"
        exchange.cost = self._cost(exchange)

    def _cost(self, exchange: Exchange) -> Cost:
        if self.table is None:
            return Cost(reason="no_price_table")
        attempt = exchange.attempts[-1]
        at_us = exchange.started_at_us
        served = exchange.finding.response_model or attempt.model
        row = self.table.find(attempt.provider, served, at_us)
        if row is None and served != attempt.model:
            row = self.table.find(attempt.provider, attempt.model, at_us)
        return price(row, exchange.usage, version=self.table.version)


def _estimate(exchange: Exchange) -> Usage:
    if exchange.wire.operation == "embeddings":
        return Usage(input_uncached=_tokens(len(exchange.body)))
    kept = b"".join(exchange.answer + exchange.drained)
    said = len(exchange.wire.words(exchange.content_type, kept).encode())
    if exchange.answer_bytes > KEEP_BYTES:  # the rest was like the part that was kept
        said = said * exchange.answer_bytes // len(kept)
    return Usage(input_uncached=_tokens(len(exchange.body)), output_text=_tokens(said))


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)
