"""Tells people that a budget has reached a threshold: in the log, and by its webhook, once in each window.

A webhook that does not answer with 2xx is asked again, ever more seldom, for about a day. One whose answer got lost
hears of the same thing twice: `id` says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlsplit

import msgspec

from gateway.budgets.records import Budget
from gateway.clock import Clock
from gateway.control.budget_accounts import Due, due, sent
from gateway.control.budgets import TABLE
from gateway.control.migrate import MigrationError
from gateway.control.records_thread import RecordsThread
from gateway.control.store import ControlAway
from gateway.control.words import moment
from gateway.errors import UpstreamFailed
from gateway.providers.base import Origin, Outgoing
from gateway.settings import Timeouts
from gateway.transport import Transport

LOOK_EVERY_S = 1.0
_PATIENCE = Timeouts(connect_s=5, first_byte_s=10, idle_s=10, total_s=15)
_PORTS = {"http": 80, "https": 443}

logger = logging.getLogger(__name__)


class Notices:
    """Nothing of its own: what is to be told stands in the database, whichever hub comes to it."""

    def __init__(
        self,
        records: RecordsThread,
        configured: Mapping[str, Budget],
        transport: Transport,
        clock: Clock,
    ) -> None:
        self._records = records
        self._configured = configured
        self._transport = transport
        self._clock = clock

    async def run(self) -> None:
        """Tell what there is, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Tell what has come up; what cannot be told now stays."""
        if not self._records.there:
            return
        now_us = self._clock.now_us()
        try:
            found = await self._records.query(lambda database: due(database, now_us))
            if not found:
                return
            budgets = {**self._configured, **{one.id: one for one in await self._records.query(TABLE.read)}}
            for one in found:
                await self._tell(one, budgets.get(one.key.budget))
        except (ControlAway, MigrationError) as error:
            logger.debug("budget_notices_wait", extra={"error": str(error)})

    async def _tell(self, one: Due, budget: Budget | None) -> None:
        told = _told(one, budget)
        if not one.tries:
            logger.warning("budget_threshold_reached", extra={"notice": told})
        if budget is None or not budget.webhook or await self._post(budget.webhook, told):
            await self._records.query(lambda database: sent(database, one))

    async def _post(self, url: str, told: Mapping[str, object]) -> bool:
        parts = urlsplit(url)
        origin = Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = [(b"content-type", b"application/json")]
        outgoing = Outgoing("POST", origin, path, headers, msgspec.json.encode(told))
        try:
            with closing(await self._transport.open(outgoing, _PATIENCE, stream=False)) as answer:
                await answer.read(64 * 1024)
        except UpstreamFailed as error:
            logger.warning("budget_webhook_failed", extra={"host": origin.host, "error": error.code})
            return False
        if not 200 <= answer.status < 300:
            logger.warning("budget_webhook_failed", extra={"host": origin.host, "error": str(answer.status)})
            return False
        return True


def _told(one: Due, budget: Budget | None) -> dict[str, object]:
    key, account = one.key, one.account
    return {
        "id": f"{key.budget}:{key.project}:{key.subject}:{key.starts_us}:{one.threshold}",
        "event": "budget_threshold_reached",
        "threshold": one.threshold,
        "budget": key.budget,
        "name": budget.name if budget else "",
        "project": key.project,
        "subject": key.subject,
        "at": moment(one.at_us).isoformat(),
        "window_ends_at": moment(account.ends_us).isoformat() if account.ends_us else None,
        "spent_nano_usd": one.spent,
        "soft_nano_usd": budget.soft_nano_usd if budget else None,
        "hard_nano_usd": budget.hard_nano_usd if budget else None,
    }
