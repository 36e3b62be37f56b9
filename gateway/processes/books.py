"""What a log's tokens mean and cost, by the rules that hold for the gateway's own calls."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec

from gateway.prices.cost import price
from gateway.prices.table import PriceTable
from gateway.providers.catalog import Catalog, build
from gateway.settings import ProviderSettings
from gateway.wire import anthropic_usage, gemini_usage, openai_usage
from telemetry.records import Cost, Usage

_ANTHROPIC = (b'"cache_read_input_tokens"', b'"cache_creation_input_tokens"')
_GEMINI = (b'"promptTokenCount"', b'"candidatesTokenCount"')

logger = logging.getLogger(__name__)


class PriceBooks:
    """Follows the price table at `path`: a newer one counts from the next log on."""

    def __init__(self, path: Path, providers: dict[str, ProviderSettings]) -> None:
        self._path = path
        known = build(providers, Catalog.load())
        self._names = frozenset(known)
        self._prefixes = [(start, name) for name, one in known.items() for start in one.prefixes]
        self._table: PriceTable | None = None
        self._seen_ns = 0
        self._lock = threading.Lock()

    def usage(self, raw: bytes) -> Usage | None:
        """Return a usage object's disjoint buckets; whose it is shows in its words."""
        if any(word in raw for word in _GEMINI):
            return gemini_usage.parse_usage(raw)
        theirs = anthropic_usage.parse_usage(raw) if any(word in raw for word in _ANTHROPIC) else None
        return theirs or openai_usage.parse_usage(raw)

    def provider(self, model: str) -> str:
        """Return the provider that the model's name names, or that models with such a name belong to."""
        named, slash, _ = model.partition("/")
        if slash and named in self._names:
            return named
        return next((name for start, name in self._prefixes if model.startswith(start)), "")

    def price(self, provider: str, model: str, usage: Usage, *, at_us: int, tier: str) -> Cost:
        """Price the usage as of that time."""
        with self._lock:
            table = self._newest()
            if table is None:
                return Cost(reason="no_price_table")
            row = table.find(provider, model.removeprefix(f"{provider}/"), at_us)
        return price(row, usage, version=table.version, tier=tier)

    def _newest(self) -> PriceTable | None:
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._seen_ns:
                self._table, self._seen_ns = PriceTable.load(self._path), changed_ns
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("price_table_missing", extra={"error": str(error)})
        return self._table
