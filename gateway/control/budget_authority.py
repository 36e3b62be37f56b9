"""The authority over budgets that lives in the hub: what arrives while it writes goes into the next transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from gateway.budgets.authority import AuthorityAway
from gateway.budgets.records import Budget, Closing, Reservation, Verdict
from gateway.clock import Clock
from gateway.control.budget_accounts import LEASE_US, Ask, act, expire, hold
from gateway.control.migrate import MigrationError
from gateway.control.records_thread import RecordsThread
from gateway.control.store import ControlAway
from gateway.tasks import spawn

MOST_AT_ONCE = 200
"""Asked in one transaction: a database takes some milliseconds for it."""
LOOK_EVERY_S = 5.0

logger = logging.getLogger(__name__)


class BudgetAuthority:
    """Owns nothing but what waits to be written. `records`: a thread of its own, so that nothing else delays a call."""

    def __init__(self, records: RecordsThread, configured: Mapping[str, Budget], clock: Clock) -> None:
        self._records = records
        self._configured = configured
        self._clock = clock
        self._waiting: list[tuple[Ask, asyncio.Future[Verdict]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._well_since_us = clock.now_us()
        """Before it was, workers may have lived unheard."""

    async def reserve(self, wanted: Reservation) -> Verdict:
        """Put an amount aside in all accounts it concerns, or in none."""
        return await self._ask(wanted)

    async def close(self, closings: Sequence[Closing]) -> None:
        """Count what attempts did cost; what was told before changes nothing."""
        await asyncio.gather(*map(self._ask, closings))

    async def hold(self, holder: str) -> None:
        """Note that a worker lives, and so may still close what it reserved."""
        now_us = self._clock.now_us()
        try:
            await self._records.query(lambda database: hold(database, (holder,), now_us))
        except (ControlAway, MigrationError) as error:
            self._fail(error)
            raise AuthorityAway(str(error)) from error

    async def run(self) -> None:
        """Count what dead workers hold, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Count what workers hold that have been silent for as long as they could be heard."""
        now_us = self._clock.now_us()
        if not self._records.there or now_us - self._well_since_us < LEASE_US:
            return
        try:
            lost = await self._records.query(lambda database: expire(database, self._configured, now_us))
        except (ControlAway, MigrationError) as error:
            self._fail(error)
            return
        if lost:
            logger.warning("budget_reservations_expired", extra={"attempts": lost})

    def _ask(self, ask: Ask) -> asyncio.Future[Verdict]:
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, future))
        if self._writing is None:
            self._writing = spawn(self._write(), name="budgets")
        return future

    async def _write(self) -> None:
        batch: list[tuple[Ask, asyncio.Future[Verdict]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                batch = [one for one in batch if not one[1].done()]  # its worker has given up
                await self._write_batch(batch)
        finally:
            self._writing = None
            for _, future in batch + self._waiting:
                if not future.done():  # only if this was broken off
                    future.cancel()

    async def _write_batch(self, batch: Sequence[tuple[Ask, asyncio.Future[Verdict]]]) -> None:
        asked, now_us = [ask for ask, _ in batch], self._clock.now_us()
        try:
            verdicts = await self._records.query(
                lambda database: act(database, self._configured, asked, now_us)
            )
        except (ControlAway, MigrationError) as error:
            self._fail(error)
            for _, future in batch:
                if not future.done():
                    future.set_exception(AuthorityAway(str(error)))
            return
        for (_, future), verdict in zip(batch, verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)

    def _fail(self, error: Exception) -> None:
        self._well_since_us = self._clock.now_us()
        logger.debug("budget_authority_away", extra={"error": str(error)})
