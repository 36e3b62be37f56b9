"""Keeps the places of calls under way: an authority elsewhere takes them back from workers it does not hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice

from gateway.limits.base import LEASE_US, Demand
from gateway.limits.core import Lease
from gateway.tasks import spawn

RENEW_EVERY_S = LEASE_US / 3_000_000
_AT_ONCE = 200


class Leases:
    """`tell` is given all leases, some at a time, every so often."""

    def __init__(self, tell: Callable[[list[Lease]], None]) -> None:
        self._tell = tell
        self._held: dict[str, tuple[str, ...]] = {}
        self._renewing: asyncio.Task[None] | None = None

    def hold(self, demand: Demand) -> None:
        """Keep the demand's places, if it has any, until `drop`."""
        subjects = tuple(part.subject for part in demand.parts if part.concurrency)
        if subjects:
            self._held[demand.id] = subjects

    def drop(self, demand: Demand) -> bool:
        """Keep them no longer; return whether there were any."""
        return self._held.pop(demand.id, None) is not None

    def renew(self) -> None:
        """Tell all of them now."""
        rest = iter(self._held.items())
        while some := list(islice(rest, _AT_ONCE)):
            self._tell(some)

    def start(self) -> None:
        """Renew them from now on."""
        self._renewing = spawn(self._run(), name="leases")

    async def close(self) -> None:
        """Let them run out."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            self.renew()
