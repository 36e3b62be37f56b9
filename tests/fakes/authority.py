"""An authority over budgets on the other end of a real line: it keeps accounts in memory, and may fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.budgets.authority import Authority, AuthorityAway
from gateway.budgets.ledger import Ledger
from gateway.budgets.records import Budget, Closing, Reservation, Verdict, by_id
from gateway.budgets.teller import Teller
from gateway.link import LinkClient
from gateway.link_server import LinkServer
from gateway.processes.budgets import handlers
from gateway.processes.doors import bind_unix

NOW_US = 1_790_000_000_000_000


class MemoryAuthority:
    """Remembers what it was asked."""

    def __init__(self, *budgets: Budget) -> None:
        self.ledger = Ledger(by_id(budgets), {}, {}, NOW_US)
        self.reserved: list[Reservation] = []
        self.closed: list[Closing] = []
        self.holders: list[str] = []
        self.silent = False
        self.away = False

    async def reserve(self, wanted: Reservation) -> Verdict:
        """Put an amount aside in all accounts it concerns, or in none."""
        await self._answering()
        self.reserved.append(wanted)
        return self.ledger.reserve(wanted)

    async def close(self, closings: Sequence[Closing]) -> None:
        """Count what attempts did cost."""
        await self._answering()
        for closing in closings:
            self.closed.append(closing)
            self.ledger.close(closing)

    async def hold(self, holder: str) -> None:
        """Note that a worker lives."""
        self.holders.append(holder)

    def sums(self) -> tuple[int, int]:
        """Return what is spent and what is reserved, over all accounts."""
        accounts = self.ledger.accounts.values()
        return sum(one.spent for one in accounts), sum(one.reserved for one in accounts)

    async def _answering(self) -> None:
        while self.silent:  # noqa: ASYNC110 - a test says when it ends
            await asyncio.sleep(0.01)
        if self.away:
            raise AuthorityAway("the database is away")


@asynccontextmanager
async def asked_over_a_line(folder: Path, authority: Authority) -> AsyncIterator[Teller]:
    """Yield a worker's teller that is connected."""
    server = LinkServer(handlers(authority))
    await server.listen(bind_unix(folder / "link.sock"))
    link = LinkClient(str(folder / "link.sock"))
    link.start()
    try:
        assert await link.wait_connected(5)
        yield Teller(link, "w1")
    finally:
        await link.close()
        await server.close()
