"""How many tokens a call took and what they cost."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.exchange import KEEP_BYTES, Exchange
from gateway.prices.cost import price
from gateway.prices.table import PriceTable
from telemetry.records import PENDING, Cost, Usage

BYTES_PER_TOKEN = 4
"""Rule of thumb for English, source: OpenAI, "What are tokens and how to count them?", 2026."""


_FREE = Cost(total_nano_usd=0, price_row="free")
"""Of what no provider takes money for: counting tokens, and answers that were paid for when they were made."""

REUSED = "kept answer"
"""Price row of answers that were kept here: nobody was asked."""

_COUNTED_ELSEWHERE: Mapping[str, Cost] = {
    "elsewhere": _FREE,
    "later": Cost(reason="no_usage"),
    "batch": Cost(reason=PENDING),
    "untold": Cost(reason="no_usage"),
}


class Meter:
    """Reads usage off an answer and prices it."""

    def __init__(self, table: PriceTable | None = None) -> None:
        self.table = table
        """Replaced by the worker whenever a newer one was compiled."""

    def settle(self, exchange: Exchange) -> None:
        """Fill in usage and cost. What no provider told is estimated and says so."""
        if exchange.reuse is not None and exchange.reuse.outcome == "hit":
            if exchange.reading is not None:
                exchange.finding = exchange.reading.finding()
            exchange.cost = Cost(0, price_row=REUSED, cache_saved_nano_usd=exchange.reuse.saved_nano_usd)
            return
        if exchange.reading is None:  # no answer, no tokens that anybody told us of
            exchange.cost = Cost(reason="no_answer")
            return
        finding = exchange.reading.finding()
        exchange.finding = finding
        if exchange.wire.operation == "count_tokens":
            exchange.cost = _FREE
            return
        if finding.usage is None and finding.usage_due != "here":
            exchange.cost = _COUNTED_ELSEWHERE[finding.usage_due]
            if finding.raw_usage:  # told in something else than tokens: seconds, searches
                exchange.usage_source, exchange.cost = "provider", Cost(reason="no_rate:units")
            return
        if finding.usage is None:
            exchange.usage, exchange.usage_source = _estimate(exchange), "estimated"
        elif finding.output_uncounted:
            exchange.usage, exchange.usage_source = _complete(finding.usage, exchange), "estimated"
        else:
            exchange.usage, exchange.usage_source = finding.usage, "provider"
        exchange.cost = self._cost(exchange)

    def _cost(self, exchange: Exchange) -> Cost:
        if self.table is None:
            return Cost(reason="no_price_table")
        attempt = exchange.attempts[-1]
        at_us = exchange.started_at_us
        sniffed = exchange.upload.model if exchange.upload is not None else ""
        served = exchange.finding.response_model or attempt.model or sniffed
        row = self.table.find(attempt.provider, served, at_us)
        if row is None and served != attempt.model:
            row = self.table.find(attempt.provider, attempt.model, at_us)
        return price(row, exchange.usage, version=self.table.version, tier=exchange.finding.service_tier)


def _complete(told: Usage, exchange: Exchange) -> Usage:
    """Return what the provider told before its answer broke off, with the output estimated."""
    return msgspec.structs.replace(
        told, output_text=max(told.output_text, _estimate(exchange).output_text), output_reasoning=0
    )


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
