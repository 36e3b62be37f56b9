"""What a log's tokens mean and cost: whoever knows prices is asked through this."""

from __future__ import annotations

from typing import Protocol

from telemetry.records import Cost, Usage


class Books(Protocol):
    """Reads usage objects and prices them. Safe to share between threads."""

    def usage(self, raw: bytes) -> Usage | None:
        """Return a usage object's disjoint buckets, whichever provider's it is; None if it is none."""
        ...

    def provider(self, model: str) -> str:
        """Return whose model this is; empty if nobody knows."""
        ...

    def price(self, provider: str, model: str, usage: Usage, *, at_us: int, tier: str) -> Cost:
        """Price the usage as of that time; a cost without a total says why."""
        ...
